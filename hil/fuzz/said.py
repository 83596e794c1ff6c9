"""What each kind of message down may say, written from docs/protocol.md without the agent's models."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

S, HOUR, DAY = 1, 3600, 86_400
_Rule = Callable[[Any], bool]


def _whole(low: int, high: int) -> _Rule:
    return lambda value: type(value) is int and low <= value <= high


def _text(pattern: str) -> _Rule:
    form = re.compile(pattern)
    return lambda value: type(value) is str and form.fullmatch(value) is not None


def _among(*words: str) -> _Rule:
    return lambda value: type(value) is str and value in words


def _many(rule: _Rule, least: int, most: int) -> _Rule:
    return lambda value: type(value) is list and least <= len(value) <= most and all(map(rule, value))


def _maybe(rule: _Rule) -> _Rule:
    return lambda value: value is None or rule(value)


def _table(**members: _Rule) -> _Rule:
    """An object; a member whose name ends in `_` here may be missing."""
    return lambda value: type(value) is dict and _fits(value, members) is None


def _fits(value: Mapping[str, Any], members: Mapping[str, _Rule]) -> str | None:
    known = {name.rstrip("_"): rule for name, rule in members.items()}
    for name in value.keys() - known.keys():
        return f"{name!r:.40} is no member of it"
    for name in members:
        if not name.endswith("_") and name not in value:
            return f"{name} is missing"
    wrong = [name for name, rule in known.items() if name in value and not rule(value[name])]
    return f"{wrong[0]} is {value[wrong[0]]!r:.80}" if wrong else None


_ID, _HASH = _text(r"[0-9a-f]{32}"), _text(r"[0-9a-f]{64}")
_NAME = _text(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,63}")
_SEQ, _MS = _whole(0, 2**63 - 1), _whole(0, 2**53)
_WATTS, _LIMIT, _PERMILLE = _whole(-1_000_000, 1_000_000), _whole(0, 1_000_000), _whole(0, 1000)
_DAY, _PRIMACY, _FLAG = _whole(1, DAY), _whole(0, 255), lambda value: type(value) is bool
_MICRO, _VERSION = _whole(-(10**12), 10**12), _whole(1, 2**31 - 1)
_COMMON = {"v": _whole(1, 1), "id": _ID, "iss": _NAME, "aud": _NAME, "seq": _SEQ, "iat": _MS, "exp": _MS}
_SETTINGS = _table(
    import_limit_w_=_maybe(_LIMIT), export_limit_w_=_maybe(_LIMIT), charge_limit_w_=_maybe(_LIMIT),
    discharge_limit_w_=_maybe(_LIMIT), soc_floor_permille_=_maybe(_whole(0, 500)), raise_permille_=_maybe(_PERMILLE),
    raise_s_=_maybe(_whole(1, 72 * HOUR)), peak_target_w_=_maybe(_LIMIT), batch_s_=_maybe(_whole(10, 300)),
    live_s_=_maybe(_whole(1, 60)), groups_=_maybe(_many(_NAME, 0, 64)),
)  # fmt: skip
_PACKAGE = _table(
    arch=_among("amd64", "arm64"), url=_text(r"https://[!-~]{1,500}"), size=_whole(1, 2**30), sha256=_HASH
)

KINDS: Mapping[str, tuple[int, Mapping[str, _Rule]]] = {  # kind -> seconds that it lives at most, its members
    "dispatch": (DAY, {
        "power_w_": _maybe(_WATTS), "import_limit_w_": _maybe(_LIMIT), "export_limit_w_": _maybe(_LIMIT),
        "duration_s": _DAY, "start_": _maybe(_MS), "randomize_start_s_": _whole(-HOUR, HOUR), "randomize_both_": _FLAG,
        "primacy_": _PRIMACY, "ramp_": _maybe(_among("direct", "scheduled", "urgent", "regulation")),
        "session_": _maybe(_ID),
    }),
    "cancel": (DAY, {"target": _ID, "randomize_s_": _whole(0, HOUR)}),
    "stop": (DAY, {}),
    "schedule": (7 * DAY, {
        "start": _MS, "interval_s": _whole(60, DAY), "powers_w": _many(_maybe(_WATTS), 1, 192), "primacy_": _PRIMACY,
    }),
    "session": (DAY, {
        "start": _MS, "duration_s": _DAY, "lo_w": _WATTS, "hi_w": _WATTS, "seq_from": _SEQ, "seq_to": _SEQ,
        "primacy_": _PRIMACY,
    }),
    "price": (7 * DAY, {
        "start": _MS, "interval_s": _whole(60, DAY), "prices_micro_per_kwh": _many(_MICRO, 1, 192),
        "export_micro_per_kwh_": _maybe(_many(_MICRO, 1, 192)), "currency": _text("[A-Z]{3}"),
    }),
    "quote": (DAY, {"power_w": _WATTS, "duration_s": _DAY, "start_": _maybe(_MS)}),
    "resend": (DAY, {"first": _SEQ, "last": _SEQ}),
    "time": (HOUR, {"nonce": _ID, "wall_ms": _MS, "live_s_": _whole(0, HOUR), "last_": _maybe(_SEQ)}),
    "receipt": (DAY, {
        "upto": _SEQ, "also_": _many(_SEQ, 0, 256), "checkpoint_": _maybe(_table(n=_SEQ, head=_HASH)),
    }),
    "reserve": (DAY, {"permille": _PERMILLE}),
    "storm": (DAY, {"permille": _PERMILLE, "for_s_": _whole(0, 14 * DAY), "reason_": _text(r"(?s:.{0,80})")}),
    "opt_out": (DAY, {"for_s_": _whole(0, 366 * DAY)}),
    "opt_in": (DAY, {}),
    "consent": (DAY, {
        "to": _among("terms", "root", "homeowner_key", "data"), "sha256": _HASH, "withdrawn_": _FLAG,
    }),
    "config": (90 * DAY, {"version": _VERSION, "probation_s_": _whole(60, HOUR), "settings": _SETTINGS}),
    "default": (90 * DAY, {
        "version": _VERSION, "mode": _among("self_consumption", "idle"), "import_limit_w_": _maybe(_LIMIT),
        "export_limit_w_": _maybe(_LIMIT), "ramp_permille_per_s_": _maybe(_whole(1, 100)),
    }),
    "firmware": (90 * DAY, {
        "version": _VERSION, "min_version": _VERSION, "name": _text(r"[ -~]{1,64}"),
        "packages": _many(_PACKAGE, 1, 8), "security_": _FLAG,
    }),
}  # fmt: skip
_NAMED = frozenset(KINDS) - {"time", "receipt", "config", "default", "firmware"}  # those say it in `kind`


def forbids(kind: str, claims: Mapping[str, Any]) -> str | None:
    """Why that may not be taken for a message of that kind; None = it may."""
    life_s, members = KINDS[kind]
    named = {"kind": _among(kind)} if kind in _NAMED else {}
    wrong = _fits(claims, {**_COMMON, **named, **members})
    if wrong is not None:
        return f"{kind}: {wrong}"
    if not 0 <= claims["exp"] - claims["iat"] <= 1000 * life_s:
        return f"{kind}: it lives {claims['exp'] - claims['iat']} ms"
    rule = _TOGETHER.get(kind)
    return f"{kind}: its members contradict each other" if rule is not None and not rule(claims) else None


def _dispatch(c: Mapping[str, Any]) -> bool:
    power, start, session = (c.get(name) for name in ("power_w", "start", "session"))
    limits = [c.get(name) for name in ("import_limit_w", "export_limit_w") if c.get(name) is not None]
    moved, both = c.get("randomize_start_s", 0), c.get("randomize_both", False)
    short = c["duration_s"] <= 10 and c["exp"] - c["iat"] <= 10_000
    return all(
        (
            power is not None or bool(limits),
            power is not None or (c.get("ramp") is None and session is None),
            session is None or (start is None and not limits and short),
            moved != 0 or not both,
            start is not None or (moved == 0 and not both),
        )
    )


def _config(c: Mapping[str, Any]) -> bool:
    said = c["settings"]
    groups = said.get("groups") or []
    return (said.get("raise_permille") is None) == (said.get("raise_s") is None) and len(set(groups)) == len(groups)


def _price(c: Mapping[str, Any]) -> bool:
    prices, exports = c["prices_micro_per_kwh"], c.get("export_micro_per_kwh")
    return c["interval_s"] * len(prices) <= 7 * DAY and (exports is None or len(exports) == len(prices))


def _firmware(c: Mapping[str, Any]) -> bool:
    archs = [package["arch"] for package in c["packages"]]
    return c["min_version"] < c["version"] and len(set(archs)) == len(archs)


_TOGETHER: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "dispatch": _dispatch,
    "schedule": lambda c: c["interval_s"] * len(c["powers_w"]) <= 7 * DAY,
    "price": _price,
    "session": lambda c: c["lo_w"] <= c["hi_w"] and c["seq_from"] <= c["seq_to"],
    "resend": lambda c: c["first"] <= c["last"],
    "storm": lambda c: c["permille"] == 0 or c.get("for_s", 0) > 0,
    "config": _config,
    "firmware": _firmware,
}
