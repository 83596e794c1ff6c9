"""The edge of a device profile: what a TOML file may say, checked by pydantic before anything else looks at it."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt

from drivers.codec import RawType, WordOrder


def _fraction(text: str) -> str:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f'"{text}" is no exact number; write "10", "0.1" or "1/3"') from error
    if value == 0:
        raise ValueError("a scale of 0 loses the value")
    return text


Exact = Annotated[str, AfterValidator(_fraction)]
Word = Annotated[StrictInt, Field(ge=0, le=0xFFFF)]
Function = Annotated[StrictInt, Field(ge=1, le=255)]
Confidence = Literal["high", "medium", "low"]
Millis = Annotated[StrictInt, Field(ge=50, le=3_600_000)]


class Edge(BaseModel):
    """Unknown keys are errors: a typing mistake must not be a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class LineEdge(Edge):
    """The line as the device likes it. `response_ms`: the longest that a healthy device takes to begin its answer.
    `gap_ms`: the pause that it needs after one, beyond 3.5 characters. `dialect`: a framing that is not Modbus;
    functions are then its commands, and registers those of the image that it makes of a reply (`drivers.dialect`)."""

    dialect: Literal["", "jk_pb", "jbd", "pace", "pylontech"] = ""
    links: list[Literal["rtu", "tcp"]] = Field(min_length=1)
    baud: StrictInt = 9600
    function: Function = 3
    max_registers: StrictInt = Field(default=125, ge=1, le=125)
    max_bits: StrictInt = Field(default=2000, ge=1, le=2000)
    response_ms: StrictInt = Field(ge=10, le=10_000)
    gap_ms: StrictInt = Field(default=0, ge=0, le=5_000)
    word_order: WordOrder = WordOrder.BIG


class MatchEdge(Edge):
    at: str
    values: list[StrictInt] = Field(min_length=1)


class PartEdge(Edge):
    """One register value: (raw & mask) * scale * sign + offset, where `scale` leads to the core's unit (mV, mA, W,
    permille, 0.1 C, mHz, Wh). `of`: the register holds percent of that rating. `match`: every instance of the group
    whose point has one of the values. `repeat`: so many of them, one every `step` registers (default: side by side)."""

    at: Word | str
    model: StrictInt | None = None
    instance: StrictInt | None = Field(default=None, ge=1, le=64)
    match: MatchEdge | None = None
    type: RawType | None = None
    count: StrictInt = Field(default=0, ge=0, le=2000)
    function: Function | None = None
    order: WordOrder | None = None
    scale: Exact = "1"
    offset: StrictInt = 0
    sign: Literal[1, -1] = 1
    mask: StrictInt = Field(default=0, ge=0)
    sentinels: list[StrictInt] = []
    of: Literal["", "charge", "discharge"] = ""
    repeat: StrictInt = Field(default=1, ge=1, le=64)
    step: StrictInt | None = Field(default=None, ge=1, le=1000)


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


class RuleEdge(Edge):
    """What a register must read for the device to be this one: raw * scale, rounded, within min and max or among
    values. `says`: what to tell a person otherwise."""

    at: Word
    type: RawType = RawType.U16
    function: Function | None = None
    order: WordOrder | None = None
    scale: Exact = "1"
    min: StrictInt | None = None
    max: StrictInt | None = None
    values: list[StrictInt] = []
    says: str = ""


class IdentifyEdge(Edge):
    """`models`: one of these must be in a SunSpec chain. `require`: registers that tell this device from others."""

    kind: Literal["registers", "sunspec"]
    expect_maker: str = ""
    bases: list[Word] = []
    text: IdentifyTextEdge | None = None
    models: list[StrictInt] = []
    require: list[RuleEdge] = []


class TimingEdge(Edge):
    refresh_s: StrictInt = Field(ge=1, le=15)
    stale_s: StrictInt = Field(ge=1, le=15)


