"""What people ask of devices and lines: answered from the latest View, or by the line itself when it is idle.

The Server hands over the requests `device`, `bus` and `look`, and what the lines answer. Every question has a deadline.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.local.installed import Installed
from agent.local.reason import Json
from agent.local.request import Request
from agent.mail import View
from agent.runtime.part import Effect, LocalReply, Now, Post
from drivers.events import BusStats, Look, Looked, Tell, Told

S = 1_000_000_000
WAIT_NS = 5 * S
MOST_LOOKS = 4  # at once: more would only wait for each other
MOST = {1: 2000, 2: 2000, 3: 125, 4: 125}  # of one Modbus read, by function
RESPONSE_MS = 150  # of a unit that nobody knows


@dataclass(slots=True)
class _Asked:
    deadline_ns: int
    request: Request
    unit: int = 0
    function: int = 0
    missing: set[str] = field(default_factory=set)  # lines that have not told yet
    stats: list[BusStats] = field(default_factory=list)


class Asking:
    """Questions under way, by connection."""

    def __init__(self, installed: Installed) -> None:
        self._installed = installed
        self._asked: dict[int, _Asked] = {}

    # --- questions ----------------------------------------------------------------------------------------------------
    def devices(self, conn: int, name: str, view: View, now: Now) -> LocalReply:
        """All of them, or one with its points."""
        from agent.local import inspect  # rarely asked: loaded by the first who does

        if not name:
            return _reply(conn, inspect.devices_json(view, self._installed, now))
        if name not in self._installed.specs:
            return self._no_such(conn, "device", name, self._installed.specs)
        return _reply(conn, inspect.device_json(name, view, self._installed, now))

    def buses(self, conn: int, request: Request, now: Now) -> Iterable[Effect]:
        """Ask the lines, or the one that was named, for their counters."""
        if request.bus and request.bus not in self._installed.lines:
            return (self._no_such(conn, "bus", request.bus, self._installed.lines),)
        names = [request.bus] if request.bus else [*self._installed.lines]
        self._asked[conn] = _Asked(now.mono_ns + WAIT_NS, request, missing=set(names))
        return [Post(f"bus:{name}", Tell(conn)) for name in names]

    def look(self, conn: int, request: Request, now: Now) -> Iterable[Effect]:
        """Ask the line for registers. Its profile says how long a device may think."""
        spec = self._installed.specs.get(request.device)
        if request.device and spec is None:
            return (self._no_such(conn, "device", request.device, self._installed.specs),)
        bus = self._installed.bus_of[request.device] if spec is not None else request.bus
        if bus not in self._installed.lines:
            return (self._no_such(conn, "bus", bus, self._installed.lines),)
        if sum(not asked.missing for asked in self._asked.values()) >= MOST_LOOKS:
            return (_error(conn, 4, f"{MOST_LOOKS} others are reading registers", "try again in a moment"),)
        unit = request.unit if request.unit is not None else 0 if spec is None else spec.unit
        function = request.function or (3 if spec is None else spec.profile.function)
        usual_ms = RESPONSE_MS if spec is None else spec.profile.response_ns // 1_000_000
        response_ns = min(request.response_ms or usual_ms, 1000) * 1_000_000
        dialect = request.dialect or ("" if spec is None else spec.profile.dialect)
        most = MOST.get(function, 0)
        if not dialect and request.count > most:
            if not most:
                return (_error(conn, 2, f"function {function} is no Modbus read", "--fc 1 to --fc 4"),)
            text = f"{request.count} are more than one read with function {function} brings, {most}"
            return (_error(conn, 2, text, "ask for fewer; `batteryctl bus dump` splits a long range"),)
        self._asked[conn] = _Asked(now.mono_ns + WAIT_NS, request, unit, function)
        return (Post(f"bus:{bus}", Look(conn, unit, function, request.address, request.count, response_ns, dialect)),)

    # --- answers ------------------------------------------------------------------------------------------------------
    def answered(self, event: Looked | Told, view: View | None) -> Iterable[LocalReply]:
        """What a line says; nothing if nobody waits for it any more."""
        asked = self._asked.get(event.conn)
        if asked is None:
            return ()
        from agent.local import inspect

        if isinstance(event, Told):
            asked.missing.discard(event.stats.bus)
            asked.stats.append(event.stats)
            if asked.missing:
                return ()
            body = inspect.buses_json(sorted(asked.stats, key=lambda stats: stats.bus), self._installed)
        else:
            devices = () if view is None else view.devices
            status = next((d for d in devices if d.device == asked.request.device), None)
            body = inspect.looked_json(event, asked.unit, asked.function, asked.request.address, status)
        del self._asked[event.conn]
        return (_reply(event.conn, body),)

    def late(self, now: Now) -> list[LocalReply]:
        """Those who have waited long enough."""
        over = [conn for conn, asked in self._asked.items() if now.mono_ns >= asked.deadline_ns]
        for conn in over:
            del self._asked[conn]
        text = f"the line did not answer within {WAIT_NS // S} s: it is busier than it can be"
        return [_error(conn, 6, text, "batteryctl bus test") for conn in over]

    def forget(self, conn: int) -> None:
        """The client is gone."""
        self._asked.pop(conn, None)

    def __contains__(self, conn: int) -> bool:
        return conn in self._asked

    @property
    def wake_ns(self) -> int | None:
        """When the first of them has waited long enough."""
        return min((asked.deadline_ns for asked in self._asked.values()), default=None)

    def _no_such(self, conn: int, kind: str, name: str, known: Iterable[str]) -> LocalReply:
        return _error(conn, 2, f"there is no {kind} {name!r}; there are: {', '.join(known)}", "batteryctl device list")


def _reply(conn: int, body: Json) -> LocalReply:
    return LocalReply(conn, json.dumps(body, separators=(",", ":")).encode(), close=True)


def _error(conn: int, code: int, text: str, next_: str) -> LocalReply:
    return _reply(conn, {"v": 1, "ok": False, "code": code, "error": {"text": text, "next": next_}})
