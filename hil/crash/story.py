"""What happened in a run of kills, as records, and what may not have happened. Pure: no process is asked here."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

NS = 1_000_000_000
SLACK_NS = 2 * NS  # from a word heard to the write that follows it: a cycle, a poll, the network
SAMPLE_NS = NS // 2  # the truth is looked at several times as often
VALUE_W = 2  # the device's own resolution of a setpoint
STEP_NS = 3 * NS  # a step of a ramp that is written more than once: until a cycle has read it back
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


@dataclass(frozen=True, slots=True)
class Wrong:
    """A broken promise. `sentence`: for people. Where only a time tells that it broke: `since_ns` the clock ran, to
    `at_ns`, and `over_ns` of that were too much."""

    kind: str
    sentence: str
    since_ns: int = 0
    at_ns: int = 0
    over_ns: int | None = None

    def explained(self, away: Iterable[tuple[int, int]]) -> bool:
        """It would have been in time without the time for which the machine stood still: (from, to) ns, measured."""
        if self.over_ns is None:
            return False
        return self.over_ns <= sum(max(0, min(self.at_ns, to) - max(self.since_ns, at)) for at, to in away)


def setpoints(records: Iterable[tuple[int, str, int]]) -> list[tuple[int, int | None]]:
    """(ns, W) of each setpoint that the inverter was given, None = it was released, from (ns, kind, value) of every
    register write to it.

    One setpoint is several writes: its reversion time first, then the rates, then the mode. While remote control is on,
    rates and mode show the same watts, and are one setpoint all the same."""
    found: list[tuple[int, int | None]] = []
    begun = True
    for at_ns, kind, value in records:
        if kind == "timer":
            begun = True
        elif kind == "clear":
            found.append((at_ns, None))
        elif kind == "power":
            if begun or found[-1][1] != value:
                found.append((at_ns, value))
            begun = False
    return found


@dataclass(slots=True)
class Story:
    """All of a run. `missing`: seq below the highest that never came; `given_up`: that the device said it has lost."""

    orders: list[Order] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    writes: list[tuple[int, int | None]] = field(default_factory=list)  # what `setpoints` made of the register log
    missing: Sequence[int] = ()
    given_up: int = 0
    conflicts: Sequence[int] = ()
    refused: int = 0  # messages of the device that did not verify
    stated_end_ns: int = 0
    away: Sequence[tuple[int, int]] = ()  # (from, to) ns: the machine itself stood still, as a meter beside it saw

    def wrong(self) -> list[Wrong]:
        """Everything that broke a promise."""
        return [*self._lost(), *self._twice(), *self._alive()]

    def stands(self) -> bool:
        """Nothing is wrong, or something is that no stall of the machine explains: lost, acts twice, or is late by more
        than what the machine was away for meanwhile."""
        wrong = self.wrong()
        return not wrong or not all(one.explained(self.away) for one in wrong)

    def _lost(self) -> list[Wrong]:
        wrong = [f"seq {seq} never came" for seq in self.missing]
        wrong += [f"seq {seq} came with two contents" for seq in self.conflicts]
        if self.given_up:
            wrong.append(f"{self.given_up} rows were given up by the device")
        if self.refused:
            wrong.append(f"{self.refused} messages of the device did not verify")
        for order in self.orders:
            own = [s for s in order.said if not s.repeated]
            if own and not any(s.terminal for s in own):
                wrong.append(f"command {order.id[:8]} was {own[0].state}, and no end was ever told")
        return [Wrong(LOST, sentence) for sentence in wrong]

    def _twice(self) -> list[Wrong]:
        wrong: list[Wrong] = []
        for order in self.orders:
            own = [s for s in order.said if not s.repeated]
            for state in ("received", "started"):
                count = len({s.seq for s in own if s.state == state})
                if count > 1:
                    wrong.append(Wrong(TWICE, f"command {order.id[:8]} was {state} {count} times"))
            if sum(s.terminal for s in own) > 1:
                ends = ", ".join(s.state for s in own)
                wrong.append(Wrong(TWICE, f"command {order.id[:8]} ended twice: {ends}"))
            wrong += self._held_late(order)
        return [*wrong, *self._strays()]

    def _asked_for(self, at_ns: int, watts: int) -> bool:
        """A command in force asks for as much, or for more: then it may be on the way of a ramp."""
        return any(order.first_ns <= at_ns <= until for order, until in self._asking(watts))

    def _asking(self, watts: int) -> list[tuple[Order, int]]:
        """Commands that ever might have that written, and until when, ns."""
        way = 1 if watts > 0 else -1
        both = [(order, order.until_ns()) for order in self.orders if way * order.power_w >= abs(watts) - VALUE_W]
        return [(order, until) for order, until in both if until is not None]

    def _strays(self) -> list[Wrong]:
        """Setpoints other than zero for which nobody asks at that time; one for each row of them."""
        wrong: list[Wrong] = []
        before = False
        for at_ns, watts in self.writes:
            stray = bool(watts) and not self._asked_for(at_ns, watts or 0)
            if stray and not before:
                wrong.append(self._stray(at_ns, watts or 0))
            before = stray
        return wrong

    def _stray(self, at_ns: int, watts: int) -> Wrong:
        own = [order for order in self.orders if abs(order.power_w - watts) <= VALUE_W]
        told = [f"of command {o.id[:8]}, sent at {self._s(o.first_ns)}, " for o in own]
        sentence = f"{watts} W {''.join(told)}was written at {self._s(at_ns)}, and no command in force asks for as much"
        untils = [until for _, until in self._asking(watts) if until < at_ns]
        if not untils:
            return Wrong(TWICE, f"{sentence}; none had by then")
        end_ns = max(untils) - SLACK_NS
        late = f"{(at_ns - end_ns) / NS:.1f} s after the end of the last one that did"
        return Wrong(TWICE, f"{sentence}, {late}", end_ns, at_ns, at_ns - max(untils))

    def _held_late(self, order: Order) -> list[Wrong]:
        """Its watts are held after its end, or though nobody has ever heard that it was accepted, while another command
        is in force that asks for more."""
        until = order.until_ns()
        for first, last in self._held(order.power_w):
            late = [n for n in range(first, last + 1) if until is None or self.writes[n][0] > until]
            again = [n for n in late if n > first and self._asked_for(self.writes[n][0], order.power_w)]
            if not again or self._on_the_way(order, first, late):
                continue
            at_ns = self.writes[again[0]][0]
            told = f"{order.power_w} W of command {order.id[:8]}, sent at {self._s(order.first_ns)}, was written"
            if until is None:
                return [Wrong(TWICE, f"{told} at {self._s(at_ns)}, and nobody had ever accepted it")]
            end_ns = until - SLACK_NS
            sentence = f"{told} {(at_ns - end_ns) / NS:.1f} s after its end at {self._s(end_ns)}"
            return [Wrong(TWICE, sentence, end_ns, at_ns, at_ns - until)]
        return []

    def _held(self, power_w: int) -> list[tuple[int, int]]:
        """From which to which setpoint those watts were asked for, two times in a row or more: not released in between,
        nor ended by the inverter."""
        near = [watts is not None and abs(watts - power_w) <= VALUE_W for _, watts in self.writes]
        runs: list[tuple[int, int]] = []
        for n in range(1, len(near)):
            stood = self.writes[n][0] - self.writes[n - 1][0] <= self.stated_end_ns
            if near[n] and near[n - 1] and stood:
                runs.append((runs.pop()[0] if runs and runs[-1][1] == n - 1 else n - 1, n))
        return runs

    def _on_the_way(self, order: Order, first: int, late: Sequence[int]) -> bool:
        """Those watts are a step of the ramp to more, for another command that is in force: from less or from its own
        time, for a moment, to more; or that command or the daemon ended there."""
        way = 1 if order.power_w > 0 else -1
        most_w = way * order.power_w + VALUE_W

        def beyond(n: int) -> bool:
            return way * (self.writes[n][1] or 0) > most_w

        from_ns, to_ns = self.writes[late[0]][0], self.writes[late[-1]][0]
        if to_ns - from_ns > STEP_NS or (late[0] == first > 0 and beyond(first - 1)):
            return False
        further = late[-1] + 1 < len(self.writes) and beyond(late[-1] + 1)
        died = any(not s.alive for s in self.samples if from_ns <= s.at_ns <= to_ns + STEP_NS)
        return any(
            further or died or until - SLACK_NS <= to_ns + STEP_NS
            for other in self.orders
            if other.power_w * way > most_w
            and other.first_ns <= from_ns
            and (until := other.until_ns()) is not None
            and to_ns <= until
        )

    def _alive(self) -> list[Wrong]:
        """A setpoint without a running daemon and a command for it, for longer than the home states."""
        legit = sorted([*(s.at_ns for s in self.samples if s.alive and self._called_for(s.at_ns)), *self._unseen()])
        wrong: list[Wrong] = []
        for sample in self.samples:
            place = bisect.bisect_right(legit, sample.at_ns)
            watched_ns = legit[place - 1] if place else self.samples[0].at_ns
            over_ns = sample.at_ns - watched_ns - self.stated_end_ns - SAMPLE_NS
            if sample.remote and over_ns > 0:
                seconds = (sample.at_ns - watched_ns) / NS
                sentence = (
                    f"a setpoint was in force at {self._s(sample.at_ns)}, {seconds:.1f} s after anybody watched it"
                )
                one = Wrong(ALIVE, sentence, watched_ns, sample.at_ns, over_ns)
                if wrong and wrong[-1].since_ns == watched_ns:
                    wrong[-1] = one  # the longest counts
                else:
                    wrong.append(one)
        return wrong

    def _unseen(self) -> list[int]:
        """Ends of commands while the bench looked away from a daemon that ran before and after."""
        ends = [until for order in self.orders if (until := order.until_ns()) is not None]
        pairs = [(a.at_ns, b.at_ns) for a, b in itertools.pairwise(self.samples) if a.alive and b.alive]
        gaps = [(at, to) for at, to in pairs if to - at > SAMPLE_NS]
        return [end for at, to in gaps for end in ends if at < end <= to]

    def _called_for(self, at_ns: int) -> bool:
        return any(order.first_ns <= at_ns <= until for order in self.orders if (until := order.until_ns()) is not None)

    def _s(self, at_ns: int) -> str:
        """Seconds since the first look."""
        began_ns = self.samples[0].at_ns if self.samples else 0
        return f"{(at_ns - began_ns) / NS:.1f} s"
