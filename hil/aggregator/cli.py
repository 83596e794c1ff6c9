"""`python -m hil aggregator`: an integrator's tool. JSON lines on stdout with --json or in a pipe, talk on stderr.

Exit codes: 0 ok, 1 refused or broken, 2 usage, 4 the device rejected the command or failed it, 5 the command ended
without the state that was waited for, 6 timed out, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from agent.runtime.part import MqttMessage, Now
from hil.aggregator import documents_cli, follow, lab, reach, shelf, show, verbs
from hil.aggregator.aggregator import Aggregator, Publish, Signed, Verdict
from hil.aggregator.book import Ack
from hil.aggregator.claims import STATES
from hil.aggregator.follow import OK, REJECTED, TIMED_OUT
from hil.aggregator.forge import FORGERIES, forge
from hil.aggregator.live import LiveAggregator, now
from hil.aggregator.told import ack_line as _ack_line
from hil.aggregator.told import heard as _heard
from hil.aggregator.told import out as _out
from hil.broker import BrokerError

BROKEN, USAGE, INTERRUPTED = 1, 2, 130
WAIT_S, LISTEN_S = 10.0, 3.0
_GAP_S = 30.0  # a row that is missing for so long is asked for


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
    aggregator = reach.operator(args, receipts=args.receipts)
    deadline = None if args.seconds is None else time.monotonic() + args.seconds
    with reach.connect(args, aggregator, on_verdict=lambda verdict, at: _heard(args, verdict, at)) as live:
        try:
            while deadline is None or time.monotonic() < deadline:
                left = _GAP_S if deadline is None else max(0.0, min(_GAP_S, deadline - time.monotonic()))
                threading.Event().wait(left)
                if args.receipts:
                    _ask_for_gaps(args, live)
        finally:
            score = live.look(Aggregator.score)
            _out(args, {"score": score}, show.score(score))
            reach.keep(args, aggregator)
    return OK if aggregator.refused_count + live.failures == 0 else BROKEN


def _ask_for_gaps(args: argparse.Namespace, live: LiveAggregator) -> None:
    """What is missing below the highest row is asked for, one range a device."""
    for signed in live.build(lambda aggregator, at: aggregator.resends(at)):
        live.publish(signed.publish)
        _out(args, {"sent": dict(signed.claims), "topic": signed.topic}, show.sent(signed.claims, signed.topic))


def _verify(args: argparse.Namespace) -> int:
    """Offline: tokens of one topic, or JSON lines with topic and payload; exit 1 if one is refused."""
    aggregator = reach.operator(args, receipts=False)
    source = sys.stdin if args.file == "-" else Path(args.file).open()  # noqa: SIM115  # closed below
    with source:
        for text in filter(None, map(str.strip, source)):
            entry = {"topic": args.topic, "payload": text} if args.topic else _entry(text)
            message = MqttMessage(str(entry["topic"]), str(entry["payload"]).encode(), 1, bool(entry.get("retain")))
            verdict, _ = aggregator.receive(message, now())
            _heard(args, verdict, now())
    return OK if aggregator.refused_count == 0 else BROKEN


def _entry(text: str) -> dict[str, Any]:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict) or not {"topic", "payload"} <= entry.keys():
        raise ValueError(
            'expected {"topic", "payload"} on each line; of a plain token, --topic says where it was heard'
        )
    return entry


def _send(args: argparse.Namespace) -> int:
    """One message, and what becomes of it."""
    verb = verbs.VERBS[args.verb]
    aggregator = reach.operator(args, receipts=False)
    verbs.judge_target(aggregator, args.device, verb)
    if verb.acked and args.until == "none" and args.wait_s is not None:
        raise ValueError("--until none does not wait: --wait-s has no use")
    verbs.body_of(args.verb, args, now())  # what is wrong with it is said before anybody is asked
    with reach.connect(args, aggregator) as live:
        reach.await_birth(live, args.device)
        signed = live.build(lambda a, at: verbs.build(a, args.verb, args, at))
        arrived = live.publish(signed.publish, reach.CONNECT_S)
        _out(args, {"sent": dict(signed.claims), "topic": signed.topic}, show.sent(signed.claims, signed.topic))
        reach.keep(args, aggregator)
        if not arrived:
            print("hil aggregator: the broker has not confirmed it", file=sys.stderr)
            return TIMED_OUT
        if not verb.acked or args.until == "none":
            return OK
        wait_s = WAIT_S if args.wait_s is None else args.wait_s
        return _follow(args, live, signed, args.until or "received", wait_s)


def _trust(args: argparse.Namespace) -> int:
    """Signed bundles to one home or all, retained; the births tell which homes have them."""
    aggregator = reach.operator(args, receipts=False)
    devices = tuple(aggregator.books) if args.device == "all" else (args.device,)
    if args.device != "all":
        verbs.judge_target(aggregator, args.device, verbs.VERBS["time"])
    with reach.connect(args, aggregator) as live:
        messages = verbs.bundle(args.file, aggregator.keyring.fleet, devices)
        told = [live.publish(message, reach.CONNECT_S) for message in messages]
        for message in messages:
            shelf.put(args.pki, message)
            _out(args, {"sent": "trust", "topic": message.topic}, f"->  {message.topic}: {len(message.payload)} bytes")
    return OK if all(told) else TIMED_OUT


def _registry(args: argparse.Namespace) -> int:
    """The keys that each device signs with; `--revoke` strikes one off."""
    aggregator = reach.operator(args, receipts=False)
    if args.revoke:
        device, _, kid = args.revoke.partition("/")
        if not aggregator.registry.revoke(device, kid):
            raise ValueError(f"--revoke {args.revoke}: no such key; expected DEVICE/KID as `registry` lists them")
        reach.keep(args, aggregator)
    for device, entries in aggregator.registry.dump().items():
        for entry in entries:
            end = time.gmtime(entry.get("until_ms", 0) / 1000)
            until = f"  until {time.strftime('%Y-%m-%d %H:%M', end)} UTC" if "until_ms" in entry else ""
            _out(args, {"device": device} | entry, f"{device:<20} {entry['kid']}{until}")
    return OK


def _forge(args: argparse.Namespace) -> int:
    """Send a command that would work, changed in one way; exit 1 if the device answers it."""
    if args.list:
        if any(getattr(args, name) is not None for name in ("kind", "device", "power_w", "duration_s", "wait_s")):
            raise ValueError("forge --list shows the kinds and sends nothing: give it alone")
        for kind, row in FORGERIES.items():
            line = {"kind": kind, "sentence": row.sentence, "counters": list(row.reasons)}
            _out(args, line, f"{kind:<22} {row.sentence}")
        return OK
    if args.kind is None or args.device is None:
        raise ValueError("forge needs a kind and a device; `forge --list` shows the kinds")
    if FORGERIES[args.kind].retain and args.wait_s is not None:
        raise ValueError(f"forge {args.kind} waits for no answer: --wait-s has no use")
    aggregator = reach.operator(args, receipts=False)
    verbs.judge_target(aggregator, args.device, verbs.VERBS["stop"])
    with reach.connect(args, aggregator) as live:
        reach.await_birth(live, args.device)
        if FORGERIES[args.kind].retain and reach.is_there(live, args.device):
            print(
                f"hil aggregator: {args.device} is connected, and a broker hands a retained message to those who have "
                "subscribed without its flag: it would be a valid command. Stop the agent, then send it.",
                file=sys.stderr,
            )
            return REJECTED
        return _attack(live, args)


def _attack(live: LiveAggregator, args: argparse.Namespace) -> int:
    power_w, duration_s, wait_s = (
        default if value is None else value
        for value, default in ((args.power_w, 1000), (args.duration_s, 60), (args.wait_s, LISTEN_S))
    )
    body = {"kind": "dispatch", "power_w": power_w, "duration_s": duration_s}
    valid = live.build(lambda aggregator, at: aggregator.command(args.device, body, at))
    forged = forge(args.kind, valid, live.aggregator.keyring)
    replay = args.kind == "replayed"
    if replay:
        live.publish(valid.publish, reach.CONNECT_S)
        _follow(args, live, valid, "received", wait_s)
    before = len(_acks(live, valid.id))
    live.publish(Publish(forged.topic, forged.payload, forged.retain), reach.CONNECT_S)
    line = {"forged": args.kind, "sentence": forged.sentence, "counters": list(forged.reasons), "id": valid.id}
    _out(args, line, f"->  {args.kind}: {forged.sentence}; counted as {' or '.join(forged.reasons)}")
    if forged.retain:
        return OK  # it waits for the agent; `clear` takes it away
    # A replay may have its stored ack repeated; it is the same row, which the ledger does not count again.
    answered = live.wait_for(_more_acks(valid.id, before), wait_s)
    if answered and not replay:
        acks = _acks(live, valid.id)
        _out(args, {"answered": [_ack_line(ack) for ack in acks]}, f"xx  it was answered: {show.ack(acks[-1])}")
        return BROKEN
    if not live.aggregator.answer_births:
        print(f"hil aggregator: silence says something only of a home that works ({reach.UNANSWERED})", file=sys.stderr)
    _out(args, None, f"ok  no answer within {wait_s:g} s")
    return OK


def _document(args: argparse.Namespace) -> int:
    """Publish a configuration, default control or release, retained; then the event that tells what became of it."""
    told: list[Verdict] = []
    came = threading.Event()
    mine = documents_cli.tells(args.verb, args.number)

    def hear(verdict: Verdict, at: Now) -> None:
        if mine(verdict):
            told.append(verdict)
            _heard(args, verdict, at)
            came.set()

    with reach.connect(args, reach.operator(args, receipts=False), on_verdict=hear) as live:
        message = live.build(lambda aggregator, at: documents_cli.built(args.verb, aggregator, args, at))
        live.publish(message, reach.CONNECT_S)
        shelf.put(args.pki, message)
        sent = {"sent": args.verb, "version": args.number, "topic": message.topic}
        _out(args, sent, f"{args.verb} {args.number} on {message.topic}, retained")
        if args.wait_s and not came.wait(args.wait_s):
            print(f"hil aggregator: nothing was told of it within {args.wait_s:g} s", file=sys.stderr)
            return TIMED_OUT
    word = told[0].message.claims["event"] if told and told[0].message is not None else ""
    return REJECTED if word in ("config_refused", "config_rolled_back") else OK


def _clear(args: argparse.Namespace) -> int:
    """Take away a retained command."""
    with reach.connect(args, reach.operator(args, receipts=False)) as live:
        topic = f"battery/v1/{live.aggregator.keyring.fleet}/{args.device}/down/command"
        return OK if live.publish(Publish(topic, b"", True), reach.CONNECT_S) else TIMED_OUT


# --- pieces -----------------------------------------------------------------------------------------------------------
def _follow(args: argparse.Namespace, live: LiveAggregator, signed: Signed, until: str, wait_s: float) -> int:
    """Print acks as they come, until a state, the end of the command, or the end of patience."""
    deadline = time.monotonic() + wait_s
    shown: set[tuple[str, int]] = set()  # issuer and row: one that comes late stands before those that were shown
    kind = str(signed.claims.get("kind"))
    while True:
        left = max(0.0, deadline - time.monotonic())
        if not live.wait_for(_more_acks(signed.id, len(shown)), left):
            hint = "" if live.aggregator.answer_births else f" ({reach.UNANSWERED})"
            print(f"hil aggregator: no {until!r} within {wait_s:g} s{hint}", file=sys.stderr)
            return TIMED_OUT
        for ack in _acks(live, signed.id):
            row = str(ack.claims["iss"]), ack.seq
            if row in shown:
                continue
            shown.add(row)
            _out(args, _ack_line(ack), show.ack(ack))
            code = follow.code(until, ack.state, kind)
            if code == follow.ENDED:
                print(f"hil aggregator: it ended {ack.state!r} without {until!r}", file=sys.stderr)
            if code is not None:
                return code


def _acks_of(aggregator: Aggregator, command_id: str) -> list[Ack]:
    return [ack for book in aggregator.books.values() for ack in book.acks.get(command_id, ())]


def _more_acks(command_id: str, than: int) -> Callable[[Aggregator], bool]:
    return lambda aggregator: len(_acks_of(aggregator, command_id)) > than


def _acks(live: LiveAggregator, command_id: str) -> list[Ack]:
    return live.look(lambda aggregator: _acks_of(aggregator, command_id))


# --- the command line -------------------------------------------------------------------------------------------------
class _Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence, and where the rest is told."""

    def error(self, message: str) -> NoReturn:
        example = f"\n{self.epilog}" if self.epilog else ""
        self.exit(USAGE, f"{self.prog}: {message}{example}\n{self.prog} --help tells the rest\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m hil aggregator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Power is + = discharge, AC watts at the battery. VERB --help has an example.",
    )
    rows = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    watch = _verb(rows, "watch", _watch, "print every message of the fleet, verified")
    watch.add_argument("--seconds", type=verbs.seconds, help="end after that long (default: Ctrl-C)")
    text = "also send receipts, and ask for rows that are missing: devices FORGET what is receipted"
    watch.add_argument("--receipts", action="store_true", help=text)
    _answering(watch)
    verify = _verb(rows, "verify", _verify, "verify tokens offline", broker=False)
    verify.add_argument("file", nargs="?", default="-", help="one token a line, or JSON lines with topic and payload")
    verify.add_argument("--topic", help="the topic of plain tokens")
    for name, verb in verbs.VERBS.items():
        _sending(rows, name, verb)
    trust = _verb(rows, "trust", _trust, "hand out signed trust bundles, retained; it signs nothing")
    trust.add_argument("device", help='a device, or "all"')
    trust.add_argument("file", type=Path, metavar="FILE", help="as the root ceremony gave it")
    registry = _verb(rows, "registry", _registry, "the keys that each device signs with", broker=False)
    registry.add_argument("--revoke", metavar="DEVICE/KID", help="that key counts no more")
    for kind, text in documents_cli.KINDS.items():
        of_kind = _verb(rows, kind, _document, text)
        documents_cli.options(kind, of_kind)
        _answering(of_kind)
    attack = _verb(rows, "forge", _forge, "send a command changed in one way; nothing may move")
    attack.add_argument("kind", nargs="?", choices=list(FORGERIES), metavar="KIND")
    attack.add_argument("device", nargs="?")
    attack.add_argument("--list", action="store_true", help="show the kinds")
    attack.add_argument("--power-w", type=verbs.WATTS, help="of the command (default 1000)")
    attack.add_argument("--duration-s", type=verbs.SECONDS, help="of the command (default 60)")
    attack.add_argument("--wait-s", type=verbs.seconds, help=f"how long to listen for an answer (default {LISTEN_S:g})")
    _answering(attack)
    clear = _verb(rows, "clear", _clear, "take away a retained command")
    clear.add_argument("device")
    lab.parser(rows)
    return parser


