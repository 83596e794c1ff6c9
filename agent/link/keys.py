"""The device's signing key: an Ed25519 PKCS #8 PEM file (RFC 8410), mode 0600, read to its 32-byte seed.

Read by hand: the file has one form, and the general parser would cost the daemon megabytes.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from agent.link import files

_PREFIX = bytes.fromhex("302e020100300506032b657004220420")  # PKCS #8 version 0, OID 1.3.101.112, 32 bytes follow
_BEGIN, _END = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"


def load_seed(path: Path) -> bytes | str:
    """The 32-byte seed, or a sentence. A file that others can read is refused."""
    data = files.read(path, 4096, private=True)
    if isinstance(data, str):
        return f"{path}: {data}; expected the device's Ed25519 key"
    lines = data.decode("ascii", "replace").split()
    text = " ".join(lines)
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        return f"{path}: not a PEM private key; expected an Ed25519 key (openssl genpkey -algorithm ed25519)"
    try:
        der = base64.b64decode(text[len(_BEGIN) : -len(_END)].replace(" ", ""), validate=True)
    except binascii.Error:
        return f"{path}: the PEM body is not base64"
    if len(der) != len(_PREFIX) + 32 or not der.startswith(_PREFIX):
        return f"{path}: not an Ed25519 key; expected one (openssl genpkey -algorithm ed25519)"
    return der[len(_PREFIX) :]


def dump_seed(seed: bytes) -> str:
    """The PEM text of a seed."""
    body = base64.b64encode(_PREFIX + seed).decode("ascii")
    return f"{_BEGIN}\n{body}\n{_END}\n"
