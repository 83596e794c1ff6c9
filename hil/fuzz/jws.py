"""Tokens of the aggregator: whatever is verified must be an honest token, to the byte, with what its signer wrote."""

from __future__ import annotations

import base64
import functools
import json
import zlib
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws as oracle
from joserfc.jwk import OKPKey

from agent.link import jws
from agent.link.messages import parse_command
from hil.fuzz import structure
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import run as _run
from hil.fuzz.plain_json import strictly

TYP = "battery-command+jws"
BATCH = "battery-batch+jws"
KINDS = ("command", "batch")
LIMIT = jws.COMMAND_MAX
MOST_INFLATED = 256 * 1024  # docs/protocol.md
_BOMB = jws.deflate(b'{"a":"' + b" " * MOST_INFLATED + b'"}')
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


def _signed(head: bytes, payload: bytes) -> bytes:
    signing = f"{jws.b64(head)}.{jws.b64(payload)}".encode()
    return signing + b"." + jws.b64(_KEY.sign(signing)).encode()


_BATCH_HEAD = f'{{"alg":"Ed25519","kid":"{_VERIFIER.kid}","typ":"{BATCH}","zip":"DEF"}}'.encode()
_PAYLOADS = tuple(json.dumps(body).encode() for body in _BODIES)
SEEDS = (*(_token(body) for body in _BODIES), _signed(_BATCH_HEAD, jws.deflate(_PAYLOADS[0])))
_HONEST = dict(zip(SEEDS, (*_BODIES, _BODIES[0]), strict=True))
_UNSIGNED = SEEDS[0].rpartition(b".")[0]
_HEAD = f'{{"alg":"Ed25519","kid":"{_VERIFIER.kid}","typ":"{TYP}"}}'.encode()
_HEADS = (
    _HEAD,
    _BATCH_HEAD,
    *(
        _HEAD.replace(b"{", more, 1)
        for more in (b'{"crit":["b64"],', b'{"jwk":{},', b'{"b64":false,', b'{"zip":"DEF",')
    ),
    *(_HEAD.replace(b"Ed25519", alg) for alg in (b"none", b"EdDSA", b"HS256", b"ed25519")),
)
_ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group: s + _ORDER is as good where nobody looks
IN_STRUCTURE = 0.2  # share of inputs: each is signed and verified
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


def one(data: bytes) -> str | bool:
    """Verify, and the command inside."""
    header = jws.peek(data, LIMIT)
    typ = BATCH if isinstance(header, jws.Header) and header.typ == BATCH else TYP
    found = jws.verify(data, _KEYS, typ, LIMIT)
    if isinstance(found, jws.Refused):
        if data in _HONEST:
            raise Forbidden(f"an honest token was refused: {found}")
        return False
    signing, _, signature = data.rpartition(b".")
    if signature != jws.b64(_KEY.sign(signing)).encode():  # Ed25519 gives each text one signature
        raise Forbidden("verified, and nobody signed those bytes")
    head, payload = (_unspelt(part) for part in signing.split(b"."))
    expected = {"alg": "Ed25519", "kid": _VERIFIER.kid, "typ": typ} | ({"zip": "DEF"} if typ == BATCH else {})
    if strictly(head) != expected:
        raise Forbidden(f"verified, and its header is {head!r}")
    said = strictly(_inflated(payload) if typ == BATCH else payload)
    if repr(found.claims) != repr(said):
        raise Forbidden(f"the claims are {found.claims}")
    if data in _HONEST and isinstance(parse_command(found.claims), str):
        raise Forbidden("an honest command was refused")
    return KINDS[typ == BATCH]


def _unspelt(part: bytes) -> bytes:
    if not structure.canonical(part.decode("latin-1")):
        raise Forbidden("verified, and its base64 has a second spelling")
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def _inflated(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(-15)
    plain = unpacker.decompress(data)
    if len(plain) > MOST_INFLATED or not unpacker.eof or unpacker.unused_data:
        raise Forbidden(f"{len(plain)} bytes were inflated, or something follows them")
    return plain


def spoil(rng: Random, data: bytes) -> bytes:
    """A token that is spoiled in one of its parts, and mostly signed all the same."""
    parts = data.split(b".")
    decoded = [jws.unb64(part) for part in parts]
    if len(parts) != 3 or not all(decoded):
        return spoil(rng, rng.choice(SEEDS))
    head, payload, signature = (part or b"" for part in decoded)
    zipped = b'"zip"' in head
    way = rng.randrange(8)
    if way == 0:
        other = int.from_bytes(signature[32:64], "little") + _ORDER
        parts[2] = jws.b64(signature[:32] + other.to_bytes(33, "little")[:32]).encode()
        return b".".join(parts)
    if way < 3:  # base64 in another spelling; what is signed with it is signed as it stands
        at = rng.randrange(3)
        parts[at] = structure.respelt(rng, parts[at].decode()).encode()
        return b".".join(parts) if at == 2 else _over(parts)
    if way == 3:
        head = structure.spoiled(rng, rng.choice(_HEADS), _HEADS) if rng.random() < 0.7 else rng.choice(_HEADS)
    elif zipped:
        payload = _spoiled_batch(rng, payload)
    else:
        payload = structure.spoiled(rng, payload, _PAYLOADS)
    return _signed(head, payload)


def _over(parts: list[bytes]) -> bytes:
    signing = b".".join(parts[:2])
    return signing + b"." + jws.b64(_KEY.sign(signing)).encode()


def _spoiled_batch(rng: Random, payload: bytes) -> bytes:
    way = rng.randrange(4)
    if way == 0:
        return payload + rng.randbytes(3)
    if way == 1:
        return payload[:-1] if rng.random() < 0.5 else _BOMB
    plain = jws.inflate(payload)
    return jws.deflate(structure.spoiled(rng, plain or _PAYLOADS[0], _PAYLOADS))


run = functools.partial(_run, "jws")
