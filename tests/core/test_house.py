"""The house without its battery, out of readings of different times: no step of the battery is taken for one of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import house
from agent.core.params import S
from agent.core.snapshot import Trace, take
from drivers.readings import InverterReading, MeterReading
from tests.core import home as h
from tests.core.home import PARAMS
from tests.core.test_snapshot import NOW, world

MS = S // 1000
Samples = tuple[tuple[int, int], ...]


def meter(*samples: tuple[int, int]) -> MeterReading:
    """(ms, W), oldest first; the last one is the reading itself."""
    was = tuple((at * MS, w) for at, w in samples)
    return h.meter(was[-1][0], grid_w=was[-1][1], grid_was=was[:-1])


def battery(*samples: tuple[int, int]) -> InverterReading:
    was = tuple((at * MS, w) for at, w in samples)
    return h.inverter(was[-1][0], battery_w=was[-1][1], battery_was=was[:-1])


def net(m: MeterReading, *inverters: InverterReading, last: int | None = 900) -> tuple[int, int] | None:
    found = house.net(m, list(inverters), last)
    return None if found is None else (found[0] // MS, found[1])


def test_a_sample_of_the_meter_counts_with_the_battery_before_and_after_it() -> None:
    stepped = battery((0, 0), (250, 10_000))
    assert net(meter((100, 900)), stepped) == (100, 900)  # the step came after the meter was read
    assert net(meter((100, -9_100)), stepped) == (100, 900)  # or before
    assert net(meter((100, -9_600)), stepped) == (100, 400)  # and the house has changed as well
    assert net(meter((100, 1_500)), stepped) == (100, 1_500)
    assert net(meter((250, -9_500)), stepped) == (250, 500)  # at the very time of the battery's sample: exact
    assert net(meter((0, 700)), stepped) == (0, 700)
    assert net(meter((100, -9_100)), stepped, last=None) == (100, 900)  # nothing to compare with: as it is now
    assert net(meter((100, 900)), stepped, last=None) == (100, 10_900)


def test_a_sample_that_is_newer_than_the_battery_waits() -> None:
    seen = meter((0, 900), (250, 900), (500, -9_100))
    assert net(seen, battery((240, 0))) == (0, 900)
    assert net(seen, battery((240, 0), (499, 10_000))) == (250, 900)
    assert net(seen, battery((240, 0), (499, 0), (740, 10_000))) == (500, 900)


def test_a_battery_that_is_read_too_seldom_is_not_waited_for() -> None:
    assert net(meter((0, 900), (1_000, -9_100)), battery((5, 0))) == (0, 900)
    assert net(meter((0, 900), (1_001, -9_100)), battery((5, 0))) is None
    assert net(meter((1_000, -9_100)), battery((5, 0))) is None


def test_what_is_not_known_makes_no_sample() -> None:
    known = meter((100, 900))
    assert net(known) is None
    assert net(replace(known, grid_w=None), battery((200, 0))) is None
    assert net(known, replace(battery((200, 0)), battery_w=None)) is None


def test_several_inverters_are_bracketed_each_by_its_own_samples() -> None:
    one, two = battery((0, 0), (250, 5_000)), battery((50, 0), (300, 5_000))
    assert net(meter((100, -9_100)), one, two) == (100, 900)
    assert net(meter((100, -4_100)), one, two) == (100, 900)
    assert net(meter((260, -4_100)), one, two) is None  # the first has nothing after it yet
    assert net(meter((20, 900), (260, -4_100)), one, two) == (20, 900)
    assert net(meter((20, -4_100)), one, two) == (20, 900)  # of the second nothing is known before: as it was at first


sample = st.tuples(st.integers(0, 40).map(lambda n: n * 50), st.integers(-20_000, 20_000))
some = st.lists(sample, min_size=1, max_size=9, unique_by=lambda one: one[0]).map(sorted)


@settings(max_examples=300)
@given(some, some, st.one_of(st.none(), st.integers(-20_000, 20_000)))
def test_it_is_never_farther_from_a_pair_than_the_battery_moved(meters: Any, batteries: Any, last: int | None) -> None:
    """And of all that the two allow it is the nearest to what was before."""
    found = net(meter(*meters), battery(*batteries), last=last)
    if found is None:
        assert not [at for at, _ in meters if at <= batteries[-1][0] and meters[-1][0] - at <= 1000]
        return
    at_ms, net_w = found
    grid_w = dict(meters)[at_ms]
    after = next(n for n, (at, _) in enumerate(batteries) if at >= at_ms)
    exact = batteries[after][0] == at_ms or after == 0
    around = [w for _, w in batteries[after if exact else after - 1 : after + 1]]
    assert grid_w + min(around) <= net_w <= grid_w + max(around)
    if last is not None:
        assert all(abs(net_w - last) <= abs(w + grid_w - last) for w in around)
        assert net_w == last or net_w in [grid_w + w for w in around]


@settings(max_examples=300)
@given(st.lists(some, min_size=1, max_size=3), st.integers(-9_000, 9_000), st.integers(0, 20), st.integers(0, 3))
def test_what_it_leaves_open_contains_the_house_however_many_inverters(
    batteries: Any, house_w: int, at: int, steps: int
) -> None:
    """Each battery moves from one of its own samples to the next without going back: early, late, or steadily."""
    at_ms = at * 50
    truth_w = 0.0
    for was in batteries:
        before = max([s for s in was if s[0] <= at_ms], default=was[0])
        after = min([s for s in was if s[0] >= at_ms], default=was[-1])
        there = 0.0 if before[0] >= after[0] else (at_ms - before[0]) / (after[0] - before[0])
        truth_w += before[1] + (after[1] - before[1]) * (there, there**3, 1.0 if there else 0.0, there**0.3)[steps]
    read = h.meter(at_ms * MS, grid_w=round(house_w - truth_w))
    found = house.net(read, [battery(*was) for was in batteries], None)
    if found is None:
        assert min(was[-1][0] for was in batteries) < at_ms
        return
    assert found.lo_w - 1 <= house_w <= found.hi_w + 1
    assert found.lo_w <= found.w <= found.hi_w


def test_without_a_sample_after_it_the_last_movement_of_each_battery_is_left_open() -> None:
    one, two = battery((0, 1_000), (250, 5_000)), battery((50, 300))
    found = house.late(h.meter(3_000 * MS, grid_w=-4_000), 5_300, [one, two, replace(one, battery_w=None)])
    assert found == house.Net(3_000 * MS, 1_300, -2_700, 5_300)


def test_a_battery_that_does_not_rest_hides_a_change_of_the_house_for_five_seconds_at_most() -> None:
    """The house takes 500 W; from the fifth second on 5.5 kW, just as much as the battery swings by each second."""
    trace, seen = Trace(NOW), []
    for n in range(20):
        now = NOW + n * S
        swing, was = (0, -5_000) if n % 2 else (-5_000, 0)
        house_w = 500 if n < 5 else 5_500
        read = h.meter(now - 400 * MS, grid_w=house_w - was)  # the battery moved just after the meter was read
        told = h.inverter(now, battery_w=swing, battery_was=((now - S, was),))
        one, trace = take(PARAMS, world(now, meters=(read,), inverters=(told,)), trace)
        seen.append((one.net_lo_w, one.net_hi_w))
    assert (500, 500) in seen[:5]
    assert all(lo is not None and hi is not None and lo <= 5_500 <= hi for lo, hi in seen[10:])
    for n in range(20, 26):  # and once it rests, all is known again
        now = NOW + n * S
        told = h.inverter(now, battery_w=0, battery_was=((now - S, 0),))
        one, trace = take(PARAMS, world(now, meters=(h.meter(now - 400 * MS, grid_w=5_500),), inverters=(told,)), trace)
        seen.append((one.net_lo_w, one.net_hi_w))
    assert seen[-1] == (5_500, 5_500)


# --- in the snapshot --------------------------------------------------------------------------------------------------
def test_a_step_of_the_battery_leaves_the_house_as_it_was() -> None:
    trace = Trace(NOW)
    nets: list[tuple[int | None, int | None, int | None]] = []
    grid: Samples = ()
    power: Samples = ()
    for n in range(40):  # a cycle with every sample; the meter is read 100 ms after the battery
        now = NOW + n * 250 * MS
        stepped = (n - 6) * 10_000 if 6 <= n <= 7 else 10_000 if n > 7 else 0
        seen = 10_000 if n >= 6 else 0
        inverter = h.inverter(now, battery_w=stepped, battery_was=power[-8:])
        grid_w = 900 - seen
        parts = world(
            now + 100 * MS,
            inverters=(inverter,),
            meters=(h.meter(now + 100 * MS, grid_w=grid_w, grid_was=grid[-8:]),),
        )
        grid, power = (*grid, (now + 100 * MS, grid_w)), (*power, (now, stepped))
        snapshot, trace = take(PARAMS, parts, trace)
        nets.append((snapshot.net_lo_w, snapshot.net_hi_w, snapshot.load_w))
    assert nets[2:] == [(900, 900, 900)] * 38


def test_the_least_and_the_most_are_of_the_last_three_samples_of_the_meter() -> None:
    trace, seen = Trace(NOW), []
    for n, grid_w in enumerate((900, 400, 1_200, 700, 700, 700)):
        now = NOW + n * S
        one, trace = take(PARAMS, world(now, meters=(h.meter(now, grid_w=grid_w),)), trace)
        seen.append((one.net_lo_w, one.net_hi_w))
    assert seen == [(900, 900), (400, 900), (400, 1_200), (400, 1_200), (700, 1_200), (700, 700)]


def test_a_sample_older_than_the_last_one_adds_nothing() -> None:
    first, trace = take(PARAMS, world(meters=(h.meter(NOW, grid_w=900),)), Trace(NOW))
    later = NOW + S
    old = h.meter(later, grid_w=-9_000, grid_was=((NOW - 250 * MS, 0), (NOW, 900)))
    again, after = take(PARAMS, world(later, meters=(old,), inverters=(h.inverter(NOW),)), trace)
    assert (first.net_lo_w, again.net_lo_w, again.net_hi_w) == (900, 900, 900)
    assert (after.net_at_ns, after.nets) == (trace.net_at_ns, trace.nets)


def test_without_the_meter_or_the_battery_nothing_is_kept() -> None:
    _, trace = take(PARAMS, world(), Trace(NOW))
    assert trace.nets == (500,)
    for lost in ({"meters": ()}, {"inverters": ()}, {"meters": (h.meter(NOW + S, grid_w=None),)}):
        seen, after = take(PARAMS, world(NOW + S, batteries=(), **lost), trace)
        assert (seen.net_lo_w, seen.load_w, after.nets, after.net_at_ns) == (None, None, (), None)
