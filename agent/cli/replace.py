"""`batteryctl replace export FILE | import FILE`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import offline


def run(args: Namespace) -> int:
    words = [args.action, args.file, "--config", args.config, "--root", args.root]
    words += ["--json"] if args.json else []
    words += ["--pin-stdin"] if args.pin_stdin else []
    if args.action == "import" and offline.is_running(args):
        words += ["--running"]
    return offline.run_tool("replace", words)
