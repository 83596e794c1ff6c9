"""How a tool reads a line: with the line to itself, or through a daemon that owns it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agent import config as configuration
from agent.local.client import Client
from drivers import profile as profiles
from drivers.dialects import DIALECTS
from drivers.exchange import Exchange
from drivers.family import Profile
from drivers.line import Line, SerialLine, TcpLine
from drivers.port import Fate, Outcome, Port, Request, Timing
from drivers.scan import Setting


class Refused(Exception):
    """It cannot be done: `code` is the exit code, `next_` what to do."""

    def __init__(self, code: int, text: str, next_: str) -> None:
        super().__init__(text)
        self.code, self.next_ = code, next_


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line is: a serial `port` or `tcp` = "host:port". `bus` is its name in the configuration."""

    port: str | None
    tcp: str | None
    bus: str | None = None
    setting: Setting | None = None  # as configured
    known: tuple[tuple[int, str], ...] = ()  # units that a running daemon reads already, and their devices

    def __str__(self) -> str:
        return str(self.tcp or self.port)

    @property
    def remedy(self) -> str:
        """What to look at when it was lost."""
        if self.tcp:
            return "does that host take one connection alone, and has another master it?"
        return "is the adapter still plugged in?"


class Asks(Protocol):
    """Whatever takes a request and says how it ended."""

    def ask(self, request: Request) -> Outcome:
        """OSError if the line is not there."""


def port_of(setting: Setting) -> Port:
    """A port with the timing of a setting."""
    bits = 1 + 8 + (setting.parity != "N") + setting.stop_bits
    return Port(Timing.serial(setting.baud, bits, 0) if setting.baud else Timing(0, 0, 0), not setting.baud)


def open_own(place: Place, setting: Setting, port: Port) -> tuple[Exchange, Line]:
    """The line to ourselves: flock and TIOCEXCL, as the daemon takes it. Refused if another has it."""
    line: Line
    if place.tcp is not None:
        host, _, number = place.tcp.rpartition(":")
        line = TcpLine(host, int(number))
    else:
        line = SerialLine(str(place.port), setting.baud, setting.parity, setting.stop_bits)
    try:
        line.open()
    except OSError as error:
        who = "is the host up, is its Modbus TCP switched on?" if place.tcp else "ls -l /dev/serial/by-id"
        raise Refused(5, f"{place} cannot be read: {error}", who) from error
    return Exchange(line, port), line


class Through:
    """The line of a running daemon: it asks for us when nothing else wants the line, at the line's own setting."""

    def __init__(self, socket: str, bus: str) -> None:
        self._socket, self._bus = socket, bus
        self._names = {id(dialect): name for name, dialect in DIALECTS.items()}

    def ask(self, request: Request) -> Outcome:
        """See Asks."""
        wish: dict[str, object] = {"bus": self._bus, "unit": request.unit, "function": request.function}
        if request.dialect is None:
            wish |= {"address": request.address, "count": int.from_bytes(request.payload[3:5], "big")}
        else:
            name = self._names[id(request.dialect)]
            wish |= {"address": request.first, "count": request.count, "dialect": name}
        wish["response_ms"] = max(20, min(1000, request.response_ns // 1_000_000))
        reply = ask(self._socket, "look", **wish)
        fate = reply.get("fate")
        if fate == "data":
            words = [int(word) for word in reply.get("words", [])]
            data = b"".join(word.to_bytes(2, "big") for word in words) or bytes.fromhex(str(reply.get("bits_hex", "")))
            return Outcome(Fate.DATA, 0, bytes((request.function, len(data) & 0xFF)) + data)
        if fate == "exception":
            return Outcome(Fate.EXCEPTION, 0, code=int(reply["exception"]))
        if fate in ("timeout", "garbled"):
            return Outcome(Fate(fate), 0)
        raise _refusal(reply)


def ask(socket: str, verb: str, **wish: object) -> dict[str, Any]:
    """One question to the daemon. Refused if it is not there."""
    try:
        with Client(socket) as client:
            return next(client.ask(verb, **wish))
    except (OSError, StopIteration, ValueError) as error:
        raise Refused(3, f"the daemon does not answer: {error}", "sudo systemctl status batteryd") from error


def _refusal(reply: dict[str, Any]) -> Refused:
    error = reply["error"]
    return Refused(int(reply["code"]), str(error["text"]), str(error.get("next", "")))


def all_profiles(config: configuration.Config | None) -> list[Profile]:
    """Those that are shipped, and the site's own."""
    own = None if config is None or config.file.agent.profiles is None else config.resolve(config.file.agent.profiles)
    names = [path.stem for path in sorted(profiles.PROFILES.glob("*.toml"))]
    names += [] if own is None else [path.stem for path in sorted(own.glob("*.toml"))]
    return [profiles.load(name, own) for name in dict.fromkeys(names)]


def load_config(path: str, needed: bool) -> configuration.Config | None:
    """The configuration; None if there is none and none is needed."""
    if not Path(path).is_file() and not needed:
        return None
    try:
        return configuration.load(Path(path))
    except configuration.ConfigError as error:
        raise Refused(2, error.reason, "batteryd --check --config FILE") from error


def places(config: configuration.Config | None) -> list[Place]:
    """The lines of the configuration."""
    if config is None:
        return []
    return [
        Place(
            None if bus.port is None else str(config.resolve(bus.port)),
            bus.tcp,
            bus.name,
            Setting(0) if bus.tcp is not None else Setting(bus.baud, bus.parity, bus.stop_bits),
        )
        for bus in config.file.bus
    ]


def places_of_daemon(socket: str) -> list[Place]:
    """The lines that the daemon owns."""
    reply = ask(socket, "bus")
    if "error" in reply:
        raise _refusal(reply)
    return [
        Place(
            bus["port"],
            bus["tcp"],
            bus["name"],
            Setting(0) if bus["tcp"] else Setting(bus["baud"], bus["parity"], bus["stop_bits"]),
            tuple((unit["unit"], unit["device"] or "a device") for unit in bus["units"]),
        )
        for bus in reply["buses"]
    ]


def same(one: Place, other: Place) -> bool:
    """One line, whatever it is called."""
    if one.tcp is not None or other.tcp is not None:
        return one.tcp == other.tcp
    return os.path.realpath(str(one.port)) == os.path.realpath(str(other.port))


def guarded(main: Callable[[], int]) -> int:
    """`main`, and no word when the reader of our output went away (`| head`); its code, where it had one by then."""
    code = 0
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # keep the interpreter from flushing into it
    return code


def say(text: str) -> None:
    """Talk, for stderr."""
    print(text, file=sys.stderr, flush=True)


def complain(error: Refused) -> int:
    """What went wrong, on stderr; the exit code."""
    say(f"xx {error}")
    if error.next_:
        say(f"   next     {error.next_}")
    return error.code


def failed(error: Refused, as_json: bool) -> int:
    """The same, on stdout as an object where --json asks."""
    if not as_json:
        return complain(error)
    body = {"text": str(error), "next": error.next_}
    print(json.dumps({"v": 1, "ok": False, "code": error.code, "error": body}))
    return error.code
