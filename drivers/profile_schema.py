"""The edge of a device profile: what a TOML file may say, checked by pydantic before anything else looks at it."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt

from drivers.codec import RawType, WordOrder

EXACT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12}|/[0-9]{1,12})?")


def _fraction(text: str) -> str:
    plain = EXACT.fullmatch(text)  # no exponents: "1e9999999" would be worked out for hours
    try:
        value = Fraction(text) if plain else None
    except (ValueError, ZeroDivisionError):
        value = None
    if value is None:
        raise ValueError(f'"{text:.20}" is no exact number; write "10", "0.1" or "1/3"')
    if value == 0:
        raise ValueError("a scale of 0 loses the value")
    return text


Exact = Annotated[str, AfterValidator(_fraction)]
Word = Annotated[StrictInt, Field(ge=0, le=0xFFFF)]
Function = Annotated[StrictInt, Field(ge=1, le=255)]
Confidence = Literal["high", "medium", "low"]
Millis = Annotated[StrictInt, Field(ge=50, le=3_600_000)]
Name = Annotated[str, Field(min_length=1)]  # every text begins and ends with ""
Pause = Annotated[StrictInt, Field(ge=0, le=5_000)]
Symbol = Literal[
    "setpoint",
    "-setpoint",
    "charge",
    "discharge",
    "magnitude",
    "reversion",
    "floor",
    "rated_charge",
    "rated_discharge",
    "beat",
]


class Edge(BaseModel):
    """Unknown keys are errors: a typing mistake must not be a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RangeEdge(Edge):
    function: Function
    at: Word
    count: StrictInt = Field(ge=1, le=2000)


class LineEdge(Edge):
    """The line as the device likes it. `response_ms`: the longest that a healthy device takes to begin its answer.
    `gap_ms`: the pause that it needs after one, beyond 3.5 characters. `units`: other unit numbers that the same device
    answers at, by name (a gateway and what hangs on it). `period_ms`: from the beginning of one request to that of the
    next, at least. `max_gap`: so many registers that nobody asked for may lie inside a read. `illegal`: addresses that
    it refuses, and any read that runs over them. `dialect`: a framing that is not Modbus; functions are then
    its commands, and registers those of the image that it makes of a reply (`drivers.dialect`)."""

    dialect: Literal["", "jk_pb", "jbd", "pace", "pylontech"] = ""
    links: list[Literal["rtu", "tcp"]] = Field(min_length=1)
    baud: StrictInt = Field(default=9600, ge=300, le=1_000_000)
    function: Function = 3
    max_registers: StrictInt = Field(default=125, ge=1, le=125)
    max_bits: StrictInt = Field(default=2000, ge=1, le=2000)
    response_ms: StrictInt = Field(ge=10, le=10_000)
    gap_ms: StrictInt = Field(default=0, ge=0, le=5_000)
    word_order: WordOrder = WordOrder.BIG
    units: dict[str, Annotated[StrictInt, Field(ge=0, le=255)]] = {}
    period_ms: StrictInt = Field(default=0, ge=0, le=5_000)
    max_gap: StrictInt | None = Field(default=None, ge=0, le=2000)
    illegal: list[RangeEdge] = []


class MatchEdge(Edge):
    at: str
    values: list[StrictInt] = Field(min_length=1)


class PartEdge(Edge):
    """One register value: (raw & mask) * scale * sign + offset, where `scale` leads to the core's unit (mV, mA, W,
    permille, 0.1 C, mHz, Wh). `of`: the register holds percent of that rating. `match`: every instance of the group
    whose point has one of the values. `repeat`: so many of them, one every `step` registers (default: side by side).
    `every`: in every copy of the model that the chain has, and in every instance if it is a point of its group.
    `vendor`: a fixed register of a SunSpec device, outside its models. `shared`: another point reads the same register,
    and that is meant."""

    at: Word | str
    model: StrictInt | None = None
    instance: StrictInt | None = Field(default=None, ge=1, le=64)
    match: MatchEdge | None = None
    type: RawType | None = None
    count: StrictInt = Field(default=0, ge=0, le=2000)
    function: Function | None = None
    order: WordOrder | None = None
    scale: Exact = "1"
    offset: StrictInt = Field(default=0, ge=-(10**12), le=10**12)
    sign: Literal[1, -1] = 1
    mask: StrictInt = Field(default=0, ge=0)
    sentinels: list[StrictInt] = []
    of: Literal["", "charge", "discharge"] = ""
    repeat: StrictInt = Field(default=1, ge=1, le=64)
    step: StrictInt | None = Field(default=None, ge=1, le=1000)
    unit: str = ""
    every: StrictBool = False
    vendor: StrictBool = False
    shared: StrictBool = False


class TextEdge(Edge):
    text: str | None = None
    at: Word | None = None
    type: RawType = RawType.STRING
    count: StrictInt = Field(default=0, ge=0, le=125)
    function: Function | None = None


