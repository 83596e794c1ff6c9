"""One write order on its way: its requests in turn, then the proof, then the verdict."""

from __future__ import annotations

from drivers.device import Device
from drivers.events import RegisterWrite, WriteClass, WriteOutcome, WriteSequence
from drivers.port import EXCEPTIONS, Fate, Outcome, Port, Request

RETRIES = 2
LOOK_AGAIN_NS = 50_000_000  # a read-back that differs is read once more after this
BUSY_NS = 100_000_000
BUSY_CODES = (5, 6)
READ_HOLDING = 3

Verdict = tuple[WriteOutcome, str]


class Order:
    """`request` is the transaction to make next, not before `not_before_ns`."""

    def __init__(self, sequence: WriteSequence, device: Device, port: Port) -> None:
        self.sequence = sequence
        self.device = device
        self.binding = device.binding  # as it was compiled: not sent to a device that was identified otherwise since
        self.sent_ns = 0
        self.not_before_ns = 0
        self._port = port
        self._writes = len(sequence.writes)
        self._requests: list[Request] = [self._write(write) for write in sequence.writes]
        self._requests += [self._read(b.unit, b.function, b.address, len(b.expected)) for b in sequence.read_backs]
        control = None if device.binding is None else device.binding.control
        self._settle_ns = 0 if control is None else control.settle_ns
        self._budget = 0 if control is None else control.daily_writes
        self._step = 0
        self._tries = 0
        self._looked_again = False
        self._look: Request | None = None  # what a register reads before it is written, if it is written on change
        self._look_next()

    def _write(self, write: RegisterWrite) -> Request:
        spec = self.device.spec
        unit = spec.unit if write.unit is None else write.unit
        return self._port.write(
            unit, write.function, write.address, write.words, spec.profile.response_ns, spec.profile.gap_ns
        )

    def _read(self, unit: int | None, function: int, address: int, count: int) -> Request:
        spec = self.device.spec
        asked = spec.unit if unit is None else unit
        return self._port.read(asked, function, address, count, spec.profile.response_ns, spec.profile.gap_ns)

    def _look_next(self) -> None:
        write = self.sequence.writes[self._step] if self._step < self._writes else None
        if write is not None and write.on_change:
            self._look = self._read(write.unit, READ_HOLDING, write.address, len(write.words))

    @property
    def request(self) -> Request:
        """What to send now."""
        return self._look or self._requests[self._step]

    def ended(self, outcome: Outcome) -> Verdict | None:
        """How its request ended. None while there is more to do, else the verdict and its sentence."""
        if outcome.fate is Fate.EXCEPTION:
            return self._refused(outcome)
        if outcome.fate is not Fate.DATA:
            self._tries += 1
            if self._tries <= RETRIES:
                return None
            done = "after the write it did not read back" if self._step >= self._writes else "no answer to the write"
            return WriteOutcome.SILENT, f"{done}, asked {self._tries} times"
        if self._look is not None:
            return self._looked(outcome)
        if self._step >= self._writes:
            wrong = self._difference(outcome.data)
            if wrong is not None:
                if self._looked_again:
                    return WriteOutcome.MISMATCH, wrong
                self._looked_again = True
                self.not_before_ns = outcome.at_ns + max(self._settle_ns, LOOK_AGAIN_NS)
                return None
        else:
            self._written(outcome)
        return self._next(outcome)

    def _looked(self, outcome: Outcome) -> Verdict | None:
        """A register that is written on change was read: skip it, or write it if the day's budget allows."""
        write = self.sequence.writes[self._step]
        self._look = None
        self._tries = 0
        seen = tuple(int.from_bytes(outcome.data[2 + 2 * n : 4 + 2 * n], "big") for n in range(len(write.words)))
        if seen == write.words:
            return self._next(outcome)
        release = self.sequence.write_class in (WriteClass.CLEAR, WriteClass.STOP)
        if write.wears and not release and self.device.wear.spent(outcome.at_ns, self._budget):
            why = (
                f"register {write.address} wears out when written and today's budget for that is spent; tomorrow again"
            )
            return WriteOutcome.REJECTED, why
        return None

    def _written(self, outcome: Outcome) -> None:
        write = self.sequence.writes[self._step]
        self.not_before_ns = outcome.at_ns + write.gap_ns
        if write.wears:
            self.device.wear.wrote(outcome.at_ns)

    def _next(self, outcome: Outcome) -> Verdict | None:
        self._step += 1
        self._tries = 0
        if self._step == len(self._requests):
            return WriteOutcome.CONFIRMED, ""
        if self._step == self._writes:
            self.not_before_ns = max(self.not_before_ns, outcome.at_ns + self._settle_ns)
        self._look_next()
        return None

    def _refused(self, outcome: Outcome) -> Verdict | None:
        name = EXCEPTIONS.get(outcome.code, f"exception {outcome.code}")
        if outcome.code in BUSY_CODES and self._tries < RETRIES:
            self._tries += 1
            self.not_before_ns = outcome.at_ns + BUSY_NS
            return None
        what = "the read-back" if self._step >= self._writes else "the write"
        return WriteOutcome.REJECTED, f"the device refused {what} of register {self.request.address}: {name}"

    def _difference(self, data: bytes) -> str | None:
        back = self.sequence.read_backs[self._step - self._writes]
        for n, expected in enumerate(back.expected):
            seen = int.from_bytes(data[2 + 2 * n : 4 + 2 * n], "big")
            if expected is not None and seen != expected:
                return f"register {back.address + n} reads {seen}, {expected} was written"
        return None
