"""What comes down, as strict models: unknown keys, wrong types and numbers out of range are refused, none is coerced.

The body is flat: the claims that every message has, and those of its kind, in one JSON object. Times are UTC ms, power
is W at the battery's own AC point with + = discharge. docs/protocol.md says each member in words; it is made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.core.command import Command, CommandKind, RampClass

PROTOCOLS = (1,)  # versions of the protocol that this agent takes and speaks; birth lists them
M = TypeVar("M", bound=BaseModel)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
SETPOINT_S = 10  # a setpoint of a session, at most

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Seq = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]
WallMs = Annotated[int, Field(ge=0, le=1 << 53)]
Watts = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
Limit = Annotated[int, Field(ge=0, le=1_000_000)]  # W in one direction
DaySeconds = Annotated[int, Field(ge=1, le=86_400)]
Primacy = Annotated[int, Field(ge=0, le=255)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$")]
Ramp = Literal["direct", "scheduled", "urgent", "regulation"]


class Down(BaseModel):
    """Claims of every message to a device. `exp` is the last moment to accept it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    v: Annotated[int, Field(ge=1, le=1)]
    id: Id
    iss: Name
    aud: Name  # "dev:ID" or "grp:ID"
    seq: Seq
    iat: WallMs
    exp: WallMs


class Dispatch(Down):
    """Hold what it asks for `duration_s`, from `start` on, or from acceptance on. At least one mode must be given."""

    kind: Literal["dispatch"]
    power_w: Watts | None = None
    import_limit_w: Limit | None = None
    export_limit_w: Limit | None = None
    duration_s: DaySeconds
    start: WallMs | None = None
    randomize_start_s: Annotated[int, Field(ge=-3600, le=3600)] = 0
    randomize_both: bool = False
    primacy: Primacy = 1
    ramp: Ramp | None = None
    session: Id | None = None


class Cancel(Down):
    """End command `target`, or never begin it."""

    kind: Literal["cancel"]
    target: Id
    randomize_s: Annotated[int, Field(ge=0, le=3600)] = 0


class Halt(Down):
    """Kind "stop": end all dispatch and release."""

    kind: Literal["stop"]


class Schedule(Down):
    """Setpoints of consecutive intervals; null = no wish in that one."""

    kind: Literal["schedule"]
    start: WallMs
    interval_s: Annotated[int, Field(ge=60, le=86_400)]
    powers_w: Annotated[list[Watts | None], Field(min_length=1, max_length=192)]
    primacy: Primacy = 1


class Session(Down):
    """A regulation session: setpoints `seq_from` to `seq_to` between `lo_w` and `hi_w` will follow."""

    kind: Literal["session"]
    start: WallMs
    duration_s: DaySeconds
    lo_w: Watts
    hi_w: Watts
    seq_from: Seq
    seq_to: Seq
    primacy: Primacy = 1


Micro = Annotated[int, Field(ge=-(10**12), le=10**12)]
Micros = Annotated[list[Micro], Field(min_length=1, max_length=192)]


class Price(Down):
    """Prices of consecutive intervals, in millionths of `currency` per kWh."""

    kind: Literal["price"]
    start: WallMs
    interval_s: Annotated[int, Field(ge=60, le=86_400)]
    prices_micro_per_kwh: Micros
    export_micro_per_kwh: Micros | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Quote(Down):
    """What would you give, and why?"""

    kind: Literal["quote"]
    power_w: Watts
    duration_s: DaySeconds
    start: WallMs | None = None


class Resend(Down):
    """Send the outbox rows `first` to `last` again."""

    kind: Literal["resend"]
    first: Seq
    last: Seq


class Time(Down):
    """`wall_ms` was read after the boot with `nonce` was heard of. `live_s`: send live records for that long. `last`:
    the highest row that was ever heard of this home."""

    nonce: Id
    wall_ms: WallMs
    live_s: Annotated[int, Field(ge=0, le=3600)] = 0
    last: Seq | None = None


class Checkpoint(BaseModel):
    """A settlement chain as the aggregator has it: record `n` has the hash `head`."""

    model_config = Down.model_config

    n: Seq
    head: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Receipt(Down):
    """The aggregator has every row up to `upto`, and those in `also`; `checkpoint`: and that chain."""

    upto: Seq
    also: Annotated[list[Seq], Field(max_length=256)] = []
    checkpoint: Checkpoint | None = None


AnyCommand = Dispatch | Cancel | Halt | Schedule | Session | Price | Quote | Resend

KINDS: Mapping[str, type[AnyCommand]] = {
    "dispatch": Dispatch,
    "cancel": Cancel,
    "stop": Halt,
    "schedule": Schedule,
    "session": Session,
    "price": Price,
    "quote": Quote,
    "resend": Resend,
}
_LIFE_MS: Mapping[str, int] = {"schedule": WEEK_MS, "price": WEEK_MS}


def foreign(claims: Mapping[str, object]) -> bool:
    """It is written in a version of the protocol that this agent does not know: whatever its members may mean there."""
    v = claims.get("v")
    return type(v) is int and v not in PROTOCOLS


