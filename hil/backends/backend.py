"""What the runner needs of a world to run a scenario in: virtual time, real processes, later real ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hil.expr import Value
from hil.faults.rig import Rig
from hil.scenario import Scenario
from hil.signals import Happening


@dataclass(frozen=True, slots=True)
class Ending:
    """What is left when the world has stopped. `trace`: hash over register writes, payload bytes and decisions."""

    trace: str | None
    notes: tuple[str, ...] = ()
    logs: Path | None = None  # where more is told, until `discard`


class Backend(Rig, Protocol):
    """Times are scenario ns: 0 when `start` returns. A backend is used for one scenario."""

    name: str

    def start(self, scenario: Scenario, seed: int) -> None:
        """Bring up home, broker, aggregator and agent."""
        ...

    def now_ns(self) -> int:
        """Scenario time."""
        ...

    def wall_ms(self) -> int:
        """UTC at scenario time 0, by the world's own clock."""
        ...

    def run_until(self, at_ns: int) -> None:
        """Let the world go on until then."""
        ...

    def signals(self) -> Mapping[str, Value]:
        """Every name of hil.signals.SIGNALS except `t_s` and `chapter_s`."""
        ...

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Every name of hil.signals.FUNCTIONS."""
        ...

    def happenings(self) -> Sequence[Happening]:
        """Records since the last call, in order."""
        ...

    def timers(self) -> Mapping[str, tuple[float, float]]:
        """The agent's timers in seconds: as configured here, and by default."""
        ...

    def finish(self) -> Ending:
        """Stop everything that `start` began, whatever state it is in. Safe to call twice."""
        ...

    def discard(self) -> None:
        """After `finish`: nobody needs the logs and traces of this run."""
        ...
