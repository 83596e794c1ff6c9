"""What must be inside a verified upward message. Unknown fields are ignored, as every consumer should."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

ROOT = "battery/v1"
DURABLE = frozenset({"batch", "ack", "event", "settlement"})  # one gapless row of seq a device
KINDS = ("birth", "live", "batch", "ack", "event", "settlement")
_STATES = """received scheduled started limited completed opted_out opted_in cancelled superseded partial_opt_out
partial_opt_in no_participation user_ack aborted_server aborted_program rejected_not_applicable rejected_invalid
rejected_late failed"""
_GOES_ON = "received scheduled started limited opted_in partial_opt_in user_ack"
_COLUMNS = """soc_permille soh_permille battery_w pv_w grid_w load_w grid frequency_mhz cell_min_mv cell_max_mv
temp_min_dc temp_max_dc ccl_ma dcl_ma lo_w hi_w asked_w given_w limit mode reserve_permille import_wh export_wh
command_id age_battery_ms age_inverter_ms age_meter_ms"""
STATES = frozenset(_STATES.split())
TERMINAL = STATES - frozenset(_GOES_ON.split())
COLUMNS = frozenset(_COLUMNS.split())  # of a live record; a batch may carry fewer, and others that came later
_HEX32 = re.compile(r"[0-9a-f]{32}")
_CLOCKS = ("synced", "holdover", "untrusted")
_UINT63 = 2**63


def typ_of(kind: str) -> str:
    """The JWS typ that belongs to a topic's last word."""
    return f"battery-{kind}+jws"


def problem_of(kind: str, claims: Mapping[str, Any], device: str, fleet: str, wall_ms: int) -> tuple[str, str] | None:
    """(reason, sentence) of the first thing that is wrong, or None.

    Only birth and live can be too old: a durable row is a fact, and a device that was offline for long sends it late.
    """
    if claims.get("aud") != f"agg:{fleet}":
        return "bad_audience", f"aud {claims.get('aud')!r}, this is 'agg:{fleet}'"
    if claims.get("iss") != f"dev:{device}":
        return "bad_body", f"iss {claims.get('iss')!r} on a topic of {device!r}"
    for name, (good, expected) in _COMMON.items():
        if not good(claims.get(name)):
            return "bad_body", f"{name} is {claims.get(name)!r}, expected {expected}"
    if kind not in DURABLE and claims["clock"] != "untrusted" and wall_ms > claims["exp"]:
        return "expired", f"{kind} was good until {claims['exp']} ms, it is {wall_ms} ms"
    sentence = _BODIES[kind](claims)
    return None if sentence is None else ("bad_body", sentence)


def is_hex32(value: object) -> bool:
    """32 lower-case hex digits."""
    return isinstance(value, str) and _HEX32.fullmatch(value) is not None


def _uint(value: object) -> bool:
    return type(value) is int and 0 <= value < _UINT63


_COMMON: dict[str, tuple[Callable[[object], bool], str]] = {
    "v": (lambda v: type(v) is int and v == 1, "1"),
    "id": (is_hex32, "32 hex digits"),
    "seq": (lambda v: _uint(v) and v != 0, "an integer from 1"),
    "iat": (_uint, "milliseconds since 1970"),
    "exp": (_uint, "milliseconds since 1970"),
    "boot": (lambda v: isinstance(v, str) and bool(v), "the id of this boot"),
    "mono_ms": (_uint, "milliseconds"),
    "clock": (lambda v: v in _CLOCKS, " or ".join(_CLOCKS)),
}


def _sample(names: Mapping[str, Any]) -> str | None:
    """A live sample must have every agreed name, each a number, a word or null."""
    missing = COLUMNS - names.keys()
    if missing:
        return f"live lacks {sorted(missing)}"
    wrong = [n for n in COLUMNS if not (names[n] is None or isinstance(names[n], (int, str))) or names[n] is True]
    return f"live has {wrong[0]} = {names[wrong[0]]!r}, expected an integer, a word or null" if wrong else None


def _batch(body: Mapping[str, Any]) -> str | None:
    cols, rows = body.get("cols"), body.get("rows")
    if not _uint(body.get("t0_ms")) or not isinstance(cols, list) or not isinstance(rows, list):
        return "a batch needs t0_ms, cols and rows"
    if not all(isinstance(col, str) for col in cols) or len(set(cols)) != len(cols) or cols[:1] != ["dt_ms"]:
        return f"cols {cols}, expected dt_ms and then names, each once"
    if not rows:
        return "a batch without rows"
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(cols) or not _uint(row[0]):
            return f"row {index} does not have {len(cols)} values that begin with milliseconds"
        if index and row[0] <= rows[index - 1][0]:
            return f"row {index} is not later than the one before it"
    return None


def _ack(body: Mapping[str, Any]) -> str | None:
    if not is_hex32(body.get("command_id")):
        return f"command_id is {body.get('command_id')!r}, expected 32 hex digits"
    if body.get("state") not in STATES:
        return f"state {body.get('state')!r} is not a word of the wire"
    if "reason" not in body or not isinstance(body["reason"], (str, type(None))):
        return f"reason is {body.get('reason')!r}, expected a limit's id or null"
    return None


def _birth(body: Mapping[str, Any]) -> str | None:
    return None if is_hex32(body.get("nonce")) else f"nonce is {body.get('nonce')!r}, expected 32 hex digits"


_BODIES: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "birth": _birth,
    "live": _sample,
    "batch": _batch,
    "ack": _ack,
    "event": lambda body: None,
    "settlement": lambda body: None,
}
