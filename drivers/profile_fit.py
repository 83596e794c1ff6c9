"""What a profile says, against what registers can hold and a device can keep: the last judgement of a file.

Refused, with file, key and reason: a number that its type cannot hold, a value that never fits a read or is always too
old, a setpoint that cannot be 0, a release that releases nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from drivers.codec import BIT_TYPES, RawType, raw_range, words_of
from drivers.family import Codes, Control, Owner, Part, Profile, Put, PutGroup
from drivers.profile_error import ProfileError

SETPOINTS = frozenset({"setpoint", "-setpoint", "charge", "discharge", "magnitude"})
HIGHEST = 0xFFFF  # register
PERCENT = 100
SECOND = 1_000_000_000


def check_fit(file: str, profile: Profile) -> None:
    """ProfileError for the first thing that cannot be."""
    for key, reason in _misfits(profile):
        raise ProfileError(file, key, reason)


def _misfits(profile: Profile) -> Iterator[tuple[str, str]]:
    for block in profile.blocks:
        key = f"blocks.{block.name}.every_ms"
        if block.ages and block.every_ns > profile.stale_s * SECOND:
            yield key, f"is longer than timing.stale_s, {profile.stale_s} s: each reading would be lost before the next"
        elif block.every_ns > block.stale_ns:
            yield key, f"is longer than the {block.stale_ns // 1_000_000} ms after which its values are lost"
    if not (profile.sunspec or profile.dialect or profile.tells_apart or profile.texts[-1].fixed is None):
        yield "identify", "nothing tells this device from another: give expect_model, or [[identify.expect]]"
    for name, text in zip(("maker", "model", "version", "serial"), profile.texts, strict=False):
        if text.fixed is None and not profile.dialect and text.length > profile.max_registers:
            yield f"identify.text.{name}.count", f"one read of this device brings {profile.max_registers} registers"
    for expect in profile.expects:
        if expect.low is not None and expect.high is not None and expect.low > expect.high:
            yield f"identify.expect ({expect.means}).min", f"{expect.low} is above max, {expect.high}: nothing fits"
        yield from _part(profile, f"identify.expect ({expect.means})", expect.part)
    for point in profile.points:
        if point.valid is not None and point.valid[0] > point.valid[1]:
            yield f"point {point.name}.valid", f"{list(point.valid)} is empty: the lower bound comes first"
        width = 16 * sum(part.length for part in point.parts[:1])
        if point.bits and point.bits[-1][0] >= width and all(part.kind is not None for part in point.parts):
            yield f"point {point.name}.bits", f"bit {point.bits[-1][0]} is not among its {width} bits"
        for part in point.parts:
            yield from _part(profile, f"point {point.name}", part)
    for n, control in enumerate(profile.controls):
        yield from _control(f"control[{n}] ({control.id})", control)
    if profile.floor is not None:
        yield from _puts("floor", (profile.floor,))


def _part(profile: Profile, key: str, part: Part) -> Iterator[tuple[str, str]]:
    if isinstance(part.at, str) or part.kind is None or profile.dialect:
        return
    if part.at + part.length - 1 > HIGHEST:
        yield f"{key}.at", f"{part.at} and {part.length - 1} more run over the last register, {HIGHEST}"
    most = profile.max_bits if part.kind in BIT_TYPES else profile.max_registers
    if part.length > most:
        yield f"{key}.count", f"{part.length} are more than one read of this device brings, {most}"
    if part.kind in BIT_TYPES or part.kind is RawType.F32:
        return
    if part.kind is RawType.STRING:
        yield f"{key}.type", "a text is no value; only identify.text reads texts"
        return
    lo, hi = raw_range(part.kind)
    size = 1 << 16 * words_of(part.kind)
    if part.mask >= size:
        yield f"{key}.mask", f"{part.mask:#x} is wider than {part.kind.value}"
    for raw in part.sentinels:
        if not lo <= raw <= hi and not 0 <= raw <= part.mask:
            meant = f"; as {part.kind.value} it is {raw - size}" if lo < 0 and hi < raw < size else ""
            yield f"{key}.sentinels", f"{raw:#x} is never read as {part.kind.value} ({lo}..{hi}){meant}"


def _control(key: str, control: Control) -> Iterator[tuple[str, str]]:
    for name in ("arm", "power", "clear", "stop", "heartbeat"):
        yield from _puts(f"{key}.{name}", getattr(control, name))
    for put in (put for group in control.clear for put in group.puts):
        if isinstance(put.value, str) and put.value in SETPOINTS:
            yield f"{key}.clear", f"{put.value} in it would command the device, not release it"
    yield from _release(key, control)


def _release(key: str, control: Control) -> Iterator[tuple[str, str]]:
    """The release ends outside the active modes, and reaches a register that the setpoint took."""
    taken = {place for group in (*control.arm, *control.power) for place in _places(group)}
    given = [place for group in control.clear for place in _places(group)]
    mode = dict(control.state).get("remote_mode")
    place = None if mode is None else (mode.unit, mode.model, mode.at)
    if not (taken | {place}) & set(given):
        yield f"{key}.clear", "it writes none of the registers that arm and power write: nothing would be released"
    if mode is None or mode.mask:
        return
    if place in taken and place not in given:
        yield f"{key}.clear", "remote_mode is written by arm or power, and not by it: the device would stay remote"
    left = [
        put.value
        for group in control.clear
        for put in group.puts
        if (group.unit, group.model, put.at) == place and isinstance(put.value, int)
    ]
    if left and left[-1] in control.active_modes:
        yield f"{key}.clear", f"it leaves remote_mode at {left[-1]}, which means active: that is no release"


def _places(group: PutGroup) -> Iterator[tuple[str, int | None, int | str]]:
    for put in group.puts:
        yield group.unit, group.model, put.at


def _puts(key: str, groups: tuple[PutGroup, ...]) -> Iterator[tuple[str, str]]:
    for n, group in enumerate(groups):
        for m, put in enumerate(group.puts):
            yield from _put(f"{key}[{n}].write[{m}]" if key != "floor" else "floor.write", put)


def _put(key: str, put: Put) -> Iterator[tuple[str, str]]:
    low, high = put.low or 0, put.high or 0
    if put.value == "floor" and not 0 <= low <= high <= PERCENT:
        yield f"{key}.max", f"{low}..{high} is no range of SoC in percent"
    if put.value in SETPOINTS and (low == high or not low <= 0 <= high):
        yield f"{key}.min", f"{low}..{high} is no range around 0: this setpoint could not be taken back"
    if put.kind is None or isinstance(put.at, str):
        return  # of a SunSpec point: its scale is known when the device is read
    if put.at + words_of(put.kind) - 1 > HIGHEST:
        yield f"{key}.at", f"{put.kind.value} at {put.at} runs over the last register, {HIGHEST}"
    lo, hi = raw_range(put.kind)
    for name, value in _values(put):
        raw = (value - put.offset) / put.scale
        if not lo <= raw <= hi:
            yield (
                f"{key}.{name}",
                f"{value} is {float(raw):g} in the register, which {put.kind.value} ({lo}..{hi}) cannot hold",
            )


def _values(put: Put) -> Iterator[tuple[str, int]]:
    """All that this write could be, as far as the file says it."""
    if isinstance(put.value, Codes):
        yield from (("value", code) for code in (put.value.charge, put.value.discharge, put.value.zero))
    elif isinstance(put.value, int):
        yield "value", put.value
    elif isinstance(put.value, Owner):
        yield "value", round(put.value.default * put.scale) + put.offset
    elif put.low is not None and put.high is not None and not put.of:
        yield from (("min", put.low), ("max", put.high))
