"""What the files say, made into everything that runs; then whoever read the files is let go.

Reading takes pydantic models of configuration and profiles, and the composition of the parts: 2 MB that
are never needed again, and 3 MB of pydantic that only define models. They are imported in here, and forgotten before
the first thread starts.
"""

from __future__ import annotations

import gc
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.runtime import lean
from agent.runtime.part import Part
from agent.runtime.real import kernel_boot_id, ntp_synced, random_bytes
from drivers.bus import Bus
from drivers.line import Line

READERS = (
    "agent.compose",
    "agent.config",
    "agent.config_core",
    "agent.wiring",
    "drivers.profile",
    "drivers.profile_control",
    "drivers.profile_fit",
    "drivers.profile_reader",
    "drivers.profile_schema",
)


@dataclass(frozen=True, slots=True)
class Link:
    """Where the brokers are, the files of mutual TLS, whether the broker is to keep our session; `five`: MQTT 5."""

    brokers: tuple[tuple[str, int], ...]
    ca: Path
    cert: Path
    key: Path
    kept_session: bool
    five: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """Parts by name, buses with their lines by name, not opened yet. `files`: what was read, and what each is."""

    parts: dict[str, Part]
    buses: dict[str, tuple[Bus, Line]]
    socket: Path
    link: Link | None
    files: dict[Path, str]


def ready(config_path: Path, claim: Callable[[Path], None]) -> Ready | str:
    """Everything that runs; a sentence when a file says something wrong. OSError where the machine does not give what
    is asked of it. `claim` takes the state directory before anything in it is looked at, or raises OSError."""
    from agent import compose as composition
    from agent import config as configuration

    try:
        config = configuration.load(config_path)
        claim(config.state_dir)
        agent = composition.compose(
            config,
            boot=random_bytes(16).hex(),
            kernel_boot=kernel_boot_id(),
            ntp=ntp_synced(),
            draw=lambda: int.from_bytes(random_bytes(8), "big"),  # ns: four bytes end at 4.3 s
            random=random_bytes,
            read=lambda: _forget_model_makers(linked=config.file.link is not None),
        )
    except configuration.ConfigError as error:
        return str(error)
    section = config.file.link
    link = None
    if section is not None and "link" in agent.parts:
        link = Link(
            tuple((b.rpartition(":")[0], int(b.rpartition(":")[2])) for b in section.brokers),
            config.resolve(section.ca),
            config.resolve(section.cert),
            config.resolve(section.key),
            section.kept_session,
            section.mqtt == "5",
        )
    return Ready(
        agent.parts,
        {name: (bus, composition.open_line(config, name)) for name, bus in agent.buses.items()},
        config.resolve(config.file.agent.socket),
        link,
        {config.path: "the configuration", **composition.profile_paths(config)},
    )


def _forget_model_makers(linked: bool) -> None:
    """The last models are those of the messages; the link then takes the memory of whoever made them."""
    if linked:
        import agent.link.documents
        import agent.link.homeowner  # noqa: F401  # they are defined when it is imported, and those of messages too

    lean.forget_model_makers()
    gc.collect()


def forget_readers() -> None:
    """Let go of what only reading needed. Whoever imports it again gets it anew."""
    for name in READERS:
        if sys.modules.pop(name, None) is not None:
            parent, _, child = name.rpartition(".")
            if parent in sys.modules:
                vars(sys.modules[parent]).pop(child, None)
    for cleanup in getattr(typing, "_cleanups", ()):  # its caches hold the models that were subscripted
        cleanup()
    gc.collect()
