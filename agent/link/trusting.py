"""The link's trust while it runs: what a message with bundles, or of the homeowner, changes in it. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.link import anchor as anchors
from agent.link.anchor import Anchor
from agent.link.bundle import DAY_MS, parse_chain
from agent.link.homeowner import AnyHomeowner, OptOut
from agent.link.jws import Refused
from agent.link.trust import Trust, of_bundle

STATE_MAX = 30_000  # bytes: it must fit into a slot of agent.store.mirrored
_MARKS = (50, 80, 100)  # percent of a bundle's life at which somebody should look


@dataclass(frozen=True, slots=True)
class Changed:
    """Another bundle is in force. `state` belongs on the disk; `revoked` = dispatch keys that it takes back, `gone` =
    all keys that it does."""

    trust: Trust
    state: bytes
    revoked: tuple[str, ...]
    sentence: str
    gone: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Spoken:
    """The homeowner said `body`, proven. It acts once `state` is on the disk; an opt-out acts at once. `for_s`: what is
    left of an opt-out, 0 = until opt-in."""

    body: AnyHomeowner
    kid: str
    token: bytes
    state: bytes
    for_s: int = 0

    @property
    def at_once(self) -> bool:
        """It only ever makes the home do less."""
        return isinstance(self.body, OptOut)


@dataclass(frozen=True, slots=True)
class Warned:
    """Somebody should look: for the log, and as an event that is kept with `state`."""

    sentence: str
    state: bytes
    event: Mapping[str, object]


class Keeper:
    """Holds the anchor, if this home has one, and the trust that is made of it."""

    def __init__(self, trust: Trust, anchor: Anchor | None) -> None:
        self._anchor = anchor
        self.trust = trust
        self._marked = 0

    @property
    def anchor(self) -> Anchor | None:
        """What the trust is made of; None: a plain file."""
        return self._anchor

    def bundles(self, data: bytes, wall_ms: int | None) -> Changed | Refused | None:
        """A message of `down/trust`. None: nothing new in it."""
        anchor = self._anchor
        if anchor is None:
            return Refused("trust_root", "this home was given a plain trust file; enrol it to take bundles")
        chain = parse_chain(data)
        if isinstance(chain, str):
            return Refused("bad_format", chain)
        found = anchors.carry(anchor, chain, wall_ms)
        if isinstance(found, Refused):
            return found
        if found is anchor:
            return None
        state = found.dump()
        if len(state) > STATE_MAX or isinstance(anchors.parse(state), str):
            return Refused(
                "oversized", f"{len(state)} bytes to keep, at most {STATE_MAX} that can be read again expected"
            )
        old, self._anchor = self.trust, found
        self.trust = of_bundle(found.bundle, found.homeowner)
        self._marked = 0
        revoked = found.bundle.revoked - anchor.bundle.revoked
        gone = tuple(sorted(kid for kid in revoked if old.role_of.get(kid) == "dispatch"))
        text = f"trust bundle {found.bundle.version} follows {anchor.bundle.version}"
        text += f"; revoked: {', '.join(sorted(revoked))}" if revoked else ""
        return Changed(self.trust, state, gone, text, revoked)

    def unheard(self, body: AnyHomeowner, kid: str) -> Refused | None:
        """Why that proven message of the homeowner is not taken; None: it is news."""
        anchor = self._anchor
        if anchor is None:
            return Refused("bad_role", "this home was given a plain trust file; enrol it and name the homeowner's key")
        if anchor.spent(kid, body.seq):
            return Refused("replay", f"seq {body.seq}")
        if body.iat < anchor.since_ms and not isinstance(body, OptOut):
            return Refused("replay", f"signed {anchor.since_ms - body.iat} ms before this home began to trust")
        return None

    def spoken(self, body: AnyHomeowner, kid: str, token: bytes, for_s: int = 0) -> Spoken | Refused:
        """A proven message of the homeowner; its number is taken from now on."""
        refused = self.unheard(body, kid)
        if refused is not None:
            return refused
        assert self._anchor is not None
        self._anchor = self._anchor.spoken(kid, body.seq)
        return Spoken(body, kid, token, self._anchor.dump(), for_s)

    def rotated(self, kid: str) -> bytes | None:
        """The state in which it is on record that `kid` signs for this home; None if it is so already."""
        if self._anchor is None or self._anchor.told == kid:
            return None
        self._anchor = self._anchor.announced(kid)
        return self._anchor.dump()

    def warning(self, wall_ms: int) -> Warned | None:
        """When half, four fifths and all of the bundle's life are over; each once a start."""
        expires = self.trust.expires_ms
        if expires is None or self._anchor is None:
            return None
        used = 100 * (wall_ms - self.trust.issued_ms) // max(1, expires - self.trust.issued_ms)
        mark = max((m for m in _MARKS if used >= m), default=0)
        if mark <= self._marked:
            return None
        self._marked = mark
        event = {"event": "trust_life", "used_pct": mark, "version": self.trust.version, "expires_ms": expires}
        sentence = "the trust bundle has expired: no new dispatch until a later one comes; everything else goes on"
        if mark < _MARKS[-1]:
            days = (expires - wall_ms) // DAY_MS
            sentence = f"{mark} % of the trust bundle's life are over; it expires in {days} days: a later one is due"
        return Warned(sentence, self._anchor.dump(), event | {"sentence": sentence})
