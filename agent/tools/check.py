"""`batteryctl device check`: a profile against a recording or the live device, point by point. Reads alone."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.cli import quantity
from agent.local.inspect import point_value
from agent.tools import capture, lines
from agent.tools.contradict import contradictions
from agent.tools.device_reader import DeviceReader, registers_taken
from agent.tools.lines import Refused, say
from drivers import identify
from drivers import profile as profiles
from drivers.bind import bind
from drivers.binding import Binding, DeviceSpec
from drivers.events import Identity
from drivers.family import Profile
from drivers.picture import Picture, PointState, Registers
from drivers.plan import Reach
from drivers.port import Port as PortOf
from drivers.port import Request, Timing
from drivers.resolve import Resolver

WIDTH = 80
NOT_THERE = 2  # the exception of an address that is none
MEANS = {
    "known": "",
    "sentinel": "marked absent",
    "implausible": "out of range",
    "missing": "not read",
    "no scale": "no scale",
    "unclear": "makes no value",
}
LEVEL = {"known": "ok", "sentinel": "--", "missing": "--", "no scale": "--"}


def profile_of(name: str) -> Profile:
    """A shipped profile by its id, or a file. Refused if it is wrong."""
    path = Path(name)
    try:
        if path.suffix == ".toml" or path.is_file() or path.is_dir() or "/" in name:
            return profiles.parse(path.read_text("utf-8"), path.name)
        return profiles.load(name)
    except profiles.ProfileError as error:
        raise Refused(2, str(error), "drivers/profiles/ADDING.md") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            2, f"{name} cannot be read: {error}", "--profile FILE.toml, or the id of a shipped one"
        ) from error


# --- from a recording -------------------------------------------------------------------------------------------------
def from_recording(profile: Profile, path: Path) -> tuple[DeviceSpec, Binding, Registers, str]:
    """The device of a recording, and what was wrong with its identity ("" = nothing)."""
    try:
        recording = json.loads(path.read_text("utf-8"))
        registers = capture.registers(recording if isinstance(recording, dict) else {})
    except (OSError, ValueError) as error:
        raise Refused(
            2, f"{path} is no recording that can be read: {error}", "batteryctl bus dump DEVICE -o FILE"
        ) from error
    unit = next(iter(registers))[0]
    spec = DeviceSpec(profile.id, profile.role, unit, profile)
    found = _identified(spec, registers)
    if isinstance(found, Binding):
        return spec, found, registers, ""
    if profile.sunspec:
        raise Refused(5, found, "record it from the SunSpec marker on: bus dump DEVICE --range 3:40000:250")
    resolver = Resolver(profile, (), spec.units)
    words = {
        at: w for span in resolver.facts() for at, w in _span(registers, unit, span.function, span.start, span.length)
    }
    return spec, bind(spec, (), Identity("", "", "", ""), words), registers, found


def _span(registers: Registers, unit: int, function: int, start: int, length: int) -> Iterator[tuple[int, int]]:
    for address in range(start, start + length):
        word = registers.get((unit, function, address))
        if word is not None:
            yield address, word


def _identified(spec: DeviceSpec, registers: Registers) -> Binding | str:
    """The profile's own identification, answered from the registers; what is not there is refused."""
    alone = 1  # register by register: a recording has gaps where the device has none
    steps = identify.steps(spec, PortOf(Timing(0, 0, 0), False), Reach(alone, alone))
    try:
        request = next(steps)
        while True:
            request = steps.send(_answer(request, registers))
    except StopIteration as end:
        found: Binding | str = end.value
        return found


def _answer(request: Request, registers: Registers) -> bytes | int:
    first, count = request.first, request.count
    if request.dialect is None:
        first, count = request.address, int.from_bytes(request.payload[3:5], "big")
    words = [registers.get((request.unit, request.function, first + n)) for n in range(count)]
    known = [word for word in words if word is not None]
    if len(known) < len(words):
        return NOT_THERE
    data = b"".join(word.to_bytes(2, "big") for word in known)
    return bytes((request.function, len(data) & 0xFF)) + data


# --- live -------------------------------------------------------------------------------------------------------------
def live(args: argparse.Namespace) -> tuple[DeviceSpec, Binding, Registers, str]:
    """The device as it answers now."""
    config = lines.load_config(args.config, needed=True)
    assert config is not None
    with DeviceReader(config, args.device, args.through) as reader:
        if args.profile:
            profile = profile_of(args.profile)
            reader.spec = DeviceSpec(args.device, profile.role, reader.spec.unit, profile)
        found = reader.identified()
        if isinstance(found, str):
            answered = any(each.data is not None or each.exception is not None for each in reader.taken)
            silent = f"{args.device} does not answer"
            raise Refused(
                5 if answered else 6, found if answered else silent, "batteryctl bus scan; batteryctl bus test"
            )
        reader.registers(found)
        return reader.spec, found, registers_taken(reader.taken), ""


