"""The soak judges growth by quarters; a short one of the real daemon holds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hil.figures import Report
from hil.soak.cli import Held, report, soak


def run(
    rss_a_second: float = 0.0,
    leak_fd: bool = False,
    seconds: int = 7200,
    starts: int = 1,
    late: int = 0,
    stalls: Sequence[tuple[float, float]] = (),
) -> Report:
    held = [
        Held(s, round(60_000 + s * rss_a_second), 20 + (s // 1000 if leak_fd else 0), 9) for s in range(0, seconds, 10)
    ]
    stamps = [s * 1_000_000_000 for s in range(seconds) if s >= 2 * late or s % 2 == 0]
    return report(held, stamps, starts, 0, seconds, stalls)


def missed(found: Report) -> list[str]:
    return [figure.name.split(",")[0] for figure in found.figures if not figure.holds]


def test_a_flat_run_holds_and_a_leak_does_not() -> None:
    assert run().ok
    assert missed(run(rss_a_second=1.2 * 1024 / 86_400 * 10)) == ["memory grown a day"]
    assert missed(run(leak_fd=True)) == ["descriptors more than when it had settled"]
    assert missed(run(starts=2)) == ["starts"]


def test_a_short_run_does_not_claim_what_it_cannot_know() -> None:
    short = run(rss_a_second=1.0, seconds=600)
    assert short.ok
    assert "not judged" in short.figures[0].note
    assert "not judged" in short.figures[5].note


def test_cycles_that_come_late_are_found_unless_the_machine_itself_stood_still() -> None:
    assert run(seconds=1100).figures[5].reach == "<= 1250"
    assert missed(run(late=10)) == ["between two cycles"]
    assert missed(run(late=10, seconds=600)) == []
    stalled = run(late=10, stalls=[(12.0, 12_000.0)])
    assert missed(stalled) == []
    assert stalled.figures[-1].value == 1


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_real_daemon_for_half_a_minute() -> None:
    found = soak(30.0)
    assert missed(found) == []
    assert found.figures[5].beside["cycles"] != 0
