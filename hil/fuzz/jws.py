"""Tokens of the aggregator: whatever is verified must be an honest token, to the byte, with what its signer wrote."""

from __future__ import annotations

import functools
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws as oracle
from joserfc.jwk import OKPKey

from agent.link import jws
from agent.link.messages import parse_command
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import run as _run

TYP = "battery-command+jws"
LIMIT = jws.COMMAND_MAX
_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC: Ed25519PublicKey = _KEY.public_key()
_RAW = _PUBLIC.public_bytes(Encoding.Raw, PublicFormat.Raw)
_VERIFIER = jws.verifier(_RAW)
_KEYS = {_VERIFIER.kid: _VERIFIER}
_BASE = {"v": 1, "id": "0" * 32, "iss": "agg:bench", "aud": "dev:home", "seq": 7, "iat": 1_000, "exp": 2_000}
_BODIES: tuple[dict[str, object], ...] = (
    {**_BASE, "kind": "dispatch", "power_w": -5_000, "duration_s": 600},
    {**_BASE, "kind": "dispatch", "power_w": 1, "duration_s": 1, "start": 5_000, "primacy": 3, "ramp": "urgent"},
    {**_BASE, "kind": "cancel", "target": "1" * 32},
    {**_BASE, "kind": "stop"},
)


def _token(body: dict[str, object]) -> bytes:
    """As another library makes it."""
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": jws.b64(_RAW), "d": jws.b64(bytes(range(32)))})
    header = {"alg": "Ed25519", "kid": _VERIFIER.kid, "typ": TYP}
    return oracle.serialize_compact(header, json.dumps(body), key, algorithms=["Ed25519"]).encode()


SEEDS = tuple(_token(body) for body in _BODIES)
_HONEST = dict(zip(SEEDS, _BODIES, strict=True))
_UNSIGNED = SEEDS[0].rpartition(b".")[0]
WORDS = (
    b".",
    b"..",
    b"=",
    b"-",
    b"_",
    b"+",
    b"/",
    b"\n",
    b"\0",
    b"eyJ",
    b"e30",
    _UNSIGNED.partition(b".")[0],
    b"A" * 86,
    jws.b64(b'{"alg":"none"}').encode(),
    jws.b64(b'{"alg":"HS256","kid":"x","typ":"battery-command+jws"}').encode(),
    jws.b64(f'{{"alg":"Ed25519","kid":"{_VERIFIER.kid}","typ":"{TYP}"}}'.encode()).encode(),
    b"QQ",
    b"QR",
)


def one(data: bytes) -> bool:
    """Verify, and the command inside."""
    found = jws.verify(data, _KEYS, TYP, LIMIT)
    if isinstance(found, jws.Refused):
        if data in _HONEST:
            raise Forbidden(f"an honest token was refused: {found}")
        return False
    honest = _HONEST.get(data)
    if honest is None:
        raise Forbidden("verified, and nobody signed those bytes")
    if found.claims != honest:
        raise Forbidden(f"the claims are {found.claims}")
    if isinstance(parse_command(found.claims), str):
        raise Forbidden("an honest command was refused")
    return True


run = functools.partial(_run, "jws")
