"""What was set from afar as JSON: each setting with its value, what was commissioned, and whose word it is."""

from __future__ import annotations

from collections.abc import Iterator

from agent.core.params import NO_LIMIT_W, SELF_CONSUMPTION, DefaultControl
from agent.local.reason import Json
from agent.remote import InForce, Remote

LIMITS = ("import_limit_w", "export_limit_w", "charge_limit_w", "discharge_limit_w", "soc_floor_permille")
LINK = ("batch_s", "live_s", "groups")
COMMISSIONED = "commissioned"


def config_json(found: InForce) -> Json:
    """The answer to "config". `code` is 0: a setting is no fault."""
    held, default, fate = found.remote.held, found.remote.default, found.remote.fate
    return {
        "v": 1,
        "ok": True,
        "code": 0,
        "settings": list(_rows(found)),
        "config": {
            "version": held.version,
            "state": _state(found.remote),
            "settled_version": found.remote.settled.version,
            "text": "none: what was commissioned holds" if not held.version else _config(found.remote),
        },
        "default": {
            "version": default.version,
            "mode": default.mode,
            "ramp_permille_per_s": default.ramp_permille_per_s,
            "text": _default(default),
        },
        "last": None if fate is None else {"version": fate.version, "event": fate.word, "text": fate.sentence},
        "known": {kind: version for kind, (version, _) in sorted(found.remote.floors.items())},
    }


def _rows(found: InForce) -> Iterator[Json]:
    site, now, remote = found.site.site, found.now.site, found.remote
    was = {
        "import_limit_w": site.import_limit_w,
        "export_limit_w": site.export_limit_w,
        "charge_limit_w": site.utility_charge_w,
        "discharge_limit_w": site.utility_discharge_w,
        "soc_floor_permille": found.site.soc_floor_permille,
    }
    holds = {
        "import_limit_w": now.import_limit_w,
        "export_limit_w": now.export_limit_w,
        "charge_limit_w": now.utility_charge_w,
        "discharge_limit_w": now.utility_discharge_w,
        "soc_floor_permille": found.now.soc_floor_permille,
    }
    for name in LIMITS:
        asked = {
            _config(remote): getattr(remote.held.settings, name),
            _default(remote.default): getattr(remote.default, name, None),
        }
        value = holds[name]
        by = next((who for who, what in asked.items() if what == value), _config(remote))
        by = COMMISSIONED if value == was[name] else by
        beyond = [who for who, what in asked.items() if what is not None and who != by]
        yield {
            "name": name,
            "value": _known(value),
            "commissioned": _known(was[name]),
            "by": by,
            "text": f"{who} would be looser" if (who := ", ".join(beyond)) else "",
        }
    for name in LINK:
        chosen = getattr(remote.held.settings, name)
        by = COMMISSIONED if chosen is None else _config(remote)
        plain = list(chosen) if isinstance(chosen, tuple) else chosen
        yield {"name": name, "value": plain, "commissioned": None, "by": by, "text": ""}


def _known(value: int) -> int | None:
    return None if value >= NO_LIMIT_W else value


def _state(remote: Remote) -> str:
    if not remote.held.version:
        return "none"
    return "on probation" if remote.trial is not None else "confirmed"


def _config(remote: Remote) -> str:
    return f"configuration {remote.held.version}, {_state(remote)}"


def _default(default: DefaultControl) -> str:
    """In words."""
    if not default.version:
        return "the factory's: self-consumption, the reserve kept"
    ways = "self-consumption" if default.mode == SELF_CONSUMPTION else "idle, neither way"
    return f"default control {default.version}: {ways}"
