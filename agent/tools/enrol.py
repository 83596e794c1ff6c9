"""First trust and what follows it, by files: a claim and a bundle in, a request out, a certificate in.

The claim carries a one-time secret of 128 bits and the hash of the root bundle. The hash makes this gateway believe the
right aggregator; the secret makes the aggregator believe the right gateway: the request proves it by a MAC and never
shows it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agent.config import Config, LinkSection
from agent.link import anchor as anchors
from agent.link import bundle, files, jws
from agent.link.anchor import Anchor
from agent.link.homeowner import Consent, parse_homeowner
from agent.link.timing import SKEW_MS
from agent.local.pin import PinHash
from agent.store.trust import TrustFile, former_path
from agent.tools import keyfiles
from agent.tools.keyfiles import Owner
from agent.tools.lines import Refused

_HEX = re.compile(r"[0-9a-f]{32}\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
CLAIM_MAX = 4096
NUMBERS = "heard"  # a file of the state directory
ENROL, ROTATE = "battery-enrol+jws", "battery-rotate+jws"


@dataclass(frozen=True, slots=True)
class Claim:
    """What the installer was handed for this one gateway."""

    fleet: str
    device: str
    root_hash: str
    secret: bytes = field(repr=False)
    server: str | None = None  # SHA-256 of the public key (SPKI) that the aggregator's desk shows


@dataclass(frozen=True, slots=True)
class Consented:
    """How the homeowner agreed, if so: the PIN as typed, or a signed consent."""

    pin: str | None = field(default=None, repr=False)
    token: bytes | None = field(default=None, repr=False)


class Moment(NamedTuple):
    """The gateway's clock. `synced`: network time keeps it; if not, nothing is judged by it that a clock which is wrong
    could shut out for ever."""

    wall_ms: int
    synced: bool


class Gateway:
    """Whose files they are, and where."""

    def __init__(self, config: Config) -> None:
        if config.file.link is None:
            raise Refused(2, f"{config.path} has no [link]", "name brokers and files there first; docs/trust.md")
        self.config = config
        self.link: LinkSection = config.file.link
        self.device, self.fleet = config.file.agent.id, config.file.agent.fleet
        self.owner: Owner = keyfiles.owner_of(config.state_dir)
        self.trust_path = config.state_dir / "trust"
        self._trust = TrustFile(self.trust_path)

    def path(self, key: str) -> Path:
        """Of a file that [link] names."""
        return self.config.resolve(getattr(self.link, key))

    def state(self, name: str) -> Path:
        """A file of that name in the state directory."""
        return self.config.state_dir / name

    def anchor(self) -> Anchor | None:
        """What this home holds. Refused if it is damaged: that is never taken for nothing."""
        kept = self._trust.read()
        if kept is None:
            return None
        found = kept if isinstance(kept, str) else anchors.parse(kept)
        if isinstance(found, str):
            raise Refused(2, f"{self.trust_path}: {found}", f"move it away and enrol anew: {anchors.ENROL}")
        return found.hearing(self.numbers())

    def numbers(self) -> Mapping[str, int]:
        """What the gateway that this one replaces had heard of the homeowner's keys."""
        path = self.state(NUMBERS)
        if not os.path.lexists(path):
            return {}
        try:
            found = anchors.numbers(jws.parse_object(read(path, CLAIM_MAX)))
        except ValueError:
            found = None
        if found is None:
            raise Refused(2, f"{path}: not the numbers of keys", "batteryctl replace import wrote it: begin with that")
        return found

    def keep(self, anchor: Anchor) -> None:
        """On the disk, in both slots."""
        wrong = self._trust.write(anchor.dump())
        if wrong is not None:
            raise Refused(5, wrong, "is the disk full or read-only?")
        self.owner.take(self.trust_path)
        if former_path(self.trust_path).exists():
            self.owner.take(former_path(self.trust_path))


# --- the files that come in -------------------------------------------------------------------------------------------
def read(path: Path, most: int) -> bytes:
    """Refused if it is no regular file of that size."""
    data = files.read(path, most, follow=False)
    if isinstance(data, str):
        raise Refused(2, f"{path}: {data}", "copy it anew, as the aggregator gave it")
    return data


