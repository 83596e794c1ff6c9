"""Golden vectors of configuration, default control and firmware: their form and their signatures, and no more.

This version has no such topics yet, so a home refuses them all as `bad_typ`; `verdict` is that of signature and body.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hil.aggregator.token import encode
from hil.protocol.vectors import ACCEPTED, DAY_MS, NOW, ROOT, Vector, claims, general, header, token

LONG = {"exp": NOW + 30 * DAY_MS}
CONFIG: dict[str, Any] = {
    "version": 4, "probation_s": 600, "settings": {"export_limit_w": 5000, "raise_permille": 400, "raise_s": 3600},
    **LONG,
}  # fmt: skip
DEFAULT: dict[str, Any] = {"version": 2, "mode": "self_consumption", "ramp_permille_per_s": 10, **LONG}
FIRMWARE: dict[str, Any] = {
    "version": 7, "min_version": 5, "name": "0.7.0", **LONG,
    "packages": [{"arch": "arm64", "url": "https://releases.example/7.deb", "size": 9_000_000, "sha256": "ab" * 32}],
}  # fmt: skip
BAD: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("config_reserve", "a reserve is nothing that a configuration could set", CONFIG, {"settings": {"permille": 0}}),
    ("config_raise", "a raise without an end", CONFIG, {"settings": {"raise_permille": 400}}),
    ("config_version", "version 0", CONFIG, {"version": 0}),
    ("config_long", "lives for more than 90 days", CONFIG, {"exp": NOW + 91 * DAY_MS}),
    ("default_mode", "a mode that would empty the battery", DEFAULT, {"mode": "discharge"}),
    ("default_power", "a setpoint", DEFAULT, {"power_w": 5000}),
    ("firmware_older", "may replace what is newer than itself", FIRMWARE, {"min_version": 7}),
    ("firmware_http", "from a place that anybody can play", FIRMWARE,
     {"packages": [FIRMWARE["packages"][0] | {"url": "http://releases.example/7.deb"}]}),
)  # fmt: skip


def vectors() -> Iterator[Vector]:
    """All of them."""
    for n, (name, body) in enumerate((("config", CONFIG), ("default", DEFAULT), ("firmware", FIRMWARE)), 300):
        yield _vector(name, name, f"a good {name}", claims(n, **body), ACCEPTED)
    for n, (name, about, body, changes) in enumerate(BAD, 310):
        yield _vector(name, name.partition("_")[0], about, claims(n, **(body | changes)), "bad_body")


def _vector(name: str, leaf: str, about: str, said: dict[str, Any], verdict: str) -> Vector:
    topic = f"{ROOT}/down/{leaf}"
    kept = said if verdict == ACCEPTED else None
    if leaf == "firmware":
        made = encode(general(said, "firmware1", "firmware2", typ="firmware"))
        return Vector(name, about, topic, made, None, verdict, True, claims=kept, holds=2)
    made = token(header(leaf, "operations"), said, "operations")
    return Vector(name, about, topic, made, True, verdict, True, claims=kept)
