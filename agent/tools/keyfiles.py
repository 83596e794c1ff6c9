"""This gateway's own keys on its disk: made here, mode 0600, replaced in one step, never printed."""

from __future__ import annotations

import os
import secrets  # noqa: TID251  # an offline tool, not part of what is replayed: keys must be unpredictable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.link import files, jws, keys
from agent.tools.lines import Refused

NEXT = ".next"  # a key that waits for its certificate
PEM_MAX = 32 * 1024


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose files they are: those of the state directory."""

    uid: int
    gid: int

    def put(self, path: Path, data: bytes, mode: int) -> None:
        """`path` holds `data` from now on, or what it held before; never half of it, never readable in between."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), mode)
                self.take(file.fileno())
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def take(self, file: int | Path) -> None:
        """Make it theirs, where we may; of a link the link itself, never what it names."""
        if os.geteuid() != 0:
            return
        if isinstance(file, int):
            os.fchown(file, self.uid, self.gid)
        else:
            os.lchown(file, self.uid, self.gid)


def owner_of(directory: Path) -> Owner:
    """That of the state directory; it is made where it is missing."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = directory.stat()
    return Owner(facts.st_uid, facts.st_gid)


# --- signing ----------------------------------------------------------------------------------------------------------
def sign_key(path: Path, owner: Owner) -> tuple[jws.Signer, bool]:
    """The key of that file, and whether it was made now. One that is there is never overwritten."""
    if not os.path.lexists(path):
        put_seed(path, new_seed(), owner)
        made = True
    else:
        made = False
    return signer_of(path), made


def new_seed() -> bytes:
    """32 random bytes: an Ed25519 key."""
    return secrets.token_bytes(32)


def put_seed(path: Path, seed: bytes, owner: Owner) -> None:
    """The file holds that key from now on. One that was there is gone: nobody can sign with it any more."""
    owner.put(path, keys.dump_seed(seed).encode("ascii"), 0o600)


def signer_of(path: Path) -> jws.Signer:
    """Refused if it holds no key, or if others may read it."""
    seed = keys.load_seed(path)
    if isinstance(seed, str):
        raise Refused(2, seed, "mend or move that file away; a new key needs a new enrolment")
    return jws.signer(seed)


# --- TLS --------------------------------------------------------------------------------------------------------------
def tls_key(path: Path, owner: Owner, anew: bool) -> ec.EllipticCurvePrivateKey:
    """The P-256 key to ask a certificate for. `anew`: another one, which waits beside the present one."""
    place = path.with_name(path.name + NEXT) if anew else path
    if anew or not os.path.lexists(place):
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        owner.put(place, pem, 0o600)
    return load_tls_key(place)


def load_tls_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Refused if it is none, or if others may read it."""
    data = files.read(path, PEM_MAX, private=True)
    if isinstance(data, str):
        raise Refused(2, f"{path}: {data}", "batteryctl keys rotate tls makes another one")
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused(2, f"{path}: not a P-256 key in PEM", "batteryctl keys rotate tls makes another one")
    return key


def request_of(key: ec.EllipticCurvePrivateKey, device: str) -> str:
    """The certificate request (PKCS #10, PEM): CN = the device's id."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode("ascii")


def certificate(data: bytes) -> x509.Certificate | None:
    """The first certificate of a PEM text."""
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError:
        return None


def wrong_with(cert: x509.Certificate, ca: x509.Certificate, device: str, wall_ms: int) -> str | None:
    """Why this certificate is not the one that this gateway needs now, or None."""
    names = [attribute.value for attribute in cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [device]:
        return f"it is of {names[0] if names else 'nobody'!r}, and this gateway is {device!r}"
    try:
        cert.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return "it is not signed by that CA"
    begin, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    if not begin.timestamp() * 1000 <= wall_ms <= end.timestamp() * 1000:
        return f"it is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    try:
        uses = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return None if ExtendedKeyUsageOID.CLIENT_AUTH in uses else "it is not for a client"


def place_certificate(key_path: Path, cert: x509.Certificate) -> None:
    """See that the key file holds the certificate's key: the present one, or the one that waited."""
    place = holder(key_path, cert)
    if place != key_path:
        place.rename(key_path)


def holder(key_path: Path, cert: x509.Certificate) -> Path:
    """Where the certificate's key is: in its file, or waiting beside it. Refused if it is none of this gateway's."""
    for place in (key_path, key_path.with_name(key_path.name + NEXT)):
        if os.path.lexists(place) and load_tls_key(place).public_key() == cert.public_key():
            return place
    raise Refused(4, "the certificate is not of a key of this gateway", "batteryctl keys rotate tls asks for one anew")
