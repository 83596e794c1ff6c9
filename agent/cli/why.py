"""`batteryctl why`: every limit, who set it, and the one that binds."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from agent.cli import talk, text


def run(args: Namespace) -> int:
    wish = {"side": args.side} if args.side else {}
    reply = talk.ask(args.socket, "why", **wish)
    return talk.show(args, reply, lines(reply))


def lines(reply: talk.Reply) -> Iterator[str]:
    yield from text.hang("GIVEN    ", str(reply["text"]), 9)
    yield from text.hang("BECAUSE  ", str(reply["because"]), 9)
    for side in reply["sides"]:
        yield ""
        yield f"{str(side['side']).upper()}  at most {side['cap_w']} W"
        yield from _table(side["limits"], int(side["cap_w"]))


def _table(limits: list[talk.Reply], cap_w: int) -> Iterator[str]:
    if not limits:
        yield "  --  no limit was evaluated, so nothing is given"
        return
    name_width = max(len(str(limit["id"])) for limit in limits)
    owner_width = max(len(str(limit["owner"])) for limit in limits)
    indent = 6 + name_width + 2 + 7 + 2 + owner_width + 2
    for limit in limits:
        cap, binds = int(limit["cap_w"]), bool(limit["binds"])
        level = "fault" if cap == 0 else "warn" if binds or cap == cap_w else "ok"
        who = f"{limit['id']:{name_width}}  {cap:5d} W  {limit['owner']:{owner_width}}"
        head = f"{'>' if binds else ' '} {text.symbol(level)}  {who}  "
        yield from text.hang(head, f"{limit['sentence']}{' (binds)' if binds else ''}", indent)
