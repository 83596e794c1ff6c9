"""One line from a client -> a Request, or a sentence that says what is wrong with it. The unknown is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.core.faults import BY_ID
from agent.local.pin import MAX_LENGTH

MAX_BYTES = 4096
MAX_LINES = 500


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for; fields that its verb does not have keep their default."""

    verb: str
    side: str | None = None  # why: "charge" | "discharge" | None = both
    lines: int = 50  # log: how many to begin with
    follow: bool = False  # log
    permille: int | None = None  # reserve: None = show it; storm: 0 = end it
    from_ms: int = 0  # storm
    until_ms: int = 0  # storm
    for_s: int = 0  # storm
    reason: str = ""  # storm
    watts: int | None = None  # override: None = end it
    fault: str | None = None  # faults: None = all of them
    device: str = ""  # adopt, device, look
    bus: str = ""  # bus, look
    unit: int | None = None  # look
    function: int | None = None  # look
    address: int = 0  # look
    count: int = 1  # look
    response_ms: int | None = None  # look
    dialect: str = ""  # look
    pin: str | None = field(default=None, repr=False)  # never in a log or a traceback


def parse_request(data: bytes) -> Request | str:
    """Never raises. A str is the refusal: what came, what was expected."""
    if len(data) > MAX_BYTES:
        return f"the request has {len(data)} bytes, at most {MAX_BYTES} are read"
    try:
        raw = json.loads(data.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constants)
    except (ValueError, RecursionError) as error:
        return f"the request is not one JSON object in UTF-8: {_plain(error)}"
    if not isinstance(raw, dict):
        return f"the request is a JSON {type(raw).__name__}, expected an object"
    if type(raw.get("v")) is not int or raw["v"] != 1:
        return '"v" must be 1, the version of this API'
    verb = raw.get("verb")
    if not isinstance(verb, str) or verb not in _KEYS:
        return f'"verb" must be one of: {", ".join(sorted(_KEYS))}'
    return _build(verb, {k: value for k, value in raw.items() if k not in ("v", "verb")})


def _build(verb: str, args: dict[str, object]) -> Request | str:
    allowed = _KEYS[verb]
    unknown = sorted(set(args) - set(allowed))
    if unknown:
        known = ", ".join(f'"{key}"' for key in allowed) or "none"
        return f"{verb} has no key {unknown[0][:40]!r}; its keys: {known}"
    for key, value in args.items():
        fits, expected = _CHECKS[key]
        if not fits(value):
            return f'{verb}: "{key}" must be {expected}'
    if verb == "adopt" and "device" not in args:
        return 'adopt: "device" is missing: the name of the device in the configuration'
    if verb == "storm" and (problem := _storm(args)):
        return problem
    if verb == "override" and ("watts" in args) != ("for_s" in args):
        return 'override: "watts" and "for_s" go together; neither ends it'
    if verb == "look" and (problem := _look(args)):
        return problem
    return Request(verb, **args)  # type: ignore[arg-type]  # each value was checked by its key's row of _CHECKS


def _storm(args: dict[str, object]) -> str | None:
    if "permille" not in args:
        return 'storm: "permille" is missing: the reserve for the storm, 0 ends it'
    dates = "from_ms" in args and "until_ms" in args
    if args["permille"] and dates == ("for_s" in args):
        return 'storm: needs either "from_ms" and "until_ms", or "for_s"'
    return None


def _look(args: dict[str, object]) -> str | None:
    missing = [key for key in ("address", "count") if key not in args]
    if missing:
        return f'look: "{missing[0]}" is missing'
    if ("device" in args) == ("bus" in args and "unit" in args):
        return 'look: needs either "device", or "bus" and "unit"'
    return None


_KEYS: dict[str, tuple[str, ...]] = {
    "status": (),
    "watch": (),
    "why": ("side",),
    "faults": ("fault",),
    "log": ("lines", "follow"),
    "reserve": ("permille", "pin"),
    "storm": ("permille", "from_ms", "until_ms", "for_s", "reason", "pin"),
    "stop": ("pin",),
    "resume": ("pin",),
    "optout": ("for_s", "pin"),
    "optin": ("pin",),
    "override": ("watts", "for_s", "pin"),
    "adopt": ("device",),
    "device": ("device",),
    "bus": ("bus",),
    "config": (),
    "look": ("device", "bus", "unit", "function", "address", "count", "response_ms", "dialect"),
}

_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "side": (lambda x: x in ("charge", "discharge"), '"charge" or "discharge"'),
    "fault": (lambda x: isinstance(x, str) and x in BY_ID, "an id of the table: batteryctl faults"),
    "lines": (lambda x: type(x) is int and 0 <= x <= MAX_LINES, f"a whole number, 0 to {MAX_LINES}"),
    "follow": (lambda x: type(x) is bool, "true or false"),
    "permille": (lambda x: type(x) is int and 0 <= x <= 1000, "a whole number, 0 to 1000 (permille: 300 is 30 %)"),
    "from_ms": (lambda x: type(x) is int and 0 < x < 1 << 53, "a whole number of ms since 1970 UTC"),
    "until_ms": (lambda x: type(x) is int and 0 < x < 1 << 53, "a whole number of ms since 1970 UTC"),
    "for_s": (lambda x: type(x) is int and 0 < x < 1 << 31, "a whole number of seconds, 1 or more"),
    "watts": (lambda x: type(x) is int and abs(x) <= 1_000_000, "a whole number of W, + discharge, - charge"),
    "reason": (lambda x: isinstance(x, str) and len(x) <= 80 and x.isprintable(), "text of at most 80 characters"),
    "device": (lambda x: isinstance(x, str) and 0 < len(x) <= 64 and x.isprintable(), "a name of 1 to 64 characters"),
    "bus": (lambda x: isinstance(x, str) and 0 < len(x) <= 64 and x.isprintable(), "a name of 1 to 64 characters"),
    "unit": (lambda x: type(x) is int and 1 <= x <= 255, "a whole number, 1 to 255"),
    "function": (lambda x: type(x) is int and 1 <= x <= 255, "a Modbus read, 1 to 4, or a command of the dialect"),
    "address": (lambda x: type(x) is int and 0 <= x <= 0xFFFF, "a whole number, 0 to 65535"),
    "count": (lambda x: type(x) is int and 1 <= x <= 2000, "a whole number, 1 to 125 (registers) or 2000 (bits)"),
    "response_ms": (lambda x: type(x) is int and 20 <= x <= 1000, "a whole number, 20 to 1000"),
    "dialect": (lambda x: isinstance(x, str) and len(x) <= 40 and x.isprintable(), "the name of a dialect"),
    "pin": (lambda x: isinstance(x, str) and 0 < len(x) <= MAX_LENGTH, f"text of 1 to {MAX_LENGTH} characters"),
}


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen = dict(pairs)
    if len(seen) != len(pairs):
        raise ValueError("a key stands in it twice")
    return seen


def _no_constants(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


def _plain(error: Exception) -> str:
    """The reason without the input: what a client sent may hold a PIN."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"{error.reason} at byte {error.start}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
