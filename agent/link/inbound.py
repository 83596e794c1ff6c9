"""Who may tell this home what: every check between the broker and the core, cheapest first. A forger gets no answer.

Order: topic, size, retained, form, typ, key, role -> budget -> signature -> body, audience, role of the kind -> replay
-> time. Cancel and stop skip freshness, `exp`, numbers and flood control, the homeowner's opt-out freshness and
`exp`: they only ever make the home do less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from agent.core.durable import Window
from agent.core.inputs import CommandIn
from agent.link import homeowner, jws, messages
from agent.link.budgets import Budgets
from agent.link.clock import LinkClock
from agent.link.config import LinkConfig
from agent.link.documenting import KIND, Documents
from agent.link.homeowner import AnyHomeowner, OptOut
from agent.link.lasting import Lasting, refusal
from agent.link.lot import Lot, ends
from agent.link.messages import AnyCommand, Receipt, Resend, Time
from agent.link.numbers import Numbers
from agent.link.refusal import Refusal
from agent.link.roles import COMMAND, CONFIG, DEFAULT, FIRMWARE, HOMEOWNER, LINK, RECEIPT, TIME, TRUST
from agent.link.timing import EXPIRES_NOT, SKEW_MS, forgotten, left_s, outlived, unkeyed, untimely
from agent.link.trust import Trust
from agent.link.trusting import Changed, Keeper, Spoken, Warned
from agent.mail import Document

Heard = CommandIn | Resend | Time | Receipt | Changed | Spoken | Document | Refusal | None
ALWAYS = frozenset({"cancel", "stop"})
SPENT = 8  # nonces of this boot that are known for ours, and no longer answered


@dataclass(frozen=True, slots=True)
class _Route:
    typ: str
    audience: str
    limit: int


class Inbound:
    """Holds what was heard and the budgets. `known`: ids and digests of commands from before this boot. `room`: whether
    one more message of the homeowner may wait for the disk, or for its record alone (True)."""

    def __init__(
        self,
        config: LinkConfig,
        boot: str,
        windows: Iterable[tuple[str, Window]],
        known: Iterable[tuple[str, str]],
        random: Callable[[int], bytes],
        room: Callable[[bool], bool] = lambda at_once: True,
    ) -> None:
        self._config = config
        self._room = room
        self.time_kid = ""  # that signed the last time which was proven
        self._nonces = [boot]  # the last one is asked with, the others are spent
        self._numbers = Numbers(windows, known, config.seed)
        self._budgets = Budgets()
        self.lot: Lot[tuple[str, bytes]] = Lot(random)
        self._keeper = Keeper(config.trust, config.anchor)
        self.documents = Documents(config.floors)
        device = f"dev:{config.device}"
        self.lasting = Lasting(self._keeper, self._budgets, self.documents, device, f"fleet:{config.fleet}")
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

    def receive(self, topic: str, payload: bytes, retained: bool, clock: LinkClock, fresh: bool, now_ns: int) -> Heard:
        """What the message is, all checks passed and its window advanced; or why it moves nothing. None: a bundle or a
        document that is known already, or a document that waits for the time, or an ending for its second look."""
        route = self._routes.get(topic)
        if route is None:
            return Refusal("bad_typ", "no such topic")
        if route.typ in (TRUST, FIRMWARE):
            return self.followed(self.lasting.several(route.typ, payload, retained, clock, now_ns))
        header = self._cheap(route, payload, retained)
        if isinstance(header, Refusal):
            return header
        if not self._budgets.signature(route.typ, header.kid, self.trust.role_of.get(header.kid), now_ns):
            if route.typ in (COMMAND, HOMEOWNER) and ends(payload) and self.lot.keep((topic, payload), now_ns):
                return None
            return Refusal("flood", f"more signatures of {header.kid} a second than this home checks")
        return self._proven(route, payload, header, clock, fresh, now_ns)

    def drawn(self, clock: LinkClock, fresh: bool, now_ns: int) -> list[tuple[Heard, bytes]]:
        """What was drawn by lot of what looked like an ending and found no room when it came, with its token."""
        found = []
        for topic, payload in self.lot.drawn(now_ns):
            route = self._routes.get(topic)
            header = None if route is None else self._cheap(route, payload, False)
            if route is not None and isinstance(header, jws.Header):  # its group and its key may be gone since
                found.append((self._proven(route, payload, header, clock, fresh, now_ns), payload))
        return found

    def _proven(
        self, route: _Route, payload: bytes, header: jws.Header, clock: LinkClock, fresh: bool, now_ns: int
    ) -> Heard:
        """All that comes after the budget."""
        found = jws.prove(payload, header, self.trust.keys[header.kid])
        if isinstance(found, jws.Refused):
            return Refusal(found.reason, found.detail)
        if route.typ in KIND:
            return self.lasting.document(route.typ, found, clock, now_ns)
        if messages.foreign(found.claims):
            return Refusal("bad_version", f"v {found.claims['v']}, this agent knows {messages.PROTOCOLS}")
        body = _parse(route.typ, found.claims)
        if isinstance(body, str):
            return Refusal("bad_body", body)
        if body.aud != route.audience:
            return Refusal("bad_audience", f"aud {body.aud} on a topic of {route.audience}")
        if isinstance(body, Time | Receipt):
            return self._fact(body, found.header.kid, clock)
        if not self.trust.may(found.header.kid, route.typ, body.kind):
            return Refusal("bad_role", f"this key may not sign {body.kind}")
        if isinstance(body, AnyHomeowner):
            return self._homeowners(body, found.header.kid, payload, clock, fresh, now_ns)
        return self._command(body, found, clock, fresh, now_ns)

    @property
    def trust(self) -> Trust:
        """As it stands now."""
        return self._keeper.trust

    def asking(self, nonce: str) -> None:
        """This is the nonce that a signed time must echo from now on."""
        self._nonces = [*self._nonces[-SPENT:], nonce]

    def outdated(self, after_ms: int) -> None:
        """See `Numbers.outdated`."""
        self._numbers.outdated(after_ms)

    def warning(self, wall_ms: int) -> Warned | None:
        """See `Keeper.warning`."""
        return self._keeper.warning(wall_ms)

    def rotated(self, kid: str) -> bytes | None:
        """See `Keeper.rotated`."""
        return self._keeper.rotated(kid)

    def unended(self, revoked: Iterable[str]) -> tuple[str, ...]:
        """See `Numbers.unended`."""
        return self._numbers.unended(revoked)

    def again(self, clock: LinkClock, now_ns: int) -> list[Changed | Document | Refusal]:
        """Bundles, manifests and documents that found no room when they came, and there is some now."""
        found = [self.followed(each) for each in self.lasting.again(clock, now_ns)]
        return [each for each in found if each is not None]

    def followed(self, found: Changed | Document | Refusal | None) -> Changed | Document | Refusal | None:
        """The same; keys of another bundle are those that are heard from now on."""
        if isinstance(found, Changed):
            self._signers = _signers(found.trust)
            self._budgets.keys(frozenset(found.trust.keys))
        return found

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

    def _fact(self, body: Time | Receipt, kid: str, clock: LinkClock) -> Time | Receipt | Refusal:
        """Time is bound to the nonce, a receipt to numbers that are never used twice: `exp` adds nothing to either."""
        if isinstance(body, Time) and body.nonce != self._nonces[-1]:
            other = None if body.nonce in self._nonces else body.iat
            return Refusal("replay", "the nonce is not of this boot, or is spent", other_ms=other)
        if isinstance(body, Time) and not self._in_force(body.wall_ms, kid, clock):
            return Refusal("key_time", "a time at which this key, or this bundle, was not in force")
        refused = self._numbers.admit(body, kid, self._far(kid))
        if isinstance(body, Time) and refused is None:
            self.time_kid = kid
        return refused or body

    def _in_force(self, wall_ms: int, kid: str, clock: LinkClock) -> bool:
        """Whether key and bundle were in force then. After the bundle's end a time sets no clock; it may bear out one
        that is set, so that a home goes on in what an expired bundle leaves to it."""
        begun = wall_ms >= self.trust.issued_ms - SKEW_MS
        over = self.trust.expired(wall_ms - SKEW_MS) and not clock.settled
        return begun and not over and self.trust.current(kid, wall_ms)

    def _homeowners(
        self, body: AnyHomeowner, kid: str, payload: bytes, clock: LinkClock, fresh: bool, now_ns: int
    ) -> Spoken | Refusal:
        if not isinstance(body, OptOut):
            late = self._late(body, clock, fresh, now_ns)
            return late or self._spoken(body, kid, payload, 0, now_ns)
        for_s = left_s(body.iat, body.for_s, clock, now_ns)
        if body.for_s and not for_s:
            return Refusal("expired", f"an opt-out for {body.for_s} s, which are over")
        return self._spoken(body, kid, payload, for_s, now_ns)

    def _spoken(self, body: AnyHomeowner, kid: str, payload: bytes, for_s: int, now_ns: int) -> Spoken | Refusal:
        """What is repeated uses up nothing, and what finds no room may come again."""
        if self._keeper.unheard(body, kid) is None:
            if not self._room(isinstance(body, OptOut)):
                return Refusal("flood", "more messages of the homeowner than the disk keeps up with")
            if not self._budgets.said(kid, body.kind, now_ns):
                return Refusal("flood", f"more {body.kind} of {kid} a day than this home takes")
        return refusal(self._keeper.spoken(body, kid, payload, for_s))

    def _command(
        self, body: AnyCommand, found: jws.Verified, clock: LinkClock, fresh: bool, now_ns: int
    ) -> CommandIn | Resend | Refusal:
        kid, digest = found.header.kid, found.digest
        again = self._numbers.again(body, digest)
        if again is not None:
            return again
        if body.kind in ALWAYS:
            late = outlived(body, clock, now_ns)
            if late is not None:
                return late
            quiet = not self._budgets.ending(kid, now_ns)
            return self._numbers.ending(body, kid, digest, clock.least(now_ns), quiet)
        late = self._late(body, clock, fresh, now_ns) or unkeyed(self.trust, body, kid, clock, now_ns)
        if late is not None:
            return late
        setpoint = self._numbers.setpoint(body)
        if not setpoint and self._numbers.spent(body, kid, self._far(kid)):
            return Refusal("replay", f"seq {body.seq}")
        if not self._budgets.command(now_ns):
            return Refusal("flood", "more commands a second than this home takes")
        if not setpoint and not self._budgets.day(kid, now_ns):
            return Refusal("flood", f"more commands of {kid} a day than this home takes")
        if setpoint:
            return self._numbers.of_session(body, kid, digest)
        if isinstance(body, Resend) and not self._budgets.resend(now_ns):
            return Refusal("flood", "more resends than this home answers")
        refused = self._numbers.admit(body, kid, self._far(kid))
        if refused is not None:
            return refused
        self._numbers.know(body.id, digest)
        if isinstance(body, Resend):  # moves nothing: the link answers it, and the next command brings its window along
            return body
        return self._numbers.command(body, kid, digest)

    def _late(self, body: AnyCommand | AnyHomeowner, clock: LinkClock, fresh: bool, now_ns: int) -> Refusal | None:
        late = untimely(body, clock, fresh, now_ns)
        if late is not None or body.kind in EXPIRES_NOT:
            return late
        return forgotten(body, self._numbers.after_ms, clock, now_ns)

    def _far(self, kid: str) -> bool:
        return self.trust.role_of.get(kid) == "operations"


def _signers(trust: Trust) -> Mapping[str, frozenset[str]]:
    """typ -> kids that may sign some kind of it."""
    found: dict[str, frozenset[str]] = {}
    for typ, kind in LINK:
        found[typ] = found.get(typ, frozenset()) | {k for k in trust.keys if trust.may(k, typ, kind)}
    return found


def _parse(typ: str, claims: Mapping[str, object]) -> AnyCommand | AnyHomeowner | Time | Receipt | str:
    if typ == TIME:
        return messages.parse_time(claims)
    if typ == HOMEOWNER:
        return homeowner.parse_homeowner(claims)
    return messages.parse_receipt(claims) if typ == RECEIPT else messages.parse_command(claims)
