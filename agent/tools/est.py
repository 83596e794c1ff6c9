"""The aggregator's desk over HTTPS: the part of EST (RFC 7030, 4.1 and 4.2) that a gateway needs, and its trust bundle.

One request a connection, nothing followed, nothing of unknown length read, all of it within `PATIENCE_S`. Whatever goes
wrong is a Refused: 4 = the answer breaks a rule, 6 = there is none, or not all of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from agent.link import bundle
from agent.tools.lines import Refused

PATIENCE_S = 30.0  # for one answer, all of it
CERTS_MAX = 32 * 1024
CA_MAX = 4  # certificates of one answer
CACERTS, ENROL = "/.well-known/est/cacerts", "/.well-known/est/simpleenroll"
REENROL = "/.well-known/est/simplereenroll"
PKCS7, TRUST = "application/pkcs7-mime", "application/jose+json"
AUTHORIZATION = "Battery-Enrol"  # the scheme: a battery-enrol+jws follows
AGAIN = "again later; what is here stays as it was"
FORM = "https://HOST or https://HOST:PORT, as the aggregator gave it"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a desk is."""

    host: str
    port: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.host}:{self.port}"


def place_of(url: str) -> Place:
    """Refused if that is no https URL of a host alone."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        parts, host, port = None, None, 0
    plain = parts is not None and parts.scheme == "https" and parts.path in ("", "/")
    plain = plain and not (parts is None or "@" in parts.netloc or parts.query or parts.fragment)
    if not plain or not host or not host.isascii() or not host.isprintable() or " " in host:
        raise Refused(2, f"--url {url!r}", f"expected {FORM}")
    return Place(host, port)


def spki_hash(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate's SubjectPublicKeyInfo, hex: it outlives the certificate, not its key."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(certificate.public_key().public_bytes(serialization.Encoding.DER, form)).hexdigest()


def certificates(data: bytes) -> list[x509.Certificate] | str:
    """Those of an EST answer: PKCS #7 without signatures, base64; or what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what is no DER is tried as BER, with a warning: not here
            found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(b"".join(data.split()), validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm, Warning):
        return "not certificates as PKCS #7 in base64"
    return found if 1 <= len(found) <= CA_MAX else f"{len(found)} certificates, 1 to {CA_MAX} expected"


