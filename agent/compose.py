"""From a configuration to the parts that run: the one place that knows every part's constructor.

`runtime.real` and `runtime.virtual` get the same objects from here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent import remote
from agent.clock import ClockKeeper
from agent.config import LINK_EXAMPLE, Config, ConfigError, DeviceSection
from agent.control import Control, Home
from agent.core.durable import Durable
from agent.core.inputs import Reserve
from agent.local.installed import Installed, LineFacts
from agent.local.people import user_name
from agent.local.pin import PinHash
from agent.local.server import LocalConfig, Server
from agent.remote import Remote
from agent.runtime.part import Part
from agent.steward import Steward
from agent.store.config import StoreConfig
from agent.store.documents import DocumentsFile
from agent.store.memories import Memories
from agent.store.pins import Pins
from agent.store.store import Store
from agent.unlinked import Unlinked
from agent.version import VERSION
from drivers import profile as profiles
from drivers.binding import DeviceSpec
from drivers.bus import Bus, BusSpec
from drivers.family import Profile
from drivers.line import Line, SerialLine, TcpLine
from drivers.memory import Memory
from drivers.readings import DeviceRole

if TYPE_CHECKING:
    from agent.config import LinkSection
    from agent.link.anchor import Anchor
    from agent.link.trust import Trust

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Agent:
    """Everything that runs. Parts by name; buses by their name in the configuration."""

    parts: dict[str, Part]
    buses: dict[str, Bus]


def compose(
    config: Config,
    *,
    boot: str,
    kernel_boot: str,
    draw: Callable[[], int],
    random: Callable[[int], bytes],
    dry: bool = False,
    ntp: bool = False,
    read: Callable[[], None] | None = None,
) -> Agent:
    """Build it all. ConfigError for what the files say wrong. What is wrong with the state directory the store says,
    and what keeps the link from being made says the part in its place: the home is protected without it.

    `dry` checks everything, the link too, and touches no disk. `ntp`: what the kernel says of its clock now. `read` is
    called when every file with a model of its own was read, before the link is imported.
    """
    buses = {section.name: make_bus(config, section.name, kernel_boot=kernel_boot) for section in config.file.bus}
    store = Store(_store(config, kernel_boot))
    durable, reserve, kept, undone = Durable(), Reserve(1000, "new"), Remote(), None
    if not dry:
        with contextlib.suppress(OSError):  # the store says what is wrong with the disk, and protection goes on
            config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        durable, reserve = store.load(), store.reserve()
        kept, undone = _documents(config)
    pins = _pins(config).read()
    home = Home(
        bus_of={device.name: device.bus for device in config.file.device},
        role_of=config.roles(),
        version=VERSION,
        pins=pins,
        serials={device.name: device.serial for device in config.file.device if device.serial is not None},
    )
    clock = ClockKeeper(kernel_boot, boot)
    clock.ntp(ntp)
    parts: dict[str, Part] = {
        "control": Control(config.params, home, durable, reserve, clock, draw, Steward(config.params, kept, undone)),
        "local": Server(_local(config)),
        "store": store,
    }
    if read is not None:
        read()
    if config.file.link is not None:
        try:
            parts["link"] = _link(config, durable, kept, boot, random, store.held)
            _sealed(config, store)
        except ConfigError as error:
            if dry:
                raise
            parts["link"] = Unlinked(str(error))
    return Agent(parts, buses)


def make_bus(config: Config, name: str, only: Container[str] | None = None, kernel_boot: str = "") -> Bus:
    """The bus `name` with its devices, or with those `only`."""
    known = memories(config, kernel_boot).read()
    section = next(bus for bus in config.file.bus if bus.name == name)
    bits = 1 + 8 + (section.parity != "N") + section.stop_bits
    spec = BusSpec(name, baud=section.baud, bits_per_char=bits, tcp=section.tcp is not None)
    devices = [d for d in config.file.device if d.bus == name and (only is None or d.name in only)]
    return Bus(spec, [_device(config, device, known.get(device.name, Memory())) for device in devices])


def open_line(config: Config, name: str) -> Line:
    """The line behind bus `name`, not opened yet."""
    section = next(bus for bus in config.file.bus if bus.name == name)
    if section.tcp is not None:
        host, _, port = section.tcp.rpartition(":")
        return TcpLine(host, int(port))
    return SerialLine(str(config.resolve(section.port or "")), section.baud, section.parity, section.stop_bits)


def _device(config: Config, device: DeviceSection, memory: Memory) -> DeviceSpec:
    try:
        own = config.file.agent.profiles
        found = profiles.load(device.profile, None if own is None else config.resolve(own))
    except profiles.ProfileError as error:
        raise ConfigError(f"{config.path}: device {device.name}: {error}") from error
    pinned = _pins(config).pinned(device.name, device.serial)
    unknown = sorted(set(device.poll_ms) - {block.name for block in found.blocks})
    if unknown:
        blocks = ", ".join(block.name for block in found.blocks)
        raise ConfigError(f"{config.path}: device {device.name}: poll_ms: no block {unknown[0]!r}; there are: {blocks}")
    if found.dialect and next(bus for bus in config.file.bus if bus.name == device.bus).tcp is not None:
        raise ConfigError(f"{config.path}: device {device.name}: {found.title} needs a serial line, not a tcp bus")
    _check_units(config, device, found)
    return DeviceSpec(
        name=device.name,
        role=DeviceRole(device.role),
        unit=device.unit,
        profile=found,
        pinned=pinned,
        wdischamax_w=device.wdischamax_w,
        ccl_ma=_milliamps(device.charge_limit_a),
        dcl_ma=_milliamps(device.discharge_limit_a),
        periods_ms=device.poll_ms,
        reversion_s=config.params.timers.reversion_s if device.role == "inverter" else None,
        nameplate_w=_part_of_nameplate(config),
        confirmed=frozenset(device.confirmed),
        units=device.units,
        memory=memory if device.role == "inverter" else None,
    )


def _check_units(config: Config, device: DeviceSection, found: Profile) -> None:
    """The unit numbers that the profile gives, or the file in their place, on the bus of this device."""
    known = dict(found.units)
    unknown = sorted(set(device.units) - set(known))
    if unknown:
        there = ", ".join(known) or "none"
        raise ConfigError(f"{config.path}: device {device.name}: units: no unit {unknown[0]!r}; there are: {there}")
    try:
        config.file.units_apart(device, {**known, **device.units})
    except ValueError as error:
        raise ConfigError(f"{config.path}: profile {device.profile}: {error}") from error


def profile_paths(config: Config) -> dict[Path, str]:
    """The files of the profiles in use, each with what it is."""
    own = config.file.agent.profiles
    directory = None if own is None else config.resolve(own)
    return {profiles.path_of(d.profile, directory): f"the profile {d.profile}" for d in config.file.device}


def _part_of_nameplate(config: Config) -> tuple[int, int]:
    """What an inverter that gives no ratings counts for: its equal part of the site's."""
    site, bare = config.params.site, config.params.wiring.bare
    count = sum(device.role == "inverter" and device.name not in bare for device in config.file.device)
    return site.nameplate_charge_w // max(1, count), site.nameplate_discharge_w // max(1, count)


