"""How far the wall clock is believed."""

from __future__ import annotations

from agent.clock import ClockKeeper
from agent.core.inputs import ClockTrust
from agent.runtime.part import Now


def test_nothing_said_means_untrusted() -> None:
    assert ClockKeeper("k", "b").read(Now(1, 5)).trust is ClockTrust.UNTRUSTED


def test_kernel_time_is_synced_and_then_held_over() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.ntp(True)
    assert keeper.read(Now(1, 5)).trust is ClockTrust.SYNCED
    keeper.ntp(False)
    clock = keeper.read(Now(2, 6))
    assert (clock.trust, clock.wall_ms) == (ClockTrust.HOLDOVER, 6)


def test_a_signed_time_sets_the_offset_until_the_kernel_knows_better() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.signed(1000)
    clock = keeper.read(Now(1, 5))
    assert (clock.trust, clock.wall_ms) == (ClockTrust.SYNCED, 1005)
    keeper.ntp(True)
    assert keeper.read(Now(1, 5)).wall_ms == 5
