"""Who may tell this home what: every check between the broker and the core, cheapest first. A forger gets no answer.

Order: topic, size, retained, form, typ, key, role -> budget -> signature -> body, audience, role of the kind -> replay
-> time. Cancel and stop skip freshness, time, numbers and flood control: they only ever make the home do less.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from agent.core.durable import Window
from agent.core.inputs import CommandIn
from agent.link import documenting, endings, homeowner, jws, messages, replay
from agent.link.blocks import Blocks
from agent.link.budgets import Budgets
from agent.link.clock import LinkClock
from agent.link.config import LinkConfig
from agent.link.documenting import KIND, Documents
from agent.link.documents import AnyDocument
from agent.link.homeowner import AnyHomeowner
from agent.link.messages import AnyCommand, Down, Halt, Receipt, Resend, Time
from agent.link.refusal import Refusal
from agent.link.roles import COMMAND, CONFIG, DEFAULT, FIRMWARE, HOMEOWNER, LINK, RECEIPT, TIME, TRUST
from agent.link.trust import Trust
from agent.link.trusting import Changed, Keeper, Spoken, Warned
from agent.mail import Document

SKEW_MS = 30_000  # `iat` may lie this far ahead of us
STREAMS_PER_KEY = 4  # names of issuers that one key may use toward one audience
KNOWN_IDS = 256
T = TypeVar("T")

ALWAYS = frozenset({"cancel", "stop"})
EXPIRES_NOT = frozenset({"resend"})  # asks for what is the aggregator's anyway, also of an expired bundle


@dataclass(frozen=True, slots=True)
class _Route:
    typ: str
    audience: str
    limit: int


class Inbound:
    """Holds the replay windows and the budgets. `known`: ids and digests of commands from before this boot."""

    def __init__(
        self, config: LinkConfig, boot: str, windows: Iterable[tuple[str, Window]], known: Iterable[tuple[str, str]]
    ) -> None:
        self._config = config
        self._boot = boot
        self._windows = dict(windows)
        self._known = OrderedDict(known)
        self._budgets = Budgets()
        self._blocks = Blocks()
        self._secret = hashlib.sha256(b"batteryd: draws of this home\x00" + config.seed).digest()
        self._keeper = Keeper(config.trust, config.anchor)
        device = f"dev:{config.device}"
        self._routes = {
            f"{config.root}/down/command": _Route(COMMAND, device, jws.COMMAND_MAX),
            f"{config.root}/down/time": _Route(TIME, device, jws.COMMAND_MAX),
            f"{config.root}/down/receipt": _Route(RECEIPT, device, jws.TOKEN_MAX),
            f"{config.root}/down/homeowner": _Route(HOMEOWNER, device, jws.COMMAND_MAX),
            f"{config.root}/down/trust": _Route(TRUST, device, jws.BATCH_MAX),
            f"{config.root}/down/config": _Route(CONFIG, device, jws.TOKEN_MAX),
            f"{config.root}/down/default": _Route(DEFAULT, device, jws.TOKEN_MAX),
            f"{config.root}/down/firmware": _Route(FIRMWARE, device, jws.TOKEN_MAX),
        }
        self.groups: tuple[str, ...] = ()
        self.join(config.settings.groups)
        self.documents = Documents(config.floors)
        self._signers = _signers(config.trust)

    def join(self, groups: tuple[str, ...] | None) -> None:
        """These groups from now on, or None: as the file says. Of them those that the trust lists."""
        self.asked = groups
        for group in self.groups:
            del self._routes[self._config.group_topic(group)]
        listed = self._keeper.trust.groups
        named = self._config.groups if groups is None else groups
        self.groups = tuple(dict.fromkeys([group for group in named if group in listed]))
        for group in self.groups:
            topic = self._config.group_topic(group)
            self._routes[topic] = _Route(COMMAND, f"grp:{group}", jws.COMMAND_MAX)

    def receive(
        self, topic: str, payload: bytes, retained: bool, clock: LinkClock, fresh: bool, now_ns: int
    ) -> CommandIn | Resend | Time | Receipt | Changed | Spoken | Document | Refusal | None:
        """What the message is, all checks passed and its window advanced; or why it moves nothing. None: a bundle or a
        document that is known already, or a document that waits for the time."""
        route = self._routes.get(topic)
        if route is None:
            return Refusal("bad_typ", "no such topic")
        if route.typ == TRUST:
            return self._several(TRUST, payload, retained, clock, now_ns)
        if route.typ == FIRMWARE:
            return self._several(FIRMWARE, payload, retained, clock, now_ns)
        header = self._cheap(route, payload, retained)
        if isinstance(header, Refusal):
            return header
        if not self._budgets.signature(route.typ, header.kid, self.trust.role_of.get(header.kid), now_ns):
            return Refusal("flood", f"more signatures of {header.kid} a second than this home checks")
        found = jws.prove(payload, header, self.trust.keys[header.kid])
        if isinstance(found, jws.Refused):
            return Refusal(found.reason, found.detail)
        if route.typ in KIND:
            return self._document(route, found, clock, now_ns)
        if messages.foreign(found.claims):
            return Refusal("bad_version", f"v {found.claims['v']}, this agent knows {messages.PROTOCOLS}")
        body = _parse(route.typ, found.claims)
        if isinstance(body, str):
            return Refusal("bad_body", body)
        if body.aud != route.audience:
            return Refusal("bad_audience", f"aud {body.aud} on a topic of {route.audience}")
        if isinstance(body, Time | Receipt):
            return self._fact(body, found.header.kid)
        if not self.trust.may(found.header.kid, route.typ, body.kind):
            return Refusal("bad_role", f"this key may not sign {body.kind}")
        if isinstance(body, AnyHomeowner):
            late = None if body.kind == "opt_out" else _untimely(body, clock, fresh, now_ns)
            return late or _refusal(self._keeper.spoken(body, found.header.kid, payload))
        return self._command(body, found, clock, fresh, now_ns)

    @property
    def trust(self) -> Trust:
        """As it stands now."""
        return self._keeper.trust

    def warning(self, wall_ms: int) -> Warned | None:
        """See `Keeper.warning`."""
        return self._keeper.warning(wall_ms)

    def rotated(self, kid: str) -> bytes | None:
        """See `Keeper.rotated`."""
        return self._keeper.rotated(kid)

    def spoke(self, kid: str) -> bool:
        """Whether that key ever said something that was taken here."""
        return any(stream.split("|")[1] == kid for stream in self._windows)

    # --- what found no room ------------------------------------------------------------------------------------------
    def again(self, clock: LinkClock, now_ns: int) -> list[Changed | Document | Refusal]:
        """Bundles, manifests and documents that found no room when they came, and there is some now."""
        looked = [self._looked(typ, payload, clock, now_ns) for typ, payload in self._budgets.again(now_ns)]
        found = [each for each in looked if each is not None]
        if clock.known and any(self._budgets.document_ns(kind) <= now_ns for kind in self.documents.waiting):
            found += self.timely(clock, now_ns)
        return found

    def again_ns(self, clock: LinkClock) -> int | None:
        """When `again` has something."""
        times = [self._budgets.document_ns(kind) for kind in self.documents.waiting] if clock.known else []
        held_ns = self._budgets.again_ns()
        return min(times if held_ns is None else [*times, held_ns], default=None)

    # --- documents ---------------------------------------------------------------------------------------------------
    def _document(self, route: _Route, found: jws.Verified, clock: LinkClock, now_ns: int) -> Document | Refusal | None:
        kind = KIND[route.typ]
        body = self.documents.news(kind, found.claims, found.digest)
        if body is None or isinstance(body, jws.Refused):
            return _refusal(body)
        if body.aud != route.audience:
            return Refusal("bad_audience", f"aud {body.aud} on a topic of {route.audience}")
        doc = documenting.mailed(kind, body, found.digest)
        return self._in_time(doc, body, frozenset({found.header.kid}), clock, now_ns)

    def _release(self, payload: bytes, route: _Route, clock: LinkClock, now_ns: int) -> Document | Refusal | None:
        """A manifest: several keys sign it, and it is of the whole fleet or of this home."""
        envelope = documenting.opened(payload, route.limit)
        if isinstance(envelope, jws.Refused):
            return _refusal(envelope)
        found = documenting.proven(envelope, self._keeper.anchor)
        if isinstance(found, jws.Refused):
            return _refusal(found)
        claims, kids = found
        body = self.documents.news("firmware", claims, envelope.digest)
        if body is None or isinstance(body, jws.Refused):
            return _refusal(body)
        if body.aud not in (route.audience, f"fleet:{self._config.fleet}"):
            return Refusal("bad_audience", f"aud {body.aud}, of this home or its fleet expected")
        doc = documenting.mailed("firmware", body, envelope.digest, payload.decode("ascii"))
        return self._in_time(doc, body, kids, clock, now_ns)

    def timely(self, clock: LinkClock, now_ns: int) -> list[Changed | Document | Refusal]:
        """What has waited for the time, now that it is known."""
        found = [self._in_time(doc, body, kids, clock, now_ns) for doc, body, kids in self.documents.waited()]
        return [each for each in found if each is not None]

    def _in_time(
        self, doc: Document, body: AnyDocument, kids: frozenset[str], clock: LinkClock, now_ns: int
    ) -> Document | Refusal | None:
        now_ms = clock.read(now_ns) if clock.known else None
        if now_ms is None:
            self.documents.wait(doc, body, kids)
            return None
        late = _untimely(body, clock, True, now_ns)
        if late is not None:
            return late
        if self.trust.expired(now_ms):
            return Refusal("trust_expired", f"trust bundle {self.trust.version} has expired")
        anchor = self._keeper.anchor
        if doc.kind == "firmware":
            current = anchor is not None and documenting.in_time(anchor, kids, now_ms)
        else:
            current = all(kid in self.trust.keys and self.trust.current(kid, now_ms) for kid in kids)
        if not current:
            return Refusal("key_time", "a key is outside its time, or is gone")
        if not self._budgets.document(doc.kind, now_ns):
            self.documents.wait(doc, body, kids)
            return Refusal("flood", f"{doc.kind} {doc.version} waits: more of them an hour than this home takes")
        return self.documents.take(doc)

    def _several(
        self, typ: str, payload: bytes, retained: bool, clock: LinkClock, now_ns: int
    ) -> Changed | Document | Refusal | None:
        """What several keys sign together."""
        if not self._budgets.bundle(typ, retained, payload, now_ns):
            return Refusal("flood", "more bundles or manifests a second than this home looks at; the last one waits")
        return self._looked(typ, payload, clock, now_ns)

    def _looked(self, typ: str, payload: bytes, clock: LinkClock, now_ns: int) -> Changed | Document | Refusal | None:
        if typ == TRUST:
            return self._bundle(payload, clock, now_ns)
        return self._release(payload, self._routes[f"{self._config.root}/down/firmware"], clock, now_ns)

    def _bundle(self, payload: bytes, clock: LinkClock, now_ns: int) -> Changed | Refusal | None:
        changed = self._keeper.bundles(payload, clock.read(now_ns) if clock.known else None)
        if isinstance(changed, Changed):
            self._signers = _signers(changed.trust)
            self._budgets.keys(frozenset(changed.trust.keys))
        return _refusal(changed)

    def _cheap(self, route: _Route, payload: bytes, retained: bool) -> jws.Header | Refusal:
        """The header of a token that is worth a look at its signature."""
        if retained and route.typ in (COMMAND, HOMEOWNER):
            return Refusal("retained", "commands are never retained")
        header = jws.peek(payload, route.limit)
        if isinstance(header, jws.Refused):
            return Refusal(header.reason, header.detail)
        if header.typ != route.typ:
            return Refusal("bad_typ", f"typ {header.typ} on a topic of {route.typ}")
        if header.kid not in self.trust.keys:
            return Refusal("unknown_key", f"kid {header.kid}")
        if header.kid not in self._signers[route.typ]:
            return Refusal("bad_role", f"kid {header.kid} may not sign {route.typ}")
        return header

    def _fact(self, body: Time | Receipt, kid: str) -> Time | Receipt | Refusal:
        """Time is bound to the nonce, a receipt to numbers that are never used twice: `exp` adds nothing to either."""
        if isinstance(body, Time) and body.nonce != self._boot:
            return Refusal("replay", "the nonce is not of this boot", other_ms=body.iat)
        if isinstance(body, Time) and not (
            self.trust.current(kid, body.wall_ms) and body.wall_ms >= self.trust.issued_ms - SKEW_MS
        ):
            return Refusal("key_time", "a time at which this key, or this bundle, was not in force")
        return self._admit(body, kid) or body

    def _command(
        self, body: AnyCommand, found: jws.Verified, clock: LinkClock, fresh: bool, now_ns: int
    ) -> CommandIn | Resend | Refusal:
        digest = found.digest
        seen = self._known.get(body.id)
        if seen is not None:
            if seen == digest:
                return Refusal("duplicate", f"command {body.id} again", repeat_of=body.id)
            return Refusal("replay", f"id {body.id} was used for another command")
        if body.kind not in ALWAYS:
            late = _untimely(body, clock, fresh, now_ns) or self._unkeyed(body, found.header.kid, clock, now_ns)
            if late is not None:
                return late
            setpoint = self._blocks.holds(body)
            stream = _stream(body, found.header.kid)
            if not setpoint and (
                self._seen(body, found.header.kid) or not self._blocks.fits(body, self._windows.get(stream))
            ):
                return Refusal("replay", f"seq {body.seq}")
            if not self._budgets.command(now_ns):
                return Refusal("flood", "more commands a second than this home takes")
            if not setpoint and not self._budgets.day(found.header.kid, now_ns):
                return Refusal("flood", f"more commands of {found.header.kid} a day than this home takes")
            if setpoint:
                return self._setpoint(body, stream, digest)
            if isinstance(body, Resend) and not self._budgets.resend(now_ns):
                return Refusal("flood", "more resends than this home answers")
        if body.kind in ALWAYS:
            return self._ending(body, found, clock, now_ns)
        refused = self._admit(body, found.header.kid)
        if refused is not None:
            return refused
        self._know(body.id, digest)
        if isinstance(body, Resend):  # moves nothing: the link answers it, and the next command brings its window along
            return body
        stream = _stream(body, found.header.kid)
        self._windows[stream] = self._blocks.opened(body, stream, self._windows[stream])
        return CommandIn(messages.to_core(body, digest, self._draw(body.id)), ((stream, self._windows[stream]),))

    def _know(self, command: str, digest: str) -> None:
        self._known[command] = digest
        while len(self._known) > KNOWN_IDS:
            self._known.popitem(last=False)

    def _ending(self, body: AnyCommand, found: jws.Verified, clock: LinkClock, now_ns: int) -> CommandIn | Refusal:
        """Cancel and stop: no number of another message, and no other name or block of its key, stands in their way.
        What they end is ended once, so a cancel that is played again does nothing. Of stops the latest counts."""
        kid = found.header.kid
        windows: tuple[tuple[str, Window], ...] = ()
        if isinstance(body, Halt):
            last = self._windows.get(endings.stream(kid))
            now_ms = clock.least(now_ns)
            if not endings.newer(last, body, now_ms):
                return Refusal("replay", "a later stop of this key was taken")
            window = endings.taken(last, body, now_ms)
            if window is not None:
                windows = ((endings.stream(kid), window),)
        self._know(body.id, found.digest)
        quiet = not self._budgets.ending(kid, now_ns)
        if not quiet:
            self._windows.update(windows)
        command = messages.to_core(body, found.digest, self._draw(body.id))
        return CommandIn(command, () if quiet else windows, quiet)

    def _setpoint(self, body: AnyCommand, stream: str, digest: str) -> CommandIn | Refusal:
        """Of a session: it leaves nothing on the disk, so it has a window of its own, which no restart survives."""
        if not self._blocks.admit(body, stream):
            return Refusal("replay", f"seq {body.seq} of a session's block")
        return CommandIn(messages.to_core(body, digest), ())

    def _draw(self, command: str) -> int:
        """Bits of this home and that id alone: the same again for a repetition, and another in every other home."""
        mac = hashlib.blake2b(command.encode("ascii"), key=self._secret, digest_size=8)
        return int.from_bytes(mac.digest(), "big")

    def _unkeyed(self, body: AnyCommand, kid: str, clock: LinkClock, now_ns: int) -> Refusal | None:
        """A key outside its time, or a bundle past its own, brings no new work."""
        now_ms = clock.read(now_ns)
        if now_ms is None or body.kind in EXPIRES_NOT:
            return None
        if not self.trust.current(kid, now_ms):
            return Refusal("key_time", f"kid {kid} is outside its time")
        if self.trust.expired(now_ms):
            return Refusal("trust_expired", f"trust bundle {self.trust.version} has expired")
        return None

    def _seen(self, body: Down, kid: str) -> bool:
        return replay.admit(self._windows.get(_stream(body, kid)), body.seq, self._far(kid)) is None

    def _admit(self, body: Down, kid: str) -> Refusal | None:
        stream = _stream(body, kid)
        if stream not in self._windows:
            mine = stream.partition("|")[2]
            if sum(1 for name in self._windows if name.partition("|")[2] == mine) >= STREAMS_PER_KEY:
                return Refusal("replay", "this key speaks under too many names")
            if body.seq > body.iat + replay.JUMP_MAX and not self._far(kid):
                return Refusal("replay", f"seq {body.seq} is far beyond the first of a stream")
        window = replay.admit(self._windows.get(stream), body.seq, self._far(kid))
        if window is None:
            return Refusal("replay", f"seq {body.seq}")
        self._windows[stream] = window
        return None

    def _far(self, kid: str) -> bool:
        return self.trust.role_of.get(kid) == "operations"


def _stream(body: Down, kid: str) -> str:
    """Issuer, key, audience; none of them can contain the separator."""
    return f"{body.iss}|{kid}|{body.aud}"


def _signers(trust: Trust) -> Mapping[str, frozenset[str]]:
    """typ -> kids that may sign some kind of it."""
    found: dict[str, frozenset[str]] = {}
    for typ, kind in LINK:
        found[typ] = found.get(typ, frozenset()) | {k for k in trust.keys if trust.may(k, typ, kind)}
    return found


def _refusal(found: T | jws.Refused) -> T | Refusal:
    return Refusal(found.reason, found.detail) if isinstance(found, jws.Refused) else found


def _parse(typ: str, claims: Mapping[str, object]) -> AnyCommand | AnyHomeowner | Time | Receipt | str:
    if typ == TIME:
        return messages.parse_time(claims)
    if typ == HOMEOWNER:
        return homeowner.parse_homeowner(claims)
    return messages.parse_receipt(claims) if typ == RECEIPT else messages.parse_command(claims)


def _untimely(body: Down, clock: LinkClock, fresh: bool, now_ns: int) -> Refusal | None:
    now_ms = clock.read(now_ns) if clock.known else None
    if now_ms is not None and now_ms > body.exp:
        return Refusal("expired", f"exp was {now_ms - body.exp} ms ago")
    if now_ms is not None and body.iat > now_ms + SKEW_MS:
        return Refusal("future", f"iat is {body.iat - now_ms} ms ahead")
    if not fresh or now_ms is None:
        return Refusal("not_fresh", "no signed time has echoed this boot's nonce yet")
    return None
