"""An exhaustive search of the fail-safe machine: the transition table under every sign, and whole cycles under every
short course of faults, each begun, held, and followed by every other.

The oracle of the table is written from the safety specification, not from the table.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from agent.core.decision import Intent, Mode
from agent.core.fault import Severity
from agent.core.faults import BY_ID
from agent.core.inputs import LocalResume, LocalStop
from agent.core.modes import ACTING, PASSING, ZEROING, Signs, following
from drivers.readings import GridState
from tests.core.home import Home, arriving, command

SIGNS = [Signs(worst, *flags) for worst in (0, *Severity) for flags in product((False, True), repeat=6)]


# --- the table --------------------------------------------------------------------------------------------------------
def specified(mode: Mode, s: Signs) -> Mode:
    """Worst wins; a start reads, then tests, before anything else but a lockout; back to acting only over STANDBY."""
    if s.worst == Severity.LOCKOUT:
        return Mode.LOCKOUT
    if mode is Mode.INIT:
        return Mode.SELF_TEST if s.first_readings or s.grace_over else Mode.INIT
    if s.worst == Severity.FAULT:
        return Mode.FAULT
    if mode in (Mode.LOCKOUT, Mode.FAULT):
        return Mode.SELF_TEST
    if s.worst == Severity.BACKUP:
        return Mode.BACKUP
    if s.worst == Severity.DEGRADED:
        return Mode.DEGRADED
    if mode is Mode.SELF_TEST:
        return Mode.STANDBY if s.tested else Mode.SELF_TEST
    if mode in (Mode.BACKUP, Mode.DEGRADED):
        return Mode.STANDBY
    if s.curing:
        return Mode.LOCAL
    if s.stopped:
        return Mode.STANDBY
    return Mode.DISPATCHED if s.dispatched else Mode.LOCAL


def test_the_table_is_what_is_specified_in_every_mode_under_every_sign() -> None:
    assert len(SIGNS) == 7 * 64
    for mode in Mode:
        for signs in SIGNS:
            assert following(mode, signs) is specified(mode, signs), (mode, signs)


def reached() -> dict[Mode, set[tuple[Signs, Mode]]]:
    """Breadth first from INIT: every mode that can be reached, and every way out of it."""
    edges: dict[Mode, set[tuple[Signs, Mode]]] = {}
    waiting = deque([Mode.INIT])
    while waiting:
        mode = waiting.popleft()
        if mode not in edges:
            edges[mode] = {(signs, following(mode, signs)) for signs in SIGNS}
            waiting.extend(to for _, to in edges[mode])
    return edges


def test_every_mode_is_reached_and_none_is_a_trap() -> None:
    edges = reached()
    assert set(edges) == set(Mode)
    good = Signs(0, True, True, True, False, False, False)
    for mode in edges:
        ways = [mode]
        while ways[-1] is not Mode.LOCAL:
            ways.append(following(ways[-1], good))
            assert len(ways) <= 4, ways


def test_a_fault_leaves_every_mode_but_the_start_in_one_cycle_and_the_start_gives_nothing() -> None:
    for mode, ways in reached().items():
        for signs, to in ways:
            if signs.worst >= Severity.DEGRADED:
                assert to not in ACTING
            if signs.worst >= Severity.FAULT:
                assert to in (Mode.FAULT, Mode.LOCKOUT) or mode is Mode.INIT
            if mode is Mode.LOCKOUT and signs.worst < Severity.LOCKOUT:
                assert to in (Mode.SELF_TEST, Mode.FAULT)


# --- whole cycles -----------------------------------------------------------------------------------------------------
FAULTS: dict[str, Any] = {
    "battery silent": lambda h: h.mute.add("battery"),
    "inverter silent": lambda h: h.mute.add("inverter"),
    "meter silent": lambda h: h.mute.add("meter"),
    "island": lambda h: h.inverter.update(grid_state=GridState.ISLANDED),
    "grid unknown": lambda h: h.inverter.update(grid_state=GridState.UNKNOWN),
    "hot": lambda h: h.battery.update(temp_max_dc=600),
    "over-voltage": lambda h: h.battery.update(cell_max_mv=3650),
    "protection": lambda h: h.battery.update(alarms=("short_circuit_protection",)),
    "inverter fault": lambda h: h.inverter.update(status="fault"),
    "stranger": lambda h: h.presence.update(inverter="mismatch"),
    "two masters": lambda h: setattr(h, "line", "two masters on this line"),
    "SoC unknown": lambda h: h.battery.update(soc_permille=None),
    "writes fail": lambda h: h.__dict__.update(outcome="rejected"),
    "empty": lambda h: h.battery.update(soc_permille=200),
    "disk full": lambda h: h.__dict__.update(disk_ok=False, commits=False),
}
SAFE_AFTER_S = {"battery silent": 7, "inverter silent": 7, "meter silent": 5}  # staleness, a cycle, a write; else 2
GRAVE = (*[name for name in FAULTS if name not in ("writes fail", "empty", "disk full")],)


def begin(name: str, home: Home) -> Home:
    """That home in which this fault, and no other, is there."""
    home = fork(home)
    home.battery, home.inverter, home.presence, home.mute = {}, {}, {}, set()
    home.outcome, home.disk_ok, home.commits, home.line = "confirmed", True, True, ""
    if name != "good":
        FAULTS[name](home)
    return home


def fork(home: Home) -> Home:
    """Another home that goes its own way from here."""
    other = copy.copy(home)
    other.battery, other.inverter, other.meter = dict(home.battery), dict(home.inverter), dict(home.meter)
    other.presence, other.mute, other.frozen = dict(home.presence), set(home.mute), dict(home.frozen)
    other.acks, other.events_seen, other.notices = [], [], []
    other.writes, other.queue = [], list(home.queue)
    return other


def lived(home: Home, seconds: int) -> None:
    """Cycles, each held to the laws that need no history."""
    for _ in range(seconds):
        before = home.mode()
        out = home.tick()
        assert home.state.internal is None
        d = out.decision
        grave = [f.id for f in d.faults if BY_ID[f.id].severity >= Severity.DEGRADED]
        assert d.lo_w <= 0 <= d.hi_w
        if grave or d.mode not in ACTING:
            assert d.given_w in (None, 0), (d.mode, grave)
        if any(BY_ID[i].severity >= Severity.FAULT for i in grave) and d.mode is not Mode.INIT:
            floorless = any(f.id == "soc_doubted" for f in d.faults)  # zero is held where no floor keeps the reserve
            assert d.given_w is None or floorless
        if before is Mode.LOCKOUT:
            assert d.mode is Mode.LOCKOUT  # no technician was here
        for write in out.writes:
            if write.intent in (Intent.POWER, Intent.FLOOR):
                assert d.grid == "connected"
                assert home.inverter.get("grid_state", GridState.CONNECTED) is GridState.CONNECTED
                assert home.presence.get("inverter", "ok") == "ok"
            if d.mode is Mode.LOCKOUT and write.intent is Intent.FLOOR:  # of all settings, and only to raise it
                assert write.value >= d.reserve_permille
                assert home.frozen["inverter"].floor_permille < d.reserve_permille


def settled(home: Home, name: str) -> None:
    """A fault that stays: within its bound nothing flows by our order, and no setpoint of ours outlives its mode."""
    held = fork(home)
    lived(held, SAFE_AFTER_S.get(name, 2))
    if name in GRAVE:
        assert held.given() in (None, 0), name
        assert not [w for _, w in held.writes[-1:] if w.intent is Intent.POWER and w.value], name
    if name == "empty":
        assert (held.given() or 0) <= 0
    lived(held, 6)
    reachable = not held.mute & {"inverter"} and held.presence.get("inverter", "ok") == "ok"
    if name in GRAVE:
        since = [w for at, w in held.writes if at > held.now_ns - 5_000_000_000]
        assert all(w.value == 0 for w in since if w.intent is Intent.POWER), name  # a lease is never renewed
        if reachable:  # released, or at zero on its way there
            assert held.remote_w in (None, 0), (name, held.remote_w)


def running() -> Home:
    """A home that discharges 5 kW by command."""
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    assert home.given() == 5000
    return home


def courses(home: Home, depth: int, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every course of faults of that length, each held for one cycle or for eight."""
    for name in (*FAULTS, "good"):
        for seconds in (1, 8):
            later = begin(name, home)
            try:
                lived(later, seconds)
                settled(later, name)
            except AssertionError as error:
                raise AssertionError((*path, f"{name} for {seconds} s")) from error
            here = (*path, f"{name} {seconds}")
            yield here
            if depth > 1:
                yield from courses(later, depth - 1, here)


