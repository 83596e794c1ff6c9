"""What comes down and stays: bundles, manifests, configuration, default control. Proven, in time, in budget. Sans-IO.

What finds no room, and what comes before the time is known, waits here and is looked at again.
"""

from __future__ import annotations

from typing import TypeVar

from agent.link import documenting, jws, timing
from agent.link.budgets import Budgets
from agent.link.clock import LinkClock
from agent.link.documenting import KIND, Documents
from agent.link.documents import AnyDocument
from agent.link.refusal import Refusal
from agent.link.roles import TRUST
from agent.link.trust import Trust
from agent.link.trusting import Changed, Keeper
from agent.mail import Document

T = TypeVar("T")


class Lasting:
    """Of one home: `device` is its audience, `fleet` that of every home."""

    def __init__(self, keeper: Keeper, budgets: Budgets, documents: Documents, device: str, fleet: str) -> None:
        self._keeper = keeper
        self._budgets = budgets
        self._documents = documents
        self._device = device
        self._fleet = fleet

    # --- what found no room ------------------------------------------------------------------------------------------
    def again(self, clock: LinkClock, now_ns: int) -> list[Changed | Document | Refusal]:
        """Bundles, manifests and documents that found no room when they came, and there is some now."""
        looked = [self._looked(typ, payload, clock, now_ns) for typ, payload in self._budgets.again(now_ns)]
        found = [each for each in looked if each is not None]
        if clock.known and any(self._budgets.document_ns(kind) <= now_ns for kind in self._documents.waiting):
            found += self.timely(clock, now_ns)
        return found

    def again_ns(self, clock: LinkClock) -> int | None:
        """When `again` has something."""
        times = [self._budgets.document_ns(kind) for kind in self._documents.waiting] if clock.known else []
        held_ns = self._budgets.again_ns()
        return min(times if held_ns is None else [*times, held_ns], default=None)

    # --- what one key signs ------------------------------------------------------------------------------------------
    def document(self, typ: str, found: jws.Verified, clock: LinkClock, now_ns: int) -> Document | Refusal | None:
        """A proven document. None: it is known, or waits for the time."""
        kind = KIND[typ]
        body = self._documents.news(kind, found.claims, found.digest)
        if body is None or isinstance(body, jws.Refused):
            return refusal(body)
        if body.aud != self._device:
            return Refusal("bad_audience", f"aud {body.aud} on a topic of {self._device}")
        doc = documenting.mailed(kind, body, found.digest, kid=found.header.kid)
        return self._in_time(doc, body, frozenset({found.header.kid}), clock, now_ns)

    def timely(self, clock: LinkClock, now_ns: int) -> list[Changed | Document | Refusal]:
        """What has waited for the time, now that it is known."""
        found = [self._in_time(doc, body, kids, clock, now_ns) for doc, body, kids in self._documents.waited()]
        return [each for each in found if each is not None]

    def _in_time(
        self, doc: Document, body: AnyDocument, kids: frozenset[str], clock: LinkClock, now_ns: int
    ) -> Document | Refusal | None:
        span = clock.span(now_ns)
        if span is None:
            self._documents.wait(doc, body, kids)
            return None
        late = timing.untimely(body, clock, True, now_ns)
        if late is not None:
            return late
        if self._trust.expired(span[1]):
            return Refusal("trust_expired", f"trust bundle {self._trust.version} has expired")
        anchor = self._keeper.anchor
        if doc.kind == "firmware":
            current = anchor is not None and all(documenting.in_time(anchor, kids, at_ms) for at_ms in span)
        else:
            current = kids <= self._trust.keys.keys() and timing.current(self._trust, kids, span)
        if not current:
            return Refusal("key_time", "a key is outside its time, or is gone")
        if not self._budgets.document(doc.kind, now_ns):
            self._documents.wait(doc, body, kids)
            return Refusal("flood", f"{doc.kind} {doc.version} waits: more of them an hour than this home takes")
        return self._documents.take(doc)

    # --- what several keys sign together -----------------------------------------------------------------------------
    def several(
        self, typ: str, payload: bytes, retained: bool, clock: LinkClock, now_ns: int
    ) -> Changed | Document | Refusal | None:
        """A bundle or a manifest, nothing of it proven. None: nothing new."""
        if not self._budgets.bundle(typ, retained, payload, now_ns):
            return Refusal("flood", "more bundles or manifests a second than this home looks at; the last one waits")
        return self._looked(typ, payload, clock, now_ns)

    def _looked(self, typ: str, payload: bytes, clock: LinkClock, now_ns: int) -> Changed | Document | Refusal | None:
        if typ == TRUST:
            return refusal(self._keeper.bundles(payload, clock.read(now_ns) if clock.known else None))
        return self._release(payload, clock, now_ns)

    def _release(self, payload: bytes, clock: LinkClock, now_ns: int) -> Document | Refusal | None:
        """A manifest: several keys sign it, and it is of the whole fleet or of this home."""
        envelope = documenting.opened(payload, jws.TOKEN_MAX)
        if isinstance(envelope, jws.Refused):
            return refusal(envelope)
        found = documenting.proven(envelope, self._keeper.anchor)
        if isinstance(found, jws.Refused):
            return refusal(found)
        claims, kids = found
        body = self._documents.news("firmware", claims, envelope.digest)
        if body is None or isinstance(body, jws.Refused):
            return refusal(body)
        if body.aud not in (self._device, self._fleet):
            return Refusal("bad_audience", f"aud {body.aud}, of this home or its fleet expected")
        doc = documenting.mailed("firmware", body, envelope.digest, payload.decode("ascii"))
        return self._in_time(doc, body, kids, clock, now_ns)

    @property
    def _trust(self) -> Trust:
        return self._keeper.trust


def refusal(found: T | jws.Refused) -> T | Refusal:
    """What the outside hears of it."""
    return Refusal(found.reason, found.detail) if isinstance(found, jws.Refused) else found
