"""What happened in a run of kills, as records, and what may not have happened. Pure: no process is asked here."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

NS = 1_000_000_000
SLACK_NS = 2 * NS  # from a word heard to the write that follows it: a cycle, a poll, the network
SAMPLE_NS = NS // 2  # the truth is looked at several times as often
VALUE_W = 2  # the device's own resolution of a setpoint
LOST, TWICE, ALIVE = "acknowledged records lost", "commands executed twice", "setpoints alive beyond the stated end"
KINDS = (LOST, TWICE, ALIVE)


@dataclass(frozen=True, slots=True)
class Said:
    """One ack as the aggregator counted it; a repeated one answers a message that came again."""

    state: str
    seq: int
    heard_ns: int
    repeated: bool
    terminal: bool


@dataclass(slots=True)
class Order:
    """One dispatch: when it was first published, what it asks, what was said of it."""

    id: str
    power_w: int
    first_ns: int
    lasts_ns: int  # from acceptance to the end: start delay and duration
    said: Sequence[Said] = ()

    def until_ns(self) -> int | None:
        """The last moment at which it may be followed; None = it never may."""
        own = [s for s in self.said if not s.repeated]
        if not own:
            return None
        ends = [s.heard_ns for s in own if s.terminal]
        return min([own[0].heard_ns + self.lasts_ns, *ends]) + SLACK_NS


@dataclass(frozen=True, slots=True)
class Sample:
    """The truth at one moment: is a remote setpoint in force at the inverter, does the daemon run."""

    at_ns: int
    remote: bool
    alive: bool


@dataclass(slots=True)
class Story:
    """All of a run. `missing`: seq below the highest that never came; `given_up`: that the device said it has lost."""

    orders: list[Order] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    writes: list[tuple[int, int]] = field(default_factory=list)  # power writes at the device: (ns, W)
    missing: Sequence[int] = ()
    given_up: int = 0
    conflicts: Sequence[int] = ()
    refused: int = 0  # messages of the device that did not verify
    stated_end_ns: int = 0

    def wrong(self) -> list[tuple[str, str]]:
        """(kind, sentence) of everything that broke a promise."""
        return [*self._lost(), *self._twice(), *self._alive()]

    def _lost(self) -> list[tuple[str, str]]:
        wrong = [(LOST, f"seq {seq} never came") for seq in self.missing]
        wrong += [(LOST, f"seq {seq} came with two contents") for seq in self.conflicts]
        if self.given_up:
            wrong.append((LOST, f"{self.given_up} rows were given up by the device"))
        if self.refused:
            wrong.append((LOST, f"{self.refused} messages of the device did not verify"))
        for order in self.orders:
            own = [s for s in order.said if not s.repeated]
            if own and not any(s.terminal for s in own):
                wrong.append((LOST, f"command {order.id[:8]} was {own[0].state}, and no end was ever told"))
        return wrong

    def _twice(self) -> list[tuple[str, str]]:
        wrong: list[tuple[str, str]] = []
        for order in self.orders:
            own = [s for s in order.said if not s.repeated]
            for state in ("received", "started"):
                count = len({s.seq for s in own if s.state == state})
                if count > 1:
                    wrong.append((TWICE, f"command {order.id[:8]} was {state} {count} times"))
            if sum(s.terminal for s in own) > 1:
                wrong.append((TWICE, f"command {order.id[:8]} ended twice: {', '.join(s.state for s in own)}"))
            until = order.until_ns()
            for at_ns in self._held(order.power_w):
                if until is None or at_ns > until:
                    wrong.append((TWICE, f"{order.power_w} W of command {order.id[:8]} was written after its end"))
                    break
        return wrong

    def _held(self, power_w: int) -> list[int]:
        """When that setpoint was written a second time in a row: not on the way of a ramp."""
        near = [abs(watts - power_w) <= VALUE_W for _, watts in self.writes]
        return [self.writes[n][0] for n in range(1, len(near)) if near[n] and near[n - 1]]

    def _alive(self) -> list[tuple[str, str]]:
        """A setpoint without a running daemon and a command for it, for longer than the home states."""
        legit = [sample.at_ns for sample in self.samples if sample.alive and self._called_for(sample.at_ns)]
        wrong: list[tuple[str, str]] = []
        begun = False
        for sample in self.samples:
            place = bisect.bisect_right(legit, sample.at_ns)
            watched_ns = legit[place - 1] if place else self.samples[0].at_ns
            over_ns = sample.at_ns - watched_ns - self.stated_end_ns - SAMPLE_NS
            if sample.remote and over_ns > 0 and not begun:
                begun = True
                seconds = (sample.at_ns - watched_ns) / NS
                wrong.append((ALIVE, f"a setpoint was in force {seconds:.1f} s after anybody watched it"))
            elif not sample.remote or over_ns <= 0:
                begun = False
        return wrong

    def _called_for(self, at_ns: int) -> bool:
        return any(order.first_ns <= at_ns <= until for order in self.orders if (until := order.until_ns()) is not None)