def test_every_fault_in_dispatch_is_safe_within_its_bound() -> None:
    assert len(list(courses(running(), 1))) == 2 * (len(FAULTS) + 1)


@pytest.mark.slow
def test_every_fault_after_every_other_is_safe_within_its_bound() -> None:
    one = 2 * (len(FAULTS) + 1)
    assert len(list(courses(running(), 2))) == one + one * one


@pytest.mark.slow
def test_every_fault_at_the_start_is_safe_within_its_bound() -> None:
    home = Home()
    home.remote_w = 5000  # an older life left a setpoint alive
    home.tick()
    one = 2 * (len(FAULTS) + 1)
    assert len(list(courses(home, 2))) == one + one * one


@pytest.mark.parametrize("fault", ["hot", "over-voltage"])
@pytest.mark.parametrize("during", [*FAULTS, "good"])
def test_lockout_ends_by_a_technician_with_devices_answering_and_the_cause_gone(fault: str, during: str) -> None:
    home = begin(fault, running())
    home.run(3)
    assert home.mode() is Mode.LOCKOUT
    home = begin(during, home)
    lived(home, 400)  # longer than every hold
    assert home.mode() is Mode.LOCKOUT
    home = home.crash()  # nor does a restart end it
    home.run(20)
    assert home.mode() is Mode.LOCKOUT
    home.tick(LocalStop("ada"))
    assert home.mode() is Mode.LOCKOUT
    home.tick(LocalResume("ada"))
    answering = not home.mute & {"battery", "inverter"}
    there = during in ("hot", "over-voltage")
    home.run(2)
    assert (home.mode() is Mode.LOCKOUT) is (not answering or there)


def test_which_modes_act_pass_and_zero() -> None:
    assert {Mode.LOCAL, Mode.DISPATCHED} == ACTING
    assert {Mode.INIT, Mode.SELF_TEST, Mode.STANDBY} == PASSING
    assert {Mode.DEGRADED} == ZEROING
