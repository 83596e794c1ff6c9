"""Which faults stand: a check that fails is its own fault, and what comes and goes does not keep the agent acting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.core import standing
from agent.core.checks import World
from agent.core.decision import Intent, Mode
from agent.core.fault import Clear, Fault, Severity
from agent.core.faults import BY_ID, FAULTS
from agent.core.inputs import LocalResume
from agent.core.modes import ACTING
from agent.core.params import S
from agent.core.standing import FORGIVEN, KEPT, Memory, hold_of, severity
from drivers.readings import GridState
from tests.core.home import PARAMS, Home, arriving, command

HOUR = 3600
SETTLE_S = PARAMS.timers.fault_clear_ns // S
SPREAD_S = PARAMS.timers.spread_hold_ns // S
LONG_S = {"grid_lost": PARAMS.timers.grid_dwell_ns // S, "imbalance": SPREAD_S, "cells_apart": SPREAD_S}


def broken(world: World) -> str | None:
    raise TypeError("'>=' not supported between instances of 'NoneType' and 'int'")


def plant(monkeypatch: pytest.MonkeyPatch, fault: str, check: Callable[[World], str | None]) -> None:
    rows: tuple[Fault, ...] = tuple(replace(row, check=check) if row.id == fault else row for row in FAULTS)
    monkeypatch.setattr(standing, "FAULTS", rows)


@pytest.mark.parametrize("fault", BY_ID)
def test_a_check_that_fails_is_a_grave_fault_of_that_check_alone(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    assert home.given() == 5000
    plant(monkeypatch, fault, broken)
    home.run(2)
    shown = [(f.id, f.severity) for f in home.decision.faults]
    assert shown == [(fault, "fault")]  # not a lockout either: no cell was seen to be hot
    assert f"nobody knows {BY_ID[fault].what} (TypeError" in home.decision.faults[0].sentence
    assert home.decision.faults[0].remedy == BY_ID["internal_error"].remedy
    assert (home.mode(), home.given(), home.remote_w) == (Mode.FAULT, None, None)
    assert Intent.STOP.value not in home.intents()
    assert (home.disk.latches, home.disk.lockout) == ((), None)

    home.battery["alarms"] = ("cell_high_voltage_alarm",)  # another check still does its work
    home.run(1)
    assert set(home.faults()) == {fault, "bms_alarm"}
    home.battery.clear()

    plant(monkeypatch, fault, BY_ID[fault].check)
    home.run(LONG_S.get(fault, SETTLE_S))
    assert home.decision.faults[0].held
    assert home.mode() is Mode.FAULT
    home.run(5)
    assert home.faults() == []
    assert home.mode() in ACTING


def test_a_check_that_fails_and_then_finds_its_cause_says_both_and_latches(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    plant(monkeypatch, "over_temperature", broken)
    home.run(2)
    assert home.mode() is Mode.FAULT
    plant(monkeypatch, "over_temperature", lambda w: "a cell burns")
    home.run(2)
    assert home.mode() is Mode.LOCKOUT
    assert (home.disk.latches, home.disk.lockout) == (("over_temperature",), "a cell burns")
    raised = [e["severity"] for e in home.events_seen if e["event"] == "fault_raised" and e["fault"] != "lockout"]
    assert raised == ["fault", "lockout"]
    plant(monkeypatch, "over_temperature", broken)  # what is latched stays what it was
    home.run(2)
    assert home.mode() is Mode.LOCKOUT


def test_a_failing_check_does_not_end_the_lockout_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    home.battery["temp_max_dc"] = 600
    home.run(3)
    plant(monkeypatch, "lockout", broken)
    home.run(3)
    assert home.mode() is Mode.LOCKOUT  # by its latch
    plant(monkeypatch, "lockout", BY_ID["lockout"].check)
    home.run(2)
    assert home.disk.lockout is not None


TOGGLES: dict[str, Callable[[Home, bool], None]] = {
    "inverter_stale": lambda h, on: (h.mute.add if on else h.mute.discard)("inverter"),
    "battery_stale": lambda h, on: (h.mute.add if on else h.mute.discard)("battery"),
    "bus_contention": lambda h, on: setattr(h, "line", "two masters" if on else ""),
    "identity_mismatch": lambda h, on: h.presence.update(meter="mismatch" if on else "ok"),
    "grid_unknown": lambda h, on: h.inverter.update(
        grid_state=GridState.UNKNOWN if on else GridState.CONNECTED,
    ),
    "bms_protection": lambda h, on: h.battery.update(alarms=("short_circuit_protection",) if on else ()),
}


@pytest.mark.parametrize("fault", TOGGLES)
def test_a_fault_that_comes_and_goes_does_not_keep_the_agent_acting(fault: str) -> None:
    """It comes as soon as the agent acts, and goes as soon as it was noticed: the worst that it can do."""
    home = Home().ready()
    acted = 0
    for _ in range(HOUR):
        home.tick()
        noticed = any(f.id == fault and not f.held for f in home.decision.faults)
        acting = home.mode() in ACTING
        acted += acting
        if acting or noticed:
            TOGGLES[fault](home, acting)
    memory = next(m for m in home.state.faults if m.id == fault)
    assert FORGIVEN < len(memory.entries) <= KEPT  # it did come back
    longest = 7 if fault.endswith("_stale") else 2
    assert acted <= longest * (KEPT + FORGIVEN), acted


@pytest.mark.parametrize(
    ("fault", "entries", "hold_s"),
    [
        ("inverter_stale", 3, 60),
        ("inverter_stale", 4, 120),
        ("inverter_stale", 7, 900),
        ("grid_unknown", 3, 0),
        ("grid_unknown", 4, 60),
        ("grid_unknown", 8, 900),
        ("grid_lost", 4, 600),
        ("grid_lost", 8, 900),
        ("battery_stale", 2, 60),
        ("battery_stale", 8, 900),
        ("bms_alarm", 8, 60),  # it stops nothing: a limit of its own does
        ("disk", 8, 0),
        ("lockout", 8, 0),  # a technician ended it
    ],
)
def test_holds_of_what_comes_back(fault: str, entries: int, hold_s: int) -> None:
    memory = Memory(fault, True, 0, 0, 0, tuple(range(entries)), "")
    assert hold_of(BY_ID[fault], memory, PARAMS) == hold_s * S


def test_a_broken_check_is_held_like_a_fault_at_least() -> None:
    memory = Memory("disk", True, 0, 0, 0, (0,), "", broken=True)
    assert severity(memory) is Severity.FAULT
    assert hold_of(BY_ID["disk"], memory, PARAMS) == PARAMS.timers.fault_clear_ns
    assert hold_of(BY_ID["grid_lost"], replace(memory, id="grid_lost"), PARAMS) == PARAMS.timers.grid_dwell_ns


def test_every_row_says_what_it_watches() -> None:
    for row in FAULTS:
        assert row.what, row.id
        assert row.what[-1] not in ".;,", row.id


def test_a_technician_without_devices_ends_no_latch() -> None:
    home = Home().ready()
    home.battery["temp_max_dc"] = 600
    home.run(3)
    home.battery.clear()
    home.mute.update({"inverter", "battery"})
    home.run(10)
    home.tick(LocalResume("technician ada"))
    home.run(3)
    assert home.mode() is Mode.LOCKOUT
    assert BY_ID["over_temperature"].clear is Clear.TECHNICIAN


def test_a_cause_that_returns_in_the_cycle_of_the_resume_is_latched_again() -> None:
    home = Home().ready()
    for hot in (601, 599):
        home.battery["temp_max_dc"] = hot
        home.run(3)
    home.battery["temp_max_dc"] = 605
    home.tick(LocalResume("ada"))
    assert home.mode() is Mode.LOCKOUT
    assert home.state.book.durable.lockout is not None
    assert home.state.book.durable.latches == ("over_temperature",)
    home.battery["temp_max_dc"] = 300
    home.run(100)
    assert home.mode() is Mode.LOCKOUT
