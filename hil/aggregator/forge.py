"""The attack kit: a command that would work, changed in exactly one way. None of the results may move anything.

Give `forge` a command that was built but never sent, so that nothing but the change stands in its way; only `replayed`
wants one that the device has already taken. Each `Forgery` names the counters that may rise for it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hil.aggregator.aggregator import Signed
from hil.aggregator.claims import typ_of
from hil.aggregator.keys import OVER, Keyring, SigningKey, fresh_key
from hil.aggregator.token import b64url, deflate, encode, header_of, sign

OVERSIZED = 8192  # a command token may have 4 KiB
_HOUR_MS = 3_600_000
_JUST_MS = 5_000


@dataclass(frozen=True, slots=True)
class Forged:
    """What goes out instead of the valid command."""

    kind: str
    topic: str
    payload: bytes
    retain: bool
    sentence: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Victim:
    """The valid command, in the pieces that attacks change."""

    signed: Signed
    ring: Keyring

    @property
    def key(self) -> SigningKey:
        return self.ring.roles[self.signed.role]

    @property
    def header(self) -> dict[str, str]:
        return header_of(self.key.kid, self.signed.typ)

    @property
    def segments(self) -> list[bytes]:
        return self.signed.token.split(b".")

    def with_signature(self, signature: bytes) -> bytes:
        return b".".join([*self.segments[:2], signature])

    def with_header(self, **changes: object) -> bytes:
        return sign(self.key.key, encode(self.header | changes), encode(self.signed.claims))

    def with_claims(self, **changes: object) -> bytes:
        return self.with_payload(encode(dict(self.signed.claims) | changes))

    def with_payload(self, payload: bytes) -> bytes:
        return sign(self.key.key, encode(self.header), payload)

    def with_key(self, key: SigningKey, kid: str) -> bytes:
        return sign(key.key, encode(self.header | {"kid": kid}), encode(self.signed.claims))

    def by_role(self, role: str) -> bytes:
        return self.with_key(self.ring.roles[role], self.ring.roles[role].kid)

    def with_text(self, name: str, text: str) -> bytes:
        """The same JSON with the value of one claim written as `text`."""
        written = encode(dict(self.signed.claims) | {name: "\0"}).decode()
        return self.with_payload(written.replace(json.dumps("\0"), text).encode())

    def without(self, name: str) -> bytes:
        return self.with_payload(encode({k: v for k, v in self.signed.claims.items() if k != name}))


@dataclass(frozen=True, slots=True)
class Forgery:
    """One kind of attack: what is changed, and which refusals are right."""

    sentence: str
    reasons: tuple[str, ...]
    token: Callable[[_Victim], bytes]
    topic: Callable[[_Victim], str] = lambda victim: victim.signed.topic
    retain: bool = False


def forge(kind: str, valid: Signed, ring: Keyring) -> Forged:
    """`valid`, changed in the way that `FORGERIES[kind]` says. Raises KeyError for an unknown kind, or if the change
    needs a role key that `ring` does not have."""
    row = FORGERIES[kind]
    victim = _Victim(valid, ring)
    return Forged(kind, row.topic(victim), row.token(victim), row.retain, row.sentence, row.reasons)


# --- how a token is changed, where that takes more than a line --------------------------------------------------------
def _unsigned(victim: _Victim) -> bytes:
    return b64url(encode(victim.header | {"alg": "none"})) + b"." + victim.segments[1] + b"."


def _mac_with_public_key(victim: _Victim) -> bytes:
    """The old confusion of algorithms: the public key, which all know, taken as a secret."""
    signing_input = b64url(encode(victim.header | {"alg": "HS256"})) + b"." + victim.segments[1]
    public = victim.key.key.as_dict(private=False)["x"]
    return signing_input + b"." + b64url(hmac.digest(str(public).encode(), signing_input, hashlib.sha256))


def _forged_key(victim: _Victim) -> bytes:
    return victim.with_key(fresh_key(), victim.key.kid)


def _own_key_in_header(victim: _Victim) -> bytes:
    attacker = fresh_key()
    header = victim.header | {"jwk": attacker.key.as_dict(private=False)}
    return sign(attacker.key, encode(header), encode(victim.signed.claims))


def _flip(segment: bytes, index: int) -> bytes:
    """Another character of the alphabet at `index`, still canonical: one bit of the decoded bytes differs."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = alphabet[alphabet.index(segment[index]) ^ 1]
    return segment[:index] + bytes([changed]) + segment[index + 1 :]


