"""The records of `up/settlement`, as models: for schemas and tests.

Each is a link of one chain: `prev` = SHA-256(prev of the record before || SHA-256(its payload)), so neither side can
change what both have. Energy is that of registers, start and end; a consumer takes differences.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hil.protocol.up import Hash, Id, Open, Permille, UInt, Up, WallMs

Quality = Literal["ok", "est", "bad", "missing"]
Register = Literal["charge_wh", "discharge_wh", "import_wh", "export_wh", "pv_wh"]
Source = Literal["revenue_meter", "meter", "inverter_ct", "bms_estimate"]


class Registers(Open):
    """Cumulative energy at one moment; null = the home has no such register."""

    charge_wh: UInt | None
    discharge_wh: UInt | None
    import_wh: UInt | None
    export_wh: UInt | None
    pv_wh: UInt | None


class Spread(Open):
    """Average, least and most over the time of the record."""

    avg: int
    min: int
    max: int


class Reasons(Open):
    """How long something was so, and why."""

    reason: str
    lasted_s: UInt


class Settlement(Up):
    """What every record has."""

    n: Annotated[int, Field(ge=0)]
    prev: Hash


class Jump(Open):
    """A register that did not move as energy moves it: a rollover, or another meter. What counts is the estimate."""

    name: Register
    before_wh: UInt
    after_wh: UInt
    why: Literal["back", "ahead"]
    estimated_wh: int


class Maker(Open):
    """Of what made the record."""

    agent: str | None = None


class Interval(Settlement):
    """15 minutes of UTC: what flowed, and what the home could have done."""

    record: Literal["interval"]
    t0_ms: WallMs
    t1_ms: WallMs
    era: UInt
    time: Literal["synced", "holdover", "placed", "untrusted"]
    partial: bool
    lasted_s: UInt
    start: Registers
    end: Registers
    estimated: list[Register]
    jumps: list[Jump]
    source: Source
    residual_wh: int | None
    soc_start_permille: Permille | None
    soc_end_permille: Permille | None
    soc_min_permille: Permille | None
    battery_w: Spread | None
    grid_w: Spread | None
    frequency_mhz: Spread | None
    dispatched_s: UInt
    islanded_s: UInt
    opted_out_s: UInt
    unavailable: list[Reasons]
    expected_return_ms: WallMs | None
    limited: list[Reasons]
    frequency_active_s: UInt
    available_charge_w: UInt | None
    available_discharge_w: UInt | None
    available_charge_wh: UInt | None
    available_discharge_wh: UInt | None
    samples: UInt
    missing_s: UInt
    quality: Quality
    command_ids: Annotated[list[Id], Field(max_length=64)]
    more_commands: UInt
    versions: Maker


class Gap(Settlement):
    """Time in which nobody looked, the agent off or standing still. Registers say what flowed."""

    record: Literal["gap"]
    reason: Literal["not_running", "stalled"]
    t0_ms: WallMs
    t1_ms: WallMs | None
    era: UInt
    start: Registers
    end: Registers
    estimated: list[Register]
    jumps: list[Jump]
    perhaps_told: bool


class ClockRecord(Settlement):
    """The wall clock was put elsewhere, or what it says is believed from here on, or no longer."""

    record: Literal["clock"]
    why: Literal["step", "trusted", "untrusted"]
    from_ms: WallMs
    to_ms: WallMs
    era: UInt


class Lost(Settlement):
    """The agent's accounts failed and begin anew (a bug, told), or records were dropped while the disk took none."""

    record: Literal["lost"]
    what: str
    from_ms: WallMs
    records: UInt | None = None


class Availability(Settlement):
    """For a minute now the home can be dispatched, or cannot, and why."""

    record: Literal["availability"]
    available: bool
    reason: str | None
    expected_return_ms: WallMs | None
    at_ms: WallMs


class ChainRecord(Settlement):
    """The chain begins, or goes on over something that must be known: `known_n` and `known_head` are what is known,
    `own_n` and `own_head` the last record that the home still has, where that is another one."""

    record: Literal["chain"]
    why: Literal["new", "store_lost", "archive_lost", "restored", "disputed", "key"]
    known_n: UInt | None
    known_head: Hash | None
    own_n: UInt | None = None
    own_head: Hash | None = None
    old_kid: str | None = None
    versions: Maker


class Quarter(Open):
    """One clock quarter of an event."""

    t0_ms: WallMs
    requested_wh: int
    requested_discharge_wh: UInt
    requested_charge_wh: UInt
    delivered_wh: int
    delivered_discharge_wh: UInt
    delivered_charge_wh: UInt


Quarters = Annotated[list[Quarter], Field(max_length=97)]


class QuartersRecord(Settlement):
    """A command of more than half a day: its quarters so far, before its own record."""

    record: Literal["quarters"]
    command_id: Id
    first: UInt
    quarters: Quarters


class Performance(Settlement):
    """One event: asked and given."""

    record: Literal["performance"]
    command_id: Id
    digest: Hash
    received_ms: WallMs
    started_ms: WallMs | None
    ended_ms: WallMs
    state: str
    reason: str | None
    requested_wh: int
    requested_discharge_wh: UInt
    requested_charge_wh: UInt
    delivered_wh: int
    delivered_discharge_wh: UInt
    delivered_charge_wh: UInt
    requested_w: int
    delivered_w: int
    quarters_told: UInt
    quarters: Quarters
    before_w: int | None
    before_grid_w: int | None
    lasted_s: UInt
    missing_s: UInt
    to_90_pct_s: UInt | None
    error_rms_w: UInt | None
    limited: list[Reasons]
    quality: Quality


class SessionRecord(Performance):
    """One regulation session, instead of its setpoints: members as of an event."""

    record: Literal["session"]  # type: ignore[assignment]  # the same form under another name


class Frequency(Settlement):
    """The grid's frequency left its band, and is back."""

    record: Literal["frequency"]
    trigger_ms: WallMs
    recovered_ms: WallMs
    lasted_s: UInt
    peak_mhz: UInt
    band_mhz: UInt
    function: Literal["none"]
    before_w: int | None
    peak_w: int
    energy_wh: int


class ReserveRecord(Settlement):
    """Whether the home kept its reserve that day, and why not."""

    record: Literal["reserve"]
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    below_s: UInt
    below: list[Reasons]
    outage_s: UInt
    outage_served_wh: UInt


class ConsentRecord(Settlement):
    """What the homeowner agreed to, or changed."""

    record: Literal["consent"]
    what: Literal["terms", "data", "root", "homeowner_key", "reserve", "opt_out", "opt_in", "storm"]
    by: str
    local: bool
    at_ms: WallMs
    terms: Hash | None = None
    reserve_permille: Permille | None = None
    withdrawn: bool = False


class CheckpointRecord(Settlement):
    """The end of a UTC day: every record from `first` to `last` is under `head`."""

    record: Literal["checkpoint"]
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    first: UInt
    last: UInt
    head: Hash
    end: Registers


RECORDS: tuple[type[Settlement], ...] = (
    Interval, Gap, ClockRecord, Lost, Availability, QuartersRecord, Performance, SessionRecord, Frequency,
    ReserveRecord, ConsentRecord, CheckpointRecord, ChainRecord
)  # fmt: skip
