"""Which keys a device signs with: those it was enrolled with, and those that they have handed over to.

A rotation is announced by a JWS in general JSON form (battery-rotate+jws), signed by the old key and by the new one;
the device repeats the announcements in each birth. The old key counts on for the overlap, since rows may be under way;
it has one successor, so that who steals it later cannot name another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from hil.aggregator.keys import Keyring, kid_of, public_key
from hil.aggregator.token import ALG, strict_json

ROTATE = "battery-rotate+jws"
OVERLAP_MS = 7 * 86_400_000
CHAIN_MAX = 8
_REGISTRY = jws.JWSRegistry(algorithms=[ALG])


class NotRotatedError(ValueError):
    """The announcement does not prove what it must."""


@dataclass(slots=True)
class _Known:
    key: OKPKey
    until_ms: int | None = None  # None: the present one
    next: str | None = None  # kid of its successor


class Registry:
    """Keys by device and kid. It changes by proofs of the devices alone, and by `revoke`."""

    def __init__(self, ring: Keyring) -> None:
        self._fleet = ring.fleet
        self._known = {device: {kid: _Known(key) for kid, key in keys.items()} for device, keys in ring.devices.items()}
        for device, kid, until_ms, after in ring.retired:
            known = self._known[device][kid]
            known.until_ms, known.next = until_ms, after

    def keys(self, device: str, wall_ms: int) -> Mapping[str, OKPKey]:
        """Those that count now."""
        known = self._known.get(device, {})
        return {kid: one.key for kid, one in known.items() if one.until_ms is None or wall_ms <= one.until_ms}

    def revoke(self, device: str, kid: str) -> bool:
        """That key counts no more, nor does whatever it announces. Whether it was known."""
        return self._known.get(device, {}).pop(kid, None) is not None

    def learn(self, device: str, payload: bytes, wall_ms: int) -> tuple[str, ...]:
        """Take up the rotations that an unproven birth brings, each by its own proof; the kids that are new."""
        try:
            part = payload.split(b".")[1]
            listed = strict_json(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))).get("rotations")
        except (ValueError, IndexError):
            return ()
        found = []
        for one in listed[:CHAIN_MAX] if isinstance(listed, list) else []:
            try:
                found.append(self.adopt(device, one, wall_ms))
            except NotRotatedError:
                continue
        return tuple(kid for kid in found if kid)

    def adopt(self, device: str, announcement: object, wall_ms: int) -> str | None:
        """The kid of the new key; None if it is known already. NotRotatedError if the old one does not say so now."""
        keys = self.keys(device, wall_ms)
        body = announced(announcement, keys)
        old, kid = str(body["old"]), str(body["kid"])
        if (body["device"], body["fleet"]) != (device, self._fleet):
            raise NotRotatedError("the announcement is of another device")
        if kid in self._known[device]:
            return None
        before = self._known[device][old]
        if before.next is not None:
            raise NotRotatedError(f"{old} was followed by {before.next} already")
        before.next, before.until_ms = kid, wall_ms + OVERLAP_MS
        self._known[device][kid] = _Known(public_key(body)[1])
        return kid

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """The devices as devices.json lists them."""
        return {
            device: [
                {"kid": kid, "x": one.key.as_dict(private=False)["x"]}
                | ({"until_ms": one.until_ms, "next": one.next} if one.until_ms is not None else {})
                for kid, one in known.items()
            ]
            for device, known in self._known.items()
        }


def announced(announcement: object, keys: Mapping[str, OKPKey]) -> Mapping[str, Any]:
    """The body of a rotation that the old key, one of `keys`, and the new one signed; NotRotatedError otherwise."""
    try:
        return _announced(announcement, keys)
    except (JoseError, ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise (
            error if isinstance(error, NotRotatedError) else NotRotatedError(f"not an announcement: {error}")
        ) from error


def _announced(announcement: Any, keys: Mapping[str, OKPKey]) -> Mapping[str, Any]:
    part, signatures = announcement["payload"], announcement["signatures"]
    body = strict_json(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if body["v"] != 1 or body["old"] == body["kid"] or len(signatures) != 2:
        raise NotRotatedError("not a rotation from one key to another")
    new = public_key(body)[1]  # ValueError if the kid is not its own
    signed = set()
    for one in signatures:
        token = jws.extract_compact(f"{one['protected']}.{part}.{one['signature']}".encode(), registry=_REGISTRY)
        header = token.headers()
        kid = str(header["kid"])
        key = keys.get(kid) if kid == body["old"] else new if kid == kid_of(new) else None
        if key is not None and header.get("typ") == ROTATE and jws.validate_compact(token, key, registry=_REGISTRY):
            signed.add(kid)
    if signed != {body["old"], body["kid"]}:
        raise NotRotatedError("not signed by a key that counts now and by the one that follows it")
    return body
