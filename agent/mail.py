"""What the parts of the agent post to each other. Core's own events (agent.core.inputs) travel as they are.

control -> store   CommitRequest, KeepAside, WriteReserve, WritePins, WriteMemory, WriteDocuments
store   -> bus     Remembered (drivers.events)
store   -> control Committed, CommitFailed (core.inputs), ReserveStored, DiskState
store   -> link    Stored, Backlog, Anchored, Resending, TrustStored
store   -> control DocumentsStored
link    -> store   AppendBatch, Append, Receipted, LoadBacklog, Anchor, Resend, WriteTrust
link    -> control CommandIn, FreshTime (core.inputs), LinkState, Verb, Document, ServiceHeard,
                   KeysRevoked
control -> link    Sample, Profile, LinkSettings
control -> local   View, VerbDone, Line
local   -> control Verb
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.core.decision import Decision, Record
from agent.core.durable import Durable, OptOut
from agent.core.inputs import NOT_LOOKED, Clock
from agent.core.params import Wiring
from agent.core.selftest import Looked as SelfTest
from agent.remote import InForce
from drivers.events import BusStats, DeviceStatus, Identity, Remember
from drivers.readings import BatteryReading, InverterReading, MeterReading


# --- store ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class CommitRequest:
    """One transaction: the Durable and its outbox rows. Answered by Committed or CommitFailed with the same id."""

    id: int
    durable: Durable
    records: tuple[Record, ...]
    clock: Clock
    mono_ms: int


@dataclass(frozen=True, slots=True)
class KeepAside:
    """A stop, lockout or cancel that the database does not take: into the small second file. Not answered."""

    durable: Durable


@dataclass(frozen=True, slots=True)
class AppendBatch:
    """One telemetry block; `payload` is its JSON body, raw-deflated. Lost without harm if the disk refuses it."""

    payload: bytes
    clock: Clock
    mono_ms: int
    samples: int


@dataclass(frozen=True, slots=True)
class Append:
    """Rows of the link's own: events, and acks of what it answers alone. Lost if the disk refuses them."""

    records: tuple[Record, ...]
    clock: Clock
    mono_ms: int


@dataclass(frozen=True, slots=True)
class Receipted:
    """The aggregator's signed receipt: it has every seq <= `upto`, and those in `also`. The store may forget them.
    `checkpoint`: and the settlement chain up to that number and hash; `token` is then kept, as its signed word."""

    upto: int
    also: tuple[int, ...]
    checkpoint: tuple[int, str] | None = None
    token: bytes = b""


