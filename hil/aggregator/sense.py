"""What no home would take though each option alone is in its range: said before it is sent, since a home is silent.

Written from docs/protocol.md; what a home can answer for itself (`rejected_...`) is sent and answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Body = Mapping[str, Any]
WEEK_S = 7 * 86_400
INTERVALS = 192
ALSO = 256
REASON = 80
STORM_S = 14 * 86_400
# which options each word of the homeowner takes, the needed ones first
HOMEOWNER: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "reserve": (("permille",), ()),
    "storm": (("permille",), ("for_s", "reason")),
    "opt_out": ((), ("for_s",)),
    "opt_in": ((), ()),
    "consent": (("to", "sha256"), ("withdrawn",)),
}
_OPTIONS = tuple(dict.fromkeys(name for needs, may in HOMEOWNER.values() for name in (*needs, *may)))


def homeowner(kind: str, given: Body) -> Body:
    """Its members. ValueError names what is missing, and what that word has no use for."""
    needs, may = HOMEOWNER[kind]
    missing = [_dashed(name) for name in needs if given[name] is None]
    if missing:
        raise ValueError(f"homeowner {kind} needs {' and '.join(missing)}")
    useless = [_dashed(name) for name in _OPTIONS if given[name] is not None and name not in (*needs, *may)]
    if useless:
        raise ValueError(f"homeowner {kind} has no use for {' and '.join(useless)}")
    return {name: given[name] for name in (*needs, *may) if given[name] is not None}


def judge(body: Body) -> None:
    """ValueError says what contradicts itself."""
    said = _CHECKS.get(str(body.get("kind")), _receipt)(body)
    if said:
        raise ValueError(said)


def _dispatch(body: Body) -> str:
    if body.get("power_w") is None and body.get("ramp"):
        return "--ramp is of a setpoint: it needs --power-w"
    if body.get("randomize_both") and not body.get("randomize_start_s"):
        return "--randomize-both: of what? It needs --randomize-start-s"
    if "randomize_start_s" in body and "start" not in body:
        return "--randomize-start-s draws the start of an event: it needs --start-in-s"
    return ""


def _plan(body: Body) -> str:
    values = body["powers_w"] if body["kind"] == "schedule" else body["prices_micro_per_kwh"]
    option = "--power-w" if body["kind"] == "schedule" else "--price"
    if len(values) > INTERVALS:
        return f"{option} was given {len(values)} times; at most {INTERVALS} intervals"
    if len(values) * body["interval_s"] > WEEK_S:
        return f"{len(values)} intervals of {body['interval_s']} s are more than 7 days"
    exports = body.get("export_micro_per_kwh")
    if exports is not None and len(exports) != len(values):
        return f"--export-price was given {len(exports)} times, --price {len(values)} times: one each an interval"
    return ""


def _session(body: Body) -> str:
    return "--lo-w is above --hi-w" if body["lo_w"] > body["hi_w"] else ""


def _resend(body: Body) -> str:
    return f"row {body['first']} is above row {body['last']}" if body["first"] > body["last"] else ""


def _storm(body: Body) -> str:
    if body["permille"] and not body.get("for_s"):
        return "homeowner storm needs --for-s"
    if body.get("for_s", 0) > STORM_S:
        return f"--for-s: a storm lasts at most {STORM_S} s"
    if len(body.get("reason", "")) > REASON:
        return f"--reason: at most {REASON} characters"
    return ""


def _receipt(body: Body) -> str:
    also = body.get("also", ())
    return f"--also was given {len(also)} times; a receipt names at most {ALSO}" if len(also) > ALSO else ""


_CHECKS = {
    "dispatch": _dispatch, "schedule": _plan, "price": _plan, "session": _session, "resend": _resend, "storm": _storm,
}  # fmt: skip


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
