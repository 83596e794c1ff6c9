"""What goes up, as models: for schemas and tests. The daemon builds these by plain code (agent.link.upward).

A consumer ignores members that it does not know, so the schemas allow them; tests hold the daemon to exactly these.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Kid = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16}$")]
UInt = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]
Seq = Annotated[int, Field(ge=1, le=(1 << 63) - 1)]
WallMs = Annotated[int, Field(ge=0, le=1 << 53)]
Permille = Annotated[int, Field(ge=0, le=1000)]
Grid = Literal["connected", "islanded", "unknown"]
ModeWord = Literal[
    "init", "self_test", "standby", "local", "dispatched", "backup", "degraded", "fault", "lockout"
]  # fmt: skip
StateWord = Literal[
    "received", "scheduled", "started", "limited", "completed", "opted_out", "opted_in", "cancelled", "superseded",
    "partial_opt_out", "partial_opt_in", "no_participation", "user_ack", "aborted_server", "aborted_program",
    "rejected_not_applicable", "rejected_invalid", "rejected_late", "failed",
]  # fmt: skip


class Open(BaseModel):
    """Strict in what it knows; what it does not know is ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class State(Open):
    """Presence, unsigned: the broker sends it as the will. A display hint, and nothing may rest on it."""

    state: Literal["ready", "lost", "stopped"]
    boot: Id


class Up(Open):
    """Claims of every signed message from a device."""

    v: Annotated[int, Field(ge=1, le=1)]
    id: Id
    iss: Annotated[str, Field(pattern=r"^dev:[A-Za-z0-9][A-Za-z0-9._-]{0,47}$")]
    aud: Annotated[str, Field(pattern=r"^agg:[A-Za-z0-9][A-Za-z0-9._-]{0,47}$")]
    seq: Seq
    iat: WallMs
    exp: WallMs
    boot: Id
    mono_ms: UInt
    clock: Literal["synced", "holdover", "untrusted"]


class Unreadable(Up):
    """A row that the disk has spoilt: its number is accounted for, its content is lost."""

    unreadable: Literal[True]


class Outbox(Open):
    """Which rows may still come. `first` null: not known yet."""

    first: UInt | None
    last: UInt


class Versions(Open):
    """What the agent is, and the protocol that this message is written in."""

    agent: str
    protocol: Annotated[int, Field(ge=1)]


class Limits(Open):
    """What was commissioned."""

    nameplate_charge_w: UInt
    nameplate_discharge_w: UInt
    capacity_wh: UInt
    import_limit_w: UInt
    export_limit_w: UInt
    soc_floor_permille: Permille


class Capability(Open):
    """What a device can be told, and what it does when we fall silent."""

    signed_setpoint: bool
    unit: Literal["w", "pct_of_wchamax", "pct_of_rated", "none"]
    control_point: Literal["battery", "inverter_ac", "grid"]
    reversion: Literal["device_s", "device_min", "implicit", "unreliable", "none"]
    reversion_s: UInt
    reversion_verified: bool
    floor: bool
    read_back: bool
    rated_charge_w: UInt
    rated_discharge_w: UInt


class Device(Open):
    """One device of the home."""

    name: str
    role: Literal["battery", "inverter", "meter"]
    presence: Literal["absent", "silent", "identifying", "mismatch", "ok"]
    maker: str | None
    model: str | None
    capability: Capability | None
    capacity_wh: UInt | None = None
    place: str | None = None
    packs: list[str] | None = None


class SignedBy(Open):
    """One signature of an announcement."""

    protected: str
    signature: str


class Rotation(Open):
    """A new signing key, announced by the old one and by itself: a JWS in general JSON form (battery-rotate+jws)."""

    payload: str
    signatures: Annotated[list[SignedBy], Field(min_length=2, max_length=2)]


class Birth(Up):
    """Who is there, what it can do, and the nonce of this boot."""

    nonce: Id
    protocols: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    trust_version: UInt
    outbox: Outbox
    versions: Versions | None = None
    limits: Limits | None = None
    reserve_permille: Permille | None = None
    stated_end_s: UInt | None = None
    devices: list[Device] | None = None
    config_version: UInt | None = None
    config_trial: bool | None = None
    default_version: UInt | None = None
    firmware_version: UInt | None = None
    rotations: Annotated[list[Rotation], Field(max_length=4)] | None = None


class Live(Up):
    """One second of the home. null = not known then."""

    soc_permille: Permille | None
    soh_permille: UInt | None
    battery_w: int | None
    pv_w: int | None
    grid_w: int | None
    load_w: int | None
    grid: Grid | None
    frequency_mhz: UInt | None
    cell_min_mv: UInt | None
    cell_max_mv: UInt | None
    temp_min_dc: int | None
    temp_max_dc: int | None
    ccl_ma: UInt | None
    dcl_ma: UInt | None
    lo_w: Annotated[int, Field(le=0)]
    hi_w: Annotated[int, Field(ge=0)]
    asked_w: int | None
    given_w: int | None
    limit: str
    mode: ModeWord
    reserve_permille: Permille
    import_wh: UInt | None
    export_wh: UInt | None
    command_id: Id | None
    age_battery_ms: UInt | None
    age_inverter_ms: UInt | None
    age_meter_ms: UInt | None


