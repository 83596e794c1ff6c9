"""Every hazard has a scenario with its required bound, the catalogue has every family, and assertions have teeth."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from agent.core.params import Timers
from hil import coverage
from hil.backends.virtual import VirtualBackend
from hil.campaign.menu import dishes
from hil.expr import Value
from hil.faults.catalog import FAMILIES, VERBS
from hil.faults.registers import FIELDS, Spoil
from hil.fits import BACKENDS
from hil.hazards import HAZARDS
from hil.runner import Outcome, Runner
from hil.scenario import DIRECTORY, Assertion, Kind, Scenario, Spread, find, load
from hil.strict import FileError

ROOT = Path(__file__).parents[2]
S = 1_000_000_000
SHIPPED = {scenario.name: scenario for scenario in coverage.shipped()}


def shows(number: int, backend: str | None = None) -> list[str]:
    """Scenarios that show this row with a bound that the table accepts."""
    found = []
    for scenario in SHIPPED.values():
        if backend is not None and backend not in scenario.backends:
            continue
        for each in coverage.shown_by(scenario):
            if each.hazard != number:
                continue
            bound = each.bound_ns if isinstance(each, Assertion) and each.kind is Kind.WITHIN else None
            required = HAZARDS[number].bound(scenario.name)
            if bound is None or required is None or bound <= required * S:
                found.append(scenario.name)
    return found


@pytest.mark.parametrize("number", HAZARDS)
def test_every_hazard_has_a_scenario_with_its_bound(number: int) -> None:
    assert shows(number)
    assert set(HAZARDS[number].variants) < set(shows(number)), "each variant, and the usual one"
    if HAZARDS[number].process:
        assert shows(number, "process"), "only a process can show it"


def test_a_bound_of_seconds_is_shown_in_seconds_somewhere() -> None:
    """A row with a time is not covered by facts alone: it is measured, or nothing comes once the time is over."""

    def timed(each: Assertion | Spread) -> bool:
        if not isinstance(each, Assertion) or each.hazard is None:
            return False
        edge = max(each.from_ns, each.to_ns or 0)
        over = each.kind is Kind.COUNT and 0 < edge <= (HAZARDS[each.hazard].seconds or 0) * S
        return each.kind is Kind.WITHIN or over

    shown = {each.hazard for scenario in SHIPPED.values() for each in coverage.shown_by(scenario) if timed(each)}
    assert [row.number for row in HAZARDS.values() if row.seconds is not None and row.number not in shown] == [27]


RECORDS = {44}  # numbers of records: the aggregator's ledger is the world


def looks_at(assertion: Assertion) -> set[str]:
    """Names of the world in what it asks, and the wire's own records."""
    if assertion.kind is Kind.COUNT:
        acks = {"acks"} if assertion.hazard in RECORDS and assertion.stream == "ack" else set()
        return {"wire"} if assertion.stream == "write" else acks
    worlds = ("truth.", "wire.", "agg.") if assertion.hazard in RECORDS else ("truth.", "wire.")
    return {name for name in (assertion.expr.names if assertion.expr else ()) if name.startswith(worlds)}


def test_no_row_rests_on_the_agent_s_own_word() -> None:
    """What a hazard row asks is seen at the plant or on the wire; what the agent says may stand beside."""
    asked = {(name, a.name): a for name, s in SHIPPED.items() for a in s.assertions if a.hazard is not None}
    for name, scenario in SHIPPED.items():
        for spread in scenario.spreads:
            asked[name, spread.of] = dataclasses.replace(
                next(a for a in scenario.assertions if a.name == spread.of), hazard=spread.hazard
            )
    assert len(asked) > 50
    assert [key for key, assertion in asked.items() if not looks_at(assertion)] == []


def test_the_table_is_that_of_the_page() -> None:
    page = (ROOT / "docs" / "hazards.md").read_text(encoding="utf-8")
    rows = {int(n): name for n, name in re.findall(r"^\| (\d+) \| ([^|]+?) \|", page, re.MULTILINE)}
    assert rows == {row.number: row.name for row in HAZARDS.values()}


def test_every_family_and_every_hazard_has_a_fault() -> None:
    families = {verb.family for verb in VERBS.values()}
    assert [name for name in FAMILIES if name not in families] == []
    caused = {number for verb in VERBS.values() for number in verb.hazards}
    assert [n for n in HAZARDS if n not in caused] == [32, 41], "the reserve, a valid order"


