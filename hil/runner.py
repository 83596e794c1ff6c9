"""Runs a scenario on a backend: fires its events, feeds its judges, ends its chapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hil.backends.backend import Backend
from hil.expr import Value
from hil.faults.catalog import VERBS, Act
from hil.figures import Figure, Report
from hil.judge import Judge, Verdict
from hil.scenario import Chapter, Event, Scenario
from hil.signals import Happening
from hil.stated import stated_end_s
from hil.strict import FileError

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Run:
    """What begins. `wall_ms`: UTC at scenario time 0 by the world's own clock, whatever the agent's clock says."""

    scenario: Scenario
    backend: str
    seed: int
    wall_ms: int


class Watcher(Protocol):
    """Whoever shows a run while it goes on."""

    def begin(self, run: Run) -> None: ...

    def chapter(self, chapter: Chapter, at_ns: int) -> None: ...

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None: ...

    def event(self, at_ns: int, event: Event, ended: bool) -> None: ...

    def happening(self, record: Happening) -> None: ...

    def verdict(self, at_ns: int, verdict: Verdict) -> None: ...


class Quiet:
    """Shows nothing."""

    def begin(self, run: Run) -> None: ...

    def chapter(self, chapter: Chapter, at_ns: int) -> None: ...

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None: ...

    def event(self, at_ns: int, event: Event, ended: bool) -> None: ...

    def happening(self, record: Happening) -> None: ...

    def verdict(self, at_ns: int, verdict: Verdict) -> None: ...


class Several:
    """A watcher that hands on to others, in their order."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = tuple(watchers)

    def begin(self, run: Run) -> None:
        for watcher in self._watchers:
            watcher.begin(run)

    def chapter(self, chapter: Chapter, at_ns: int) -> None:
        for watcher in self._watchers:
            watcher.chapter(chapter, at_ns)

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None:
        for watcher in self._watchers:
            watcher.sample(at_ns, signals)

    def event(self, at_ns: int, event: Event, ended: bool) -> None:
        for watcher in self._watchers:
            watcher.event(at_ns, event, ended)

    def happening(self, record: Happening) -> None:
        for watcher in self._watchers:
            watcher.happening(record)

    def verdict(self, at_ns: int, verdict: Verdict) -> None:
        for watcher in self._watchers:
            watcher.verdict(at_ns, verdict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run."""

    scenario: Scenario
    backend: str
    seed: int
    verdicts: Sequence[Verdict]
    ended_ns: int
    trace: str | None
    notes: tuple[str, ...]
    unseen: tuple[str, ...] = ()  # ids of events that were done, and that the world never showed

    @property
    def ok(self) -> bool:
        """Every promise held."""
        return bool(self.verdicts) and all(v.ok for v in self.verdicts)

    @property
    def stands(self) -> bool:
        """It counts even where the machine itself stalled: it held, or broke a promise that no stall explains."""
        return self.ok or any(not v.ok and not v.timing for v in self.verdicts)

    def report(self, void: int = 0) -> Report:
        """The figures: one per promise, each with a reach."""
        figures: list[Figure] = [v.figure() for v in self.verdicts]
        extra = {
            "scenario": self.scenario.name,
            "backend": self.backend,
            "seconds": round(self.ended_ns / NS, 3),
            "trace": self.trace,
            "notes": list(self.notes),
        }
        return Report(f"scenario {self.scenario.name} on {self.backend}", figures, self.seed, void, extra)


class Runner:
    """One run. `run` always finishes the backend, also when interrupted."""

    def __init__(self, scenario: Scenario, backend: Backend, seed: int, watcher: Watcher | None = None) -> None:
        self._scenario = scenario
        self._backend = backend
        self._seed = seed
        self._watcher: Watcher = watcher or Quiet()
        self._verdicts: list[Verdict] = []
        self._pending: list[tuple[int, int, Event]] = []  # not before, order, event
        self._ends: list[tuple[int, int, Event]] = []
        self._scope: Mapping[str, Value] = {}
        self._functions: Mapping[str, Callable[..., Any]] = {}
        self._chapter_ns = 0
        self._stated_s = stated_end_s(scenario.config)
        self._unseen: dict[str, Event] = {}  # faults that the world has not shown yet

    def run(self) -> Outcome:
        """Start the world, live through the scenario, stop the world."""
        backend, scenario = self._backend, self._scenario
        try:
            backend.start(scenario, self._seed)
            self._watcher.begin(Run(scenario, backend.name, self._seed, backend.wall_ms()))
            self._live()
            ended = backend.now_ns()
        except KeyboardInterrupt:
            backend.finish()
            backend.discard()
            raise
        except BaseException:
            backend.finish()  # what is left tells why
            raise
        ending = backend.finish()
        broken = not self._verdicts or any(not v.ok for v in self._verdicts)
        notes = (*ending.notes, f"logs and traces: {ending.logs}") if broken and ending.logs else ending.notes
        if not broken:
            backend.discard()
        unseen = tuple(self._unseen)
        return Outcome(scenario, backend.name, self._seed, self._verdicts, ended, ending.trace, notes, unseen)

    # --- the story ---------------------------------------------------------------------------------------------------
    def _live(self) -> None:
        scenario, backend = self._scenario, self._backend
        timers = backend.timers()
        self._whole = [Judge(a, timers) for a in scenario.assertions if not a.chapter]
        self._inner: list[Judge] = []
        for judge in self._whole:
            judge.begin(0)
        self._sample()
        if not scenario.chapters:
            self._stretch("", None, scenario.duration_ns)
        for chapter in scenario.chapters:
            self._inner = [Judge(a, timers) for a in scenario.assertions if a.chapter == chapter.id]
            begun = backend.now_ns()
            self._chapter_ns = begun
            for judge in self._inner:
                judge.begin(begun)
            self._watcher.chapter(chapter, begun)
            self._sample()  # chapter_s starts anew
            left = min(begun + chapter.limit_ns, scenario.duration_ns)
            reason = self._stretch(chapter.id, chapter, left)
            self._verdict(_chapter_verdict(chapter, reason, backend.now_ns() - begun))
            for judge in self._inner:
                self._verdict(judge.close())
            self._inner = []
        for judge in self._whole:
            self._verdict(judge.close())
        if not scenario.chapters:  # a chapter says itself what it waited for
            self._never()
        for event in self._unseen.values():
            sentence = f"`{event.observe and event.observe.text}` was never true: {event.verb} did nothing"
            self._verdict(
                Verdict(f"{event.id} took effect", event.chapter, "", False, False, "", "== true", sentence, {})
            )

    def _never(self) -> None:
        """What the file asks for and did not happen was not tried: nothing that holds without it shows anything."""
        for _, _, event in self._pending:
            if event.optional:
                continue
            why = f"`{event.when.text}` was never true" if event.when is not None else "the run was over before"
            sentence = f"{why}: {event.verb} was never done"
            self._verdict(
                Verdict(f"{event.id} came to pass", event.chapter, "", False, False, "", "== true", sentence, {})
            )
        for at, _, event in self._ends:
            if event.optional:
                continue
            sentence = f"it would have ended at {at / NS:g} s, behind the end of the run"
            self._verdict(Verdict(f"{event.id} ended", event.chapter, "", False, False, "", "== true", sentence, {}))

    def _look_for_faults(self) -> None:
        """A fault that nobody but its author sees proves nothing."""
        for event in list(self._unseen.values()):
            if event.observe is not None and event.observe.value(self._scope.get, self._functions) is True:
                del self._unseen[event.id]

    def _stretch(self, chapter_id: str, chapter: Chapter | None, limit_ns: int) -> str:
        """Live until the chapter is over; why it is not complete, or ""."""
        backend, step = self._backend, self._scenario.sample_ns
        begun = backend.now_ns()
        mine = [e for e in self._scenario.events if e.chapter == chapter_id]
        self._pending = [(begun + e.at_ns, i, e) for i, e in enumerate(mine)]
        self._ends = []
        over_since: int | None = None
        next_sample = begun
        while True:
            now = backend.now_ns()
            self._fire(now)
            missing = "" if chapter is None and now < limit_ns else self._missing(chapter, now)
            if chapter is not None and not missing:
                over_since = now if over_since is None else over_since
                if now >= over_since + chapter.linger_ns:
                    return ""
            else:
                over_since = None
            if now >= limit_ns:
                return missing
            if now >= next_sample:
                next_sample = now - (now - begun) % step + step
            backend.run_until(min([next_sample, limit_ns, *self._due(now)]))
            self._sample()

    def _missing(self, chapter: Chapter | None, now: int) -> str:
        """What the chapter still waits for."""
        for _, _, event in self._pending:
            if not event.optional:
                return f"event {event.id} did not come to pass"
        for _, _, event in self._ends:
            return f"event {event.id} was not ended"
        if chapter is None:
            return ""
        if chapter.until is not None and chapter.until.value(self._scope.get, self._functions) is not True:
            return f"`{chapter.until.text}` did not come true"
        for judge in self._inner:
            if not judge.decided(now):
                return f"{judge.assertion.name} stayed undecided"
        return ""

    # --- events ------------------------------------------------------------------------------------------------------
    def _due(self, now: int) -> list[int]:
        return [at for at, _, event in self._pending if at > now] + [at for at, _, _ in self._ends if at > now]

    def _fire(self, now: int) -> None:
        for row in sorted(self._ends, key=lambda r: r[:2]):
            if row[0] <= now:
                self._look_for_faults()
                self._ends.remove(row)
                self._moment(f"{row[2].id}.end", now)
                revert = VERBS[row[2].verb].revert
                assert revert is not None, "the schema refuses `for` without an end"
                self._do(revert, row[2])
                self._watcher.event(now, row[2], True)
        for row in sorted(self._pending, key=lambda r: r[:2]):
            at, order, event = row
            if at > now or (event.when is not None and event.when.value(self._scope.get, self._functions) is not True):
                continue
            self._pending.remove(row)
            self._moment(event.id, now)
            self._do(VERBS[event.verb].apply, event)
            if event.observe is not None:
                self._unseen[event.id] = event
            self._watcher.event(now, event, False)
            if event.for_ns is not None:
                self._ends.append((now + event.for_ns, order, event))

    def _do(self, act: Act, event: Event) -> None:
        try:
            act(self._backend, event.id, event.args)
        except ValueError as error:  # what the checks of the file let through and the world does not understand
            raise FileError(f"{self._scenario.name}: event {event.id}.do: {event.verb}: {error}") from error

    def _moment(self, name: str, at_ns: int) -> None:
        for judge in [*self._whole, *self._inner]:
            judge.moment(name, at_ns, self._scope, self._functions)

    # --- looking -----------------------------------------------------------------------------------------------------
    def _sample(self) -> None:
        backend = self._backend
        now = backend.now_ns()
        self._functions = backend.functions()
        self._scope = {
            **backend.signals(),
            "bench.stated_end_s": self._stated_s,
            "t_s": now / NS,
            "chapter_s": (now - self._chapter_ns) / NS,
        }
        self._look_for_faults()
        judges = [*self._whole, *self._inner]
        for record in backend.happenings():
            self._watcher.happening(record)
            for judge in judges:
                judge.happening(record)
        for judge in judges:
            judge.sample(now, self._scope, self._functions)
        self._watcher.sample(now, self._scope)

    def _verdict(self, verdict: Verdict) -> None:
        self._verdicts.append(verdict)
        self._watcher.verdict(self._backend.now_ns(), verdict)


def _chapter_verdict(chapter: Chapter, reason: str, took_ns: int) -> Verdict:
    beside = {"seconds": round(took_ns / NS, 1), "limit": chapter.limit_ns / NS}
    sentence = reason or f"done after {took_ns / NS:.1f} s"
    return Verdict(f"{chapter.id}", chapter.id, chapter.title, not reason, not reason, "", "== true", sentence, beside)
