"""`make mutation`: small mistakes in what decides, one at a time; how many of them the tests and theorems find."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hil.figures import Figure, Report
from tests.mutation.operators import Mutant, mutants, unchanged
from tests.mutation.reviewed import REVIEWED
from tests.mutation.same import same
from tests.mutation.trial import BROKEN, EQUAL, KILLED, SURVIVED, TESTS, Verdict, judge, tried, warm
from tests.proof.sources import ROOT, path_of

REACH = 0.95


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("module", nargs="*", help=f"of {', '.join(TESTS)}; all without")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, chosen by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", type=Path, metavar="FILE", help="only those that survived in that --out")
    parser.add_argument("--likely", type=Path, metavar="FILE", help="ask first the tests that killed in that --out")
    parser.add_argument("--out", type=Path, metavar="FILE", help="every verdict, as JSON lines")
    parser.add_argument("--json", action="store_true", help="the figures as JSON on stdout")
    args = parser.parse_args(argv)
    chosen = [m for name in args.module or TESTS for m in mutants(name)]
    if args.again is not None:
        left = {(r["place"], r["diff"]) for r in _records(args.again) if r["survived"]}
        chosen = [m for m in chosen if (m.place, m.diff()) in left]
    if args.sample is not None:
        chosen = sorted(random.Random(args.seed).sample(chosen, args.sample), key=lambda m: (m.module, m.number))
    began = time.monotonic()
    verdicts = run(chosen, args.jobs, args.out, args.likely)
    return report(verdicts, args.seed if args.sample else None, time.monotonic() - began).print(as_json=args.json)


def run(chosen: Sequence[Mutant], jobs: int, out: Path | None = None, likely: Path | None = None) -> list[Verdict]:
    """Each mutant tried; then, of those that survived, which are the same function as the original."""
    warm()
    before = tree()
    for control in judge([unchanged(name) for name in sorted({m.module for m in chosen})], jobs, tried):
        if control.word != SURVIVED:  # then a kill would say nothing
            raise SystemExit(f"{control.mutant.module} itself does not pass: {control.word}, {control.by}")
    verdicts: list[Verdict] = []
    killers = {} if likely is None else {(r["place"].split(":")[0], r["diff"]): r["by"] for r in _records(likely)}

    def trial(mutant: Mutant) -> tuple[str, str]:
        return tried(mutant, killers.get((mutant.place.split(":")[0], mutant.diff()), ""))

    for verdict in judge(chosen, jobs, trial):
        if verdict.word == BROKEN:
            raise SystemExit(f"{verdict.mutant.place}: {verdict.by}")
        verdicts.append(verdict)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{len(verdicts)}/{len(chosen)}")
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(_record(verdict)) + "\n")
    if tree() != before:
        raise SystemExit("the source changed while its mutants were tried: nothing of this counts, run it again")
    survivors = [v.mutant for v in verdicts if v.word == SURVIVED]
    compared = {v.mutant.source: v for v in judge(survivors, jobs, same) if v.word != BROKEN}
    return [compared.get(v.mutant.source, v) for v in verdicts]


def tree() -> str:
    """One hash over everything that a trial imports."""
    files = sorted(file for top in ("agent", "drivers", "hil", "tests") for file in (ROOT / top).rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def report(verdicts: Sequence[Verdict], seed: int | None, seconds: float) -> Report:
    """Figures, and on stderr every survivor with its place and difference."""
    killed = [v for v in verdicts if v.word == KILLED]
    equal = [v for v in verdicts if v.word == EQUAL]
    reviewed = [v for v in verdicts if v.word == SURVIVED and reason(v.mutant)]
    alive = [v for v in verdicts if v.word == SURVIVED and not reason(v.mutant)]
    for title, group in (("equivalent, proved", equal), ("equivalent, reviewed", reviewed), ("SURVIVED", alive)):
        for v in sorted(group, key=lambda v: (v.mutant.module, v.mutant.number)):
            why = reason(v.mutant) or v.by
            sys.stderr.write(f"{title}: {v.mutant.place} {v.mutant.kind}: {why}\n{v.mutant.diff()}\n")
    judged = len(verdicts) - len(equal) - len(reviewed)
    share = len(killed) / judged if judged else 0.0
    return Report(
        "mutants of what decides",
        (
            Figure("mutants", len(verdicts)),
            Figure("killed", len(killed)),
            Figure("equivalent_proved", len(equal), note="by z3: the same result for all inputs"),
            Figure("equivalent_reviewed", len(reviewed), note="tests/mutation/reviewed.py says why"),
            Figure("survived", len(alive)),
            Figure("killed_share", round(share, 4), reach=f">= {REACH}", note="of those that are not equivalent"),
            Figure("took_s", round(seconds), "s"),
        ),
        seed=seed,
    )


def reason(mutant: Mutant) -> str | None:
    """Why a person found it equivalent; None = nobody did."""
    return REVIEWED.get((path_of(mutant.module).name, mutant.diff()))


def _records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _record(v: Verdict) -> dict[str, object]:
    return {
        "place": v.mutant.place,
        "kind": v.mutant.kind,
        "survived": v.word == SURVIVED,
        "by": v.by,
        "seconds": round(v.seconds, 2),
        "diff": v.mutant.diff(),
    }


if __name__ == "__main__":
    sys.exit(main())
