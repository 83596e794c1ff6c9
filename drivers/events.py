"""What a bus is told and what it answers: the border between `drivers` and everything above it.

A bus (`drivers.bus.Bus`) is sans-IO: `handle(event, now_ns) -> list[BusEffect]`. Whoever runs it owns the line and the
clock. Events go in, effects come out; `Emit` carries what the agent wants to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from drivers.memory import Memory
from drivers.readings import Capability, DeviceRole, Reading
from drivers.wear import Share


# --- into the bus -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Opened:
    """The line is open; nothing was heard on it yet."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The line is gone (unplugged, refused, never there). `reason` is a sentence for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes that arrived; `at_ns` is when the last of them did."""

    data: bytes
    at_ns: int


@dataclass(frozen=True, slots=True)
class Stray:
    """Bytes that were found on the line before something was sent: nobody had asked for them."""

    data: bytes
    at_ns: int


@dataclass(frozen=True, slots=True)
class Wake:
    """The time that the last `WakeAt` asked for has come."""


class WriteClass(IntEnum):
    """The only reasons to write to a device. Smaller goes first on the wire."""

    STOP = 0
    CLEAR = 1
    POWER = 2
    HEARTBEAT = 3
    FLOOR = 4


@dataclass(frozen=True, slots=True)
class RegisterWrite:
    """One FC6 or FC16 request. `gap_ns`: pause after it. `on_change`: read first, not sent if it reads the same.
    `wears`: counts in the device's daily budget. `unit` None = the device's own. `owner`: what its owner had there is
    written back, `words` only if that is not known."""

    address: int
    words: tuple[int, ...]
    function: int = 16
    gap_ns: int = 0
    on_change: bool = False
    wears: bool = False
    unit: int | None = None
    owner: bool = False


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Registers that must read `expected` after the writes; None = any value."""

    address: int
    expected: tuple[int | None, ...]
    function: int = 3
    unit: int | None = None


@dataclass(frozen=True, slots=True)
class WriteSequence:
    """Compiled by `drivers.writer` for `agent.gate`: writes in order, then the proof that they took."""

    order_id: int
    device: str
    write_class: WriteClass
    value: int  # W for POWER, permille for FLOOR, else 0
    writes: tuple[RegisterWrite, ...]
    read_backs: tuple[ReadBack, ...]
    not_after_ns: int  # dropped unsent after this
    keep: tuple[ReadBack, ...] = ()  # read and stored first, unless they are kept already: what the owner has there
    share: Share = Share.HOME  # of the day's wearing writes; of CLEAR and STOP always Share.RELEASE


@dataclass(frozen=True, slots=True)
class Execute:
    """Into the device's latest-wins slot of that class. STOP overtakes all; CLEAR and STOP evict a waiting POWER."""

    sequence: WriteSequence


@dataclass(frozen=True, slots=True)
class Adopt:
    """A technician accepts the identity that answers now as this device's own."""

    device: str


@dataclass(frozen=True, slots=True)
class Look:
    """Read `count` registers (or bits) for a person, when the line is idle; `conn` comes back in `Looked`. Never a
    write: `function` is a Modbus read, or a command of `dialect`. Broadcast is never asked."""

    conn: int
    unit: int
    function: int
    address: int
    count: int
    response_ns: int
    dialect: str = ""


@dataclass(frozen=True, slots=True)
class Tell:
    """Send the counters now; `conn` comes back in `Told`."""

    conn: int


@dataclass(frozen=True, slots=True)
class Remembered:
    """The `Remember` of that number is on the disk."""

    device: str
    number: int


BusEvent = Opened | Lost | Received | Stray | Wake | Execute | Adopt | Remembered | Look | Tell


# --- out of the bus ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Transmit:
    """Send now. A reply of `reply_len` bytes (0 = unknown) is predicted to be complete at `predicted_end_ns`: nap until
    then, then read until `reply_len` bytes are there or `deadline_ns` has come. Stale input is taken off before."""

    data: bytes
    reply_len: int
    predicted_end_ns: int
    deadline_ns: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send `Wake` at this time; a later `WakeAt` replaces an earlier one."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Reopen:
    """Close the line if open and open it again no sooner than `at_ns`."""

    at_ns: int


class Presence(StrEnum):
    """How a device stands on its bus."""

    ABSENT = "absent"  # its line cannot be opened
    SILENT = "silent"  # it does not answer; polled in the back-off slot
    IDENTIFYING = "identifying"
    MISMATCH = "mismatch"  # it answers, and is not what was commissioned: reads only
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a device says it is."""

    maker: str
    model: str
    version: str
    serial: str


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """Sent on every change. `binding` is `drivers.device.Binding` once identified: the gate compiles writes with it."""

    device: str
    role: DeviceRole
    presence: Presence
    at_ns: int
    detail: str  # a sentence: what was seen, what was expected, what to do next
    identity: Identity | None = None
    capability: Capability | None = None
    binding: object | None = None
    line: str = ""  # a sentence while something is wrong with the line itself: two masters on it


class WriteOutcome(StrEnum):
    """How a write ended."""

    CONFIRMED = "confirmed"  # read back as expected (or acknowledged, where the device has no read-back)
    REJECTED = "rejected"  # Modbus exception
    MISMATCH = "mismatch"  # acknowledged, and reads back differently
    SILENT = "silent"  # no valid answer after the retries
    LATE = "late"  # not_after_ns passed before it could be sent
    SUPERSEDED = "superseded"  # a newer order took its slot unsent
    WORN = "worn"  # the day's budget of writes that wear the device out is spent
    SPENT = "spent"  # dispatch's part of it is; the home's own writes go on


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The end of one WriteSequence. `sent_ns` = first byte of the first write, 0 if never sent."""

    order_id: int
    device: str
    write_class: WriteClass
    value: int
    outcome: WriteOutcome
    sent_ns: int
    done_ns: int
    detail: str = ""
    free_ns: int = 0  # WORN, SPENT: when the budget has room again; CONFIRMED: until when it is short, 0 = it is not


@dataclass(frozen=True, slots=True)
class UnitStats:
    """How one unit has answered since the start. `waits`: answers by how long they were waited for, wire time taken
    off, see `drivers.waits`."""

    unit: int
    answers: int
    exceptions: int
    crc_errors: int
    timeouts: int
    waits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BusStats:
    """Counters since start, sent about every 10 s."""

    bus: str
    transactions: int
    crc_errors: int
    timeouts: int
    exceptions: int
    foreign: int  # answers of another unit, function or length: nobody of us asked for them
    retries: int
    late: int = 0  # answers to requests of ours that had been given up
    requests: int = 0  # of another master
    noise: int = 0  # bursts that are no frame
    echoes: int = 0  # how often the adapter was found to hear its own words
    notes: tuple[str, ...] = ()  # sentences: what was seen on this line, and what to do
    units: tuple[UnitStats, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """The answer to Look. `fate`: "data", "exception" (its `code`), "garbled", "timeout", "lost" (no line).
    `data` = registers, big-endian, or bits as they came."""

    conn: int
    fate: str
    data: bytes = b""
    code: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to Tell."""

    conn: int
    stats: BusStats


@dataclass(frozen=True, slots=True)
class Remember:
    """Put `memory` on the disk in the place of the device's former one; answered by Remembered with the same number."""

    device: str
    number: int
    memory: Memory


AgentEvent = Reading | DeviceStatus | WriteResult | BusStats | Remember | Looked | Told


@dataclass(frozen=True, slots=True)
class Emit:
    """Something for the agent."""

    event: AgentEvent


BusEffect = Transmit | WakeAt | Reopen | Emit