def pinned() -> ssl.SSLContext:
    """For a server that is known by its key alone (`Desk(pin=...)`): no name, no CA and no clock is asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Connection(http.client.HTTPSConnection):
    """Sends nothing before the server has shown the key that `pin` names."""

    def __init__(self, place: Place, context: ssl.SSLContext, pin: str | None) -> None:
        super().__init__(place.host, place.port, timeout=PATIENCE_S, context=context)
        self._pin = pin
        self.late = False

    def connect(self) -> None:
        super().connect()
        shown = self.sock.getpeercert(binary_form=True)
        if self._pin is not None and (shown is None or spki_hash(x509.load_der_x509_certificate(shown)) != self._pin):
            raise Refused(
                4,
                f"the certificate of {self.host}:{self.port} is not the one that the claim names; nothing was sent",
                "is the URL right? If so, somebody stands between: ask the aggregator",
            )

    def cut(self) -> None:
        """Time is up: whoever waits on the socket wakes. A plain socket's shutdown leaves TLS's state alone."""
        self.late = True
        if self.sock is not None:
            try:
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
            except OSError:
                return


class Desk:
    """A place, and how it is believed: by `pin` (SHA-256 of its key), or by what `context` verifies."""

    def __init__(self, place: Place, context: ssl.SSLContext, pin: str | None = None) -> None:
        self._place, self._context, self._pin = place, context, pin

    def bundles(self, fleet: str) -> bytes:
        """The chain of signed bundles. Nothing of it is proven."""
        return self._ask("GET", f"/.well-known/battery/{fleet}/trust", TRUST, bundle.MAX_BYTES)

    def authorities(self) -> list[x509.Certificate]:
        """The CA's certificates."""
        return self._certificates("GET", CACERTS)

    def certify(self, csr: x509.CertificateSigningRequest, path: str, authorization: str = "") -> x509.Certificate:
        """The certificate for a request."""
        body = base64.encodebytes(csr.public_bytes(serialization.Encoding.DER))
        found = self._certificates("POST", path, body, authorization)
        if len(found) != 1:
            raise self._bad(f"{len(found)} certificates, 1 expected")
        return found[0]

    def _certificates(
        self, method: str, path: str, body: bytes = b"", authorization: str = ""
    ) -> list[x509.Certificate]:
        data = self._ask(method, path, PKCS7, CERTS_MAX, body, authorization)
        found = certificates(data)
        if isinstance(found, str):
            raise self._bad(f"{path.rpartition('/')[2]}: {found}")
        return found

    def _bad(self, words: str) -> Refused:
        return Refused(4, f"{self._place.name}: {words}", "nothing was kept; ask the aggregator")

    # --- one exchange -------------------------------------------------------------------------------------------------
    def _ask(self, method: str, path: str, typ: str, most: int, body: bytes = b"", authorization: str = "") -> bytes:
        headers = {"Accept": typ, "Connection": "close"}
        if body:
            headers |= {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        if authorization:
            headers["Authorization"] = f"{AUTHORIZATION} {authorization}"
        with self._connected() as connection:
            connection.request(method, path, body or None, headers)
            with connection.getresponse() as answer:
                self._judge(answer, path, typ, most)
                return answer.read()  # its length is known and small; a shorter one is IncompleteRead

    @contextmanager
    def _connected(self) -> Iterator[_Connection]:
        """A connection that ends in time, and whose every failure is a sentence."""
        connection = _Connection(self._place, self._context, self._pin)
        ending = threading.Timer(PATIENCE_S, connection.cut)
        ending.daemon = True
        ending.start()
        try:
            yield connection
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failed(error, connection.late) from error
        finally:
            ending.cancel()
            connection.close()

    def _failed(self, error: Exception, late: bool) -> Refused:
        name = self._place.name
        if late or isinstance(error, TimeoutError):
            return Refused(6, f"{name}: no answer within {PATIENCE_S:g} s", AGAIN)
        if isinstance(error, ssl.SSLCertVerificationError):
            return Refused(4, f"the certificate of {name} is not believed: {error.verify_message}", "is the URL right?")
        if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected | ConnectionResetError):
            return Refused(6, f"{name}: the answer broke off", AGAIN)
        if isinstance(error, http.client.HTTPException):
            return Refused(6, f"{name}: that is no HTTP answer ({type(error).__name__})", "is the URL right?")
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
        return Refused(6, f"{name}: {reason}", "is the URL right? Is there a way out of this network?")

    def _judge(self, answer: http.client.HTTPResponse, path: str, typ: str, most: int) -> None:
        name, what = self._place.name, path.rpartition("/")[2]
        status = answer.status
        if status == 202:
            raise Refused(6, f"{name}: the aggregator has not decided yet (202)", AGAIN)
        if 300 <= status < 400:
            raise self._bad(f"{what}: it sends us elsewhere ({status}), and we do not go")
        if status in (401, 403):
            words = f"{name} refuses ({status}): the claim is spent, too old, or not of this gateway"
            if path == REENROL:
                words = f"{name} refuses ({status}): this gateway's certificate is not renewed"
            raise Refused(4, words, "ask the aggregator for a new claim")
        if status != 200:
            raise Refused(6 if status >= 500 else 4, f"{name}: {what}: HTTP {status}", "is the URL right?")
        said = str(answer.headers.get_content_type())
        if said != typ:
            raise self._bad(f"{what}: {said!a:.60}, {typ} expected")
        lengths = answer.headers.get_all("Content-Length") or []
        if len(lengths) != 1 or answer.length is None or answer.headers.get("Transfer-Encoding"):
            raise self._bad(f"{what}: no Content-Length, so that half an answer would look like a whole one")
        if answer.length > most:
            raise self._bad(f"{what}: {answer.length} bytes, at most {most} expected")
