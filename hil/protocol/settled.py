"""The records of `up/settlement`, as models: for schemas and tests.

Each is a link of one chain: `prev` = SHA-256(prev of the record before || SHA-256(its payload)), so neither side can
change what both have. Energy is that of registers, start and end; a consumer takes differences.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hil.protocol.up import Hash, Id, Open, Permille, UInt, Up, WallMs

Quality = Literal["ok", "est", "bad", "missing"]
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


class Interval(Settlement):
    """15 minutes of UTC: what flowed, and what the home could have done."""

    record: Literal["interval"]
    t0_ms: WallMs
    t1_ms: WallMs
    start: Registers
    end: Registers
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
    command_ids: list[Id]


class Quarter(Open):
    """One clock quarter of an event."""

    t0_ms: WallMs
    requested_wh: int
    delivered_wh: int


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
    delivered_wh: int
    requested_w: int
    delivered_w: int
    quarters: list[Quarter]
    before_w: int | None
    to_90_pct_s: UInt | None
    error_rms_w: UInt | None
    limited: list[Reasons]
    quality: Quality


class SessionRecord(Settlement):
    """One regulation session, instead of its setpoints."""

    record: Literal["session"]
    command_id: Id
    digest: Hash
    started_ms: WallMs
    ended_ms: WallMs
    setpoints: UInt
    missed: UInt
    up_wh: UInt
    down_wh: UInt
    mileage_w: UInt
    error_rms_w: UInt | None
    limited: list[Reasons]


class Frequency(Settlement):
    """One response to frequency, with what was seen each second around it."""

    record: Literal["frequency"]
    trigger_ms: WallMs
    before_w: int
    peak_w: int
    energy_wh: int
    recovered_ms: WallMs | None
    trace: list[tuple[int, int, int]]


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
    what: Literal["terms", "reserve", "opt_out", "opt_in", "storm"]
    by: str
    local: bool
    terms: Hash | None = None
    reserve_permille: Permille | None = None


class CheckpointRecord(Settlement):
    """The end of a UTC day: every record from `first` to `last` is under `head`."""

    record: Literal["checkpoint"]
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    first: UInt
    last: UInt
    head: Hash
    end: Registers


RECORDS: tuple[type[Settlement], ...] = (
    Interval, Performance, SessionRecord, Frequency, ReserveRecord, ConsentRecord, CheckpointRecord
)  # fmt: skip
