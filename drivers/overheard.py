"""What is heard on a line that is not the answer to the request in flight: who said it, and what it says of the line.

Pure. Four things are told apart and counted: late answers to requests of ours that were given up, requests of another
master, answers that nobody of us asked for, and noise. Two sound frames of somebody else within `QUIET_NS` are proof of
a second master (safety table row 26): its questions collide with ours, and its answers pass for ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modbus_pdu import FramerRTU
from drivers.transaction import Request

S = 1_000_000_000
QUIET_NS = 60 * S  # so long nobody else must be heard before the line counts as ours alone
MOST_NS = 10 * S  # an answer later than this is none
IDLE_BYTES = 512  # of a burst that nobody asked for, so many are looked at
READS = (1, 2, 3, 4)
WRITES_ONE = (5, 6)
WRITES_MANY = (15, 16)
BITS = (1, 2)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame whose CRC holds. `asks`: a master sent it (a single write looks the same from both sides)."""

    data: bytes
    asks: bool

    @property
    def unit(self) -> int:
        """Who is asked, or who answers."""
        return self.data[0]

    @property
    def function(self) -> int:
        """Without the bit that marks a refusal."""
        return self.data[1] & 0x7F

    def words(self) -> str:
        """For people: what was asked of whom."""
        if self.asks:
            return f"asks unit {self.unit} (function {self.function}, register {int.from_bytes(self.data[2:4], 'big')})"
        return f"is answered by unit {self.unit} (function {self.function}, {len(self.data)} bytes)"


_CRC = tuple(FramerRTU.crc16_table)


def sound(data: bytes) -> bool:
    """The last two bytes are the CRC of the others. Half the time of pymodbus' own: most of what a poll computes."""
    crc, table = 0xFFFF, _CRC
    for byte in data:
        crc = (crc >> 8) ^ table[(crc & 0xFF) ^ byte]
    return crc == 0


def frame_at(buffer: bytes, at: int) -> Frame | None:
    """The sound frame of plain Modbus that begins there, if one does."""
    left = len(buffer) - at
    if left < 5 or buffer[at] > 247:
        return None
    for length, asks in _lengths(buffer, at, left):
        if 5 <= length <= left and sound(buffer[at : at + length]):
            return Frame(buffer[at : at + length], asks)
    return None


def _lengths(buffer: bytes, at: int, left: int) -> tuple[tuple[int, bool], ...]:
    """How long a frame that begins there would be, by its function: as a request, as an answer."""
    function, third = buffer[at + 1], buffer[at + 2]
    if function in READS:
        asked = int.from_bytes(buffer[at + 4 : at + 6], "big") if left >= 8 else 0
        request = 8 if 1 <= asked <= (2000 if function in BITS else 125) else 0
        answer = 5 + third if third and (function in BITS or not third % 2) else 0
        return (request, True), (answer, False)
    if function in WRITES_ONE:
        return ((8, True),)
    if function in WRITES_MANY:
        return (9 + buffer[at + 6] if left > 8 else 0, True), (8, False)
    known = (*READS, *WRITES_ONE, *WRITES_MANY)
    return ((5, False),) if function & 0x80 and function & 0x7F in known else ()


def frames_of(buffer: bytes) -> tuple[list[Frame], int]:
    """Every sound frame in it, and how many bytes belong to none."""
    found: list[Frame] = []
    at = noise = 0
    while at < len(buffer):
        frame = frame_at(buffer, at)
        if frame is not None:
            found.append(frame)
        else:
            noise += 1
        at += 1 if frame is None else len(frame.data)
    return found, noise


@dataclass(slots=True)
class Counters:
    """Since start."""

    transactions: int = 0
    crc_errors: int = 0
    timeouts: int = 0
    exceptions: int = 0
    foreign: int = 0  # answers that nobody of us asked for: another unit, function or length
    retries: int = 0
    late: int = 0  # answers to requests of ours that had been given up
    requests: int = 0  # of another master
    noise: int = 0  # bursts that are no frame
    echoes: int = 0  # of our own requests


@dataclass(slots=True)
class _Owed:
    """Answers to requests of this shape that may still come, until when, and which request it was."""

    request: Request
    count: int
    until_ns: int
    bound_ns: int  # a poll that repeats faster than that must not keep the others from being asked for ever


def _answers(frame: Frame, asked: Request) -> bool:
    """It has the shape of an answer to that: data, or a refusal."""
    if len(frame.data) == 5 and frame.data[:2] == bytes((asked.unit, asked.function | 0x80)):
        return True
    return frame.data.startswith(asked.head) and len(frame.data) == asked.reply_len


