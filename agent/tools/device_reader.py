"""One configured device, read by a tool: who it is, and every register of its profile's plan."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

from agent import config as configuration
from agent.compose import installed
from agent.tools import lines
from agent.tools.lines import Asks, Place, Refused
from drivers.binding import Binding, DeviceSpec
from drivers.dialects import DIALECTS
from drivers.line import Line
from drivers.picture import Registers
from drivers.port import Fate, Outcome, Port, Request
from drivers.scan import Asked, Setting, registers_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """One read and how it ended. `data`: the registers, or bits, of an answer; `exception` of a refusal."""

    unit: int
    function: int
    address: int
    count: int
    dialect: str
    data: bytes | None
    exception: int | None


class DeviceReader:
    """`with DeviceReader(config, name, through) as reader`: reads of that device, all of them kept in `taken`."""

    def __init__(self, config: configuration.Config, name: str, through: str | None) -> None:
        """`through`: the socket of the daemon that owns the line, None where no daemon runs. Refused: no such name."""
        facts = installed(config)
        if name not in facts.specs:
            known = ", ".join(facts.specs)
            raise Refused(2, f"there is no device {name!r}; there are: {known}", "batteryctl device list")
        self.spec: DeviceSpec = facts.specs[name]
        line = facts.lines[facts.bus_of[name]]
        setting = Setting(0) if line.tcp is not None else Setting(line.baud, line.parity, line.stop_bits)
        self.place = Place(line.port, line.tcp, line.name, setting)
        self.port: Port = lines.port_of(setting)
        self.taken: list[Taken] = []
        self._through = through
        self._line: Line | None = None
        self._asks: Asks | None = None

    def __enter__(self) -> DeviceReader:
        if self._through is not None:
            self._asks = lines.Through(self._through, str(self.place.bus))
        else:
            assert self.place.setting is not None
            self._asks, self._line = lines.open_own(self.place, self.place.setting, self.port)
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.close()

    def identified(self) -> Binding | str:
        """Who it is, or the sentence that says why it is not."""
        return self._drive(Asked(self.port).identified(self.spec))

    def registers(self, binding: Binding) -> Registers:
        """All that its profile's plan reads."""
        return self._drive(Asked(self.port).registers(self.spec, binding))

    def read(self, function: int, address: int, count: int) -> None:
        """A range beside the plan, in pieces that the device takes."""
        most = self.spec.profile.max_registers if function in (3, 4) else self.spec.profile.max_bits
        for start in range(address, address + count, most):
            size = min(most, address + count - start)
            self._ask(self.port.read(self.spec.unit, function, start, size, self.spec.profile.response_ns))

    def _drive(self, talk: Generator[Request, Outcome, T]) -> T:
        try:
            request = next(talk)
            while True:
                request = talk.send(self._ask(request))
        except StopIteration as end:
            found: T = end.value
            return found

    def _ask(self, request: Request) -> Outcome:
        assert self._asks is not None
        try:
            outcome = self._asks.ask(request)
        except OSError as error:
            raise Refused(5, f"{self.place} was lost: {error}", self.place.remedy) from error
        self.taken.append(_taken(request, outcome))
        return outcome


def _taken(request: Request, outcome: Outcome) -> Taken:
    data = outcome.data[2:] if outcome.fate is Fate.DATA else None
    code = outcome.code if outcome.fate is Fate.EXCEPTION else None
    if request.dialect is None:
        count = int.from_bytes(request.payload[3:5], "big")
        return Taken(request.unit, request.function, request.address, count, "", data, code)
    name = next(name for name, dialect in DIALECTS.items() if dialect is request.dialect)
    return Taken(request.unit, request.function, request.first, request.count, name, data, code)


def registers_taken(taken: list[Taken]) -> dict[tuple[int, int, int], int]:
    """Every register that was read, by (unit, function, address)."""
    found: dict[tuple[int, int, int], int] = {}
    for each in taken:
        if each.data is not None:
            bits = each.function in (1, 2) and not each.dialect
            found.update(registers_of(each.unit, each.function, each.address, each.count, each.data, bits))
    return found
