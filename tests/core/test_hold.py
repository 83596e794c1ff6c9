"""Memory of limits: worked examples, and the law that it only narrows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.caps import PLAIN, Facts
from agent.core.hold import FORGET_NS, REST_W, Hold, hold_ns, margin, narrow
from agent.core.limits import LIMITS, Lift
from agent.core.params import S
from agent.core.permit import caps, fold
from tests.core.home import PARAMS
from tests.core.test_limits import BASE, MWH

INDEX = {row.id: i for i, row in enumerate(LIMITS)}


class Memory:
    """`narrow` in its loop, one call a second."""

    def __init__(self) -> None:
        self.now = 0
        self.holds: tuple[Hold, ...] = ()
        self.left: list[int] = []

    def see(self, facts: Facts, seconds: int = 1) -> Memory:
        for _ in range(seconds):
            self.now += S
            self.left, self.holds = narrow(caps(PLAIN, facts, PARAMS), self.holds, facts, PARAMS, self.now, S)
        return self

    def cap(self, row: str) -> int:
        return self.left[INDEX[row]]


def test_what_never_narrowed_has_no_memory() -> None:
    memory = Memory().see(BASE, 5)
    assert memory.holds == ()
    assert memory.left == caps(PLAIN, BASE, PARAMS)


def test_a_limit_that_narrows_is_there_at_once() -> None:
    memory = Memory().see(BASE).see(BASE._replace(dcl_ma=50_000))
    assert memory.cap("dcl") == 2640


def test_hold_then_ramp() -> None:
    """Zero for thirty seconds after the BMS allows again, then 250 W a second."""
    memory = Memory().see(BASE._replace(discharge_on=0))
    memory.see(BASE, 30)
    assert memory.cap("discharge_enable") == 0
    memory.see(BASE)
    assert memory.cap("discharge_enable") == 250
    memory.see(BASE, 3)
    assert memory.cap("discharge_enable") == 1000
    memory.see(BASE, 42)
    assert memory.cap("discharge_enable") == 11_400
    assert [(h.cap_w, h.falls) for h in memory.holds] == [(REST_W, 1)]  # it narrows nothing, and is remembered


def test_a_relapse_begins_the_hold_anew() -> None:
    memory = Memory().see(BASE._replace(discharge_on=0)).see(BASE, 29)
    memory.see(BASE._replace(discharge_on=0)).see(BASE, 30)
    assert memory.cap("discharge_enable") == 0


def test_the_ramp_never_exceeds_what_the_limit_leaves() -> None:
    memory = Memory().see(BASE._replace(dcl_ma=0)).see(BASE._replace(dcl_ma=10_000), 60)
    assert memory.cap("dcl") == 528


def test_temperature_needs_two_degrees_to_lift() -> None:
    memory = Memory().see(BASE._replace(temp_min_dc=0))
    memory.see(BASE._replace(temp_min_dc=20), 90)  # 2.0 °C less 2 is still 0
    assert memory.cap("temperature_charge") == 0
    memory.see(BASE._replace(temp_min_dc=21), 30)
    assert memory.cap("temperature_charge") == 0
    memory.see(BASE._replace(temp_min_dc=21), 1)
    assert memory.cap("temperature_charge") == 250


def test_reserve_needs_two_percent_to_lift_from_zero() -> None:
    memory = Memory().see(BASE._replace(soc_lo_mwh=200 * MWH))
    memory.see(BASE._replace(soc_lo_mwh=220 * MWH), 90)
    assert memory.cap("reserve") == 0
    memory.see(BASE._replace(soc_lo_mwh=221 * MWH), 31)
    assert memory.cap("reserve") == 250


def test_falling_back_within_the_margin_before_the_lift_begins_anew() -> None:
    memory = Memory().see(BASE._replace(soc_lo_mwh=200 * MWH)).see(BASE._replace(soc_lo_mwh=221 * MWH), 20)
    memory.see(BASE._replace(soc_lo_mwh=219 * MWH)).see(BASE._replace(soc_lo_mwh=221 * MWH), 30)
    assert memory.cap("reserve") == 0


def test_cell_voltage_is_latched_until_it_limits_nothing() -> None:
    memory = Memory().see(BASE._replace(cell_max_mv=3500))
    assert memory.cap("cell_high") == 1140
    memory.see(BASE._replace(cell_max_mv=3401), 120)
    assert memory.cap("cell_high") == 1140
    memory.see(BASE._replace(cell_max_mv=3400), 31)
    assert memory.cap("cell_high") == 1390


def test_a_latched_voltage_that_rises_again_latches_again() -> None:
    memory = Memory().see(BASE._replace(cell_max_mv=3500)).see(BASE._replace(cell_max_mv=3399), 20)
    memory.see(BASE._replace(cell_max_mv=3420)).see(BASE._replace(cell_max_mv=3399), 30)
    assert memory.cap("cell_high") == 1140


def test_site_limits_follow_the_house_without_memory() -> None:
    memory = Memory().see(BASE._replace(net_hi_w=25_000))
    assert memory.cap("site_import") == 0
    memory.see(BASE)
    assert memory.cap("site_import") == 19_500


def test_margin_makes_every_quantity_worse() -> None:
    worse = margin(BASE, PARAMS)
    assert worse.cell_max_mv == BASE.cell_max_mv + 30
    assert worse.cell_min_mv == BASE.cell_min_mv - 30
    assert worse.temp_max_dc == BASE.temp_max_dc + 20
    assert worse.temp_min_dc == BASE.temp_min_dc - 20
    assert worse.soc_lo_mwh == BASE.soc_lo_mwh - 20 * MWH
    assert worse.soc_hi_mwh == BASE.soc_hi_mwh + 20 * MWH
    assert worse.spread_mv == BASE.spread_mv + 50


FACTS = st.builds(
    BASE._replace,
    cell_max_mv=st.integers(3300, 3600),
    cell_min_mv=st.integers(2850, 3300),
    temp_max_dc=st.integers(100, 600),
    temp_min_dc=st.integers(-150, 100),
    soc_lo_mwh=st.integers(190 * MWH, 230 * MWH),
    soc_hi_mwh=st.integers(970 * MWH, 1000 * MWH),
    dcl_ma=st.integers(0, 240_000),
    charge_on=st.integers(0, 1),
    net_hi_w=st.integers(0, 30_000),
)


@settings(deadline=None)
@given(st.lists(st.tuples(FACTS, st.integers(0, 40 * S)), min_size=1, max_size=12))
def test_memory_only_narrows_and_never_delays_tightening(cycles: list[tuple[Facts, int]]) -> None:
    now = 0
    holds: tuple[Hold, ...] = ()
    for facts, dt in cycles:
        now += dt
        pure = caps(PLAIN, facts, PARAMS)
        left, holds = narrow(pure, holds, facts, PARAMS, now, dt)
        assert all(a <= b for a, b in zip(left, pure, strict=True))
        assert all(a >= 0 for a in left)
        lo, hi = fold(PLAIN, left)
        pure_lo, pure_hi = fold(PLAIN, pure)
        assert pure_lo <= lo <= 0 <= hi <= pure_hi


@settings(deadline=None)
@given(FACTS, FACTS, st.integers(0, 100))
def test_what_is_held_grows_by_no_more_than_its_ramp(first: Facts, second: Facts, seconds: int) -> None:
    memory = Memory().see(first)
    for _ in range(seconds):
        before = memory.left
        memory.see(second)
        for i, row in enumerate(LIMITS):
            if row.lift is not Lift.LIVE and any(h.index == i and h.cap_w < REST_W for h in memory.holds):
                assert memory.left[i] <= before[i] + 250


def test_a_limit_with_a_margin_needs_it_from_zero_only() -> None:
    """Derated by cold to a quarter, not to nothing: it lifts without waiting for two degrees more."""
    memory = Memory().see(BASE._replace(temp_min_dc=10))  # 125 permille
    memory.see(BASE._replace(temp_min_dc=15), 30)
    assert memory.cap("temperature_charge") == 1425
    memory.see(BASE._replace(temp_min_dc=15), 1)
    assert memory.cap("temperature_charge") == 1675


def test_the_ramp_never_stands_still() -> None:
    """A cycle too short for a whole watt still grows by one."""
    _, holds = narrow(caps(PLAIN, BASE._replace(dcl_ma=0), PARAMS), (), BASE, PARAMS, 0, 0)
    _, holds = narrow(caps(PLAIN, BASE, PARAMS), holds, BASE, PARAMS, 1, 0)
    left, holds = narrow(caps(PLAIN, BASE, PARAMS), holds, BASE, PARAMS, 30 * S + 1, 1)
    assert left[INDEX["dcl"]] == 1


def test_the_margin_must_leave_more_than_nothing() -> None:
    """19 mWh above the reserve and its margin are 1 W over the look-ahead: that lifts it, 18 mWh do not."""
    memory = Memory().see(BASE._replace(soc_lo_mwh=200 * MWH))
    memory.see(BASE._replace(soc_lo_mwh=220 * MWH + 18), 90)
    assert memory.cap("reserve") == 0
    memory.see(BASE._replace(soc_lo_mwh=220 * MWH + 19), 31)
    assert memory.cap("reserve") == 250


def test_memory_ends_when_what_it_leaves_is_the_whole_nameplate() -> None:
    """11 150 W and one second more are 11 400 W: what the BMS leaves beyond that is not held back any more."""
    left, holds = narrow(caps(PLAIN, BASE, PARAMS), (Hold(INDEX["dcl"], 11_150, 0),), BASE, PARAMS, 30 * S, S)
    assert holds == ()
    assert left[INDEX["dcl"]] == 12_672
    _, holds = narrow(caps(PLAIN, BASE, PARAMS), (Hold(INDEX["dcl"], 11_149, 0),), BASE, PARAMS, 30 * S, S)
    assert holds == (Hold(INDEX["dcl"], 11_399, 0),)


def test_what_is_remembered_is_what_was_left_not_what_the_ramp_would_have_allowed() -> None:
    facts = BASE._replace(dcl_ma=10_000)  # 528 W
    _, holds = narrow(caps(PLAIN, facts, PARAMS), (Hold(INDEX["dcl"], 500, 0),), facts, PARAMS, 30 * S, S)
    assert holds == (Hold(INDEX["dcl"], 528, 0),)


# --- cells that drifted apart -----------------------------------------------------------------------------------------
def test_drifted_cells_must_stay_together_for_ten_minutes() -> None:
    """A quarter from 150 mV; free again below 100 mV for 10 min, then 250 W a second."""
    memory = Memory().see(BASE._replace(spread_mv=150))
    assert memory.cap("imbalance_charge") == 2_850
    memory.see(BASE._replace(spread_mv=100), 700)
    assert memory.cap("imbalance_charge") == 2_850
    memory.see(BASE._replace(spread_mv=99), 600)
    assert memory.cap("imbalance_charge") == 2_850
    memory.see(BASE._replace(spread_mv=99))
    assert memory.cap("imbalance_charge") == 3_100


def test_a_pack_that_fell_apart_moves_nothing_until_it_is_together_again() -> None:
    memory = Memory().see(BASE._replace(spread_mv=300)).see(BASE._replace(spread_mv=250), 700)
    assert memory.cap("imbalance_discharge") == 0  # it needs less than 250 mV, which is 300 less the margin
    memory.see(BASE._replace(spread_mv=249), 601)
    assert memory.cap("imbalance_discharge") == 250


def test_memory_keeps_no_cell_from_its_cure() -> None:
    memory = Memory().see(BASE._replace(spread_mv=400), 5).see(BASE._replace(spread_mv=400, cell_cure=1))
    assert memory.cap("imbalance_charge") == 1_250
    assert memory.cap("imbalance_discharge") == 0
    memory.see(BASE._replace(spread_mv=120))
    assert memory.cap("imbalance_charge") == 0  # it is not together again


# --- limits that come back time and again -----------------------------------------------------------------------------
def blocked(memory: Memory) -> int:
    """Seconds from the BMS' word that it may until the first watt."""
    memory.see(BASE._replace(discharge_on=0))
    seconds = 0
    while memory.cap("discharge_enable") == 0:
        memory.see(BASE)
        seconds += 1
    memory.see(BASE, 46)
    assert memory.cap("discharge_enable") == 11_400
    return seconds - 1


