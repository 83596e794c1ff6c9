"""Schedules, sessions, prices, quotes, limits on the grid and people at home: what they ask for, beside each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.core import people
from agent.core import step as step_module
from agent.core.command import Command, CommandKind, RampClass
from agent.core.decision import Mode
from agent.core.durable import from_json, to_json
from agent.core.inputs import ClockTrust, CommandIn, LocalStop, OptsOut, Overrides
from agent.core.strategies import price
from drivers.readings import GridState
from tests.core.home import PARAMS, WALL_MS, Home, arriving, command
from tests.core.test_dispatch import CANCEL, STOP, wall
from tests.core.test_lifecycle import event, ready, reasons

T0 = WALL_MS + 5_000  # the clock of `ready`


def listed(number: int, kind: CommandKind, values: tuple[int | None, ...], in_s: int = 10, **changes: Any) -> Command:
    interval_s = changes.pop("interval_s", 60)
    return command(
        number, kind=kind, power_w=0, values=values, interval_s=interval_s, duration_s=interval_s * len(values),
        start_ms=T0 + in_s * 1000, **changes,
    )  # fmt: skip


def schedule(number: int, *values: int | None, **changes: Any) -> Command:
    return listed(number, CommandKind.SCHEDULE, values, **changes)


def prices(number: int, *values: int, **changes: Any) -> Command:
    """In thousandths of the currency a kWh."""
    return listed(number, CommandKind.PRICE, tuple(1000 * v for v in values), **changes)


# --- schedule ---------------------------------------------------------------------------------------------------------
def test_a_schedule_gives_each_interval_its_power_and_null_is_no_wish() -> None:
    home = ready()
    home.tick(arriving(schedule(1, 600, None, -600)))
    home.run(30)
    assert (home.given(), home.decision.source) == (600, f"schedule:{schedule(1).id}")
    assert home.powers()[0] == 114  # the ramp of what is planned
    home.run(60)
    assert home.given() is None
    home.run(60)
    assert home.given() == -600
    home.run(60)
    assert home.given() is None
    assert home.states() == ["received", "scheduled", "started", "completed"]


def test_a_schedule_goes_on_after_an_opt_out_for_a_while_and_was_asked_for_meanwhile() -> None:
    """Told once when it begins, once when it ends; the event that ran beside it has its end at once."""
    home = ready()
    home.tick(arriving(schedule(1, 600, 600, 600, 600, 600, 600)))
    home.run(70)
    home.tick(arriving(command(2, power_w=900, duration_s=300)))
    home.run(30)
    home.tick(OptsOut("ann", "homeowner", 120))
    assert (home.states(1)[-1], reasons(home)[-1]) == ("limited", "opt_out")
    assert home.states(2)[-1] == "partial_opt_out"
    before = len(home.acks)
    home.run(60)
    home.tick(OptsOut("ann", "homeowner", 60))  # once more, and to the same moment
    home.run(50)
    assert home.acks[before:] == []
    home.run(20)
    assert [a["state"] for a in home.acks[before:]] == ["partial_opt_in"]
    assert home.given() == 600
    home.run(200)
    assert home.states(1)[-1] == "completed"
    found = next(r for r in home.settled if r["record"] == "performance" and r["command_id"] == command(1).id)
    asked_s = 360 - 30  # the other had the power for half a minute
    assert abs(found["lasted_s"] - asked_s) <= 3
    assert abs(found["requested_wh"] - 600 * asked_s / 3600) <= 1
    (limited,) = [x for x in found["limited"] if x["reason"] == "opt_out"]
    assert abs(limited["lasted_s"] - 120) <= 3
    assert found["requested_wh"] - found["delivered_wh"] >= 600 * 120 / 3600 - 1


def test_a_dispatch_comes_before_the_schedule_which_is_told_so() -> None:
    home = ready()
    home.tick(arriving(schedule(1, 600, 600)))
    home.run(30)
    home.tick(arriving(command(2, power_w=-1000, duration_s=30)))
    home.run(15)
    assert home.given() == -1000
    (told,) = [a for a in home.acks if a["state"] == "limited"]
    assert "a dispatch comes first" in told["sentence"]
    home.run(40)
    assert home.given() == 600
    assert "superseded" not in home.states()


def test_a_newer_schedule_of_the_same_issuer_is_in_the_place_of_the_older_from_its_start_on() -> None:
    home = ready()
    home.tick(arriving(schedule(1, 600, 600, primacy=0)), arriving(schedule(2, 900, in_s=50, primacy=7)))
    home.run(48)
    assert home.given() == 600
    home.run(12)
    assert home.given() == 900
    assert home.states(1)[-1] == "superseded"
    home.run(60)
    assert home.given() is None


def test_the_older_one_goes_on_if_the_newer_is_cancelled_before_its_start() -> None:
    home = ready()
    home.tick(arriving(schedule(1, 600, 600)), arriving(schedule(2, 900, in_s=50)))
    home.tick(arriving(command(9, target=schedule(2).id, **CANCEL)))
    home.run(80)
    assert home.given() == 600


def test_of_two_issuers_the_lower_primacy_has_it() -> None:
    home = ready()
    home.tick(arriving(schedule(1, 600, primacy=1)), arriving(schedule(2, 900, primacy=2, issuer="other")))
    home.run(30)
    assert home.given() == 600
    home.tick(arriving(command(9, target=schedule(1).id, **CANCEL)))
    home.run(15)
    assert home.given() == 900


def test_a_schedule_survives_a_reboot_on_trusted_time() -> None:
    home = ready()
    home.tick(arriving(schedule(1, 600, 900, interval_s=600)))
    home.run(60)
    assert home.given() == 600
    later = home.crash(kernel_boot="kernel-2")
    later.trust = ClockTrust.UNTRUSTED
    later.run(30)
    assert later.powers() == []
    later.trust = ClockTrust.SYNCED
    later.run(800)
    assert later.given() == 900
    assert later.states().count("started") == 0


def test_a_schedule_without_a_wish_completes() -> None:
    home = ready()
    home.tick(arriving(schedule(1, None, None)))
    home.run(140)
    assert home.states() == ["received", "scheduled", "completed"]
    assert home.powers() == []


def test_what_is_over_keeps_no_intervals() -> None:
    home = ready()
    home.tick(arriving(schedule(1, 600)))
    home.run(80)
    assert home.disk.commands[0].command.values == ()
    home.tick(arriving(schedule(1, 600)))
    assert home.states()[-2:] == ["completed", "completed"]  # its digest is what is compared


def test_of_each_kind_a_few_wait_at_most() -> None:
    home = ready()
    home.tick(*[arriving(schedule(n, 5)) for n in range(1, 6)])
    assert home.states(4)[-1] == "scheduled"
    assert home.states(5) == ["rejected_not_applicable"]
    assert reasons(home, 5) == ["full"]


# --- session ----------------------------------------------------------------------------------------------------------
def session(number: int = 1, **changes: Any) -> Command:
    fields: dict[str, Any] = {
        "kind": CommandKind.SESSION, "power_w": 0, "start_ms": T0, "duration_s": 600, "lo_w": -3000, "hi_w": 3000,
        "seq_from": 1000, "seq_to": 1999, **changes,
    }  # fmt: skip
    return command(number, **fields)


def setpoint(home: Home, power_w: int | None, seq: int, **changes: Any) -> CommandIn:
    now = wall(home)
    fields: dict[str, Any] = {
        "power_w": power_w, "duration_s": 4, "session": session().id, "seq": seq, "created_ms": now,
        "exp_ms": now + 10_000, **changes,
    }  # fmt: skip
    return CommandIn(command(5000 + seq, **fields), ())


def regulating() -> Home:
    home = ready()
    home.tick(arriving(session()))
    home.run(2)
    return home


def test_a_sessions_setpoints_are_followed_with_the_ramp_of_regulation() -> None:
    home = regulating()
    home.tick(setpoint(home, 2000, 1000))
    home.run(2)
    assert home.given() == 2000
    home.tick(setpoint(home, -1500, 1001))
    home.run(2)
    assert home.given() == -1500
    assert home.states() == ["received", "started"]
    assert home.decision.command_id == session().id


def test_setpoints_are_not_on_the_disk_and_are_summed_up_at_the_end() -> None:
    home = regulating()
    home.tick(setpoint(home, 9000, 1000))
    home.run(3)
    before, acks = home.disk, len(home.acks)
    for n in range(20):
        home.tick(setpoint(home, 100 * n, 1001 + n))
    assert home.disk is before
    assert len(home.acks) == acks
    home.run(600)
    assert home.states()[-1] == "completed"
    assert "21 setpoints came, 1 of them were brought into the band" in home.acks[-1]["sentence"]


def test_a_setpoint_is_brought_into_the_band() -> None:
    home = regulating()
    home.tick(setpoint(home, 9000, 1000, duration_s=10))
    home.run(3)
    assert home.given() == 3000


@pytest.mark.parametrize("duration_s", [2, 4, 9])
def test_when_setpoints_stop_coming_the_session_wants_nothing_within_ten_seconds(duration_s: int) -> None:
    home = regulating()
    home.tick(setpoint(home, 2000, 1000, duration_s=duration_s))
    home.run(duration_s - 1)
    assert (home.given() or 0) > 0
    home.run(1)
    assert home.given() is None
    assert "completed" not in home.states()


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 999},
        {"seq": 2000},
        {"session": "f" * 32},
        {"issuer": "other"},
        {"power_w": None},
        {"exp_ms": WALL_MS},
        {"created_ms": WALL_MS - 1, "seq": 1500},
    ],
)
def test_a_setpoint_that_does_not_belong_moves_nothing(changes: dict[str, Any]) -> None:
    home = regulating()
    home.tick(setpoint(home, 1000, 1000, duration_s=9))
    home.run(2)
    asked = {"seq": 1001, "power_w": 3000, **changes}
    home.tick(setpoint(home, asked.pop("power_w"), asked.pop("seq"), **asked))
    home.run(1)
    assert home.given() == 1000
    assert any("ignored" in notice for notice in home.notices)


def test_no_setpoint_counts_before_the_session_is_on_the_disk_or_has_begun() -> None:
    home = ready()
    home.commits = False
    home.tick(arriving(session()), setpoint(home, 2000, 1000))
    home.run(3)
    assert home.powers() == []
    home = ready()
    home.tick(arriving(session(start_ms=T0 + 60_000)))
    home.run(2)
    home.tick(setpoint(home, 2000, 1000))
    home.run(3)
    assert home.powers() == []


def test_a_restart_ends_a_session_and_whatever_is_replayed_finds_none() -> None:
    home = regulating()
    first = setpoint(home, 2000, 1000, duration_s=10)
    home.tick(first)
    home.run(2)
    later = home.crash().ready()
    later.tick(first)
    later.run(3)
    assert later.states() == ["failed"]
    assert later.acks[-1]["reason"] == "restart"
    assert later.powers() == []


def test_a_session_takes_power_from_a_dispatch_and_a_stop_ends_it() -> None:
    home = ready()
    home.tick(arriving(command(2, created_ms=WALL_MS - 1)))
    home.run(5)
    home.tick(arriving(session()))
    home.run(3)
    assert home.states(2)[-1] == "superseded"
    home.tick(setpoint(home, 1000, 1000))
    home.run(1)
    home.tick(arriving(command(9, **STOP)))
    assert home.states()[-1] == "cancelled"
    home.tick(setpoint(home, 1000, 1001))
    home.run(2)
    assert home.given() is None


# --- price ------------------------------------------------------------------------------------------------------------
DAY = (100, 120, 300, 310, 200, 150, 140, 320)  # lows 100, 120; highs 310, 320


def test_marks_are_quarters_of_the_list() -> None:
    told = price.marks(prices(1, *DAY), None, None, 850, 50_000)
    assert told == price.Marks(120_000, 310_000, True)
    assert price.marks(prices(1, 100, 101), None, None, 850, 50_000).pays is False
    assert price.marks(prices(1, 100), None, None, 850, 0).pays is False
    assert price.marks(prices(1, *DAY), 50_000, 900_000, 850, 50_000) == price.Marks(50_000, 900_000, True)
    assert price.marks(prices(1, -200, -100), None, None, 850, 50_000).pays  # paid for taking


def test_it_charges_when_cheap_gives_when_dear_and_says_why() -> None:
    home = ready()
    home.tick(arriving(prices(1, *DAY, interval_s=600)))
    home.run(200)
    assert home.given() == -6250
    assert home.decision.source.startswith("price:")
    assert home.decision.because == "a kWh costs 0.100, and 0.120 or less is cheap"
    assert home.mode() is Mode.LOCAL
    home.run(1200 + 600)
    assert home.given() == 11_400
    assert "0.310 or more is dear" in home.decision.because
    home.run(600)
    assert home.given() is None
    assert home.states() == ["received", "scheduled", "started"]


def test_a_price_near_the_mark_does_not_flap() -> None:
    chosen = price.Choice(1, 0, prices(1).id)
    record = ready_record(prices(1, 300, 100, 100, 310, interval_s=600))
    after, _ = price.choose(chosen, record, record.start_ns + 400 * 10**9, PARAMS)
    assert after.way == 1  # 0.300 is within 5 % of 0.310... and it was chosen before


def ready_record(c: Command) -> Any:
    home = ready()
    home.tick(arriving(c))
    return home.disk.commands[-1]


def test_each_choice_stands_five_minutes() -> None:
    home = ready()
    home.tick(arriving(prices(1, 100, 400, 100, 400, 100, 400, interval_s=60)))
    ways = set()
    for _ in range(250):
        home.tick()
        if home.given() is not None:
            ways.add((home.given() or 0) > 0)
    assert ways == {False}


def test_what_does_not_pay_for_losses_and_wear_is_left_alone() -> None:
    home = ready()
    home.tick(arriving(prices(1, 100, 140, 100, 140)))
    home.run(250)
    assert home.powers() == []
    assert home.states() == ["received", "scheduled", "completed"]


def test_an_export_that_earns_little_feeds_the_house_only() -> None:
    home = ready()
    home.house_w = 2000
    home.tick(arriving(prices(1, 400, 100, 100, 400, exports=(50_000,) * 4, interval_s=600)))
    home.run(100)
    assert abs((home.given() or 0) - 2000) <= 100
    assert "only the house is fed" in home.decision.because


def test_a_list_that_is_over_asks_for_nothing() -> None:
    home = ready()
    home.tick(arriving(prices(1, 400, 100, interval_s=60)))
    home.run(60)
    assert (home.given() or 0) > 0
    home.run(80)
    assert home.given() is None


def test_prices_are_below_the_schedule() -> None:
    home = ready()
    home.tick(arriving(prices(1, 400, 100, interval_s=600)), arriving(schedule(2, -500, None, interval_s=60)))
    home.run(60)
    assert home.given() == -500
    home.run(60)
    assert (home.given() or 0) > 0


# --- limits on the grid -----------------------------------------------------------------------------------------------
def limited(number: int = 1, **changes: Any) -> Command:
    return command(number, **{"power_w": None, "ramp": RampClass.REGULATION, **changes})


def test_an_import_limit_is_kept_by_the_batterys_own_power() -> None:
    home = ready()
    home.tick(arriving(limited(import_limit_w=3000)))
    home.run(5)
    assert home.powers() == []  # the house alone keeps it
    assert home.states() == ["received", "started"]
    home.house_w = 7000
    home.run(10)
    assert home.given() == 4000
    home.house_w = 5000
    home.run(5)
    assert home.given() == 2000
    home.house_w = 1000
    home.run(5)
    assert home.given() is None
    assert home.states() == ["received", "started"]


def test_an_export_limit_is_kept_by_charging() -> None:
    home = ready()
    home.tick(arriving(limited(export_limit_w=1000)))
    home.house_w = -6000
    home.run(12)
    assert home.given() == -5000
    assert home.decision.command_id == limited().id


def test_a_limit_narrows_a_dispatch_which_hears_of_it() -> None:
    home = ready()
    home.tick(arriving(limited(1, export_limit_w=1000)), arriving(command(2, power_w=8000, ramp=RampClass.REGULATION)))
    home.run(6)
    assert home.given() == 1500
    assert home.decision.asked_w == 8000
    assert home.decision.binding is not None
    assert home.decision.binding.id == "export_limit"
    assert reasons(home, 2)[-1] == "export_limit" or "export_limit" in reasons(home, 2)


def test_a_limit_that_the_battery_cannot_keep_says_so() -> None:
    home = ready()
    home.tick(arriving(limited(import_limit_w=1000)))
    home.battery["dcl_ma"] = 20_000
    home.house_w = 9000
    home.run(20)
    assert home.states()[-1] == "limited"
    assert reasons(home)[-1] == "dcl"
    home.house_w = 500
    home.run(30)
    assert reasons(home)[-1] is None


def test_two_limits_that_cannot_both_be_kept_are_met_in_the_middle() -> None:
    home = ready()
    home.tick(arriving(limited(import_limit_w=0, export_limit_w=0)))
    home.house_w = 4000
    home.run(20)
    assert home.given() is not None
    assert abs((home.given() or 0) - 4000) <= 200


def test_without_a_meter_a_limit_is_not_kept_and_says_so() -> None:
    home = ready()
    home.tick(arriving(limited(import_limit_w=3000)))
    home.run(2)
    home.mute.add("meter")
    home.run(10)
    assert reasons(home)[-1] in ("stale_meter", "state")


def test_a_cure_comes_before_a_limit() -> None:
    home = ready()
    home.tick(arriving(limited(import_limit_w=100)))
    home.battery["force_charge"] = True
    home.run(15)
    assert home.decision.source == "cure:bms_request"
    assert reasons(home)[-1] == "cure:bms_request"


def test_a_limit_and_a_schedule() -> None:
    home = ready()
    home.tick(arriving(limited(1, export_limit_w=200)), arriving(schedule(2, 3000)))
    home.run(60)
    assert 600 <= (home.given() or 0) <= 700


# --- quote ------------------------------------------------------------------------------------------------------------
def quote(number: int = 1, **changes: Any) -> Command:
    return command(number, **{"kind": CommandKind.QUOTE, "power_w": 5000, "duration_s": 3600, **changes})


def test_a_quote_answers_and_moves_nothing() -> None:
    home = ready()
    home.tick(arriving(quote()))
    (ack,) = home.acks
    assert (ack["state"], ack["given_w"], ack["energy_wh"], ack["asked_w"]) == ("completed", 5000, 5000, 5000)
    assert "5000 W of 5000 W for 3600 s" in ack["sentence"]
    assert ack["bounds"] == []
    home.run(5)
    assert home.writes == []
    assert home.disk.commands == ()


def test_a_quote_with_a_start_is_judged_as_that_order_and_answered_for_now() -> None:
    home = Home().ready()
    home.run(2)
    now_ms = home.clock().wall_ms
    told: dict[int, tuple[object, ...]] = {}
    for number, start_ms in enumerate((10, now_ms - 3_600_000, now_ms + 8 * 86_400_000), 1):
        home.tick(arriving(quote(number, start_ms=start_ms)))
        home.tick(arriving(command(100 + number, start_ms=start_ms)))
        answer, order = (
            next(a for a in reversed(home.acks) if a["command_id"] == f"{n:032x}") for n in (number, 100 + number)
        )
        told[number] = (answer["state"], answer["reason"])
        assert told[number] == (order["state"], order["reason"])
    assert list(told.values()) == [("rejected_late", "over")] * 2 + [("rejected_invalid", "start")]
    plain, ahead, begun = (
        quote(11, duration_s=600),
        quote(12, duration_s=600, start_ms=home.clock().wall_ms + 3_600_000),
        quote(13, duration_s=600, start_ms=home.clock().wall_ms - 300_000),
    )
    home.tick(arriving(plain), arriving(ahead), arriving(begun))
    answers = home.acks[-3:]
    assert [a["state"] for a in answers] == ["completed"] * 3
    assert answers[0]["given_w"] == answers[1]["given_w"] == answers[2]["given_w"] == 5000
    assert answers[0]["energy_wh"] == answers[1]["energy_wh"] == 833
    assert abs(answers[2]["energy_wh"] - 833 / 2) < 3, "what is left of it"
    assert "when that begins, in 3599 s" in answers[1]["sentence"]
    assert all("when that begins" not in a["sentence"] for a in (answers[0], answers[2]))


def test_a_quote_beyond_the_home_names_every_limit_tightest_first() -> None:
    home = ready()
    home.battery["dcl_ma"] = 50_000
    home.run(1)
    home.tick(arriving(quote(power_w=20_000)))
    ack = home.acks[-1]
    assert (ack["reason"], ack["given_w"]) == ("dcl", 2640)
    caps = [row["cap_w"] for row in ack["bounds"]]
    assert caps == sorted(caps)
    assert ack["bounds"][0]["limit"] == "dcl"


def test_a_quote_ends_at_the_reserve() -> None:
    home = ready()
    home.tick(arriving(quote(duration_s=86_400)))
    ack = home.acks[-1]
    assert 9_900 <= ack["energy_wh"] <= 10_000  # 60 % to 20 % of 25 kWh, less the BMS' own quantum
    assert ack["reason"] == "reserve"
    home.tick(arriving(quote(2, power_w=-5000, duration_s=86_400)))
    assert -10_000 <= home.acks[-1]["energy_wh"] <= -9_900
    assert home.acks[-1]["reason"] == "soc_ceiling"


def test_a_quote_while_opted_out_or_stopped_says_what_the_order_would_be_told() -> None:
    home = ready()
    home.tick(OptsOut("ann", "homeowner"))
    home.tick(arriving(quote()))
    ack = home.acks[-1]
    assert (ack["state"], ack["given_w"], ack["reason"]) == ("no_participation", 0, "opt_out")
    home.tick(LocalStop("ann"))
    home.tick(arriving(quote(2)))
    ack = home.acks[-1]
    assert (ack["state"], ack["given_w"], ack["reason"]) == ("rejected_not_applicable", 0, "local_stop")
    home = ready()
    home.tick(OptsOut("ann", "homeowner", 300))  # the home takes part again before the order is over
    home.tick(arriving(quote()))
    ack = home.acks[-1]
    assert (ack["state"], ack["given_w"], ack["reason"], ack["energy_wh"]) == ("completed", None, "opt_out", 0)


def test_a_quote_without_a_known_state_of_charge_gives_nothing() -> None:
    home = ready()
    home.battery["soc_permille"] = None
    home.run(3)
    home.tick(arriving(quote()))
    assert home.acks[-1]["energy_wh"] == 0


def test_a_quote_that_is_late_or_makes_no_sense_is_refused() -> None:
    home = ready()
    odd = quote(3, power_w=2_000_000), quote(4, duration_s=2 * 86_400)
    home.tick(arriving(quote(1, exp_ms=WALL_MS)), *[arriving(c) for c in (quote(2, power_w=None), *odd)])
    assert [home.states(n) for n in (1, 2, 3, 4)] == [["rejected_late"], *[["rejected_invalid"]] * 3]
    assert [ack["reason"] for ack in home.acks[-2:]] == ["power", "duration"]


Stir = Callable[[Home], object]


def overridden(home: Home) -> None:
    home.tick(Overrides("ann", -1000, 900))


def export_limited(home: Home) -> None:
    home.house_w = 0
    home.tick(arriving(limited(80, export_limit_w=1000)))


def outranked(home: Home) -> None:
    home.tick(arriving(command(81, power_w=-2000, primacy=0)))


def tight(home: Home) -> None:
    home.battery["dcl_ma"] = 50_000


def low(home: Home) -> None:
    home.battery["soc_permille"] = 150


def asking(home: Home) -> None:
    home.battery["force_charge"] = True


def asking_when_full(home: Home) -> None:
    home.battery |= {"force_charge": True, "soc_permille": 1000}


AS_IT_STANDS: dict[str, tuple[Stir, int]] = {
    "plain": (lambda home: None, 5000),
    "charge": (lambda home: None, -3000),
    "somebody at home holds another power": (overridden, 5000),
    "a limit on the grid is in force": (export_limited, 5000),
    "another holds the power by primacy": (outranked, 5000),
    "the BMS allows less": (tight, 5000),
    "below the reserve": (low, 5000),
    "below the reserve, charge": (low, -3000),
    "the battery asks for a charge": (asking, 5000),
    "the battery asks for a charge and is full": (asking_when_full, 5000),
    "a resolution of the inverter": (lambda home: None, 4999),
}


@pytest.mark.parametrize("name", AS_IT_STANDS)
def test_what_a_quote_says_is_what_is_then_given(name: str) -> None:
    stir, power_w = AS_IT_STANDS[name]
    home = ready()
    stir(home)
    home.run(25)
    home.tick(arriving(quote(1, power_w=power_w, duration_s=600)))
    told = home.acks[-1]
    created_ms = WALL_MS + 60_000
    home.tick(arriving(command(2, power_w=power_w, duration_s=600, created_ms=created_ms, ramp=RampClass.REGULATION)))
    home.run(25)
    assert told["given_w"] == home.given()
    limited = [ack["reason"] for ack in home.acks if ack["command_id"] == command(2).id and ack["state"] == "limited"]
    assert told["reason"] == (limited[-1] if limited else "superseded" if name.startswith("another") else None)


def test_quotes_are_answered_twelve_times_a_minute() -> None:
    home = ready()
    home.tick(*[arriving(quote(n)) for n in range(1, 20)])
    assert len(home.acks) == 12
    home.run(61)
    home.tick(arriving(quote(30)))
    assert len(home.acks) == 13


def test_no_quote_before_a_signed_time() -> None:
    home = Home()
    home.run(5)
    home.tick(arriving(quote()))
    assert home.acks == []


# --- people at home ---------------------------------------------------------------------------------------------------
def test_an_override_comes_before_dispatch_and_ends_by_itself() -> None:
    home = ready()
    home.tick(arriving(command(duration_s=600)))
    home.run(12)
    home.tick(Overrides("ann", -1000, 60))
    home.run(5)
    assert (home.given(), home.decision.source) == (-1000, "override")
    assert home.decision.because.startswith("ann holds -1000 W for 0 min 5")
    assert home.states()[-1] == "limited"
    assert "somebody at home" in home.acks[-1]["sentence"]
    home.run(70)
    assert home.given() == 5000
    assert [e["event"] for e in home.events_seen if "override" in e["event"]] == ["override", "override_over"]


def test_an_override_is_inside_the_permit_and_after_the_cures() -> None:
    home = ready()
    home.tick(Overrides("ann", 50_000, 600))
    home.run(40)
    assert home.given() == 11_400
    home.battery["dcl_ma"] = 10_000
    home.run(1)
    assert home.given() == 528
    home.battery["cell_min_mv"] = 2800
    home.run(3)
    assert home.decision.source == "cure:cell_low"


@pytest.mark.parametrize("ends", ["off", "stop", "crash", "length"])
def test_an_override_ends(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "MAX_OVERRIDE_S", 60)
    home = ready()
    home.tick(Overrides("ann", 2000, 10**9))
    home.run(10)
    assert home.given() == 2000
    if ends == "off":
        home.tick(Overrides("ann", None))
    elif ends == "stop":
        home.tick(LocalStop("ann"))
    elif ends == "crash":
        home = home.crash().ready()
    else:
        home.run(60)
    home.run(3)
    assert home.given() is None


def test_an_override_does_not_reach_into_an_island() -> None:
    home = ready()
    home.tick(Overrides("ann", 2000, 600))
    home.run(10)
    home.inverter["grid_state"] = GridState.ISLANDED
    before = len(home.powers())
    home.run(20)
    assert len(home.powers()) == before


# --- what is on the disk ----------------------------------------------------------------------------------------------
def test_round_trip_of_every_kind() -> None:
    home = ready()
    home.tick(
        arriving(schedule(1, 5, None, -5)),
        arriving(session(2)),
        arriving(prices(3, 100, 200, exports=(1, 2))),
        arriving(limited(4, import_limit_w=5, export_limit_w=6)),
        arriving(event(5, 60, randomize_s=-60, randomize_both=True, draw=2**63)),
        OptsOut("ann", "homeowner", 5),
    )
    assert from_json(to_json(home.disk)) == home.disk
    assert home.disk.opted_out is not None
    assert {r.command.kind for r in home.disk.commands} >= {CommandKind.PRICE, CommandKind.SCHEDULE}


def test_a_spoilt_list_is_refused() -> None:
    home = ready()
    home.tick(arriving(schedule(1, 5, None, -5)))
    with pytest.raises(ValueError, match=r"not readable|invalid"):
        from_json(to_json(home.disk).replace("[5,null,-5]", '["x",null,-5]'))
    with pytest.raises(ValueError, match="not readable"):
        from_json(to_json(replace(home.disk)).replace('"opted_out":null', '"opted_out":{"who":1}'))


# --- corners ----------------------------------------------------------------------------------------------------------
def test_a_newer_list_counts_whichever_came_first() -> None:
    home = ready()
    newer, older = schedule(2, 900), schedule(1, 600, primacy=0)
    home.tick(arriving(newer), arriving(older))
    home.run(30)
    assert home.given() == 900
    assert home.states(1)[-1] == "superseded"


def test_a_wish_inside_the_limit_is_as_it_was() -> None:
    home = ready()
    home.tick(arriving(limited(1, export_limit_w=1000)), arriving(command(2, power_w=300, ramp=RampClass.REGULATION)))
    home.run(5)
    assert (home.given(), home.decision.binding) == (300, None)


def test_limits_of_a_session_are_told_once_a_minute() -> None:
    home = regulating()
    for n in range(60):
        home.battery["dcl_ma"] = 10_000 if n % 2 else 240_000
        home.tick(setpoint(home, 2500, 1000 + n))
    assert home.states().count("limited") <= 2


def test_a_direct_setpoint_with_a_better_right_is_not_cut_short_by_a_drawn_start() -> None:
    home = ready()
    home.tick(arriving(command(1, primacy=0, duration_s=300)))
    home.tick(arriving(event(2, 20, 60, randomize_s=60, draw=30_000, power_w=-2000)))
    home.run(60)
    assert home.given() == 5000
    assert home.states(2) == ["received", "scheduled"]


def test_a_clock_that_jumped_after_the_opt_out_leaves_it_to_the_end() -> None:
    home = ready()
    home.tick(OptsOut("ann", "homeowner", 600))
    home.wall_offset_ms += 3_600_000
    start_ms = wall(home) + 10_000
    home.tick(arriving(command(1, start_ms=start_ms, duration_s=60, exp_ms=start_ms)))
    home.run(80)
    assert home.states() == ["received", "scheduled", "limited", "no_participation"]
    assert reasons(home)[-1] == "opt_out"


def test_an_opt_out_in_a_cycle_that_fails_holds_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    home = ready()
    home.tick(arriving(command()))
    home.run(5)
    with monkeypatch.context() as wrong:
        wrong.setattr(step_module, "_step", lambda *_: 1 // 0)
        home.tick(OptsOut("ann", "homeowner", 60))
    assert home.disk.opted_out is not None
    home.run(2)
    assert home.states()[-1] == "partial_opt_out"
    assert home.disk.opted_out is not None
    assert home.disk.opted_out.until_ns > 0
