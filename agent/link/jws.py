"""JWS Compact (RFC 7515) with `alg: "Ed25519"` (RFC 9864), strict to the byte; values out, never exceptions.

The envelope: three base64url parts without padding. The protected header has exactly `alg`, `kid` and `typ`, and
`zip` ("DEF", raw deflate, as in SMART Health Cards) for batches only. One signature, one byte string: non-canonical
base64, repeated JSON keys, NaN, Infinity, integers beyond 64 bits and deep nesting are refused. Nothing of the payload
is looked at, or inflated, before the signature holds.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALG = "Ed25519"
COMMAND_MAX = 4 * 1024
TOKEN_MAX = 16 * 1024
BATCH_MAX = 64 * 1024
INFLATED_MAX = 256 * 1024
HEADER_MAX = 256  # characters of the encoded header; ours need 108
DEPTH_MAX = 8

_PART = re.compile(rb"[A-Za-z0-9_-]+\Z")
_KID = re.compile(r"[A-Za-z0-9_-]{16}\Z")
_TYP = re.compile(r"battery-[a-z]{1,16}\+jws\Z")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # only ever needed for a character that could be written plainly
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)  # one that never ends does: one look at each character
_ZIPPED = frozenset({"battery-batch+jws"})
_P = (1 << 255) - 19
_Y = (1 << 255) - 1  # the bits of an encoded point that are its y
_SMALL = frozenset(  # y of the eight points of small order (RFC 7748, 7; RFC 8032, 5.1): 1, -1, 0 and two of order 8
    {0, 1, _P - 1}
    | {int.from_bytes(bytes.fromhex(y), "little") for y in (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and its `kid`. Built by `signer`; never printed."""

    kid: str
    key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"Signer(kid={self.kid!r})"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key, its `kid` and the one algorithm that it may be used with."""

    kid: str
    key: Ed25519PublicKey
    alg: str = ALG


@dataclass(frozen=True, slots=True)
class Header:
    """The protected header of a token of the right form. Nothing of it is proven yet."""

    kid: str
    typ: str
    zipped: bool


@dataclass(frozen=True, slots=True)
class Verified:
    """The signature holds. `payload` = decoded (and inflated) bytes, `claims` = the same as an object."""

    header: Header
    payload: bytes
    claims: dict[str, object]

    @property
    def digest(self) -> str:
        """SHA-256 of the decoded payload, hex: the identity of what was said, whatever its encoding."""
        return hashlib.sha256(self.payload).hexdigest()


@dataclass(frozen=True, slots=True)
class Refused:
    """`reason` is one of the counters' words; `detail` is for tests and debug logs, and never sent anywhere."""

    reason: str  # "oversized" | "bad_format" | "bad_typ" | "unknown_key" | "bad_signature"
    detail: str


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(part: bytes) -> bytes | None:
    """The one byte string that encodes to exactly `part`, or None."""
    if not _PART.match(part) or len(part) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    return data if base64.urlsafe_b64encode(data).rstrip(b"=") == part else None


def thumbprint_kid(public: bytes) -> str:
    """First 16 characters of the RFC 7638 thumbprint of an Ed25519 key (32 raw bytes): its `kid`."""
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{b64(public)}"}}'
    return b64(hashlib.sha256(jwk.encode("ascii")).digest())[:16]


def signer(seed: bytes) -> Signer:
    """The signer of a raw 32-byte seed. ValueError if it is not 32 bytes long."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Signer(thumbprint_kid(key.public_key().public_bytes_raw()), key)


def verifier(public: bytes) -> Verifier:
    """The verifier of a raw 32-byte public key. ValueError if it is not one.

    Under a key of small order anybody can make signatures that OpenSSL takes; such a one, or one that is not encoded
    canonically, is a verifier that verifies nothing.
    """
    y = int.from_bytes(public, "little") & _Y
    sound = y < _P and y not in _SMALL
    return Verifier(thumbprint_kid(public), Ed25519PublicKey.from_public_bytes(public), ALG if sound else "")


def listed_key(entry: Mapping[str, object]) -> Verifier | str:
    """The key of a {kid, x}; else what is wrong with it."""
    x = entry["x"]
    public = unb64(x.encode("utf-8")) if isinstance(x, str) else None
    if public is None or len(public) != 32:
        return "x is not 32 bytes in base64url without padding"
    key = verifier(public)
    if entry["kid"] != key.kid:
        return f"kid {entry['kid']!r} does not belong to its x (expected {key.kid})"
    return key


def deflate(data: bytes) -> bytes:
    """Raw deflate (RFC 1951); the same bytes for the same input on one machine."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def inflate(data: bytes, limit: int = INFLATED_MAX) -> bytes | None:
    """Inverse of `deflate`; None if broken, cut, followed by anything, or longer than `limit` when inflated."""
    unpacker = zlib.decompressobj(-15)
    try:
        out = unpacker.decompress(data, limit + 1)
    except zlib.error:
        return None
    return out if len(out) <= limit and unpacker.eof and not unpacker.unused_data else None


