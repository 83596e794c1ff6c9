"""`batteryctl log [-f]`: what the agent did."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator

from agent.cli import clock, talk, text


def run(args: Namespace) -> int:
    if not args.follow:
        reply = talk.ask(args.socket, "log", lines=args.lines)
        return talk.show(args, reply, lines(reply))
    client = talk.connect(args.socket)
    if isinstance(client, dict):
        return talk.show(args, client)
    client.patient()  # a quiet agent writes nothing for hours
    with client:
        for reply in talk.replies(client, "log", lines=args.lines, follow=True):
            if "error" in reply:
                return talk.show(args, reply)
            if args.json:
                print(json.dumps(reply))
            else:
                for line in lines(reply):
                    print(line)
            sys.stdout.flush()
    return talk.show(args, talk.gone())


def lines(reply: talk.Reply) -> Iterator[str]:
    for line in reply["lines"]:
        head = f"{clock.local_time(int(line['wall_ms']))}  {text.symbol(line['level'])}  "
        yield from text.hang(head, str(line["text"]), 32)
