"""A verified command and the words of its life. `link` builds Command; everyone after passes it on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CommandKind(StrEnum):
    """The kinds of `down/command` (DESIGN 6)."""

    DISPATCH = "dispatch"
    CANCEL = "cancel"
    STOP = "stop"
    SCHEDULE = "schedule"
    SESSION = "session"
    PRICE = "price"
    QUOTE = "quote"
    RESEND = "resend"


class RampClass(StrEnum):
    """How fast a relaxing setpoint may move; tightening is never ramped."""

    DIRECT = "direct"
    SCHEDULED = "scheduled"
    URGENT = "urgent"
    REGULATION = "regulation"


class CommandState(StrEnum):
    """The wire words of facts/standards.md 2.5, and no others."""

    RECEIVED = "received"
    SCHEDULED = "scheduled"
    STARTED = "started"
    LIMITED = "limited"
    COMPLETED = "completed"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    PARTIAL_OPT_OUT = "partial_opt_out"
    PARTIAL_OPT_IN = "partial_opt_in"
    NO_PARTICIPATION = "no_participation"
    USER_ACK = "user_ack"
    ABORTED_SERVER = "aborted_server"
    ABORTED_PROGRAM = "aborted_program"
    REJECTED_NOT_APPLICABLE = "rejected_not_applicable"
    REJECTED_INVALID = "rejected_invalid"
    REJECTED_LATE = "rejected_late"
    FAILED = "failed"


TERMINAL = frozenset(
    {
        CommandState.COMPLETED,
        CommandState.OPTED_OUT,
        CommandState.CANCELLED,
        CommandState.SUPERSEDED,
        CommandState.PARTIAL_OPT_OUT,
        CommandState.NO_PARTICIPATION,
        CommandState.ABORTED_SERVER,
        CommandState.ABORTED_PROGRAM,
        CommandState.REJECTED_NOT_APPLICABLE,
        CommandState.REJECTED_INVALID,
        CommandState.REJECTED_LATE,
        CommandState.FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command, signature, audience, typ, size and replay already checked.

    `exp_ms` is the last moment to accept; `start_ms + duration_s` the last moment to act. `start_ms` None = a direct
    setpoint from acceptance on. `power_w`: + discharge, AC watts at the battery. `target`: id that a cancel means.
    `beyond`: modes that it asks for and this agent does not have; it is refused as a whole.
    """

    id: str  # 32 lower-case hex digits
    kind: CommandKind
    issuer: str
    digest: str  # sha-256 hex of the decoded payload
    created_ms: int
    exp_ms: int
    start_ms: int | None = None
    duration_s: int = 0
    power_w: int | None = 0
    primacy: int = 1
    ramp: RampClass = RampClass.DIRECT
    target: str | None = None
    beyond: str | None = None
    # --- what came later: stored only where it says something (agent.core.durable)
    import_limit_w: int | None = None  # dispatch: at most this much from the grid
    export_limit_w: int | None = None  # dispatch: at most this much into the grid
    randomize_s: int = 0  # dispatch: R, the start moves by 0..R; cancel: the end does
    randomize_both: bool = False  # dispatch: by -R..R
    draw: int = 0
    session: str | None = None  # dispatch: it is a setpoint of that session
    seq: int = 0  # of such a setpoint
    interval_s: int = 0  # schedule, price
    values: tuple[int | None, ...] = ()  # schedule: W, None = no wish; price: millionths a kWh from the grid
    exports: tuple[int | None, ...] = ()  # price: millionths a kWh into the grid; () = the same
    lo_w: int = 0  # session: its band
    hi_w: int = 0
    seq_from: int = 0  # session: numbers that are its setpoints' alone
    seq_to: int = 0