def of_kind(claims: Mapping[str, object], kinds: Mapping[str, type[M]]) -> M | str:
    """The message by the model of its kind, or a sentence that says what is wrong."""
    kind = claims.get("kind")
    model = kinds.get(kind) if isinstance(kind, str) else None
    if model is None:
        return f"kind: {kind!r:.40}, one of {', '.join(kinds)} expected"
    try:
        return model.model_validate(dict(claims))
    except ValidationError as error:
        return _first(error)


def parse_command(claims: Mapping[str, object]) -> AnyCommand | str:
    """The command, or a sentence that says which field is wrong."""
    command = of_kind(claims, KINDS)
    if isinstance(command, str):
        return command
    life = _LIFE_MS.get(command.kind, DAY_MS)
    return _lifetime(command, life) or _contradiction(command) or command


def _contradiction(command: AnyCommand) -> str | None:
    """What each member allows, and all together do not."""
    match command:
        case Dispatch():
            return _of_dispatch(command)
        case Schedule() | Price() if command.interval_s * intervals(command) * 1000 > WEEK_MS:
            return f"interval_s: {intervals(command)} intervals of {command.interval_s} s are more than 7 days"
        case Price(export_micro_per_kwh=list(export)) if len(export) != intervals(command):
            return f"export_micro_per_kwh: {len(export)}, as many as prices_micro_per_kwh expected"
        case Session() if command.lo_w > command.hi_w or command.seq_from > command.seq_to:
            return "lo_w to hi_w, or seq_from to seq_to: the first is above the second"
        case Resend() if command.first > command.last:
            return "first: above last"
    return None


def _of_dispatch(command: Dispatch) -> str | None:
    if command.power_w is None and command.import_limit_w is None and command.export_limit_w is None:
        return "power_w, import_limit_w, export_limit_w: none is given, at least one expected"
    if command.power_w is None and (command.ramp or command.session):
        return "power_w: a ramp and a session are of a setpoint, which is missing"
    if command.session and (command.start, command.import_limit_w, command.export_limit_w) != (None, None, None):
        return "session: its setpoints have power_w alone, and act at once"
    if command.session and (command.duration_s > SETPOINT_S or command.exp - command.iat > SETPOINT_S * 1000):
        return f"duration_s, exp - iat: at most {SETPOINT_S} s for a setpoint of a session"
    if command.randomize_both and not command.randomize_start_s:
        return "randomize_both: of what? randomize_start_s is 0"
    if command.start is None and (command.randomize_start_s or command.randomize_both):
        return "start: missing, and there is nothing else to randomise"
    return None


def intervals(command: Schedule | Price) -> int:
    """How many intervals it covers."""
    return len(command.powers_w if isinstance(command, Schedule) else command.prices_micro_per_kwh)


def parse_time(claims: Mapping[str, object]) -> Time | str:
    """The time message, or what is wrong with it."""
    try:
        found = Time.model_validate(dict(claims))
    except ValidationError as error:
        return _first(error)
    return _lifetime(found, HOUR_MS) or found


def parse_receipt(claims: Mapping[str, object]) -> Receipt | str:
    """The receipt, or what is wrong with it."""
    try:
        found = Receipt.model_validate(dict(claims))
    except ValidationError as error:
        return _first(error)
    return _lifetime(found, DAY_MS) or found


def to_core(command: AnyCommand, digest: str, draw: int = 0) -> Command:
    """The core's view of a verified command. `draw`: see Command."""
    kind = CommandKind(command.kind)
    core = Command(command.id, kind, command.iss, digest, command.iat, command.exp, draw=draw)
    match command:
        case Dispatch():
            return _dispatch(core, command)
        case Cancel():
            return replace(core, target=command.target, randomize_s=command.randomize_s)
        case Quote():
            return replace(core, start_ms=command.start, duration_s=command.duration_s, power_w=command.power_w)
        case Session():
            core = replace(core, start_ms=command.start, duration_s=command.duration_s, primacy=command.primacy)
            core = replace(core, lo_w=command.lo_w, hi_w=command.hi_w)
            return replace(core, seq_from=command.seq_from, seq_to=command.seq_to)
        case Schedule() | Price():
            return _list(core, command)
    return core


def _dispatch(core: Command, command: Dispatch) -> Command:
    default = RampClass.DIRECT if command.start is None else RampClass.SCHEDULED
    return replace(
        core,
        start_ms=command.start,
        duration_s=command.duration_s,
        power_w=command.power_w,
        import_limit_w=command.import_limit_w,
        export_limit_w=command.export_limit_w,
        randomize_s=command.randomize_start_s,
        randomize_both=command.randomize_both,
        primacy=command.primacy,
        ramp=RampClass(command.ramp) if command.ramp else default,
        session=command.session,
        seq=command.seq if command.session else 0,
    )


def _list(core: Command, command: Schedule | Price) -> Command:
    core = replace(
        core,
        start_ms=command.start,
        interval_s=command.interval_s,
        duration_s=command.interval_s * intervals(command),
    )
    if isinstance(command, Schedule):
        return replace(core, values=tuple(command.powers_w), primacy=command.primacy)
    exports = tuple(command.export_micro_per_kwh or ())
    return replace(core, values=tuple(command.prices_micro_per_kwh), exports=exports)


def _lifetime(message: Down, life_ms: int) -> str | None:
    if not message.iat <= message.exp <= message.iat + life_ms:
        return f"exp - iat is {message.exp - message.iat} ms, between 0 and {life_ms} expected"
    return None


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
