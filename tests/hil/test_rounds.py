"""Interleaving, medians, percentiles, the stall meter and what a void run means."""

from __future__ import annotations

import io
import os
import signal

import pytest

from hil import stall
from hil.progress import Progress
from hil.rounds import interleave, median, percentile


def test_sides_take_turns() -> None:
    order: list[str] = []

    def side(name: str, value: float) -> float:
        order.append(name)
        return value

    values = interleave({"a": lambda: side("a", 1.0), "b": lambda: side("b", 2.0)}, 3)

    assert order == ["a", "b"] * 3
    assert values == {"a": [1.0] * 3, "b": [2.0] * 3}


def test_two_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        interleave({"a": lambda: 1.0}, 2)


def test_percentile_is_nearest_rank() -> None:
    values = [float(n) for n in range(1, 201)]
    assert (percentile(values, 990), percentile(values, 500), percentile([5.0], 990)) == (198.0, 100.0, 5.0)
    assert median([3.0, 1.0, 2.0]) == 2.0
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_meter_sees_itself_stopped() -> None:
    with stall.StallMeter() as meter:
        process = meter._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        _wait_wall(0.35)
        os.kill(process.pid, signal.SIGCONT)
        seen = meter.read()

    assert seen.void
    assert seen.worst_ms > stall.STALL_MS


def _wait_wall(seconds: float) -> None:
    """The stall itself: nothing can be awaited while the meter stands still."""
    import threading

    threading.Event().wait(seconds)


def test_an_interrupted_watch_leaves_no_process() -> None:
    meter = stall.StallMeter()
    with pytest.raises(KeyboardInterrupt), meter:
        raise KeyboardInterrupt
    assert meter._process is not None
    assert meter._process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("stalled", "void", "runs"), [([False], 0, 1), ([True, False], 1, 2), ([True] * 3, 3, 3)])
def test_void_runs_are_said_and_repeated_at_most_twice(
    monkeypatch: pytest.MonkeyPatch, stalled: list[bool], void: int, runs: int
) -> None:
    answers = iter(stalled)

    class Meter(stall.StallMeter):
        def __enter__(self) -> Meter:
            self._result = stall.Stalls(300.0, ((1.0, 300.0),)) if next(answers) else stall.Stalls(1.0, ())
            return self

    monkeypatch.setattr(stall, "StallMeter", Meter)
    said: list[str] = []
    count = iter(range(9))

    result, voided = stall.unstalled(lambda: next(count), say=said.append)

    assert (result, voided, len(said)) == (runs - 1, void, sum(stalled))


def test_progress_is_silent_when_quick() -> None:
    stream = io.StringIO()
    with Progress("quick", 10, stream=stream) as bar:
        for _ in range(10):
            bar.step()
    assert stream.getvalue() == ""
