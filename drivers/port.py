"""One RS-485 line or TCP connection as a sans-IO object: exactly one transaction in flight.

pymodbus makes and takes apart the bytes (its PDUs, FramerRTU, FramerSocket); a reply is decoded once, when all of its
bytes are there. The guard of 3.5 characters, deadlines from wire time, and the rejection of everything that is not the
reply to the request in flight are here. Unit 0 is a unit like any other: its reply must come from unit 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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
from drivers.waits import Tally, place

READS = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
SLACK_NS = 5_000_000  # scheduling of the machine, on top of every deadline
TRUNCATED_NS = 30_000_000  # a reply that stopped in the middle is given up after this pause

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "accepted, not done yet",
    6: "busy",
    8: "memory parity error",
    10: "no gateway path",
    11: "gateway target does not answer",
}


class Fate(Enum):
    """How a transaction ended."""

    DATA = "data"
    EXCEPTION = "exception"
    GARBLED = "garbled"  # all bytes came and they are not a sound frame: worth an immediate retry
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`data` is the reply PDU (function code first) of DATA; `code` that of an exception."""

    fate: Fate
    at_ns: int
    data: bytes = b""
    code: int = 0


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


@dataclass(frozen=True, slots=True)
class Request:
    """One transaction, its bytes made once. `head` is how the only acceptable reply begins (RTU: unit first)."""

    unit: int
    function: int
    address: int
    payload: bytes
    frame: bytes
    head: bytes
    reply_len: int
    wire_ns: int  # first byte of the request to last of the reply, with t3.5 between and no turnaround
    response_ns: int
    gap_ns: int
    dialect: Dialect | None = None  # the reply is an image of which `count` registers from `first` are wanted
    first: int = 0
    count: int = 0


@dataclass(slots=True)
class Counters:
    """Since start."""

    transactions: int = 0
    crc_errors: int = 0
    timeouts: int = 0
    exceptions: int = 0
    foreign: int = 0
    retries: int = 0


