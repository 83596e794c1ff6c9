"""`batteryctl version`: works without a daemon."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import talk


def run(args: Namespace) -> int:
    own = own_version()
    reply = talk.ask(args.socket, "status")
    daemon = reply.get("version")
    shown = {"v": 1, "ok": True, "code": 0, "batteryctl": own, "batteryd": daemon}
    running = daemon or ("not running" if reply["code"] == 3 else "no answer")
    return talk.show(args, shown, [f"batteryctl  {own}", f"batteryd    {running}"])


def own_version() -> str:
    """Of the installed package; "source" in a working tree that is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # slow, and only this verb needs it

    try:
        return version("battery-agent")
    except PackageNotFoundError:
        return "source"