@dataclass(frozen=True, slots=True)
class LoadBacklog:
    """Up to `limit` rows with seq > `after`, in order; answered by Backlog. `batches`: telemetry only, or all but that;
    None: all. `upto`: rows of a resend up to there, receipted ones too."""

    after: int
    limit: int
    batches: bool | None = None
    upto: int | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A row as the disk has it. `seq` is +1 a row, never reused. `payload`: JSON body; raw-deflated in a "batch"."""

    seq: int
    kind: str  # "ack" | "event" | "settlement" | "batch"
    boot: str
    wall_ms: int
    mono_ms: int
    clock: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows that are on the disk now: publish them."""

    rows: tuple[OutboxRow, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Answer to LoadBacklog. `last` = highest seq in the store, `first` the lowest; from `held` on rows must wait for
    Anchored. `again`: of a resend."""

    rows: tuple[OutboxRow, ...]
    last: int
    first: int | None = None
    held: int | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Anchor:
    """The aggregator's signed word, for this boot, on the highest row that it ever had of this home; None: it did not
    say. Answered by Anchored once the numbers of what was written since are settled; not before it is on the disk that
    nothing signed up to `after_ms` is taken, for the next start finds its numbers in order and cannot tell any more."""

    last: int | None
    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Anchored:
    """Rows that were held from `held` on are `shift` higher than they were told, and may go out. `last` = highest,
    `first` the lowest."""

    held: int
    shift: int
    last: int
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Resend:
    """Answer command `command`: rows `first` to `last` again. Leaves an ack and a gap record for each stretch that is
    not there any more; then Resending, where there is something to send."""

    command: str
    first: int
    last: int
    clock: Clock
    mono_ms: int


@dataclass(frozen=True, slots=True)
class Resending:
    """What is kept of rows `first` to `last` can be loaded, and stays until it was."""

    command: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class WriteReserve:
    """Put the homeowner's reserve into its A/B file; answered by ReserveStored."""

    permille: int
    by: str


@dataclass(frozen=True, slots=True)
class ReserveStored:
    """The reserve file holds this now; `error` is a sentence if it could not be written."""

    permille: int
    error: str | None


@dataclass(frozen=True, slots=True)
class WritePins:
    """Remember who each device is, so that another in its place is noticed after a restart. Device name -> identity;
    `serials`: what the configuration said of them when that was settled."""

    pins: Mapping[str, Identity]
    serials: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteTrust:
    """Keep this as the link's trust, and put `event` into the outbox if there is one; answered by TrustStored."""

    state: bytes = field(repr=False)
    event: Mapping[str, object] | None
    clock: Clock
    mono_ms: int


@dataclass(frozen=True, slots=True)
class TrustStored:
    """Answers to WriteTrust come in its order; `error` is a sentence if it is not on the disk."""

    error: str | None


@dataclass(frozen=True, slots=True)
class WriteDocuments:
    """Keep this as what was set from afar, `events` in the outbox before it; answered by DocumentsStored."""

    state: bytes = field(repr=False)
    events: tuple[Mapping[str, object], ...]
    clock: Clock
    mono_ms: int


@dataclass(frozen=True, slots=True)
class DocumentsStored:
    """Answers to WriteDocuments come in its order; `error` is a sentence if it is not on the disk."""

    error: str | None


@dataclass(frozen=True, slots=True)
class WriteMemory:
    """What a device must not forget; answered to its bus by Remembered once it is on the disk, else not at all."""

    bus: str
    what: Remember


@dataclass(frozen=True, slots=True)
class DiskState:
    """Sent on every change, and once at start."""

    ok: bool
    detail: str


# --- link -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class LinkState:
    """Sent on every change. `counters`: messages refused, by reason ("bad_signature", "replay", ...)."""

    up: bool
    detail: str
    fresh: bool  # a signed time has echoed this boot's nonce
    wall_offset_ms: int | None  # signed time minus our wall clock, when such a time has come this boot
    unsent: int  # rows that wait for a receipt
    counters: Mapping[str, int]
    signed: tuple[int, int] | None = None  # what signed times say: UTC ms, at that monotonic ns


@dataclass(frozen=True, slots=True)
class Sample:
    """One second of telemetry, for live and batch. Missing values are None."""

    clock: Clock
    mono_ms: int
    values: Mapping[str, object]  # wire names with units: soc_permille, battery_w, grid_w, pv_w, load_w, ...
    dispatched: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """What birth tells of this home; sent at start and on every change."""

    body: Mapping[str, object]  # capabilities, limits, reserve, versions, stated_end_s


@dataclass(frozen=True, slots=True)
class Document:
    """A proven document of the operator, newer than any before. `kind`: "config" | "default" | "firmware". `body`: its
    members as the protocol names them; of a firmware manifest {"raw"} is what came, signatures and all."""

    kind: str
    version: int
    digest: str
    body: Mapping[str, object]
    kid: str = ""  # of the key that signed it; "" for a manifest, which several sign


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How the link goes on. `floors`: kind of document -> highest version and its digest. None = as the file says.
    `trial`: ServiceHeard is wanted."""

    floors: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    batch_s: int | None = None
    live_s: int | None = None
    groups: tuple[str, ...] | None = None
    trial: bool = False


@dataclass(frozen=True, slots=True)
class KeysRevoked:
    """These keys are revoked: what they set from afar lapses. Told at each start, and with each bundle that revokes."""

    kids: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServiceHeard:
    """A signed time or receipt has come: the aggregator is there, and believes this home."""


# --- local ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class View:
    """Everything `batteryctl` can show, replaced each cycle."""

    at_ns: int
    clock: Clock
    decision: Decision
    batteries: tuple[BatteryReading, ...]
    inverters: tuple[InverterReading, ...]
    meters: tuple[MeterReading, ...]
    devices: tuple[DeviceStatus, ...]
    buses: tuple[BusStats, ...]
    reserve_permille: int
    reserve_source: str
    link: LinkState | None
    disk: DiskState | None
    command: Mapping[str, object] | None  # the running command, as acks show it
    stopped_by: str | None
    started_ns: int
    wiring: Wiring = field(default_factory=Wiring)
    soc_floor_permille: int = 0
    critical_load_w: int = 0  # 0 = nobody said
    looked: SelfTest = NOT_LOOKED
    opted_out: OptOut | None = None
    in_force: InForce | None = None  # what was set from afar, and what it makes of what was commissioned


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the agent's log for `batteryctl log -f`."""

    wall_ms: int
    level: str  # "info" | "warning" | "error"
    text: str


LINK = -1  # a `conn` that no local client has: nobody waits for the answer


@dataclass(frozen=True, slots=True)
class Verb:
    """A change asked for by a local person: "stop", "resume", "reserve" (value = permille), "adopt" (text = device),
    "storm" (value = permille, 0 ends it; text = reason; two instants, wall ms, or `for_s` from now), "optout" (`for_s`,
    0 = until optin), "optin", "override" (value = W, + discharge, for `for_s`; text "off" ends it). Or by the homeowner
    from afar (`conn` LINK)."""

    conn: int
    verb: str
    by: str
    role: str  # "viewer" | "technician" | "homeowner"
    value: int = 0
    text: str = ""
    start_ms: int = 0
    end_ms: int = 0
    for_s: int = 0


@dataclass(frozen=True, slots=True)
class VerbDone:
    """Answer to Verb. `code` is the exit code of batteryctl (0 ok, 4 refused, 5 device, 6 timed out)."""

    conn: int
    code: int
    text: str
    body: Mapping[str, object]
