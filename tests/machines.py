"""How Hypothesis runs the state machines of these tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

# Hypothesis shrinks for 300 s at most. A timeout in that time breaks off one of its runs, which it then takes for a
# second, flaky failure beside the true one; nor is it worth minutes of tracing to explain what the steps show.
TO_SHRINK = pytest.mark.timeout(900)
PHASES = [phase for phase in Phase if phase is not Phase.explain]


def limits(examples: int, steps: int) -> settings:
    """The same examples each time, as long as the same tests are collected: Hypothesis draws constants of whatever
    modules of the project are imported, too."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        phases=PHASES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
