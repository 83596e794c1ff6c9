"""`batteryctl why`: every limit, who set it, the one that binds, and what to do about it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from agent.cli import talk, text

WHOLE = 3  # rows whose sentence is shown whole; of the others --all has the rest


def run(args: Namespace) -> int:
    wish = {"side": args.side} if args.side else {}
    reply = talk.ask(args.socket, "why", **wish)
    return talk.show(args, reply, lines(reply, args.all))


def lines(reply: talk.Reply, every: bool = False) -> Iterator[str]:
    """`every`: also what leaves everything gets its sentence; else only its name, so that it fits a screen."""
    yield from text.hang("GIVEN    ", str(reply["text"]), 9)
    yield from text.hang("BECAUSE  ", str(reply["because"]), 9)
    for side in reply["sides"]:
        yield ""
        rated = f" of {side['full_w']} W" if side["full_w"] else ""
        yield f"{str(side['side']).upper()}  at most {side['cap_w']} W{rated}"
        yield from _side(side["limits"], every)


def _side(limits: list[talk.Reply], every: bool) -> Iterator[str]:
    """First what narrows, tightest on top, and what to do about the tightest; then what leaves everything."""
    if not limits:
        yield "  --  no limit was evaluated, so nothing is given"
        return
    told = limits if every else [limit for limit in limits if limit["narrows"] or limit["binds"]]
    yield from _table(told, every)
    if every or len(told) == len(limits):
        return
    rest = f"{len(limits) - len(told)}{' more' if told else ''}"
    yield f"  ok  {rest} leave all of it; with their values: batteryctl why --all"
    owners: dict[str, list[str]] = {}
    for limit in limits:
        if limit not in told:
            owners.setdefault(str(limit["owner"]), []).append(str(limit["id"]))
    yield from text.hang("      ", "; ".join(f"{owner}: {' '.join(ids)}" for owner, ids in owners.items()), 6)


def _table(limits: list[talk.Reply], every: bool) -> Iterator[str]:
    name_width = max((len(str(limit["id"])) for limit in limits), default=0)
    owner_width = max((len(str(limit["owner"])) for limit in limits), default=0)
    hung = 6 + name_width + 2 + 7 + 2 + owner_width + 2
    for place, limit in enumerate(limits):
        cap = int(limit["cap_w"])
        holds = limit["narrows"] or limit["binds"]
        level = ("fault" if cap == 0 else "warn") if holds else "ok"
        # a figure of what leaves everything would mean nothing
        shown = f"{cap:5d} W" if limit["narrows"] or str(limit["id"]).startswith("nameplate") else "    all"
        who = f"{limit['id']:{name_width}}  {shown}  {limit['owner']:{owner_width}}"
        head = f"{'>' if limit['binds'] else ' '} {text.symbol(level)}  {who}  "
        sentence = "binds, as said above" if limit["binds"] else str(limit["sentence"])
        room = text.width() - hung
        if len(sentence) <= room:
            yield f"{head}{sentence}"
        elif place >= WHOLE and not every:
            yield f"{head}{sentence[: max(0, room - 3)]}..."
        else:  # under its name it has the whole width
            yield head.rstrip()
            yield from text.hang("      ", sentence, 6)
        if place == 0 and holds and limit.get("lifts"):
            when = str(limit["lifts"]).removeprefix("lifts ").replace("is being lifted by", "now, by", 1)
            yield from text.hang("      lifts: ", when, 13)
        if place == 0 and holds and limit["next"]:
            yield from text.hang("      next: ", str(limit["next"]), 12)
