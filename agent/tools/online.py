"""First trust and renewal over the network: `keys enrol --url`, `keys rotate tls`. All is checked, then all is kept.

The claim says which key the desk must show and which root bundle it must hand out; only then are this gateway's keys
made, and only then does it say who it is. The desk never hears the secret: it gets a MAC over what is asked.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from agent.link import bundle, files, jws
from agent.link.anchor import Anchor
from agent.tools import enrol, est, keyfiles
from agent.tools.enrol import Claim, Consented, Gateway, Moment
from agent.tools.lines import Refused

URL_MAX = 512
NOTHING = "nothing was kept; ask the aggregator"


class FirstTrust:
    """The steps of an enrolment, in the order in which each is allowed by the one before it."""

    def __init__(self, home: Gateway, claim: Claim, url: str, at: Moment) -> None:
        if claim.server is None:
            text = "this claim has no member server, the hash of the key that the aggregator's desk must show"
            raise Refused(2, text, "ask for a claim for enrolment online, or enrol by --bundle FILE")
        self._home, self._claim, self._url, self._at = home, claim, url, at
        self._desk = est.Desk(est.place_of(url), est.pinned(), claim.server)
        self._data = b""
        self._authorities: list[x509.Certificate] = []

    def believe(self, agreed: Callable[[], Consented]) -> tuple[Anchor, str]:
        """The trust that the desk hands out, by the claim's hash. Nothing is kept yet."""
        self._data = self._desk.bundles(self._claim.fleet)
        chain = bundle.parse_chain(self._data)
        if isinstance(chain, str):
            raise Refused(4, f"the bundle is not believed: {chain}", "nothing was kept; ask the aggregator")
        return enrol.believe(self._home, self._claim, chain, self._at, agreed)

    def certify(self, signer: jws.Signer) -> tuple[x509.Certificate, list[x509.Certificate]]:
        """This gateway's certificate, which is of its own key, name and time, and the CA's; and who signed it first."""
        home = self._home
        key = keyfiles.tls_key(home.path("key"), home.owner, anew=False)
        csr = keyfiles.request_of(key, home.device)
        token = enrol.request(home, signer, csr, self._claim).decode("ascii")
        request = x509.load_pem_x509_csr(csr.encode("ascii"))
        cert = self._desk.certify(request, est.ENROL, token)
        return cert, issued(cert, self._authorities, home.device, key.public_key(), self._at.wall_ms)

    def prepare(self) -> None:
        """The CA's certificates: the last thing that is asked before this gateway makes keys."""
        self._authorities = self._desk.authorities()

    def keep(self, anchor: Anchor, cert: x509.Certificate, authorities: list[x509.Certificate]) -> None:
        """All of it, each file at once or not at all; what a power cut leaves undone the same command does again."""
        home = self._home
        home.owner.put(home.path("trust"), self._data, 0o644)
        put_certificate(home, cert, authorities)
        home.owner.put(home.state("registrar"), self._url.encode("ascii") + b"\n", 0o644)
        home.keep(anchor)


def renew(home: Gateway, url: str | None, wall_ms: int) -> x509.Certificate:
    """Another certificate for another key, asked for with the present one (RFC 7030, 4.2.2)."""
    desk = est.Desk(est.place_of(url or desk_of(home)), _present(home))
    key = keyfiles.tls_key(home.path("key"), home.owner, anew=True)
    request = x509.load_pem_x509_csr(keyfiles.request_of(key, home.device).encode("ascii"))
    cert = desk.certify(request, est.REENROL)
    authorities = issued(cert, desk.authorities(), home.device, key.public_key(), wall_ms)
    put_certificate(home, cert, authorities)
    return cert


def desk_of(home: Gateway) -> str:
    """Where this gateway enrolled; Refused if it did not do so online."""
    data = files.read(home.state("registrar"), URL_MAX)
    if isinstance(data, str):
        raise Refused(2, "this gateway did not enrol online, so there is nobody to ask", "name the desk: --url URL")
    return data.decode("ascii", "replace").strip()


def is_due(cert: x509.Certificate, wall_ms: int) -> bool:
    """Whether half of its life is over."""
    begin, end = cert.not_valid_before_utc.timestamp(), cert.not_valid_after_utc.timestamp()
    return wall_ms / 1000 >= (begin + end) / 2


def _present(home: Gateway) -> ssl.SSLContext:
    """TLS by the CA that this gateway holds, and as what it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(str(home.path("ca")))
        context.load_cert_chain(str(home.path("cert")), str(home.path("key")))
    except (OSError, ssl.SSLError) as error:
        text = f"this gateway has no certificate that it could renew ({error.strerror or error})"
        raise Refused(2, text, "enrol first: batteryctl keys enrol --claim FILE --url URL") from error
    return context


def issued(
    cert: x509.Certificate, authorities: list[x509.Certificate], device: str, key: object, wall_ms: int
) -> list[x509.Certificate]:
    """The CA's certificates, the one that signed `cert` first. Refused if it is not the one that was asked for."""
    try:
        return _issued(cert, authorities, device, key, wall_ms)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # read only when asked for: malformed inside
        raise Refused(4, "the certificate cannot be used: it is malformed", NOTHING) from error


def _issued(
    cert: x509.Certificate, authorities: list[x509.Certificate], device: str, key: object, wall_ms: int
) -> list[x509.Certificate]:
    wrongs = {ca: keyfiles.wrong_with(cert, ca, device, wall_ms) for ca in authorities}
    signer = next((ca for ca, wrong in wrongs.items() if wrong is None), None)
    if signer is None:
        raise Refused(4, f"the certificate cannot be used: {wrongs[authorities[0]]}", NOTHING)
    if cert.public_key() != key:
        raise Refused(4, "the certificate is not of a key of this gateway", NOTHING)
    return [signer, *(ca for ca in authorities if ca != signer)]


def put_certificate(home: Gateway, cert: x509.Certificate, authorities: list[x509.Certificate]) -> None:
    """As `put_files`, of certificates."""
    pem = serialization.Encoding.PEM
    put_files(home, cert, cert.public_bytes(pem), b"".join(ca.public_bytes(pem) for ca in authorities))


def put_files(home: Gateway, cert: x509.Certificate, data: bytes, ca_data: bytes) -> None:
    """Key, certificate and CA change together: the certificate waits beside, `settle` ends what a power cut left.
    `data`: the file that begins with `cert`."""
    keyfiles.holder(home.path("key"), cert)  # refused before anything is touched
    home.owner.put(home.path("ca"), ca_data, 0o644)
    waits = _waits(home)
    home.owner.put(waits, data, 0o644)
    keyfiles.place_certificate(home.path("key"), cert)
    waits.rename(home.path("cert"))


def settle(home: Gateway) -> None:
    """A certificate that still waits takes its place if the key has taken its own; otherwise it goes."""
    waits = _waits(home)
    data = files.read(waits, keyfiles.PEM_MAX)
    if isinstance(data, str):
        return
    cert = keyfiles.certificate(data)
    if cert is not None and keyfiles.load_tls_key(home.path("key")).public_key() == cert.public_key():
        waits.rename(home.path("cert"))
    else:
        waits.unlink()


def _waits(home: Gateway) -> Path:
    path = home.path("cert")
    return path.with_name(path.name + keyfiles.NEXT)
