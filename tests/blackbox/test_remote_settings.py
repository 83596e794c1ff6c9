"""Whole agent: what an operator sets from afar tightens, stays when it has held, and goes back when it has not."""

from __future__ import annotations

from typing import Any

import pytest

from hil.aggregator.aggregator import Publish
from hil.aggregator.documents import document
from tests.blackbox.agent import Run

pytestmark = pytest.mark.slow


def publish(run: Run, kind: str, version: int, **body: Any) -> Publish:
    message = run.backend.build(lambda a, now: document(a, kind, next(iter(a.books)), version, body, now))
    run.backend.publish(message)
    return message


def config(run: Run, version: int, **settings: Any) -> Publish:
    return publish(run, "config", version, probation_s=60, settings=settings)


def told(run: Run) -> list[tuple[str, int]]:
    """Every word about a document that the aggregator has verified, in order."""
    events = run.backend.build(lambda a, now: list(next(iter(a.books.values())).events))
    return [(e.claims["event"], e.claims["version"]) for e in events if "version" in e.claims]


def birth(run: Run) -> dict[str, Any]:
    found = run.backend.build(lambda a, now: next(iter(a.books.values())).birth)
    assert found is not None
    return dict(found.claims)


def test_a_tighter_export_holds_and_stays_and_a_bad_configuration_goes_back() -> None:
    with Run(seed=31) as run:
        run.to(12)
        config(run, 1, export_limit_w=2_000)
        run.wait(3)
        assert told(run) == [("config_applied", 1)]
        run.dispatch(8_000, duration=600).wait(30)
        assert -run["truth.grid_w"] <= 2_100, run.story()
        assert run["truth.battery_w"] > 2_500, run.story()
        run.wait(40)
        assert told(run)[-1] == ("config_confirmed", 1)
        assert (birth(run)["config_version"], birth(run)["limits"]["export_limit_w"]) == (1, 11_400)

        last = config(run, 2, export_limit_w=0, raise_permille=550, raise_s=3_600)
        run.wait(10)
        assert told(run)[-1] == ("config_applied", 2)
        run.do("proc.kill9").wait(3).do("proc.start").wait(30)
        assert told(run)[-1] == ("config_rolled_back", 2)
        assert birth(run)["config_version"] == 1
        assert run["agent.reserve_permille"] == 550, "the raise outlives it"
        run.backend.publish(last)  # as a broker would, at the connection
        run.wait(5)
        assert told(run)[-1] == ("config_rolled_back", 2)


def test_a_lost_aggregator_takes_a_configuration_back_and_an_older_one_moves_nothing() -> None:
    with Run(seed=32) as run:
        run.to(12)
        old = config(run, 1, export_limit_w=9_000)
        run.wait(70)
        config(run, 2, export_limit_w=500)
        run.wait(5)
        run.do("broker.kill").wait(80).end("broker.kill").wait(320)  # it comes back within 300 s
        assert told(run)[-1] == ("config_rolled_back", 2)
        run.backend.publish(old)
        run.wait(3)
        assert run.refused("version_rollback") == 1


def test_default_control_at_rest_survives_a_power_cycle_and_gives_way_to_an_outage() -> None:
    with Run(seed=33, load_w=1_500) as run:
        run.to(12)
        publish(run, "default", 1, mode="idle")
        run.wait(20)
        assert (run["truth.remote"], run["truth.setpoint_w"]) == (True, 0), run.story()
        run.do("proc.kill9").wait(3).do("proc.start").wait(40)
        assert (run["truth.remote"], run["truth.setpoint_w"]) == (True, 0), run.story()
        run.do("grid.outage").wait(5)
        assert not run["truth.remote"], run.story()
        assert birth(run)["default_version"] == 1
