"""The aggregator's desk for new gateways, for the bench: checks a request against its claim, gives a certificate.

It shares no code with the agent: joserfc and `cryptography` read what the gateway wrote.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from joserfc import jws
from joserfc.jwk import OKPKey

from hil.pki import Authority


class NotEnrolledError(ValueError):
    """The request does not prove what it must."""


def check(request: bytes, claim: Mapping[str, object]) -> dict[str, Any]:
    """The body of a request that this claim allows; NotEnrolledError otherwise."""
    registry = jws.JWSRegistry(algorithms=["Ed25519"])
    token = jws.extract_compact(request.strip(), registry=registry)
    body: dict[str, Any] = json.loads(token.payload)
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": body["x"]})
    if token.headers().get("typ") != "battery-enrol+jws" or not jws.validate_compact(token, key, registry=registry):
        raise NotEnrolledError("the gateway does not hold the key that it names")
    if (body["device"], body["fleet"]) != (claim["device"], claim["fleet"]):
        raise NotEnrolledError("another gateway's claim")
    said = f"{body['device']}\n{body['x']}\n{body['csr']}".encode()
    wanted = hmac.new(bytes.fromhex(str(claim["secret"])), said, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, str(body.get("mac", ""))):
        raise NotEnrolledError("it does not know the claim's secret")
    if body["root_hash"] != claim["root_hash"]:
        raise NotEnrolledError("it was shown another root")
    return body


def certify(body: Mapping[str, Any], authority: Authority) -> bytes:
    """The certificate (PEM) of a request that `check` passed."""
    csr = x509.load_pem_x509_csr(str(body["csr"]).encode())
    if not csr.is_signature_valid:
        raise NotEnrolledError("the request for a certificate is not signed by its key")
    return authority.certify(csr, str(body["device"]))


def announced(file: bytes, known: Mapping[str, str]) -> dict[str, Any]:
    """A rotation that the old key (kid -> x in `known`) and the new one signed; NotEnrolledError otherwise."""
    raw = json.loads(file)
    part = raw["payload"]
    body: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    registry = jws.JWSRegistry(algorithms=["Ed25519"])
    signed = set()
    for one in raw["signatures"]:
        token = jws.extract_compact(f"{one['protected']}.{part}.{one['signature']}".encode(), registry=registry)
        kid = str(token.headers()["kid"])
        x = known.get(kid) if kid == body["old"] else body["x"] if kid == body["kid"] else None
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x}) if x else None
        if key is not None and jws.validate_compact(token, key, registry=registry):
            signed.add(kid)
    if signed != {body["old"], body["kid"]}:
        raise NotEnrolledError("not signed by the old key and the new one")
    return body
