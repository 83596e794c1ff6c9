"""`python -m hil fleet --agents N --seed S`: N homes at one broker, one of each fault, and the others must not notice.

The same street is lived through twice, without and with faults: for every home that has none, the hash over all
register writes, published payloads and decisions, each with its time, is the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from hil.amount import count
from hil.campaign.resume import commit
from hil.figures import Figure, Report
from hil.progress import TIMES, Progress
from hil.report import sheet
from hil.street.picture import House, street_map
from hil.street.street import LENGTH_S, live, plan


def main(argv: Sequence[str]) -> int:
    """0 when nobody noticed."""
    parser = argparse.ArgumentParser(prog="python -m hil fleet", description=__doc__)
    parser.add_argument(
        "--agents",
        type=count,
        default=100,
        help="homes (default 100); a fault at each second one, at most one of each kind",
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed does the same again (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    sheet.option(parser)
    args = parser.parse_args(argv)
    if sheet.refused(args):
        return 2
    report, houses = fleet(args.agents, args.seed)
    return sheet.told(report, args, "fleet", argv, [street_map(houses)])


def fleet(agents: int, seed: int) -> tuple[Report, Sequence[House]]:
    """Both runs, compared; and each home's part in them."""
    began = time.monotonic()
    faults = plan(agents, seed)
    with Progress("fleet", 2 * LENGTH_S, unit=TIMES) as bar:
        calm = live(agents, seed, {}, bar.to)
        stormy = live(agents, seed, faults, lambda seconds: bar.to(LENGTH_S + seconds))
    seconds = time.monotonic() - began
    names = sorted(calm)
    faulty = {names[number]: dish.verb for number, dish in faults.items()}
    well = [name for name in names if name not in faulty]
    noticed = [name for name in well if calm[name].trace != stormy[name].trace]
    changed = {verb for name, verb in faulty.items() if calm[name].trace != stormy[name].trace}
    quiet = sorted(set(faulty.values()) - changed)
    figures = [
        Figure("agents", agents, "", None, {"with a fault": len(faults), "kinds of faults": len(set(faulty.values()))}),
        Figure("others whose trace differs", len(noticed), "", "== 0", {"of": len(well)}, ", ".join(noticed[:5])),
        Figure(
            "faults that changed their own home's trace", len(changed), "", ">= 1", {"of": len(set(faulty.values()))}
        ),
        Figure("writes, acks and decisions", sum(life.acts for life in stormy.values()), "", ">= 1"),
        Figure("time", round(seconds, 1), "s", None, {"x real time": round(2 * agents * LENGTH_S / seconds)}),
    ]
    extra = {"commit": commit(), "noticed": noticed, "without effect here": quiet}
    houses = [House(name, faulty.get(name, ""), calm[name].trace != stormy[name].trace) for name in names]
    return Report(f"fleet of {agents}, seed {seed}", figures, seed, extra=extra), houses
