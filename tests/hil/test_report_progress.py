"""The progress line: percent, rate and what is left on a terminal; a line now and then elsewhere; never on stdout."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from hil import talk
from hil.progress import TIMES, Progress, each


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time that the line sees."""
    now = [0.0]
    monkeypatch.setattr("hil.progress.time.monotonic", lambda: now[0])

    def to(seconds: float) -> None:
        now[0] = seconds

    return to


def test_on_a_terminal_one_line_is_drawn_over_itself_and_wiped_at_the_end(clock: Callable[[float], None]) -> None:
    out = _Terminal()
    with Progress("teeth", 40, unit="checks", stream=out) as bar:
        for n in range(1, 11):
            clock(n)
            bar.step(f"case {n}")
    *drawn, last = out.getvalue().split("\r")

    assert "\n" not in out.getvalue()
    assert last == "\x1b[K"
    assert "teeth [######..................] 25%, 1.0 checks/s, 30 s left case 10\x1b[K" in drawn


def test_elsewhere_there_is_a_plain_line_every_ten_seconds(clock: Callable[[float], None]) -> None:
    out = io.StringIO()
    with Progress("demo", 175, unit=TIMES, stream=out) as bar:
        for n in range(1, 31):
            clock(n)
            bar.to(2 * n)
    lines = out.getvalue().splitlines()

    assert len(lines) == 3
    assert lines[0] == "demo [##......................] 11%, 2 x real time, 78 s left"
    assert "\r" not in out.getvalue()


@pytest.mark.parametrize(
    ("done", "seconds", "unit", "told"),
    [
        (5, 60, "kills", "5.0 kills/min"),
        (500_000, 20, "inputs", "25,000 inputs/s"),
        (86_400, 12, TIMES, "7200 x real time"),
        (5, 60, "", "50%, 60 s left"),
    ],
)
def test_a_rate_has_its_unit(clock: Callable[[float], None], done: float, seconds: float, unit: str, told: str) -> None:
    out = io.StringIO()
    with Progress("t", 2 * done, unit=unit, stream=out) as bar:
        clock(seconds)
        bar.to(done)
    assert told in out.getvalue()


@pytest.mark.parametrize(("seconds", "left"), [(100, "100 s"), (600, "10 min"), (9000, "2.5 h")])
def test_what_is_left_is_told_in_a_unit_that_can_be_read(
    clock: Callable[[float], None], seconds: float, left: str
) -> None:
    out = io.StringIO()
    with Progress("t", 2, stream=out) as bar:
        clock(seconds)
        bar.to(1)
    assert f"{left} left" in out.getvalue()


def test_each_counts_every_turn_and_says_nothing_on_stdout(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []
    for n in each("fuzz", 1000, "inputs"):
        clock(n)
        seen.append(n)
    told = capsys.readouterr()
    assert seen == list(range(1000))
    assert told.out == ""
    assert "inputs/s" in told.err


def test_what_is_said_meanwhile_leaves_nothing_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out = _Terminal()
    monkeypatch.setattr("sys.stderr", out)
    talk.say("xx broke")
    assert out.getvalue() == "xx broke\x1b[K\n"
