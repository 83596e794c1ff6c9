"""`batteryctl faults`: what is wrong and what could be; with an id, all about one."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from agent.cli import talk, text
from agent.local import words

_ORDER = ("lockout", "fault", "backup", "degraded", "derate", "warn")  # worst first


def run(args: Namespace) -> int:
    wish = {"fault": args.id} if args.id else {}
    reply = talk.ask(args.socket, "faults", **wish)
    return talk.show(args, reply, one(reply["faults"][0]) if args.id and "faults" in reply else lines(reply))


def lines(reply: talk.Reply) -> Iterator[str]:
    """Those that stand, with what to do; then the ids of all others by how bad they would be."""
    active = [row for row in reply["faults"] if row["active"]]
    quiet = [row for row in reply["faults"] if not row["active"]]
    yield f"# Active: {len(active) or 'none'}"
    for row in active:
        yield f"  {text.symbol(row['level'])}  {row['id']}, {row['severity']}, {_standing(row)}"
        yield from text.hang("      ", str(row["text"]), 6)
        yield from text.hang("      next: ", str(row["next"]), 12)
    yield ""
    yield f"# Watched, not there: {len(quiet)}; batteryctl faults ID explains one"
    for severity in _ORDER:
        ids = " ".join(row["id"] for row in quiet if row["severity"] == severity)
        if ids:
            yield from text.hang(f"  {severity:9} ", ids, 12)


def one(row: talk.Reply) -> Iterator[str]:
    head = f"FAULT    {text.symbol(row['level'])}  "
    yield f"{head}{row['id']}, {row['severity']}, {_standing(row) if row['active'] else 'not there'}"
    if row["active"]:
        yield from text.hang("SEEN     ", str(row["text"]), 9)
    for name in ("checks", "does", "ends", "next"):
        yield from text.hang(f"{name.upper():9}", str(row[name]), 9)


def _standing(row: talk.Reply) -> str:
    lasting = f"for {words.lasting(row['since_s'])}"
    return f"{lasting}, its cause is gone, it is held" if row["held"] else lasting
