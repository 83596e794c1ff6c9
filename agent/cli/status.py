"""`batteryctl status`: one calm table, then what is wrong."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from agent.cli import talk, text

_ROWS = ("link", "control", "grid", "battery", "reserve", "command")


def run(args: Namespace) -> int:
    reply = talk.ask(args.socket, "status")
    return talk.show(args, reply, lines(reply))


def lines(reply: talk.Reply) -> Iterator[str]:
    for name in _ROWS:
        row = reply[name] or {"level": "none", "text": "none"}
        yield from text.hang(f"{name.upper():9}{text.symbol(row['level'])}  ", str(row["text"]), 13)
    yield ""
    yield from health(reply["health"])


def health(items: list[talk.Reply]) -> Iterator[str]:
    if not items:
        yield "# Health check: ok"
        return
    yield "# Health check:"
    for item in items:
        yield from text.hang(f"  {text.symbol(item['level'])}  ", str(item["text"]), 6)
        if item["next"]:
            yield from text.hang("      next: ", str(item["next"]), 12)
