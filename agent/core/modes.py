"""The state machine as one transition table: the first row that fits is taken, once a cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from agent.core.decision import Mode
from agent.core.fault import Severity


class Signs(NamedTuple):
    """All that the machine looks at."""

    worst: int  # severity of the worst active fault, 0 = none
    first_readings: bool  # inverter and battery have been read since this start
    grace_over: bool  # they had their time
    tested: bool  # self-test: the inverter is released, or holds what we are about to resume; its guards are read back
    stopped: bool  # `batteryctl stop`
    dispatched: bool  # a committed command is due
    curing: bool


@dataclass(frozen=True, slots=True)
class Row:
    """`frm` empty = from any mode."""

    frm: tuple[Mode, ...]
    when: Callable[[Signs], bool]
    to: Mode


TABLE: tuple[Row, ...] = (
    Row((), lambda s: s.worst >= Severity.LOCKOUT, Mode.LOCKOUT),
    Row((Mode.INIT,), lambda s: not s.first_readings and not s.grace_over, Mode.INIT),
    Row((Mode.INIT,), lambda s: True, Mode.SELF_TEST),
    Row((), lambda s: s.worst >= Severity.FAULT, Mode.FAULT),
    Row((Mode.LOCKOUT, Mode.FAULT), lambda s: True, Mode.SELF_TEST),
    Row((), lambda s: s.worst >= Severity.BACKUP, Mode.BACKUP),
    Row((), lambda s: s.worst >= Severity.DEGRADED, Mode.DEGRADED),
    Row((Mode.SELF_TEST,), lambda s: not s.tested, Mode.SELF_TEST),
    Row((Mode.SELF_TEST, Mode.BACKUP, Mode.DEGRADED), lambda s: True, Mode.STANDBY),
    Row((), lambda s: s.curing, Mode.LOCAL),
    Row((), lambda s: s.stopped, Mode.STANDBY),
    Row((), lambda s: s.dispatched, Mode.DISPATCHED),
    Row((), lambda s: True, Mode.LOCAL),
)

FROM = {mode: tuple([row for row in TABLE if not row.frm or mode in row.frm]) for mode in Mode}

ACTING = frozenset({Mode.LOCAL, Mode.DISPATCHED})  # a setpoint may be written
PASSING = frozenset({Mode.INIT, Mode.SELF_TEST, Mode.STANDBY})  # on the way to act: no news for who sent a command
ZEROING = frozenset({Mode.DEGRADED})  # a running setpoint becomes zero first, then is released


def following(mode: Mode, signs: Signs) -> Mode:
    """The mode of this cycle. The last row fits always."""
    return next(row.to for row in FROM[mode] if row.when(signs))
