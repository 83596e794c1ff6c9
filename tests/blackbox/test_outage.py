"""Whole agent: the grid goes. Hands off, the house fed, and back only after dwell and jitter."""

from __future__ import annotations

import pytest

from tests.blackbox.agent import Run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("power_w", [5_000, -5_000])
@pytest.mark.parametrize("also", ["nothing", "meter", "battery", "crash", "kill", "cancel", "local.stop", "reserve"])
def test_an_outage_in_mid_dispatch(power_w: int, also: str) -> None:
    """Rows 31 and 7; whatever else happens in the same second."""
    with Run(seed=31, load_w=2_000) as run:
        run.to(12).dispatch(power_w).wait(28)
        run.do("grid.outage")
        begun = run.t
        if also in ("meter", "battery"):
            run.home("mute", device=also, on=True)
        elif also == "crash":
            run.do("proc.crash")
        elif also == "kill":
            run.do("proc.kill9").wait(20).do("proc.start")
        elif also == "cancel":
            run.do("aggregator.cancel", "c", target="command")
        elif also == "local.stop":
            run.do("local.stop")
        elif also == "reserve":
            run.do("local.reserve", permille=800)
        run.wait(90)
        assert run.writes("power", begun + 3) == [] and run.writes("floor", begun + 3) == []
        clears = run.writes("clear", begun)
        assert len(clears) <= 1 + (also in ("crash", "kill")), clears
        run.end("grid.outage")
        if also in ("meter", "battery"):
            run.home("mute", device=also, on=False)
        back = run.t
        run.wait(100)
        assert run.writes("power", back) == [], "before the dwell is over"


def test_returns_after_dwell_and_jitter() -> None:
    with Run(seed=32) as run:
        run.running(duration=900).do("grid.outage").wait(20).end("grid.outage")
        run.within(60 + 600 + 30, lambda: abs(run["truth.battery_w"] - 5_000) < 150, "resumes")
        assert run.states().count("started") == 1
        assert next(a["reason"] for a in run.acks["command"] if a["state"] == "limited") == "islanded"


def test_flicker_starts_the_dwell_anew() -> None:
    with Run(seed=33) as run:
        run.running(duration=900).do("grid.outage").wait(10).end("grid.outage")
        run.wait(250).do("grid.outage").wait(5).end("grid.outage")
        back = run.t
        run.wait(290)
        assert run.writes("power", back) == []


def test_started_in_an_island() -> None:
    """A start while islanded writes nothing but, at most, one CLEAR."""
    with Run(seed=34) as run:
        run.do("grid.outage").to(60)
        assert run.writes("power") == [] and run.writes("floor") == []
        assert len(run.writes("clear")) <= 1


def test_dispatch_sent_into_an_island_is_not_followed() -> None:
    with Run(seed=35) as run:
        run.to(12).do("grid.outage").wait(5).dispatch(5_000).wait(30)
        assert run.writes("power") == [] and "started" not in run.states()
        assert run.states(), "it is answered"
