"""`batteryctl keys show | enrol | rotate | homeowner`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import offline

_GIVEN = ("claim", "bundle", "url", "certificate", "ca", "consent", "key", "out", "config")


def run(args: Namespace) -> int:
    words = [args.action, *([args.what] if args.what else [])]
    for name in _GIVEN:
        value = getattr(args, name)
        if value:
            words += [f"--{name}", value]
    words += ["--json"] if args.json else []
    words += ["--due"] if args.due else []
    words += ["--pin-stdin"] if args.pin_stdin else []
    if args.action != "show" and offline.is_running(args):
        words += ["--running"]
    return offline.run_tool("keys", words)
