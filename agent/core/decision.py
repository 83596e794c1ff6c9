"""What one cycle decided: the single object that `why`, acks and telemetry show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.core.durable import Durable

if TYPE_CHECKING:
    from agent.core.bounds import Evaluated


class Mode(StrEnum):
    """The states of facts/safety.md 3."""

    INIT = "init"
    SELF_TEST = "self_test"
    STANDBY = "standby"
    LOCAL = "local"
    DISPATCHED = "dispatched"
    BACKUP = "backup"
    DEGRADED = "degraded"
    FAULT = "fault"
    LOCKOUT = "lockout"


class Side(StrEnum):
    """Which way a limit binds."""

    CHARGE = "charge"
    DISCHARGE = "discharge"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class LimitValue:
    """One limit as it stands now. `cap_w` >= 0 is what it leaves on `side`; `sentence` says why, with values, units."""

    id: str
    side: Side
    cap_w: int
    sentence: str
    owner: str  # "homeowner" | "site" | "bms" | "inverter" | "agent" | "utility"


@dataclass(frozen=True, slots=True)
class FaultValue:
    """One active fault of the table: `severity` and `remedy` are the table's words."""

    id: str
    severity: str
    sentence: str
    remedy: str
    since_ns: int
    held: bool = False  # its condition is gone, its hold or a technician is awaited


@dataclass(frozen=True, slots=True)
class RaiseValue:
    """One temporary raise of the reserve: whose, why, until when. `end_ms` 0 = not dated: no clock could be trusted."""

    id: str
    kind: str
    permille: int
    owner: str
    by: str
    reason: str
    start_ms: int
    end_ms: int
    left_s: int
    in_force: bool


class Intent(StrEnum):
    """What the gate is asked to do; nothing else reaches a device."""

    POWER = "power"
    CLEAR = "clear"
    STOP = "stop"
    FLOOR = "floor"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True)
class Write:
    """One intent for inverter `device`. `value`: W for POWER, permille for FLOOR, else 0."""

    intent: Intent
    value: int
    why: str
    device: str = ""  # "" = the home's only one
    command_id: str | None = None  # of the dispatch that POWER is for; None = the home's own


@dataclass(frozen=True, slots=True)
class Decision:
    """Asked, given, and what bound. `given_w` None = released: the inverter runs in its own mode, we write no power."""

    at_ns: int
    mode: Mode
    source: str  # who asked: "dispatch:<id>", "cure:<name>", "reserve", "self_consumption", "none", ...
    asked_w: int | None
    given_w: int | None
    lo_w: int  # permit, <= 0 <= hi_w
    hi_w: int
    binding: LimitValue | None  # the limit that made given differ from asked; None = nothing did
    limits: Sequence[LimitValue]  # every limit, evaluated
    faults: tuple[FaultValue, ...]
    reserve_permille: int  # effective
    soc_lo_permille: int | None
    soc_hi_permille: int | None
    grid: str  # "connected" | "islanded" | "unknown"
    load_w: int | None
    command_id: str | None
    stated_end_s: int  # promise 3: our setpoint ends within this many seconds if anything dies
    shares: tuple[tuple[str, int], ...] = ()  # `given_w` by inverter, where there are several
    out: tuple[str, ...] = ()  # inverters that the home goes on without
    raises: tuple[RaiseValue, ...] = ()  # of the reserve, in force or to come
    because: str = ""  # why this is asked for, where that is not plain
    capacity_wh: int = 0  # of the packs that are online
    bounds: Evaluated | None = field(default=None, compare=False, repr=False)  # of `limits`: when they lift


@dataclass(frozen=True, slots=True)
class Record:
    """One row for the outbox. `kind`: "ack" | "event" | "settlement". Body: JSON scalars, wire names with units."""

    kind: str
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commit:
    """Durable and rows that go to the disk in one transaction; `Committed(id)` is an input of a later cycle."""

    id: int
    durable: Durable
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Outputs:
    """All that a cycle may cause. `notices` are sentences for the log; `wake_ns` asks for an earlier next cycle."""

    decision: Decision
    writes: tuple[Write, ...]
    commit: Commit | None
    notices: tuple[str, ...] = ()
    wake_ns: int | None = None
