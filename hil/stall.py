"""Does the machine itself stall? A process of its own, one thread a core, that only naps and looks at the clock.

A measurement or a safety bound on real processes means nothing while the machine stands still. When a nap of 5 ms comes
back more than 250 ms late on any core, the run is void: said so, and repeated, at most twice.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from hil.kin import kin

STALL_MS = 250.0
MAX_REPEATS = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stalls:
    """What the meter saw: the longest lateness, and every one above `STALL_MS` as (monotonic s at its end, ms)."""

    worst_ms: float
    stalls: tuple[tuple[float, float], ...]

    @property
    def void(self) -> bool:
        """The machine stalled: what was measured meanwhile proves nothing."""
        return bool(self.stalls)


class StallMeter:
    """`with StallMeter() as meter: ...; meter.read()`. Costs less than 1 % of a core."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._result: Stalls | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            kin([sys.executable, "-I", "-S", str(Path(__file__).with_name("stall_meter.py"))]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C at the terminal is for the bench alone
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it says when it is watching
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if value is not None and self._process is not None and self._result is None:
            self._process.kill()
            self._process.communicate()
            return
        self.read()

    def read(self) -> Stalls:
        """End the watch and say what it saw."""
        if self._result is None:
            assert self._process is not None, "the meter was never started"
            out, _ = self._process.communicate("", timeout=30)
            raw = json.loads(out)
            self._result = Stalls(raw["worst_ms"], tuple((at, ms) for at, ms in raw["stalls"]))
        return self._result


def unstalled(
    run: Callable[[], T],
    *,
    say: Callable[[str], None],
    fine: Callable[[T], bool] = lambda result: False,
    told: Callable[[T, Stalls], None] = lambda result, seen: None,
) -> tuple[T, int]:
    """`run()` beside a meter, repeated at most twice while the machine stalls: the last result, the void runs.

    A stall can only make a bound in time fail: a result that is `fine` is not thrown away in spite of one. Fine is what
    held, and what failed in a way that has nothing to do with time: lost, twice, forged. `told` hears what the meter
    saw beside a result, before that is judged.
    """
    void = 0
    while True:
        with StallMeter() as meter:
            result = run()
            seen = meter.read()
        told(result, seen)
        if not seen.void or fine(result):
            return result, void
        worst = max(ms for _, ms in seen.stalls)
        void += 1
        again = "once more" if void <= MAX_REPEATS else "no further repeat; read it with that in mind"
        say(f"-- void: the machine itself stalled {len(seen.stalls)} time(s), up to {worst:.0f} ms; {again}")
        if void > MAX_REPEATS:
            return result, void
