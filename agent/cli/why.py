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
        rated = f" of {side['full_w']} W" if side["full_w"] else ""
        yield f"{str(side['side']).upper()}  at most {side['cap_w']} W{rated}"
        yield from _table(side["limits"])


def _table(limits: list[talk.Reply]) -> Iterator[str]:
    """First what narrows, tightest on top; then what leaves everything, without a figure that would mean nothing."""
    if not limits:
        yield "  --  no limit was evaluated, so nothing is given"
        return
    name_width = max(len(str(limit["id"])) for limit in limits)
    owner_width = max(len(str(limit["owner"])) for limit in limits)
    for limit in limits:
        cap = int(limit["cap_w"])
        level = ("fault" if cap == 0 else "warn") if limit["narrows"] or limit["binds"] else "ok"
        shown = f"{cap:5d} W" if limit["narrows"] or str(limit["id"]).startswith("nameplate") else "    all"
        who = f"{limit['id']:{name_width}}  {shown}  {limit['owner']:{owner_width}}"
        head = f"{'>' if limit['binds'] else ' '} {text.symbol(level)}  {who}  "
        sentence = f"{limit['sentence']}{' (binds)' if limit['binds'] else ''}"
        if limit["narrows"] or limit["binds"]:
            sentence += "".join(f"; {limit[key]}" for key in ("lifts", "remedy") if limit.get(key))
        yield from text.hang(head, sentence, 6 + name_width + 2 + 7 + 2 + owner_width + 2)
