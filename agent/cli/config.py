"""`batteryctl config [show | export FILE]`: the settings that hold, whose word each is, and what was refused."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from agent.cli import offline, talk, text

UNITS = {"soc_floor_permille": ("soc_floor", 10, "%"), "batch_s": ("batch", 1, "s"), "live_s": ("live", 1, "s")}


def run(args: Namespace) -> int:
    if args.action == "export":
        if args.file is None:
            return talk.show(
                args, talk.failure(2, "into which file?", "sudo batteryctl config export home-config.json")
            )
        words = ["export", args.file, "--config", args.config, *(["--json"] if args.json else [])]
        return offline.run_tool("config", words)
    reply = talk.ask(args.socket, "config")
    if reply["code"] == 3:
        words = ["show", "--config", args.config, *(["--json"] if args.json else [])]
        return offline.run_tool("config", words)
    return talk.show(args, reply, lines(reply))


def lines(reply: talk.Reply) -> Iterator[str]:
    """For people."""
    state = reply["config"]["state"]
    level = "note" if state == "none" else "warn" if state == "on probation" else "ok"
    yield from text.hang(f"CONFIG   {text.symbol(level)}  ", str(reply["config"]["text"]), 13)
    yield from text.hang(f"DEFAULT  {text.symbol('ok')}  ", str(reply["default"]["text"]), 13)
    if reply["last"] is not None:
        bad = reply["last"]["event"] in ("config_refused", "config_rolled_back")
        yield from text.hang(f"LAST     {text.symbol('warn' if bad else 'ok')}  ", str(reply["last"]["text"]), 13)
    for row in reply["settings"]:
        name, value = _said(row["name"], row["value"])
        _, was = _said(row["name"], row["commissioned"])
        by = row["by"] if row["by"] == "commissioned" else f"{row['by']}; commissioned: {was}"
        yield from text.hang(f"  {name:16} {value:>10}  ", f"{by}{'; ' + row['text'] if row['text'] else ''}", 30)


def _said(name: str, value: object) -> tuple[str, str]:
    short, divisor, unit = UNITS.get(name, (name.removesuffix("_w"), 1, "W"))
    if value is None:
        return short, "as set" if name in ("batch_s", "live_s", "groups") else "none"
    if isinstance(value, list):
        return short, ",".join(value) or "none"
    number = int(str(value))
    return short, f"{number / divisor:g} {unit}"
