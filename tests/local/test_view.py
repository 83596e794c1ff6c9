"""The JSON that status, why and watch show."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from agent.core.decision import LimitValue, Mode, Side
from agent.core.params import Wiring
from agent.local.reason import why_json
from agent.local.view import reserve_json, status_json
from agent.runtime.part import Now
from tests.local.home import (
    CAPABILITY,
    COMMAND,
    DECISION,
    DEVICES,
    HOME,
    INVERTER,
    LINK,
    METER,
    NOW,
    PACK,
    S,
    decided,
    home,
    idle,
    troubled,
)


def test_status_of_a_healthy_home() -> None:
    status = status_json(HOME, "0.1.0", NOW)

    assert (status["ok"], status["code"], status["health"]) == (True, 0, [])
    texts = {name: status[name]["text"] for name in ("link", "control", "grid", "battery", "reserve", "command")}  # type: ignore[index]
    assert texts == {
        "link": "up, 0 records wait for a receipt; 3 messages refused",
        "control": "dispatched; discharge 3200 W of 5000 W asked by dispatch 3f2a91c0, held by reserve",
        "grid": "connected, import 1240 W, 59.98 Hz",
        "battery": "SoC 31.2 %, discharge 3200 W, cells 3.249..3.261 V, 18.1..21.4 C",
        "reserve": "30.0 %, set by the homeowner; the inverter's own floor is 30.0 %",
        "command": "3f2a91c0 limited by reserve, ends in 9 min 50 s",
    }


def test_status_is_plain_json_with_a_version() -> None:
    for view in (HOME, troubled(), idle()):
        status = status_json(view, "0.1.0", NOW)

        assert json.loads(json.dumps(status)) == status
        assert status["v"] == 1
        assert len(json.dumps(status)) < 8192


@pytest.mark.parametrize(
    ("asked", "given", "bound", "text"),
    [
        (None, None, False, "released, the inverter is left to its own mode"),
        (
            5000,
            None,
            False,
            "released, the inverter is left to its own mode, while dispatch 3f2a91c0 asks discharge 5000 W",
        ),
        (None, 0, False, "held at 0 W"),
        (5000, 5000, False, "discharge 5000 W, as asked by dispatch 3f2a91c0"),
        (-5000, -5000, False, "charge 5000 W, as asked by dispatch 3f2a91c0"),
        (0, 0, False, "0 W, as asked by dispatch 3f2a91c0"),
        (5000, 1200, False, "discharge 1200 W of 5000 W asked by dispatch 3f2a91c0, on the ramp"),
        (5000, 0, True, "0 W of discharge 5000 W asked by dispatch 3f2a91c0, held by reserve"),
        (5000, -300, True, "charge 300 W of discharge 5000 W asked by dispatch 3f2a91c0, held by reserve"),
    ],
)
def test_asked_and_given_read_as_one_clause(asked: int | None, given: int | None, bound: bool, text: str) -> None:
    view = decided(asked_w=asked, given_w=given, binding=DECISION.binding if bound else None)

    assert why_json(view, None, NOW)["text"] == text


def test_unknown_stays_unknown() -> None:
    silent = dataclasses.replace(INVERTER, battery_w=None, frequency_mhz=None)
    blind = dataclasses.replace(PACK, soc_permille=None, cell_min_mv=None)
    view = dataclasses.replace(
        decided(soc_lo_permille=None, soc_hi_permille=None, load_w=None, grid="unknown"),
        batteries=(blind,),
        inverters=(silent,),
        meters=(),
        link=None,
    )

    status = status_json(view, "0.1.0", NOW)

    assert status["grid"] == {
        "level": "warn",
        "text": "unknown, power unknown",
        "state": "unknown",
        "grid_w": None,
        "load_w": None,
        "pv_w": 1800,
        "frequency_mhz": None,
        "import_wh": None,
        "export_wh": None,
        "age_ms": None,
    }
    battery = status["battery"]
    assert isinstance(battery, dict)
    assert battery["level"] == "fault"
    assert battery["text"] == (
        "SoC is not certain, so no power either way; SoC unknown, power unknown, cells unknown, 18.1..21.4 C"
    )
    assert status["link"] == {"level": "none", "text": "not set up, or no word from it yet", "state": "unknown"}


def test_an_old_value_never_looks_like_a_new_one() -> None:
    late = Now(NOW.mono_ns + 6 * S, NOW.wall_ms)

    status = status_json(HOME, "0.1.0", late)
    battery, grid, reserve = status["battery"], status["grid"], status["reserve"]

    assert isinstance(battery, dict)
    assert (battery["level"], battery["text"]) == ("fault", "no reading for 6 s (SoC was 31.2 %); power unknown")
    assert {battery[key] for key in ("soc_permille", "battery_w", "cell_min_mv", "temp_max_dc", "dcl_ma")} == {None}
    assert isinstance(grid, dict)
    assert grid["text"] == "connected, power unknown for 6 s (it was import 1240 W)"
    assert {grid[key] for key in ("grid_w", "pv_w", "frequency_mhz", "import_wh")} == {None}
    assert isinstance(reserve, dict)
    assert reserve["floor_permille"] is None


def test_a_slow_device_may_be_as_old_as_it_declared() -> None:
    slow = dataclasses.replace(CAPABILITY, stale_s=15)
    view = home(devices=(*DEVICES[:2], dataclasses.replace(DEVICES[2], capability=slow)))
    late = Now(NOW.mono_ns + 6 * S, NOW.wall_ms)

    grid = status_json(view, "0.1.0", late)["grid"]

    assert isinstance(grid, dict)
    assert grid["pv_w"] == 1800


def test_one_silent_pack_of_two_makes_the_sum_unknown() -> None:
    second = dataclasses.replace(PACK, device="pack2", soc_permille=300, ccl_ma=None)

    battery = status_json(home(batteries=(PACK, second)), "0.1.0", NOW)["battery"]

    assert isinstance(battery, dict)
    assert (battery["soc_permille"], battery["ccl_ma"], battery["dcl_ma"]) == (300, None, 300_000)


def test_why_shows_each_side_tightest_first_and_marks_the_binding_limit() -> None:
    sides = why_json(HOME, None, NOW)["sides"]

    assert isinstance(sides, list)
    shown = {s["side"]: (s["cap_w"], [(limit["id"], limit["binds"]) for limit in s["limits"]]) for s in sides}
    assert shown == {
        "discharge": (
            3200,
            [("reserve", True), ("dcl", False), ("nameplate_discharge", False), ("temperature", False)],
        ),
        "charge": (
            6240,
            [("ccl", False), ("import_limit", False), ("nameplate_charge", False), ("temperature", False)],
        ),
    }


def test_a_limit_narrows_if_it_leaves_less_than_the_nameplate() -> None:
    sides = why_json(HOME, None, NOW)["sides"]

    assert isinstance(sides, list)
    assert {s["side"]: (s["full_w"], [limit["id"] for limit in s["limits"] if limit["narrows"]]) for s in sides} == {
        "discharge": (11400, ["reserve", "dcl"]),
        "charge": (11400, ["ccl", "import_limit"]),
    }


def test_where_the_nameplate_itself_is_not_known_nothing_is_called_free() -> None:
    unknown = [LimitValue(id_, Side.CHARGE, 0, "not known", "site") for id_ in ("nameplate_charge", "ccl")]
    sides = why_json(decided(limits=tuple(unknown), binding=None, lo_w=0, hi_w=0), "charge", NOW)["sides"]

    assert isinstance(sides, list)
    assert [limit["narrows"] for limit in sides[0]["limits"]] == [True, True]


def test_a_limit_on_both_sides_binds_on_both() -> None:
    heat = LimitValue("temperature", Side.BOTH, 0, "cells 56.0 C, 0 W from 55 C", "agent")
    sides = why_json(decided(binding=heat, limits=(heat,)), None, NOW)["sides"]

    assert isinstance(sides, list)
    assert [(s["side"], s["limits"][0]["binds"]) for s in sides] == [("discharge", True), ("charge", True)]


def test_why_of_one_side() -> None:
    sides = why_json(HOME, "charge", NOW)["sides"]

    assert isinstance(sides, list)
    assert [s["side"] for s in sides] == ["charge"]


def test_why_without_a_wish_names_the_fault_that_holds() -> None:
    assert (
        why_json(troubled(), None, NOW)["because"]
        == "battery_stale: no good reading of the battery for more than 5.0 s"
    )
    assert why_json(idle(), None, NOW)["because"] == "nobody asks for power"
    driven = decided(source="self_consumption", asked_w=500, given_w=500, binding=None)
    assert why_json(driven, None, NOW)["because"] == (
        "no floor of the inverter keeps the reserve, so the house is followed by us; no limit is in the way"
    )


def test_reserve_that_is_not_the_homeowners_says_so() -> None:
    view = dataclasses.replace(decided(reserve_permille=1000), reserve_permille=1000, reserve_source="new")

    row = reserve_json(view, NOW)

    assert row["level"] == "warn"
    assert row["text"] == (
        "100.0 %, because the homeowner's reserve is new; the inverter's own floor is 30.0 %; SoC 31.1 % is below it: "
        "nothing is discharged, and it charges from PV"
    )


def test_reserve_raised_by_an_overlay_shows_both() -> None:
    row = reserve_json(decided(reserve_permille=310), NOW)

    assert row["text"] == "31.0 % now, 30.0 % set by the homeowner; the inverter's own floor is 30.0 %"
    assert (row["permille"], row["effective_permille"]) == (300, 310)


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_has_words(mode: Mode) -> None:
    control = status_json(decided(mode=mode), "0.1.0", NOW)["control"]

    assert isinstance(control, dict)
    assert control["mode"] == mode.value
    assert control["level"] in ("ok", "warn", "fault", "none")


def test_link_says_what_is_missing() -> None:
    def link_text(**changes: object) -> object:
        link = dataclasses.replace(LINK, counters={}, **changes)  # type: ignore[arg-type]  # a wrong field raises
        row = status_json(home(link=link), "0.1.0", NOW)["link"]
        assert isinstance(row, dict)
        return row["level"], row["text"]

    assert link_text(fresh=False) == (
        "warn",
        "up, no signed time yet, so no new dispatch is accepted; 0 records wait for a receipt",
    )
    assert link_text(up=False, detail="refused", unsent=1) == ("warn", "down: refused; 1 record waits for a receipt")


def test_command_keeps_scalars_alone() -> None:
    command = status_json(home(command={"command_id": COMMAND, "state": "started", "odd": object()}), "0.1.0", NOW)[
        "command"
    ]

    assert command == {"level": "ok", "text": "3f2a91c0 started", "command_id": COMMAND, "state": "started"}


# --- several packs and inverters --------------------------------------------------------------------------------------
SECOND = dataclasses.replace(PACK, device="pack2", soc_permille=300, dcl_ma=100_000)
OPEN: dict[str, Any] = {"charge_enabled": False, "discharge_enabled": False, "pack_ma": 0, "ccl_ma": 0, "dcl_ma": 0}
SHARED = dataclasses.replace(HOME.decision, shares=(("hybrid", 1900), ("hybrid2", 1300)))
OTHER = dataclasses.replace(INVERTER, device="hybrid2", battery_w=1300)


def status(**changes: object) -> dict[str, object]:
    return status_json(dataclasses.replace(HOME, **changes), "0.1.0", NOW)  # type: ignore[arg-type]


def part(reply: dict[str, object], name: str) -> dict[str, object]:
    found = reply[name]
    assert isinstance(found, dict)
    return found


def test_several_packs_are_told_in_few_words_and_listed() -> None:
    battery = part(status(batteries=(PACK, SECOND, dataclasses.replace(SECOND, device="pack3", **OPEN))), "battery")

    assert str(battery["text"]).startswith("3 packs, SoC 30.0..31.2 %, lowest pack2, pack3 offline, ")
    assert (battery["soc_permille"], battery["dcl_ma"]) == (300, 200_000)  # twice the least of the two that carry
    packs = battery["packs"]
    assert isinstance(packs, list)
    assert [(p["name"], p["online"]) for p in packs] == [("pack", True), ("pack2", True), ("pack3", False)]


def test_shares_are_told_and_power_is_the_sum() -> None:
    reply = status(decision=SHARED, inverters=(dataclasses.replace(INVERTER, battery_w=1900), OTHER))

    assert part(reply, "control")["shares"] == {"hybrid": 1900, "hybrid2": 1300}
    assert str(part(reply, "control")["given_text"]).endswith("by hybrid 1900 W, hybrid2 1300 W")
    assert part(reply, "battery")["battery_w"] == 3200


def test_many_inverters_are_counted() -> None:
    many = dataclasses.replace(HOME.decision, shares=tuple((f"inv{i}", 800 + i) for i in range(4)))

    assert str(part(status(decision=many), "control")["given_text"]).endswith("by 4 inverters, 800 to 803 W each")


def test_an_inverter_that_is_out_hides_nothing_of_the_others() -> None:
    old = dataclasses.replace(OTHER, at_ns=NOW.mono_ns - 300 * S)
    out = dataclasses.replace(HOME.decision, out=("hybrid2",))

    assert part(status(inverters=(INVERTER, old)), "battery")["battery_w"] is None
    assert part(status(decision=out, inverters=(INVERTER, old)), "battery")["battery_w"] == 3200


def test_a_meter_at_pv_is_not_the_grid() -> None:
    roof = dataclasses.replace(METER, device="roof", grid_w=1800)
    beside = Wiring(places=(("roof", "pv"),))
    grid = part(status(meters=(METER, roof), wiring=beside), "grid")

    assert (grid["grid_w"], grid["pv_w"]) == (1240, 6240 - 1240 - 3200)
