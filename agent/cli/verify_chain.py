"""`batteryctl verify-chain [FILE...]`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import offline


def run(args: Namespace) -> int:
    words = [*args.files, "--config", args.config]
    for path in args.keys or []:
        words += ["--keys", path]
    words += ["--known", args.known] if args.known else []
    words += ["--json"] if args.json else []
    return offline.run_tool("verify", words)
