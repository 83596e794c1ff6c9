"""What this home holds of its trust across restarts, and how it changes. Pure: the store keeps the bytes, in two slots.

The bundle in force, the hash that the first trust was given by and the root keys of that day, the homeowner's keys
(named at the gateway: no bundle can bring or take one), the highest number that each homeowner's key has spoken with
(also of one that was pushed out, and over a change of root), since when, and which of its own signing keys this home
has told the aggregator of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from agent.link import bundle as bundles
from agent.link.bundle import Bundle, Envelope
from agent.link.jws import Refused, Verifier, b64, parse_object, unb64, verifier

HOMEOWNER_KEYS = 4
NUMBERS = 32  # of keys of the homeowner, the present ones among them


@dataclass(frozen=True, slots=True)
class Anchor:
    """`root_hash`: of the bundle of the claim. `heard`: kid of a homeowner's key -> highest `seq` that was taken.

    `rooted`: kids of the root keys at the last claim: no later bundle may let others reach the threshold alone.
    `told`: the signing key of this home whose rotation is on record. `since_ms`: UTC ms of that claim, by network time;
    0 = there was none.
    """

    root_hash: str
    bundle: Bundle
    homeowner: Mapping[str, Verifier]
    heard: Mapping[str, int]
    rooted: frozenset[str]
    told: str = ""
    since_ms: int = 0

    def dump(self) -> bytes:
        """The bytes that `parse` reads."""
        body = {
            "v": 3,
            "root_hash": self.root_hash,
            "bundle": dict(self.bundle.envelope.raw),
            "homeowner": [b64(key.key.public_bytes_raw()) for key in self.homeowner.values()],
            "heard": dict(self.heard),
            "rooted": sorted(self.rooted),
            "told": self.told,
            "since_ms": self.since_ms,
        }
        return json.dumps(body, separators=(",", ":")).encode("ascii")

    def followed(self, bundle: Bundle) -> Anchor:
        """The same with a later bundle."""
        return replace(self, bundle=bundle)

    def spoken(self, kid: str, seq: int) -> Anchor:
        """The same after that key has spoken with `seq`."""
        return replace(self, heard=MappingProxyType({**self.heard, kid: seq}))

    def spent(self, kid: str, seq: int) -> bool:
        """Whether a message of that key and number was taken, or a later one."""
        return seq <= self.heard.get(kid, -1)

    def hearing(self, numbers: Mapping[str, int]) -> Anchor:
        """The same after another gateway in this one's place heard so much."""
        highest = {kid: max(seq, self.heard.get(kid, -1)) for kid, seq in {**self.heard, **numbers}.items()}
        return replace(self, heard=MappingProxyType(highest))

    def announced(self, kid: str) -> Anchor:
        """The same once it is on record that `kid` signs for this home now."""
        return replace(self, told=kid)

    def named(self, keys: Mapping[str, Verifier]) -> Anchor:
        """The same with these homeowner's keys; what was heard of others is kept too, they may be named again."""
        others = [kid for kid in self.heard if kid not in keys][HOMEOWNER_KEYS - NUMBERS :]
        heard = {kid: seq for kid, seq in self.heard.items() if kid in keys or kid in others}
        return replace(self, homeowner=MappingProxyType(dict(keys)), heard=MappingProxyType(heard))


def begin(bundle: Bundle, root_hash: str, since_ms: int = 0) -> Anchor:
    """First trust, or trust anew: somebody is there."""
    none: Mapping[str, Verifier] = MappingProxyType({})
    return Anchor(root_hash, bundle, none, MappingProxyType({}), frozenset(bundle.roots.keys), since_ms=since_ms)


def parse(data: bytes) -> Anchor | str:
    """What the store kept, or a sentence."""
    try:
        raw = parse_object(data)
        members = {"v", "root_hash", "bundle", "homeowner", "heard", "rooted", "told"}
        if (raw.get("v"), set(raw)) not in ((2, members), (3, members | {"since_ms"})):
            return "it is not of a form that this version knows"
        chain = bundles.parse_chain(json.dumps(raw["bundle"]).encode("utf-8"))
    except (ValueError, RecursionError) as error:
        return f"not strict JSON ({error})"
    if isinstance(chain, str):
        return chain
    found = bundles.own(chain[0])
    if isinstance(found, Refused):
        return found.detail
    keys, heard, root_hash = _homeowner(raw["homeowner"]), numbers(raw["heard"]), raw["root_hash"]
    if keys is None:
        return "its homeowner's keys are not keys"
    if heard is None:
        return "what it heard of homeowner's keys is not kid: number"
    rooted, told, since_ms = raw["rooted"], raw["told"], raw.get("since_ms", 0)
    if not isinstance(root_hash, str) or not isinstance(told, str):
        return "root_hash or told is not text"
    if not isinstance(rooted, list) or not all(isinstance(kid, str) for kid in rooted):
        return "rooted is not a list of kids"
    if type(since_ms) is not int:
        return "since_ms is not a number"
    return Anchor(root_hash, found, keys, heard, frozenset(rooted), told, since_ms)


def numbers(raw: object) -> Mapping[str, int] | None:
    """Of a few keys the highest number that was heard."""
    fits = isinstance(raw, dict) and len(raw) <= 2 * NUMBERS and all(type(seq) is int for seq in raw.values())
    return MappingProxyType(raw) if isinstance(raw, dict) and fits else None


def _homeowner(raw: object) -> Mapping[str, Verifier] | None:
    if not isinstance(raw, list) or len(raw) > HOMEOWNER_KEYS:
        return None
    keys = [public_key(x) for x in raw]
    return None if None in keys else MappingProxyType({key.kid: key for key in keys if key is not None})


def public_key(x: object) -> Verifier | None:
    """The verifier of 32 bytes in base64url without padding."""
    public = unb64(x.encode("utf-8")) if isinstance(x, str) else None
    return verifier(public) if public is not None and len(public) == 32 else None


def enter(file: bytes, kept: bytes | None, root_hash: str | None, fleet: str) -> Anchor | str:
    """The trust that a start begins with: what was kept, carried on by the file where that is newer; else first trust
    in the file by `root_hash`. The time is not known yet, so expiry is judged later, at each message."""
    chain = bundles.parse_chain(file)
    if kept is None:
        if isinstance(chain, str):
            return chain
        if root_hash is None:
            return f"this home holds no trust yet, and no root_hash says which bundle is right ({ENROL})"
        found = bundles.first(chain, root_hash, None)
        if isinstance(found, Refused):
            return f"{found.detail} ({ENROL})"
        anchor = begin(found, root_hash)
    else:
        held = parse(kept)
        if isinstance(held, str):
            return f"what this home kept of its trust cannot be used: {held} ({ENROL})"
        found = held.bundle if isinstance(chain, str) else bundles.follow(held.bundle, chain, None, rooted=held.rooted)
        anchor = held if isinstance(found, Refused) else held.followed(found)
    if anchor.bundle.fleet != fleet:
        return f"the bundle is of fleet {anchor.bundle.fleet}, the configuration says {fleet}"
    return anchor


ENROL = "batteryctl keys enrol --claim FILE --bundle FILE"


def carry(anchor: Anchor, envelopes: tuple[Envelope, ...], wall_ms: int | None) -> Anchor | Refused:
    """The anchor after bundles that came without a claim; the same object if there is nothing new in them."""
    found = bundles.follow(anchor.bundle, envelopes, wall_ms, rooted=anchor.rooted)
    if isinstance(found, Refused):
        return found
    return anchor if found is anchor.bundle else anchor.followed(found)
