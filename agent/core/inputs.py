"""What one cycle sees: frozen once, by `agent.control`, from the latest of everything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.core.command import Command
from agent.core.durable import Window
from agent.core.selftest import Looked
from drivers.readings import BatteryReading, Capability, DeviceRole, InverterReading, MeterReading

NOT_LOOKED = Looked()


class ClockTrust(StrEnum):
    """How far the wall clock may be believed (DESIGN 2)."""

    SYNCED = "synced"
    HOLDOVER = "holdover"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall time (UTC ms) and its trust; ids of the kernel's boot and of this start of the daemon. `signed`: a signed
    time of the aggregator alone says so, no network time beside it: enough to judge the aggregator's own words by, and
    never to end what a person at home has set."""

    wall_ms: int
    trust: ClockTrust
    kernel_boot: str
    boot: str
    signed: bool = False

    @property
    def own(self) -> bool:
        """Whether this gateway has the time from elsewhere than the aggregator."""
        return self.trust is not ClockTrust.UNTRUSTED and not self.signed


@dataclass(frozen=True, slots=True)
class Reserve:
    """The homeowner's reserve as its file has it. `source`: "file", "unreadable" or "new" (both = 1000)."""

    permille: int
    source: str


@dataclass(frozen=True, slots=True)
class Device:
    """How a device stands (see drivers.events.Presence for the words)."""

    name: str
    role: DeviceRole
    presence: str
    capability: Capability | None
    line: str = ""  # a sentence while its line has two masters


# --- events, in the order in which they came --------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class CommandIn:
    """A verified command that passed the replay window; `windows` are the streams' windows that now include it.
    `quiet`: a cancel or stop beyond what its key may put on record; it ends what it ends, without a word of its own.
    `key`: whose cancel or stop it is."""

    command: Command
    windows: tuple[tuple[str, Window], ...]
    quiet: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class FreshTime:
    """A signed time echoed this boot's nonce: from now on new dispatch may be accepted."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit of that id is on the disk."""

    commit_id: int


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """The commit of that id did not happen and will not."""

    commit_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class PutBack:
    """The disk is that of an older day: a later state, which is lost, may have used the accounts' next `eras` - 1 eras,
    and told the energy since."""

    eras: int


@dataclass(frozen=True, slots=True)
class Outdated:
    """What this home remembers of commands is older than what the aggregator has heard of it: what it brought along may
    have been ended since, and ends. What was signed up to `signed_ms` may have acted since, and is not taken again."""

    signed_ms: int


@dataclass(frozen=True, slots=True)
class WriteDone:
    """A write of the gate ended. `write_class`: a word of drivers.events.WriteClass in lower case, `outcome`: one of
    WriteOutcome."""

    device: str
    write_class: str
    value: int
    outcome: str
    sent_ns: int
    free_ns: int = 0  # "worn", "spent": when the budget of wearing writes has room again; "confirmed": short until then


@dataclass(frozen=True, slots=True)
class LocalStop:
    """`batteryctl stop`: end dispatch, release, stay so until resume."""

    by: str


@dataclass(frozen=True, slots=True)
class LocalResume:
    """`batteryctl resume`: also acknowledges latches and lockout when BMS and inverter answer."""

    by: str


@dataclass(frozen=True, slots=True)
class RaiseReserve:
    """A verified wish to raise the reserve for a while. `kind`: "storm" (set at home, at most 14 days) or "remote"
    (role operations, at most 72 h). Either both instants, wall ms, or `for_s` from now. Under an id that is there
    already it takes its place; only the homeowner's may be less."""

    id: str
    kind: str
    permille: int
    owner: str  # "homeowner" | "technician" | "operations"
    by: str
    reason: str
    start_ms: int = 0
    end_ms: int = 0
    for_s: int = 0


@dataclass(frozen=True, slots=True)
class EndRaise:
    """The homeowner's verified wish to end a raise before its time."""

    id: str
    by: str


@dataclass(frozen=True, slots=True)
class Consent:
    """What the homeowner agreed to or changed, for the record alone: `what` is "reserve", "opt_out", "opt_in" or
    "storm" (`reserve_permille` 0 = ended); or "terms", "data", "root", "homeowner_key" with `terms`, the SHA-256 of the
    text, and `withdrawn`. The part that does it posts this as well."""

    what: str
    by: str
    local: bool
    terms: str | None = None
    reserve_permille: int | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class OptsOut:
    """A person at home, or the homeowner's signed word: no dispatch, session, schedule or price. `for_s` 0 = until
    OptsIn. `longer`: it came from afar, perhaps late, and shortens none that is in force."""

    by: str
    role: str  # "homeowner" | "technician"
    for_s: int = 0
    longer: bool = False


@dataclass(frozen=True, slots=True)
class OptsIn:
    """And takes part again."""

    by: str


@dataclass(frozen=True, slots=True)
class Overrides:
    """`batteryctl override`: hold `power_w`, + discharge, for `for_s` in the place of any dispatch. None ends it."""

    by: str
    power_w: int | None
    for_s: int = 0


Event = (
    CommandIn
    | FreshTime
    | PutBack
    | Outdated
    | Committed
    | CommitFailed
    | WriteDone
    | LocalStop
    | LocalResume
    | RaiseReserve
    | EndRaise
    | Consent
    | OptsOut
    | OptsIn
    | Overrides
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """One cycle's world. Readings are the latest of each device, ages are `now_ns - at_ns`. `draw`: 64 random
    bits, so that the remainder of any delay in ns is spread over all of it."""

    now_ns: int
    clock: Clock
    batteries: tuple[BatteryReading, ...]
    inverters: tuple[InverterReading, ...]
    meters: tuple[MeterReading, ...]
    devices: tuple[Device, ...]
    reserve: Reserve
    events: tuple[Event, ...]
    disk_ok: bool
    link_up: bool
    draw: int
    looked: Looked = NOT_LOOKED  # the self-test's last look
