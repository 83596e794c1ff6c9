"""Who is late, and that systemd hears of a completed cycle only while nobody is."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field

import pytest

from agent.runtime import part
from agent.runtime.watchdog import FED, LATE_NS, OPENING_NS, STOPPING, UNSCHEDULED_NS, Token, Watchdog, where

S = 1_000_000_000
NAMES = ("control", "bus:rs485", "store", "link", "local")


@dataclass
class Rig:
    """Five threads that all wait, a second a check."""

    now_ns: int = 1000 * S
    tokens: dict[str, Token] = field(default_factory=lambda: {name: Token() for name in NAMES})
    sent: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dog = Watchdog(self.tokens, self.sent.append, self._log, lambda: self.now_ns)

    def _log(self, entry: part.Log) -> None:
        self.said.append(entry.text)

    def run(self, seconds: int, cycles: bool = True) -> int:
        """Check each second, after a completed cycle of control; how many of them reached systemd."""
        before = len(self.sent)
        for _ in range(seconds):
            self.now_ns += S
            if cycles:
                self.dog.notify(FED)
            self.dog.check()
        return len(self.sent) - before


def test_one_datagram_for_each_completed_cycle() -> None:
    rig = Rig()
    assert rig.run(60) == 60
    assert set(rig.sent) == {FED}
    assert rig.said == []


@pytest.mark.parametrize("name", NAMES)
def test_who_does_not_come_back_is_named_with_its_place(name: str) -> None:
    rig = Rig()
    rig.run(5)
    rig.tokens[name].works(rig.now_ns)
    fed = rig.run(20)
    told = [line for line in rig.said if "no progress" in line]
    assert len(told) == 1
    assert told[0].startswith(f"watchdog: {name} has made no progress for 4.0 s")
    if name in ("link", "local"):
        assert fed == 20
        assert "protection goes on without it" in told[0]
    else:
        assert fed == 4  # the fourth check finds it
        assert any(
            line.startswith("watchdog: MainThread is at test_watchdog.py:") or "is at" in line for line in rig.said
        )
    rig.tokens[name].waits(1 << 62)
    assert rig.run(5) >= 4
    assert any(f"{name} is back after" in line for line in rig.said)


def test_just_within_its_bound_nobody_is_late() -> None:
    token = Token()
    token.works(S)
    assert token.late_ns(S + LATE_NS) == 0
    assert token.late_ns(S + LATE_NS + 1) == LATE_NS + 1
    token.waits(10 * S)
    assert token.late_ns(10 * S + LATE_NS) == 0
    assert token.late_ns(10 * S + LATE_NS + 1) == LATE_NS + 1
    token.works(S, OPENING_NS)
    assert token.late_ns(S + OPENING_NS) == 0
    assert token.late_ns(S + OPENING_NS + 1) > 0


def test_who_oversleeps_is_late_too() -> None:
    rig = Rig()
    rig.tokens["bus:rs485"].waits(rig.now_ns + S)
    assert rig.run(20) == 5


def test_control_that_waits_and_completes_no_cycle_is_late() -> None:
    rig = Rig()
    rig.run(3)
    rig.run(3, cycles=False)
    assert rig.said == []
    rig.run(1, cycles=False)
    assert rig.said[0].startswith("watchdog: control has made no progress for 4.0 s")


def test_a_stop_completes_no_cycles_and_is_not_late() -> None:
    rig = Rig()
    rig.run(3)
    rig.dog.notify(STOPPING)
    rig.run(12, cycles=False)
    assert rig.said == []
    assert rig.sent[-1] == STOPPING


def test_other_words_pass_whoever_is_late() -> None:
    rig = Rig()
    rig.tokens["store"].works(rig.now_ns)
    rig.run(10)
    rig.dog.notify("READY=1")
    assert rig.sent[-1] == "READY=1"


def test_a_machine_that_stood_still_is_nobodys_fault() -> None:
    """All tokens are old when the monitor runs first after a SIGCONT or a resume: it looks again before it judges."""
    rig = Rig()
    rig.run(3)
    rig.tokens["bus:rs485"].waits(rig.now_ns + S)
    rig.now_ns += 60 * S
    rig.dog.check()
    assert rig.said == []
    rig.tokens["bus:rs485"].waits(rig.now_ns + S)
    rig.tokens["bus:rs485"].waits(1 << 62)
    assert rig.run(5) == 5
    assert rig.said == []
    assert UNSCHEDULED_NS < LATE_NS  # so that one check in time lies between


def test_without_the_monitor_nobody_is_fed() -> None:
    rig = Rig()
    rig.run(3)
    before = len(rig.sent)
    rig.now_ns += LATE_NS
    rig.dog.notify(FED)
    assert len(rig.sent) == before + 1
    rig.now_ns += 1
    rig.dog.notify(FED)
    assert len(rig.sent) == before + 1


def test_the_place_is_the_innermost_call_first() -> None:
    held, there = threading.Event(), threading.Event()

    def inner() -> None:
        there.set()
        held.wait()

    thread = threading.Thread(target=inner)
    thread.start()
    there.wait()
    told = where(sys._current_frames()[thread.ident or 0])
    held.set()
    thread.join()
    assert "test_watchdog.py" in told
    assert "inner" in told
    assert where(None) == ""
