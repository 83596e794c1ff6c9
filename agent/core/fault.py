"""One row of the fault table: its words, how bad it is, and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum

from agent.core.checks import World
from agent.core.params import Params


class Severity(IntEnum):
    """Worst wins."""

    WARN = 1
    DERATE = 2
    DEGRADED = 3
    BACKUP = 4
    FAULT = 5
    LOCKOUT = 6


class Clear(Enum):
    """What ends a fault."""

    AUTO = "auto"  # the condition is gone
    HOLD = "hold"  # it has been gone for the row's hold
    TECHNICIAN = "technician"  # a technician resumes, with BMS and inverter answering; survives reboot


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. `check` gives the sentence while the condition is there, else None."""

    id: str  # for ever: it is the code on the wire
    severity: Severity
    clear: Clear
    check: Callable[[World], str | None]
    remedy: str
    hold: Callable[[Params], int] | None = None
    doubles: bool = False  # the hold doubles with each re-entry within an hour, up to recover_max_ns
    grace: bool = False  # not checked before first readings could come
    strikes: bool = False  # three entries an hour lock the agent out
    cures: bool = False  # a cell that must be cured is cured under it
    stays: Callable[[World], str | None] | None = None  # asked instead of `check` while it stands: another threshold
    what: str = ""  # what is looked at, for people