class IdentifyTextEdge(Edge):
    maker: TextEdge
    model: TextEdge
    version: TextEdge
    serial: TextEdge


class ExpectEdge(Edge):
    """A register that tells this family from others: (raw & mask) must be one of `values`, or within `min` and `max` (a
    float rounded), and none of `but`, else it is not ours. `means`: what that register is, and what else the device may
    be."""

    at: Word
    type: RawType
    function: Function | None = None
    order: WordOrder | None = None
    unit: str = ""
    mask: StrictInt = Field(default=0, ge=0)
    values: list[StrictInt] = []
    min: StrictInt | None = None
    max: StrictInt | None = None
    but: list[StrictInt] = []
    means: str = Field(min_length=3)


class IdentifyEdge(Edge):
    """`expect_maker`, `expect_model`: how the texts begin; `expect_model_end`: how the model ends besides; `expect`:
    registers that must have known values; `models`: one of these must be in a SunSpec chain."""

    kind: Literal["registers", "sunspec"]
    expect_maker: str = ""
    expect_model: list[Name] = []
    expect_model_end: list[Name] = []
    expect: list[ExpectEdge] = []
    bases: list[Word] = []
    text: IdentifyTextEdge | None = None
    models: list[StrictInt] = []


class TimingEdge(Edge):
    refresh_s: StrictInt = Field(ge=1, le=15)
    stale_s: StrictInt = Field(ge=1, le=15)


class BatteryEdge(Edge):
    soc_quantum_permille: StrictInt = Field(ge=1, le=100)


class BlockEdge(Edge):
    """Points that are read together. `ages`: the reading is as old as this block. `after_write`: read again at once
    when something was written. `stale_ms`: older values are not known any more. `read`: the device wants it whole."""

    every_ms: Millis
    priority: Literal["fast", "slow"] = "slow"
    ages: StrictBool = False
    after_write: StrictBool = False
    stale_ms: Millis | None = None
    read: RangeEdge | None = None


class DirectionEdge(PartEdge):
    """Which way a magnitude flows: the values of this register that make it positive, negative or still."""

    positive: list[StrictInt] = Field(min_length=1)
    negative: list[StrictInt] = Field(min_length=1)
    still: list[StrictInt] = []


class PointEdge(PartEdge):
    """`combine`: of several parts their sum, or the highest or lowest of those that are there (a sentinel says that one
    is not; one outside `valid` makes the point unknown). `also`: further points that have this very value. `models`:
    SunSpec models that all have it. `confidence` low: the fact is not sure. A grid state of low confidence is not
    believed before a commissioning check has confirmed it, so that nothing is written; other such points are read, and
    `device show` says so."""

    name: str
    block: str
    at: Word | str | None = None  # type: ignore[assignment]  # a point is its parts, or one part written inline
    parts: list[PartEdge] = []
    combine: Literal["sum", "max", "min"] = "sum"
    also: list[str] = []
    models: list[StrictInt] = []
    confidence: Confidence = "high"
    valid: tuple[StrictInt, StrictInt] | None = None
    map: dict[str, str] = {}
    bits: dict[str, str] = {}
    direction: DirectionEdge | None = None


class CodeEdge(Edge):
    """A command word that says the direction; the power stands in another register."""

    charge: StrictInt
    discharge: StrictInt
    zero: StrictInt


class OwnerEdge(Edge):
    """In a release only: what the owner had there before we took control, `default` if that is not known."""

    default: StrictInt


class WriteEdge(Edge):
    """One register to write: raw * scale + offset in the register's unit. `value`: a number, a command word by
    direction, or a symbol with bounds `min` and `max` in that unit. `of`: the register takes percent of that rating.
    `multiple`: the device keeps only multiples of so many raw steps."""

    at: Word | str
    value: StrictInt | CodeEdge | OwnerEdge | Symbol
    type: RawType | None = None
    order: WordOrder | None = None
    scale: Exact = "1"
    offset: StrictInt = Field(default=0, ge=-(10**12), le=10**12)
    multiple: StrictInt = Field(default=1, ge=1)
    vendor: StrictBool = False
    of: Literal["", "charge", "discharge"] = ""
    min: StrictInt | None = None
    max: StrictInt | None = None


class WriteGroupEdge(Edge):
    """Neighbouring registers in one request. `gap_ms`: the device needs this pause after it. `on_change`: read first,
    written only if it differs. `wears`: stored in memory that wears out, so each write counts in the daily budget.
    `read_back` false: the register does not read as it was written."""

    model: StrictInt | None = None
    function: Literal[6, 16] = 16
    unit: str = ""
    gap_ms: Pause = 0
    on_change: StrictBool = False
    wears: StrictBool = False
    read_back: StrictBool = True
    write: list[WriteEdge] = Field(min_length=1)