def read_claim(path: Path) -> Claim:
    """Refused if it is not a claim."""
    try:
        raw = jws.parse_object(read(path, CLAIM_MAX))
    except ValueError as error:
        raise Refused(2, f"{path}: not strict JSON ({error})", "copy it anew, as the aggregator gave it") from None
    known = {"v", "fleet", "device", "secret", "root_hash"}
    if set(raw) - {"server"} != known or raw["v"] != 1 or type(raw["v"]) is not int:
        raise Refused(2, f"{path}: not a claim (v 1, fleet, device, secret, root_hash)", "ask the aggregator for one")
    texts = {key: value for key, value in raw.items() if isinstance(value, str)}
    if not _HEX.match(texts.get("secret", "")) or not _HASH.match(texts.get("root_hash", "")):
        raise Refused(2, f"{path}: secret is not 32 hex digits, or root_hash not 64", "ask the aggregator for one")
    if not {"fleet", "device"} <= set(texts):
        raise Refused(2, f"{path}: fleet and device are not text", "ask the aggregator for one")
    server = raw.get("server")
    if server is not None and not _HASH.match(texts.get("server", "")):
        raise Refused(2, f"{path}: server is not 64 hex digits", "ask the aggregator for one")
    return Claim(
        texts["fleet"], texts["device"], texts["root_hash"], bytes.fromhex(texts["secret"]), texts.get("server")
    )


def read_chain(path: Path) -> tuple[bundle.Envelope, ...]:
    """Refused if it holds no bundles."""
    found = bundle.parse_chain(read(path, bundle.MAX_BYTES))
    if isinstance(found, str):
        raise Refused(2, f"{path}: {found}", "copy it anew, as the aggregator gave it")
    return found


# --- first trust, and another root ------------------------------------------------------------------------------------
def believe(
    home: Gateway, claim: Claim, chain: tuple[bundle.Envelope, ...], at: Moment, agreed: Callable[[], Consented]
) -> tuple[Anchor, str]:
    """The anchor after a claim, and a sentence. Another root than the present needs the homeowner: `agreed` asks."""
    if (claim.fleet, claim.device) != (home.fleet, home.device):
        text = f"the claim is of {claim.device} in fleet {claim.fleet}, this gateway is {home.device} in {home.fleet}"
        raise Refused(4, text, "take the claim of this gateway, or correct [agent] in the configuration")
    found = bundle.first(chain, claim.root_hash, at.wall_ms)
    if isinstance(found, jws.Refused):
        raise Refused(4, f"the bundle is not believed: {found.detail}", "take claim and bundle from one hand, anew")
    if found.fleet != home.fleet:
        raise Refused(4, f"the bundle is of fleet {found.fleet}, this gateway of {home.fleet}", "take the right bundle")
    held = home.anchor()
    begun = anchors.begin(found, claim.root_hash, at.wall_ms if at.synced else 0)
    if held is None:
        return begun.hearing(home.numbers()), "first trust"
    later = anchors.carry(held, chain, at.wall_ms)
    if not isinstance(later, jws.Refused) and held.root_hash == claim.root_hash:
        return later, f"trust is as it was, at version {later.bundle.version}"
    held = consent(home, held, "root", claim.root_hash, agreed(), at)
    return begun.hearing(held.heard).named(held.homeowner), "another root, with the homeowner's consent"


def carried(home: Gateway, chain: tuple[bundle.Envelope, ...], wall_ms: int) -> tuple[Anchor, str]:
    """The anchor after bundles that came by file instead of over the link."""
    held = home.anchor()
    if held is None:
        raise Refused(4, "this gateway holds no trust that a bundle could follow", anchors.ENROL)
    found = anchors.carry(held, chain, wall_ms)
    if isinstance(found, jws.Refused):
        raise Refused(4, f"the bundle is not taken: {found.detail}", "ask the aggregator for the chain of bundles")
    return found, f"trust bundle {found.bundle.version}"