class Port:
    """Feed it bytes and times; ask it when the line is free."""

    def __init__(self, timing: Timing, tcp: bool, echo: bool = False) -> None:
        self.timing = timing
        self.counters = Counters()
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
        self._doubt: tuple[bytes, int, int] = (b"", 0, 0)  # head, address, until

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

    def held_until(self, request: Request) -> int:
        """After a timeout a late reply could pass for that of another read of the same shape: until when to wait."""
        head, address, until = self._doubt
        return until if request.head == head and request.address != address else 0

    def send(self, request: Request, now_ns: int) -> Transmit:
        """Start a transaction; call only when not busy and `ready_ns` has passed."""
        self._request = request
        self._buffer = b""
        self._echo_due = self._echo
        self._sent_ns = now_ns
        self.counters.transactions += 1
        frame, reply_len = request.frame, request.reply_len
        if self._tcp:
            self._tid = self._tid % 0xFFFF + 1
            frame = self._socket.encode(request.payload, request.unit, self._tid)
        elif self._echo:
            reply_len += len(frame)
        end_ns = now_ns + request.wire_ns
        self.deadline_ns = end_ns + request.response_ns + self.timing.latency_ns + SLACK_NS
        return Transmit(frame, reply_len, end_ns + self._turnaround.get(request.unit, 0), self.deadline_ns)

    def feed(self, data: bytes, at_ns: int) -> Outcome | None:
        """Bytes that arrived. An Outcome when they end the transaction."""
        self.ready_ns = at_ns + self.timing.t35_ns
        if self._request is None:
            self.counters.foreign += bool(data)
            return None
        self._buffer = self._buffer + data if self._buffer else data
        if self._request.dialect is not None:
            outcome = self._scan_dialect(self._request, self._request.dialect, at_ns)
        else:
            outcome = self._scan_tcp(self._request, at_ns) if self._tcp else self._scan_rtu(self._request, at_ns)
        if outcome is None:
            if self._buffer and not self._tcp:
                rest_ns = max(0, self._request.reply_len - len(self._buffer)) * self.timing.char_ns
                self.deadline_ns = min(self.deadline_ns, at_ns + rest_ns + self.timing.latency_ns + TRUNCATED_NS)
            return None
        return self._end(outcome)

    def expire(self, now_ns: int) -> Outcome | None:
        """TIMEOUT if the deadline has come."""
        request = self._request
        if request is None or now_ns < self.deadline_ns:
            return None
        self.counters.timeouts += 1
        if self._buffer and not self._tcp:
            if self._buffer.startswith(request.frame):
                self._echo = True
            elif request.dialect is None and self._rtu.decode(self._buffer)[3]:
                self.counters.foreign += 1
        if not self._tcp:  # there, the transaction id tells replies apart
            self._doubt = (request.head, request.address, now_ns + request.response_ns)
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
            if outcome.fate is Fate.DATA:
                turn = max(0, outcome.at_ns - self._sent_ns - request.wire_ns)
                if tally is not None:
                    tally.waits[place(turn)] += 1
                known = self._turnaround.get(request.unit)
                # follows a faster device at once and a slower one gradually, so that no nap ends after the reply
                self._turnaround[request.unit] = turn if known is None or turn < known else known + (turn - known) // 16
            elif tally is not None:
                tally.failed(outcome.fate.value)
        if outcome.fate is Fate.EXCEPTION:
            self.counters.exceptions += 1
        self._request = None
        self._buffer = b""
        return outcome

    # --- RTU ----------------------------------------------------------------------------------------------------------
    def _scan_rtu(self, request: Request, at_ns: int) -> Outcome | None:
        if self._echo_due and not self._strip_echo(request):
            return None
        buffer = self._buffer
        size = len(buffer)
        if size >= request.reply_len and buffer.startswith(request.head):
            payload = self._rtu.decode(buffer[: request.reply_len])[3]
            if payload:
                self.counters.foreign += size > request.reply_len
                return Outcome(Fate.DATA, at_ns, payload)
        denied = bytes((request.unit, request.function | 0x80))
        if size >= 5 and buffer.startswith(denied):
            payload = self._rtu.decode(buffer[:5])[3]
            if payload:
                return Outcome(Fate.EXCEPTION, at_ns, code=payload[1])
        if size < request.reply_len:
            return None
        return self._dig(request, denied, at_ns)

    def _strip_echo(self, request: Request) -> bool:
        """Whether the buffer is free of our own request; takes it off once it is complete."""
        if self._buffer.startswith(request.frame):
            self._buffer = self._buffer[len(request.frame) :]
            self._echo_due = False
            return True
        return not request.frame.startswith(self._buffer)

    def _dig(self, request: Request, denied: bytes, at_ns: int) -> Outcome | None:
        """Enough bytes came, and ours is not at their front: noise before it, somebody else's frame, or garble."""
        buffer = self._buffer
        if buffer.startswith(request.frame):
            self._echo = True  # the adapter hears itself: from now on its echo is expected
            self._buffer = buffer[len(request.frame) :]
            return self._scan_rtu(request, at_ns)
        for head, length in ((request.head, request.reply_len), (denied, 5)):
            begin = buffer.find(head, 1)
            if begin < 0:
                continue
            if len(buffer) - begin < length:
                return None  # the rest is still to come
            payload = self._rtu.decode(buffer[begin : begin + length])[3]
            if payload:
                self.counters.foreign += 1
                if head is denied:
                    return Outcome(Fate.EXCEPTION, at_ns, code=payload[1])
                return Outcome(Fate.DATA, at_ns, payload)
        if not buffer.startswith(request.head) and self._rtu.decode(buffer)[3]:
            self.counters.foreign += 1  # a sound frame of another unit, function or length: ours may still come
            self._buffer = b""
            return None
        self.counters.crc_errors += 1
        return Outcome(Fate.GARBLED, at_ns)

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
        while len(self._buffer) >= 8:
            if self._buffer[2:4] != b"\0\0":
                self.counters.crc_errors += 1
                return Outcome(Fate.GARBLED, at_ns)
            used, unit, tid, payload = self._socket.decode(self._buffer)
            if not used:
                return None
            self._buffer = self._buffer[used:]
            if tid != self._tid or unit != request.unit or payload[0] & 0x7F != request.function:
                self.counters.foreign += 1
            elif payload[0] & 0x80:
                return Outcome(Fate.EXCEPTION, at_ns, code=payload[1])
            elif payload.startswith(request.head[1:]) and len(payload) == request.reply_len - 7:
                return Outcome(Fate.DATA, at_ns, payload)
            else:
                self.counters.foreign += 1
        return None
