"""The trust bundle as models: for its schema and tests. `agent.link.bundle` reads it by plain code, more strictly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hil.protocol.up import Kid, WallMs

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$")]
B64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Key(_Strict):
    """A public key; nbf and exp not of the root."""

    kid: Kid
    x: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    nbf: WallMs = 0
    exp: WallMs = 1 << 53


class Keys(_Strict):
    """The keys of a role, and how many sign together: root 2 or more, firmware 2 or more, any other 1."""

    threshold: Annotated[int, Field(ge=1)]
    keys: Annotated[list[Key], Field(max_length=5)]


class Roles(_Strict):
    """Every role of the bundle."""

    root: Keys
    dispatch: Keys
    service: Keys
    operations: Keys
    firmware: Keys


class Bundle(_Strict):
    """Which keys have which role, until when. One follows the other: TUF's rules for its root role."""

    v: Literal[1]
    version: Annotated[int, Field(ge=1, lt=1 << 31)]
    fleet: Name
    iat: WallMs
    exp: WallMs
    roles: Roles
    groups: Annotated[list[Name], Field(max_length=64)]
    revoked: Annotated[list[Kid], Field(max_length=128)]


class Signature(_Strict):
    """One signature of several."""

    protected: B64
    signature: B64


class General(_Strict):
    """A JWS in general JSON form (RFC 7515, 7.2.1): several keys sign one payload."""

    payload: B64
    signatures: Annotated[list[Signature], Field(min_length=1, max_length=8)]


class Chain(_Strict):
    """Several, in order, for homes that missed some."""

    bundles: Annotated[list[General], Field(min_length=1, max_length=32)]
