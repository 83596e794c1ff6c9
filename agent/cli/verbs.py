"""The verbs of batteryctl: their help, their options, and the module that runs them (`run(args) -> exit code`)."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable


class VerbSpec:
    """One row. A plain class: `dataclasses` would double the start time."""

    __slots__ = ("help", "module", "options")

    def __init__(self, module: str, help: str, options: Callable[[ArgumentParser], object] = lambda sub: None) -> None:
        self.module = module
        self.help = help
        self.options = options


def percent_permille(text: str) -> int:
    """`30`, `30%`, `30.5 %` -> permille. One decimal at most: the agent counts in 0.1 %."""
    number = text.strip().removesuffix("%").strip()
    whole, dot, tenth = number.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (
        dot and not (len(tenth) == 1 and tenth.isascii() and tenth.isdigit())
    ):
        raise ArgumentTypeError(f"{text!r} is not a percentage, expected 0 to 100 with one decimal at most, such as 30")
    permille = int(whole) * 10 + int(tenth or 0)
    if permille > 1000:
        raise ArgumentTypeError(f"{text!r} is more than 100 %")
    return permille


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 86_400:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds, expected more than 0 and at most 86400")
    return value


def _lines(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 500):
        raise ArgumentTypeError(f"{text!r} is not a number of lines, expected 0 to 500")
    return int(text)


def _why(sub: ArgumentParser) -> None:
    sub.add_argument("side", nargs="?", choices=("charge", "discharge"), help="only this side (default: both)")
    sub.add_argument(
        "-a", "--all", action="store_true", help="with the sentence of every limit, not only of what narrows"
    )


def _faults(sub: ArgumentParser) -> None:
    sub.add_argument("id", nargs="?", metavar="ID", help="explain this one, such as battery_stale")


def _log(sub: ArgumentParser) -> None:
    sub.add_argument("-f", "--follow", action="store_true", help="go on with each new line until Ctrl-C")
    sub.add_argument(
        "-n", "--lines", type=_lines, default=50, metavar="N", help="last N lines, at most 500 (default 50)"
    )


def _pin(sub: ArgumentParser) -> None:
    sub.add_argument("--pin-stdin", action="store_true", help="read the homeowner's PIN from the first line of stdin")


def _reserve_or_storm(text: str) -> int | str:
    return text if text == "storm" else percent_permille(text)


def _level(text: str) -> int:
    return 0 if text == "off" else percent_permille(text)


def _hours(text: str) -> int:
    """`90min`, `12h`, `3d` -> seconds."""
    for unit, seconds in (("min", 60), ("h", 3600), ("d", 86_400)):
        number = text.removesuffix(unit)
        if number != text and number.isascii() and number.isdigit() and int(number) > 0:
            return int(number) * seconds
    raise ArgumentTypeError(f"{text!r} is not a duration, expected such as 90min, 12h or 3d")


def _reserve(sub: ArgumentParser) -> None:
    sub.add_argument(
        "percent", nargs="?", type=_reserve_or_storm, metavar="PCT|storm", help="the new reserve, such as 30; or storm"
    )
    sub.add_argument("storm", nargs="?", type=_level, metavar="PCT|off", help="storm: the reserve for it; off ends it")
    sub.add_argument("--from", dest="begin", metavar="TIME", help="storm: from then (default now), as --until")
    sub.add_argument("--until", metavar="TIME", help="storm: until 18:30, or 2026-11-24T06:00, by this gateway's clock")
    sub.add_argument("--for", dest="length", type=_hours, metavar="12h", help="storm: for so long from now")
    sub.add_argument("--reason", default="", metavar="TEXT", help="storm: why, for those who look")
    _pin(sub)


def _optout(sub: ArgumentParser) -> None:
    sub.add_argument("--for", dest="length", type=_hours, metavar="12h", help="for so long (default: until optin)")
    _pin(sub)


def _watts(text: str) -> int | None:
    """`3000`, `-1500`, `off`."""
    number = text.removeprefix("-")
    if text == "off":
        return None
    if not (number.isascii() and number.isdigit() and int(number) <= 1_000_000):
        raise ArgumentTypeError(f"{text!r} is not a power in W, expected such as 3000, -1500 (charge) or off")
    return int(text)


def _override(sub: ArgumentParser) -> None:
    sub.add_argument("watts", type=_watts, metavar="W|off", help="+ discharge, - charge; off ends it")
    sub.add_argument("--for", dest="length", type=_hours, metavar="15min", help="for so long, at most 4h")
    _pin(sub)


def _wait(sub: ArgumentParser) -> None:
    sub.add_argument("--for", dest="goal", choices=("up", "link", "healthy"), default="up", help="(default: up)")
    sub.add_argument("--timeout", type=_seconds, default=60.0, metavar="S", help="give up after S seconds (default 60)")


def _device(sub: ArgumentParser) -> None:
    sub.add_argument("action", nargs="?", choices=("list", "show", "check", "adopt"), default="list")
    sub.add_argument("name", nargs="?", metavar="NAME", help="the device's name in the configuration")
    sub.add_argument("--profile", metavar="ID|FILE", help="check: this profile instead of the configured one")
    sub.add_argument("--capture", metavar="FILE", help="check: this recording instead of the live device")
    _config(sub)


def _config(sub: ArgumentParser) -> None:
    sub.add_argument(
        "--config",
        metavar="FILE",
        default="/etc/batteryd/batteryd.toml",
        help="where lines and devices stand when batteryd is not running (default /etc/batteryd/batteryd.toml)",
    )


def _number(text: str) -> int:
    """`5000` or `0x1388`."""
    try:
        return int(text, 0)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number, expected such as 40000 or 0x9c40") from None


def _bus(sub: ArgumentParser) -> None:
    sub.add_argument("action", choices=("scan", "read", "dump", "test"))
    sub.add_argument(
        "words", nargs="*", metavar="WHAT", help="scan [BUS], read [DEVICE] ADDR COUNT, dump DEVICE, test [BUS|DEVICE]"
    )
    sub.add_argument("--bus", metavar="BUS", help="read: the line of --unit (default: the only one)")
    sub.add_argument("--unit", type=_number, metavar="N", help="read: this unit instead of a device")
    sub.add_argument(
        "--fc", type=_number, metavar="N", help="read: Modbus function, 1 to 4 (default: the profile's, or 3)"
    )
    sub.add_argument(
        "--as",
        dest="kinds",
        metavar="u16,s32",
        help="read: show as u16 s16 u32 s32 u64 s64 f32 str, low-word-first with -le",
    )
    sub.add_argument("--seconds", type=_seconds, default=10.0, metavar="S", help="test: watch for so long (default 10)")
    sub.add_argument("-o", "--output", metavar="FILE", help="dump: the file to write")
    sub.add_argument(
        "--range", action="append", metavar="FC:ADDR:COUNT", help="dump: this range instead of the profile's registers"
    )
    sub.add_argument("--redact", action="store_true", help="dump: without serial numbers")
    sub.add_argument("--port", metavar="PATH", help="scan: this serial port, batteryd not running on it")
    sub.add_argument("--tcp", metavar="HOST:PORT", help="scan: this Modbus TCP host")
    sub.add_argument("--baud", metavar="N,N", help="scan: only these speeds")
    sub.add_argument("--parity", metavar="N,E,O", help="scan: only these parities")
    sub.add_argument("--units", metavar="1-16,100", help="scan: only these addresses")
    sub.add_argument("--all", action="store_true", help="scan: every setting, also after devices were found")
    sub.add_argument(
        "--jk", action="store_true", help="scan: look for JK PB BMS too (asked by a write that they take as a request)"
    )
    _config(sub)


def _keys(sub: ArgumentParser) -> None:
    sub.add_argument("action", nargs="?", choices=("show", "enrol", "rotate", "homeowner"), default="show")
    sub.add_argument("what", nargs="?", choices=("sign", "tls"), help="rotate: which of this gateway's keys")
    sub.add_argument("--claim", metavar="FILE", help="enrol: what the aggregator handed out for this gateway")
    sub.add_argument("--bundle", metavar="FILE", help="enrol: the signed trust bundles")
    sub.add_argument(
        "--url", metavar="URL", help="enrol: the aggregator's desk, instead of files; rotate tls: another one"
    )
    sub.add_argument("--due", action="store_true", help="rotate tls: only when half of the certificate's life is over")
    sub.add_argument("--certificate", metavar="FILE", help="enrol: the aggregator's answer to the request")
    sub.add_argument("--ca", metavar="FILE", help="enrol: who signed it (default: the one that is there)")
    sub.add_argument("--consent", metavar="FILE", help="the homeowner's signed consent, instead of the PIN")
    sub.add_argument("--key", metavar="FILE", help="homeowner: the public key to name")
    sub.add_argument("--out", metavar="FILE", help="where to write the request or the announcement")
    _pin(sub)
    _config(sub)


def _settings(sub: ArgumentParser) -> None:
    sub.add_argument("action", nargs="?", choices=("show", "export"), default="show")
    sub.add_argument("file", nargs="?", metavar="FILE", help="export: the file to write")
    _config(sub)


def _update(sub: ArgumentParser) -> None:
    sub.add_argument("action", nargs="?", choices=("status", "check"), default="status")
    sub.add_argument("--file", metavar="PACKAGE", help="check: the package that is to be installed")
    _config(sub)


def _net(sub: ArgumentParser) -> None:
    sub.add_argument("action", nargs="?", choices=("check",), default="check")
    _config(sub)


def _replace(sub: ArgumentParser) -> None:
    sub.add_argument("action", choices=("export", "import", "wipe"))
    sub.add_argument(
        "file", metavar="FILE", help="the export: to write, or to read; wipe: the signed word that it is over"
    )
    sub.add_argument("--root", metavar="DIR", default="/", help="export: where the disk of a dead gateway is mounted")
    sub.add_argument("--sure", metavar="ID", help="wipe: the id of this gateway, whose keys and records are erased")
    _pin(sub)
    _config(sub)


def _statement(sub: ArgumentParser) -> None:
    sub.add_argument("files", nargs="*", metavar="FILE", help="records to read (default: this gateway's own)")
    sub.add_argument("--month", metavar="YYYY-MM", help="of UTC (default: the newest; --export: all of them)")
    sub.add_argument("--csv", action="store_true", help="every interval of it, one a row")
    sub.add_argument("--export", metavar="FILE", help="write its signed records there, and the public keys beside")
    _config(sub)


def _verify_chain(sub: ArgumentParser) -> None:
    sub.add_argument("files", nargs="*", metavar="FILE", help="records to check (default: this gateway's own)")
    sub.add_argument("--keys", action="append", metavar="FILE", help="the public keys (default: this gateway's)")
    sub.add_argument("--known", metavar="N:HASH", help="the chain up to record N must have this hash")
    _config(sub)


VERBS: dict[str, VerbSpec] = {
    "status": VerbSpec("status", "how the home stands, and what is wrong with it"),
    "watch": VerbSpec("watch", "the same, live; q ends it"),
    "why": VerbSpec("why", "every limit on the battery's power, and the one that binds", _why),
    "faults": VerbSpec("faults", "what is wrong now, all that is watched, and what to do", _faults),
    "log": VerbSpec("log", "what the agent did", _log),
    "reserve": VerbSpec("reserve", "show the homeowner's reserve, or set it", _reserve),
    "stop": VerbSpec("stop", "end dispatch and release the inverter until resume", _pin),
    "resume": VerbSpec("resume", "end a stop, acknowledge faults that wait for a technician", _pin),
    "optout": VerbSpec("people", "take no part in dispatch until optin, or for a while", _optout),
    "optin": VerbSpec("people", "take part again", _pin),
    "override": VerbSpec("people", "hold the battery at a power for a while, inside every limit", _override),
    "device": VerbSpec("device", "what each device can be told and says; adopt one that was replaced", _device),
    "bus": VerbSpec("bus", "find devices on a line, read their registers, judge the line", _bus),
    "keys": VerbSpec("keys", "this gateway's keys and whom it believes; enrol, rotate", _keys),
    "config": VerbSpec("config", "which settings hold and whose word each is; export them", _settings),
    "update": VerbSpec("update", "which release is known; whether a package is that, and now is the time", _update),
    "net": VerbSpec("net", "every step to the brokers: what was seen, expected, what to do", _net),
    "replace": VerbSpec("replace", "another gateway in the place of this one, or of a dead one", _replace),
    "statement": VerbSpec("statement", "what this home gave and got in a month, by its signed records", _statement),
    "verify-chain": VerbSpec("verify_chain", "whether settlement records are what was signed", _verify_chain),
    "wait": VerbSpec("wait", "for scripts: until the agent is up, linked or healthy", _wait),
    "version": VerbSpec("version", "of batteryctl and of the running batteryd"),
}
