"""The campaign: no drawn case breaks a promise; the observer sees each break; a broken case gets shorter."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hil.campaign import cli
from hil.campaign.bounds import BMS, SITE
from hil.campaign.case import REVERSIONS_S, Act, Case, Deck, of_scenario
from hil.campaign.menu import LEFT_OUT, MENU, dishes, takes_of
from hil.campaign.observer import (
    AHEAD,
    BLIND,
    COLD,
    ISLAND,
    LEDGER,
    NS,
    PERMIT,
    PROMISES,
    RESERVE,
    STATED,
    Observer,
)
from hil.campaign.orders import CANCELLED, FORGED, TWICE
from hil.campaign.run import OWN_POLLS, run, shrink
from hil.expr import Value
from hil.faults.catalog import VERBS
from hil.scenario import Event, load, parse
from hil.signals import SIGNALS, Happening
from hil.site import CAPACITY_WH, RATED_W
from hil.stated import stated_end_s

KEPT = sorted(cli.REGRESSIONS.glob("*.toml"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_device_day_of_faults_breaks_no_promise() -> None:
    report = cli.campaign(1.0, 2, jobs=2, shrinks=False)
    assert report.ok, f"{report.table()}\n{report.extra['failures']}"
    assert report.figures[0].value == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_broke_once_holds(path: Path) -> None:
    assert [str(v) for v in run(of_scenario(load(path))).violations] == []


def test_a_house_that_a_crossing_renewal_darkens_is_counted() -> None:
    """Between the last reading of the grid and the write that follows it: some tens of ms before the second."""
    case = of_scenario(load(cli.REGRESSIONS / "crossing.toml"))
    crossed = 0
    for hundredths in range(11):
        acts = [replace(a, at_s=a.at_s - hundredths / 100) if a.do == "grid.outage" else a for a in case.acts]
        result = run(replace(case, acts=acts))
        assert all(v.promise != ISLAND for v in result.violations)
        crossed += result.crossed
    assert 0 < crossed < 11


def test_with_the_polls_of_the_profile_it_crosses_within_one_of_them() -> None:
    """At 4 Hz nothing is written into an outage that is older than a poll, its reading and a cycle."""
    case = of_scenario(load(cli.REGRESSIONS / "crossing.toml"))
    case = replace(case, seed=case.seed - case.seed % OWN_POLLS)
    crossed = []
    for before_s in (0.08, 0.35, 0.7):
        acts = [replace(a, at_s=a.at_s - before_s) if a.do == "grid.outage" else a for a in case.acts]
        result = run(replace(case, acts=acts))
        assert result.violations == []
        crossed.append(result.crossed)
    assert crossed == [1, 0, 0]


# --- drawing ----------------------------------------------------------------------------------------------------------
def test_every_verb_is_drawn_or_left_out_with_a_reason() -> None:
    drawn = {dish.verb for dish in MENU}
    assert set(VERBS) - drawn - set(LEFT_OUT) == {
        verb for verb in VERBS if "virtual" in getattr(VERBS[verb], "unable", {}) and verb not in drawn
    } - set(LEFT_OUT)


def test_cases_are_the_same_each_time_and_are_scenarios() -> None:
    one, two = Deck(5), Deck(5)
    for number in (0, 7, one.covering, one.covering + 3):
        case = one.case(number)
        assert case == two.case(number)
        assert case.scenario().duration_ns == case.length_s * NS
        again = of_scenario(case.scenario())
        assert of_scenario(again.scenario()) == again
        assert [(a.at_s, a.do, a.for_s) for a in again.acts] == sorted(
            ((a.at_s, a.do, a.for_s) for a in case.acts), key=lambda row: row[0]
        )
    assert Deck(6).case(0) != one.case(0)


def test_every_pair_of_faults_comes_before_any_comes_by_chance() -> None:
    deck = Deck(3)
    rows = dishes()
    met = {pair for hand in deck._hands for pair in itertools.combinations(sorted(hand), 2)}
    assert met == set(itertools.combinations(range(len(rows)), 2))
    assert deck.covering < deck.pairs / 2


def test_the_same_case_gives_the_same_trace() -> None:
    case = Deck(5).case(1)
    short = Case(case.name, case.seed, 60, case.home, case.config, [a for a in case.acts if a.at_s < 30])
    one = run(short, traced=True)
    assert one == run(short, traced=True)
    assert one.trace


# --- the observer -----------------------------------------------------------------------------------------------------
GOOD: Mapping[str, Value] = {
    **dict.fromkeys(SIGNALS),
    "truth.soc_permille": 600.0,
    "truth.battery_w": 3000.0,
    "truth.bms_error_permille": 0.0,
    "truth.remote": True,
    "truth.setpoint_w": 3000.0,
    "truth.taken_s": 60.0,
    "truth.grid_on": True,
    "truth.islanded": False,
    "truth.back_s": None,
    "truth.darkened": 0,
    "truth.temp_min_dc": 240.0,
    "truth.cell_max_mv": 3300.0,
    "truth.ccl_a": 250.0,
    "truth.dcl_a": 250.0,
    "truth.grid_w": 0.0,
    "agent.mode": "dispatched",
    "agent.given_w": 3000,
    "agent.lo_w": -5000,
    "agent.hi_w": 5000,
    "agent.link": True,
    "agg.conflicts": 0,
    "agg.bad": 0,
    "agg.expired": 0,
    "proc.alive": True,
}


def watched(change: Callable[[int], Mapping[str, Value]], seconds: int = 200) -> set[str]:
    """The promises that break when each second looks as `change` says."""
    observer = Observer({"reserve_permille": 200})
    for second in range(seconds):
        observer.sample(second * NS, {**GOOD, **change(second)})
    return {v.promise for v in observer.violations}


def test_a_good_run_breaks_nothing() -> None:
    assert watched(lambda second: {}) == set()


def but_for_the_permit(change: Callable[[int], Mapping[str, Value]]) -> set[str]:
    """What is seen beside the permit of all those seconds, which is more than the home has."""
    return watched(change) - {AHEAD}


def test_truth_below_the_reserve_is_seen_unless_an_outage_took_it() -> None:
    sinking = {n: 210.0 - n / 10 for n in range(200)}
    assert but_for_the_permit(lambda n: {"truth.soc_permille": sinking[n]}) == {RESERVE}
    off = {"truth.grid_on": False, "truth.remote": False}
    assert but_for_the_permit(lambda n: {"truth.soc_permille": sinking[n], **off}) == set()
    back = {n: sinking[min(n, 150)] for n in range(200)}
    away = range(10, 150)
    assert but_for_the_permit(lambda n: {"truth.soc_permille": back[n], **(off if n in away else {})}) == set()
    assert but_for_the_permit(lambda n: {"truth.soc_permille": sinking[n], **(off if n in away else {})}) == {RESERVE}


def test_a_home_that_starts_below_may_stay_there_but_not_sink() -> None:
    assert but_for_the_permit(lambda n: {"truth.soc_permille": 150.0}) == set()
    assert but_for_the_permit(lambda n: {"truth.soc_permille": 150.0 - n / 10}) == {RESERVE}


def test_a_setpoint_that_nobody_watches_is_seen() -> None:
    dead = {"proc.alive": False, "agent.given_w": None, "agent.lo_w": None, "agent.hi_w": None}
    assert watched(lambda n: dead if n > 60 else {}, 120) == set()
    assert watched(lambda n: dead if n > 60 else {}) == {STATED}
    assert watched(lambda n: {**dead, "truth.setpoint_w": 0.0} if n > 60 else {}) == set()


def test_a_setpoint_over_a_silent_bms_is_seen() -> None:
    observer = Observer({})
    observer.event(20 * NS, an_event("bms.mute", for_s=500), False)
    for second in range(20, 120):
        observer.sample(second * NS, GOOD)
    assert [v.promise for v in observer.violations] == [STATED]


def test_watts_outside_the_permit_are_seen_after_the_inverters_lag() -> None:
    assert watched(lambda n: {"agent.hi_w": 1000} if n == 100 else {}) == set()
    assert watched(lambda n: {"agent.hi_w": 1000} if n > 100 else {}) == {PERMIT}
    own = {"agent.hi_w": 1000, "truth.remote": False}
    assert watched(lambda n: own if n > 100 else {}) == set()


@pytest.mark.parametrize(("taken_s", "seen"), [(1.0, set()), (1.1, {PERMIT})])
def test_what_flowed_in_its_own_mode_counts_once_the_inverters_lag_is_over(taken_s: float, seen: set[str]) -> None:
    narrow = {"agent.hi_w": 1000, "truth.taken_s": taken_s}
    assert watched(lambda n: narrow if n > 100 else {}) == seen


def test_an_island_is_carried_by_the_inverter_and_not_by_our_permit() -> None:
    off = {"agent.hi_w": 1000, "truth.grid_on": False}
    assert PERMIT not in watched(lambda n: off if n > 100 else {})


def test_charging_in_frost_is_seen() -> None:
    assert watched(lambda n: {"truth.temp_min_dc": -10.0}) == set()
    assert watched(lambda n: {"truth.temp_min_dc": -10.0, "truth.battery_w": -3000.0}) == {COLD}


def test_a_ledger_that_does_not_add_up_is_seen() -> None:
    assert watched(lambda n: {"agg.conflicts": 1}) == {LEDGER}
    assert watched(lambda n: {"agg.bad": 1}) == {LEDGER}


def test_a_clock_that_jumps_for_home_and_aggregator_alike_is_nobodys_fault() -> None:
    observer = Observer({})
    observer.event(10 * NS, an_event("clock.step", s=7200), False)
    for second in range(10, 140):
        late = 1 if second > 10 else 0
        observer.sample(second * NS, {**GOOD, "agg.bad": late, "agg.expired": late})
    assert observer.violations == []
    observer.sample(140 * NS, {**GOOD, "agg.bad": 2, "agg.expired": 2})
    assert [v.promise for v in observer.violations] == [LEDGER]


def test_a_setpoint_on_an_unknown_soc_is_seen() -> None:
    observer = Observer({})
    observer.event(10 * NS, an_event("bms.word", for_s=100, field="soc", value=0xFFFF), False)
    for second in range(10, 40):
        observer.sample(second * NS, GOOD)
    assert [v.promise for v in observer.violations] == [BLIND]


def test_a_permit_that_would_cross_the_reserve_unwatched_is_seen() -> None:
    assert watched(lambda n: {"truth.soc_permille": 200.0, "agent.hi_w": 8000}) == {AHEAD}
    assert watched(lambda n: {"truth.soc_permille": 208.0}) == set()
    to_the_watt_hour = 200.0 + 8000 * stated_end_s({}) / 3.6 / CAPACITY_WH
    assert watched(lambda n: {"truth.soc_permille": to_the_watt_hour - 0.04, "agent.hi_w": 8000}) == {AHEAD}
    assert watched(lambda n: {"truth.soc_permille": to_the_watt_hour + 0.04, "agent.hi_w": 8000}) == set()


def test_short_cases_have_two_stated_times_one_of_which_the_steps_of_the_soc_do_not_hide() -> None:
    cases = [Deck(1).case(number) for number in range(60)]
    short = [case for case in cases if "timers" in case.config]
    assert {case.config["timers"]["reversion_s"] for case in short} == set(REVERSIONS_S)
    sold_wh = RATED_W * stated_end_s({"timers": {"reversion_s": max(REVERSIONS_S)}}) / 3600
    assert sold_wh / 2 > 2 * CAPACITY_WH / 1000, "half a look-ahead is more than two steps of the SoC"


@pytest.mark.parametrize(("hi_w", "seen"), [(3000, []), (500, [PERMIT])])
def test_a_permit_of_less_than_a_sample_counts(hi_w: int, seen: list[str]) -> None:
    observer = Observer({})
    flows = {"agent.lo_w": 0, "agent.hi_w": 0, "truth.battery_w": 2900.0, "truth.taken_s": 100.0}
    for second in range(120):
        observer.sample(
            second * NS, {**GOOD, **(flows if second == 119 else {"truth.battery_w": 0.0, "agent.hi_w": 0})}
        )
        if second == 118:
            observer.happening(Happening("decision", second * NS + 1, {"lo_w": 0, "hi_w": hi_w}))
    assert [v.promise for v in observer.violations] == seen


def an_event(verb: str, for_s: int | None = None, name: str = "it", **args: Any) -> Event:
    return Event(name, verb, args, "", 0, None, None if for_s is None else for_s * NS)


def write(kind: str, at_s: float) -> Happening:
    return Happening("write", round(at_s * NS), {"kind": kind})


@pytest.mark.parametrize(
    ("kind", "at_s", "seen"), [("power", 12, 0), ("power", 14, 1), ("floor", 14, 1), ("clear", 14, 0)]
)
def test_a_write_while_islanded_is_seen(kind: str, at_s: float, seen: int) -> None:
    observer = Observer({})
    for second in range(20):
        if second == at_s + 1:
            observer.happening(write(kind, at_s))
        observer.sample(second * NS, {**GOOD, "truth.grid_on": second < 10})
    assert [v.promise for v in observer.violations] == [ISLAND] * seen


@pytest.mark.parametrize(("wrote_s", "seen"), [(19.3, [ISLAND]), (19.5, [])])
def test_a_write_between_two_samples_is_judged_by_when_the_outage_was_over(wrote_s: float, seen: list[str]) -> None:
    observer = Observer({})
    for second in range(40):
        if second == 20:
            observer.happening(write("floor", wrote_s))
        back = {"truth.back_s": second - 19.4} if second > 19 else {}
        observer.sample(second * NS, {**GOOD, "truth.grid_on": not 10 <= second < 20, **back})
    assert [v.promise for v in observer.violations] == seen


def test_an_earlier_outage_that_is_over_excuses_no_write_into_the_next() -> None:
    observer = Observer({})
    for second in range(40):
        if second == 35:
            observer.happening(write("floor", 34.5))
        back = {"truth.back_s": second - 19.4} if second > 19 else {}
        observer.sample(second * NS, {**GOOD, "truth.grid_on": not (10 <= second < 20 or second >= 30), **back})
    assert [v.promise for v in observer.violations] == [ISLAND]


@pytest.mark.parametrize(("ours_s", "another_s", "seen"), [(5, None, 1), (5, 7, 0), (7, 5, 1), (None, 5, 0)])
def test_a_house_that_our_setpoint_darkens_is_seen_and_another_hand_is_not_ours(
    ours_s: int | None, another_s: int | None, seen: int
) -> None:
    observer = Observer({})
    for second in range(20):
        if second == another_s:
            observer.event(second * NS, an_event("inverter.remote", w=0, revert_s=60), False)
        if second == ours_s:
            observer.happening(write("power", second))
        dark = {"truth.grid_on": False, "truth.darkened": 1}
        observer.sample(second * NS, {**GOOD, **(dark if second > 10 else {})})
    assert [v.promise for v in observer.violations] == [ISLAND] * seen


def test_a_house_that_goes_dark_without_our_doing_is_no_broken_promise() -> None:
    assert watched(lambda n: {"truth.grid_on": False, "truth.blackouts": 1} if n > 10 else {}) == set()


def ack(command: str, state: str, repeated: bool = False, made_s: float = 1.0) -> Happening:
    fields: dict[str, Value] = {"command": command, "state": state, "repeated": repeated, "made_s": made_s}
    return Happening("ack", round(made_s * NS), fields)


def test_a_command_that_nobody_sent_and_one_that_starts_twice_are_seen() -> None:
    observer = Observer({})
    observer.event(0, an_event("aggregator.dispatch", name="mine"), False)
    for state in ("received", "started"):
        observer.happening(ack("mine", state))
    assert observer.violations == []
    observer.happening(ack("mine", "started"))
    observer.happening(ack("f" * 32, "received"))
    assert [v.promise for v in observer.violations] == [TWICE, FORGED]
    assert {TWICE, FORGED} <= set(PROMISES)


@pytest.mark.parametrize(
    ("verb", "state", "made_s", "link_until_s", "seen"),
    [
        ("aggregator.cancel", "completed", 40.0, 99, [CANCELLED]),
        ("aggregator.stop", "started", 40.0, 99, [CANCELLED]),
        ("aggregator.cancel", "completed", 12.0, 99, []),  # it was on its way
        ("aggregator.cancel", "cancelled", 40.0, 99, []),
        ("aggregator.cancel", "completed", 40.0, 11, []),  # the cancel may not have come
        ("aggregator.cancel", "completed", 40.0, 30, [CANCELLED]),
    ],
)
def test_a_command_that_runs_on_after_it_was_called_off_is_seen(
    verb: str, state: str, made_s: float, link_until_s: int, seen: list[str]
) -> None:
    observer = Observer({})
    observer.event(0, an_event("aggregator.dispatch", name="mine"), False)
    off: dict[str, Any] = {"target": "mine"} if "cancel" in verb else {}
    for second in range(50):
        observer.sample(second * NS, {**GOOD, "agent.link": second < link_until_s})
        if second == 10:
            observer.event(second * NS, an_event(verb, name="off", **off), False)
    observer.happening(ack("mine", state, made_s=made_s))
    assert [v.promise for v in observer.violations] == seen


@pytest.mark.parametrize(("step_s", "seen"), [(-60, []), (-2, [CANCELLED]), (60, [CANCELLED])])
def test_of_stops_the_latest_by_its_own_date_counts(step_s: int, seen: list[str]) -> None:
    observer = Observer({})
    events = {
        10: an_event("aggregator.stop", name="first"),
        15: an_event("aggregator.dispatch", name="mine"),
        20: an_event("clock.step", s=step_s),
        30: an_event("aggregator.stop", name="second"),
    }
    for second in range(50):
        observer.sample(second * NS, {**GOOD, "agent.link": True})
        if second in events:
            observer.event(second * NS, events[second], False)
    observer.happening(ack("mine", "completed", made_s=45.0))
    assert [v.promise for v in observer.violations] == seen


def test_an_ack_that_says_that_it_repeats_is_no_second_start() -> None:
    observer = Observer({})
    observer.event(0, an_event("aggregator.dispatch", name="mine"), False)
    observer.event(0, an_event("aggregator.attack", way="replayed"), False)
    observer.happening(ack("mine", "started"))
    observer.happening(ack("mine", "started", repeated=True))
    assert observer.violations == []
    observer.happening(ack("mine", "started"))
    assert [v.promise for v in observer.violations] == [TWICE]


# --- what a fault excuses, and no longer -----------------------------------------------------------------------------
def lived(events: Mapping[int, Event], change: Callable[[int], Mapping[str, Value]], seconds: int) -> list[str]:
    observer = Observer({"reserve_permille": 200})
    for second in range(seconds):
        observer.sample(second * NS, {**GOOD, **change(second)})
        if second in events:
            observer.event(second * NS, events[second], False)
    return [v.promise for v in observer.violations]


def test_the_last_fault_on_a_register_is_the_one_that_counts() -> None:
    none = an_event("bms.word", for_s=100, field="soc", value=0xFFFF)
    number = an_event("bms.add", for_s=50, name="other", field="soc", value=300)
    assert lived({10: none, 14: number}, lambda n: {}, 60) == []
    assert lived({10: none}, lambda n: {}, 60) == [BLIND]


def test_a_clock_that_jumps_excuses_only_messages_whose_time_is_over() -> None:
    ahead, back = (an_event("clock.step", s=s) for s in (60, -60))
    assert lived({10: ahead}, lambda n: {"agg.bad": int(n > 20)}, 40) == [LEDGER]
    late = {"agg.bad": 1, "agg.expired": 1}
    assert lived({10: back}, lambda n: late if n > 20 else {}, 40) == [LEDGER]
    assert lived({10: ahead}, lambda n: late if n > 20 else {}, 40) == []


def test_another_hand_counts_until_ours_is_back() -> None:
    observer = Observer({})
    observer.event(10 * NS, an_event("inverter.remote", w=6_000, revert_s=60), False)
    outside = {"agent.hi_w": 1000, "agent.lo_w": -1000}
    for second in range(10, 25):
        observer.sample(second * NS, {**GOOD, **outside})
    assert observer.violations == []
    observer.happening(write("power", 25))
    for second in range(25, 40):
        observer.sample(second * NS, {**GOOD, **outside})
    assert [v.promise for v in observer.violations] == [PERMIT]


def test_without_a_timer_a_setpoint_that_can_be_ended_must_be() -> None:
    timer, blind = an_event("inverter.no_reversion", for_s=900), an_event("bms.mute", for_s=900, name="blind")
    deaf = an_event("inverter.deaf", for_s=900, name="deaf")
    assert lived({10: timer, 20: blind}, lambda n: {}, 200) == [STATED]
    assert lived({10: timer, 20: blind, 21: deaf}, lambda n: {}, 200) == []


def test_an_inverter_that_is_not_itself_is_left_to_its_own_timer() -> None:
    narrow = {"agent.hi_w": 0, "agent.lo_w": 0}
    zeros = an_event("bms.zeros", device="inverter", count=5)
    assert lived({20: zeros}, lambda n: narrow if n > 20 else {}, 80) == []
    assert lived({20: zeros}, lambda n: narrow if n > 20 else {}, 160) == [PERMIT]
    meter = an_event("bms.zeros", device="meter", count=5)
    assert lived({20: meter}, lambda n: narrow if n > 20 else {}, 80) == [PERMIT]


def test_a_house_darkened_by_a_write_that_crossed_is_counted_and_by_a_later_one_is_broken() -> None:
    for at_s, promises, crossed in ((11.2, [], 1), (11.7, [ISLAND], 0)):
        observer = Observer({})
        for second in range(12):
            observer.sample(second * NS, {**GOOD, "truth.grid_on": second < 11})
            if second == 10:
                observer.event(10 * NS, an_event("grid.outage", for_s=60), False)
        observer.happening(write("power", at_s))
        observer.sample(12 * NS, {**GOOD, "truth.grid_on": False, "truth.darkened": 1})
        assert ([v.promise for v in observer.violations], observer.crossed) == (promises, crossed)


@pytest.mark.parametrize(
    ("verb", "args", "takes"),
    [
        ("bus.cut", {"device": "meter"}, ""),
        ("bus.cut", {"device": "battery"}, "unread"),
        ("bus.cut", {"device": "inverter"}, "unread untold"),
        ("bus.noise", {"permille": 10}, ""),
        ("bus.noise", {"permille": 50}, "untold"),
        ("bus.noise", {"permille": 300}, "unread untold"),
        ("bus.late", {"device": "inverter", "ms": 150}, ""),
        ("bus.late", {"device": "battery", "ms": 400}, "untold"),
        ("bms.word", {"field": "current", "value": 0}, ""),
        ("bms.word", {"field": "soc", "value": 0}, "soc"),
    ],
)
def test_a_fault_takes_only_what_its_degree_makes_impossible(verb: str, args: dict[str, Value], takes: str) -> None:
    assert takes_of(verb, args) == set(takes.split())


# --- shrinking --------------------------------------------------------------------------------------------------------
def test_a_broken_case_becomes_the_shortest_that_is_still_broken() -> None:
    acts = [Act(20 + n, "home.load", {"w": n}, id=f"a{n}") for n in range(20)]
    case = Case("case", 1, 600, {"load_w": 1, "pv_w": 2}, {"site": {"import_limit_w": 9_000}}, acts)
    runs = 0

    def broken(smaller: Case) -> bool:
        nonlocal runs
        runs += 1
        parse(smaller.toml(), "it stays a scenario")
        return {"a3", "a11"} <= {act.id for act in smaller.acts}

    small = shrink(case, 40.0, broken)
    assert [act.id for act in small.acts] == ["a3", "a11"]
    assert (small.home, small.config, small.length_s) == ({}, {}, 60)
    assert runs < 60


def test_a_cancel_goes_with_its_command() -> None:
    acts = [
        Act(20, "aggregator.dispatch", {"power_w": 1, "duration": "20s"}, id="a"),
        Act(22, "aggregator.cancel", {"target": "a"}, id="b"),
        Act(24, "home.load", {"w": 1}, id="c"),
    ]
    small = shrink(Case("case", 1, 30, {}, {}, acts), 25.0, lambda case: any(act.id == "c" for act in case.acts))
    assert [act.id for act in small.acts] == ["c"]


def test_the_command_runs_one_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "case.toml"
    path.write_text(
        Case("mine", 3, 30, {"soc_permille": 500}, {}, [Act(20, "home.load", {"w": 10}, id="l")]).toml(["x"])
    )
    assert cli.main(["--case", str(path)]) == 0
    assert "ok every reach holds" in capsys.readouterr().out
    assert cli.main(["--case", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def bounded(
    change: Callable[[int], Mapping[str, Value]], *faults: Event, packs: int = 1, seconds: int = 200
) -> set[str]:
    """The promises that break, of a home with limits at its connection."""
    observer = Observer({"packs": packs}, {"site": {"import_limit_w": 6_000, "export_limit_w": 0}})
    for fault in faults:
        observer.event(0, fault, False)
    for second in range(seconds):
        observer.sample(second * NS, {**GOOD, **change(second)})
    return {v.promise for v in observer.violations}


def test_a_setpoint_beyond_what_the_bms_allows_is_seen_though_the_inverter_does_not_follow_it() -> None:
    less = {"truth.dcl_a": 5.0, "truth.battery_w": 250.0}
    assert bounded(lambda n: less if n > 190 else {}) == {BMS}
    assert bounded(lambda n: less if n > 196 else {}) == set()
    assert bounded(lambda n: less if n > 190 else {}, packs=2) == set()
    assert bounded(lambda n: {**less, "truth.setpoint_w": 250.0} if n > 190 else {}) == set()
    assert bounded(lambda n: {"truth.ccl_a": 0.0, "truth.setpoint_w": -3000.0}) == {BMS}
    assert bounded(lambda n: less, an_event("bms.freeze", for_s=900)) == set()
    assert bounded(lambda n: less, an_event("bms.scale", field="pack_v", permille=100, for_s=900)) == set()


def test_a_connection_that_carries_too_much_is_seen_where_we_add_to_it() -> None:
    out = {"truth.grid_w": -1_000.0}
    assert bounded(lambda n: out) == {SITE}
    assert bounded(lambda n: out if n > 190 else {}) == set()
    assert bounded(lambda n: out, an_event("meter.mute", for_s=900)) == set()
    assert bounded(lambda n: {**out, "truth.setpoint_w": 0.0}) == set()
    charging = {"truth.setpoint_w": -3_000.0, "truth.battery_w": -3_000.0, "truth.grid_w": 6_500.0}
    assert bounded(lambda n: charging) == {SITE}
    assert bounded(lambda n: {**charging, "truth.grid_w": 6_200.0}) == set()


def test_a_leg_that_carries_more_than_its_fuse_is_seen_where_we_add_to_it() -> None:
    def fused(leg_w: float, battery_w: float) -> set[str]:
        observer = Observer({}, {"site": {"fuse_a": 25, "phases": "three"}})
        legs = {"truth.grid_l1_w": leg_w, "truth.grid_l2_w": 0.0, "truth.grid_l3_w": 0.0}
        ours = {"truth.setpoint_w": battery_w, "truth.battery_w": battery_w}
        for second in range(200):
            observer.sample(second * NS, {**GOOD, **legs, **ours})
        return {v.promise for v in observer.violations}

    assert fused(6_500.0, -3_000.0) == {SITE}
    assert fused(6_200.0, -3_000.0) == set()
    assert fused(6_500.0, 3_000.0) == set()


def test_a_fault_that_does_nothing_is_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    acts = [Act(30, "bus.cut", {"device": "meter"}, 20, "fault1"), Act(31, "meter.mute", {}, 20, "fault2")]
    case = Case("idle", 1, 60, {"soc_permille": 600}, {}, acts)
    result = run(case)
    assert result.tried == {"bus.cut": 1, "meter.mute": 1}
    assert result.shown == {"bus.cut": 1}, "whom nobody reaches is not seen to be mute"
    monkeypatch.setattr("hil.wire.virtual.VirtualWire.set_cut", lambda *_: None)
    assert run(case).shown == {"meter.mute": 1}


def test_a_kind_of_fault_that_never_takes_effect_fails_the_campaign() -> None:
    tally = cli.Tally()
    tally.tried.update({"bms.mute": cli.TRIED, "bus.cut": cli.TRIED, "bus.echo": cli.TRIED - 1})
    tally.tried.update(dict.fromkeys(cli.SELDOM, cli.TRIED))
    tally.shown.update({"bms.mute": 1})
    idle = cli._shown(tally)[0]
    assert (idle.value, idle.note, idle.holds) == (1, "bus.cut", False)
    tally.shown.update({"bus.cut": 1})
    assert cli._shown(tally)[0].holds