class FloorEdge(Edge):
    """The on-grid floor: % of SoC below which the device does not discharge by itself."""

    model: StrictInt | None = None
    function: Literal[6, 16] = 16
    unit: str = ""
    wears: StrictBool = False
    confidence: Confidence = "high"
    write: WriteEdge


class ReversionEdge(Edge):
    """What the device does when we fall silent. device_s, device_min: a timer that we write. implicit: a fixed time.
    unreliable: it has a timer that is known to fail. none: our setpoint stays. `granularity_s`: steps of the timer."""

    kind: Literal["device_s", "device_min", "implicit", "unreliable", "none"]
    verified: StrictBool
    granularity_s: StrictInt = Field(default=1, ge=1, le=3600)
    default_s: StrictInt = Field(ge=0, le=3600)
    min_s: StrictInt = Field(ge=0, le=3600)
    max_s: StrictInt = Field(ge=0, le=3600)


class RatedEdge(Edge):
    """Where the ratings are read; empty lists: nowhere, the site's nameplate counts."""

    charge: list[PartEdge] = []
    discharge: list[PartEdge] = []


class WearEdge(Edge):
    """`daily`: most writes of wearing registers in 24 h; releases count and are never refused."""

    daily: StrictInt = Field(ge=1, le=1000)


class ProofEdge(WriteEdge):
    """A register that must show the setpoint once it is applied: for devices that acknowledge without applying."""

    function: Literal[3, 4] = 3


StateName = Literal[
    "remote_mode",
    "remote_w",
    "remote_mirror_w",
    "reversion_s",
    "remote_code",
    "remote_charge_w",
    "remote_discharge_w",
    "heartbeat",
]


class HeartbeatEdge(Edge):
    """A counter that we advance so that the device knows that we live: `beat` in one of the writes. Left out where the
    device does not have it."""

    every_s: StrictInt = Field(ge=1, le=60)
    write: list[WriteGroupEdge] = Field(min_length=1)


class ControlEdge(Edge):
    """One way to command the device. `max_step`: coarsest setpoint that is accepted, in `unit`. `active_mode`: what
    remote_mode reads while our setpoint rules, `released` what it reads when the device is its own. `settle_ms`: from a
    write until the registers show it. `convert`: how a battery target becomes the setpoint at the control point.
    `heartbeat`: sent while a setpoint of ours rules. The state `heartbeat` is the device's own counter: while it stands
    still, the device is deaf and its readings count as old.
    `arm`: writes before a setpoint, left out while remote control reads as active. `through_zero_ms`: on a change of
    direction 0 W comes first, for so long. `codes`: what remote_code reads. `confidence` low: not used before a
    commissioning check has confirmed it."""

    id: str
    models: list[StrictInt] = []
    unit: Literal["w", "pct_of_wchamax", "pct_of_rated"]
    control_point: Literal["battery", "inverter_ac", "grid"]
    convert: Literal["none", "pv", "measured", "grid"] = "none"
    max_step: StrictInt = Field(ge=1, le=1000)
    active_mode: StrictInt | Annotated[list[StrictInt], Field(min_length=1)]
    released: list[StrictInt] = [0]
    min_refresh_s: StrictInt = Field(ge=1, le=900)
    read_back: StrictBool
    settle_ms: Pause = 0
    through_zero_ms: Pause | None = None
    wearing: list[str] = []
    wear: WearEdge | None = None
    pv_curtailment: StrictBool = False
    confidence: Confidence = "high"
    reversion: ReversionEdge
    rated: RatedEdge = RatedEdge()
    codes: CodeEdge | None = None
    state: dict[StateName, PartEdge] = {}
    arm: list[WriteGroupEdge] = []
    power: list[WriteGroupEdge] = []
    proof: list[ProofEdge] = []
    clear: list[WriteGroupEdge] = []
    stop: list[WriteGroupEdge] = []
    heartbeat: HeartbeatEdge | None = None


class ProtectionEdge(Edge):
    """`deny`: [first, last] registers of trip, ride-through and grid settings. Nothing in the file may write one."""

    deny: list[tuple[Word, Word]] = Field(min_length=1)


class ProfileEdge(Edge):
    """A whole file. `notes`: sentences for the technician, shown with the device. `confidence`: how sure its facts are;
    of a point, its own word counts."""

    schema_: Literal[1] = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    confidence: Confidence = "high"
    role: Literal["battery", "inverter", "meter"]
    notes: list[str] = []
    line: LineEdge
    identify: IdentifyEdge
    timing: TimingEdge
    battery: BatteryEdge = BatteryEdge(soc_quantum_permille=10)
    blocks: dict[str, BlockEdge] = Field(min_length=1)
    point: list[PointEdge] = Field(min_length=1)
    floor: FloorEdge | None = None
    control: list[ControlEdge] = []
    protection: ProtectionEdge | None = None
