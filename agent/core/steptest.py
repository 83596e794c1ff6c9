"""Does the grid meter see the battery, with the right sign and the right size? Arithmetic only; it moves nothing.

A step of battery power must show at the grid connection the other way round: `d_grid = -gain * d_battery`, gain near 1.
Commissioning makes one deliberate step; afterwards every larger step of an ordinary day is a test for free. The house
moves the meter too: a verdict needs several steps that agree, never one. A wrong sign is reported, never corrected.
The same is asked of the BMS' current: power that leaves the inverter must leave the pack.
"""

from __future__ import annotations

from typing import NamedTuple

GAIN_LEAST, GAIN_MOST = 600, 1400  # permille of the step that the meter must show
SETTLED_W = 150  # two samples in a row within this: power has come to rest
STEPS_KEPT = 8
VERDICT_OF = 3  # agreeing steps of the last four
LEAST_STEP_W = 300


class Seen(NamedTuple):
    """One moment: battery power by the inverter and what is compared with it, W, + toward the house bus."""

    battery_w: int
    other_w: int


class Step(NamedTuple):
    """One step: by how much the battery moved, and the permille of it that the other showed (right sign = +1000)."""

    moved_w: int
    gain: int


class StepTest(NamedTuple):
    """The memory of one comparison. `sign`: -1 for the grid meter, +1 for the pack's own power."""

    sign: int
    base: Seen | None = None  # the last moment of rest before the step
    last: Seen | None = None
    steps: tuple[Step, ...] = ()

    def verdict(self) -> str | None:
        """ "ok", "reversed", "off" (deaf or of another size), or None while it is not known."""
        recent = self.steps[-4:]
        good = sum(GAIN_LEAST <= step.gain <= GAIN_MOST for step in recent)
        mirrored = sum(GAIN_LEAST <= -step.gain <= GAIN_MOST for step in recent)
        if good >= VERDICT_OF:
            return "ok"
        if mirrored >= VERDICT_OF:
            return "reversed"
        return "off" if len(recent) - good - mirrored >= VERDICT_OF else None


def follow(test: StepTest, seen: Seen | None, least_step_w: int) -> StepTest:
    """One new pair of samples of nearly the same moment; None = not known now, a running comparison is dropped.

    `least_step_w`: the smallest step worth judging, so that the house's own changes stay small beside it.
    """
    if seen is None:
        return test if test.base is None and test.last is None else StepTest(test.sign, None, None, test.steps)
    at_rest = test.last is not None and abs(seen.battery_w - test.last.battery_w) <= SETTLED_W
    if not at_rest:
        return StepTest(test.sign, test.base, seen, test.steps)
    if test.base is None:
        return StepTest(test.sign, seen, seen, test.steps)
    moved = seen.battery_w - test.base.battery_w
    if abs(moved) < max(LEAST_STEP_W, least_step_w):
        return StepTest(test.sign, seen, seen, test.steps)
    gain = test.sign * (seen.other_w - test.base.other_w) * 1000 // moved
    return test._replace(base=seen, last=seen, steps=(*test.steps[1 - STEPS_KEPT :], Step(moved, gain)))