def _flipped_payload(victim: _Victim) -> bytes:
    header, payload, signature = victim.segments
    return b".".join([header, _flip(payload, len(payload) // 2 // 4 * 4), signature])


def _loose_bits(victim: _Victim) -> bytes:
    """64 bytes take 86 characters, of whose last one only two bits count: set one that does not."""
    return victim.with_signature(_flip(victim.segments[2], 85))


def _expired(victim: _Victim) -> bytes:
    iat, exp = victim.signed.claims["iat"], victim.signed.claims["exp"]
    back = exp - iat + _HOUR_MS
    return victim.with_claims(iat=iat - back, exp=exp - back)


def _just_expired(victim: _Victim) -> bytes:
    iat, exp = victim.signed.claims["iat"], victim.signed.claims["exp"]
    back = exp - iat + _JUST_MS
    return victim.with_claims(iat=iat - back, exp=exp - back)


def _future(victim: _Victim) -> bytes:
    claims = victim.signed.claims
    return victim.with_claims(iat=claims["iat"] + _HOUR_MS, exp=claims["exp"] + _HOUR_MS)


def _oversized(victim: _Victim) -> bytes:
    payload = encode(victim.signed.claims)
    return victim.with_payload(payload[:-1] + b" " * OVERSIZED + b"}")


def _duplicate_key(victim: _Victim) -> bytes:
    name, value = _a_number(victim.signed.claims)
    payload = encode(victim.signed.claims)
    return victim.with_payload(payload[:-1] + b"," + encode({name: value})[1:])


def _a_number(claims: Mapping[str, Any]) -> tuple[str, int]:
    """A claim worth doubling or spoiling: the power if there is one."""
    return ("power_w", claims["power_w"]) if "power_w" in claims else ("seq", claims["seq"])


def _compressed(victim: _Victim) -> bytes:
    header = encode(victim.header | {"zip": "DEF"})
    return sign(victim.key.key, header, deflate(encode(victim.signed.claims)))


def _nested(victim: _Victim) -> bytes:
    return victim.with_text("note", "[" * 500 + "]" * 500)


def _config_topic(victim: _Victim) -> str:
    return victim.signed.topic.rpartition("/")[0] + "/config"


def _someone_else(victim: _Victim) -> bytes:
    return victim.with_claims(aud=str(victim.signed.claims["aud"]) + "-other")


def _power_text(text: str) -> Callable[[_Victim], bytes]:
    return lambda victim: victim.with_text(_a_number(victim.signed.claims)[0], text)


_FORMAT, _SIGNATURE, _BODY = ("bad_format",), ("bad_signature",), ("bad_body",)
_FORMAT_OR_BODY = ("bad_format", "bad_body")

FORGERIES: dict[str, Forgery] = {
    # nobody signed it
    "unsigned": Forgery("alg none, no signature", _FORMAT, _unsigned),
    "stripped": Forgery("signature cut off", _FORMAT, lambda v: v.with_signature(b"")),
    "mac_with_public_key": Forgery("alg HS256, keyed with the public key", _FORMAT, _mac_with_public_key),
    "garbage": Forgery("bytes that are no token", _FORMAT, lambda v: b"\xff\x00 let me in"),
    "empty": Forgery("no bytes at all", _FORMAT, lambda v: b""),
    # the wrong one signed it
    "forged_key": Forgery("signed by an unknown key under the dispatch key's kid", _SIGNATURE, _forged_key),
    "own_key_in_header": Forgery("header brings the key that signed it", _FORMAT, _own_key_in_header),
    "wrong_kid": Forgery("kid of no known key", ("unknown_key",), lambda v: v.with_key(v.key, fresh_key().kid)),
    "service_key": Forgery("signed by the service role", ("bad_role",), lambda v: v.by_role("service")),
    "operations_key": Forgery("signed by the operations role", ("bad_role",), lambda v: v.by_role("operations")),
    "homeowner_key": Forgery("signed by the homeowner", ("bad_role", "unknown_key"), lambda v: v.by_role("homeowner")),
    # changed after it was signed
    "flipped_bit": Forgery(
        "one bit of the signature", _SIGNATURE, lambda v: v.with_signature(_flip(v.segments[2], 40))
    ),
    "flipped_payload_bit": Forgery("one bit of the payload", _SIGNATURE, _flipped_payload),
    "truncated": Forgery("last 20 characters missing", ("bad_format", "bad_signature"), lambda v: v.signed.token[:-20]),
    "extra_chars": Forgery(
        "'!!!!' in the signature, which a lax decoder drops",
        _FORMAT,
        lambda v: v.with_signature(v.segments[2][:20] + b"!!!!" + v.segments[2][20:]),
    ),
    "padded": Forgery("'==' after the signature", _FORMAT, lambda v: v.signed.token + b"=="),
    "loose_bits": Forgery("unused bits of the last character set", _FORMAT, _loose_bits),
    "newline": Forgery("a newline after the token", _FORMAT, lambda v: v.signed.token + b"\n"),
    "four_parts": Forgery("a fourth segment", _FORMAT, lambda v: v.signed.token + b".AAAA"),
    # signed by the right key, but not for this
    "replayed": Forgery("the same bytes again", ("replay", "duplicate"), lambda v: v.signed.token),
    "old_seq": Forgery("seq far behind the window", ("replay",), lambda v: v.with_claims(seq=1)),
    "seq_jump": Forgery(
        "seq far ahead, to burn the numbers", ("replay",), lambda v: v.with_claims(seq=v.signed.claims["seq"] + 2**33)
    ),
    "expired": Forgery("signed and expired an hour ago", ("expired",), _expired),
    "just_expired": Forgery("signed, and expired five seconds ago", ("expired",), _just_expired),
    "future": Forgery("signed an hour from now", ("future",), _future),
    "wrong_audience": Forgery("for another home", ("bad_audience",), _someone_else),
    "group_audience": Forgery(
        "for a group, on the topic of this home", ("bad_audience",), lambda v: v.with_claims(aud="grp:everybody")
    ),
    "key_over": Forgery("signed with a dispatch key whose time is over", ("key_time",), lambda v: v.by_role(OVER)),
    "wrong_typ": Forgery("typ of a configuration", ("bad_typ",), lambda v: v.with_header(typ=typ_of("config"))),
    "wrong_topic": Forgery("valid, but on down/config", ("bad_typ",), lambda v: v.signed.token, _config_topic),
    "retained": Forgery("valid, but retained", ("retained",), lambda v: v.signed.token, retain=True),
    # signed by the right key, but not a message
    "alg_eddsa": Forgery("alg by its deprecated name", _FORMAT, lambda v: v.with_header(alg="EdDSA")),
    "extra_header": Forgery("a header that nobody asked for", _FORMAT, lambda v: v.with_header(cty="json")),
    "crit_header": Forgery("crit", _FORMAT, lambda v: v.with_header(crit=["exp"], exp=1)),
    "compressed": Forgery("deflated like a batch", _FORMAT, _compressed),
    "oversized": Forgery(f"{OVERSIZED} spaces inside the JSON", ("oversized",), _oversized),
    "duplicate_key": Forgery("the power is given twice", _FORMAT_OR_BODY, _duplicate_key),
    "nested": Forgery("500 brackets deep", _FORMAT_OR_BODY, _nested),
    "nan": Forgery("power is NaN", _FORMAT_OR_BODY, _power_text("NaN")),
    "infinite": Forgery("power is 1e999", _FORMAT_OR_BODY, _power_text("1e999")),
    "fraction": Forgery("power is 1.5", _BODY, _power_text("1.5")),
    "text_number": Forgery("power is a string", _BODY, _power_text('"5000"')),
    "true_number": Forgery("power is true", _BODY, _power_text("true")),
    "huge_number": Forgery("power of 400 digits", _FORMAT_OR_BODY, _power_text("9" * 400)),
    "extra_claim": Forgery("a claim that nobody knows", _BODY, lambda v: v.with_claims(colour="red")),
    "no_exp": Forgery("without exp", _BODY, lambda v: v.without("exp")),
    "no_aud": Forgery("without aud", ("bad_audience", "bad_body"), lambda v: v.without("aud")),
    "audience_list": Forgery(
        "aud is a list", ("bad_audience", "bad_body"), lambda v: v.with_claims(aud=[v.signed.claims["aud"]])
    ),
    "unknown_kind": Forgery("a kind that nobody knows", _BODY, lambda v: v.with_claims(kind="detonate")),
    "not_utf8": Forgery(
        "a byte that is not UTF-8",
        _FORMAT_OR_BODY,
        lambda v: v.with_payload(encode(v.signed.claims)[:-1] + b',"\xff":1}'),
    ),
    "not_an_object": Forgery("a list", _FORMAT_OR_BODY, lambda v: v.with_payload(encode([dict(v.signed.claims)]))),
}