COLUMNS = tuple(name for name in Live.model_fields if name not in Up.model_fields)


class Batch(Up):
    """A minute of the home: `cols` name the values of each of `rows`."""

    t0_ms: WallMs
    cols: Annotated[list[str], Field(min_length=1, max_length=64)]
    rows: Annotated[list[list[int | str | bool | None]], Field(min_length=1, max_length=300)]
    counters: dict[str, UInt]


class Bound(Open):
    """One limit, in the answer to a quote."""

    limit: str
    side: Literal["charge", "discharge", "both"]
    cap_w: UInt
    owner: str
    sentence: str


class Ack(Up):
    """Where a command stands in its life."""

    command_id: Id
    state: StateWord
    reason: str | None
    asked_w: int | None
    given_w: int | None
    limit_w: int | None
    energy_wh: int
    effective_start: WallMs
    sentence: str
    bounds: list[Bound] | None = None


class Started(Up):
    """The agent started."""

    event: Literal["start"]
    after_clean_stop: bool


class Fault(Up):
    """A fault came or went."""

    event: Literal["fault_raised", "fault_cleared"]
    fault: str
    severity: Literal["warn", "derate", "degraded", "backup", "fault", "lockout"]
    sentence: str


class Floor(Up):
    """The inverter's own floor was not the reserve, and was set to it."""

    event: Literal["floor"]
    found_permille: UInt
    reserve_permille: Permille
    foreign: bool


class SelfTest(Up):
    """The self-test has looked at everything."""

    event: Literal["self_test"]
    ok: bool
    result: str


class Local(Up):
    """Somebody on site stopped dispatch, or ended such a stop."""

    event: Literal["local_stop", "local_resume"]
    by: str


class Partaking(Up):
    """Somebody at home opted out, or in again."""

    event: Literal["opt_out", "opt_in"]
    by: str
    until_ms: WallMs = 0


class Overridden(Up):
    """Somebody at home holds the battery at a power, or no longer."""

    event: Literal["override", "override_over"]
    by: str
    power_w: int = 0
    for_s: UInt = 0


class Raise(Up):
    """The reserve is raised for a while, or no longer."""

    event: Literal["raise", "raise_ended", "raise_over"]
    raise_id: str
    kind: str
    reserve_permille: Permille
    owner: str
    by: str
    reason: str
    start_ms: WallMs
    end_ms: WallMs


class Homeowner(Up):
    """A message of the homeowner came and is on record; `token` proves it to whoever has that key."""

    event: Literal["homeowner"]
    kind: Literal["reserve", "storm", "opt_out", "opt_in", "consent"]
    message_id: Id
    kid: Kid
    token: str


class Rotated(Up):
    """Another key signs for this home; every birth repeats the announcement."""

    event: Literal["rotate"]
    kid: Kid
    rotation: Rotation


class TrustLife(Up):
    """Half, four fifths or all of the trust bundle's life are over: a later one is due."""

    event: Literal["trust_life"]
    used_pct: Literal[50, 80, 100]
    version: UInt
    expires_ms: WallMs
    sentence: str


class Document(Up):
    """What became of a configuration, of default control, or of a release that was told of."""

    event: Literal[
        "config_applied",
        "config_refused",
        "config_rolled_back",
        "config_confirmed",
        "default_applied",
        "firmware_known",
    ]
    version: UInt
    reason: Literal["not_applicable", "fault", "aggregator_lost", "restart", "replaced", "damaged", "revoked"] | None
    sentence: str


class Gap(Up):
    """Rows that will never come: `first` null = from the first one on."""

    event: Literal["gap"]
    reason: Literal["telemetry_limit", "store_replaced", "not_kept"]
    first: UInt | None
    last: UInt
    kind: Literal["batch"] | None = None


class TwoBoots(Up):
    """Another gateway seems to live under this home's name and keys; told at most once an hour."""

    event: Literal["two_boots"]
    evidence: Literal["taken_over", "other_boot"]
    short_connections: UInt
    other_times: UInt


class NotStored(Up):
    """Telemetry that the disk did not take, told once it takes writes again. It has no numbers, so no gap names it."""

    event: Literal["not_stored"]
    blocks: UInt
    samples: UInt
    from_ms: WallMs
    to_ms: WallMs


class ClockConflict(Up):
    """A signed time contradicts this gateway's clock, or an earlier signed time, by more than two minutes; told at most
    once an hour. Nothing that is judged by time is taken while its clock and the signed time stay apart."""

    event: Literal["clock_conflict"]
    signed_ms: UInt | None
    gateway_ms: UInt


EVENTS: tuple[type[Up], ...] = (
    Started,
    Fault,
    Floor,
    SelfTest,
    Local,
    Partaking,
    Overridden,
    Raise,
    Homeowner,
    Rotated,
    TrustLife,
    Document,
    Gap,
    TwoBoots,
    NotStored,
    ClockConflict,
)
