"""What the house takes is not misjudged while the battery moves: site limits stand still under a constant house."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.core.decision import Decision
from tests.blackbox.agent import Run, S

LOAD_W = 900
SLACK_W = 30  # what reading whole watts of three devices may leave
EXPORT_W, IMPORT_W = 11_400, 24_000  # as the bench's home is configured


def decisions(run: Run, seconds: float) -> Iterator[Decision]:
    """Every decision of the next seconds: the agent makes no two within 100 ms."""
    until, last_ns = run.backend.now_ns() + round(seconds * S), 0
    while run.backend.now_ns() < until:
        run.backend.run_until(run.backend.now_ns() + S // 20)
        view = run.backend._view
        if view is not None and view.at_ns != last_ns:
            last_ns = view.at_ns
            yield view.decision


def cap(decision: Decision, name: str) -> int:
    return next(limit.cap_w for limit in decision.limits if limit.id == name)


def narrowed(run: Run, seconds: float) -> list[tuple[int, int, int | None]]:
    """(export cap, import cap, load) of each decision that takes the house for another than it is."""
    seen = [(cap(d, "site_export"), cap(d, "site_import"), d.load_w) for d in decisions(run, seconds)]
    assert len(seen) >= seconds
    right = (EXPORT_W + LOAD_W, IMPORT_W - LOAD_W, LOAD_W)
    return [one for one in seen if any(w is None or abs(w - r) > SLACK_W for w, r in zip(one, right, strict=True))]


@pytest.mark.parametrize("moment_ms", range(0, 1000, 130))
@pytest.mark.parametrize("power_w", [10_000, -10_000])
def test_a_step_of_10_kw_by_another_hand_moves_no_site_limit(power_w: int, moment_ms: int) -> None:
    """At any moment between the samples of meter and inverter, which are read four times a second each."""
    with Run(load_w=LOAD_W, pv_w=0) as run:
        run.to(12).home("remote", w=0).wait(5 + moment_ms / 1000)
        run.home("remote", w=power_w)
        assert narrowed(run, 8) == []
        assert abs(run.backend.signals()["truth.battery_w"] - power_w) < 100  # type: ignore[operator]  # it is a number
        run.home("remote", w=0)
        assert narrowed(run, 8) == []


@pytest.mark.parametrize("ramp", ["regulation", "urgent", "direct"])
def test_our_own_ramps_move_no_site_limit(ramp: str) -> None:
    with Run(load_w=LOAD_W, pv_w=0) as run:
        run.to(12).dispatch(11_000, ramp=ramp)
        assert narrowed(run, 25) == []
        run.do("aggregator.stop")
        assert narrowed(run, 5) == []


@pytest.mark.parametrize("load_w", [4_900, 200])
def test_a_house_that_changes_is_seen_at_once(load_w: int) -> None:
    """Within one cycle and the samples that it needs, whatever the battery does."""
    with Run(load_w=LOAD_W, pv_w=0) as run:
        run.to(12).dispatch(11_000, ramp="direct").wait(8)
        run.home("load", w=load_w)
        seen = [d.load_w for d in decisions(run, 4)]
        late = [n for n, load in enumerate(seen) if load is None or abs(load - load_w) > 200]
        assert late == list(range(len(late)))
        assert len(late) <= 1
