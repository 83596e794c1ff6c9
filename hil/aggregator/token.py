"""Signed messages as the aggregator makes and reads them: JWS Compact with Ed25519, by joserfc.

joserfc checks the signature; the checks around it (alphabet, canonical base64, exact headers, duplicate keys, NaN,
bounded inflation) are ours, because a lenient reader would pass over a sender's mistake.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.registry import HeaderParameter

from hil.aggregator.keys import SigningKey

ALG = "Ed25519"
MAX_TOKEN = 16_384
MAX_BATCH = 65_536
MAX_INFLATED = 262_144
_SEGMENTS = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class _Registry(jws.JWSRegistry):
    max_payload_length = MAX_BATCH


_REGISTRY = _Registry(header_registry={"zip": HeaderParameter("Compression", "str")}, algorithms=[ALG])
_ED25519 = jws.JWSRegistry.algorithms[ALG]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a message is not believed. `reason` is a word of the list in docs/integrator.md."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A verified token: who signed it, the claims, and the signed bytes that they came from."""

    kid: str
    claims: Mapping[str, Any]
    payload: bytes


def b64url(data: bytes) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def encode(value: object) -> bytes:
    """Compact JSON, UTF-8, in the order given."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def deflate(data: bytes) -> bytes:
    """Raw DEFLATE (RFC 1951)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def header_of(kid: str, typ: str) -> dict[str, str]:
    """The whole protected header of a message without compression."""
    return {"alg": ALG, "kid": kid, "typ": typ}


def sign(key: OKPKey, header: bytes, payload: bytes) -> bytes:
    """A token over exactly these bytes, whatever they are: for `seal`, and for attacks."""
    signing_input = b64url(header) + b"." + b64url(payload)
    return signing_input + b"." + b64url(_ED25519.sign(signing_input, key))


def seal(key: SigningKey, typ: str, claims: Mapping[str, Any]) -> bytes:
    """A valid token of `claims`, through joserfc's front door."""
    return jws.serialize_compact(dict(header_of(key.kid, typ)), encode(claims), key.key, registry=_REGISTRY).encode()


def open_token(token: bytes, typ: str, keys: Mapping[str, OKPKey], max_bytes: int = MAX_TOKEN) -> Opened | Refused:
    """Verify a token of type `typ` by one of `keys` (kid -> public key). Never raises."""
    if len(token) > max_bytes:
        return Refused("oversized", f"{len(token)} bytes, at most {max_bytes} are read")
    if not _SEGMENTS.fullmatch(token):
        return Refused("bad_format", "not three dotted base64url segments")
    try:
        header_bytes, payload, _ = (_decode(segment) for segment in token.split(b"."))
        header = strict_json(header_bytes)
    except ValueError as error:
        return Refused("bad_format", str(error))
    allowed = {"alg", "kid", "typ"} | ({"zip"} if typ == "battery-batch+jws" else set())
    if header.keys() != allowed or header["alg"] != ALG or header.get("zip", "DEF") != "DEF":
        return Refused("bad_format", f"header {header_bytes[:120]!r}, expected exactly {sorted(allowed)} with {ALG}")
    if header["typ"] != typ:
        return Refused("bad_typ", f"typ {header['typ']!r} on a topic of {typ!r}")
    key = keys.get(header["kid"]) if isinstance(header["kid"], str) else None
    if key is None:
        return Refused("unknown_key", f"kid {header['kid']!r} is not one of {sorted(keys)}")
    try:
        verified = jws.deserialize_compact(token, key, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        return Refused("bad_signature", f"joserfc: {error}")
    if verified.payload != payload:
        return Refused("bad_format", "joserfc reads another payload than we do")
    try:
        return Opened(header["kid"], strict_json(inflate(payload) if "zip" in header else payload), payload)
    except ValueError as error:
        return Refused("bad_body", str(error))


def inflate(data: bytes) -> bytes:
    """Bounded raw inflate of exactly one stream. ValueError otherwise."""
    unpacker = zlib.decompressobj(-15)
    try:
        out = unpacker.decompress(data, MAX_INFLATED)
    except zlib.error as error:
        raise ValueError(f"not raw DEFLATE: {error}") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"DEFLATE stream ends early, late, or holds more than {MAX_INFLATED} bytes")
    return out


def strict_json(data: bytes) -> dict[str, Any]:
    """A JSON object without duplicate keys, NaN or infinities. ValueError otherwise."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_no_duplicates, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("JSON is not an object")
    return value


def _decode(segment: bytes) -> bytes:
    try:
        data = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except binascii.Error as error:
        raise ValueError(f"base64url: {error}") from error
    if b64url(data) != segment:
        raise ValueError("base64url is not canonical")
    return data


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError(f"duplicate key in {[key for key, _ in pairs]}")
    return value


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value
