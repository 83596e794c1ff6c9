"""A profile bound to one real device: addresses, scale factors and ratings as they were read, frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from drivers.codec import RawType, Scale, WordOrder
from drivers.events import Identity
from drivers.family import Block, Codes, Direction, Owner, Profile
from drivers.fence import Register
from drivers.memory import Memory
from drivers.plan import Span
from drivers.readings import Capability, DeviceRole

Chain = tuple[tuple[int, int, int], ...]  # (model id, address of its ID register, L)


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """One device of the configuration. `pinned`: who it was at commissioning; empty words of it are not compared."""

    name: str
    role: DeviceRole
    unit: int
    profile: Profile
    pinned: Identity | None = None
    wdischamax_w: int | None = None  # what 100 % of OutWRte means; None = WChaMax
    ct_sign: int = 1  # -1 = the meter's CTs point the other way
    reversion_s: int | None = None  # None = the profile's default
    reversion_verified: bool | None = None  # measured at commissioning; None = the profile's word
    ccl_ma: int | None = (
        None  # of the pack's data sheet: instead of a limit that its BMS cannot give, else a second one
    )
    dcl_ma: int | None = None
    periods_ms: Mapping[str, int] = field(default_factory=dict)  # block -> poll period instead of the profile's
    nameplate_w: tuple[int, int] | None = None  # charge, discharge: for a device that gives no ratings
    confirmed: frozenset[str] = frozenset()  # low-confidence parts of the profile that commissioning has confirmed
    units: Mapping[str, int] = field(default_factory=dict)  # name -> unit number instead of the profile's
    memory: Memory | None = None  # what the last run stored of it; None = nobody stores


@dataclass(frozen=True, slots=True)
class Place:
    """Where one raw value lies. `region` keeps reads inside one model. `scale_at` None = it is not scaled."""

    function: int
    region: int
    address: int
    kind: RawType
    length: int
    order: WordOrder
    scale_at: int | None
    unit: int | None = None  # None = the device's own

    def span(self) -> Span:
        """For the plan."""
        return Span(self.function, self.region, self.address, self.length, self.unit)


@dataclass(frozen=True, slots=True)
class BoundPart:
    """One raw value of a point. `scale` None = its scale factor is not implemented."""

    place: Place
    scale: Scale | None
    sentinels: tuple[int, ...]
    mask: int


@dataclass(frozen=True, slots=True)
class BoundPoint:
    """A point whose parts were found; `combine` makes its value of theirs."""

    name: str
    block: str
    parts: tuple[BoundPart, ...]
    valid: tuple[int, int] | None
    words: tuple[tuple[int, str], ...]
    bits: tuple[tuple[int, str], ...]
    direction: Direction | None = None  # what the last part says of the sum of the others
    combine: str = "sum"  # "max" and "min" are of the parts that are not at a sentinel


@dataclass(frozen=True, slots=True)
class BoundPut:
    """One register value of a write; `step` = register's unit per raw step, `of_w` the rating that 100 % means."""

    address: int
    kind: RawType
    order: WordOrder
    step: Fraction
    value: int | str | Codes | Owner
    of_w: int
    low: int | None
    high: int | None
    offset: int = 0
    multiple: int = 1


@dataclass(frozen=True, slots=True)
class BoundGroup:
    """One write request; what it may carry is explained in `drivers.profile_schema.WriteGroupEdge`."""

    function: int
    puts: tuple[BoundPut, ...]
    unit: int | None = None
    gap_ns: int = 0
    on_change: bool = False
    wears: bool = False
    read_back: bool = True


@dataclass(frozen=True, slots=True)
class BoundControl:
    """How this device takes a setpoint. W are magnitudes."""

    id: str
    unit: str
    active_modes: tuple[int, ...]
    rated_charge_w: int
    rated_discharge_w: int
    reversion_s: int
    read_back: bool
    settle_ns: int  # from the last write until it shows in the registers
    power: tuple[BoundGroup, ...]
    clear: tuple[BoundGroup, ...]
    stop: tuple[BoundGroup, ...]
    arm: tuple[BoundGroup, ...] = ()
    proof: tuple[tuple[int, BoundGroup], ...] = ()  # (function that reads it, what it must read)
    convert: str = "none"
    through_zero_ns: int | None = None
    released: tuple[int, ...] = (0,)
    codes: Codes | None = None
    daily_writes: int = 0
    heartbeat: tuple[BoundGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A raw value that must stay as it was when the device was identified: a scale factor or a rating."""

    place: Place
    raw: int
    block: str


@dataclass(frozen=True, slots=True)
class Binding:
    """Everything that reading and writing one device needs. Equal bindings decode and command alike."""

    device: str
    unit: int
    function: int  # that reads back what was written
    identity: Identity
    chain: Chain
    points: tuple[BoundPoint, ...]
    checks: tuple[Check, ...]
    control: BoundControl | None
    floor: BoundGroup | None
    capability: Capability
    notes: tuple[str, ...]  # sentences: what was expected of this device and not found
    writable: frozenset[Register] = frozenset()  # every register that may ever be written; see `drivers.fence`


def blocks_of(spec: DeviceSpec) -> Iterator[tuple[Block, int]]:
    """Each block of the device with its poll period in ns."""
    for block in spec.profile.blocks:
        millis = spec.periods_ms.get(block.name)
        yield block, block.every_ns if millis is None else millis * 1_000_000
