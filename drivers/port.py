"""One RS-485 line or TCP connection as a sans-IO object: exactly one transaction in flight.

pymodbus makes the bytes and checks them (its PDUs, FramerRTU, FramerSocket); a reply is looked at once, when all of its
bytes are there. The guard of 3.5 characters, deadlines from wire time, and the rejection of everything that is not the
reply to the request in flight are here; what the rest was is the affair of `drivers.overheard`. Unit 0 is a unit like
any other: its reply must come from unit 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.dialect import Dialect, Kind
from drivers.events import Transmit
from drivers.modbus_pdu import (
    DecodePDU,
    FramerRTU,
    FramerSocket,
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)
from drivers.overheard import Counters, Frame, Overheard, frame_at, sound
from drivers.transaction import EXCEPTIONS, Fate, Outcome, Request
from drivers.waits import Tally, place

__all__ = ["EXCEPTIONS", "Counters", "Fate", "Outcome", "Port", "Request", "Timing"]

READS = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
SLACK_NS = 5_000_000  # scheduling of the machine, on top of every deadline
SLOWER_NS = 100_000  # how much slower at most a device is believed to be after one reply
TRUNCATED_NS = 30_000_000  # a reply that stopped in the middle is given up after this pause
GLITCH = 2  # bytes that an adapter may hear when the direction changes: not the beginning of a reply
MOST_BYTES = 1024  # beyond its reply, a request hears no more than this
MBAP = 6  # bytes before the length of a TCP frame is known
TCP_LENGTHS = range(3, 255)  # unit, function and one byte more, up to the longest PDU
RECENT_TIDS = 64
MOST_STRANGERS = 64


@dataclass(frozen=True, slots=True)
class Timing:
    """What the wire costs. All ns; zero on TCP."""

    char_ns: int
    t35_ns: int
    latency_ns: int

    @classmethod
    def serial(cls, baud: int, bits_per_char: int, latency_ns: int) -> Timing:
        """Modbus over serial line 2.5.1.1: 3.5 characters, or 1.75 ms above 19200 baud."""
        char = -(-bits_per_char * 1_000_000_000 // baud)
        return cls(char, -(-char * 7 // 2) if baud <= 19200 else 1_750_000, latency_ns)

    def registers_within(self, budget_ns: int) -> int:
        """How long a read may be so that its whole transaction (2 ms turnaround) fits the budget; at least 2."""
        if self.char_ns == 0:
            return 125
        fixed = 13 * self.char_ns + 2 * self.t35_ns + 2_000_000
        return max(2, min(125, (budget_ns - fixed) // (2 * self.char_ns)))


class Port:
    """Feed it bytes and times; ask it when the line is free."""

    def __init__(self, timing: Timing, tcp: bool, echo: bool = False) -> None:
        self.timing = timing
        self.counters = Counters()
        self.overheard = Overheard(self.counters)
        self.deadline_ns = 0
        self.ready_ns = 0
        self._tcp = tcp
        self._echo = echo
        decoder = DecodePDU(False)
        self._rtu = FramerRTU(decoder)
        self._socket = FramerSocket(decoder)
        self._request: Request | None = None
        self._buffer = b""
        self._echo_due = False
        self._sent_ns = 0
        self._tid = 0
        self._turnaround: dict[int, int] = {}
        self.tallies: dict[int, Tally] = {}  # of the units that somebody wants to know about
        self._last: Request | None = None
        self._periods: dict[int, int] = {}  # unit -> from one request to it to the next
        self._rests: dict[int, int] = {}  # unit -> until when it rests
        self._full_ns = 0  # the deadline as it was at first
        self._strangers: list[Frame] = []  # heard while we wait

    # --- requests -----------------------------------------------------------------------------------------------------
    def read(self, unit: int, function: int, address: int, count: int, response_ns: int, gap_ns: int = 0) -> Request:
        """A read of `count` registers (functions 3, 4) or bits (1, 2)."""
        pdu = READS[function](address=address, count=count)
        size = count * 2 if function in (3, 4) else (count + 7) // 8
        head = bytes((unit, function, size))
        return self._make(unit, function, address, pdu.encode(), head, size, response_ns, gap_ns)

    def ask(
        self, dialect: Dialect, unit: int, function: int, first: int, count: int, response_ns: int, gap_ns: int = 0
    ) -> Request:
        """A read of `count` registers of a dialect's image."""
        frame, reply_len = dialect.request(unit, function), dialect.reply_len(function)
        wire = (len(frame) + reply_len) * self.timing.char_ns + self.timing.t35_ns
        head = bytes((unit,)) + type(dialect).__name__.encode()  # a late reply may not tell which command it answers
        return Request(
            unit, function, function, b"", frame, head, reply_len, wire, response_ns, gap_ns, dialect, first, count
        )

    def write(
        self, unit: int, function: int, address: int, words: tuple[int, ...], response_ns: int, gap_ns: int = 0
    ) -> Request:
        """A write by function 6 (one register) or 16."""
        kind = WriteSingleRegisterRequest if function == 6 else WriteMultipleRegistersRequest
        body = kind(address=address, registers=list(words)).encode()
        return self._make(unit, function, address, body, bytes((unit, function)) + body[:4], 3, response_ns, gap_ns)

    def _make(
        self, unit: int, function: int, address: int, body: bytes, head: bytes, size: int, response_ns: int, gap_ns: int
    ) -> Request:
        payload = bytes((function,)) + body
        frame = self._rtu.encode(payload, unit, 0)
        reply_len = size + 5
        wire = (len(frame) + reply_len) * self.timing.char_ns + self.timing.t35_ns
        if self._tcp:
            reply_len = size + 9
        return Request(unit, function, address, payload, frame, head, reply_len, wire, response_ns, gap_ns)

    # --- one transaction ----------------------------------------------------------------------------------------------
    @property
    def busy(self) -> bool:
        """A reply is awaited."""
        return self._request is not None

    def held_until(self, request: Request, again: bool = True) -> int:
        """Until when this must wait: for the device's own pace, or as `Overheard.held_until` says (on TCP the
        transaction id tells replies apart)."""
        held_ns = self.overheard.held_until(request, again)
        return max(held_ns, self._rests.get(request.unit, 0)) if self._rests else held_ns

    def pace(self, unit: int, period_ns: int) -> None:
        """At least so long from one request to that unit to the next; other units do not wait for it."""
        if period_ns:
            self._periods[unit] = period_ns

    def send(self, request: Request, now_ns: int) -> Transmit:
        """Start a transaction; call only when not busy and `ready_ns` has passed."""
        self._request = request
        if not self._tcp:  # there, a frame may be half here
            self._buffer = b""
        self._strangers = []
        self._echo_due = self._echo
        self._sent_ns = now_ns
        self.counters.transactions += 1
        if self._periods and request.unit in self._periods:
            self._rests[request.unit] = now_ns + self._periods[request.unit]
        frame, reply_len = request.frame, request.reply_len
        if self._tcp:
            self._tid = self._tid % 0xFFFF + 1
            frame = self._socket.encode(request.payload, request.unit, self._tid)
        elif self._echo:
            reply_len += len(frame)
        end_ns = now_ns + request.wire_ns
        self.deadline_ns = self._full_ns = end_ns + request.response_ns + self.timing.latency_ns + SLACK_NS
        return Transmit(frame, reply_len, end_ns + self._turnaround.get(request.unit, 0), self.deadline_ns)

    def feed(self, data: bytes, at_ns: int) -> Outcome | None:
        """Bytes that arrived. An Outcome when they end the transaction."""
        self.ready_ns = at_ns + self.timing.t35_ns
        request = self._request
        if request is None:
            self.stray(data, at_ns)
            return None
        self._buffer = self._buffer + data if self._buffer else data
        if request.dialect is not None:
            outcome = self._scan_dialect(request, request.dialect, at_ns)
        else:
            outcome = self._scan_tcp(request, at_ns) if self._tcp else self._scan_rtu(request, at_ns)
        if outcome is None and len(self._buffer) > request.reply_len + MOST_BYTES:
            outcome = self._garbled(at_ns)
        if outcome is not None:
            return self._end(outcome)
        if not self._tcp:
            self._wait_for_rest(request, at_ns)
        return None

    def _wait_for_rest(self, request: Request, at_ns: int) -> None:
        """A reply that has begun goes on without a pause; a glitch before it is no beginning."""
        buffer = self._buffer
        if len(buffer) > GLITCH or (buffer and request.head.startswith(buffer)):
            rest_ns = max(0, request.reply_len - len(buffer)) * self.timing.char_ns
            self.deadline_ns = min(self.deadline_ns, at_ns + rest_ns + self.timing.latency_ns + TRUNCATED_NS)
        else:
            self.deadline_ns = self._full_ns

    def stray(self, data: bytes, at_ns: int) -> None:
        """Bytes that came while nothing was asked."""
        if not self._tcp:
            self.overheard.idle(data, at_ns, self._last)
            return
        self._buffer += data
        while (pdu := self._next_tcp()) is not None:
            if not pdu:
                self._buffer = self._buffer[:MBAP]  # no Modbus: the next scan ends the connection
                break
            self._count_tcp(pdu[0])

    def expire(self, now_ns: int) -> Outcome | None:
        """TIMEOUT if the deadline has come."""
        request = self._request
        if request is None or now_ns < self.deadline_ns:
            return None
        self.counters.timeouts += 1
        if not self._tcp:  # there, the transaction id tells replies apart
            if self._buffer.startswith(request.frame) and not self._echo:
                self._hears_itself()
            self.overheard.given_up(request, now_ns)
            self.overheard.mistaken(request, self._strangers)
        self.ready_ns = now_ns
        return self._end(Outcome(Fate.TIMEOUT, now_ns))

    def reset(self, now_ns: int) -> None:
        """The line was opened or lost: nothing is in flight, and 3.5 characters of silence come first."""
        self._request = None
        self._buffer = b""
        self.ready_ns = now_ns + self.timing.t35_ns

    def _end(self, outcome: Outcome) -> Outcome:
        request = self._request
        if request is not None:
            self.ready_ns += request.gap_ns
            tally = self.tallies.get(request.unit)
            if outcome.fate is not Fate.TIMEOUT:
                for frame in self._strangers:
                    self.overheard.stranger(frame, outcome.at_ns)
                self.overheard.answered(request, outcome.at_ns, self._full_ns)
            if outcome.fate is Fate.DATA:
                if self._echo_due:
                    self._echo = False  # the reply came without it: another adapter, or it was switched off
                turn = max(0, outcome.at_ns - self._sent_ns - request.wire_ns)
                if tally is not None:
                    tally.waits[place(turn)] += 1
                known = self._turnaround.get(request.unit, 0)
                # A nap must end before the reply does, or its end is not seen and taken for later than it is: a faster
                # device is followed at once and a bit further, a slower one (or a stall of this machine) gradually.
                slower_ns = min(SLOWER_NS, (turn - known) // 16)
                self._turnaround[request.unit] = known + slower_ns if turn >= known else turn - turn // 8
            elif tally is not None:
                tally.failed(outcome.fate.value)
        if outcome.fate is Fate.EXCEPTION:
            self.counters.exceptions += 1
        self._last, self._request = request, None
        if not self._tcp:
            self._buffer = b""
        return outcome

    def _garbled(self, at_ns: int) -> Outcome:
        self.counters.crc_errors += 1
        return Outcome(Fate.GARBLED, at_ns)

    def _hears_itself(self) -> None:
        """The adapter's echo is expected from now on."""
        self._echo = True
        self.counters.echoes += 1

    # --- RTU ----------------------------------------------------------------------------------------------------------
    def _scan_rtu(self, request: Request, at_ns: int) -> Outcome | None:
        if self._echo_due and not self._strip_echo(request):
            return None
        buffer = self._buffer
        if buffer.startswith(request.head):
            if len(buffer) < request.reply_len:
                return None
            if len(buffer) == request.reply_len and sound(buffer):
                return Outcome(Fate.DATA, at_ns, buffer[1:-2])
        return self._dig(request, at_ns)

    def _strip_echo(self, request: Request) -> bool:
        """Whether the buffer is free of our own request; takes it off once it is complete."""
        if self._buffer.startswith(request.frame):
            self._buffer = self._buffer[len(request.frame) :]
            self._echo_due = False
            return True
        return not request.frame.startswith(self._buffer)

    def _dig(self, request: Request, at_ns: int) -> Outcome | None:
        """Ours is not all that came: it is a refusal, or noise or somebody else's frames stand before or behind it."""
        denied = bytes((request.unit, request.function | 0x80))
        at = clean = 0  # clean: behind the last frame that was somebody's
        buffer = self._buffer
        while at < len(buffer):
            for head, length in ((request.head, request.reply_len), (denied, 5)):
                if not buffer.startswith(head, at):
                    continue
                frame = buffer[at : at + length]
                if len(frame) < length:
                    self._buffer = buffer[at:]
                    return None  # the rest is still to come
                if sound(frame):
                    self.counters.noise += at > clean
                    self.overheard.idle(buffer[at + length :], at_ns, request)
                    if head is denied:
                        return Outcome(Fate.EXCEPTION, at_ns, code=frame[2])
                    return Outcome(Fate.DATA, at_ns, frame[1:-2])
            other = frame_at(buffer, at)
            at += 1 if other is None else len(other.data)
            if other is not None:
                self._heard(other, request, at_ns)
                clean = at
        self._buffer = buffer = buffer[clean:]
        return None if len(buffer) < request.reply_len else self._garbled(at_ns)

    def _heard(self, frame: Frame, request: Request, at_ns: int) -> None:
        """A sound frame that is not our answer, while we wait."""
        if frame.data == request.frame and not self._echo:
            self._hears_itself()
        elif not self.overheard.own(frame, at_ns) and len(self._strangers) < MOST_STRANGERS:
            self._strangers.append(frame)

    # --- dialects -----------------------------------------------------------------------------------------------------
    def _scan_dialect(self, request: Request, dialect: Dialect, at_ns: int) -> Outcome | None:
        if self._echo_due and not self._strip_echo(request):
            return None
        while self._buffer:
            found = dialect.scan(request.unit, request.function, self._buffer)
            if found is None:
                return None
            self._buffer = self._buffer[found.used :]
            if found.kind is Kind.DATA:
                size = 2 * request.count
                data = found.image[2 * request.first : 2 * request.first + size]
                return Outcome(Fate.DATA, at_ns, bytes((request.function, size & 0xFF)) + data)
            if found.kind is Kind.REFUSED:
                return Outcome(Fate.EXCEPTION, at_ns, code=found.code)
            if found.kind is Kind.GARBLED:
                self.counters.crc_errors += 1
                return Outcome(Fate.GARBLED, at_ns)
            self.counters.foreign += 1
        return None

    # --- TCP ----------------------------------------------------------------------------------------------------------
    def _scan_tcp(self, request: Request, at_ns: int) -> Outcome | None:
        while (found := self._next_tcp()) is not None:
            if not found:
                return self._garbled(at_ns)
            tid, unit, payload = found
            if tid != self._tid or unit != request.unit or payload[0] & 0x7F != request.function:
                self._count_tcp(tid)
            elif payload[0] & 0x80 and len(payload) == 2:
                return Outcome(Fate.EXCEPTION, at_ns, code=payload[1])
            elif payload.startswith(request.head[1:]) and len(payload) == request.reply_len - 7:
                return Outcome(Fate.DATA, at_ns, payload)
            else:
                self.counters.foreign += 1
        return None

    def _next_tcp(self) -> tuple[int, int, bytes] | tuple[()] | None:
        """Takes the next frame off the buffer: transaction, unit, PDU. None = not all here, () = this is no Modbus."""
        if len(self._buffer) < MBAP:
            return None
        if self._buffer[2:4] != b"\0\0" or int.from_bytes(self._buffer[4:6], "big") not in TCP_LENGTHS:
            return ()
        used, unit, tid, payload = self._socket.decode(self._buffer)
        if not used:
            return None
        self._buffer = self._buffer[used:]
        return tid, unit, payload

    def _count_tcp(self, tid: int) -> None:
        """Not the reply that is awaited: an older one of ours, or nobody's."""
        if 0 < (self._tid - tid) % 0x10000 < RECENT_TIDS:
            self.counters.late += 1
        else:
            self.counters.foreign += 1
