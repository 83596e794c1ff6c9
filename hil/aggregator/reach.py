"""How the tool comes to its keys, to its broker, and to what the broker knows of a device."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.runtime.part import Now
from hil.aggregator import shelf
from hil.aggregator.aggregator import Aggregator, Verdict
from hil.aggregator.keys import Keyring, load_keyring
from hil.aggregator.live import Access, LiveAggregator
from hil.aggregator.sessions import Sessions

CONNECT_S = 10.0
BIRTH_S = 3.0  # a retained birth comes at once
UNANSWERED = "a home whose birth no aggregator has answered takes no dispatch: --answer-births, where no other does"


def await_birth(live: LiveAggregator, device: str) -> None:
    """Hear its birth, and so answer it where that is asked for; say so on stderr if it is not there."""
    if device.startswith("grp:"):
        return
    if not live.wait_for(lambda a: a.books[device].birth, BIRTH_S):
        print(f"hil aggregator: no birth of {device} at the broker; sending all the same", file=sys.stderr)
        return
    state = (live.look(lambda a: a.books[device].presence) or {}).get("state", "ready")
    if state != "ready":
        print(f"hil aggregator: {device} is not there ({state}); sending all the same", file=sys.stderr)


def is_there(live: LiveAggregator, device: str) -> bool:
    """Whether the broker says that it is connected."""
    presence = live.wait_for(lambda a: a.books[device].presence, BIRTH_S)
    return (presence or {}).get("state") == "ready"


def operator(args: argparse.Namespace, receipts: bool) -> Aggregator:
    """With the keys of --pki. ValueError if there are none."""
    try:
        ring: Keyring = load_keyring(args.pki)
    except FileNotFoundError as error:
        text = f"{error.filename}: not there; --pki DIR names the directory with devices.json and the role keys"
        raise ValueError(f"{text} (`lab DIR` makes one)") from error
    answers = bool(getattr(args, "answer_births", False))
    for asked, option in ((answers, "--answer-births"), (receipts, "--receipts")):
        if asked and "service" not in ring.roles:
            raise ValueError(f"{option}: there is no key service.pem in {args.pki}")
    aggregator = Aggregator(ring, os.urandom, receipts=receipts, had=ring.rows)
    aggregator.answer_births = answers
    aggregator.sessions = Sessions(args.pki)
    shelf.fill(aggregator, args.pki)
    return aggregator


def keep(args: argparse.Namespace, aggregator: Aggregator) -> None:
    """Keys that followed others, the highest protocols and rows, for the next time."""
    path: Path = args.pki / "devices.json"
    known = json.loads(path.read_text())
    rows = {device: row for device in aggregator.books if (row := aggregator.highest(device)) is not None}
    after = known | {"devices": aggregator.registry.dump(), "protocols": aggregator.versions.best, "rows": rows}
    if after != {"protocols": {}, "rows": {}} | known:
        new = path.with_suffix(".new")
        new.write_text(json.dumps(after, indent=1) + "\n")
        new.replace(path)


@contextmanager
def connect(
    args: argparse.Namespace, aggregator: Aggregator, on_verdict: Callable[[Verdict, Now], None] | None = None
) -> Iterator[LiveAggregator]:
    """Connected. ValueError for wrong words, OSError if the broker does not let us in; alarms go to stderr."""
    host, _, port = args.broker.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"--broker {args.broker!r}: expected HOST:PORT, such as localhost:8883")
    told = on_verdict or alarm
    with LiveAggregator(aggregator, args.pki, host, int(port), on_verdict=told, access=_access(args)) as live:
        if not live.wait_connected(CONNECT_S):
            raise OSError(f"no connection to {args.broker}: {live.last_error or 'no answer'}")
        yield live


def _access(args: argparse.Namespace) -> Access:
    password = None
    if args.password_file is not None:
        if args.user is None:
            raise ValueError("--password-file without --user NAME")
        password = args.password_file.read_text().rstrip("\n")
    if args.plain and args.ca is not None:
        raise ValueError("--plain is without TLS: --ca has no use")
    if args.plain and args.broker.rpartition(":")[0] not in ("localhost", "127.0.0.1", "[::1]"):
        raise ValueError("--plain: only for a broker on this machine")
    return Access(args.user, password, args.ca, not args.plain, args.mqtt == "5")


def alarm(verdict: Verdict, at: Now) -> None:
    """Whatever else is done: this must be seen."""
    for sentence in verdict.alarms:
        print(f"hil aggregator: ALARM: {verdict.device}: {sentence}", file=sys.stderr)