class Overheard:
    """The memory of one line."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.until_ns = 0  # two masters until then; 0 = one
        self._sentence = ""
        self._last_ns = -QUIET_NS  # the last frame of somebody else
        self._owed: dict[bytes, _Owed] = {}
        self._wrong: dict[tuple[int, int], int] = {}  # (asked unit, the one that answered) -> how often

    # --- answers that may still come ----------------------------------------------------------------------------------
    def given_up(self, request: Request, now_ns: int) -> None:
        """A request timed out. Its answer may come as late again as it was given time for, twice over."""
        self._owed = {head: owed for head, owed in self._owed.items() if owed.until_ns > now_ns}
        owed = self._owed.get(request.head)
        wait_ns = min(2 * request.response_ns, MOST_NS)
        count = 1 if owed is None else owed.count + 1
        self._owed[request.head] = _Owed(request, count, now_ns + wait_ns, now_ns + 2 * wait_ns)

    def answered(self, request: Request, now_ns: int, deadline_ns: int) -> None:
        """This may have been the late answer to the try before, so that its own is still to come, as late as that one.
        `deadline_ns`: when it would have been given up."""
        owed = self._owed.get(request.head)
        if owed is not None and owed.until_ns > now_ns:
            owed.until_ns = max(owed.until_ns, deadline_ns + min(2 * request.response_ns, MOST_NS))

    def held_until(self, request: Request, again: bool) -> int:
        """Until when this must not be asked, because the answer to another request would pass for its own. Asking the
        same registers again is harmless, unless it must be true of now (`again` false: proof of a write)."""
        if not self._owed:
            return 0
        owed = self._owed.get(request.head)
        if owed is None or owed.request is request or (again and owed.request.address == request.address):
            return 0
        return min(owed.until_ns, owed.bound_ns)

    def _is_late(self, frame: Frame, at_ns: int) -> bool:
        for head, owed in self._owed.items():
            if owed.until_ns < at_ns:
                continue
            if _answers(frame, owed.request):
                owed.count -= 1
                if owed.count <= 0:
                    del self._owed[head]
                return True
        return False

    # --- what was heard -----------------------------------------------------------------------------------------------
    def own(self, frame: Frame, at_ns: int) -> bool:
        """It answers one of our requests, too late. Counts it."""
        if not self._is_late(frame, at_ns):
            return False
        self.counters.late += 1
        return True

    def idle(self, data: bytes, at_ns: int, last: Request | None) -> None:
        """Bytes that came while nothing was asked; `last`: the request before, whose answer may come twice."""
        frames, noise = frames_of(data[:IDLE_BYTES])
        self.counters.noise += noise > 0
        for frame in frames:
            if self.own(frame, at_ns):
                continue
            if last is not None and not frame.asks and _answers(frame, last):
                self.counters.foreign += 1
            else:
                self.stranger(frame, at_ns)

    def stranger(self, frame: Frame, at_ns: int) -> None:
        """A sound frame that has nothing to do with us. The second within `QUIET_NS` proves another master."""
        if frame.asks:
            self.counters.requests += 1
        else:
            self.counters.foreign += 1
        if self.until_ns > at_ns or at_ns - self._last_ns <= QUIET_NS:
            if self.until_ns <= at_ns:
                self._sentence = f"two masters on this line: somebody else {frame.words()}"
            self.until_ns = at_ns + QUIET_NS
        self._last_ns = at_ns

    def mistaken(self, asked: Request, frames: Sequence[Frame]) -> None:
        """Our request had no answer of its own, but these came in its place."""
        for frame in frames:
            self.counters.foreign += 1
            key = (asked.unit, frame.unit)
            if key in self._wrong or len(self._wrong) < 16:
                self._wrong[key] = self._wrong.get(key, 0) + 1

    # --- for people ---------------------------------------------------------------------------------------------------
    def trouble(self, now_ns: int) -> str:
        """The sentence while there are two masters on the line, else ""."""
        return self._sentence if now_ns < self.until_ns else ""

    def notes(self) -> tuple[str, ...]:
        """What else a technician should know of this line: what was seen, and what to do."""
        found = []
        if self.counters.echoes:
            found.append(
                "the adapter hears its own words (echo): they are taken off; switch echo off to spare the line"
            )
        if self.counters.late:
            found.append(
                f"{self.counters.late} answers came after their time and were thrown away; look for a slow gateway "
                f"between, or give the profile a longer response_ms"
            )
        for (asked, answered), times in self._wrong.items():
            who = f"unit {answered} answered" if answered != asked else "it gave another answer than the one asked for"
            found.append(f"unit {asked} was asked and {who}, {times} times; look for two devices with one unit number")
        return tuple(found)
