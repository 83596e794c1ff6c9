"""What must survive a crash: one value, an output of `step`, committed in one transaction with its outbox rows.

`to_json` and `from_json` are the only text form; `from_json` raises ValueError for anything it did not write.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass, field

from agent.core.command import Command, CommandKind, CommandState, RampClass
from agent.core.unseen import Unseen


@dataclass(frozen=True, slots=True)
class Window:
    """Replay window of one stream (issuer, kid, audience): highest sequence number and a bitmap of the 64 up to it
    (bit 0 = `high` itself)."""

    high: int
    bitmap: int


SIGNED_AFTER = "#after|"  # name of a window: what was signed up to its `high`, UTC ms, is not taken. No issuer's name


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A command that was accepted, and where its life stands."""

    command: Command
    state: CommandState
    reason: str | None
    accepted_ms: int  # wall
    accepted_ns: int  # monotonic, valid while `kernel_boot` is the same
    start_ns: int  # monotonic time at which to begin
    end_ns: int  # last moment to act
    kernel_boot: str
    started: bool = False  # a `started` ack was committed
    delivered_mwh: int = 0  # energy at the battery since start, + discharge, milliwatt-hours
    shift_ms: int = 0  # how far its start was moved by the draw
    cancelled: bool = False  # its end is that of a cancel which let it run out
    both_mwh: int = 0  # energy that went one way and came back the other: `delivered_mwh` is without it