def consent(home: Gateway, held: Anchor, to: str, sha256: str, agreed: Consented, at: Moment) -> Anchor:
    """Refused unless the homeowner agreed: by the PIN, or by a consent that one of the home's own keys signed. The
    anchor after it: a consent is good once."""
    section = home.config.file.local.homeowner_pin_hash
    if agreed.token is not None:
        return _signed(home, held, to, sha256, agreed.token, at)
    if agreed.pin is not None and section is not None:
        if not PinHash.parse(section).matches(agreed.pin):
            raise Refused(4, "that is not the homeowner's PIN", "let the homeowner type it")
        return held
    ways = "--pin-stdin or the terminal, and the homeowner types it" if section else ""
    ways = ways or "set a PIN with the homeowner: python -m agent.tools.pin, then [local] homeowner_pin_hash"
    raise Refused(4, f"a change of {to.replace('_', ' ')} needs the homeowner's consent", f"{ways}; or --consent FILE")


def _signed(home: Gateway, held: Anchor, to: str, sha256: str, token: bytes, at: Moment) -> Anchor:
    """A consent works as over the link: in its time, where the clock can tell, and with a number above the last."""
    anew = "let the homeowner sign that anew, or type the PIN"
    found = jws.verify(token.strip(), held.homeowner, "battery-homeowner+jws", jws.COMMAND_MAX)
    body = found.detail if isinstance(found, jws.Refused) else parse_homeowner(found.claims)
    if (
        isinstance(found, jws.Refused)
        or not isinstance(body, Consent)
        or body.withdrawn
        or (body.to, body.sha256, body.aud) != (to, sha256, f"dev:{home.device}")
    ):
        raise Refused(4, f"that is no consent of this home's owner to {to} {sha256}", anew)
    if held.spent(found.header.kid, body.seq) or body.iat < held.since_ms:
        raise Refused(4, "that consent was used, or its key has said something since", anew)
    if at.synced and not body.iat - SKEW_MS <= at.wall_ms <= body.exp:
        raise Refused(4, "that consent is not of today: it is good for a day at most, from when it is signed", anew)
    return held.spoken(found.header.kid, body.seq)


# --- what goes out ----------------------------------------------------------------------------------------------------
def request(home: Gateway, signer: jws.Signer, csr: str, claim: Claim | None) -> bytes:
    """What the aggregator must know of this gateway: proven by its own key, and by the claim's secret."""
    x = jws.b64(signer.key.public_key().public_bytes_raw())
    body: dict[str, object] = {"v": 1, "fleet": home.fleet, "device": home.device, "x": x, "csr": csr}
    if claim is not None:
        body["root_hash"] = claim.root_hash
        body["mac"] = mac(claim.secret, home.device, x, csr)
    return jws.sign(signer, ENROL, json.dumps(body, separators=(",", ":")).encode("ascii"))


def mac(secret: bytes, device: str, x: str, csr: str) -> str:
    """HMAC-SHA256 of the claim's secret over device, signing key and request, hex."""
    return hmac.new(secret, f"{device}\n{x}\n{csr}".encode("ascii"), hashlib.sha256).hexdigest()


def announcement(home: Gateway, old: jws.Signer, new: jws.Signer, wall_ms: int) -> bytes:
    """The new signing key, signed by the old one and by itself; the aggregator takes both for `overlap_s`."""
    x = jws.b64(new.key.public_key().public_bytes_raw())
    body = {"v": 1, "fleet": home.fleet, "device": home.device, "old": old.kid, "kid": new.kid, "x": x}
    payload = json.dumps({**body, "iat": wall_ms, "overlap_s": 7 * 86_400}, separators=(",", ":")).encode("ascii")
    parts = [jws.sign(key, ROTATE, payload).decode("ascii").split(".") for key in (old, new)]
    signatures = [{"protected": protected, "signature": signature} for protected, _, signature in parts]
    return json.dumps({"payload": parts[0][1], "signatures": signatures}, separators=(",", ":")).encode("ascii")