def test_a_third_return_doubles_the_hold_and_so_does_each_further_one_up_to_15_minutes() -> None:
    memory = Memory()
    assert [blocked(memory) for _ in range(10)] == [30, 30, 30, 60, 120, 240, 480, 900, 900, 900]


def test_returns_are_forgotten_at_a_quarter_of_the_rate_that_is_too_much() -> None:
    """Three an hour are too many: one is forgotten in 80 minutes, and the last of them with its memory."""
    assert FORGET_NS == 80 * 60 * S
    memory = Memory()
    assert [blocked(memory) for _ in range(4)][-1] == 60
    memory.now += 80 * 60 * S
    memory.see(BASE)
    assert blocked(memory) == 60  # one forgotten, one more
    for _ in range(5):
        memory.now += 80 * 60 * S
        memory.see(BASE)
    assert memory.holds == ()
    assert blocked(memory) == 30


def test_a_reading_that_trembles_is_no_return() -> None:
    """A tenth of 11.4 kW counts, a watt less does not."""
    memory = Memory().see(BASE._replace(dcl_ma=200_000))  # 10560 W, 840 below
    assert [h.falls for h in memory.holds] == [0]
    memory.see(BASE._replace(dcl_ma=178_410))  # 9420 W: 1140 below
    assert [h.falls for h in memory.holds] == [1]
    memory.see(BASE._replace(dcl_ma=160_000)).see(BASE._replace(dcl_ma=140_000))
    assert [h.falls for h in memory.holds] == [1]


