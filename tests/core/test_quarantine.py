"""Blocks that cannot be true: refused one by one, a fault when they are no accident, never a good one among them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.core.params import S
from agent.core.quarantine import LEAP_NS, Watch, follow
from drivers.readings import BatteryReading
from tests.core.home import battery

NOW = 1_000 * S


def feed(watch: Watch | None, at_s: int, **changes: Any) -> Watch:
    return follow(watch, battery(NOW + at_s * S, **changes), NOW + at_s * S)


def known() -> Watch:
    """A pack that has said often enough how many cells it has."""
    return feed(feed(feed(None, -2), -1), 0)


def test_a_good_block_is_used_and_its_cells_are_counted() -> None:
    watch = feed(None, 0)
    assert watch.good == battery(NOW) and watch.cells == 16 and watch.fault is None


def test_one_odd_block_of_a_bms_that_starts_fixes_nothing() -> None:
    watch = feed(None, -3, pack_mv=85_800)  # 26 cells, once
    watch = feed(watch, -2)
    assert (watch.cells, watch.agreed) == (16, 1)
    watch = feed(feed(feed(watch, -1), 0), 1)
    assert (watch.cells, watch.agreed) == (16, 3)
    watch = feed(watch, 2, pack_mv=85_800)
    assert watch.good == battery(NOW + S)
    silent = feed(known(), 1, pack_mv=None)
    assert (silent.cells, silent.agreed) == (16, 3)
    assert feed(feed(None, 0), 1, pack_mv=None).agreed == 1


def test_a_cleared_block_is_not_used() -> None:
    watch = feed(feed(None, 0), 1, pack_mv=0, cell_max_mv=0, cell_min_mv=0, soc_permille=0)
    assert watch.good == battery(NOW) and "cleared block" in watch.why and watch.fault is None


def test_a_block_that_says_not_known_is_honest() -> None:
    watch = feed(feed(None, 0), 1, pack_mv=None, cell_max_mv=None, cell_min_mv=None, soc_permille=None)
    assert watch.good is not None and watch.good.at_ns == NOW + S and watch.refused_ns == ()


def test_a_scale_that_changes_is_refused() -> None:
    watch = feed(known(), 1, pack_mv=528_000)
    assert watch.good == battery(NOW) and "not the 16 cells" in watch.why
    assert feed(known(), 1, pack_mv=5_280).good == battery(NOW)
    assert "a pack of 0 cells" in feed(None, 0, pack_mv=528).why
    assert feed(None, 0, pack_mv=5_280_000).good is None


def test_cells_that_differ_are_still_the_same_pack() -> None:
    watch = known()
    watch = feed(watch, 1, cell_max_mv=3550, cell_min_mv=3100, pack_mv=53_000)
    assert watch.good is not None and watch.good.at_ns == NOW + S
    watch = feed(watch, 2, cell_max_mv=3300, cell_min_mv=3300, pack_mv=52_800 * 1029 // 1000)
    assert watch.refused_ns == ()
    watch = feed(watch, 3, cell_max_mv=3300, cell_min_mv=3300, pack_mv=52_800 * 1031 // 1000)
    assert len(watch.refused_ns) == 1
    watch = feed(watch, 4, cell_max_mv=3300, cell_min_mv=3300, pack_mv=52_800 * 969 // 1000)
    assert len(watch.refused_ns) == 2


def test_no_cell_comes_back_by_twenty_kelvin_in_a_second() -> None:
    watch = feed(None, 0)
    assert feed(watch, 1, temp_max_dc=11).refused_ns == ()
    cooled = feed(watch, 1, temp_max_dc=10, soc_permille=555)
    assert "from 21.0 to 1.0 °C" in cooled.why and len(cooled.refused_ns) == 1
    assert cooled.good is not None and (cooled.good.temp_max_dc, cooled.good.soc_permille) == (210, 555)
    assert feed(watch, 1, temp_min_dc=399, temp_max_dc=399).refused_ns == ()
    warmed = feed(watch, 1, temp_min_dc=400, temp_max_dc=400)
    assert "from 20.0 to 40.0 °C" in warmed.why
    assert warmed.good is not None and (warmed.good.temp_min_dc, warmed.good.temp_max_dc) == (200, 400)
    assert feed(watch, LEAP_NS // S + 1, temp_max_dc=-100).refused_ns == (), "after a silence anything may be"


def test_a_temperature_that_stays_where_it_went_is_believed_after_a_minute() -> None:
    watch = feed(None, 0, temp_max_dc=600)
    for second in range(1, LEAP_NS // S + 1):
        watch = feed(watch, second)
        assert watch.good is not None and watch.good.temp_max_dc == 600
    watch = feed(watch, LEAP_NS // S + 1)
    assert watch.good is not None and watch.good.temp_max_dc == 210


def test_what_comes_nearer_to_danger_is_believed_at_once() -> None:
    watch = feed(None, 0)
    assert feed(watch, 1, temp_max_dc=650).refused_ns == ()
    assert feed(watch, 1, temp_min_dc=-300).refused_ns == ()


def test_three_within_ten_seconds_are_a_fault_and_it_passes() -> None:
    watch = feed(None, 0)
    for second in (1, 2):
        watch = feed(watch, second, pack_mv=5_280)
        assert watch.fault is None
    watch = feed(watch, 3, pack_mv=5_280)
    assert "a pack of 2 cells" in (watch.fault or "")
    watch = feed(watch, 4)
    assert watch.good is not None and watch.good.at_ns == NOW + 4 * S and watch.fault is not None
    watch = feed(watch, 13)
    assert watch.fault is None


def test_one_block_seen_twice_is_one_block() -> None:
    watch = feed(None, 0)
    bad = battery(NOW + S, pack_mv=5_280)
    for _ in range(5):
        watch = follow(watch, bad, NOW + 2 * S)
    assert len(watch.refused_ns) == 1


READINGS = st.builds(
    battery,
    st.integers(0, 100 * S),
    soc_permille=st.none() | st.integers(0, 1000),
    pack_mv=st.none() | st.integers(0, 1_500_000),
    cell_max_mv=st.none() | st.integers(0, 6000),
    cell_min_mv=st.none() | st.integers(0, 6000),
    temp_max_dc=st.none() | st.integers(-500, 1500),
    temp_min_dc=st.none() | st.integers(-500, 1500),
)


@given(st.lists(READINGS, max_size=20))
def test_it_never_raises_and_only_passes_on_what_was_given(blocks: list[BatteryReading]) -> None:
    watch: Watch | None = None
    for index, block in enumerate(blocks):
        before = watch
        watch = follow(watch, block, index * S)
        kept = watch.good.at_ns if watch.good is not None else None
        assert kept == block.at_ns or watch.good == (before.good if before is not None else None)
        assert len(watch.refused_ns) <= 3
