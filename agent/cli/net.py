"""`batteryctl net check`."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import offline


def run(args: Namespace) -> int:
    words = ["--config", args.config, *(["--json"] if args.json else [])]
    if offline.is_running(args):
        words += ["--through", args.socket]
    return offline.run_tool("netcheck", words)
