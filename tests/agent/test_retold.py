"""What an older database tells once more counts once: events, days, and energy to the watt-hour of the registers."""

from __future__ import annotations

from typing import Any

import pytest

from agent.tools.placing import Placed
from agent.tools.retold import once
from agent.tools.totals import ENERGIES, Totals, of_month

MINUTE = 60_000


def energy(kind: str, n: int, t0: int, start: int, end: int, **more: Any) -> dict[str, Any]:
    """A register of import; an integral of discharge that grows as much while somebody looks."""
    span = {"t0_ms": t0 * MINUTE, "t1_ms": (t0 + 15) * MINUTE}
    integral = more.pop("integral", (start, end))
    stands = [
        {**dict.fromkeys(ENERGIES, 0), "import_wh": wh, "discharge_wh": out}
        for wh, out in zip((start, end), integral, strict=True)
    ]
    body: dict[str, Any] = {"record": kind, "n": n, **span, "start": stands[0], "end": stands[1]}
    body |= {"estimated": ["discharge_wh"], "jumps": []}
    if kind == "interval":
        body |= dict.fromkeys(("missing_s", "dispatched_s", "opted_out_s", "islanded_s"), 0)
        body |= {"lasted_s": 900, "partial": False, "unavailable": [], "limited": []}
    return body | more


def gap(n: int, t0: int, start: int, end: int, told: bool = True, **more: Any) -> dict[str, Any]:
    integral = more.pop("integral", (start, start))
    body = energy("gap", n, t0, start, end, integral=integral, reason="not_running", perhaps_told=told)
    return body | {"t1_ms": None} | more


def event(n: int, wh: int, name: str = "a") -> dict[str, Any]:
    sums = {f"{what}_{way}": wh for what in ("requested", "delivered") for way in ("discharge_wh", "wh")}
    both = sums | {"requested_charge_wh": 0, "delivered_charge_wh": 0, "quarters": []}
    return {"record": "performance", "n": n, "command_id": name, "digest": "d", "t0_ms": 0} | both


def reserve(n: int, day: str) -> dict[str, Any]:
    return {"record": "reserve", "n": n, "day": day, "below": [], "below_s": 0, "outage_s": 9, "outage_served_wh": 0}


RESTORED = {"record": "chain", "why": "restored", "known_n": 2}
BEFORE = [energy("interval", 0, 0, 0, 100), energy("interval", 1, 15, 100, 200)]
LOST = [
    energy("interval", 2, 30, 200, 300), energy("interval", 3, 45, 300, 400),
    event(4, 1488), reserve(5, "2023-11-14"), energy("interval", 6, 60, 400, 450),
]  # fmt: skip
# the image is of minute 35, where the registers stood at 240: its quarter, the gap, and what came then
AGAIN = [
    {**RESTORED, "n": 20}, energy("interval", 21, 30, 200, 240, t1_ms=35 * MINUTE), {"record": "quarters", "n": 22},
    gap(23, 35, 240, 700), event(24, 741), event(25, 10, "b"), reserve(26, "2023-11-14"), reserve(27, "2023-11-15"),
    energy("interval", 28, 90, 700, 800, integral=(240, 340)),
]  # fmt: skip


def total(*parts: list[dict[str, Any]]) -> Totals:
    placed = [Placed(body, body.get("t0_ms", 0)) for part in parts for body in part]
    kept, left = once(placed)
    assert [p.body["n"] for p in kept] == sorted(p.body["n"] for p in kept)
    t = of_month(kept, "2023-11", 0, 1 << 62)
    t.told_again = left
    return t


def flowed(t: Totals, name: str) -> int:
    return t.energy[name] + t.gap_wh[name]


