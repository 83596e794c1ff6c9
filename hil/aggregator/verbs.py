"""What `python -m hil aggregator` can send: one row a message, with its role, its topic and its words.

A row says which arguments it takes and what body they make; who signs is the role of the row unless `--role` says
otherwise, for whoever wants to see it refused.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.runtime.part import Now
from hil.aggregator import sense, sessions
from hil.aggregator.aggregator import COMMAND_LIFE_MS, RECEIPT_LIFE_MS, TIME_LIFE_MS, Aggregator, Publish, Signed
from hil.aggregator.keys import SigningKey, load_signing_key

DAY_MS = 86_400_000
SETPOINT_MS = 10_000
TRUST_BYTES = 60 * 1024  # docs/protocol.md: no home reads more
RAMPS = ("direct", "scheduled", "urgent", "regulation")
DRAWN = ("randomize_start_s", "randomize_both")
PRICED = ("interval_s", "currency", "prices_micro_per_kwh", "export_micro_per_kwh")
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verb:
    """One message. `leaf`: last word of its topic; `acked`: acks follow; `group`: groups may have it."""

    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    body: Callable[[argparse.Namespace, Now], Body]
    role: str = "dispatch"
    leaf: str = "command"
    life_ms: int = COMMAND_LIFE_MS
    acked: bool = True
    group: bool = False
    example: str = ""


# --- what arguments are -----------------------------------------------------------------------------------------------
def number(low: int, high: int, unit: str) -> Callable[[str], int]:
    """A whole number in a range, both ends included; the error says so."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number; {low} to {high} {unit} expected"
            ) from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} {unit} is outside {low} to {high} {unit}")
        return value

    return read


