"""`python -m hil teeth`: plants defects in a copy of the source, one at a time, and shows by which check each is found.

Every check passes on the copy without a defect first: what fails then fails because of the defect alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hil.amount import count
from hil.campaign.resume import commit
from hil.figures import Figure, Report
from hil.progress import Progress
from hil.report import sheet
from hil.strict import FileError
from hil.talk import say
from hil.teeth.defects import Defect, copy, load, plant

CHECK_S = 600


@dataclass(frozen=True, slots=True)
class Found:
    """What one defect came to: the check that failed, and what it said; None = nobody noticed."""

    defect: Defect
    by: str | None
    sentence: str


def main(argv: Sequence[str]) -> int:
    """0 when every defect was found."""
    parser = argparse.ArgumentParser(prog="python -m hil teeth", description=__doc__)
    parser.add_argument("ids", nargs="*", help="only these defects")
    parser.add_argument("--jobs", type=count, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    sheet.option(parser)
    args = parser.parse_args(argv)
    if sheet.refused(args):
        return 2
    try:
        known = load()
        strange = [name for name in args.ids if name not in {defect.id for defect in known}]
        if strange:
            parser.error(f"no defect is called {', '.join(strange)}; --list says which there are")
        defects = [d for d in known if not args.ids or d.id in args.ids]
        if args.list:
            for defect in defects:
                print(f"{defect.id.ljust(26)} {defect.about}  [{'; '.join(defect.checks)}]")
            return 0
        return sheet.told(teeth(defects, args.jobs), args, "teeth", argv)
    except FileError as error:
        say(str(error))
        return 2


def teeth(defects: Sequence[Defect], jobs: int = 1) -> Report:
    """Plant each, ask its checks."""
    began = time.monotonic()
    checks = sorted({check for defect in defects for check in defect.checks})
    with (
        tempfile.TemporaryDirectory(prefix="teeth-") as name,
        Progress("teeth", len(checks) + len(defects), unit="checks") as bar,
        ThreadPoolExecutor(jobs) as pool,
    ):
        whole = Path(name) / "whole"
        copy(whole)
        _is_tested(whole)

        def passes(check: str) -> tuple[str, str | None]:
            said = fails(check, whole)
            bar.step(check)
            return check, said

        def found(defect: Defect) -> Found:
            result = _found(defect, Path(name) / defect.id)
            bar.step(defect.id)
            return result

        try:
            broken = [(check, said) for check, said in pool.map(passes, checks) if said is not None]
            results = list(pool.map(found, defects)) if not broken else []
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _report(broken, checks, results, time.monotonic() - began)


def _found(defect: Defect, tree: Path) -> Found:
    copy(tree)
    plant(defect, tree)
    for check in defect.checks:
        said = fails(check, tree)
        if said is not None:
            return Found(defect, check, said)
    return Found(defect, None, "")


def fails(check: str, tree: Path) -> str | None:
    """None when the check passes in that tree; else what it said of the failure."""
    word, *rest = check.split()
    command = {
        "scenario": ["hil", "scenario", *rest, "--backend", "virtual"],
        "case": ["hil", "campaign", "--case", f"hil/teeth/cases/{rest[0]}.toml"],
        "powercut": ["hil", "powercut", "--cuts", rest[0]],
        "fuzz": ["hil", "fuzz", rest[0], "--inputs", rest[-1]],
        "test": ["pytest", rest[0], "-x", "-m", "not slow", "-p", "no:cacheprovider", "--timeout=550"],
    }[word]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tree,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=CHECK_S,
        check=False,
    )
    if done.returncode == 0:
        return None
    said = (done.stderr + done.stdout).splitlines()
    lines = [line for line in said if line.startswith("FAILED" if word == "test" else "xx")] or said[-1:]
    return lines[0].strip() if lines else f"exit {done.returncode}"


def _is_tested(tree: Path) -> None:
    """The copy is what runs there, not an installed product."""
    done = subprocess.run(
        [sys.executable, "-c", "import agent, drivers, hil; print(agent.__file__, drivers.__file__, hil.__file__)"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=True,
    )
    strays = [path for path in done.stdout.split() if not Path(path).resolve().is_relative_to(tree.resolve())]
    if strays:
        raise FileError(f"the copy in {tree} does not test itself: {', '.join(strays)}")


def _report(
    broken: Sequence[tuple[str, str]], checks: Sequence[str], results: Sequence[Found], seconds: float
) -> Report:
    figures = [
        Figure("checks that pass without a defect", len(checks) - len(broken), "", f"== {len(checks)}"),
        *(
            Figure(
                result.defect.id,
                result.by or "not found",
                "",
                None if result.by else '== "found"',
                note=(result.sentence or result.defect.about)[:110],
            )
            for result in results
        ),
        Figure("defects found", sum(r.by is not None for r in results), "", f"== {len(results)}"),
        Figure("time", round(seconds, 1), "s"),
    ]
    for check, said in broken:
        say(f"xx {check} fails without a defect: {said}")
    return Report(f"teeth, commit {commit()}", figures, extra={"about": {r.defect.id: r.defect.about for r in results}})
