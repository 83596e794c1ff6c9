"""`python -m hil aggregator`: an integrator's tool. JSON lines on stdout, talk on stderr.

Exit codes: 0 ok, 1 refused or broken, 2 usage, 4 the device rejected the command, 6 timed out, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.runtime.part import MqttMessage, Now
from hil.aggregator import documents_cli
from hil.aggregator.aggregator import Aggregator, Publish, Signed, Verdict
from hil.aggregator.book import Ack
from hil.aggregator.forge import FORGERIES, forge
from hil.aggregator.keys import Keyring, load_keyring
from hil.aggregator.live import LiveAggregator, now
from hil.broker import Broker, BrokerError
from hil.pki import make_pki

OK, BROKEN, USAGE, REJECTED, TIMED_OUT, INTERRUPTED = 0, 1, 2, 4, 6, 130
_CONNECT_S = 10.0
_BIRTH_S = 3.0  # a retained birth comes at once; it is answered with the time, without which no dispatch is accepted
_REJECTIONS = frozenset({"rejected_invalid", "rejected_late", "rejected_not_applicable", "failed"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, ValueError, KeyError, BrokerError) as error:
        print(f"hil aggregator: {error}", file=sys.stderr)
        return USAGE


# --- subcommands ------------------------------------------------------------------------------------------------------
def _watch(args: argparse.Namespace) -> int:
    """Every message as it was judged, until time or Ctrl-C ends it; then the score."""

    def show(verdict: Verdict, at: Now) -> None:
        _print(_line(verdict, at))

    aggregator = _aggregator(args, receipts=args.receipts)
    with _connect(args, aggregator, on_verdict=show) as live:
        try:
            threading.Event().wait(args.seconds)
        finally:
            _print({"score": live.look(Aggregator.score)})
    return OK if aggregator.refused_count == 0 else BROKEN


def _verify(args: argparse.Namespace) -> int:
    """Offline: tokens of one topic, or JSON lines with topic and payload; exit 1 if one is refused."""
    aggregator = _aggregator(args, receipts=False)
    source = sys.stdin if args.file == "-" else Path(args.file).open()  # noqa: SIM115  # closed below
    with source:
        for text in filter(None, map(str.strip, source)):
            entry = {"topic": args.topic, "payload": text} if args.topic else json.loads(text)
            message = MqttMessage(str(entry["topic"]), str(entry["payload"]).encode(), 1, bool(entry.get("retain")))
            verdict, _ = aggregator.receive(message, now())
            _print(_line(verdict, now()))
    return OK if aggregator.refused_count == 0 else BROKEN


def _command(args: argparse.Namespace) -> int:
    """Send one command and follow it."""
    with _connect(args, _aggregator(args, receipts=False)) as live:
        _await_birth(live, args.device)
        signed = live.send(lambda aggregator, at: _build(aggregator, args, at))
        _print({"sent": dict(signed.claims), "topic": signed.topic})
        return _follow(live, signed, args.until, args.wait_s)


def _forge(args: argparse.Namespace) -> int:
    """Send a command that would work, changed in one way; exit 1 if the device answers it."""
    if args.list:
        for kind, row in FORGERIES.items():
            _print({"kind": kind, "sentence": row.sentence, "counters": list(row.reasons)})
        return OK
    if args.kind is None or args.device is None:
        raise ValueError("forge needs a kind and a device; `forge --list` shows the kinds")
    with _connect(args, _aggregator(args, receipts=False)) as live:
        _await_birth(live, args.device)
        if FORGERIES[args.kind].retain and _is_there(live, args.device):
            print(
                f"hil aggregator: {args.device} is connected, and a broker hands a retained message to those who have "
                "subscribed without its flag: it would be a valid command. Stop the agent, then send it.",
                file=sys.stderr,
            )
            return REJECTED
        return _attack(live, args)


def _attack(live: LiveAggregator, args: argparse.Namespace) -> int:
    body = {"kind": "dispatch", "power_w": args.power_w, "duration_s": args.duration_s}
    valid = live.build(lambda aggregator, at: aggregator.command(args.device, body, at))
    forged = forge(args.kind, valid, live.aggregator.keyring)
    replay = args.kind == "replayed"
    if replay:
        live.publish(valid.publish, _CONNECT_S)
        _follow(live, valid, "received", args.wait_s)
    before = len(_acks(live, valid.id))
    live.publish(Publish(forged.topic, forged.payload, forged.retain), _CONNECT_S)
    _print({"forged": args.kind, "sentence": forged.sentence, "counters": list(forged.reasons), "id": valid.id})
    if forged.retain:
        return OK  # it waits for the agent; `forge --clear` takes it away
    # A replay may have its stored ack repeated; it is the same row, which the ledger does not count again.
    answered = live.wait_for(_more_acks(valid.id, before), args.wait_s)
    if answered and not replay:
        _print({"answered": [_ack_line(ack) for ack in _acks(live, valid.id)]})
        return BROKEN
    return OK


def _document(args: argparse.Namespace) -> int:
    """Publish a configuration, default control or release, retained; then the event that tells what became of it."""
    told: list[Verdict] = []
    came = threading.Event()
    mine = documents_cli.tells(args.verb, args.number)

    def hear(verdict: Verdict, at: Now) -> None:
        if mine(verdict):
            told.append(verdict)
            _print(_line(verdict, at))
            came.set()

    with _connect(args, _aggregator(args, receipts=False), on_verdict=hear) as live:
        message = live.build(lambda aggregator, at: documents_cli.built(args.verb, aggregator, args, at))
        live.publish(message, _CONNECT_S)
        _print({"sent": args.verb, "version": args.number, "topic": message.topic})
        if args.wait_s and not came.wait(args.wait_s):
            print(f"hil aggregator: nothing was told of it within {args.wait_s:g} s", file=sys.stderr)
            return TIMED_OUT
    word = told[0].message.claims["event"] if told and told[0].message is not None else ""
    return REJECTED if word in ("config_refused", "config_rolled_back") else OK


def _clear(args: argparse.Namespace) -> int:
    """Take away a retained command."""
    with _connect(args, _aggregator(args, receipts=False)) as live:
        topic = f"battery/v1/{live.aggregator.keyring.fleet}/{args.device}/down/command"
        return OK if live.publish(Publish(topic, b"", True), _CONNECT_S) else TIMED_OUT


def _lab(args: argparse.Namespace) -> int:
    """A PKI and a broker to try things with, until Ctrl-C; every file in one directory."""
    pki = make_pki(args.directory, args.fleet, args.device or ["home-1"], args.group)
    with Broker(args.directory / "broker", pki, port=args.port) as broker:
        devices = {name: str(files.tls.ca.parent) for name, files in pki.devices.items()}
        _print({"broker": f"localhost:{broker.port}", "pki": str(pki.devices_file.parent), "devices": devices})
        threading.Event().wait()
    return OK


# --- pieces -----------------------------------------------------------------------------------------------------------
def _build(aggregator: Aggregator, args: argparse.Namespace, at: Now) -> Signed:
    body = {"kind": args.verb} | {name: getattr(args, name) for name in _BODY[args.verb]}
    if getattr(args, "start_in_s", None) is not None:
        body["start"] = at.wall_ms + 1000 * args.start_in_s
    return aggregator.command(args.device, {k: v for k, v in body.items() if v is not None}, at)


def _follow(live: LiveAggregator, signed: Signed, until: str, wait_s: float) -> int:
    """Print acks as they come, until a state, the end of the command, or the end of patience."""
    deadline = time.monotonic() + wait_s
    shown = 0
    while True:
        left = max(0.0, deadline - time.monotonic())
        if not live.wait_for(_more_acks(signed.id, shown), left):
            print(f"hil aggregator: no {until!r} within {wait_s:g} s", file=sys.stderr)
            return TIMED_OUT
        for ack in _acks(live, signed.id)[shown:]:
            shown += 1
            _print(_ack_line(ack))
            if ack.state in _REJECTIONS:
                return REJECTED
            if ack.state == until or ack.terminal:
                return OK


def _acks_of(aggregator: Aggregator, command_id: str) -> list[Ack]:
    return [ack for book in aggregator.books.values() for ack in book.acks.get(command_id, ())]


def _more_acks(command_id: str, than: int) -> Callable[[Aggregator], bool]:
    return lambda aggregator: len(_acks_of(aggregator, command_id)) > than


def _acks(live: LiveAggregator, command_id: str) -> list[Ack]:
    return live.look(lambda aggregator: _acks_of(aggregator, command_id))


def _await_birth(live: LiveAggregator, device: str) -> None:
    if device.startswith("grp:"):
        return
    if device not in live.aggregator.books:
        raise ValueError(f"{device!r} is not in devices.json; it knows {', '.join(live.aggregator.books) or 'nobody'}")
    if not live.wait_for(lambda a: a.books[device].birth, _BIRTH_S):
        print(f"hil aggregator: no birth of {device} at the broker; sending all the same", file=sys.stderr)


def _is_there(live: LiveAggregator, device: str) -> bool:
    presence = live.wait_for(lambda a: a.books[device].presence, _BIRTH_S) if device in live.aggregator.books else {}
    return (presence or {}).get("state") == "ready"


def _aggregator(args: argparse.Namespace, receipts: bool) -> Aggregator:
    ring: Keyring = load_keyring(args.pki)
    return Aggregator(ring, os.urandom, receipts=receipts)


@contextmanager
def _connect(
    args: argparse.Namespace, aggregator: Aggregator, on_verdict: Callable[[Verdict, Now], None] | None = None
) -> Iterator[LiveAggregator]:
    host, _, port = args.broker.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"--broker {args.broker!r}: expected HOST:PORT, such as localhost:8883")
    with LiveAggregator(aggregator, args.pki, host, int(port), on_verdict=on_verdict) as live:
        if not live.wait_connected(_CONNECT_S):
            raise OSError(f"no connection to {args.broker}: {live.last_error or 'no answer'}")
        yield live


def _line(verdict: Verdict, at: Now) -> dict[str, Any]:
    line: dict[str, Any] = {"at_ms": at.wall_ms, "topic": verdict.topic}
    if verdict.refused is not None:
        return line | {"refused": verdict.refused.reason, "sentence": verdict.refused.sentence}
    if verdict.message is None:
        return line | {"presence": verdict.presence}
    return line | {"fate": verdict.fate, "bytes": verdict.message.bytes, "claims": dict(verdict.message.claims)}


def _ack_line(ack: Ack) -> dict[str, Any]:
    return {"at_ms": ack.heard.wall_ms, "ack": dict(ack.claims)}


def _print(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, separators=(",", ":")), flush=True)


# --- the command line -------------------------------------------------------------------------------------------------
_BODY: dict[str, tuple[str, ...]] = {
    "dispatch": ("power_w", "duration_s", "primacy", "ramp"),
    "cancel": ("target",),
    "stop": (),
    "quote": ("power_w", "duration_s"),
    "price": ("interval_s", "prices_micro_per_kwh", "currency"),
}


_COMMANDS = {
    "dispatch": "hold a power for a time",
    "cancel": "end one command",
    "stop": "end all dispatch and release",
    "quote": "ask what would be given",
    "price": "send prices",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hil aggregator", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    watch = _verb(verbs, "watch", _watch, "print every message of the fleet, verified", broker=True)
    watch.add_argument("--seconds", type=float, help="end after that long (default: Ctrl-C)")
    watch.add_argument(
        "--receipts", action="store_true", help="also send receipts: devices FORGET what is receipted; keep the output"
    )
    verify = _verb(verbs, "verify", _verify, "verify tokens offline", broker=False)
    verify.add_argument("file", nargs="?", default="-", help="one token a line, or JSON lines with topic and payload")
    verify.add_argument("--topic", help="the topic of plain tokens")
    for verb, text in _COMMANDS.items():
        _command_verb(verbs, verb, text)
    for kind, text in documents_cli.KINDS.items():
        documents_cli.options(kind, _verb(verbs, kind, _document, text, broker=True))
    attack = _verb(verbs, "forge", _forge, "send a command changed in one way; nothing may move", broker=True)
    attack.add_argument("kind", nargs="?", choices=list(FORGERIES), metavar="KIND")
    attack.add_argument("device", nargs="?")
    attack.add_argument("--list", action="store_true", help="show the kinds")
    attack.add_argument("--power-w", type=int, default=1000)
    attack.add_argument("--duration-s", type=int, default=60)
    attack.add_argument("--wait-s", type=float, default=3.0, help="how long to listen for an answer")
    clear = _verb(verbs, "clear", _clear, "take away a retained command", broker=True)
    clear.add_argument("device")
    lab = verbs.add_parser("lab", help="a PKI and a broker to try things with, until Ctrl-C")
    lab.set_defaults(run=_lab)
    lab.add_argument("directory", type=Path)
    lab.add_argument("--fleet", default="demo")
    lab.add_argument("--device", action="append", help="its id; may be given more than once (default home-1)")
    lab.add_argument("--group", action="append", default=[])
    lab.add_argument("--port", type=int, help="of the broker (default: a free one)")
    return parser


def _verb(verbs: Any, name: str, run: Callable[[argparse.Namespace], int], text: str, broker: bool) -> Any:
    parser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    parser.add_argument("--pki", type=Path, default=Path(), help="directory with devices.json, keys and certificates")
    if broker:
        parser.add_argument("--broker", default="localhost:8883", help="HOST:PORT")
    return parser


def _command_verb(verbs: Any, verb: str, text: str) -> None:
    parser = _verb(verbs, verb, _command, text, broker=True)
    parser.add_argument("device", help='a device, or "grp:NAME"')
    names = _BODY[verb]
    if "target" in names:
        parser.add_argument("target", help="id of the command to end")
    if "power_w" in names:
        parser.add_argument("--power-w", type=int, required=True, help="AC watts at the battery, + discharge")
        parser.add_argument("--duration-s", type=int, required=True)
        parser.add_argument("--start-in-s", type=int, help="begin later (default: at acceptance)")
    if "ramp" in names:
        parser.add_argument("--primacy", type=int, help="lower wins (default 1)")
        parser.add_argument("--ramp", choices=["direct", "scheduled", "urgent", "regulation"])
    if "currency" in names:
        parser.add_argument("--start-in-s", type=int, default=0)
        parser.add_argument("--interval-s", type=int, required=True)
        parser.add_argument("--currency", required=True)
        parser.add_argument(
            "--price", dest="prices_micro_per_kwh", type=int, action="append", required=True, help="millionths a kWh"
        )
    parser.add_argument("--until", default="received", help="state to wait for")
    parser.add_argument("--wait-s", type=float, default=10.0)


if __name__ == "__main__":
    sys.exit(main())
