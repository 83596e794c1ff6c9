"""The configuration file: read once, checked whole, refused with file, key, reason and an example that works.

Only a file marked `demo = true` may shorten a timer. Percent and seconds are for people; the core gets permille and ns.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.config_core import LinkTimers, link_timers_of, params_of
from agent.core.params import NO_LIMIT_W, Params
from agent.units import clash
from agent.wiring import EXAMPLE as EXAMPLE_SEVERAL
from agent.wiring import WiringError
from drivers.readings import DeviceRole

EXAMPLE = """\
[agent]
id = "home-0001"
fleet = "example"

[site]                        # from the nameplates and the main fuse, magnitudes in W and Wh
nameplate_charge_w = 11400
nameplate_discharge_w = 11400
capacity_wh = 25000
import_limit_w = 24000
export_limit_w = 11400

[[bus]]
name = "rs485"
port = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0"
baud = 19200

[[device]]
name = "bms"
role = "battery"
bus = "rs485"
unit = 1
profile = "seplos_v3"

[[device]]
name = "meter"
role = "meter"
bus = "rs485"
unit = 2
profile = "eastron_sdm630"

[[device]]
name = "inverter"
role = "inverter"
bus = "rs485"
unit = 3
profile = "sunspec_hybrid"
"""

LINK_EXAMPLE = """\
[link]
brokers = ["broker.example:8883"]
ca = "/etc/batteryd/ca.crt"            # who signs the broker's certificate
cert = "/etc/batteryd/tls.crt"         # this gateway's own, CN = agent.id
key = "/etc/batteryd/tls.key"
sign_key = "/etc/batteryd/sign.pem"    # Ed25519, mode 0600
trust = "/etc/batteryd/trust.json"     # the keys that may command this home
"""

Watts = Annotated[int, Field(ge=0, le=1_000_000)]
Money = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False, strict=False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class AgentSection(_Strict):
    """Who this gateway is and where it keeps things."""

    id: Name
    fleet: Name
    state_dir: str = "/var/lib/batteryd"
    socket: str = "/run/batteryd/batteryd.sock"
    profiles: str | None = None  # a directory with profiles of the site's own, beside the shipped ones
    demo: bool = False


class SiteSection(_Strict):
    """What the electrician signed for."""

    nameplate_charge_w: Annotated[int, Field(gt=0, le=100_000)]
    nameplate_discharge_w: Annotated[int, Field(gt=0, le=100_000)]
    capacity_wh: Annotated[int, Field(gt=0, le=1_000_000)]
    import_limit_w: Watts
    export_limit_w: Watts
    critical_load_w: Watts = 0  # what the home needs in an outage; 0 = not said
    fuse_a: Annotated[int, Field(gt=0, le=1_000)] | None = None  # of each leg or phase, where one is to be kept
    phases: Literal["single", "split", "three"] = "single"  # how many legs share the inverter's power
    utility_charge_w: Watts = NO_LIMIT_W  # what the utility allows for now, as in 14a EnWG: 4200
    utility_discharge_w: Watts = NO_LIMIT_W
    pv_only: bool = False  # the tariff forbids charging from the grid


class BatterySection(_Strict):
    """SoC window in percent. The reserve itself lives in its own file and is the homeowner's."""

    soc_floor_pct: Annotated[float, Field(ge=0, le=50, strict=False)] = 5
    soc_ceiling_pct: Annotated[float, Field(ge=50, le=100, strict=False)] = 100
    reserve_min_pct: Annotated[float, Field(ge=5, le=100, strict=False)] = 10
    max_charge_w: Watts | None = None  # owner limits, never above the nameplate
    max_discharge_w: Watts | None = None
    daily_cycles: Annotated[float, Field(gt=0, le=10, strict=False)] = 1.5  # of the capacity, discharged in a UTC day
    restore_w: Watts = 0  # below the reserve, charge with this from the grid, at most 0.1 C; 0 = wait for the sun
    price_low: Money | None = None  # a kWh, in the currency of the price list: charged from here down
    price_high: Money | None = None  # discharged from here up; without them the marks are of each list itself
    price_wear: Annotated[float, Field(ge=0, le=100_000, strict=False)] = 0.05  # what a kWh through it costs
    efficiency_pct: Annotated[float, Field(ge=50, le=100, strict=False)] = 85  # of what is charged, that comes back