def test_a_day_of_two_records_is_one_day_with_the_sum_of_both_also_long_after_an_older_image() -> None:
    """As a clock tells it that was ahead of its midnight and was put back."""
    twice = [reserve(7, "2023-11-20"), reserve(8, "2023-11-20")]
    t = total(twice)
    assert (t.days, t.outage_s, t.told_again) == (1, 18, 0)
    t = total(BEFORE, LOST, AGAIN, [{**each, "n": each["n"] + 30} for each in twice])
    assert (t.days, t.outage_s) == (3, 36), "the days of both branches, and this one"


def test_events_days_and_energy_of_both_branches_count_once() -> None:
    t = total(BEFORE, LOST, AGAIN)
    assert flowed(t, "import_wh") == 800
    assert flowed(t, "discharge_wh") == 450 + 100  # what was measured: nobody looked from 450 to 700
    assert (t.intervals, t.gaps, t.told_again) == (6, 1, 4)
    assert [(e["command_id"], e["delivered_wh"]) for e in t.events] == [("a", 1488), ("b", 10)]
    assert (t.given_wh, t.days, t.outage_s) == (1498, 2, 18)


def test_where_the_lost_branch_is_not_here_what_is_told_again_counts() -> None:
    t = total(BEFORE, AGAIN)
    assert flowed(t, "import_wh") == 800
    assert flowed(t, "discharge_wh") == 200 + 40 + 100
    assert (t.told_again, t.given_wh, t.days) == (0, 751, 2)


def test_where_the_lost_branch_is_here_in_part_the_registers_still_hold() -> None:
    """Its tail never came; or the file begins within it."""
    assert flowed(total(BEFORE, LOST[:2], AGAIN), "import_wh") == 800
    assert flowed(total(LOST[1:], AGAIN), "import_wh") == 800 - 300 + (300 - 200)
    assert flowed(total(LOST[1:], AGAIN), "discharge_wh") == 150 + 100


def test_twice_put_back_to_the_same_image() -> None:
    later = [{**RESTORED, "n": 40}, energy("interval", 41, 30, 200, 240, t1_ms=35 * MINUTE), gap(42, 35, 240, 900),
             event(43, 5)]  # fmt: skip
    t = total(BEFORE, LOST, AGAIN, later)
    assert (flowed(t, "import_wh"), t.given_wh, t.told_again) == (900, 1498, 7)


@pytest.mark.parametrize("why", ["key", "archive_lost", "store_lost"])
def test_another_break_of_the_chain_tells_nothing_again(why: str) -> None:
    again = [{**AGAIN[0], "why": why}, *AGAIN[1:]]
    t = total(BEFORE, again)
    assert (t.told_again, flowed(t, "import_wh")) == (0, 800)


def test_accounts_that_begin_anew_or_a_file_that_ends_have_nothing_to_hold_against() -> None:
    """No gap follows: there were no accounts in the image, or the file ends before it."""
    fresh = [{**RESTORED, "n": 20}, energy("interval", 21, 90, 700, 800)]
    assert flowed(total(BEFORE, LOST, fresh), "import_wh") == 450 + 100
    assert flowed(total(BEFORE, fresh, [{**RESTORED, "n": 22}]), "import_wh") == 300


def test_a_meter_that_was_changed_before_the_image_hides_nothing() -> None:
    """Registers of the old meter stand above those of the image: they are of before it."""
    old = [energy("interval", 0, 0, 5000, 6000)]
    t = total(old, [{**RESTORED, "n": 20}, energy("interval", 21, 30, 0, 40), gap(22, 45, 40, 100)])
    assert (flowed(t, "import_wh"), t.told_again) == (1100, 0)


def test_what_goes_beyond_is_of_the_time_behind_the_lost_branch() -> None:
    placed = [Placed(body, body.get("t0_ms", 0)) for body in (*BEFORE, *LOST, *AGAIN)]
    (cut,) = [p for p in once(placed)[0] if p.body["record"] == "gap"]
    assert cut.ms == 60 * MINUTE
    loose = [Placed(p.body, None) if p.body["record"] == "gap" else p for p in placed]
    (cut,) = [p for p in once(loose)[0] if p.body["record"] == "gap"]
    assert cut.ms is None