def sign(key: Signer, typ: str, payload: bytes) -> bytes:
    """The token of `payload` (JSON, exactly these bytes). Ed25519 is deterministic: the same input, the same token."""
    zipped = typ in _ZIPPED
    end = ',"zip":"DEF"}' if zipped else "}"
    header = b64(f'{{"alg":"{ALG}","kid":"{key.kid}","typ":"{typ}"{end}'.encode("ascii"))
    signing = f"{header}.{b64(deflate(payload) if zipped else payload)}".encode("ascii")
    return signing + b"." + b64(key.key.sign(signing)).encode("ascii")


def peek(token: bytes, limit: int) -> Header | Refused:
    """The cheap half of `verify`: size, parts and header, no cryptography."""
    if len(token) > limit:
        return Refused("oversized", f"{len(token)} bytes, at most {limit}")
    if token.count(b".") != 2:
        return Refused("bad_format", "not three parts")
    part = token[: token.index(b".")]
    raw = unb64(part) if len(part) <= HEADER_MAX else None
    if raw is None:
        return Refused("bad_format", "header is not canonical base64url, or too long")
    try:
        header = parse_object(raw)
    except ValueError as error:
        return Refused("bad_format", f"header: {error}")
    return _header(header)


def _header(header: Mapping[str, object]) -> Header | Refused:
    zipped = "zip" in header
    if set(header) - {"zip"} != {"alg", "kid", "typ"}:
        return Refused("bad_format", "header keys are not exactly alg, kid, typ")
    kid, typ = header["kid"], header["typ"]
    if header["alg"] != ALG:
        return Refused("bad_format", "alg is not Ed25519")
    if not isinstance(kid, str) or not _KID.match(kid):
        return Refused("bad_format", "kid is not 16 base64url characters")
    if not isinstance(typ, str) or not _TYP.match(typ):
        return Refused("bad_typ", "typ is not one of ours")
    if zipped != (typ in _ZIPPED) or (zipped and header["zip"] != "DEF"):
        return Refused("bad_format", "zip is for batches, and DEF")
    return Header(kid, typ, zipped)


def verify(token: bytes, keys: Mapping[str, Verifier], typ: str, limit: int) -> Verified | Refused:
    """Check everything that does not depend on time or receiver: form, typ, key, signature, JSON."""
    header = peek(token, limit)
    if isinstance(header, Refused):
        return header
    if header.typ != typ:
        return Refused("bad_typ", f"typ {header.typ} where {typ} belongs")
    key = keys.get(header.kid)
    if key is None or key.alg != ALG:
        return Refused("unknown_key", f"kid {header.kid}")
    return prove(token, header, key)


def prove(token: bytes, header: Header, key: Verifier) -> Verified | Refused:
    """The dear half of `verify`, for a token that `peek` has passed: signature, then payload."""
    if key.alg != ALG:
        return Refused("unknown_key", f"kid {header.kid} is no key for {ALG}")
    signing, _, tail = token.rpartition(b".")
    signature = unb64(tail)
    payload = unb64(signing[signing.index(b".") + 1 :])
    if signature is None or payload is None:
        return Refused("bad_format", "payload or signature is not canonical base64url")
    if len(signature) != 64:
        return Refused("bad_signature", "not 64 bytes")
    try:
        key.key.verify(signature, signing)
    except InvalidSignature:
        return Refused("bad_signature", "does not verify")
    plain = inflate(payload) if header.zipped else payload
    if plain is None:
        return Refused("bad_format", f"does not inflate to at most {INFLATED_MAX} bytes")
    try:
        return Verified(header, plain, parse_object(plain))
    except ValueError as error:
        return Refused("bad_format", f"payload: {error}")


def parse_object(data: bytes) -> dict[str, object]:
    """A JSON object, strictly; ValueError with the rule that was broken."""
    text = data.decode("utf-8")  # UnicodeDecodeError is a ValueError
    if _SURROGATE.search(text):
        raise ValueError("escaped surrogate")
    if _depth(text) > DEPTH_MAX:
        raise ValueError(f"nested deeper than {DEPTH_MAX}")
    value = _DECODER.decode(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _depth(text: str) -> int:
    """Deepest nesting; an upper bound where the text is not JSON at all."""
    depth = deepest = 0
    for char in _STRINGS.sub("", text) if text.count("[") + text.count("{") > DEPTH_MAX else "":
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("repeated key")
    return found


def _int(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("integer beyond 64 bits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("number beyond a double")
    return value


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_int, parse_float=_float, parse_constant=_constant)
