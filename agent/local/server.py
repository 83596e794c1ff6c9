"""The part "local": what people on the gateway ask, and what they are told. Wire format: docs/local-api.md.

It keeps the latest View and the last lines of the log, answers reads from them, and passes changes on to "control" as
Verbs, each with the role of the one who asks. It owns no socket: whoever runs it bounds the number of connections and
the length of a line, takes peer credentials from the kernel, and drops a client whose unsent output grows too long.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agent.core.params import Params, Site, Timers
from agent.link.roles import LOCAL, may_ask
from agent.local import words
from agent.local.asking import Asking
from agent.local.fault import faults_json
from agent.local.installed import Installed
from agent.local.pin import PinGuard, PinHash, PinVerdict
from agent.local.reason import Json, why_json
from agent.local.request import MAX_LINES, Request, parse_request
from agent.local.view import reserve_json, status_json
from agent.mail import Line, Verb, VerbDone, View
from agent.runtime.part import (
    Effect,
    LocalClosed,
    LocalReply,
    LocalRequest,
    Log,
    Now,
    Post,
    Stop,
    Stopped,
    Wake,
    WakeAt,
)
from drivers.events import Looked, Told

S = 1_000_000_000
STALL_NS = 4 * S  # watchers are told when control has been silent for this long
MAX_STREAMS = 16  # of everybody; technicians may have as many again, so that viewers cannot crowd them out


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """Who is who on this gateway. `own_uid`: the daemon's. `name_of`: the user's name, as messages show it."""

    version: str
    own_uid: int
    technician_gids: frozenset[int] = frozenset()
    homeowner_pin: PinHash | None = None
    verb_timeout_ns: int = 10 * S
    name_of: Callable[[int], str] = "uid {}".format
    installed: Installed = field(default_factory=Installed)
    params: Params = field(default_factory=lambda: Params(Site(0, 0, 0, 0, 0), Timers()))  # the times that people see


@dataclass(frozen=True, slots=True)
class _Pending:
    verb: str
    deadline_ns: int


class Server:
    """See the module. Everything that comes from a client ends in a reply; nothing that it sends raises."""

    def __init__(self, config: LocalConfig) -> None:
        self._config = config
        self._guard = PinGuard(config.homeowner_pin)
        self._view: View | None = None
        self._ring: deque[Line] = deque(maxlen=MAX_LINES)
        self._watchers: dict[int, None] = {}  # conn, in the order in which they came
        self._followers: dict[int, None] = {}
        self._pending: dict[int, _Pending] = {}
        self._asking = Asking(config.installed)
        self._stall_ns = 0  # when to tell the watchers that control is silent

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        effects = list(self._handle(event, now))
        wake_ns = self._next_wake_ns()
        if wake_ns is not None:
            effects.append(WakeAt(wake_ns))
        return effects

    def _handle(self, event: object, now: Now) -> Iterable[Effect]:
        match event:
            case LocalRequest():
                return self._on_request(event, now)
            case LocalClosed():
                self._forget(event.conn)
                return ()
            case View():
                self._view = event
                self._stall_ns = now.mono_ns + STALL_NS
                return self._tell_watchers(event, now)
            case Line():
                return self._on_line(event)
            case VerbDone():
                return self._on_done(event)
            case Looked() | Told():
                return self._asking.answered(event, self._view)
            case Wake():
                return self._on_wake(now)
            case Stop():
                # it goes on answering until it is taken down: a stop is when people look
                return (Post("runtime", Stopped("local")),)
            case _:
                return ()

    # --- requests -----------------------------------------------------------------------------------------------------
    def _on_request(self, event: LocalRequest, now: Now) -> Iterable[Effect]:
        conn = event.conn
        if any(conn in busy for busy in (self._watchers, self._followers, self._pending, self._asking)):
            self._forget(conn)
            return (_error(conn, 2, "one request a connection: this one has asked before"),)
        request = parse_request(event.data)
        if isinstance(request, str):
            return (_error(conn, 2, request, next="docs/local-api.md"),)
        match request.verb:
            case "log":
                return self._log(event, request)
            case "reserve" if request.permille is not None:
                return self._set_reserve(event, request, request.permille, now)
            case "stop" | "resume" | "adopt" | "storm" | "optout" | "optin" | "override":
                return self._change(event, request, now)
            case "bus":
                return self._asking.buses(conn, request, now)
            case "look" if may_ask(self._standing(event), "look"):
                return self._asking.look(conn, request, now)
            case "look":
                return (self._not_allowed(event, "look"),)
        view = self._view
        if view is None:
            return (_error(conn, 1, "batteryd is up, its first cycle is not finished yet", next="batteryctl wait"),)
        match request.verb:
            case "why":
                return (_last(conn, why_json(view, request.side, now)),)
            case "faults":
                return (_last(conn, faults_json(view, self._config.params, now, request.fault)),)
            case "reserve":
                return (_last(conn, {"v": 1, "ok": True, "code": 0, "reserve": reserve_json(view, now)}),)
            case "watch":
                return self._watch(event, view, now)
            case "device":
                return (self._asking.devices(conn, request.device, view, now),)
            case _:
                return (_last(conn, self._whole(request.verb, view, now)),)

    def _whole(self, verb: str, view: View, now: Now) -> Json:
        """The answer to "status", or to "config"."""
        if verb == "config" and view.in_force is not None:
            from agent.local.settings import config_json  # rarely asked: loaded by the first who does

            return config_json(view.in_force)
        return status_json(view, self._config.version, now)

    def _watch(self, event: LocalRequest, view: View, now: Now) -> Iterable[Effect]:
        if self._full(event):
            return (self._crowded(event.conn),)
        self._watchers[event.conn] = None
        self._stall_ns = max(self._stall_ns, now.mono_ns + S)
        return (_more(event.conn, status_json(view, self._config.version, now)),)

    def _log(self, event: LocalRequest, request: Request) -> Iterable[Effect]:
        if request.follow and self._full(event):
            return (self._crowded(event.conn),)
        lines = list(self._ring)[len(self._ring) - min(request.lines, len(self._ring)) :]
        body = _lines(lines)
        if not request.follow:
            return (_last(event.conn, body),)
        self._followers[event.conn] = None
        return (_more(event.conn, body),)

    def _full(self, event: LocalRequest) -> bool:
        most = 2 * MAX_STREAMS if self._is_technician(event) else MAX_STREAMS
        return len(self._watchers) + len(self._followers) >= most

    def _crowded(self, conn: int) -> LocalReply:
        open_now = len(self._watchers) + len(self._followers)
        return _error(
            conn,
            4,
            f"{open_now} live streams are open, at most {MAX_STREAMS} are served",
            limit="live streams",
            value=str(MAX_STREAMS),
            present=str(open_now),
            set_by="agent",
            next="end a batteryctl watch or log -f that nobody looks at",
        )

    # --- changes ------------------------------------------------------------------------------------------------------
    def _change(self, event: LocalRequest, request: Request, now: Now) -> Iterable[Effect]:
        role, notes = self._role(event, request, now)
        if isinstance(role, LocalReply):
            return (*notes, role)
        if not may_ask(role, request.verb):
            return (*notes, self._not_allowed(event, request.verb))
        window = (request.from_ms, request.until_ms, request.for_s)
        text = request.device or request.reason
        value = request.permille or request.watts or 0
        if request.verb == "override" and request.watts is None:
            text = "off"
        return (*notes, *self._pass_on(event, request.verb, role, now, value, text, window))

    def _set_reserve(self, event: LocalRequest, request: Request, permille: int, now: Now) -> Iterable[Effect]:
        role, notes = self._role(event, request, now)
        if isinstance(role, LocalReply):
            return (*notes, role)
        view = self._view
        lowers = view is None or permille < view.reserve_permille
        if lowers and not may_ask(role, "reserve_lower"):
            return (*notes, self._not_lowered(event, permille))
        if not may_ask(role, "reserve"):
            return (*notes, self._not_allowed(event, "reserve"))
        return (*notes, *self._pass_on(event, "reserve", role, now, value=permille))

    def _role(self, event: LocalRequest, request: Request, now: Now) -> tuple[str | LocalReply, tuple[Effect, ...]]:
        """A PIN that is right makes a homeowner; without one, the kernel's word on who asks."""
        if request.pin is None:
            return self._standing(event), ()
        verdict, wait_s = self._guard.check(request.pin, event.uid, now.mono_ns)
        who = self._config.name_of(event.uid)
        if verdict is PinVerdict.RIGHT:
            return "homeowner", ()
        if verdict is PinVerdict.NOT_SET:
            text = "no homeowner's PIN is set on this gateway"
            return _error(event.conn, 4, text, **_PIN, present="not set", next=_SET_PIN), ()
        if verdict is PinVerdict.WAIT:
            text = f"too many wrong PINs by {who}: the next try counts in {wait_s} s"
            refusal = _PIN | {"present": f"{wait_s} s to wait", "next": f"wait {wait_s} s"}
            return _error(event.conn, 4, text, retry_after_s=wait_s, **refusal), ()
        note = f"wrong homeowner PIN from {who} for {request.verb}"
        text = "that is not the homeowner's PIN"
        next_ = f"try again in {wait_s} s" if wait_s else "try again"
        reply = _error(event.conn, 4, text, retry_after_s=wait_s, **_PIN, present="wrong", next=next_)
        return reply, self._say("warning", note, now)

    def _standing(self, event: LocalRequest) -> str:
        return "technician" if self._is_technician(event) else "viewer"

    def _is_technician(self, event: LocalRequest) -> bool:
        own = event.uid in (0, self._config.own_uid)
        return own or not self._config.technician_gids.isdisjoint(event.gids)

    def _pass_on(
        self,
        event: LocalRequest,
        verb: str,
        role: str,
        now: Now,
        value: int = 0,
        text: str = "",
        window: tuple[int, int, int] = (0, 0, 0),
    ) -> Iterable[Effect]:
        by = f"{self._config.name_of(event.uid)} ({role})"
        self._pending[event.conn] = _Pending(verb, now.mono_ns + self._config.verb_timeout_ns)
        asked = f" {words.percent(value)}" if verb in ("reserve", "storm") else f" {text}" if text else ""
        return (
            *self._say("info", f"{by} asks: {verb}{asked}", now),
            Post("control", Verb(event.conn, verb, by, role, value, text, *window)),
        )

    def _not_allowed(self, event: LocalRequest, verb: str) -> LocalReply:
        who = self._config.name_of(event.uid)
        alone = "homeowner" not in LOCAL[verb][0]
        return _error(
            event.conn,
            4,
            f"{verb} needs a technician{'' if alone else ' or the homeowner'}, and {who} may only look",
            limit="role",
            value="technician" if alone else "technician, or the homeowner's PIN",
            present=f"viewer ({who})",
            set_by="site, [local] technician_gids",
            next=f"sudo batteryctl {_TYPED.get(verb, verb)} ...",
            pin_helps=not alone and self._config.homeowner_pin is not None,
        )

    def _not_lowered(self, event: LocalRequest, permille: int) -> LocalReply:
        view = self._view
        value = words.UNKNOWN if view is None else words.percent(view.reserve_permille)
        has_pin = self._config.homeowner_pin is not None
        return _error(
            event.conn,
            4,
            f"the reserve is {value} and only the homeowner lowers it",
            limit="reserve",
            value=value,
            present=f"{words.percent(permille)} asked",
            set_by="homeowner",
            next="let the homeowner type the PIN" if has_pin else _SET_PIN,
            pin_helps=has_pin,
        )

    def _on_done(self, done: VerbDone) -> Iterable[Effect]:
        if self._pending.pop(done.conn, None) is None:
            return ()  # gone, or told already that time was up
        body: Json = {"v": 1, "ok": done.code == 0, "code": done.code, "text": done.text, "body": dict(done.body)}
        if done.code != 0:
            refusal = {key: done.body[key] for key in _REFUSAL if key in done.body}
            if done.body.get("pin_helps") and self._config.homeowner_pin is not None:
                refusal["pin_helps"] = True
            body["error"] = {"text": done.text, **refusal}
        return (_last(done.conn, body),)

    # --- streams and time ---------------------------------------------------------------------------------------------
    def _tell_watchers(self, view: View, now: Now) -> Iterable[Effect]:
        if not self._watchers:
            return ()
        data = _encode(status_json(view, self._config.version, now))
        return [LocalReply(conn, data, close=False) for conn in self._watchers]

    def _on_line(self, line: Line) -> Iterable[Effect]:
        self._ring.append(line)
        if not self._followers:
            return ()
        data = _encode(_lines([line]))
        return [LocalReply(conn, data, close=False) for conn in self._followers]

    def _say(self, level: str, text: str, now: Now) -> tuple[Effect, ...]:
        """One line for the journal, and for those who follow the log here."""
        return (Log(level, text), *self._on_line(Line(now.wall_ms, level, text)))

    def _on_wake(self, now: Now) -> Iterable[Effect]:
        effects: list[Effect] = [*self._asking.late(now)]
        for conn, pending in list(self._pending.items()):
            if now.mono_ns >= pending.deadline_ns:
                del self._pending[conn]
                waited_s = self._config.verb_timeout_ns // S
                text = f"{pending.verb}: no answer within {waited_s} s; it may still take effect"
                effects.append(_error(conn, 6, text, next="batteryctl status; batteryctl log"))
        if self._watchers and self._view is not None and now.mono_ns >= self._stall_ns:
            self._stall_ns = now.mono_ns + STALL_NS
            effects += self._tell_watchers(self._view, now)
        return effects

    def _next_wake_ns(self) -> int | None:
        times = [pending.deadline_ns for pending in self._pending.values()]
        if self._asking.wake_ns is not None:
            times.append(self._asking.wake_ns)
        if self._watchers:
            times.append(self._stall_ns)
        return min(times, default=None)

    def _forget(self, conn: int) -> None:
        self._watchers.pop(conn, None)
        self._followers.pop(conn, None)
        self._pending.pop(conn, None)
        self._asking.forget(conn)


_TYPED = {
    "adopt": "device adopt",
    "look": "bus read",
    "storm": "reserve storm",
}  # what a person types for a verb of the API
_REFUSAL = ("limit", "value", "present", "set_by", "next")
_PIN: dict[str, object] = {"limit": "homeowner's PIN", "value": "secret", "set_by": "homeowner"}
_SET_PIN = "set one: python -m agent.tools.pin, then [local] homeowner_pin_hash in the configuration"


def _lines(lines: list[Line]) -> Json:
    told = [{"wall_ms": line.wall_ms, "level": line.level, "text": line.text} for line in lines]
    return {"v": 1, "ok": True, "code": 0, "lines": told}


def _encode(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _last(conn: int, body: Json) -> LocalReply:
    return LocalReply(conn, _encode(body), close=True)


def _more(conn: int, body: Json) -> LocalReply:
    return LocalReply(conn, _encode(body), close=False)


def _error(conn: int, code: int, text: str, **rest: object) -> LocalReply:
    return _last(conn, {"v": 1, "ok": False, "code": code, "error": {"text": text, **rest}})
