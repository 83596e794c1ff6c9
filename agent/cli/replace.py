"""`batteryctl replace export FILE | import FILE | wipe FILE --sure ID`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import offline


def run(args: Namespace) -> int:
    if args.action == "wipe":
        return _wipe(args)
    words = [args.action, args.file, "--config", args.config, "--root", args.root]
    words += ["--json"] if args.json else []
    words += ["--pin-stdin"] if args.pin_stdin else []
    if args.action == "import" and offline.is_running(args):
        words += ["--running"]
    return offline.run_tool("replace", words)


def _wipe(args: Namespace) -> int:
    words = [args.file, "--config", args.config]
    words += ["--sure", args.sure] if args.sure else []
    words += ["--json"] if args.json else []
    words += ["--running"] if offline.is_running(args) else []
    return offline.run_tool("wipe", words)
