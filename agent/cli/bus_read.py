"""`batteryctl bus read [DEVICE | --unit N] ADDR COUNT`: raw registers, and what they mean."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from agent.cli import offline, talk, text

_SIZE = {"u16": 1, "s16": 1, "u32": 2, "s32": 2, "u64": 4, "s64": 4, "f32": 2, "str": 1}


def run(args: Namespace) -> int:
    wish = _wish(args)
    if isinstance(wish, str):
        return talk.show(args, talk.failure(2, wish, "batteryctl bus read bms 0x1000 18; bus read --unit 2 0 4 --fc 4"))
    kinds = args.kinds.split(",") if args.kinds else []
    unknown = [kind for kind in kinds if kind.removesuffix("-le") not in _SIZE]
    if unknown:
        return talk.show(
            args, talk.failure(2, f"{unknown[0]!r} is no type", f"known are {', '.join(_SIZE)}, each with -le")
        )
    with offline.Reached(args) as there:
        if "unit" in wish and "bus" not in wish:
            found = _only_bus(there)
            if not isinstance(found, str):
                return talk.show(args, found)
            wish["bus"] = found
        reply = there.ask("look", **wish)
    return talk.show(args, reply, [] if "error" in reply else lines(reply, kinds))


def _wish(args: Namespace) -> dict[str, object] | str:
    words = list(args.words)
    wish: dict[str, object] = {}
    if args.unit is None:
        if len(words) != 3:
            return "read needs a device (or --unit N), an address and a count"
        wish["device"] = words.pop(0)
    else:
        if len(words) != 2:
            return "read with --unit needs an address and a count"
        wish["unit"] = args.unit
        if not 1 <= args.unit <= 247:
            return f"unit {args.unit} is not an address, expected 1 to 247 (0 is broadcast and never asked)"
        if args.bus:
            wish["bus"] = args.bus
    try:
        wish["address"], wish["count"] = (int(word, 0) for word in words)
    except ValueError:
        return f"{' '.join(words)!r}: an address and a count are numbers, such as 40000 2 or 0x1000 18"
    if args.fc is not None:
        wish["function"] = args.fc
    return wish


def _only_bus(there: offline.Reached) -> str | talk.Reply:
    reply = there.ask("bus")
    if "error" in reply:
        return reply
    names = [str(bus["name"]) for bus in reply["buses"]]
    if len(names) == 1:
        return names[0]
    return talk.failure(2, f"there are several lines: {', '.join(names)}", f"--bus {names[0]}")


def lines(reply: talk.Reply, kinds: list[str]) -> Iterator[str]:
    """Registers eight bytes wide at most, then the points among them."""
    unit, function, address = reply["unit"], reply["function"], reply["address"]
    if "bits_hex" in reply:
        yield f"unit {unit}, function {function}, from {address}:"
        bits = "".join(f"{byte:08b}"[::-1] for byte in bytes.fromhex(reply["bits_hex"]))
        for start in range(0, len(bits), 16):
            yield f"  {address + start:5d}  {bits[start : start + 8]} {bits[start + 8 : start + 16]}"
    elif kinds:
        yield from _typed(reply["words"], address, kinds)
    else:
        yield f"  {'ADDRESS':13} {'HEX':6} {'UNSIGNED':>8} {'SIGNED':>7}  TEXT"
        for n, word in enumerate(reply["words"]):
            signed = word - 0x10000 if word & 0x8000 else word
            place = f"{address + n:5d} 0x{address + n:04x}"
            yield f"  {place:13} 0x{word:04x} {word:8d} {signed:7d}  {_ascii(word.to_bytes(2, 'big'))}"
    if reply["points"]:
        yield ""
        yield "  What its profile makes of them:"
        for point in reply["points"]:
            value = "not known (a sentinel, or out of range)" if point["value"] is None else str(point["value"])
            word = f" ({point['word']})" if point["word"] else ""
            yield from text.hang(f"  {point['address']:5d}  {point['name']:24} ", f"{value}{word}", 34)


def _ascii(data: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)


def _typed(words: list[int], address: int, kinds: list[str]) -> Iterator[str]:
    """The types in turn; the last one goes on to the end."""
    place = number = 0
    while place < len(words):
        kind = kinds[min(number, len(kinds) - 1)]
        plain = kind.removesuffix("-le")
        size = len(words) - place if plain == "str" else _SIZE[plain]
        part = words[place : place + size]
        if len(part) < size:
            return
        raw = b"".join(word.to_bytes(2, "big") for word in (part[::-1] if kind.endswith("-le") else part))
        yield f"  {address + place:5d} 0x{address + place:04x}  {kind:6}  {raw.hex():16}  {_value(raw, plain)}"
        place, number = place + size, number + 1


def _value(raw: bytes, kind: str) -> str:
    if kind == "str":
        return repr(_ascii(raw.rstrip(b"\0 ")))
    if kind == "f32":
        import struct

        return f"{struct.unpack('>f', raw)[0]:g}"
    return str(int.from_bytes(raw, "big", signed=kind.startswith("s")))
