"""What register writes mean to the inverter of the bench: told from the wire's trace, never from the agent.

A write counts as "power" when, after it, a remote window is in force that it set or renewed; so does 0 W. Rates that
are written while remote control is off are "staged": they have no effect until the mode follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from hil.devices import sunspec_hybrid as model
from hil.devices.demo import units_of
from hil.expr import Value
from hil.signals import Happening

_NAMES: Mapping[int, str] = {unit: name for name, unit in units_of(8, 8).items()}
_CONTROL = frozenset(
    {
        model.STOR_CTL_MOD,
        model.OUT_W_RTE,
        model.IN_W_RTE,
        model.WIN_TMS,
        model.RVRT_TMS,
        model.RMP_TMS,
        model.CHA_GRI_SET,
    }
)


class Written(Protocol):
    """One write that reached a device, as `hil.devices.slave` records it."""

    @property
    def at_ns(self) -> int: ...
    @property
    def unit(self) -> int: ...
    @property
    def address(self) -> int: ...
    @property
    def words(self) -> tuple[int, ...]: ...
    @property
    def exception(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def value(self) -> int | None: ...


class WriteLog:
    """Feed it every write in order. `counts` by kind; `setpoint_w`: what the registers ask for, None = released.

    `by_device`: the inverter is not one of model 124, and its own account of a write is taken."""

    def __init__(self, rated_w: int = 11_400, by_device: bool = False) -> None:
        self._by_device = by_device
        self.counts: dict[str, int] = dict.fromkeys(
            ("power", "clear", "floor", "staged", "timer", "refused", "other"), 0
        )
        self.setpoint_w: int | None = None
        self._rated_w = rated_w
        self._mode: dict[int, int] = {}  # by unit
        self._out: dict[int, int] = {}

    def take(self, written: Written, at_ns: int) -> Happening:
        """The record of one write; `at_ns` is scenario time."""
        kind, value = self._kind(written)
        self.counts[kind] += 1
        fields: dict[str, Value] = {
            "device": _NAMES.get(written.unit, str(written.unit)),
            "kind": kind,
            "value": value,
            "address": written.address,
            "words": " ".join(map(str, written.words)),
        }
        return Happening("write", at_ns, fields)

    def signals(self) -> dict[str, Value]:
        """The `wire.*` signals that writes make."""
        named = {f"wire.{kind}": self.counts[kind] for kind in ("power", "clear", "floor")}
        others = sum(self.counts.values()) - sum(named.values())
        return {**named, "wire.other": others, "wire.setpoint_w": self.setpoint_w}

    def _kind(self, written: Written) -> tuple[str, int]:
        if written.exception:
            return "refused", written.exception
        if not _NAMES.get(written.unit, "").startswith("inverter"):
            return "other", 0
        if self._by_device:
            return self._told(written.kind, written.value or 0)
        fields = {written.address + i: word for i, word in enumerate(written.words)}
        if model.MIN_RSV_PCT in fields and not fields.keys() & _CONTROL:
            return "floor", fields[model.MIN_RSV_PCT] // 10
        return self._control(fields, written.unit)

    def _told(self, kind: str, value: int) -> tuple[str, int]:
        if kind in ("power", "clear"):
            self.setpoint_w = value if kind == "power" else None
        return kind, value

    def _control(self, fields: Mapping[int, int], unit: int) -> tuple[str, int]:
        if not fields.keys() & _CONTROL:
            return "other", 0
        out = self._out[unit] = _signed(fields.get(model.OUT_W_RTE, self._out.get(unit, 10_000) & 0xFFFF))
        mode = self._mode[unit] = fields.get(model.STOR_CTL_MOD, self._mode.get(unit, 0))
        if model.STOR_CTL_MOD in fields and not mode & 3:
            self.setpoint_w = None
            return "clear", 0
        rates = fields.keys() & {model.OUT_W_RTE, model.IN_W_RTE}
        if not rates and model.STOR_CTL_MOD not in fields:
            return "timer", fields.get(model.RVRT_TMS, 0)
        if not mode & 3:
            return "staged", 0
        self.setpoint_w = round(out * self._rated_w / 10_000)
        return "power", self.setpoint_w


def fingerprint(records: Sequence[Happening]) -> list[tuple[Value, ...]]:
    """What two traces are compared by: device, address and words of every write, in order, without times."""
    keys = ("device", "address", "words")
    return [tuple(r.fields[key] for key in keys) for r in records if r.stream == "write"]


def _signed(word: int) -> int:
    return word - 0x1_0000 if word & 0x8000 else word