@dataclass(frozen=True, slots=True)
class OptOut:
    """The homeowner takes no part: no dispatch, schedule, session or price is followed. `until_ms` 0 = until opt-in."""

    by: str
    role: str  # "homeowner" | "technician"
    since_ms: int  # wall
    until_ms: int = 0  # wall
    until_ns: int = 0  # monotonic, valid while `kernel_boot` is the same
    kernel_boot: str = ""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A temporary raise of the reserve, from `start_ms` to `end_ms` (see agent.core.overlay). `end_ms` 0 = it began on
    a clock that nobody could trust, and is dated when one can be."""

    id: str
    kind: str  # "storm" | "remote"
    permille: int
    owner: str  # whose word it is: "homeowner" | "technician" | "operations"
    by: str  # who asked for it
    reason: str
    start_ms: int  # wall
    end_ms: int
    length_s: int  # end - start
    left_s: int  # until its end, as of `mark_ns`
    mark_ns: int  # monotonic, valid while `kernel_boot` is the same
    kernel_boot: str
    delay_s: int = 0  # charging for it begins so much later than the raise: not every home of a region at once
    begun: bool = False  # and stays so, whatever the clock says later
    on: bool = False  # in force since `mark_ns`
    ran_s: int = 0  # how long it was in force until `mark_ns`
    whole: bool = False  # asked for as a length, of which no second went uncounted: dates do not matter


@dataclass(frozen=True, slots=True)
class Durable:
    """Everything the next boot needs."""

    version: int = 1
    windows: tuple[tuple[str, Window], ...] = ()
    commands: tuple[CommandRecord, ...] = ()  # active, and terminal ones until their id may be forgotten
    cancelled: tuple[Unseen, ...] = ()  # ids cancelled before they were seen
    starts_ms: tuple[int, ...] = ()  # wall times of recent daemon starts (crash loop)
    clean_stop: bool = False  # the last stop was clean
    stopped_by: str | None = None  # `batteryctl stop`: who; None = running
    lockout: str | None = None  # reason; only a technician clears it
    latches: tuple[str, ...] = ()  # fault ids that wait for a technician
    floor_alarm: bool = field(default=False)  # the device's own floor was changed by another hand
    overlays: tuple[Overlay, ...] = ()  # raises of the reserve that are in force or to come
    day: int = 0  # UTC days since 1970, to which `day_mwh` belongs
    day_mwh: int = 0  # energy discharged on that day, at most
    outage: bool = False  # the grid was away, and its return has not lasted through the dwell yet
    kernel_boot: str = ""  # of the last start; "" = there was none
    opted_out: OptOut | None = None  # None = the home takes part
    account: str = ""  # of settlement, as agent.core.kept writes it; as of the last commit


def to_json(durable: Durable) -> str:
    """Compact JSON with sorted keys. A record that did not change is not written out again."""
    frame = _text(dataclasses.replace(durable, commands=()))
    return frame.replace('"commands":[]', f'"commands":[{",".join(map(_record_text, durable.commands))}]', 1)


@functools.lru_cache(maxsize=512)
def _record_text(record: CommandRecord) -> str:
    return _text(record)


# what a program of before does not know is written only where it says something
_FIELDS = dataclasses.fields(Command)
_LATER = {f.name: f.default for f in _FIELDS[[f.name for f in _FIELDS].index("beyond") + 1 :]}
_LATER_RECORD = {"shift_ms": 0, "cancelled": False, "both_mwh": 0}


def _text(value: Durable | CommandRecord) -> str:
    raw = dataclasses.asdict(value)
    if isinstance(value, CommandRecord):
        raw = {k: v for k, v in raw.items() if k not in _LATER_RECORD or v != _LATER_RECORD[k]}
        raw["command"] = {k: v for k, v in raw["command"].items() if k not in _LATER or v != _LATER[k]}
    elif any(key for _, _, key in value.cancelled):
        raw["cancelled_by"] = [key for _, _, key in value.cancelled]
    if isinstance(value, Durable):
        raw["cancelled"] = [entry[:2] for entry in value.cancelled]
    return json.dumps(raw, separators=(",", ":"), sort_keys=True)


def from_json(text: str) -> Durable:
    """Inverse of `to_json`. ValueError on anything else."""
    try:
        raw = json.loads(text)
        if raw["version"] != 1:
            raise ValueError(f"state is of version {raw['version']!r}, this program reads version 1")
        return Durable(
            version=1,
            windows=tuple((str(k), Window(int(w["high"]), int(w["bitmap"]))) for k, w in raw["windows"]),
            commands=tuple(_record(r) for r in raw["commands"]),
            cancelled=_cancelled(raw["cancelled"], raw.get("cancelled_by", ())),
            starts_ms=tuple(int(t) for t in raw["starts_ms"]),
            clean_stop=bool(raw["clean_stop"]),
            stopped_by=raw["stopped_by"],
            lockout=raw["lockout"],
            latches=tuple(str(x) for x in raw["latches"]),
            floor_alarm=bool(raw["floor_alarm"]),
            overlays=tuple(_overlay(o) for o in raw.get("overlays", ())),  # a store of before there were any
            day=int(raw.get("day", 0)),
            day_mwh=int(raw.get("day_mwh", 0)),
            outage=bool(raw.get("outage", False)),
            kernel_boot=str(raw.get("kernel_boot", "")),
            opted_out=OptOut(**raw["opted_out"]) if raw.get("opted_out") is not None else None,
            account=str(raw.get("account", "")),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"stored state is not readable: {error!r}") from error


def _cancelled(raw: list[tuple[str, int]], by: list[str]) -> tuple[Unseen, ...]:
    """Pairs, and whose they are beside them: a program of before knows only the pairs, and may have changed them."""
    keys = by if len(by) == len(raw) else [""] * len(raw)
    return tuple([(str(i), int(t), str(key)) for (i, t), key in zip(raw, keys, strict=True)])


def _overlay(raw: dict[str, object]) -> Overlay:
    words = ("id", "kind", "owner", "by", "reason", "kernel_boot")
    numbers = ("permille", "start_ms", "end_ms", "length_s", "left_s", "mark_ns", "delay_s")
    signs = ("begun", "on", "whole")
    counts = {key: raw[key] for key in numbers} | {"ran_s": raw.get("ran_s", 0)}  # 0: a store of before it was counted
    if any(type(count) is not int for count in counts.values()):
        raise TypeError(f"not a whole number in the raise {raw.get('id')!r}")
    values = {key: str(raw[key]) for key in words} | counts | {key: bool(raw.get(key, False)) for key in signs}
    return Overlay(**values)  # type: ignore[arg-type]  # checked above


def _record(raw: dict[str, object]) -> CommandRecord:
    values = dict(raw)
    command = dict(values.pop("command"))  # type: ignore[call-overload]  # checked by the constructors below
    command["kind"] = CommandKind(command["kind"])
    command["ramp"] = RampClass(command["ramp"])
    for key in ("values", "exports"):
        if key in command:
            command[key] = tuple([None if value is None else int(value) for value in command[key]])
    values["state"] = CommandState(str(values["state"]))
    return CommandRecord(command=Command(**command), **values)  # type: ignore[arg-type]  # a wrong key raises TypeError
