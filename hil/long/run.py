"""Slices of every part in turn, until all that was asked is done or the time is up; a file keeps what was reached."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hil.campaign.resume import ROOT, Resume
from hil.figures import machine
from hil.kin import kin
from hil.long.part import Done, Part, Report
from hil.program import of_this_source
from hil.strict import FileError
from hil.talk import say

RUNNING: set[subprocess.Popen[str]] = set()  # slices of now: whoever ends us ends them


class Long:
    """One long run. `ask` does one slice: the words after `python -m hil` -> the object that it printed."""

    def __init__(
        self, parts: Sequence[Part], seed: int, directory: Path, ask: Callable[[Sequence[str]], Report]
    ) -> None:
        self.parts = parts
        self._seed = seed
        self._directory = directory
        self._ask = ask
        self._lock = threading.Lock()  # slices that need one core run side by side
        self._resume = Resume(directory / "long.json", "long", seed)
        known = self._resume.load() or {}
        self.commits: list[str] = list(known.get("commits", []))
        if self._resume.commit not in self.commits:
            self.commits.append(self._resume.commit)
        try:
            done = known.get("parts", {})
            self.done = {part.name: Done(**done.get(part.name, {})) for part in parts}
            for each in self.done.values():
                if not (0 <= each.amount < math.inf and each.slices >= (each.amount > 0) and each.seconds >= 0):
                    raise ValueError(f"{each.amount} in {each.slices} slices and {each.seconds} s")
        except (TypeError, ValueError, AttributeError) as error:
            text = f"{directory / 'long.json'}: what it counts cannot be ({error}); the file was changed or is damaged"
            raise FileError(f"{text}: delete it, or give another directory") from error

    def run(self, until: float, cores: int) -> None:
        """Rounds, as long as time.monotonic() < `until`."""
        while any(self._open(part) for part in self.parts) and time.monotonic() < until:
            for part in self.parts:
                if part.wide and self._open(part) and time.monotonic() < until:
                    self._slice(part)
            narrow = [part for part in self.parts if not part.wide and self._open(part)]
            with ThreadPoolExecutor(cores) as pool:
                list(pool.map(lambda part: self._slice(part) if time.monotonic() < until else None, narrow))

    def _open(self, part: Part) -> bool:
        return self.done[part.name].amount < part.asked

    def _slice(self, part: Part) -> None:
        done = self.done[part.name]
        share = part.asked / part.slices if part.unit == "device-days" else math.ceil(part.asked / part.slices)
        upto = min(part.asked, done.amount + share)
        began = time.monotonic()
        report = self._ask(part.slice(self._seed, done.amount, upto, self._directory, done.slices))
        with self._lock:
            done.add(part, report, time.monotonic() - began)
            self._save()
        say(self.line(part))

    def _save(self) -> None:
        self._resume.save({"commits": self.commits, "parts": {n: dataclasses.asdict(d) for n, d in self.done.items()}})

    def line(self, part: Part) -> str:
        """Where a part stands: done, rate, what is left."""
        done = self.done[part.name]
        each = done.seconds / done.amount if done.amount else 0.0
        left = max(0.0, part.asked - done.amount) * each
        found = (
            f"xx {', '.join(f'{name} {value}' for name, value in done.missed.items())}"
            if done.missed
            else "nothing found"
        )
        share = f"{done.amount:,.6g} of {part.asked:,.6g} {part.unit}"
        return f"-- {part.name}: {share}, {_each(each, part.unit)}, {left / 3600:.1f} h left; {found}"

    def result(self) -> Mapping[str, Any]:
        """The object that is kept: figures for the page, with where they come from."""
        rows = []
        for part in self.parts:
            done = self.done[part.name]
            rows.append(
                {
                    "name": part.name,
                    "command": part.command(self._seed),
                    "unit": part.unit,
                    "asked": part.asked,
                    "done": round(done.amount, 3),
                    "seconds": done.seconds,
                    "void_runs": done.void,
                    "missed": done.missed,
                    "notes": done.notes,
                    "daemon": done.daemon,
                    "figures": done.figures,
                }
            )
        return {
            "ok": not any(row["missed"] for row in rows),
            "complete": not any(self._open(part) for part in self.parts),
            "seed": self._seed,
            "source": self._resume.source,
            "commits": self.commits,
            "machine": machine(),
            "parts": rows,
        }


def _each(seconds: float, unit: str) -> str:
    one = unit.removesuffix("s")
    for factor, name in ((60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {name} a {one}"
    return "not begun"


def ask(words: Sequence[str]) -> Report:
    """One slice, in a process of its own. Its talk goes where ours goes. FileError when it printed no object."""
    process = subprocess.Popen(
        kin([python(), "-m", "hil", *words], "TERM"), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    RUNNING.add(process)
    try:
        out, _ = process.communicate()
    finally:
        process.terminate()  # when we are broken off; else it has ended
        process.wait()
        RUNNING.discard(process)
    try:
        report: Report = json.loads(out)
    except ValueError as error:
        text = f"`{' '.join(words)}` ended with {process.returncode} and printed no figures: {error}"
        raise FileError(text) from error
    return report


@functools.cache
def python(root: Path = ROOT) -> str:
    """The clone's own environment, which has the daemon installed as the demo starts it; ours, and so the source, where
    there is none. FileError when what is installed is not what the clone says."""
    own = root / ".venv" / "bin" / "python"
    if not own.with_name("batteryd").is_file():
        return sys.executable
    of_this_source(str(own), root)
    return str(own)