class BusSection(_Strict):
    """One line: a serial `port`, or `tcp` = "host:port"."""

    name: Name
    port: str | None = None
    tcp: Annotated[str, Field(pattern=r"^[^:\s]+:\d{1,5}$")] | None = None
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1

    @model_validator(mode="after")
    def _one_line(self) -> BusSection:
        if (self.port is None) == (self.tcp is None):
            raise ValueError("give either port (a serial device) or tcp (host:port)")
        if self.tcp is not None and not 1 <= int(self.tcp.rpartition(":")[2]) <= 65_535:
            raise ValueError(f"tcp = {self.tcp!r}: a port is between 1 and 65535")
        return self


class DeviceSection(_Strict):
    """One device on a bus."""

    name: Name
    role: Literal["battery", "inverter", "meter"]
    bus: Name
    unit: Annotated[int, Field(ge=0, le=247)]
    profile: str
    serial: str | None = None
    charge_limit_a: Annotated[int, Field(ge=0, le=5_000)] | None = None  # a pack's data sheet, where its BMS gives none
    discharge_limit_a: Annotated[int, Field(ge=0, le=5_000)] | None = None
    wdischamax_w: Annotated[int, Field(gt=0, le=100_000)] | None = None
    poll_ms: dict[
        Name, Annotated[int, Field(ge=50, le=60_000)]
    ] = {}  # block of the profile -> period instead of its own
    confirmed: list[str] = []  # what the profile is not sure of and a commissioning check has confirmed
    units: dict[str, Annotated[int, Field(ge=0, le=255)]] = {}  # other unit numbers of it, by the profile's names
    packs: list[Name] | None = None  # of an inverter: the batteries on its DC side; [] = PV only
    capacity_wh: Annotated[int, Field(gt=0, le=1_000_000)] | None = None  # of a battery, where there are several
    place: Literal["grid", "pv", "load"] | None = None  # of a meter


class LinkSection(_Strict):
    """Where the aggregator is and who we are to it. Without this section the agent runs alone."""

    brokers: Annotated[list[Annotated[str, Field(pattern=r"^[^:\s]+:\d{1,5}$")]], Field(min_length=1, max_length=8)]
    ca: str
    cert: str
    key: str
    sign_key: str
    trust: str
    root_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None  # of the bundle to begin with
    groups: list[Name] = []
    mqtt: Literal["3.1.1", "5"] = "3.1.1"  # every broker speaks the older one; 5 says why it ends a connection
    kept_session: bool = False  # the broker keeps what comes while we are away; a RabbitMQ cluster needs it


class LocalSection(_Strict):
    """Who may do what at the gateway itself."""

    technician_gids: list[int] = []
    homeowner_pin_hash: str | None = None  # as `python -m agent.tools.pin` prints it


def _seconds(low: float, high: float) -> AfterValidator:
    """A timer's range, both ends included."""

    def inside(value: float) -> float:
        if low <= value <= high:
            return value
        raise ValueError(f"{value!r} s is outside {low:g} to {high:g} s")

    return AfterValidator(inside)


class TimersSection(_Strict):
    """Seconds. Longer or shorter than the default only where that is safer; anything else needs demo = true."""

    cycle_s: Annotated[float, _seconds(0.1, 1)] | None = None  # readings wake no cycle sooner than 0.1 s
    reversion_s: Annotated[int, _seconds(2, 300)] | None = None
    refresh_s: Annotated[float, _seconds(0.5, 75)] | None = None
    release_delay_s: Annotated[float, _seconds(0, 30)] | None = None
    hold_s: Annotated[float, _seconds(1, 3600)] | None = None
    recover_good_s: Annotated[float, _seconds(1, 3600)] | None = None
    fault_clear_s: Annotated[float, _seconds(1, 3600)] | None = None
    grid_dwell_s: Annotated[float, _seconds(1, 3600)] | None = None
    grid_jitter_s: Annotated[float, _seconds(0, 3600)] | None = None
    backoff_min_s: Annotated[float, _seconds(0.1, 300)] | None = None
    backoff_max_s: Annotated[float, _seconds(0.1, 300)] | None = None
    block_s: Annotated[int, _seconds(2, 60)] | None = None