AT_ONCE = {  # over as soon as done: what comes of it is judged by who receives it, not seen as a state of the world
    "mqtt.flood",
    "crypto.forge",
    "proc.start",
}


def test_every_fault_of_a_family_is_observed_and_whatever_lasts_can_be_ended() -> None:
    faults = [verb for verb in VERBS.values() if verb.family in FAMILIES]
    assert {verb.name for verb in faults if not verb.observe} == AT_ONCE
    assert [verb.name for verb in faults if verb.revert is not None and not verb.observe] == []


INCIDENTS = [  # of the field: what happened, the scenario that makes it happen, by which fault
    ("a BMS cache that was byte-identical for an hour", "bms_frozen", "bms.freeze"),
    ("a state of charge that stuck in mid-dispatch", "soc_lies", "bms.stuck"),
    ("a limit of 0 W that had no effect", "inverter_deaf", "inverter.zero_ignored"),
    ("a reversion time of 0 as delivered: never", "no_timer", "inverter.word"),
    ("one sample of zeros after a dropout", "bms_words", "bms.zeros"),
    ("an adapter that came back as another device node", "unplugged", "usb.unplug"),
    ("two masters on one line", "two_masters", "bus.stranger"),
    ("an SD card put back to an older image", "old_image", "disk.restore"),
]


@pytest.mark.parametrize(("what", "name", "verb"), INCIDENTS, ids=[row[1] for row in INCIDENTS])
def test_each_incident_of_the_field_has_its_scenario(what: str, name: str, verb: str) -> None:
    assert verb in {event.verb for event in SHIPPED[name].events}, what
    assert coverage.shown_by(SHIPPED[name]), what


def test_what_a_backend_cannot_do_it_says() -> None:
    for verb in VERBS.values():
        assert verb.unable.keys() <= set(BACKENDS)
        assert all(len(reason) > 10 for reason in verb.unable.values())


def test_a_scenario_is_refused_on_a_backend_that_cannot(tmp_path: Path) -> None:
    text = find("bms_silent").read_text().replace('["virtual", "process"]', '["bench"]')
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(FileError, match=r"bench cannot bms\.mute: real devices"):
        load(path)


def test_what_was_kept_of_process_runs_is_of_these_scenarios() -> None:
    kept = coverage.read(coverage.KEPT / "coverage-process.json")
    assert kept is not None
    shown = {(s.name, each.name, each.hazard) for s in SHIPPED.values() for each in coverage.shown_by(s)}
    assert {(c.scenario, c.assertion, c.hazard) for c in kept.cells} <= shown
    assert [c.assertion for c in kept.cells if not c.holds] == []
    assert [row.number for row in coverage.missing(kept.cells) if row.process] == []


def test_a_cell_wider_than_the_table_does_not_hold() -> None:
    good = coverage.Cell(1, "x", "virtual", "zero", 2.1, "s", "<= 7", True, 1)
    assert good.holds and good.figure().holds
    wide = dataclasses.replace(good, reach="<= 8")
    assert not wide.holds and not wide.figure().holds
    assert [row.number for row in coverage.missing([wide])] == list(HAZARDS)


def test_a_variant_has_a_bound_of_its_own_and_must_be_shown_as_well() -> None:
    silent = coverage.Cell(7, "meter_gone", "virtual", "zero", 4.2, "s", "<= 5", True, 1)
    still, off = (dataclasses.replace(silent, scenario=name, reach="<= 62") for name in ("meter_still", "clamp_off"))
    assert still.holds and still.figure().beside["required"] == "62 s"
    assert not dataclasses.replace(silent, reach="<= 62").holds
    assert not dataclasses.replace(still, reach="<= 63").holds
    assert 7 in [row.number for row in coverage.missing([silent, still])]
    assert 7 in [row.number for row in coverage.missing([still, off])]
    assert 7 not in [row.number for row in coverage.missing([silent, still, off])]


def test_every_fault_is_used_by_a_scenario_or_drawn_by_the_campaign() -> None:
    """A fault of the catalogue that nothing uses shows nothing."""
    used = {event.verb for path in DIRECTORY.glob("*.toml") for event in load(path).events}
    drawn = {dish.verb for dish in dishes()}
    assert sorted(name for name in VERBS if name not in used | drawn) == ["proc.start"], "ends what others began"