def _verb(
    rows: Any, name: str, run: Callable[[argparse.Namespace], int], text: str, broker: bool = True, example: str = ""
) -> Any:
    epilog = f"Example: python -m hil aggregator {example}" if example else None
    parser = rows.add_parser(name, help=text, description=text, epilog=epilog)
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="JSON lines in a terminal too")
    parser.add_argument("--pki", type=Path, default=Path(), metavar="DIR", help="devices.json, keys and certificates")
    if broker:
        parser.add_argument("--broker", default="localhost:8883", metavar="HOST:PORT")
        parser.add_argument("--user", metavar="NAME", help="instead of a client certificate, or with it")
        parser.add_argument("--password-file", type=Path, metavar="FILE", help="its first line")
        parser.add_argument("--ca", type=Path, metavar="FILE", help="who signed the broker (default ca.crt of --pki)")
        parser.add_argument("--mqtt", choices=("3.1.1", "5"), default="3.1.1")
        parser.add_argument("--plain", action="store_true", help="no TLS; on this machine only")
    return parser


def _answering(parser: argparse.ArgumentParser) -> None:
    text = "tell homes the time; ONLY where no other aggregator does, since its first answer says what it has of them"
    parser.add_argument("--answer-births", action="store_true", help=text)


def _sending(rows: Any, name: str, verb: verbs.Verb) -> None:
    parser = _verb(rows, name, _send, verb.help, example=verb.example)
    parser.add_argument("device", metavar="DEVICE", help='a device, or "grp:NAME"' if verb.group else "a device")
    verb.arguments(parser)
    if name != "time":
        _answering(parser)
    if name != "homeowner":
        parser.add_argument(
            "--role", choices=("dispatch", "service", "operations"), help=f"who signs (default {verb.role})"
        )
    if verb.acked:
        states = (*sorted(STATES), "none")
        parser.add_argument(
            "--until", choices=states, metavar="STATE", help="to wait for (default received); none: do not wait"
        )
        parser.add_argument("--wait-s", type=verbs.seconds, metavar="S", help=f"for that long (default {WAIT_S:g})")


if __name__ == "__main__":
    sys.exit(main())
