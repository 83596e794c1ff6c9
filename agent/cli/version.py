"""`batteryctl version`: works without a daemon."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import talk
from agent.version import VERSION


def run(args: Namespace) -> int:
    reply = talk.ask(args.socket, "status")
    daemon = reply.get("version")
    shown = {"v": 1, "ok": True, "code": 0, "batteryctl": VERSION, "batteryd": daemon}
    running = daemon or ("not running" if reply["code"] == 3 else "no answer")
    return talk.show(args, shown, [f"batteryctl  {VERSION}", f"batteryd    {running}"])