def seconds(text: str) -> float:
    """How long to wait: a number that is not below 0, and ends."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no time to wait; seconds from 0 expected")
    return value


def currency(text: str) -> str:
    """ISO 4217."""
    if len(text) != 3 or not (text.isascii() and text.isalpha() and text.isupper()):
        raise argparse.ArgumentTypeError(f"{text!r:.20} is no currency; three capital letters expected, such as EUR")
    return text


def hex32(text: str) -> str:
    """An id."""
    if len(text) != 32 or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no id; 32 hex digits expected, as `dispatch` prints them")
    return text


def sha256(text: str) -> str:
    """A hash."""
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(
            f"{text!r:.70} is no SHA-256; 64 hex digits expected, as sha256sum prints them"
        )
    return text


def maybe_watts(text: str) -> int | None:
    """Watts of an interval; "-" for no wish."""
    return None if text == "-" else number(-1_000_000, 1_000_000, "W")(text)


WATTS, LIMIT = number(-1_000_000, 1_000_000, "W"), number(0, 1_000_000, "W")
SECONDS, AWAY = number(1, 86_400, "s"), number(0, 7 * 86_400, "s")
PERMILLE, PRIMACY, MICRO = number(0, 1000, "permille"), number(0, 255, ""), number(-(10**12), 10**12, "millionths")
SEQ = number(0, (1 << 63) - 1, "")


def _power(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument("--power-w", type=WATTS, required=required, metavar="W", help="AC at the battery, + discharge")
    parser.add_argument("--duration-s", type=SECONDS, required=True, metavar="S")


def _later(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start-in-s", type=AWAY, metavar="S", help="begin that much later (default: on acceptance)")


def _primacy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--primacy", type=PRIMACY, help="lower wins (default 1)")


def _nothing(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def _dispatch(parser: argparse.ArgumentParser) -> None:
    _power(parser, required=False)
    _later(parser)
    _primacy(parser)
    parser.add_argument("--ramp", choices=RAMPS)
    parser.add_argument("--import-limit-w", type=LIMIT, metavar="W", help="at most that much from the grid")
    parser.add_argument("--export-limit-w", type=LIMIT, metavar="W", help="at most that much into it")
    drawn = "move the start by 0 to S seconds, drawn by each home (S may be negative)"
    parser.add_argument("--randomize-start-s", type=number(-3600, 3600, "s"), metavar="S", help=drawn)
    both = "by -S to S seconds instead"
    parser.add_argument("--randomize-both", action="store_true", default=None, help=both)


def _cancel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", type=hex32, help="id of the command to end")
    drawn = "end it at a moment from now to S seconds on, drawn by each home"
    parser.add_argument("--randomize-s", type=number(0, 3600, "s"), metavar="S", help=drawn)


def _schedule(parser: argparse.ArgumentParser) -> None:
    _later(parser)
    _primacy(parser)
    parser.add_argument("--interval-s", type=number(60, 86_400, "s"), required=True, metavar="S")
    help_ = 'one an interval; "-" for no wish'
    parser.add_argument(
        "--power-w", dest="powers_w", type=maybe_watts, action="append", required=True, metavar="W", help=help_
    )


def _session(parser: argparse.ArgumentParser) -> None:
    _later(parser)
    _primacy(parser)
    parser.add_argument("--duration-s", type=SECONDS, required=True, metavar="S")
    parser.add_argument("--lo-w", type=WATTS, required=True, metavar="W", help="the band's lower end")
    parser.add_argument("--hi-w", type=WATTS, required=True, metavar="W", help="and its upper end")


def _setpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--session", type=hex32, required=True, metavar="ID", help="of the session it belongs to")
    parser.add_argument("--power-w", type=WATTS, required=True, metavar="W")
    parser.add_argument("--duration-s", type=number(1, 10, "s"), default=4, metavar="S")


def _price(parser: argparse.ArgumentParser) -> None:
    _later(parser)
    parser.add_argument("--interval-s", type=number(60, 86_400, "s"), required=True, metavar="S")
    parser.add_argument("--currency", type=currency, required=True, help="three letters, such as EUR")
    for name, what in (("--price", "prices_micro_per_kwh"), ("--export-price", "export_micro_per_kwh")):
        parser.add_argument(name, dest=what, type=MICRO, action="append", required=name == "--price", metavar="MICRO",
                            help="millionths a kWh, one an interval")  # fmt: skip


def _quote(parser: argparse.ArgumentParser) -> None:
    _power(parser)
    _later(parser)


def _resend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", type=SEQ, help="row to begin with")
    parser.add_argument("last", type=SEQ, help="row to end with")


def _time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--live-s", type=number(0, 3600, "s"), default=0, metavar="S", help="ask for live records")
    what = (
        "highest row that the fleet's aggregator ever had of it, 0 if none: the first time after a start tells a home "
    )
    what += "by it whether its disk was put back"
    parser.add_argument("--last", type=SEQ, required=True, metavar="ROW", help=what)


def _receipt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("upto", type=SEQ, help="every row up to this one is stored: the device forgets them")
    parser.add_argument("--also", type=SEQ, action="append", default=[], help="and this one beyond it")


def _homeowner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=("reserve", "storm", "opt_out", "opt_in", "consent"))
    parser.add_argument("--permille", type=PERMILLE, help="reserve, storm: 0 to 1000")
    parser.add_argument("--for-s", type=number(0, 366 * 86_400, "s"), help="storm, opt_out: for how long")
    parser.add_argument("--reason", help="storm: for people")
    parser.add_argument("--to", choices=("terms", "root", "homeowner_key", "data"), help="consent: to what")
    parser.add_argument("--sha256", type=sha256, help="consent: of the text, or of the root bundle")
    parser.add_argument("--withdrawn", action="store_true", default=None, help="consent: it is taken back")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the homeowner's key (default homeowner.pem of --pki)")


# --- what bodies they make --------------------------------------------------------------------------------------------
def _start(args: argparse.Namespace, at: Now, always: bool = False) -> Body:
    if args.start_in_s is None and not always:
        return {}
    return {"start": at.wall_ms + 1000 * (args.start_in_s or 0)}


def _given(args: argparse.Namespace, *names: str) -> Body:
    values = {name: getattr(args, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _of_dispatch(args: argparse.Namespace, at: Now) -> Body:
    limits = ("power_w", "import_limit_w", "export_limit_w")
    if not _given(args, *limits):
        raise ValueError("dispatch what? --power-w W, --import-limit-w W or --export-limit-w W")
    return _given(args, *limits, "duration_s", "primacy", "ramp", *DRAWN) | _start(args, at)


def _of_session(args: argparse.Namespace, at: Now) -> Body:
    return _given(args, "duration_s", "lo_w", "hi_w", "primacy") | _start(args, at, True)


def _of_homeowner(args: argparse.Namespace, at: Now) -> Body:
    return {"kind": args.kind, **sense.homeowner(args.kind, vars(args))}


VERBS: Mapping[str, Verb] = {
    "dispatch": Verb("hold a power, or limits, for a time", _dispatch, _of_dispatch, group=True,
                     example="dispatch home-1 --power-w 5000 --duration-s 600 --until started"),
    "cancel": Verb("end one command", _cancel, lambda args, at: _given(args, "target", "randomize_s"), group=True,
                   example="cancel home-1 0123456789abcdef0123456789abcdef"),
    "stop": Verb("end all dispatch and release", _nothing, lambda args, at: {}, group=True, example="stop grp:south"),
    "schedule": Verb("setpoints of coming intervals", _schedule,
                     lambda args, at: _given(args, "interval_s", "powers_w", "primacy") | _start(args, at, True),
                     life_ms=DAY_MS, group=True,
                     example="schedule home-1 --interval-s 900 --power-w 2000 --power-w - --power-w -3000"),
    "session": Verb("a regulation session in a band; setpoints follow", _session, _of_session, group=True,
                    example="session home-1 --duration-s 3600 --lo-w -3000 --hi-w 3000"),
    "setpoint": Verb("one setpoint of a session; it expires in 10 s", _setpoint,
                     lambda args, at: _given(args, "session", "power_w", "duration_s"), life_ms=SETPOINT_MS,
                     acked=False, group=True, example="setpoint home-1 --session ID --power-w -1200"),
    "price": Verb("prices to come", _price,
                  lambda args, at: _given(args, *PRICED) | _start(args, at, True), life_ms=DAY_MS, group=True,
                  example="price grp:south --interval-s 900 --currency EUR --price 210000 --price 390000"),
    "quote": Verb("ask what would be given, and why", _quote,
                  lambda args, at: _given(args, "power_w", "duration_s") | _start(args, at),
                  example="quote home-1 --power-w 8000 --duration-s 3600"),
    "resend": Verb("ask for rows again", _resend, lambda args, at: _given(args, "first", "last"), role="service",
                   example="resend home-1 17 23"),
    "time": Verb("tell the time to the boot that its birth told of", _time,
                 lambda args, at: _given(args, "live_s", "last"), role="service", leaf="time", life_ms=TIME_LIFE_MS,
                 acked=False, example="time home-1 --last 1200 --live-s 60"),
    "receipt": Verb("tell a device what is stored, so that it FORGETS it", _receipt,
                    lambda args, at: _given(args, "upto", "also"), role="service", leaf="receipt",
                    life_ms=RECEIPT_LIFE_MS, acked=False, example="receipt home-1 1200"),
    "homeowner": Verb("the homeowner's word, with the homeowner's own key", _homeowner, _of_homeowner, role="homeowner",
                      leaf="homeowner", life_ms=DAY_MS, acked=False,
                      example="homeowner home-1 reserve --permille 300"),
}  # fmt: skip


def body_of(name: str, args: argparse.Namespace, at: Now) -> Body:
    """What the options of a verb say. ValueError for what no home would take."""
    verb = VERBS[name]
    body = verb.body(args, at)
    if verb.leaf == "command":
        body = {"kind": "dispatch" if name == "setpoint" else name} | body
    sense.judge(body)
    return body


def build(aggregator: Aggregator, name: str, args: argparse.Namespace, at: Now) -> Signed:
    """The message of a verb. ValueError says what is missing: an argument, a key, a device, a birth."""
    verb = VERBS[name]
    target = str(args.device)
    body = body_of(name, args, at)
    if name == "time":
        book = aggregator.books[target]
        if book.birth is None:
            raise ValueError(f"no birth of {target} has come, and a time must echo its nonce: is the device connected?")
        body = {"nonce": book.birth.claims["nonce"], "wall_ms": at.wall_ms} | body
    role = getattr(args, "role", None) or verb.role
    key = signer(aggregator, role, getattr(args, "key", None))
    audience = target if target.startswith("grp:") else f"dev:{target}"
    if name == "setpoint":
        body["seq"] = aggregator.sessions.take(args.session, audience)
    if name == "session":
        count = sessions.numbers(args.duration_s)
        first = aggregator.number(audience, at, 1 + count)
        body |= {"seq": first, "seq_from": first + 1, "seq_to": first + count}
    signed = aggregator.say(target, verb.leaf, body, at, key, role, verb.life_ms)
    if name == "session":
        end_ms = body["start"] + 1000 * args.duration_s
        aggregator.sessions.opened(signed.id, audience, body["seq_from"], body["seq_to"], end_ms, at.wall_ms)
    return signed


def signer(aggregator: Aggregator, role: str, path: Path | None) -> SigningKey:
    """The key of that role. ValueError if this operator does not hold it."""
    if path is not None:
        return load_signing_key(path)
    if role not in aggregator.keyring.roles:
        held = ", ".join(aggregator.keyring.roles) or "none"
        raise ValueError(f"there is no key {role}.pem here; --pki has keys of: {held}")
    return aggregator.keyring.roles[role]


def judge_target(aggregator: Aggregator, target: str, verb: Verb) -> None:
    """ValueError if nobody is behind that name."""
    ring = aggregator.keyring
    if target.startswith("grp:"):
        if not verb.group:
            raise ValueError(f"{target}: this message is for one device, not for a group")
        if target.removeprefix("grp:") not in ring.groups:
            raise ValueError(f"{target} is not in devices.json; it knows {', '.join(ring.groups) or 'no groups'}")
    elif target not in ring.devices:
        raise ValueError(f"{target!r} is not in devices.json; it knows {', '.join(ring.devices) or 'nobody'}")


def bundle(path: Path, fleet: str, devices: tuple[str, ...]) -> tuple[Publish, ...]:
    """A file of signed bundles as retained messages on `down/trust`. ValueError if it is none; it signs nothing."""
    data = path.read_bytes()
    try:
        raw = json.loads(data)
        listed = raw.get("bundles", [raw])
        good = bool(listed) and all(set(one) == {"payload", "signatures"} for one in listed)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        good = False
    if not good:
        raise ValueError(f"{path}: expected signed bundles, as a root ceremony gives them (docs/trust.md)")
    if len(data) > TRUST_BYTES:
        raise ValueError(f"{path}: {len(data)} bytes, at most {TRUST_BYTES} are read; take the newest bundles")
    return tuple(Publish(f"battery/v1/{fleet}/{device}/down/trust", data, True) for device in devices)
