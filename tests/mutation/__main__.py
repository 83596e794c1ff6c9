"""`make mutation`: small mistakes in what decides, one at a time; how many of them the tests and theorems find."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hil.figures import Figure, Report
from hil.progress import Progress
from tests.mutation.ground import changed, ground
from tests.mutation.operators import Mutant, mutants, unchanged
from tests.mutation.reviewed import REVIEWED
from tests.mutation.same import same
from tests.mutation.trial import BROKEN, EQUAL, HELD, KILLED, SURVIVED, TESTS, Trial, Verdict, judge, tried, warm
from tests.proof.sources import ROOT, path_of

REACH = 0.95
RECORD = ROOT / ".mutation.jsonl"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("module", nargs="*", help=f"of {', '.join(TESTS)}; all without")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, chosen by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--survivors", action="store_true", help="only those that survived in the record")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help=f"every verdict, as JSON lines; what it says of this very source is not tried again, and what killed a "
        f"mutant before is asked first. {RECORD.name} for the whole, none for a sample",
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON on stdout")
    args = parser.parse_args(argv)
    chosen = [m for name in args.module or TESTS for m in mutants(name)]
    record = Book(args.record if args.record or args.sample else RECORD)
    if args.survivors:
        chosen = [m for m in chosen if record.last(m).get("word") == SURVIVED]
    if args.sample is not None:
        chosen = sorted(random.Random(args.seed).sample(chosen, args.sample), key=lambda m: (m.module, m.number))
    began = time.monotonic()
    verdicts = run(chosen, args.jobs, record)
    return report(verdicts, args.seed if args.sample else None, time.monotonic() - began).print(as_json=args.json)


class Book:
    """Verdicts on disk: each as soon as it is known, so that a run that was ended goes on where it stood."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        if file is not None and file.is_file():
            for line in file.read_text("utf-8").splitlines():
                record = json.loads(line)
                self.known[record["place"].split(":")[0], record["diff"]] = record

    def last(self, mutant: Mutant) -> dict[str, Any]:
        """What was said of it the last time, {} = nothing yet."""
        return self.known.get((mutant.place.split(":")[0], mutant.diff()), {})

    def verdict(self, mutant: Mutant) -> Verdict | None:
        """What was said of it, if nothing that it rests on has changed."""
        said = self.last(mutant)
        if not said or said["ground"] != _ground(Verdict(mutant, said["word"], said["by"], 0)):
            return None
        return Verdict(mutant, said["word"], said["by"], said["seconds"])

    def killer(self, mutant: Mutant) -> str:
        """The test that found it the last time, "" = none."""
        said = self.last(mutant)
        return str(said["by"]) if said.get("word") == KILLED else ""

    def write(self, v: Verdict) -> None:
        """One line, whole: several runs may share a file."""
        said: dict[str, Any] = {"place": v.mutant.place, "kind": v.mutant.kind, "word": v.word, "by": v.by}
        said |= {"seconds": round(v.seconds, 2), "diff": v.mutant.diff(), "ground": _ground(v)}
        self.known[v.mutant.place.split(":")[0], v.mutant.diff()] = said
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(said) + "\n")


def run(chosen: Sequence[Mutant], jobs: int, book: Book) -> list[Verdict]:
    """Each mutant tried; then, of those that survived, which are the same function as the original."""
    warm()
    before = ground("")
    for control in _judged([unchanged(name) for name in sorted({m.module for m in chosen})], jobs, tried, book):
        if control.word != SURVIVED:  # then a kill would say nothing
            raise SystemExit(f"{control.mutant.module} itself does not pass: {control.word}, {control.by}")
    verdicts = _judged(chosen, jobs, lambda mutant: tried(mutant, book.killer(mutant)), book)
    survivors = [v.mutant for v in verdicts if v.word == SURVIVED]
    compared = {v.mutant.source: v for v in judge(survivors, jobs, same) if v.word == EQUAL}
    for verdict in compared.values():
        book.write(verdict)
    changed()
    if ground("") != before:
        raise SystemExit("the source changed while its mutants were tried: nothing of this counts, run it again")
    return [compared.get(v.mutant.source, v) for v in verdicts]


def _judged(chosen: Sequence[Mutant], jobs: int, trial: Trial, book: Book) -> list[Verdict]:
    """By the record where it tells, else by trial."""
    told = [book.verdict(mutant) for mutant in chosen]
    verdicts = [verdict for verdict in told if verdict is not None]
    left = [mutant for mutant, said in zip(chosen, told, strict=True) if said is None]
    with Progress("mutation", len(left), unit="mutants") as bar:
        for verdict in judge(left, jobs, trial):
            if verdict.word == BROKEN:
                raise SystemExit(f"{verdict.mutant.place}: {verdict.by}")
            verdicts.append(verdict)
            book.write(verdict)
            bar.step(verdict.mutant.place)
    return verdicts


def _ground(v: Verdict) -> str:
    return ground(v.by if v.word == KILLED else "")


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
    return Report(
        "mutants of what decides",
        (
            Figure("mutants", len(verdicts)),
            Figure("killed", len(killed)),
            Figure("equivalent_proved", len(equal), note="by z3: the same result for all inputs"),
            Figure("equivalent_reviewed", len(reviewed), note="tests/mutation/reviewed.py says why"),
            Figure("survived", len(alive)),
            _share("killed_share", len(killed), judged, True),
            *(() if seed is not None else _by_module(verdicts)),
            Figure("took_s", round(seconds), "s"),
        ),
        seed=seed,
    )


def _share(name: str, killed: int, judged: int, held: bool) -> Figure:
    note = f"{killed} of {judged} that are not equivalent"
    return Figure(name, round(killed / judged, 4) if judged else 1.0, reach=f">= {REACH}" if held else None, note=note)


def _by_module(verdicts: Sequence[Verdict]) -> Iterator[Figure]:
    for name in TESTS:
        mine = [v for v in verdicts if v.mutant.module == name]
        killed = sum(v.word == KILLED for v in mine)
        other = sum(v.word == EQUAL or (v.word == SURVIVED and reason(v.mutant) is not None) for v in mine)
        if mine:
            yield _share(name, killed, len(mine) - other, name in HELD)


def reason(mutant: Mutant) -> str | None:
    """Why a person found it equivalent; None = nobody did."""
    return REVIEWED.get((path_of(mutant.module).name, mutant.diff()))


if __name__ == "__main__":
    sys.exit(main())
