"""All devices of one line, sans-IO: events and the time in, effects out.

Who goes next when the line is free: STOP, other orders (`drivers.desk`), an interrupted retry, then polls by their due
time with fast blocks ahead. An order waits for the transaction in flight and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.binding import DeviceSpec
from drivers.desk import NEVER_NS, Desk
from drivers.device import Ask, Device, Poll
from drivers.events import (
    Adopt,
    BusEffect,
    BusEvent,
    Emit,
    Execute,
    Look,
    Looked,
    Lost,
    Opened,
    Received,
    Remembered,
    Reopen,
    Stray,
    Tell,
    Told,
    Wake,
    WakeAt,
)
from drivers.guests import Guest, Guests
from drivers.line_stats import stats_of
from drivers.orders import Order
from drivers.port import Fate, Outcome, Port, Request, Timing
from drivers.waits import Tally

__all__ = ["Bus", "BusSpec", "DeviceSpec"]

S = 1_000_000_000
RETRIES = 2
STATS_NS = 10 * S
REOPEN_MIN_NS = S // 2
REOPEN_MAX_NS = 8 * S
TCP_MISSES = 3  # timeouts in a row after which a connection is made anew
SLOW_BUDGET_NS = 85_000_000  # longest transaction at 9600 baud and below: about 30 registers
BUDGET_NS = 60_000_000


@dataclass(frozen=True, slots=True)
class BusSpec:
    """One line. `latency_ns`: of the adapter. `echo`: it hears itself. `budget_ns`: of one poll, 0 = by baud."""

    name: str
    baud: int = 19200
    bits_per_char: int = 10
    tcp: bool = False
    latency_ns: int = 0
    echo: bool = False
    budget_ns: int = 0


class Bus:
    """One line and its devices."""

    def __init__(self, spec: BusSpec, devices: Sequence[DeviceSpec]) -> None:
        self._spec = spec
        timing = (
            Timing(0, 0, spec.latency_ns) if spec.tcp else Timing.serial(spec.baud, spec.bits_per_char, spec.latency_ns)
        )
        self._port = Port(timing, spec.tcp, spec.echo)
        budget_ns = spec.budget_ns or (SLOW_BUDGET_NS if spec.baud <= 9600 else BUDGET_NS)
        cap = timing.registers_within(budget_ns)
        self._devices = [Device(device, self._port, cap) for device in devices]
        self._by_name = {device.spec.name: device for device in self._devices}
        for device in self._devices:
            units = {**dict(device.spec.profile.units), **device.spec.units}
            for unit in (device.spec.unit, *units.values()):
                self._port.tallies[unit] = Tally()
        dialects = frozenset(device.profile.dialect for device in devices)
        self._guests = Guests(self._port, dialects, least_unit=0 if spec.tcp else 1)
        self._open = False
        self._desk = Desk(self._port, self._by_name)
        self._flight: Poll | Ask | Order | Guest | None = None
        self._again: Poll | Ask | None = None
        self._retries = 0
        self._wake_ns = NEVER_NS
        self._stats_ns = 0
        self._reopen_ns = REOPEN_MIN_NS
        self._tcp_misses = 0

    @property
    def waiting(self) -> bool:
        """A reply is awaited: whoever reads the line should go on reading until its deadline."""
        return self._flight is not None

    def handle(self, event: BusEvent, now_ns: int) -> list[BusEffect]:
        """One event. The effects, in order; the last is the next WakeAt."""
        out: list[BusEffect] = []
        kind = type(event)
        if kind is Received:
            assert isinstance(event, Received)
            outcome = self._port.feed(event.data, event.at_ns) or self._port.expire(now_ns)
            if outcome is not None:
                self._ended(outcome, now_ns, out)
        elif kind is Wake:
            outcome = self._port.expire(now_ns)
            if outcome is not None:
                self._ended(outcome, now_ns, out)
        elif isinstance(event, Execute):
            self._desk.execute(event.sequence, now_ns, out)
        elif isinstance(event, Opened):
            self._opened(now_ns, out)
        elif isinstance(event, Lost):
            self._lost(event.reason, now_ns, out)
        elif isinstance(event, Stray):
            self._port.stray(event.data, event.at_ns)
        elif isinstance(event, Adopt) and event.device in self._by_name:
            self._by_name[event.device].adopt(now_ns, out)
        elif isinstance(event, Remembered) and event.device in self._by_name:
            self._by_name[event.device].keeper.stored(event.number)
        elif isinstance(event, Look):
            self._look(event, now_ns, out)
        elif isinstance(event, Tell):
            out.append(Emit(Told(event.conn, stats_of(self._spec.name, self._port))))
        self._advance(now_ns, out)
        return out

    # --- the line -----------------------------------------------------------------------------------------------------
    def _opened(self, now_ns: int, out: list[BusEffect]) -> None:
        self._open = True
        self._tcp_misses = 0
        self._flight = self._again = None
        self._port.reset(now_ns)
        for device in self._devices:
            device.opened(now_ns, out)

    def _lost(self, reason: str, now_ns: int, out: list[BusEffect]) -> None:
        self._open = False
        self._flight = self._again = None
        self._port.reset(now_ns)
        self._desk.lost(reason, now_ns, out)
        for device in self._devices:
            device.lost(now_ns, reason, out)
        out += [Emit(told) for told in self._guests.lost()]
        out.append(Reopen(now_ns + self._reopen_ns))
        self._reopen_ns = min(2 * self._reopen_ns, REOPEN_MAX_NS)

    def _listen(self, now_ns: int, out: list[BusEffect]) -> None:
        """Another master came, or was quiet for long enough. Until then nothing is written but a release: our requests
        collide with its own, and an answer to it could pass for the proof of our write."""
        trouble = self._port.overheard.trouble(now_ns)
        if trouble:
            self._wake_ns = min(self._wake_ns, self._port.overheard.until_ns)
        if trouble == self._desk.trouble:
            return
        for device in self._devices:
            device.on_line(trouble, now_ns, out)
        self._desk.on_line(trouble, now_ns, out)

    # --- what goes next -----------------------------------------------------------------------------------------------
    def _advance(self, now_ns: int, out: list[BusEffect]) -> None:
        if not self._stats_ns:
            self._stats_ns = now_ns + STATS_NS
        elif now_ns >= self._stats_ns:
            self._stats_ns += STATS_NS
            out.append(Emit(stats_of(self._spec.name, self._port)))
        self._wake_ns = self._stats_ns
        if self._desk.trouble or self._port.overheard.until_ns:
            self._listen(now_ns, out)
        desk = self._desk
        if desk.waiting:
            desk.drop(now_ns, out)
        if self._port.busy:
            self._wake_ns = min(self._wake_ns, self._port.deadline_ns)
        elif self._open:
            self._start(now_ns, out)
        for order in desk.waiting.values():
            self._wake_ns = min(self._wake_ns, order.sequence.not_after_ns + 1)
        out.append(WakeAt(self._wake_ns))

    def _start(self, now_ns: int, out: list[BusEffect]) -> None:
        job: Poll | Ask | Order | Guest | None = None
        if self._desk.waiting or self._desk.active:
            job = self._desk.next(now_ns, out)
            self._wake_ns = min(self._wake_ns, self._desk.due_ns)
        if job is None:
            job = self._held_again(now_ns) if self._again is not None else self._due(now_ns)
        if self._guests.waiting and self._again is None and (job is None or type(job) is Poll):
            job = self._or_guest(job, now_ns)
        if job is None:
            return
        if now_ns < self._port.ready_ns:
            self._wake_ns = min(self._wake_ns, self._port.ready_ns)
            return
        if job is self._again:
            self._again = None
        else:
            self._retries = 0
        if type(job) is Poll:
            job.due_ns += job.every_ns
            if job.due_ns <= now_ns:
                job.due_ns = now_ns + job.every_ns
            request = job.request
        else:
            request = self._begin(job, now_ns)
        self._flight = job
        out.append(self._port.send(request, now_ns))
        self._wake_ns = min(self._wake_ns, self._port.deadline_ns)

    def _held_again(self, now_ns: int) -> Poll | Ask | None:
        """The retry, once its device may be asked again."""
        job = self._again
        held_ns = 0 if job is None else self._port.held_until(job.request)
        if held_ns <= now_ns:
            return job
        self._wake_ns = min(self._wake_ns, held_ns)
        return None

    @staticmethod
    def _begin(job: Poll | Ask | Order | Guest, now_ns: int) -> Request:
        if isinstance(job, Order):
            job.sent_ns = job.sent_ns or now_ns
        elif isinstance(job, Guest):
            job.sent_ns = now_ns
        return job.request

    def _due(self, now_ns: int) -> Poll | Ask | None:
        best: Poll | Ask | None = None
        best_key = NEVER_NS
        port, wake_ns = self._port, self._wake_ns
        for device in self._devices:
            ask = device.ask
            if ask is not None:
                ask_ns = max(ask.due_ns, port.held_until(ask.request))
                if ask_ns > now_ns:
                    wake_ns = min(wake_ns, ask_ns)
                elif ask.due_ns < best_key:
                    best, best_key = ask, ask.due_ns
            for poll in device.polls:
                due_ns = poll.due_ns
                if due_ns > now_ns:
                    if due_ns < wake_ns:
                        wake_ns = due_ns
                else:
                    key = due_ns if poll.touched else due_ns + poll.handicap_ns
                    if key < best_key:
                        held_ns = port.held_until(poll.request)
                        if held_ns > now_ns:
                            wake_ns = min(wake_ns, held_ns)
                        else:
                            best, best_key = poll, key
        self._wake_ns = wake_ns
        return best

    # --- how it ended -------------------------------------------------------------------------------------------------
    def _ended(self, outcome: Outcome, now_ns: int, out: list[BusEffect]) -> None:
        job, self._flight = self._flight, None
        if job is None:
            return
        if isinstance(job, Order):
            self._desk.ended(job, outcome, out)
        elif isinstance(job, Guest):
            self._guest_ended(job, outcome, now_ns, out)
            return
        elif outcome.fate is Fate.GARBLED and self._retries < RETRIES:
            self._retries += 1
            self._port.counters.retries += 1
            self._again = job
        elif outcome.fate is not Fate.GARBLED or isinstance(job, Ask):
            job.device.ended(job, outcome, out)
        elif isinstance(job, Poll):
            job.device.missed(outcome.at_ns, out, garbled=True)
        if outcome.fate is Fate.DATA:
            self._reopen_ns = REOPEN_MIN_NS
            self._tcp_misses = 0
        elif self._spec.tcp and outcome.fate is not Fate.EXCEPTION:
            self._tcp_misses += 1
            if self._tcp_misses >= TCP_MISSES or outcome.fate is Fate.GARBLED:
                self._lost("the other end does not answer; connecting anew", now_ns, out)

    # --- what people ask ----------------------------------------------------------------------------------------------
    def _look(self, look: Look, now_ns: int, out: list[BusEffect]) -> None:
        told = self._guests.add(look, now_ns) if self._open else Looked(look.conn, "lost")
        if told is not None:
            out.append(Emit(told))

    def _or_guest(self, job: Poll | None, now_ns: int) -> Poll | Guest | None:
        """The guest that waits, where the poll may wait for it."""
        due_ns = self._guests.due_ns
        if due_ns > now_ns:
            self._wake_ns = min(self._wake_ns, due_ns)
            return job
        return self._guests.next(now_ns, job is None) or job

    def _guest_ended(self, guest: Guest, outcome: Outcome, now_ns: int, out: list[BusEffect]) -> None:
        # whether somebody is there is what was asked: silence is no fault of the line, and no device's
        if outcome.fate is Fate.TIMEOUT:
            self._port.counters.timeouts -= 1
        told = self._guests.ended(guest, outcome, now_ns)
        if told is not None:
            out.append(Emit(told))
