"""`python -m hil bench NAME`: performance figures, each beside its peer or its limit, measured in the same run."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import replace

from hil.amount import count
from hil.figures import Report
from hil.report import sheet

BENCHES = {
    "dispatch": ("hil.bench.dispatch", "publish -> first register byte on the polled demo bus"),
    "command": ("hil.bench.command", "inside the agent: paho's on_message -> first write, against its bare parts"),
    "publish": ("hil.bench.publish", "signed records a second to the broker, against mosquitto_pub"),
    "storage": ("hil.bench.storage", "bytes that the store writes, against a row a second"),
    "group": ("hil.bench.group", "one signed command to a group of homes: verified, committed, past the gate"),
    "virtual": ("hil.bench.virtual", "how much faster than the clock the whole agent runs in virtual time"),
    "plant": ("hil.bench.plant", "how much faster than the clock the simulated home's physics is"),
    "step": ("hil.bench.step", "one cycle of the core"),
    "tick": ("hil.bench.tick", "how late control's cycle comes at 10 Hz while both cores are busy"),
    "flood": ("hil.bench.flood", "the same while a thousand messages a second are to be refused"),
    "start": ("hil.bench.start", "daemon start -> birth and a live record verified"),
    "footprint": ("hil.bench.footprint", "memory of the live daemon; start and memory of batteryctl"),
    "payload": ("hil.bench.payload", "bytes that a home sends in a day with two hours of dispatch"),
    "wire": ("hil.bench.wire", "the live daemon's port against the wire limit and libmodbus; how true the wire is"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """0 when every figure with a reach holds."""
    parser = argparse.ArgumentParser(
        prog="python -m hil bench",
        description="\n".join(f"{name:<10} {text}" for name, (_, text) in BENCHES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=[*BENCHES, "all"])
    parser.add_argument("--rounds", type=count, default=3, help="at least 3; medians are taken")
    parser.add_argument("--seconds", type=count, default=600, help="virtual: length of one round")
    parser.add_argument("--count", type=count, default=200, help="dispatch: commands in all")
    parser.add_argument("--commands", type=count, default=1_000, help="command: to each side")
    parser.add_argument("--records", type=count, default=10_000, help="publish: of each side in a round")
    parser.add_argument("--hours", type=float, default=6.0, help="storage: of a home's life in a round")
    parser.add_argument("--agents", type=count, default=1_000, help="group: homes")
    parser.add_argument("--seed", type=int, default=1, help="the same seed does the same again (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    sheet.option(parser)
    args = parser.parse_args(argv)
    if sheet.refused(args):
        return 2
    names = list(BENCHES) if args.name == "all" else [args.name]
    reports = [importlib.import_module(BENCHES[name][0]).run(args) for name in names]
    return sheet.told(_join(reports), args, "bench", sys.argv[1:] if argv is None else argv)


def _join(reports: Sequence[Report]) -> Report:
    """One report of several."""
    if len(reports) == 1:
        return reports[0]
    figures = [
        replace(figure, name=f"{report.title}: {figure.name}") for report in reports for figure in report.figures
    ]
    return Report("all benches", figures, seed=reports[0].seed, void=sum(report.void for report in reports))


if __name__ == "__main__":
    sys.exit(main())
