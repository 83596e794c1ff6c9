"""What a scan found: a table, and lines for the configuration that can be pasted. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agent.tools.lines import Place
from drivers.events import Identity
from drivers.scan import Hit, Setting

Found = Sequence[tuple[Place, list[Hit], Mapping[Setting, int]]]
WIDTH = 80
ROLE_NAMES = {"battery": "bms", "meter": "meter", "inverter": "inverter"}
BY_ID = Path("/dev/serial/by-id")


def report(found: Found, code: int) -> dict[str, object]:
    """For --json."""
    lines = [
        {
            "port": place.port,
            "tcp": place.tcp,
            "bus": place.bus,
            "known": [{"unit": unit, "device": device} for unit, device in place.known],
            "devices": [_hit(hit) for hit in hits],
            "garbled": [{"setting": str(setting), "replies": count} for setting, count in noise.items() if count],
            "toml": "\n".join(_toml(place, hits)),
        }
        for place, hits, noise in found
    ]
    return {"v": 1, "ok": code == 0, "code": code, "lines": lines}


def _hit(hit: Hit) -> dict[str, object]:
    identity = hit.identity or Identity("", "", "", "")
    return {
        "unit": hit.unit,
        "baud": hit.setting.baud or None,
        "parity": hit.setting.parity if hit.setting.baud else None,
        "profile": None if hit.profile is None else hit.profile.id,
        "role": None if hit.profile is None else hit.profile.role.value,
        "maker": identity.maker,
        "model": identity.model,
        "version": identity.version,
        "serial": identity.serial,
        "confidence": hit.confidence,
        "why": hit.why,
        "others": list(hit.others),
    }


def snippet(found: Found, jk: bool, interrupted: bool = False) -> Iterator[str]:
    """The table and what to paste. `jk`: JK BMS were looked for, or cannot be."""
    for number, (place, hits, noise) in enumerate(found):
        if number:
            yield ""
        if place.known:
            names = ", ".join(f"{device} ({unit})" for unit, device in place.known)
            yield from textwrap.wrap(f"--  {place} is read by batteryd: {names}", WIDTH, subsequent_indent="    ")
        if not hits:
            yield from ["--  nothing yet"] if interrupted else _nobody(place, noise)
            continue
        other = "other " if place.known else ""
        yield f"{place}: {len(hits)} {other}device{'s' if len(hits) != 1 else ''}"
        yield ""
        yield "    UNIT  LINE        PROFILE              SURE    MAKER, MODEL, SERIAL"
        for hit in hits:
            yield from _row(hit)
        yield ""
        yield "To use them, add this to /etc/batteryd/batteryd.toml:"
        yield ""
        rows = [*_toml(place, hits)]
        yield from rows if rows[0] else rows[1:]
    if not jk and any(not place.tcp for place, _, _ in found):
        yield ""
        text = (
            "A JK PB BMS that is silent was not looked for: it is asked by a write that it takes as a request. "
            "If there may be one: batteryctl bus scan --jk"
        )
        yield from textwrap.wrap(text, WIDTH, initial_indent="--  ", subsequent_indent="    ")


def _row(hit: Hit) -> Iterator[str]:
    profile = "unknown" if hit.profile is None else hit.profile.id
    identity = hit.identity
    words = [] if identity is None else [f"{identity.maker} {identity.model}".strip(), identity.serial]
    who = ", ".join(word for word in words if word) or "says nothing"
    mark = {"high": "ok", "medium": "ok"}.get(hit.confidence, "!!")
    head = f"{mark}  {hit.unit:4d}  {hit.setting!s:11} {profile:20} {hit.confidence:7} "
    room = WIDTH - len(head)
    rows = textwrap.wrap(who, room)
    yield head + rows[0]
    for row in rows[1:]:
        yield " " * len(head) + row
    if hit.confidence != "high":
        also = f"; {', '.join(hit.others)} would fit as well" if hit.others else ""
        yield from textwrap.wrap(hit.why + also, WIDTH, initial_indent=" " * 10, subsequent_indent=" " * 10)


def _nobody(place: Place, noise: Mapping[Setting, int]) -> Iterator[str]:
    yield f"xx  {place}: nobody {'else ' if place.known else ''}answers"
    heard = [str(setting) for setting, count in noise.items() if count]
    if heard:
        text = f"Bytes came back at {', '.join(heard)} that are no frames: something talks there, at another setting"
    elif place.known:
        text = "Its speed is set; other speeds can be tried while batteryd is stopped"
    elif place.tcp:
        text = "Is Modbus TCP switched on in the device, and is its unit number among those that were asked?"
    else:
        text = (
            "No byte came back at any setting that was tried. Swap A and B at the adapter once, check that the device "
            "has power and that its RS-485 is switched to Modbus, then: batteryctl bus scan --all"
        )
    yield from textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")


def _toml(place: Place, hits: Sequence[Hit]) -> Iterator[str]:
    name = place.bus or ("tcp" if place.tcp else "rs485")
    setting = hits[0].setting if hits else Setting(0)
    if not place.known:
        yield from _bus(place, name, setting)
    used = {name.rstrip("0123456789"): 1 for _, name in place.known}
    for hit in hits:
        yield ""
        if hit.setting != setting:
            yield f"# unit {hit.unit} answers at {hit.setting}, which is another line or must be set to {setting}"
            continue
        if hit.profile is None:
            yield f"# unit {hit.unit} answers as no device that we know: drivers/profiles/ADDING.md"
            continue
        yield from _device(hit, name, used)


def _bus(place: Place, name: str, setting: Setting) -> Iterator[str]:
    yield "[[bus]]"
    yield f'name = "{name}"'
    yield f'tcp = "{place.tcp}"' if place.tcp else f'port = "{stable(str(place.port))}"'
    if setting.baud:
        yield f"baud = {setting.baud}"
        if setting.parity != "N":
            yield f'parity = "{setting.parity}"'


def _device(hit: Hit, bus: str, used: dict[str, int]) -> Iterator[str]:
    assert hit.profile is not None
    base = ROLE_NAMES[hit.profile.role.value]
    used[base] = used.get(base, 0) + 1
    yield "[[device]]"
    yield f'name = "{base if used[base] == 1 else f"{base}{used[base]}"}"'
    yield f'role = "{hit.profile.role.value}"'
    yield f'bus = "{bus}"'
    yield f"unit = {hit.unit}"
    sure = "" if hit.confidence == "high" else f"  # {hit.confidence}"
    sure += f": or {', '.join(hit.others)}" if hit.others and sure else ""
    yield f'profile = "{hit.profile.id}"{sure}'


def stable(port: str, directory: Path = BY_ID) -> str:
    """The name of a port that it keeps when the adapter is plugged in elsewhere."""
    if directory.is_dir():
        for path in sorted(directory.iterdir()):
            if path.resolve() == Path(port).resolve():
                return str(path)
    return port
