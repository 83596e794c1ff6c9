"""Golden vectors of configuration, default control and firmware, sent to a home that has heard the time or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hil.aggregator.token import encode
from hil.protocol.vectors import ACCEPTED, DAY_MS, FLEET, NOW, ROOT, Vector, claims, general, header, token

LONG = {"exp": NOW + 30 * DAY_MS}
CONFIG: dict[str, Any] = {
    "version": 4, "probation_s": 600, "settings": {"export_limit_w": 5000, "raise_permille": 400, "raise_s": 3600},
    **LONG,
}  # fmt: skip
DEFAULT: dict[str, Any] = {"version": 2, "mode": "self_consumption", "ramp_permille_per_s": 10, **LONG}
FIRMWARE: dict[str, Any] = {
    "version": 7000, "min_version": 5000, "name": "0.7.0", **LONG,
    "packages": [{"arch": "arm64", "url": "https://releases.example/7.deb", "size": 9_000_000, "sha256": "ab" * 32}],
}  # fmt: skip
OTHER = {"settings": {"export_limit_w": 0}}
# name, about, body, changes, verdict; the first word of a name is its topic
BAD: tuple[tuple[str, str, dict[str, Any], dict[str, Any], str], ...] = (
    ("config_reserve", "a reserve is nothing that a configuration could set", CONFIG, {"settings": {"permille": 0}},
     "bad_body"),
    ("config_raise", "a raise without an end", CONFIG, {"settings": {"raise_permille": 400}}, "bad_body"),
    ("config_floor", "a floor of 60 %", CONFIG, {"settings": {"soc_floor_permille": 600}}, "bad_body"),
    ("config_version", "version 0", CONFIG, {"version": 0}, "bad_body"),
    ("config_long", "lives for more than 90 days", CONFIG, {"exp": NOW + 91 * DAY_MS}, "bad_body"),
    ("config_expired", "signed 60 days ago for 30", CONFIG, {"iat": NOW - 60 * DAY_MS, "exp": NOW - 30 * DAY_MS},
     "expired"),
    ("config_future", "signed a minute ahead", CONFIG, {"iat": NOW + 60_000}, "future"),
    ("config_elsewhere", "for another home", CONFIG, {"aud": "dev:home2"}, "bad_audience"),
    ("config_next", "version 2 of the protocol", CONFIG, {"v": 2}, "bad_version"),
    ("default_mode", "a mode that would empty the battery", DEFAULT, {"mode": "discharge"}, "bad_body"),
    ("default_power", "a setpoint", DEFAULT, {"power_w": 5000}, "bad_body"),
    ("firmware_older", "may replace what is newer than itself", FIRMWARE, {"min_version": 7000}, "bad_body"),
    ("firmware_http", "from a place that anybody can play", FIRMWARE,
     {"packages": [FIRMWARE["packages"][0] | {"url": "http://releases.example/7.deb"}]}, "bad_body"),
    ("firmware_group", "for a group: of this home or its fleet expected", FIRMWARE, {"aud": "grp:north"},
     "bad_audience"),
)  # fmt: skip


def vectors() -> Iterator[Vector]:
    """All of them."""
    for n, (name, body) in enumerate((("config", CONFIG), ("default", DEFAULT), ("firmware", FIRMWARE)), 300):
        yield _vector(name, f"a good {name}", claims(n, **body), ACCEPTED)
    yield _vector("firmware_fleet", "of the whole fleet", claims(304, **FIRMWARE, aud=f"fleet:{FLEET}"), ACCEPTED)
    for n, (name, about, body, changes, verdict) in enumerate(BAD, 310):
        yield _vector(name, about, claims(n, **(body | changes)), verdict)
    yield from _against_known()
    yield from _wrong_hands()


def _against_known() -> Iterator[Vector]:
    """After the good ones."""
    rows: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...]
    rows = (("config", CONFIG, OTHER), ("default", DEFAULT, {"mode": "idle"}), ("firmware", FIRMWARE, {"name": "0.7"}))
    for n, (name, body, other) in enumerate(rows, 330):
        older = body | {"version": body["version"] - 1}
        yield _vector(f"{name}_rollback", "older than the one before", claims(n, **older), "version_rollback", name)
        said = claims(n + 3, **(body | other))
        yield _vector(f"{name}_fork", "the same version with other content", said, "version_fork", name)
        if name != "firmware":
            far = claims(n + 9, **(body | {"version": body["version"] + 1_000_001}))
            yield _vector(f"{name}_jump", "far above the one before", far, "version_jump", name)
        newer = claims(n + 6, **(body | {"version": body["version"] + 3} | other))
        yield _vector(f"{name}_later", "a later one, and some were missed", newer, ACCEPTED, name)


def _wrong_hands() -> Iterator[Vector]:
    """Well formed, and signed by who may not."""
    said = claims(340, **CONFIG)
    for role in ("dispatch", "service", "homeowner"):
        made = token(header("config", role), said, role)
        yield Vector(f"config_by_{role}", f"signed by {role}", f"{ROOT}/down/config", made, True, "bad_role", True)
    made = token(header("default", "operations"), claims(341, **DEFAULT), "operations")
    about = "default control on the topic of configuration"
    yield Vector("config_typ", about, f"{ROOT}/down/config", made, True, "bad_typ", True)
    topic, release = f"{ROOT}/down/firmware", claims(342, **FIRMWARE)
    for name, about, keys in (
        ("firmware_one", "signed by one of two", ("firmware1",)),
        ("firmware_twice", "signed by one key twice", ("firmware1", "firmware1")),
        ("firmware_roots", "signed by the root", ("root1", "root2")),
    ):
        made = encode(general(release, *keys, typ="firmware"))
        holds = sum(key.startswith("firmware") for key in keys)
        yield Vector(name, about, topic, made, None, "trust_threshold", True, holds=holds)
    made = encode(general(release, "firmware1", "firmware2", typ="trust"))
    yield Vector("firmware_typ", "signed as a bundle", topic, made, None, "trust_threshold", True, holds=2)
    made = encode({"bundles": [general(release, "firmware1", "firmware2", typ="firmware")] * 2})
    yield Vector("firmware_two", "two manifests at once", topic, made, None, "bad_format", True, holds=4)


def _vector(name: str, about: str, said: dict[str, Any], verdict: str, *before: str) -> Vector:
    leaf = name.partition("_")[0]
    topic = f"{ROOT}/down/{leaf}"
    kept = said if verdict == ACCEPTED else None
    if leaf == "firmware":
        made = encode(general(said, "firmware1", "firmware2", typ="firmware"))
        return Vector(name, about, topic, made, None, verdict, True, before=before, claims=kept, holds=2)
    made = token(header(leaf, "operations"), said, "operations")
    return Vector(name, about, topic, made, True, verdict, True, before=before, claims=kept)
