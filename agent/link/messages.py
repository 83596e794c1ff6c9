"""What comes down, as strict models: unknown keys, wrong types and numbers out of range are refused, none is coerced.

The body is flat: the claims that every message has, and those of its kind, in one JSON object. Times are UTC ms, power
is W at the battery's own AC point with + = discharge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent.core.command import Command, CommandKind, RampClass

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Seq = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]
WallMs = Annotated[int, Field(ge=0, le=1 << 53)]
Watts = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
Seconds = Annotated[int, Field(ge=1, le=7 * 86_400)]
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
    """Hold `power_w` for `duration_s`, from `start` on, or from acceptance on."""

    kind: Literal["dispatch"]
    power_w: Watts
    duration_s: Annotated[int, Field(ge=1, le=86_400)]
    start: WallMs | None = None
    primacy: Annotated[int, Field(ge=0, le=255)] = 1
    ramp: Ramp | None = None


class Cancel(Down):
    """End command `target`, or never begin it."""

    kind: Literal["cancel"]
    target: Id


class Halt(Down):
    """Kind "stop": end all dispatch and release."""

    kind: Literal["stop"]


class Step(BaseModel):
    """One entry of a schedule."""

    model_config = Down.model_config

    start: WallMs
    duration_s: Seconds
    power_w: Watts


class Schedule(Down):
    """Setpoints over the next days."""

    kind: Literal["schedule"]
    steps: Annotated[list[Step], Field(min_length=1, max_length=96)]
    primacy: Annotated[int, Field(ge=0, le=255)] = 1


class Session(Down):
    """A regulation session: setpoints `seq_from` to `seq_to` between `lo_w` and `hi_w` will follow."""

    kind: Literal["session"]
    start: WallMs
    duration_s: Annotated[int, Field(ge=1, le=86_400)]
    lo_w: Watts
    hi_w: Watts
    seq_from: Seq
    seq_to: Seq


class Price(Down):
    """Prices of consecutive intervals, in millionths of `currency` per kWh."""

    kind: Literal["price"]
    start: WallMs
    interval_s: Annotated[int, Field(ge=60, le=86_400)]
    prices_micro_per_kwh: Annotated[
        list[Annotated[int, Field(ge=-(10**12), le=10**12)]], Field(min_length=1, max_length=192)
    ]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Quote(Down):
    """What would you give, and why?"""

    kind: Literal["quote"]
    power_w: Watts
    duration_s: Annotated[int, Field(ge=1, le=86_400)]
    start: WallMs | None = None


class Resend(Down):
    """Send the outbox rows `first` to `last` again."""

    kind: Literal["resend"]
    first: Seq
    last: Seq


class Time(Down):
    """`wall_ms` was read after the boot with `nonce` was heard of. `live_s`: send live records for that long."""

    nonce: Id
    wall_ms: WallMs
    live_s: Annotated[int, Field(ge=0, le=3600)] = 0


class Receipt(Down):
    """The aggregator has every row up to `upto`, and those in `also`."""

    upto: Seq
    also: Annotated[list[Seq], Field(max_length=256)] = []


AnyCommand = Dispatch | Cancel | Halt | Schedule | Session | Price | Quote | Resend
KINDS = ("dispatch", "cancel", "stop", "schedule", "session", "price", "quote", "resend")

_COMMAND: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="kind")])
_LIFE_MS: Mapping[str, int] = {"schedule": WEEK_MS, "price": WEEK_MS}


def parse_command(claims: Mapping[str, object]) -> AnyCommand | str:
    """The command, or a sentence that says which field is wrong."""
    try:
        command = _COMMAND.validate_python(dict(claims))
    except ValidationError as error:
        return _first(error)
    life = _LIFE_MS.get(command.kind, DAY_MS)
    return _lifetime(command, life) or command


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


def to_core(command: AnyCommand, digest: str) -> Command:
    """The core's view of a verified command."""
    kind = CommandKind(command.kind)
    if isinstance(command, Dispatch):
        default = RampClass.DIRECT if command.start is None else RampClass.SCHEDULED
        return Command(
            id=command.id,
            kind=kind,
            issuer=command.iss,
            digest=digest,
            created_ms=command.iat,
            exp_ms=command.exp,
            start_ms=command.start,
            duration_s=command.duration_s,
            power_w=command.power_w,
            primacy=command.primacy,
            ramp=RampClass(command.ramp) if command.ramp else default,
        )
    target = command.target if isinstance(command, Cancel) else None
    return Command(command.id, kind, command.iss, digest, command.iat, command.exp, target=target)


def _lifetime(message: Down, life_ms: int) -> str | None:
    if not message.iat <= message.exp <= message.iat + life_ms:
        return f"exp - iat is {message.exp - message.iat} ms, between 0 and {life_ms} expected"
    return None


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