def test_registers_say_what_they_are_told_to() -> None:
    spoil = Spoil(FIELDS["battery"])
    reply = bytes((4, 4, 0, 100, 0xFF, 0xFE))  # pack_v 100, current -2
    spoil.say("pack_v", "permille", 10_000)
    spoil.say("current", "negate", 0)
    assert spoil(4, 0x1000, reply) == bytes((4, 4, 3, 232, 0, 2))
    spoil.unsay("pack_v")
    spoil.unsay("current")
    assert spoil(4, 0x1000, reply) == reply
    spoil.say("alarm", "set", 1, 3)
    assert spoil(1, 0x1248, bytes((1, 1, 0))) == bytes((1, 1, 8))
    spoil.zeros = 1
    assert (spoil(4, 0x1000, reply), spoil(4, 0x1000, reply)) == (bytes((4, 4, 0, 0, 0, 0)), reply)
    with pytest.raises(ValueError, match="it has no 'colour'"):
        spoil.say("colour", "set", 1)


# --- teeth ------------------------------------------------------------------------------------------------------------
MINUTES = 8
ORDERS = ("aggregator.dispatch", "aggregator.stop", "aggregator.cancel", "moment")


def without_faults(scenario: Scenario) -> Scenario:
    """The same moments and orders, and nothing happens to the home."""
    events = tuple(
        e if e.verb in ORDERS else dataclasses.replace(e, verb="moment", args={}, observe=None) for e in scenario.events
    )
    return dataclasses.replace(scenario, events=events, fleet=1, spreads=())


SHORT = sorted(
    name
    for name, scenario in SHIPPED.items()
    if "virtual" in scenario.backends and scenario.duration_ns <= MINUTES * 60 * S
)
CALM_ANYWAY: dict[tuple[str, str], str] = {  # holds without its fault as well, because ...
    ("clocks", "and the command ends when it was to end"): "an order's own end, that the jumps must not move",
    ("offline", "and no longer"): "an order's own end, that nobody is there to tell again",
    ("echo", "dispatch is followed"): "what must go on in spite of the adapter",
    ("old_image", "no number stands for two rows"): "a home that was never restored has one row a number",
    ("old_image", "the settlement chain goes on"): "a home that was never restored has one chain",
    ("old_image", "started once"): "without the old image nothing could start twice; the crash bench shows that it can",
    ("rotten", "no number of a record comes with two contents"): "a sound database gives none; powercut shows it can",
}


