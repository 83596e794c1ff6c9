"""The aggregator's desk for gateways, for the bench: requests judged against their claims, certificates, the bundle.

It shares no code with the agent: joserfc and `cryptography` read what the gateway wrote. Sans-IO;
`hil.registrar_server` puts it behind TLS. Paths and forms are those of EST (RFC 7030, 4.1, 4.2), and one for the
trust bundle.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from hil.pki import Authority, claim

CLAIM_LIFE_MS = 86_400_000
SCHEME = "Battery-Enrol "
_REGISTRY = jws.JWSRegistry(algorithms=["Ed25519"])


class NotEnrolledError(ValueError):
    """The request does not prove what it must."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out over HTTP."""

    status: int
    typ: str
    body: bytes


_NO = Answer(403, "text/plain", b"refused\n")  # always the same: who guesses learns nothing


class Desk:
    """Claims that were handed out, and what became of them. `devices`: id -> its public keys, as devices.json has them.

    A claim is good for one gateway, for a day. The gateway that spent it may ask again with the same signing key: its
    answer may have been lost. `now_ms`: UTC. `enrolled` hears of each gateway and its public key.
    """

    def __init__(
        self,
        authority: Authority,
        fleet: str,
        bundles: bytes,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        enrolled: Callable[[str, Mapping[str, str]], None] = lambda device, entry: None,
    ) -> None:
        self.authority, self.fleet, self.bundles = authority, fleet, bundles
        self.devices: dict[str, list[dict[str, str]]] = {}
        self.issued_ms: dict[str, int] = {}
        self._claims: dict[str, Mapping[str, object]] = {}
        self._now_ms = now_ms
        self._enrolled = enrolled

    def issue(self, device: str, server: str) -> dict[str, object]:
        """A claim for that gateway; an earlier one is void. `server`: `pin_of` the desk's certificate."""
        first = json.loads(self.bundles)
        part = str(first.get("bundles", [first])[0]["payload"])
        root_hash = hashlib.sha256(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))).hexdigest()
        body = claim(self.fleet, device, secrets.token_hex(16), root_hash) | {"server": server}
        self._claims[device], self.issued_ms[device] = body, self._now_ms()
        self.devices.pop(device, None)
        return body

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes, peer: str | None) -> Answer:
        """One request. `headers` by lower-case name; `peer`: CN of the certificate that TLS has verified."""
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", f"/.well-known/battery/{self.fleet}/trust"): self._trust,
            ("GET", "/.well-known/est/cacerts"): self._cacerts,
            ("POST", "/.well-known/est/simpleenroll"): lambda: self._enrol(headers.get("authorization", ""), body),
            ("POST", "/.well-known/est/simplereenroll"): lambda: self._renew(peer, body),
        }
        act = known.get((method, path))
        if act is None:
            return Answer(404, "text/plain", b"no such thing here\n")
        try:
            return act()
        except (NotEnrolledError, JoseError, ValueError, KeyError, TypeError, AttributeError):
            return _NO

    def _trust(self) -> Answer:
        return Answer(200, "application/jose+json", self.bundles)

    def _cacerts(self) -> Answer:
        return Answer(200, "application/pkcs7-mime", certs_only([self.authority.certificate]))

    def _enrol(self, authorization: str, body: bytes) -> Answer:
        if not authorization.startswith(SCHEME):
            return _NO
        token = authorization.removeprefix(SCHEME).encode("ascii")
        device = str(json.loads(jws.extract_compact(token, registry=_REGISTRY).payload)["device"])
        said = check(token, self._claims[device])
        if self._now_ms() - self.issued_ms[device] > CLAIM_LIFE_MS:
            return _NO
        if request_of(body) != x509.load_pem_x509_csr(str(said["csr"]).encode("ascii")):
            return _NO
        mine = {
            "kid": OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": said["x"]}).thumbprint()[:16],
            "x": said["x"],
        }
        if self.devices.get(device, [mine]) != [mine]:
            return _NO  # spent, by another gateway
        cert = certify(said, self.authority)
        self.devices[device] = [mine]
        self._enrolled(device, mine)
        return Answer(200, "application/pkcs7-mime", certs_only([cert]))

    def _renew(self, peer: str | None, body: bytes) -> Answer:
        csr = request_of(body)
        names = [attribute.value for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if peer is None or names != [peer] or peer not in self.devices or not csr.is_signature_valid:
            return _NO
        return Answer(200, "application/pkcs7-mime", certs_only([self.authority.certify(csr, peer)]))


def pin_of(certificate: bytes) -> str:
    """SHA-256 of the public key (SPKI) of a certificate in PEM, hex."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def certs_only(certificates: list[bytes]) -> bytes:
    """PEM certificates as EST sends them: PKCS #7 without signatures, base64."""
    found = [x509.load_pem_x509_certificate(each) for each in certificates]
    return base64.encodebytes(pkcs7.serialize_certificates(found, serialization.Encoding.DER))


def request_of(body: bytes) -> x509.CertificateSigningRequest:
    """The request (PKCS #10) of an EST body; NotEnrolledError if it is none."""
    try:
        return x509.load_der_x509_csr(base64.b64decode(b"".join(body.split()), validate=True))
    except (binascii.Error, ValueError) as error:
        raise NotEnrolledError("not a request for a certificate") from error


def check(request: bytes, claim: Mapping[str, object]) -> dict[str, Any]:
    """The body of a request that this claim allows; NotEnrolledError otherwise."""
    token = jws.extract_compact(request.strip(), registry=_REGISTRY)
    body: dict[str, Any] = json.loads(token.payload)
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": body["x"]})
    if token.headers().get("typ") != "battery-enrol+jws" or not jws.validate_compact(token, key, registry=_REGISTRY):
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
