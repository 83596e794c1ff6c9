"""`python -m hil long --state-dir DIR [--hours H]`: campaign, crash, powercut and fuzz, each up to what is asked of the
longer run on record, a slice of each in turn, at the lowest priority. Run it again and it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hil.amount import amount, count
from hil.long.page import section
from hil.long.part import parts
from hil.long.run import RUNNING, Long, ask
from hil.strict import FileError
from hil.talk import say

DAYS, KILLS, CUTS, INPUTS = 100.0, 2_000, 100_000, 5_000_000


def main(argv: Sequence[str]) -> int:
    """0 when all that was asked is done and nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m hil long", description=__doc__)
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="what was reached, found cases, corpora")
    parser.add_argument("--hours", type=amount, default=math.inf, help="no new slice after that; default: until done")
    parser.add_argument("--seed", type=int, default=1, help="the same seed does the same again (default 1)")
    parser.add_argument("--device-days", type=amount, default=DAYS)
    parser.add_argument("--kills", type=count, default=KILLS)
    parser.add_argument("--cuts", type=count, default=CUTS)
    parser.add_argument("--inputs", type=count, default=INPUTS, help="of each pure decoder")
    parser.add_argument("--jobs", type=count, default=os.cpu_count() or 1, help="cores (default: all)")
    parser.add_argument("--result", type=Path, metavar="FILE", help="the JSON result, such as hil/results/long-1.json")
    parser.add_argument("--page", action="store_true", help="only print the section of docs/reliability.md")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args(argv)
    if args.page:
        print(section(), end="")
        return 0
    if args.state_dir is None:
        parser.error("--state-dir is needed: a long run must be able to go on")
    try:
        return _run(args)
    except FileError as error:
        say(str(error))
        return 2


def _ended(*_: object) -> NoReturn:
    """What runs is ended, and the result written."""
    for process in list(RUNNING):
        process.terminate()
    sys.exit(143)


def _run(args: argparse.Namespace) -> int:
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    signal.signal(signal.SIGTERM, _ended)
    args.state_dir.mkdir(parents=True, exist_ok=True)
    rows = parts(args.device_days, args.kills, args.cuts, args.inputs, args.state_dir.resolve(), args.jobs)
    long = Long(rows, args.seed, args.state_dir, ask)
    try:
        long.run(time.monotonic() + 3600 * args.hours, args.jobs)
    finally:
        result = long.result()
        text = json.dumps(result, indent=1) + "\n"
        for path in filter(None, (args.state_dir / "result.json", args.result)):
            path.write_text(text, encoding="utf-8")
        for part in rows:
            say(long.line(part))
    if args.json:
        print(text, end="")
    return 0 if result["ok"] and result["complete"] else 1