def held(outcome: Outcome) -> set[str]:
    return {verdict.name for verdict in outcome.verdicts if verdict.ok}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_an_assertion_that_needs_no_fault_shows_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the fault each row must fail, or fail when what must not happen does (`HARM`), or say why not."""
    monkeypatch.setitem(VERBS, "moment", dataclasses.replace(VERBS["moment"], revert=lambda rig, label, args: None))
    scenario = without_faults(SHIPPED[name])
    outcome = Runner(scenario, VirtualBackend(observed=True), scenario.seed).run()
    told = {assertion for scenario, _, _, _, assertion in HARM if scenario == name}
    told |= {assertion for scenario, assertion in CALM_ANYWAY if scenario == name}
    rows = {a.name for a in coverage.shown_by(SHIPPED[name])}
    assert held(outcome) & rows <= told


def instead(scenario: Scenario, label: str, verb: str, **args: Value) -> Scenario:
    """Another event at that moment."""
    events = [
        dataclasses.replace(e, verb=verb, args=args, observe=None, for_ns=None) if e.id == label else e
        for e in scenario.events
    ]
    drop = {f"{label}.end"}
    asserts = [a for a in scenario.assertions if a.after not in drop]
    asserts = [dataclasses.replace(a, until=None) if a.until in drop else a for a in asserts]
    return dataclasses.replace(scenario, events=tuple(events), assertions=tuple(asserts))


DISPATCH: dict[str, Value] = {"power_w": 11_400, "duration": 60, "primacy": 0, "ramp": "urgent"}
JUMP_ROW = "no watt leaves below the reserve because of it"
HARM = [  # what must not happen happens: the assertion that says so must see it
    ("attack", "replayed", "aggregator.dispatch", DISPATCH, "replayed: nothing moves"),
    ("attack", "expired", "aggregator.dispatch", DISPATCH, "expired: nothing moves"),
    ("attack", "just expired", "aggregator.dispatch", DISPATCH, "just expired: nothing moves"),
    ("attack", "key over", "aggregator.dispatch", DISPATCH, "for a group, by a key whose time is over: nothing moves"),
    ("attack", "forged", "aggregator.dispatch", DISPATCH, "forged: nothing moves"),
    ("attack", "oversized", "aggregator.dispatch", DISPATCH, "oversized: nothing moves"),
    ("old_image", "replayed", "aggregator.dispatch", DISPATCH, "nothing moves for a command of before"),
    ("old_image_ended", "replayed", "aggregator.dispatch", DISPATCH, "what was cancelled does not begin again"),
    ("old_image_ended", "older", "aggregator.dispatch", {**DISPATCH, "power_w": 3000}, "and moves no power"),
    ("flood", "flood", "aggregator.stop", {}, "nothing moves"),
    ("clocks", "forward", "aggregator.stop", {}, "a clock that jumps ends nothing and begins nothing"),
    ("misuse", "stranger", "local.reserve", {"permille": 300}, "a stranger changes nothing"),
    ("late_answers", "late", "bms.bias", {"permille": 30}, "nothing of it is taken for a measurement"),
    ("swapped", "swapped", "moment", {}, "nothing is written to anybody"),
    ("other_device", "other", "moment", {}, "nothing is written to it"),
    ("no_timer", "no timer", "moment", {}, "no dispatch flows"),
    (
        "soc_lies",
        "jump",
        "inverter.remote",
        {"w": 3000, "revert_s": 60},
        "no watt leaves below the reserve because of it",
    ),
    ("ceiling", "command", "home.soc", {"permille": 850}, "the ceiling binds"),
    ("harm", "charge", "home.pv", {"w": 40_000}, "the nameplate and the connection bind"),
    ("soc_lies", "stuck", "bms.bias", {"permille": 40}, "a stuck SoC reaches the reserve by our own count"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "label", "verb", "args", "assertion"), HARM, ids=[f"{h[0]}-{h[1]}" for h in HARM])
def test_what_must_not_happen_is_seen_when_it_does(
    name: str, label: str, verb: str, args: dict[str, Value], assertion: str
) -> None:
    scenario = instead(SHIPPED[name], label, verb, **args)
    outcome = Runner(scenario, VirtualBackend(), scenario.seed).run()
    verdict = next(v for v in outcome.verdicts if v.name == assertion)
    assert not verdict.ok, verdict.sentence


@pytest.mark.slow
def test_a_slower_reaction_breaks_the_bound() -> None:
    """A wrong timer: the inverter is told to hold our setpoint for two minutes after we are gone."""
    scenario = SHIPPED["kill"]
    slow = dataclasses.replace(scenario, config={"timers": {"reversion_s": 120}})
    outcome = Runner(slow, VirtualBackend(), slow.seed).run()
    assert "within the timer itself" not in held(outcome)


@pytest.mark.slow
def test_a_fault_that_does_nothing_makes_the_run_fail() -> None:
    scenario = SHIPPED["bms_frozen"]
    idle = dataclasses.replace(
        scenario,
        events=tuple(
            dataclasses.replace(e, verb="moment", args={}, for_ns=None) if e.id == "frozen" else e
            for e in scenario.events
        ),
    )
    outcome = Runner(idle, VirtualBackend(), idle.seed).run()
    verdict = next(v for v in outcome.verdicts if v.name == "frozen took effect")
    assert not verdict.ok and "bms.freeze" not in verdict.sentence
    assert not any(cell.holds for cell in coverage.cells_of(outcome))


def test_without_short_timers_what_is_held_off_lasts_longer_and_what_follows_comes_later() -> None:
    short = next(s for s in coverage.shipped() if s.name == "proc_death")
    long = coverage.unhurried(short)
    assert "timers" in short.config and "timers" not in long.config
    before, after = ({e.id: e for e in s.events} for s in (short, long))
    assert after["killed"].for_ns == (Timers().reversion_s + coverage.AFTER_END_S) * coverage.NS
    grown = (after["killed"].for_ns or 0) - (before["killed"].for_ns or 0)
    assert after["command"].at_ns == before["command"].at_ns
    assert after["second"].at_ns == before["second"].at_ns + grown
    assert long.duration_ns == short.duration_ns + grown + coverage.SETTLE_S * coverage.NS
    assert long.assertions == short.assertions, "the bounds stay"
