"""`batteryctl update [status | check --file PACKAGE]`: which release is known, and whether a package is that."""

from __future__ import annotations

from argparse import Namespace

from agent.cli import offline, talk


def run(args: Namespace) -> int:
    words = [args.action, "--config", args.config, "--socket", str(args.socket)]
    if args.action == "check":
        if args.file is None:
            example = "batteryctl update check --file batteryd_0.7.0_arm64.deb"
            return talk.show(args, talk.failure(2, "which package?", example))
        words += ["--file", args.file]
    words += ["--json"] if args.json else []
    return offline.run_tool("update", words)
