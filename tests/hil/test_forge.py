"""Every attack differs from the valid command in the one way that it states, read by a forgiving eye."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hil.aggregator.aggregator import Aggregator, Signed
from hil.aggregator.forge import FORGERIES, OVERSIZED, Forged, forge
from hil.aggregator.keys import Keyring
from tests.hil.tokens import at, counting, keyring, unb64

RING = keyring()
REASONS = frozenset(
    [
        "bad_format", "bad_signature", "unknown_key", "bad_role", "bad_audience", "bad_typ", "expired", "future",
        "replay", "retained", "oversized", "bad_body", "duplicate", "key_time",
    ]
)  # fmt: skip

# What may differ. "signer" = not (or no longer) signed by the dispatch key over what is there.
EXPECTED: dict[str, set[str]] = {
    "unsigned": {"alg", "signature"},
    "stripped": {"signature"},
    "mac_with_public_key": {"alg", "signature"},
    "garbage": {"everything"},
    "empty": {"everything"},
    "forged_key": {"signature"},
    "own_key_in_header": {"jwk", "signature"},
    "wrong_kid": {"kid"},
    "service_key": {"kid", "signed by service"},
    "operations_key": {"kid", "signed by operations"},
    "homeowner_key": {"kid", "signed by homeowner"},
    "flipped_bit": {"signature"},
    "flipped_payload_bit": {"payload bit", "signature"},
    "truncated": {"signature"},
    "extra_chars": {"text"},
    "padded": {"text"},
    "loose_bits": {"text"},
    "newline": {"text"},
    "four_parts": {"fourth part"},
    "replayed": set(),
    "old_seq": {"seq"},
    "seq_jump": {"seq"},
    "expired": {"iat", "exp"},
    "just_expired": {"iat", "exp"},
    "future": {"iat", "exp"},
    "wrong_audience": {"aud"},
    "group_audience": {"aud"},
    "key_over": {"kid", "signed by dispatch_over"},
    "wrong_typ": {"typ"},
    "wrong_topic": {"topic"},
    "retained": {"retain"},
    "alg_eddsa": {"alg"},
    "extra_header": {"cty"},
    "crit_header": {"crit", "exp"},
    "compressed": {"zip"},
    "oversized": {"length"},
    "duplicate_key": {"twice"},
    "nested": {"note"},
    "nan": {"power_w"},
    "infinite": {"power_w"},
    "fraction": {"power_w"},
    "text_number": {"power_w"},
    "true_number": {"power_w"},
    "huge_number": {"power_w"},
    "extra_claim": {"colour"},
    "no_exp": {"exp"},
    "no_aud": {"aud"},
    "audience_list": {"aud"},
    "unknown_kind": {"kind"},
    "not_utf8": {"encoding"},
    "not_an_object": {"array"},
}


@pytest.fixture
def valid() -> Signed:
    return Aggregator(RING, counting()).dispatch("home-1", 5000, 60, at())


def test_every_forgery_is_expected_here() -> None:
    assert EXPECTED.keys() == FORGERIES.keys()


@pytest.mark.parametrize("kind", FORGERIES)
def test_differs_in_its_stated_way_only(kind: str, valid: Signed) -> None:
    forged = forge(kind, valid, RING)

    assert differences(valid, forged, RING) == EXPECTED[kind]
    assert set(forged.reasons) <= REASONS
    assert forged.reasons


def test_sizes_are_over_and_under_the_limit(valid: Signed) -> None:
    assert len(valid.token) < 4096 < OVERSIZED < len(forge("oversized", valid, RING).payload)
    others = [kind for kind in FORGERIES if kind != "oversized"]
    assert max(len(forge(kind, valid, RING).payload) for kind in others) < 4096


def test_an_attack_needs_the_key_it_uses(valid: Signed) -> None:
    poor = Keyring(RING.fleet, RING.groups, {"dispatch": RING.roles["dispatch"]}, RING.devices)
    with pytest.raises(KeyError, match="service"):
        forge("service_key", valid, poor)


def test_a_stop_can_be_forged_too() -> None:
    stop = Aggregator(RING, counting()).stop("home-1", at())
    for kind in FORGERIES:
        assert forge(kind, stop, RING).kind == kind


def differences(valid: Signed, forged: Forged, ring: Keyring) -> set[str]:
    """In words: what is other than in the valid message."""
    found = {
        name
        for name, differs in (("topic", forged.topic != valid.topic), ("retain", forged.retain is not False))
        if differs
    }
    parts, good = forged.payload.split(b"."), valid.token.split(b".")
    if len(parts) < 3:
        return found | {"everything"}
    if len(parts) > 3:
        found.add("fourth part")
    header, good_header = json.loads(unb64(parts[0])), json.loads(unb64(good[0]))
    found |= {name for name in header.keys() | good_header.keys() if header.get(name) != good_header.get(name)}
    if "zip" not in header:
        found |= claim_differences(unb64(good[1]), unb64(parts[1]))
    signer = who_signed(parts, ring)
    if signer != "dispatch":
        found.add(f"signed by {signer}" if signer else "signature")
    if parts[2] != b"" and parts[:2] == good[:2] and parts[2] != good[2] and signer == "dispatch":
        found.add("text")
    return found


def _int(text: str) -> tuple[str, str]:
    """An integer of any length, unlike the same digits in quotes."""
    return "int", text


def claim_differences(good: bytes, seen: bytes) -> set[str]:
    if seen == good:
        return set()
    bits = sum((a ^ b).bit_count() for a, b in zip(good, seen, strict=False))
    if len(seen) == len(good) and bits == 1:
        return {"payload bit"}
    try:
        pairs = json.loads(seen, object_pairs_hook=list, parse_constant=str, parse_int=_int)
    except UnicodeDecodeError:
        return {"encoding"}
    if isinstance(pairs[0], list) and pairs and isinstance(pairs[0][0], tuple):
        return {"array"}
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        return {"twice"}
    wanted: dict[str, Any] = json.loads(good, parse_int=_int)
    got = dict(pairs)
    changed = {name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name)}
    return changed or {"length"}


def who_signed(parts: list[bytes], ring: Keyring) -> str | None:
    """The role whose key made this signature, decoded as laxly as Python can."""
    try:
        signature = base64.urlsafe_b64decode(parts[2].strip() + b"==")
    except ValueError:
        return None
    for role, key in ring.roles.items():
        public = unb64(str(key.key.as_dict(private=False)["x"]).encode())
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[:64], parts[0] + b"." + parts[1])
        except InvalidSignature:
            continue
        return role
    return None