class File(_Strict):
    """The whole file."""

    agent: AgentSection
    site: SiteSection
    battery: BatterySection = BatterySection()
    bus: Annotated[list[BusSection], Field(min_length=1)]
    device: Annotated[list[DeviceSection], Field(min_length=1)]
    link: LinkSection | None = None
    local: LocalSection = LocalSection()
    timers: TimersSection = TimersSection()

    @model_validator(mode="after")
    def _consistent(self) -> File:
        names = [bus.name for bus in self.bus]
        for kind, found in (("bus", names), ("device", [d.name for d in self.device])):
            doubles = sorted({name for name in found if found.count(name) > 1})
            if doubles:
                raise ValueError(f"{kind} name used twice: {', '.join(doubles)}")
        for device in self.device:
            if device.bus not in names:
                raise ValueError(f"device {device.name} is on bus {device.bus!r}; there are: {', '.join(names)}")
        self._one_bus_a_line()
        addresses = [(device.bus, device.unit) for device in self.device]
        if len(set(addresses)) != len(addresses):
            raise ValueError("two devices share one unit address on the same bus")
        for device in self.device:
            self.units_apart(device, device.units)
        self._not_looser()
        return self

    def units_apart(self, device: DeviceSection, units: Mapping[str, int]) -> None:
        """ValueError if one of these other units of the device is one that is known by another name already."""
        serial = any(bus.name == device.bus and bus.port is not None for bus in self.bus)
        others = {d.unit: d.name for d in self.device if d.bus == device.bus and d is not device}
        for name, number in units.items():
            reason = clash(name, number, device.unit, others, serial)
            if reason is not None:
                raise ValueError(f"device {device.name}: {reason}")

    def _one_bus_a_line(self) -> None:
        lines = [bus.port or bus.tcp for bus in self.bus]
        doubles = sorted({str(line) for line in lines if lines.count(line) > 1})
        if doubles:
            raise ValueError(f"two buses on {doubles[0]}: one line is one [[bus]], its devices differ by unit")
        serial = {bus.name for bus in self.bus if bus.port is not None}
        for device in self.device:
            if device.unit == 0 and device.bus in serial and device.role == "inverter":  # a BMS may be a real unit 0
                raise ValueError(
                    f"device {device.name}: unit 0 is broadcast on a serial line: what is written to it goes to all of "
                    f"them; give the inverter's own address, 1 to 247"
                )

    def _not_looser(self) -> None:
        pairs = (
            (
                "battery.max_charge_w",
                self.battery.max_charge_w,
                "site.nameplate_charge_w",
                self.site.nameplate_charge_w,
            ),
            (
                "battery.max_discharge_w",
                self.battery.max_discharge_w,
                "site.nameplate_discharge_w",
                self.site.nameplate_discharge_w,
            ),
        )
        for key, value, bound_key, bound in pairs:
            if value is not None and value > bound:
                raise ValueError(f"{key} = {value} is looser than {bound_key} = {bound}; a limit only narrows")


@dataclass(frozen=True, slots=True)
class Config:
    """A checked file and what the core takes from it."""

    path: Path
    file: File
    params: Params
    link_timers: LinkTimers

    @property
    def state_dir(self) -> Path:
        """Where the store and the reserve live."""
        return self.resolve(self.file.agent.state_dir)

    def resolve(self, name: str) -> Path:
        """A path of the file, relative ones from the file's own folder."""
        return (self.path.parent / name).resolve() if not Path(name).is_absolute() else Path(name)

    def roles(self) -> dict[str, DeviceRole]:
        """Device name -> role."""
        return {device.name: DeviceRole(device.role) for device in self.file.device}


class ConfigError(ValueError):
    """The file cannot be used. `reason` names file, key and why; the whole text ends with an example that works."""

    def __init__(self, reason: str, example: str = EXAMPLE) -> None:
        super().__init__(f"{reason}\n\nA file that works:\n\n{example}")
        self.reason = reason


def load(path: Path) -> Config:
    """Read and check. ConfigError on anything that is not exactly right."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    try:
        file = File.model_validate(raw)
        params, link_timers = params_of(file), link_timers_of(file)
    except ValidationError as error:
        lines = [f"{path}: {_key(e['loc'])}: {_reason(e)}" for e in error.errors()]
        raise ConfigError("\n".join(lines)) from error
    except WiringError as error:
        raise ConfigError(f"{path}: {error}", EXAMPLE_SEVERAL) from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    return Config(path.resolve(), file, params, link_timers)


def _key(loc: tuple[int | str, ...]) -> str:
    return ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in loc).replace(".[", "[") or "file"


def _reason(error: object) -> str:
    detail = dict(error)  # type: ignore[call-overload]  # pydantic's ErrorDetails is a TypedDict
    if detail["type"] == "extra_forbidden":
        near = f"{detail['loc'][-1]}"
        return f"unknown key {near!r}; check the spelling and its unit (_w, _wh, _pct, _s)"
    if detail["type"] == "missing":
        return "is missing"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return message if detail["type"] == "value_error" else f"{message}, found {detail['input']!r}"
