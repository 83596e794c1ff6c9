"""What no table of a scenario file can know alone: names that meet, times that fit, devices that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent.core.faults import FAULTS
from hil.devices.demo import units_of
from hil.duration import duration_text
from hil.expr import Expr
from hil.faults.catalog import VERBS
from hil.strict import FileError, Table

if TYPE_CHECKING:
    from hil.scenario import Assertion, Event, Scenario

BACKENDS = ("virtual", "process", "bench")
LONGEST_NS = 31 * 86_400 * 10**9
FINEST_NS = 1_000_000
SAMPLES = 10  # at least so many in a run: what one of two looks would show is no assertion
MOST_HOMES = 100


def check(scenario: Scenario, head: Table, file: str) -> None:
    """What no table can know alone: names that must meet, times that must fit."""
    _check_head(scenario, head)
    _unique(file, "chapter.id", [c.id for c in scenario.chapters])
    _unique(file, "event.id", [e.id for e in scenario.events])
    for event in scenario.events:
        if event.id == "start" or event.id.endswith(".end") or not event.id.isprintable() or '"' in event.id:
            raise FileError(f"{file}: event.id: {event.id!r} is not a name: `start` and `ID.end` are moments")
    _unique(file, "assert.name", [a.name for a in scenario.assertions] + [s.name for s in scenario.spreads])
    _check_fleet(scenario, head, file)
    _check_able(scenario, file)
    chapters = {c.id for c in scenario.chapters}
    moments = {m for e in scenario.events for m in _moments(e)} | {"start"}
    labels = {e.id for e in scenario.events if e.verb == "aggregator.dispatch"}
    for event in scenario.events:
        if event.chapter not in chapters | ({""} if not chapters else set()):
            raise FileError(f"{file}: event {event.id}.chapter: there is no chapter {event.chapter!r}")
        target = event.args.get("target")
        if target is not None and target not in labels:
            raise FileError(f"{file}: event {event.id}.args.target: no event with id {target!r} sends a command")
    for assertion in scenario.assertions:
        if assertion.chapter and assertion.chapter not in chapters:
            raise FileError(f"{file}: assert {assertion.name}.chapter: there is no chapter {assertion.chapter!r}")
        for key, moment in (("after", assertion.after), ("until", assertion.until)):
            if moment is not None and moment not in moments:
                raise FileError(
                    f"{file}: assert {assertion.name}.{key}: there is no event {moment!r}; known: "
                    + ", ".join(sorted(moments))
                )
    _check_calls(scenario, file)
    _check_times(scenario, file)
    _check_home(scenario, file)


def _moments(event: Event) -> Sequence[str]:
    return (event.id,) if event.for_ns is None else (event.id, f"{event.id}.end")


def _check_able(scenario: Scenario, file: str) -> None:
    for event in scenario.events:
        for backend in scenario.backends:
            reason = VERBS[event.verb].unable.get(backend)
            if reason is not None:
                raise FileError(f"{file}: event {event.id}.do: {backend} cannot {event.verb}: {reason}")


def _check_fleet(scenario: Scenario, head: Table, file: str) -> None:
    if scenario.fleet > 1 and scenario.backends != ("virtual",):
        raise head.fail("fleet", "several homes run on virtual alone")
    for spread in scenario.spreads:
        if scenario.fleet < 2:
            raise head.fail("fleet", f"spread {spread.name!r} needs at least 2 homes")
        if spread.of not in {a.name for a in scenario.assertions if a.kind == "within"}:
            raise FileError(f"{file}: spread {spread.name}.of: there is no `within` assertion {spread.of!r}")


def _unique(file: str, key: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise FileError(f"{file}: {key}: {value!r} is there twice; give each its own name")


def _check_head(scenario: Scenario, head: Table) -> None:
    for backend in scenario.backends:
        if backend not in BACKENDS:
            raise head.fail("backends", f"{backend!r} is not one of {', '.join(BACKENDS)}")
    if not scenario.backends:
        raise head.fail("backends", f"is empty, expected at least one of {', '.join(BACKENDS)}")
    if not 0 < scenario.duration_ns <= LONGEST_NS:
        raise head.fail("duration", f"{duration_text(scenario.duration_ns)} is not more than nothing and at most 31d")
    if not FINEST_NS <= scenario.sample_ns <= scenario.duration_ns // SAMPLES:
        most = duration_text(scenario.duration_ns // SAMPLES)
        raise head.fail(
            "sample", f"{duration_text(scenario.sample_ns)} is not between 1ms and a tenth of it all, {most}"
        )
    if not 0 <= scenario.seed < 1 << 63:
        raise head.fail("seed", f"{scenario.seed} is not between 0 and {(1 << 63) - 1}")
    if not 1 <= scenario.fleet <= MOST_HOMES:
        raise head.fail("fleet", f"{scenario.fleet} is not between 1 and {MOST_HOMES}")


def _limit_ns(scenario: Scenario, chapter: str) -> int:
    """How long what is of that chapter has at most."""
    return next((c.limit_ns for c in scenario.chapters if c.id == chapter), scenario.duration_ns)


def _check_times(scenario: Scenario, file: str) -> None:
    """What can only come behind the end is never tried."""
    known: dict[str, int] = {"start": 0}  # moments that depend on nothing but the clock
    for event in scenario.events:
        limit = _limit_ns(scenario, event.chapter)
        where = f"{file}: event {event.id}"
        if event.at_ns >= limit:
            raise FileError(f"{where}.at: {duration_text(event.at_ns)} is behind the end, {duration_text(limit)}")
        if event.for_ns is not None and event.at_ns + event.for_ns > limit:
            ends = duration_text(event.at_ns + event.for_ns)
            raise FileError(f"{where}.for: it would last to {ends}, behind the end, {duration_text(limit)}")
        if event.when is None and not scenario.chapters:
            known[event.id] = event.at_ns
            known[f"{event.id}.end"] = event.at_ns + (event.for_ns or 0)
    for chapter in scenario.chapters:
        if chapter.limit_ns == 0:
            raise FileError(f"{file}: chapter {chapter.id}.limit: is no time at all, expected more")
    for assertion in scenario.assertions:
        _check_window(assertion, known, _limit_ns(scenario, assertion.chapter), file)


def _check_window(assertion: Assertion, known: dict[str, int], limit: int, file: str) -> None:
    begins = known.get(assertion.after or "start")
    if begins is None:
        return  # it waits for what may come at any time: the judge sees whether its window was there
    opens = begins + assertion.from_ns
    if opens >= limit:
        raise FileError(
            f"{file}: assert {assertion.name}.{'from' if assertion.from_ns else 'after'}: its window opens at "
            f"{duration_text(opens)}, expected before the end, {duration_text(limit)}"
        )
    closes = known.get(assertion.until or "")
    if closes is not None and closes <= opens:
        raise FileError(
            f"{file}: assert {assertion.name}.until: its window closes at {duration_text(closes)}, expected behind "
            f"{duration_text(opens)}, where it opens"
        )
    if assertion.to_ns is not None and opens + assertion.to_ns > limit:
        raise FileError(
            f"{file}: assert {assertion.name}.to: its window lasts to {duration_text(opens + assertion.to_ns)}, "
            f"expected to the end at most, {duration_text(limit)}"
        )


SENDS = ("aggregator.dispatch", "aggregator.cancel", "aggregator.stop")
KNOWN_FAULTS = frozenset(fault.id for fault in FAULTS)
ACKS = ("acks", "ack_state", "ack_reason", "ack_energy")
ROLES = {"bms": "battery", "inverter": "inverter", "meter": "meter"}  # of a verb's device, by its family
ANY_DEVICE = ("bms.zeros",)


def _check_home(scenario: Scenario, file: str) -> None:
    """That home has what its events are about."""
    packs, inverters, legs, leg = (
        int(str(scenario.home.get(key, default)))
        for key, default in (("packs", 1), ("inverters", 1), ("legs", 3), ("inverter_leg", 0))
    )
    if leg > legs:
        raise FileError(f"{file}: home.inverter_leg: {leg} is not one of its {legs} legs")
    if packs < 2 and "soc2_permille" in scenario.home:
        raise FileError(f"{file}: home.soc2_permille: is of a second pack, and this home has {packs}")
    devices = tuple(units_of(packs, inverters))
    for event in scenario.events:
        _check_devices(event, devices, file)
        if event.verb == "bms.asks" and not scenario.home.get("asking"):
            raise FileError(f"{file}: event {event.id}.do: bms.asks does nothing without `asking = 1` in [home]")
        if event.verb == "meter.clamp" and int(str(event.args["leg"])) > legs:
            raise FileError(f"{file}: event {event.id}.args.leg: {event.args['leg']} is not one of its {legs} legs")


def _check_devices(event: Event, devices: Sequence[str], file: str) -> None:
    for key in ("device", "other"):
        if key not in VERBS[event.verb].args:
            continue
        role = "" if event.verb in ANY_DEVICE else ROLES.get(VERBS[event.verb].family, "")
        known = [name for name in devices if name.startswith(role)]
        if event.args[key] not in known:
            raise FileError(
                f"{file}: event {event.id}.args.{key}: this home has no {event.args[key]!r}; it has {', '.join(known)}"
            )
    if event.verb == "bus.swap" and event.args["device"] == event.args["other"]:
        raise FileError(f"{file}: event {event.id}.args.other: {event.args['other']!r} is the device itself")


def _check_calls(scenario: Scenario, file: str) -> None:
    """What is asked of a command that nobody sends, or of a fault that there is not, would never be true."""
    sent = {event.id for event in scenario.events if event.verb in SENDS}
    for where, expr in _expressions(scenario):
        for function, text in sorted(expr.asked):
            if function in ACKS and text not in sent:
                known = ", ".join(sorted(sent)) or "none is sent"
                raise FileError(f"{file}: {where}: {function}: there is no command {text!r}; known: {known}")
            if function == "fault" and text not in KNOWN_FAULTS:
                raise FileError(f"{file}: {where}: fault: there is no fault {text!r}; see `batteryctl faults`")


def _expressions(scenario: Scenario) -> Iterator[tuple[str, Expr]]:
    for event in scenario.events:
        yield from _named(f"event {event.id}", ("when", event.when))
    for chapter in scenario.chapters:
        yield from _named(f"chapter {chapter.id}", ("until", chapter.until))
    for one in scenario.assertions:
        rows = (("that", one.expr), ("while", one.guard), ("within_s", one.bound_expr), ("show", one.show))
        yield from _named(f"assert {one.name}", *rows)


def _named(where: str, *rows: tuple[str, Expr | None]) -> Iterator[tuple[str, Expr]]:
    return ((f"{where}.{key}", expr) for key, expr in rows if expr is not None)
