"""The beat that an inverter listens for: while a setpoint of ours rules and was read back, and never on a dead grid."""

from __future__ import annotations

from agent.core.decision import Intent, Mode
from agent.core.inputs import WriteDone
from drivers.readings import GridState
from tests.core.home import Home, arriving, command


def beats(home: Home, since: int = 0) -> list[int]:
    return [w.value for _, w in home.writes[since:] if w.intent is Intent.HEARTBEAT]


def running() -> Home:
    home = Home()
    home.told = {"heartbeat_s": 1}
    home.ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(30)
    assert home.mode() is Mode.DISPATCHED
    return home


def test_it_beats_every_second_while_our_setpoint_rules_the_ramp_included() -> None:
    home = running()
    seen = beats(home)
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= 28
    before = len(home.writes)
    home.run(10)
    assert len(beats(home, before)) == 10


def test_it_is_silent_without_a_setpoint_and_without_a_register() -> None:
    home = Home()
    home.told = {"heartbeat_s": 1}
    home.ready()
    home.run(60)
    assert beats(home) == []
    plain = Home().ready()
    plain.tick(arriving(command(duration_s=900)))
    plain.run(30)
    assert beats(plain) == []


def test_it_stops_when_the_last_write_was_not_confirmed() -> None:
    home = running()
    home.outcome = "mismatch"
    home.tick(WriteDone("inverter", "power", home.given() or 0, "mismatch", 0))
    before = len(home.writes)
    home.run(4)
    assert beats(home, before) == []


def test_it_stops_with_the_evidence_of_the_grid() -> None:
    home = running()
    home.inverter["grid_state"] = GridState.UNKNOWN
    before = len(home.writes)
    home.run(20)
    assert beats(home, before) == []
