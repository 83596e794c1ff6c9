"""`batteryctl statement [--month YYYY-MM]`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import offline


def run(args: Namespace) -> int:
    words = [*args.files, "--config", args.config]
    for name in ("month", "export"):
        if getattr(args, name):
            words += [f"--{name}", getattr(args, name)]
    words += ["--csv"] if args.csv else []
    words += ["--json"] if args.json else []
    return offline.run_tool("statement", words)