def _milliamps(amps: int | None) -> int | None:
    return None if amps is None else amps * 1000


def _pins(config: Config) -> Pins:
    return Pins(_store(config).pins_path)  # the file that the store writes


def memories(config: Config, kernel_boot: str) -> Memories:
    """What must not be forgotten of the devices: the file that the store writes."""
    return Memories(_store(config).memories_path, kernel_boot)


def _store(config: Config, kernel_boot: str = "") -> StoreConfig:
    return StoreConfig(config.state_dir / "store.db", config.state_dir / "reserve", kernel_boot=kernel_boot)


def _local(config: Config) -> LocalConfig:
    section = config.file.local
    try:
        pin = PinHash.parse(section.homeowner_pin_hash) if section.homeowner_pin_hash else None
    except ValueError as error:
        raise ConfigError(f"{config.path}: local.{error}") from error
    return LocalConfig(
        version=VERSION,
        own_uid=os.getuid(),
        technician_gids=frozenset(section.technician_gids),
        homeowner_pin=pin,
        name_of=user_name,
        installed=installed(config),
        params=config.params,
    )


def installed(config: Config) -> Installed:
    """Its lines and devices, as people ask about them."""
    lines = {
        bus.name: LineFacts(
            bus.name,
            None if bus.port is None else str(config.resolve(bus.port)),
            bus.tcp,
            bus.baud,
            bus.parity,
            bus.stop_bits,
        )
        for bus in config.file.bus
    }
    devices = config.file.device
    specs = {d.name: _device(config, d, Memory()) for d in devices}
    site = config.params.site
    nameplate_w = (site.nameplate_charge_w, site.nameplate_discharge_w)
    return Installed(specs, {d.name: d.bus for d in devices}, lines, nameplate_w)


