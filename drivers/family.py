"""The frozen form of a device profile: what a file of profiles/ means once `drivers.profile` has checked it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from drivers.codec import RawType, WordOrder
from drivers.readings import DeviceRole

STILL_W = 100  # a device that says that nothing flows may still show so much


@dataclass(frozen=True, slots=True)
class Part:
    """One register value: raw * scale + offset, times sign; scaled by a rating / 100 where `of` names one."""

    at: int | str  # register, or point of `model`
    model: int | None
    instance: int | None
    match: tuple[str, tuple[int, ...]] | None  # every instance whose point has one of these values
    kind: RawType | None  # None = as the model table says
    length: int  # registers, or bits of a coil read
    function: int
    order: WordOrder
    scale: Fraction
    offset: int
    mask: int
    sentinels: tuple[int, ...]
    of: str
    shared: bool = False  # another point reads the same register too
    unit: str = ""  # name of another unit number of the device; "" = its own
    every: bool = False  # in every copy of the model that the chain has, and in every instance of its group


@dataclass(frozen=True, slots=True)
class Direction:
    """Which values of the direction register make a magnitude positive, negative, or nothing at all."""

    positive: tuple[int, ...]
    negative: tuple[int, ...]
    still: tuple[int, ...]

    def signed(self, magnitude: int, word: int | None) -> int | None:
        """The signed value; None if the word says nothing about a magnitude that is not 0."""
        if word in self.positive:
            return magnitude
        if word in self.negative:
            return -magnitude
        still = word in self.still and abs(magnitude) <= STILL_W
        return 0 if still or (word is not None and magnitude == 0) else None


@dataclass(frozen=True, slots=True)
class Point:
    """A named value of the reading: its parts, combined."""

    name: str
    block: str
    parts: tuple[Part, ...]
    valid: tuple[int, int] | None
    words: tuple[tuple[int, str], ...]  # value -> word
    bits: tuple[tuple[int, str], ...]  # bit -> alarm id
    confidence: str = "high"
    direction: Direction | None = None  # the last part is the register that says it
    combine: str = "sum"  # or "max", "min" of the parts that are there


@dataclass(frozen=True, slots=True)
class Block:
    """Points that are read together. Only blocks with `ages` count for the age of the reading.

    `read` (function, start, length): a range that the device wants to be asked for as a whole.
    """

    name: str
    every_ns: int
    fast: bool
    ages: bool
    after_write: bool
    stale_ns: int
    read: tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Codes:
    """A command word by direction."""

    charge: int
    discharge: int
    zero: int

    def word(self, watts: int) -> int:
        """For a battery power, + = discharge."""
        return self.discharge if watts > 0 else self.charge if watts < 0 else self.zero


@dataclass(frozen=True, slots=True)
class Owner:
    """What the owner had in a register before we took control; `default` raw if that is not known."""

    default: int


@dataclass(frozen=True, slots=True)
class Put:
    """One value of a write. `value` is a literal in the register's unit, a command word, the owner's own, or a symbol;
    bounds are in that unit too. raw * scale + offset = value; raw is a multiple of `multiple`."""

    at: int | str
    value: int | str | Codes | Owner
    kind: RawType | None
    order: WordOrder
    scale: Fraction  # register's unit per raw step
    of: str
    low: int | None
    high: int | None
    offset: int = 0
    multiple: int = 1


@dataclass(frozen=True, slots=True)
class PutGroup:
    """Values of neighbouring registers that go out in one request."""

    model: int | None
    function: int
    puts: tuple[Put, ...]
    unit: str = ""
    gap_ns: int = 0  # pause that the device needs after it
    on_change: bool = False  # read first, written only if it differs
    wears: bool = False
    read_back: bool = True


@dataclass(frozen=True, slots=True)
class Reversion:
    """What the device does when we fall silent. Seconds."""

    kind: str
    verified: bool
    default_s: int
    min_s: int
    max_s: int
    granularity_s: int = 1


@dataclass(frozen=True, slots=True)
class Control:
    """One way to command the device; the first whose models are all there is used."""

    id: str
    models: tuple[int, ...]
    unit: str
    control_point: str
    convert: str
    max_step: int
    active_modes: tuple[int, ...]
    released: tuple[int, ...]
    min_refresh_s: int
    read_back: bool
    settle_ns: int
    through_zero_ns: int | None
    wearing: tuple[str, ...]
    daily_writes: int  # of wearing registers; 0 = it has none
    pv_curtailment: bool
    confidence: str
    reversion: Reversion
    rated_charge: tuple[Part, ...]
    rated_discharge: tuple[Part, ...]
    codes: Codes | None
    state: tuple[tuple[str, Part], ...]
    arm: tuple[PutGroup, ...]
    power: tuple[PutGroup, ...]
    proof: tuple[tuple[int, PutGroup], ...]  # (function that reads it, what it must read)
    clear: tuple[PutGroup, ...]
    stop: tuple[PutGroup, ...]
    heartbeat: tuple[PutGroup, ...] = ()
    heartbeat_s: int = 0  # how often; 0 = it has none


@dataclass(frozen=True, slots=True)
class Expect:
    """A register that tells this family from others."""

    part: Part
    values: tuple[int, ...]  # empty = any
    but: tuple[int, ...]
    means: str
    low: int | None = None  # without values: the range
    high: int | None = None

    def fits(self, raw: int) -> bool:
        """What is read is what this family has there."""
        if raw in self.but:
            return False
        if self.values:
            return raw in self.values
        return (self.low is None or self.low <= raw) and (self.high is None or raw <= self.high)

    @property
    def wanted(self) -> str:
        """In words."""
        if self.values:
            return ", ".join(str(value) for value in self.values)
        if self.low is None and self.high is None:
            return "another value"
        return f"{'any' if self.low is None else self.low} to {'any' if self.high is None else self.high}"


@dataclass(frozen=True, slots=True)
class Text:
    """One word of the identity: fixed, or read."""

    fixed: str | None
    at: int
    kind: RawType
    length: int
    function: int


@dataclass(frozen=True, slots=True)
class Profile:
    """One device family."""

    id: str
    title: str
    role: DeviceRole
    links: tuple[str, ...]
    baud: int
    function: int
    max_registers: int
    max_bits: int
    response_ns: int
    gap_ns: int
    sunspec: bool
    bases: tuple[int, ...]
    texts: tuple[Text, ...]  # maker, model, version, serial
    expect_maker: str
    refresh_s: int
    stale_s: int
    soc_quantum_permille: int
    blocks: tuple[Block, ...]
    points: tuple[Point, ...]
    floor: PutGroup | None
    controls: tuple[Control, ...]
    dialect: str = ""  # of drivers.dialects; "" = Modbus
    models: tuple[int, ...] = ()  # one of these must be in the chain; empty = any
    expect_model: tuple[str, ...] = ()  # it begins with one of these
    expect_model_end: tuple[str, ...] = ()  # and ends with one of these
    expects: tuple[Expect, ...] = ()
    units: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    floor_confidence: str = "high"
    period_ns: int = 0  # from one request to the next, at least
    max_gap: int | None = None  # registers that nobody asked for that a read may run over; None = any
    holes: tuple[tuple[int, int, int], ...] = ()  # (function, first, last) that the device refuses
    protection: tuple[tuple[int, int], ...] = ()  # (first, last): trip and grid settings, never written

    @property
    def named(self) -> bool:
        """It says by name that it is of this family."""
        return bool(self.expect_maker or self.expect_model or self.expect_model_end)

    @property
    def tells_apart(self) -> bool:
        """Its maker, its model or a register must be as this family has it."""
        shown = any(e.values or e.low is not None or e.high is not None for e in self.expects)  # not: anything but this
        return bool(shown or self.named)