# --- what comes out ---------------------------------------------------------------------------------------------------
def judged(spec: DeviceSpec, binding: Binding, registers: Registers, wrong: str) -> dict[str, Any]:
    """For --json; the pictures are made of it. `code` 1: something does not fit."""
    picture = Picture(spec, binding, registers, 1)
    read = {point.name for point in spec.profile.points}
    points = [_point(state, picture, state.name in read) for state in picture.points()]
    against = contradictions(picture.reading)
    bad = bool(wrong) or bool(against) or any(p["state"] in ("implausible", "unclear") for p in points)
    identity = binding.identity
    return {
        "v": 1,
        "ok": not bad,
        "code": int(bad),
        "profile": spec.profile.id,
        "title": spec.profile.title,
        "unit": spec.unit,
        "maker": identity.maker,
        "model": identity.model,
        "serial": identity.serial,
        "identity": wrong or None,
        "points": points,
        "contradictions": against,
        "notes": list(binding.notes),
    }


def _point(state: PointState, picture: Picture, is_read: bool) -> dict[str, Any]:
    """`is_read`: it is of the reading; else it is what the device says of its remote control."""
    value = point_value(picture.reading, state.name)[0] if is_read else state.total
    return {
        "name": state.name,
        "state": state.state if value is not None or state.state != "known" else "unclear",
        "value": value,
        "raw": list(state.raw),
        "address": state.address,
    }


def picture_lines(body: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    who = ", ".join(word for word in (f"{body['maker']} {body['model']}".strip(), body["serial"]) if word)
    yield f"PROFILE  {body['profile']} ({body['title']}), unit {body['unit']}"
    if body["identity"]:
        yield from _hang("IDENTITY !!  ", body["identity"], 13)
    else:
        yield from _hang("IDENTITY ok  ", who or "it says nothing about itself", 13)
    yield ""
    yield f"    {'POINT':19} {'VALUE':>17}  {'AT':>5}  {'RAW':17} REMARK"
    for point in body["points"]:
        mark = LEVEL.get(point["state"], "!!")
        raws = [point["raw"][0]] if len(set(point["raw"])) == 1 else point["raw"]
        raw = ", ".join("-" if each is None else str(each) for each in raws)
        shown = raw if len(raw) <= 17 else raw[:14] + "..."
        value = "-" if point["value"] is None else quantity.text(point["name"], point["value"])
        head = f"{mark}  {point['name']:19} {value:>17}  {point['address']:5d}  {shown:17} "
        yield from _hang(head, MEANS[point["state"]], len(head), keep=True)
    for sentence in body["contradictions"]:
        yield from _hang("AGAINST  !!  ", sentence, 13)
    states = [point["state"] for point in body["points"]]
    counted = [f"{states.count('known')} of {len(states)} points are plausible"]
    counted += [
        f"{states.count(s)} {s}" for s in ("sentinel", "implausible", "missing", "no scale", "unclear") if s in states
    ]
    yield ""
    yield from _hang(f"VERDICT  {'ok' if body['ok'] else '!!'}  ", ", ".join(counted), 13)


def _hang(head: str, text: str, width: int, keep: bool = False) -> Iterator[str]:
    rows = textwrap.wrap(text, max(14, WIDTH - width)) or [""]
    yield (head + rows[0]).rstrip()
    for row in rows[1:]:
        yield " " * width + row


def main(argv: list[str] | None = None) -> int:
    """0 all fits, 1 something does not, 2 usage, 5 it is another device, 6 it does not answer."""
    parser = argparse.ArgumentParser(prog="batteryctl device check", description=__doc__.splitlines()[0])
    parser.add_argument("device", nargs="?")
    for option in ("--profile", "--capture", "--config", "--through"):
        parser.add_argument(option)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        if args.capture:
            profile = profile_of(args.profile) if args.profile else _configured(args)
            body = judged(*from_recording(profile, Path(args.capture)))
        else:
            body = judged(*live(args))
    except KeyboardInterrupt:
        say("--  interrupted")
        return 130
    except Refused as error:
        return lines.failed(error, args.json)
    if args.json:
        print(json.dumps(body))
    else:
        for line in picture_lines(body):
            print(line)
    return int(body["code"])


def _configured(args: argparse.Namespace) -> Profile:
    """The profile of a device of the configuration."""
    from agent.compose import installed

    config = lines.load_config(args.config, needed=True)
    assert config is not None
    specs = installed(config).specs
    if args.device not in specs:
        raise Refused(2, f"there is no device {args.device!r}; there are: {', '.join(specs)}", "or give --profile")
    return specs[args.device].profile


if __name__ == "__main__":
    sys.exit(lines.guarded(main))