def test_what_was_forgotten_halfway_is_counted_from_there() -> None:
    held = Hold(INDEX["dcl"], REST_W, None, 2, 0)
    free = caps(PLAIN, BASE, PARAMS)
    _, (later,) = narrow(free, (held,), BASE, PARAMS, FORGET_NS, S)
    assert (later.falls, later.counted_ns) == (1, FORGET_NS)
    _, (same,) = narrow(free, (held,), BASE, PARAMS, FORGET_NS - 1, S)
    assert same is held


@given(st.integers(0, 20), st.integers(0, 20))
def test_more_returns_never_shorten_a_hold(few: int, more: int) -> None:
    for row in (LIMITS[INDEX["dcl"]], LIMITS[INDEX["imbalance_charge"]]):
        short, long = sorted((few, more))
        least = hold_ns(row, Hold(0, 0, None, short), PARAMS)
        assert 30 * S <= least <= hold_ns(row, Hold(0, 0, None, long), PARAMS) <= 900 * S
    longer = replace(PARAMS, timers=replace(PARAMS.timers, hold_ns=1000 * S))
    assert hold_ns(LIMITS[INDEX["dcl"]], Hold(0, 0, None, more), longer) == 1000 * S


def test_a_nameplate_of_a_few_watts_counts_its_falls_too() -> None:
    tiny = replace(PARAMS, site=replace(PARAMS.site, nameplate_discharge_w=5))
    _, holds = narrow(caps(PLAIN, BASE._replace(discharge_on=0), tiny), (), BASE, tiny, 7, S)
    assert next(h for h in holds if h.index == INDEX["discharge_enable"]) == Hold(
        INDEX["discharge_enable"], 0, None, 1, 7
    )


def test_what_never_fell_has_nothing_to_forget() -> None:
    facts = BASE._replace(dcl_ma=10_000)
    still = Hold(INDEX["dcl"], 528)
    _, holds = narrow(caps(PLAIN, facts, PARAMS), (still,), facts, PARAMS, 9 * FORGET_NS, S)
    assert holds == (still,)


def test_of_a_few_watts_what_stands_still_is_no_fall() -> None:
    tiny = replace(PARAMS, site=replace(PARAMS.site, nameplate_discharge_w=5))
    facts = BASE._replace(rated_discharge_w=5, pack_mv=1_000, dcl_ma=3_000)  # 3 W
    _, holds = narrow(caps(PLAIN, facts, tiny), (Hold(INDEX["dcl"], 3, 0),), facts, tiny, 7, S)
    assert next(h for h in holds if h.index == INDEX["dcl"]).falls == 0