class BatteryEdge(Edge):
    soc_quantum_permille: StrictInt = Field(ge=1, le=100)


class RangeEdge(Edge):
    function: Function
    at: Word
    count: StrictInt = Field(ge=1, le=2000)


class BlockEdge(Edge):
    """Points that are read together. `ages`: the reading is as old as this block. `after_write`: read again at once
    when something was written. `stale_ms`: older values are not known any more. `read`: the device wants it whole."""

    every_ms: Millis
    priority: Literal["fast", "slow"] = "slow"
    ages: StrictBool = False
    after_write: StrictBool = False
    stale_ms: Millis | None = None
    read: RangeEdge | None = None


class PointEdge(PartEdge):
    """`combine`: of several parts their sum, or the highest or lowest of those that are there (a sentinel says that one
    is not; one outside `valid` makes the point unknown). `also`: further points that have this very value. `models`:
    SunSpec models that all have it. `confidence`: low = to be confirmed at commissioning."""

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


class WriteEdge(Edge):
    """One register to write. `value`: a number in the register's unit, or a symbol with bounds `min` and `max` in that
    unit. `of`: the register takes percent of that rating. `scale`: register's unit per raw step."""

    at: Word | str
    value: StrictInt | Literal["setpoint", "-setpoint", "reversion", "floor"]
    type: RawType | None = None
    order: WordOrder | None = None
    scale: Exact = "1"
    of: Literal["", "charge", "discharge"] = ""
    min: StrictInt | None = None
    max: StrictInt | None = None


class WriteGroupEdge(Edge):
    model: StrictInt | None = None
    function: Literal[6, 16] = 16
    write: list[WriteEdge] = Field(min_length=1)


class FloorEdge(Edge):
    model: StrictInt | None = None
    write: WriteEdge


class ReversionEdge(Edge):
    kind: Literal["device_s", "device_min", "implicit", "none"]
    verified: StrictBool
    default_s: StrictInt = Field(ge=0, le=3600)
    min_s: StrictInt = Field(ge=0, le=3600)
    max_s: StrictInt = Field(ge=0, le=3600)


class RatedEdge(Edge):
    charge: list[PartEdge] = Field(min_length=1)
    discharge: list[PartEdge] = Field(min_length=1)


class ControlEdge(Edge):
    """One way to command the device. `max_step`: coarsest setpoint that is accepted, in `unit`. `active_mode`: what
    remote_mode reads while our setpoint rules. `settle_ms`: from a write until the registers show it."""

    id: str
    models: list[StrictInt] = []
    unit: Literal["w", "pct_of_wchamax"]
    control_point: Literal["battery", "inverter_ac", "grid"]
    max_step: StrictInt = Field(ge=1)
    active_mode: StrictInt
    min_refresh_s: StrictInt = Field(ge=1, le=900)
    read_back: StrictBool
    settle_ms: StrictInt = Field(default=0, ge=0, le=5_000)
    wearing: list[str] = []
    pv_curtailment: StrictBool = False
    reversion: ReversionEdge
    rated: RatedEdge
    state: dict[Literal["remote_mode", "remote_w", "remote_mirror_w", "reversion_s"], PartEdge] = {}
    power: list[WriteGroupEdge] = []
    clear: list[WriteGroupEdge] = []
    stop: list[WriteGroupEdge] = []


class ProfileEdge(Edge):
    """A whole file. `confidence`: how sure its facts are; of a point, its own word counts."""

    schema_: Literal[1] = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    confidence: Confidence = "high"
    role: Literal["battery", "inverter", "meter"]
    line: LineEdge
    identify: IdentifyEdge
    timing: TimingEdge
    battery: BatteryEdge = BatteryEdge(soc_quantum_permille=10)
    blocks: dict[str, BlockEdge] = Field(min_length=1)
    point: list[PointEdge] = Field(min_length=1)
    floor: FloorEdge | None = None
    control: list[ControlEdge] = []
