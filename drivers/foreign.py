"""Which registers that we wrote read otherwise now: another hand, a restart, or the device's own timer. Sans-IO."""

from __future__ import annotations

from drivers.binding import Binding
from drivers.events import WriteClass, WriteSequence
from drivers.transaction import Request

Place = tuple[int, int]  # (unit, register)


class Foreign:
    """`names`: points of the profile that differ from the setpoint that was last read back, by register."""

    def __init__(self, unit: int) -> None:
        self._unit = unit
        self._ours: dict[Place, int] = {}
        self._differ: set[Place] = set()
        self._called: dict[Place, str] = {}
        self.names: tuple[str, ...] = ()

    def asked(self, write_class: WriteClass) -> None:
        """An order begins that changes them: until a setpoint is confirmed again nothing is ours."""
        if write_class in (WriteClass.POWER, WriteClass.CLEAR, WriteClass.STOP):
            self._ours = {}
            self._differ = set()
            self.names = ()

    def confirmed(self, sequence: WriteSequence, binding: Binding | None) -> None:
        """A setpoint was read back: this is what its registers read."""
        if sequence.write_class is not WriteClass.POWER or binding is None or binding.control is None:
            return
        control = binding.control
        for group in (*control.arm, *control.power, *(group for _, group in control.proof)):
            for put in group.puts:
                self._called[self._unit if group.unit is None else group.unit, put.address] = put.name
        for back in sequence.read_backs:
            unit = self._unit if back.unit is None else back.unit
            words = enumerate(back.expected)
            self._ours.update({(unit, back.address + n): word for n, word in words if word is not None})

    def read(self, request: Request, data: bytes) -> None:
        """A poll came back: `data` is unit, function and registers, as on the wire."""
        if not self._ours or request.dialect is not None or request.function != 3:
            return
        changed = False
        for place, word in self._ours.items():
            at = 2 + 2 * (place[1] - request.address)
            if place[0] != request.unit or not 2 <= at <= len(data) - 2:
                continue
            differs = (data[at] << 8 | data[at + 1]) != word
            if differs != (place in self._differ):
                changed = True
                self._differ ^= {place}
        if changed:
            names = [self._called.get(place, f"register {place[1]}") for place in sorted(self._differ)]
            self.names = tuple(dict.fromkeys(names))
