"""Configuration, default control and firmware as they come: which is newer than any before, which must wait. Sans-IO.

The broker keeps them, so they come again at every connection: the version takes the place of `seq` and `id`. One that
comes before the time is known waits for it, proven, the last of each kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from agent.link import bundle as bundles
from agent.link.anchor import Anchor
from agent.link.bundle import Envelope
from agent.link.documents import AnyDocument, parse_document
from agent.link.jws import Refused, parse_object
from agent.link.messages import PROTOCOLS, foreign
from agent.link.roles import CONFIG, DEFAULT, FIRMWARE
from agent.mail import Document

KIND = {CONFIG: "config", DEFAULT: "default", FIRMWARE: "firmware"}
COMMON = frozenset({"v", "id", "iss", "aud", "seq", "iat", "exp", "version"})
Floors = Mapping[str, tuple[int, str]]
JUMP = 1_000_000  # above the last version of configuration and default control: a stolen key must not use them all up
FIRST = 1 << 30  # the first one, at most


class Documents:
    """`floors`: kind -> highest version and its digest."""

    def __init__(self, floors: Floors) -> None:
        self.floors = dict(floors)
        self._waiting: dict[str, tuple[Document, AnyDocument, frozenset[str]]] = {}

    def news(self, kind: str, claims: Mapping[str, object], digest: str) -> AnyDocument | Refused | None:
        """The document of proven claims; None: it is the one that is known."""
        if foreign(claims):
            return Refused("bad_version", f"v {claims['v']}, this agent knows {PROTOCOLS}")
        found = parse_document(kind, claims)
        if isinstance(found, str):
            return Refused("bad_body", found)
        version, known = self.floors.get(kind, (0, ""))
        if found.version < version:
            return Refused("version_rollback", f"{kind} {found.version}, and {version} is known")
        if found.version > version:
            most = version + JUMP if version else FIRST
            if kind != "firmware" and found.version > most:
                return Refused("version_jump", f"{kind} {found.version}, at most {most} expected")
            return found
        return None if digest == known else Refused("version_fork", f"{kind} {version} again, with other content")

    def take(self, doc: Document) -> Document:
        """It is in time: nothing older from now on."""
        self._waiting.pop(doc.kind, None)
        self.floors[doc.kind] = (doc.version, doc.digest)
        return doc

    def wait(self, doc: Document, body: AnyDocument, signers: Set[str]) -> None:
        """Until the time is known. The highest version of a kind waits alone."""
        held = self._waiting.get(doc.kind)
        if held is None or held[0].version < doc.version:
            self._waiting[doc.kind] = (doc, body, frozenset(signers))

    @property
    def waiting(self) -> tuple[str, ...]:
        """Kinds of which one waits."""
        return tuple(self._waiting)

    def waited(self) -> list[tuple[Document, AnyDocument, frozenset[str]]]:
        """What waits, once."""
        held, self._waiting = [*self._waiting.values()], {}
        return held


def mailed(kind: str, body: AnyDocument, digest: str, raw: str | None = None, kid: str = "") -> Document:
    """As control takes it. `raw`: of a manifest, what came; else `kid` signed it."""
    told = {name: value for name, value in body.model_dump().items() if name not in COMMON}
    return Document(kind, body.version, digest, told if raw is None else {**told, "raw": raw}, kid)


def opened(payload: bytes, limit: int) -> Envelope | Refused:
    """A manifest's envelope, nothing of it proven."""
    if len(payload) > limit:
        return Refused("oversized", f"{len(payload)} bytes, at most {limit}")
    chain = bundles.parse_chain(payload)
    if isinstance(chain, str):
        return Refused("bad_format", chain)
    return chain[0] if len(chain) == 1 else Refused("bad_format", f"{len(chain)} manifests, one expected")


def proven(envelope: Envelope, anchor: Anchor | None) -> tuple[dict[str, object], frozenset[str]] | Refused:
    """Claims of a manifest and whose signatures hold; a threshold of the firmware role must. Times are not judged."""
    if anchor is None:
        return Refused("trust_root", "this home was given a plain trust file; enrol it to take releases")
    role = anchor.bundle.roles["firmware"]
    kids = bundles.signers(envelope, role.keys, FIRMWARE)
    if len(kids) < role.threshold:
        return Refused("trust_threshold", f"{len(kids)} of {role.threshold} signatures of firmware hold")
    return parse_object(envelope.payload), kids  # a payload that is no object proves no signature


def in_time(anchor: Anchor, kids: Set[str], wall_ms: int) -> bool:
    """Whether a threshold of those keys are inside their own time."""
    role = anchor.bundle.roles["firmware"]
    current = [kid for kid in kids if kid in role.keys and role.valid[kid][0] <= wall_ms <= role.valid[kid][1]]
    return len(current) >= role.threshold
