"""Whether control, every bus and the store still make progress; only then is systemd fed.

Each thread keeps a token of its own: since when it works on one event, or until when it waits. The monitor reads them
and writes nothing but log lines. Control's datagram after a completed cycle passes while nobody is late and the monitor
itself runs; an unreachable device makes nobody late, a thread that does not come back does. systemd ends us 10 s after
the last datagram, by SIGABRT.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import FrameType

from agent.runtime import part

LATE_NS = 3_000_000_000
OPENING_NS = 60_000_000_000  # a name server or a dying adapter may hold an `open` for long; nothing is controlled then
CHECK_S = 1.0
UNSCHEDULED_NS = 2_500_000_000  # a monitor that comes so late knows nothing of the others: the machine stood still
FRAMES = 6
FED = "WATCHDOG=1"
STOPPING = "STOPPING=1"


class Token:
    """Of one thread; it alone writes. Ints are replaced whole, so that no lock is needed."""

    __slots__ = ("bound_ns", "busy_ns", "due_ns")

    def __init__(self) -> None:
        self.busy_ns = 0  # since when it works on one event; 0 = it waits
        self.due_ns = 1 << 62  # until when it waits
        self.bound_ns = LATE_NS

    def works(self, now_ns: int, bound_ns: int = LATE_NS) -> None:
        """It has taken an event, and is late if that takes longer than `bound_ns`."""
        self.bound_ns = bound_ns
        self.busy_ns = now_ns

    def waits(self, until_ns: int) -> None:
        """It is done with it, and waits for the next or until then."""
        self.due_ns = until_ns
        self.busy_ns = 0

    def late_ns(self, now_ns: int) -> int:
        """For how long it has worked on one event or has overslept, if that is too long; else 0."""
        busy_ns = self.busy_ns
        since_ns, bound_ns = (busy_ns, self.bound_ns) if busy_ns else (self.due_ns, LATE_NS)
        return now_ns - since_ns if now_ns - since_ns > bound_ns else 0


class Watchdog:
    """`send` reaches systemd, `log` the journal. `tokens`: by the name of the part, which is its thread's.
    `clock`: monotonic ns."""

    def __init__(
        self,
        tokens: Mapping[str, Token],
        send: Callable[[str], None],
        log: Callable[[part.Log], None],
        clock: Callable[[], int],
    ) -> None:
        self._tokens = tokens
        self._send = send
        self._log = log
        self._clock = clock
        self._late: dict[str, int] = {}
        self._checked_ns = self._cycle_ns = clock()
        self._stopping = False

    def start(self) -> None:
        """Begin to watch, on a thread of its own, until the process ends."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def notify(self, state: str) -> None:
        """Control's word to systemd. That a cycle is completed is passed on only while nobody is late."""
        if state == STOPPING:
            self._stopping = True
        if state == FED:
            self._cycle_ns = self._clock()
            watched = self._cycle_ns - self._checked_ns <= LATE_NS
            if not watched or any(_counts(name) for name in self._late):
                return
        self._send(state)

    def check(self) -> None:
        """Look at every token once; say who became late, and who is back."""
        now_ns = self._clock()
        slept_ns, self._checked_ns = now_ns - self._checked_ns, now_ns
        if slept_ns > UNSCHEDULED_NS:
            return
        late = {name: token.late_ns(now_ns) for name, token in self._tokens.items()}
        if not self._stopping and now_ns - self._cycle_ns > LATE_NS:
            late["control"] = max(late.get("control", 0), now_ns - self._cycle_ns)
        before = self._late
        # First the feeding stops, then it is told.
        self._late = {name: before.get(name, now_ns - late_ns) for name, late_ns in late.items() if late_ns}
        for name, late_ns in late.items():
            if late_ns and name not in before:
                self._tell(name, late_ns)
            elif not late_ns and name in before:
                self._log(part.Log("warning", f"watchdog: {name} is back after {_seconds(now_ns - before[name])}"))

    def _tell(self, name: str, late_ns: int) -> None:
        end = "systemd is not told that we live until it is back" if _counts(name) else "protection goes on without it"
        self._log(part.Log("error", f"watchdog: {name} has made no progress for {_seconds(late_ns)}; {end}"))
        frames = sys._current_frames()
        threads = sorted(threading.enumerate(), key=lambda thread: thread.name != name)
        for thread in threads if _counts(name) else threads[:1]:
            frame = frames.get(thread.ident or 0)
            if frame is not None:
                self._log(part.Log("error", f"watchdog: {thread.name} is at {where(frame)}"))

    def _run(self) -> None:
        never = threading.Event()
        while not never.wait(CHECK_S):
            self.check()


def where(frame: FrameType | None) -> str:
    """The innermost calls of a thread, the last one first."""
    calls: list[str] = []
    while frame is not None and len(calls) < FRAMES:
        calls.append(f"{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(calls)


def _counts(name: str) -> bool:
    """The home is not protected without it; the link and local people come second."""
    return name in ("control", "store") or name.startswith("bus:")


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:.1f} s"
