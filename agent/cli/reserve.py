"""`batteryctl reserve [PCT]`: the energy that stays in the battery for the home."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import talk, text


def run(args: Namespace) -> int:
    if args.percent is None:
        reply = talk.ask(args.socket, "reserve")
        row = reply.get("reserve") or {}
        head = f"RESERVE  {text.symbol(row.get('level'))}  "
        return talk.show(args, reply, text.hang(head, str(row.get("text")), 13))
    reply = talk.with_pin(args, "reserve", permille=args.percent)
    return talk.show(args, reply, text.hang(f"{text.symbol('ok')}  ", str(reply.get("text")), 4))
