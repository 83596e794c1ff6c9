"""One write order on its way: what the owner has is kept, then its requests in turn, the proof, and the verdict."""

from __future__ import annotations

from dataclasses import replace

from drivers.binding import BoundControl
from drivers.device import Device
from drivers.events import ReadBack, RegisterWrite, WriteClass, WriteOutcome, WriteSequence
from drivers.keeper import Keeper
from drivers.memory import Kept
from drivers.port import EXCEPTIONS, Fate, Outcome, Port, Request
from drivers.wear import FLOOR_BUDGET, Share, most

RETRIES = 2
LOOK_AGAIN_NS = 50_000_000  # a read-back that differs is read once more after this
BUSY_NS = 100_000_000
BUSY_CODES = (5, 6)
READ_HOLDING = 3
STORE_NS = 2_000_000_000  # a disk that needs longer than this does not answer

Verdict = tuple[WriteOutcome, str]


class Order:
    """`request` is the transaction to make next, not before `not_before_ns`."""

    def __init__(self, sequence: WriteSequence, device: Device, port: Port) -> None:
        self.sequence = _restoring(sequence, device.keeper)
        self.device = device
        self.binding = device.binding  # as it was compiled: not sent to a device that was identified otherwise since
        self.sent_ns = 0
        self.not_before_ns = 0
        self.waits = False  # for the disk
        self.free_ns = 0  # when the wear budget has room again: if that ended it, or a confirmed one left it short
        self._port = port
        self._writes = len(self.sequence.writes)
        self._requests: list[Request] = [self._write(write) for write in self.sequence.writes]
        self._requests += [self._read(b.unit, b.function, b.address, len(b.expected)) for b in self.sequence.read_backs]
        control = None if device.binding is None else device.binding.control
        self._settle_ns = 0 if control is None else control.settle_ns
        self._budget = (0 if control is None else control.daily_writes) or FLOOR_BUDGET
        self._release = 0 if control is None else sum(group.wears for group in control.clear)
        self._cycle = 0 if control is None else _cycle(control)
        self._step = 0
        self._tries = 0
        self._lost = 0  # writes of this step that nobody answered
        self._looked_again = False
        self._keep = [] if device.keeper.owner else list(self.sequence.keep)
        self._kept: list[Kept] = []
        self._look: Request | None = None  # what a register reads before it is written, if it is written on change
        self._look_next()

    @property
    def _releasing(self) -> bool:
        return self.sequence.write_class in (WriteClass.CLEAR, WriteClass.STOP)

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
        if self._keep:
            back = self._keep[0]
            self._look = self._read(back.unit, back.function, back.address, len(back.expected))
            return
        write = self.sequence.writes[self._step] if self._step < self._writes else None
        if write is not None and write.on_change:
            self._look = self._read(write.unit, READ_HOLDING, write.address, len(write.words))

    @property
    def request(self) -> Request:
        """What to send now."""
        return self._look or self._requests[self._step]

    def late(self, now_ns: int) -> bool:
        """A setpoint whose writes go on after its time: it was tried again and again, or a disk was slow."""
        overdue = self.sequence.write_class is WriteClass.POWER and now_ns > self.sequence.not_after_ns
        return overdue and self._step < self._writes

    def disk_ended(self, now_ns: int) -> Verdict | None:
        """While it waits for the disk: go on if that has answered, the verdict if it did not in time."""
        if not self.device.keeper.settled:
            if now_ns < self.not_before_ns:
                return None
            what = "what must survive a crash before the write is made could not be stored; look at the disk"
            return WriteOutcome.REJECTED, what
        self.waits, self.not_before_ns = False, now_ns
        return None

    def ended(self, outcome: Outcome) -> Verdict | None:
        """How its request ended. None while there is more to do, else the verdict and its sentence."""
        if outcome.fate is Fate.EXCEPTION:
            return self._refused(outcome)
        if outcome.fate is not Fate.DATA:
            self._tries += 1
            if self._look is None and self._step < self._writes and self.sequence.writes[self._step].wears:
                self._unanswered(outcome)
            if self._tries <= RETRIES:
                return None
            done = "after the write it did not read back" if self._step >= self._writes else "no answer to the write"
            return WriteOutcome.SILENT, f"{done}, asked {self._tries} times"
        if self._keep:
            self._owners(outcome)
            return None
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

    def _owners(self, outcome: Outcome) -> None:
        """One more register as the owner has it. All of them are on the disk before the first write."""
        back = self._keep.pop(0)
        self._kept.append(Kept(back.unit, back.address, _words(outcome.data, len(back.expected))))
        self._look = None
        self._tries = 0
        if not self._keep:
            self.device.keeper.keep(tuple(self._kept))
            self._wait(outcome.at_ns)
        self._look_next()

    def _wait(self, now_ns: int) -> None:
        self.waits = not self._releasing and not self.device.keeper.settled  # a release waits for no disk
        if self.waits:
            self.not_before_ns = now_ns + STORE_NS

    def _looked(self, outcome: Outcome) -> Verdict | None:
        """A register that is written on change was read: skip it, or write it if the day's budget allows."""
        write = self.sequence.writes[self._step]
        self._look = None
        self._tries = self._lost
        if _words(outcome.data, len(write.words)) == write.words:
            return self._next(outcome)
        return self._worn(outcome.at_ns) if write.wears else None

    def _worn(self, now_ns: int) -> Verdict | None:
        """The budget must have room for all that this order may still write, and the disk must know of it."""
        need = sum(write.wears for write in self.sequence.writes[self._step :])
        keeper = self.device.keeper
        share = Share.RELEASE if self._releasing else self.sequence.share
        self.free_ns = keeper.wear.free_ns(now_ns, self._budget, self._release, need, share)
        if self.free_ns > now_ns:
            minutes = -(-(self.free_ns - now_ns) // 60_000_000_000)
            dispatch = share is Share.DISPATCH
            left = "dispatch has used its part, the rest is the home's own" if dispatch else "too few are left"
            return WriteOutcome.SPENT if dispatch else WriteOutcome.WORN, (
                f"register {self.sequence.writes[self._step].address} wears out when written, and of {self._budget} "
                f"such writes in 24 h {left}; again in {minutes // 60} h {minutes % 60:02} min"
            )
        self.free_ns = 0
        if not keeper.wear.covered(need):
            keeper.ask_block(now_ns, self._budget, max(need, self._release))
            self._wait(now_ns)
        return None

    def _written(self, outcome: Outcome) -> None:
        write = self.sequence.writes[self._step]
        self.not_before_ns = outcome.at_ns + write.gap_ns
        if write.wears:
            self.device.keeper.wear.wrote(outcome.at_ns, self._releasing)

    def _unanswered(self, outcome: Outcome) -> None:
        """A wearing write may have been made though nobody said so: it counts, and it is looked at before another."""
        self._written(outcome)
        self._lost = self._tries
        self._look_next()

    def _next(self, outcome: Outcome) -> Verdict | None:
        self._step += 1
        self._tries = self._lost = 0
        if self._step == len(self._requests):
            if self.sequence.write_class is WriteClass.CLEAR:
                self.device.keeper.keep(())
            self.free_ns = self._short_ns(outcome.at_ns)
            return WriteOutcome.CONFIRMED, ""
        if self._step == self._writes:
            self.not_before_ns = max(self.not_before_ns, outcome.at_ns + self._settle_ns)
        self._look_next()
        return None

    def _short_ns(self, now_ns: int) -> int:
        """Of a setpoint: until when it should not be released only to be begun again; 0 = the home has writes enough
        for doing so twice."""
        if self.sequence.write_class is not WriteClass.POWER or not self._cycle:
            return 0
        need = min(2 * self._cycle, most(self._budget, self._release, Share.HOME))
        free_ns = self.device.keeper.wear.free_ns(now_ns, self._budget, self._release, need, Share.HOME)
        return free_ns if free_ns > now_ns else 0

    def _refused(self, outcome: Outcome) -> Verdict | None:
        name = EXCEPTIONS.get(outcome.code, f"exception {outcome.code}")
        if outcome.code in BUSY_CODES and self._tries < RETRIES:
            self._tries += 1
            self.not_before_ns = outcome.at_ns + BUSY_NS
            return None
        what = "the write" if self._step < self._writes and self._look is None else "the read-back"
        return WriteOutcome.REJECTED, f"the device refused {what} of register {self.request.address}: {name}"

    def _difference(self, data: bytes) -> str | None:
        back = self.sequence.read_backs[self._step - self._writes]
        for n, (expected, seen) in enumerate(zip(back.expected, _words(data, len(back.expected)), strict=True)):
            if expected is not None and seen != expected:
                return f"register {back.address + n} reads {seen}, {expected} was written"
        return None


def _cycle(control: BoundControl) -> int:
    """The wearing writes of one taking of control with its release; 0 = it takes none, or each setpoint wears, so that
    holding on to control spares nothing."""
    if any(group.wears and not isinstance(put.value, int) for group in control.power for put in group.puts):
        return 0
    arm = sum(group.wears for group in (*control.arm, *control.power))
    return arm + sum(group.wears for group in control.clear) if arm else 0


def _words(data: bytes, count: int) -> tuple[int, ...]:
    """The registers of a reply."""
    return tuple(int.from_bytes(data[2 + 2 * n : 4 + 2 * n], "big") for n in range(count))


def _restoring(sequence: WriteSequence, keeper: Keeper) -> WriteSequence:
    """The same with what the owner had, where that is known, in the place of the profile's defaults."""
    known = {(kept.unit, kept.address): kept.words for kept in keeper.owner}
    if not known or not any(write.owner for write in sequence.writes):
        return sequence
    writes = []
    place: dict[tuple[int | None, int], int] = {}
    for write in sequence.writes:
        words = known.get((write.unit, write.address), write.words) if write.owner else write.words
        writes.append(replace(write, words=words))
        if write.owner:
            place.update({(write.unit, write.address + n): word for n, word in enumerate(words)})
    backs = tuple(_expecting(back, place) for back in sequence.read_backs)
    return replace(sequence, writes=tuple(writes), read_backs=backs)


def _expecting(back: ReadBack, place: dict[tuple[int | None, int], int]) -> ReadBack:
    expected = tuple(
        None if word is None else place.get((back.unit, back.address + n), word) for n, word in enumerate(back.expected)
    )
    return replace(back, expected=expected)
