"""The device's signing key: an Ed25519 PKCS #8 PEM file (RFC 8410), mode 0600, read to its 32-byte seed.

A key that was rotated stands beside the announcements that led to it, which each birth repeats.

Read by hand: the file has one form, and the general parser would cost the daemon megabytes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.link import files, jws

ROTATIONS = 4  # announcements that are told
ROTATIONS_BYTES = 16 * 1024
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


def load_rotations(path: Path, kid: str) -> tuple[Mapping[str, object], ...]:
    """The announcements by which earlier signing keys handed over, up to the one that names `kid`; none if there is no
    such file, or if it does not lead to that key. The aggregator proves them, not we."""
    data = files.read(path, ROTATIONS_BYTES)
    try:
        raw: Any = {"rotations": []} if isinstance(data, str) else jws.parse_object(data)
        listed = raw["rotations"]
        names = [jws.parse_object(jws.unb64(one["payload"].encode("ascii")) or b"").get("kid") for one in listed]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(listed[: names.index(kid) + 1][-ROTATIONS:]) if kid in names else ()


def dump_seed(seed: bytes) -> str:
    """The PEM text of a seed."""
    body = base64.b64encode(_PREFIX + seed).decode("ascii")
    return f"{_BEGIN}\n{body}\n{_END}\n"
