"""What a device says, changed on its way out: one register, one bit or whole answers, while the device itself is well.

Written against the register tables of the bench's own devices (hil.devices.seplos_v3, sdm630, sunspec_hybrid).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hil.devices import seplos_v3, sunspec_hybrid

Word = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Field:
    """Where a value stands. `signed`: a 16-bit two's complement. `bits`: it is read as single bits from there."""

    function: int
    at: int
    signed: bool = False
    bits: bool = False


_PIA = seplos_v3.PIA
FIELDS: Mapping[str, Mapping[str, Field]] = {
    "battery": {
        "pack_v": Field(4, _PIA),
        "current": Field(4, _PIA + 1, signed=True),
        "soc": Field(4, _PIA + 5),
        "cell_max": Field(4, _PIA + 0x0A),
        "cell_min": Field(4, _PIA + 0x0B),
        "temp_max": Field(4, _PIA + 0x0C),
        "temp_min": Field(4, _PIA + 0x0D),
        "dcl": Field(4, _PIA + 0x0F),
        "ccl": Field(4, _PIA + 0x10),
        "alarm": Field(1, 0x1248, bits=True),
        "discharge_enabled": Field(1, 0x1278, bits=True),
        "charge_enabled": Field(1, 0x1279, bits=True),
        "serial": Field(4, seplos_v3.VIA + 0x15),
    },
    "meter": {"power": Field(4, 0x34), "volts": Field(4, 0x00), "serial": Field(3, 0xFC01)},
    "inverter": {
        "maker": Field(3, sunspec_hybrid.M1 + 2),
        "model": Field(3, sunspec_hybrid.M1 + 18),
        "serial": Field(3, sunspec_hybrid.M1 + 50),
        "dc_scale": Field(3, sunspec_hybrid.M160 + 4, signed=True),
        "soc_scale": Field(3, sunspec_hybrid.M124 + 22, signed=True),
        "state": Field(3, sunspec_hybrid.M103 + 38),
        "grid": Field(3, sunspec_hybrid.M122 + 4),
        "reversion": Field(3, sunspec_hybrid.RVRT_TMS),
    },
}

_WAYS: Mapping[str, Callable[[int, int], int]] = {
    "set": lambda old, value: value,
    "add": lambda old, value: old + value,
    "permille": lambda old, value: old * value // 1000,
    "negate": lambda old, value: -old,
}
WAYS = (*_WAYS, "hold")


class Spoil:
    """Of one device; given to its slave. `fields` are of its role."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._fields = fields
        self._rules: dict[str, Callable[[int], int]] = {}
        self.zeros = 0  # so many answers to reads are of zeros alone
        self.zeroed = 0  # answers that were
        self.changed: dict[str, int] = {}  # by name and offset: values that left otherwise than they were

    def say(self, name: str, way: str, value: int, offset: int = 0) -> None:
        """From now on `name` (with `bits`, the bit `offset` after it) reads otherwise; "hold" keeps its next value."""
        field = self._field(name)
        if way not in WAYS:
            raise ValueError(f"{way!r} is not one of {', '.join(WAYS)}")
        key = key_of(name, offset)
        if way == "hold":
            kept: list[int] = []

            def hold(old: int) -> int:
                kept.append(old)
                return kept[0]

            self._rules[key] = hold
            return
        self._rules[key] = lambda old: _WAYS[way](_signed(old) if field.signed else old, value)

    def unsay(self, name: str, offset: int = 0) -> None:
        """It reads as it is again."""
        self._field(name)
        self._rules.pop(key_of(name, offset), None)

    def __bool__(self) -> bool:
        return bool(self._rules or self.zeros)

    def __call__(self, function: int, address: int, reply: bytes) -> bytes:
        """The reply PDU to a read, as it leaves the device."""
        if reply[0] & 0x80:
            return reply
        out = bytearray(reply)
        if self.zeros:
            self.zeros -= 1
            out[2:] = bytes(len(out) - 2)
            self.zeroed += out != reply
            return bytes(out)
        for key, rule in self._rules.items():
            name, _, offset = key.partition("+")
            field = self._fields[name]
            place = field.at + int(offset or 0) - address
            if field.function != function or place < 0:
                continue
            before = bytes(out)
            if field.bits and place // 8 + 2 < len(out):
                old = out[2 + place // 8] >> place % 8 & 1
                out[2 + place // 8] ^= (old ^ (rule(old) & 1)) << place % 8
            elif not field.bits and 2 * place + 4 <= len(out):
                word = rule(int.from_bytes(out[2 + 2 * place : 4 + 2 * place], "big"))
                out[2 + 2 * place : 4 + 2 * place] = (word & 0xFFFF).to_bytes(2, "big")
            self.changed[key] = self.changed.get(key, 0) + (out != before)
        return bytes(out)

    def _field(self, name: str) -> Field:
        if name not in self._fields:
            raise ValueError(f"it has no {name!r}; it has {', '.join(self._fields)}")
        return self._fields[name]


def key_of(name: str, offset: int) -> str:
    """A value by its name; with an offset, the bit so far behind it."""
    return f"{name}+{offset}" if offset else name


def _signed(word: int) -> int:
    return word - 0x1_0000 if word & 0x8000 else word
