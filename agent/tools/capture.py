"""The file of a recording: registers of one device, as blocks of (unit, function, base, words). Pure.

The format is that of the recordings the tests read; whoever sends one needs to send nothing else. Bits of functions 1
and 2 stand as `bits_hex`, in the order of the wire. What the device refused stands beside, with its exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.tools.device_reader import Taken
from agent.version import VERSION
from drivers.binding import Binding, DeviceSpec
from drivers.events import Identity
from drivers.scan import registers_of
from drivers.sunspec import COMMON, model

SERIAL = 3  # which of the identity's words
SHORTEST = 6  # characters of a serial number that are looked for elsewhere too
Words = dict[tuple[int, int, int], int]


def make(spec: DeviceSpec, binding: Binding | None, taken: Iterable[Taken], redact: bool) -> dict[str, Any]:
    """The recording of what was taken. `redact`: without serial numbers."""
    identity = Identity("", "", "", "") if binding is None else binding.identity
    blocks: dict[tuple[int, int, int, int], Taken] = {}
    refused: dict[tuple[int, int, int, int], Taken] = {}
    for each in taken:
        key = (each.unit, each.function, each.address, each.count)
        (blocks if each.data is not None else refused).setdefault(key, each)
    hidden = _serial_places(spec, binding) if redact else set()
    serial = identity.serial if redact else ""
    return {
        "device": f"{identity.maker} {identity.model}".strip() or spec.profile.title,
        "profile": spec.profile.id,
        "source": f"batteryctl bus dump, {VERSION}",
        "kind": "real device capture",
        "version": identity.version,
        "serial": "redacted" if redact and identity.serial else identity.serial,
        "blocks": [_block(blocks[key], hidden, serial) for key in sorted(blocks)],
        "refused": [
            {"unit": key[0], "function": key[1], "base": key[2], "count": key[3], "exception": refused[key].exception}
            for key in sorted(refused)
            if key not in blocks
        ],
    }


def _block(taken: Taken, hidden: set[tuple[int, int, int]], serial: str) -> dict[str, Any]:
    assert taken.data is not None
    head: dict[str, Any] = {"unit": taken.unit, "function": taken.function, "base": taken.address}
    if taken.dialect:
        head["dialect"] = taken.dialect
    if taken.function in (1, 2) and not taken.dialect:
        return {**head, "bits_hex": taken.data.hex(), "count": taken.count, "expected": {}}
    data = bytearray(taken.data)
    for n in range(taken.count):
        if (taken.unit, taken.function, taken.address + n) in hidden:
            data[2 * n : 2 * n + 2] = b"\0\0"
    text = serial.encode("ascii", "replace")
    if len(text) >= SHORTEST:  # some repeat it in other registers
        data = data.replace(text, b"\0" * len(text))
    words = [int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data) - 1, 2)]
    return {**head, "crc_ok": True, "words": words, "expected": {}}


def _serial_places(spec: DeviceSpec, binding: Binding | None) -> set[tuple[int, int, int]]:
    """The registers of its serial number: of the profile's identity, or of every SunSpec model 1."""
    profile = spec.profile
    found: set[tuple[int, int, int]] = set()
    if profile.texts and profile.texts[SERIAL].fixed is None:
        text = profile.texts[SERIAL]
        found |= {(spec.unit, text.function, text.at + n) for n in range(text.length)}
    for number, address, _ in () if binding is None else binding.chain:
        if number == COMMON:
            place = model(COMMON).points["SN"]
            found |= {(spec.unit, profile.function, address + place.offset + n) for n in range(place.words)}
    return found


def registers(recording: Mapping[str, Any]) -> Words:
    """Every register of a recording. ValueError says what is wrong with it."""
    blocks = recording.get("blocks")
    if not isinstance(blocks, list) or not blocks:
        raise ValueError("it has no blocks of registers (a recording of frames cannot be checked)")
    found: Words = {}
    for number, block in enumerate(blocks):
        try:
            unit, function, base = int(block["unit"]), int(block["function"]), int(block["base"])
            if "words" in block:
                found |= {(unit, function, base + n): int(word) & 0xFFFF for n, word in enumerate(block["words"])}
            else:
                data = bytes.fromhex(block["bits_hex"])
                found |= registers_of(unit, function, base, int(block.get("count", 8 * len(data))), data, True)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"blocks[{number}] needs unit, function, base and words: {error}") from error
    return found