def _documents(config: Config) -> tuple[Remote, str | None]:
    """What was set from afar and holds; and what is to be told of it. Without its file the home goes by what was
    commissioned, which is never less safe, and says so."""
    data = DocumentsFile(_store(config).documents_path).read()
    if data is None:
        return Remote(), None
    kept = data if isinstance(data, str) else remote.parse(data)
    if isinstance(kept, str):
        return Remote(), f"what was set from afar is lost: {kept}; what was commissioned holds"
    return remote.begun(kept)


def _link(
    config: Config, durable: Durable, kept: Remote, boot: str, random: Callable[[int], bytes], first: int | None
) -> Part:
    from agent.link import jws, keys
    from agent.link.config import LinkConfig
    from agent.link.session import Session

    section, timers = config.file.link, config.link_timers
    assert section is not None
    bundle, anchor = _trust(config, section)
    seed = _or_refuse(config, "link.sign_key", keys.load_seed(config.resolve(section.sign_key)))
    for key in ("ca", "cert", "key"):
        path = config.resolve(getattr(section, key))
        if not os.access(path, os.R_OK):
            raise ConfigError(
                f"{config.path}: link.{key}: {path} cannot be read; enrol the gateway first", LINK_EXAMPLE
            )
    link = LinkConfig(
        device=config.file.agent.id,
        fleet=config.file.agent.fleet,
        groups=tuple(section.groups),
        brokers=len(section.brokers),
        seed=seed,
        trust=bundle,
        block_s=timers.block_s,
        backoff_floor_ns=timers.backoff_min_ns,
        backoff_cap_ns=timers.backoff_max_ns,
        anchor=anchor,
        floors=dict(kept.floors),
        settings=kept.held.settings,
        rotations=keys.load_rotations(config.state_dir / "rotation", jws.signer(seed).kid),
    )
    known = [(record.command.id, record.command.digest) for record in durable.commands]
    return Session(link, boot, random, durable.windows, known, first)


def _sealed(config: Config, store: Store) -> None:
    """Settlement records are kept as they are sent: signed, byte for byte."""
    from agent.link import jws, keys, upward

    section = config.file.link
    assert section is not None
    seed = _or_refuse(config, "link.sign_key", keys.load_seed(config.resolve(section.sign_key)))
    sender = upward.Sender(config.file.agent.id, config.file.agent.fleet, jws.signer(seed))
    store.sign(lambda row: upward.row_token(sender, row), {"agent": VERSION})


def _trust(config: Config, section: LinkSection) -> tuple[Trust, Anchor | None]:
    """What this home believes as it starts: the bundle that it keeps, or first trust, or a plain file."""
    from agent.link import anchor as anchors
    from agent.link import trust
    from agent.store.trust import TrustFile

    kept = TrustFile(_store(config).trust_path).read()
    if isinstance(kept, str):
        raise ConfigError(f"{config.path}: link.trust: {kept}; {anchors.ENROL}", LINK_EXAMPLE)
    path = config.resolve(section.trust)
    data = _or_refuse(config, "link.trust", trust.read(path))
    if trust.is_plain(data):
        if kept is not None:
            raise ConfigError(f"{config.path}: link.trust: {path} is not signed, and this home holds a signed bundle")
        return _or_refuse(config, "link.trust", trust.load(path)), None
    anchor = _or_refuse(config, "link.trust", anchors.enter(data, kept, section.root_hash, config.file.agent.fleet))
    return trust.of_bundle(anchor.bundle, anchor.homeowner), anchor


def _or_refuse(config: Config, key: str, found: T | str) -> T:
    if isinstance(found, str):
        raise ConfigError(f"{config.path}: {key}: {found}", LINK_EXAMPLE)
    return found
