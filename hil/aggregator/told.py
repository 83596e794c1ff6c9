"""What the tool prints: JSON lines for a program, sentences for who looks on."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from agent.runtime.part import Now
from hil.aggregator import show
from hil.aggregator.aggregator import Verdict
from hil.aggregator.book import Ack


def heard(args: argparse.Namespace, verdict: Verdict, at: Now) -> None:
    """A message, as it was judged."""
    out(args, _line(verdict, at), *show.verdict(verdict, at.wall_ms))


def _line(verdict: Verdict, at: Now) -> dict[str, Any]:
    line: dict[str, Any] = {"at_ms": at.wall_ms, "topic": verdict.topic}
    if verdict.alarms:
        line["alarms"] = list(verdict.alarms)
    if verdict.refused is not None:
        return line | {"refused": verdict.refused.reason, "sentence": verdict.refused.sentence}
    if verdict.message is None:
        return line | {"presence": verdict.presence}
    return line | {"fate": verdict.fate, "bytes": verdict.message.bytes, "claims": dict(verdict.message.claims)}


def ack_line(ack: Ack) -> dict[str, Any]:
    """An ack for a program."""
    return {"at_ms": ack.heard.wall_ms, "ack": dict(ack.claims)}


def out(args: argparse.Namespace, data: Mapping[str, Any] | None, *lines: str) -> None:
    """Lines for who looks on, JSON for a program."""
    if getattr(args, "json", False) or not sys.stdout.isatty():
        if data is not None:
            print(json.dumps(data, separators=(",", ":")), flush=True)
        return
    columns = shutil.get_terminal_size().columns
    for line in lines:
        for each in line.split("\n"):
            print("\n".join(show.fit(each, columns)), flush=True)
