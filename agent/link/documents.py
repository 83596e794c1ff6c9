"""What comes down and stays: configuration, default control and firmware, as strict models.

A document replaces the one before it; its `version` only ever rises. It is not a command: it may tighten what a home
does, and never loosens a site's limit or lowers a reserve. docs/protocol.md says each member in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from agent.link.messages import DAY_MS, Down, Limit, Name, _first, _lifetime

DOCUMENT_MS = 90 * DAY_MS  # exp - iat of a document, at most: a home that was away for a summer still takes it
RAISE_S = 72 * 3600  # a raise of the reserve from afar ends by itself

Version = Annotated[int, Field(ge=1, lt=1 << 31)]
Permille = Annotated[int, Field(ge=0, le=1000)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[ -~]+$")]


class Settings(BaseModel):
    """What may be set from afar. Limits only tighten those of commissioning; a member that is missing is not set."""

    model_config = Down.model_config

    import_limit_w: Limit | None = None
    export_limit_w: Limit | None = None
    charge_limit_w: Limit | None = None
    discharge_limit_w: Limit | None = None
    soc_floor_permille: Annotated[int, Field(ge=0, le=500)] | None = None
    raise_permille: Permille | None = None
    raise_s: Annotated[int, Field(ge=1, le=RAISE_S)] | None = None
    peak_target_w: Limit | None = None
    batch_s: Annotated[int, Field(ge=10, le=300)] | None = None
    live_s: Annotated[int, Field(ge=1, le=60)] | None = None
    groups: Annotated[list[Name], Field(max_length=64)] | None = None


class Config(Down):
    """`settings` for good, after they held for `probation_s`; the ones before come back by themselves otherwise."""

    version: Version
    probation_s: Annotated[int, Field(ge=60, le=3600)] = 600
    settings: Settings


class Default(Down):
    """What the home does when nothing is asked of it."""

    version: Version
    mode: Literal["self_consumption", "idle"]
    import_limit_w: Limit | None = None
    export_limit_w: Limit | None = None
    ramp_permille_per_s: Annotated[int, Field(ge=1, le=100)] | None = None


class Package(BaseModel):
    """One file of a release."""

    model_config = Down.model_config

    arch: Literal["amd64", "arm64"]
    url: Annotated[str, Field(pattern=r"^https://[!-~]{1,500}$")]
    size: Annotated[int, Field(ge=1, le=1 << 30)]
    sha256: Hash


class Firmware(Down):
    """A release: what is installed is replaced by it, if that is at least `min_version` and lower than `version`."""

    version: Version
    min_version: Version
    name: Text
    packages: Annotated[list[Package], Field(min_length=1, max_length=8)]
    security: bool = False


AnyDocument = Config | Default | Firmware
DOCUMENTS: Mapping[str, type[AnyDocument]] = {"config": Config, "default": Default, "firmware": Firmware}


def parse_document(name: str, claims: Mapping[str, object]) -> AnyDocument | str:
    """The document of topic `down/{name}`, or a sentence. KeyError for a name that is not in DOCUMENTS."""
    try:
        found = DOCUMENTS[name].model_validate(dict(claims))
    except ValidationError as error:
        return _first(error)
    return _lifetime(found, DOCUMENT_MS) or _contradiction(found) or found


def _contradiction(document: AnyDocument) -> str | None:
    if isinstance(document, Firmware):
        if document.min_version >= document.version:
            return "min_version: not below version"
        archs = [package.arch for package in document.packages]
        return None if len(set(archs)) == len(archs) else "packages: one of each arch expected"
    if isinstance(document, Config):
        settings = document.settings
        if (settings.raise_permille is None) != (settings.raise_s is None):
            return "settings.raise_permille, settings.raise_s: one without the other"
        if settings.groups is not None and len(set(settings.groups)) != len(settings.groups):
            return "settings.groups: a group is named twice"
    return None
