"""Every row of LIMITS with numbers worked by hand, beside the laws and proofs, so that both are not the same mistake.

Base: 25 kWh, 11.4 kW both ways, SoC 60 %, reserve 20 %, 52.8 V, 240 A, 3.300-3.305 V, 20-21 °C, house 500 W,
20 kW import and export. Look-ahead 5 + 1 + 1 + 60 = 67 s: one permille (25 Wh) in 67 s is 25 * 3600 / 67 = 1343.28 W.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.bounds import evaluate, shut
from agent.core.caps import NEVER_NS, PLAIN, Facts, table
from agent.core.decision import Side
from agent.core.limits import LIMITS, Limit
from agent.core.params import Params, S, Table
from agent.core.permit import binding, caps, gather, permit
from agent.core.snapshot import Trace, take
from tests.core.home import PARAMS, Home

MWH = 25_000  # one permille


def base_facts() -> Facts:
    """The good home's facts, as the shipped code gathers them, in a mode that acts."""
    home = Home()
    home.tick()
    home.battery["soc_permille"] = 600
    snapshot, _ = take(PARAMS, home.inputs(()), Trace(home.now_ns))
    return gather(snapshot, acting=True, returning=False, spent_mwh=0, cell_cure=0)


BASE = base_facts()
CAP = {row.id: row.cap for row in LIMITS}

# (row, changed facts, cap)
ROWS = [
    ("islanded", {"grid": 1}, 11_400),
    ("islanded", {"grid": 0}, 11_400),  # its own row says so
    ("islanded", {"grid": 2}, 0),
    ("grid_unknown", {"grid": 0}, 0),
    ("grid_unknown", {"grid": 1}, 11_400),
    ("grid_return", {"returning": 1}, 0),
    ("grid_return", {"returning": 0}, 11_400),
    ("stale_battery", {"battery_age_ns": 5 * S}, 11_400),
    ("stale_battery", {"battery_age_ns": 5 * S + 1}, 0),
    ("stale_battery", {"battery_age_ns": NEVER_NS}, 0),
    ("stale_battery", {"battery_age_ns": 9 * S, "battery_stale_ns": 10 * S}, 11_400),
    ("stale_inverter", {"inverter_age_ns": 5 * S}, 11_400),
    ("stale_inverter", {"inverter_age_ns": 5 * S + 1}, 0),
    ("stale_meter", {"meter_age_ns": 3 * S}, 11_400),
    ("stale_meter", {"meter_age_ns": 3 * S + 1}, 0),
    ("device", {"devices_ok": 0}, 0),
    ("device", {"devices_ok": 1}, 11_400),
    ("reversion", {"controllable": 0}, 0),
    ("reversion", {"controllable": 1}, 11_400),
    ("state", {"acting": 0}, 0),
    ("state", {"acting": 1}, 11_400),
    ("alarm_charge", {"charge_alarm": 1}, 0),
    ("alarm_charge", {"discharge_alarm": 1}, 11_400),
    ("alarm_discharge", {"discharge_alarm": 1}, 0),
    ("alarm_discharge", {"charge_alarm": 1}, 11_400),
    ("charge_enable", {"charge_on": 0}, 0),
    ("charge_enable", {"charge_on": 1}, 11_400),
    ("discharge_enable", {"discharge_on": 0}, 0),
    ("discharge_enable", {"discharge_on": 1}, 11_400),
    ("ccl", {}, 12_672),  # 52.8 V * 240 A
    ("ccl", {"ccl_ma": 0}, 0),
    ("ccl", {"ccl_ma": 100_000, "pack_mv": 50_001}, 5_000),  # 5000.1 W rounded down
    ("ccl", {"pack_mv": 0}, 0),
    ("dcl", {"dcl_ma": 50_000}, 2_640),
    ("dcl", {"dcl_ma": 0}, 0),
    ("cell_high", {"cell_max_mv": 3399}, 11_400),
    ("cell_high", {"cell_max_mv": 3400}, 11_400),
    ("cell_high", {"cell_max_mv": 3425}, 8_550),  # half way from 1000 to 500 permille: 750
    ("cell_high", {"cell_max_mv": 3450}, 5_700),
    ("cell_high", {"cell_max_mv": 3475}, 3_420),  # 300 permille
    ("cell_high", {"cell_max_mv": 3500}, 1_140),
    ("cell_high", {"cell_max_mv": 3549}, 22),  # 100 - ceil(49 * 2) = 2 permille -> 22.8 W
    ("cell_high", {"cell_max_mv": 3550}, 0),
    ("cell_high", {"cell_max_mv": 4000}, 0),
    ("cell_high", {"cells_known": 0}, 0),
    ("cell_low", {"cell_min_mv": 3150}, 11_400),
    ("cell_low", {"cell_min_mv": 3125}, 8_550),
    ("cell_low", {"cell_min_mv": 3100}, 5_700),
    ("cell_low", {"cell_min_mv": 3050}, 3_420),  # half way from 100 to 500 permille: 300
    ("cell_low", {"cell_min_mv": 3000}, 1_140),
    ("cell_low", {"cell_min_mv": 2950}, 570),  # 50 permille
    ("cell_low", {"cell_min_mv": 2901}, 11),  # 1 permille
    ("cell_low", {"cell_min_mv": 2900}, 0),
    ("cell_low", {"cells_known": 0}, 0),
    ("temperature_charge", {"temp_min_dc": 0}, 0),
    ("temperature_charge", {"temp_min_dc": -300}, 0),
    ("temperature_charge", {"temp_min_dc": 10}, 1_425),  # 125 permille
    ("temperature_charge", {"temp_min_dc": 20}, 2_850),
    ("temperature_charge", {"temp_min_dc": 50}, 5_700),
    ("temperature_charge", {"temp_min_dc": 75}, 8_550),
    ("temperature_charge", {"temp_min_dc": 100, "temp_max_dc": 400}, 11_400),
    ("temperature_charge", {"temp_max_dc": 450}, 5_700),
    ("temperature_charge", {"temp_max_dc": 425}, 8_550),
    ("temperature_charge", {"temp_max_dc": 475}, 4_275),  # 375 permille
    ("temperature_charge", {"temp_max_dc": 500}, 2_850),
    ("temperature_charge", {"temp_max_dc": 525}, 1_425),
    ("temperature_charge", {"temp_max_dc": 550}, 0),
    ("temperature_charge", {"temp_min_dc": 20, "temp_max_dc": 500}, 2_850),  # the worse end binds
    ("temperature_charge", {"temps_known": 0}, 0),
    ("temperature_discharge", {"temp_min_dc": -100}, 0),
    ("temperature_discharge", {"temp_min_dc": -50}, 1_425),
    ("temperature_discharge", {"temp_min_dc": 0}, 2_850),
    ("temperature_discharge", {"temp_min_dc": 25}, 4_275),
    ("temperature_discharge", {"temp_min_dc": 50}, 5_700),
    ("temperature_discharge", {"temp_min_dc": 75}, 8_550),
    ("temperature_discharge", {"temp_min_dc": 100, "temp_max_dc": 400}, 11_400),
    ("temperature_discharge", {"temp_max_dc": 450}, 5_700),
    ("temperature_discharge", {"temp_max_dc": 500}, 2_850),
    ("temperature_discharge", {"temp_min_dc": -50, "temp_max_dc": 450}, 1_425),  # the worse end binds
    ("temperature_discharge", {"temp_max_dc": 550}, 0),
    ("temperature_discharge", {"temps_known": 0}, 0),
    ("soc_ceiling", {"soc_hi_mwh": 1000 * MWH}, 0),
    ("soc_ceiling", {"soc_hi_mwh": 999 * MWH}, 1_343),
    ("soc_ceiling", {"soc_hi_mwh": 990 * MWH}, 13_432),
    ("soc_ceiling", {"soc_known": 0, "soc_hi_mwh": 0}, 0),
    ("reserve", {"soc_lo_mwh": 200 * MWH}, 0),
    ("reserve", {"soc_lo_mwh": 150 * MWH}, 0),
    ("reserve", {"soc_lo_mwh": 201 * MWH}, 1_343),
    ("reserve", {"soc_lo_mwh": 205 * MWH}, 6_716),
    ("reserve", {"soc_lo_mwh": 200 * MWH + 18}, 0),  # 18 mWh in 67 s is less than a watt
    ("reserve", {"soc_lo_mwh": 200 * MWH + 19}, 1),
    ("reserve", {"soc_lo_mwh": 201 * MWH, "horizon_ms": 13_000}, 6_923),  # a reversion of 6 s
    ("reserve", {"soc_known": 0, "soc_lo_mwh": 900 * MWH}, 0),
    ("reserve", {"reserve_permille": 1000, "soc_lo_mwh": 1000 * MWH}, 0),
    ("soc_floor", {"soc_lo_mwh": 50 * MWH}, 0),
    ("soc_floor", {"soc_lo_mwh": 51 * MWH}, 1_343),
    ("soc_floor", {"soc_known": 0}, 0),
    ("site_import", {}, 19_500),  # 20 kW less the house's 500 W
    ("site_import", {"net_hi_w": 18_000}, 2_000),
    ("site_import", {"net_hi_w": 25_000}, 0),
    ("site_import", {"net_hi_w": -4_000}, 24_000),  # PV to spare
    ("site_import", {"net_known": 0}, 0),
    ("site_export", {}, 20_500),
    ("site_export", {"net_lo_w": -18_000}, 2_000),
    ("site_export", {"net_lo_w": -25_000}, 0),
    ("site_export", {"net_known": 0}, 0),
    ("imbalance_discharge", {"spread_mv": 299}, 11_400),
    ("imbalance_discharge", {"spread_mv": 300}, 0),
    ("imbalance_discharge", {"spread_mv": 300, "cell_cure": 1}, 0),
    ("imbalance_discharge", {"spread_mv": 300, "cell_cure": 2}, 1_250),  # 0.05 C of 25 kWh
    ("imbalance_discharge", {"cells_known": 0}, 0),
    ("imbalance_charge", {"spread_mv": 300, "cell_cure": 1}, 1_250),
    ("imbalance_charge", {"spread_mv": 300, "cell_cure": 2}, 0),
    ("imbalance_charge", {"spread_mv": 149}, 11_400),
    ("imbalance_charge", {"spread_mv": 150}, 2_850),  # a quarter
    ("imbalance_charge", {"spread_mv": 299}, 2_850),
    ("imbalance_charge", {"spread_mv": 300}, 0),
    ("imbalance_charge", {"cells_known": 0}, 0),
    ("fuse_import", {}, 11_400),  # no fuse is configured
    ("fuse_export", {}, 11_400),
    ("pv_only", {}, 11_400),
    ("pv_only", {"net_known": 0}, 11_400),
    ("utility_charge", {}, 11_400),
    ("utility_charge", {"utility_charge_w": 4_200}, 4_200),
    ("utility_charge", {"utility_charge_w": 0}, 0),
    ("utility_charge", {"utility_charge_w": -1}, 0),
    ("utility_discharge", {"utility_discharge_w": 4_200}, 4_200),
    ("utility_discharge", {"utility_discharge_w": 0}, 0),
    ("utility_discharge", {"utility_discharge_w": -1}, 0),
    ("owner_charge", {}, 11_400),
    ("owner_discharge", {}, 11_400),
    ("throughput", {}, 2_014_925),  # 37.5 kWh in 67 s
    ("throughput", {"spent_mwh": 37_499_000}, 53),  # 1 Wh in 67 s is 53.7 W
    ("throughput", {"spent_mwh": 37_500_000}, 0),
    ("throughput", {"spent_mwh": 40_000_000}, 0),
    ("nameplate_charge", {"rated_charge_w": 5_000}, 5_000),
    ("nameplate_charge", {"rated_charge_w": 20_000}, 11_400),
    ("nameplate_charge", {"rated_charge_w": 0}, 0),
    ("nameplate_charge", {"rated_charge_w": -1}, 0),
    ("nameplate_discharge", {"rated_discharge_w": -1}, 0),
    ("nameplate_discharge", {"rated_discharge_w": 5_000}, 5_000),
    ("nameplate_discharge", {"rated_discharge_w": 20_000}, 11_400),
]


@pytest.mark.parametrize(("row", "changes", "cap"), ROWS)
def test_row(row: str, changes: dict[str, int], cap: int) -> None:
    assert CAP[row](PLAIN, BASE._replace(**changes), PARAMS) == cap


# The same home with every limit that a configuration can add: 25 A in three legs, 4 kW and 7 kW of its owner, PV only.
EVERY = replace(
    PARAMS, site=replace(PARAMS.site, fuse_a=25, legs=3, owner_charge_w=4_000, owner_discharge_w=7_000, pv_only=True)
)
LEGS = {"phases_known": 1, "phase_mv": 230_000}
CONFIGURED = [
    ("owner_charge", {}, 4_000),
    ("owner_discharge", {}, 7_000),
    ("fuse_import", {**LEGS, "phase_hi_w": 0}, 17_250),  # 3 * 25 A * 230 V
    ("fuse_import", {**LEGS, "phase_hi_w": 15_000}, 2_250),
    ("fuse_import", {**LEGS, "phase_hi_w": 17_251}, 0),
    ("fuse_import", {**LEGS, "phase_hi_w": -6_000}, 23_250),
    ("fuse_import", {**LEGS, "phase_mv": 207_000}, 15_525),  # a tenth less voltage, a tenth less power
    ("fuse_import", {"phases_known": 0}, 0),
    ("fuse_export", {**LEGS, "phase_lo_w": 0}, 17_250),
    ("fuse_export", {**LEGS, "phase_lo_w": -15_000}, 2_250),
    ("fuse_export", {**LEGS, "phase_lo_w": -20_000}, 0),
    ("fuse_export", {"phases_known": 0}, 0),
    ("pv_only", {"net_hi_w": 1}, 0),
    ("pv_only", {"net_hi_w": -3_000}, 3_000),
    ("pv_only", {"net_hi_w": -3_000, "net_known": 0}, 0),
    ("pv_only", {"net_hi_w": 500, "cell_cure": 1}, 11_400),
]


@pytest.mark.parametrize(("row", "changes", "cap"), CONFIGURED)
def test_row_where_it_is_configured(row: str, changes: dict[str, int], cap: int) -> None:
    assert CAP[row](PLAIN, BASE._replace(**changes), EVERY) == cap


def test_one_leg_of_unknown_place_takes_the_whole_power() -> None:
    """63 A at 230 V: the fullest leg carries 9 kW, so 5490 W are left, wherever the battery's power lands."""
    one = replace(PARAMS, site=replace(PARAMS.site, fuse_a=63))
    assert CAP["fuse_import"](PLAIN, BASE._replace(**LEGS, phase_hi_w=9_000), one) == 5_490


def test_a_split_phase_home_counts_half_on_each_leg() -> None:
    """Two legs of 120 V with 100 A; one carries 9 kW, so 3 kW are left there, and the battery may take twice that."""
    two = replace(PARAMS, site=replace(PARAMS.site, fuse_a=100, legs=2))
    facts = BASE._replace(phases_known=1, phase_mv=120_000, phase_hi_w=2 * 9_000)
    assert CAP["fuse_import"](PLAIN, facts, two) == 6_000


@pytest.mark.parametrize(
    ("row", "changes", "params", "words"),
    [
        (
            "imbalance_charge",
            {"spread_mv": 49},
            PARAMS,
            "up to 49 mV apart; charging is a quarter from 150 mV, nothing",
        ),
        ("imbalance_discharge", {"spread_mv": 50}, PARAMS, "up to 50 mV apart (worth a look); nothing"),
        ("imbalance_charge", {"cells_known": 0}, PARAMS, "the cell voltages are not known"),
        ("fuse_import", {}, PARAMS, "no fuse of a leg is configured"),
        ("fuse_import", {}, EVERY, "what each leg of the site carries is not known; each is fused with 25 A"),
        ("fuse_import", {**LEGS, "phase_hi_w": 5}, EVERY, "the fullest leg alone stands for 5 W in 3 legs, each is"),
        ("fuse_export", {**LEGS, "phase_lo_w": -5}, EVERY, "the fullest leg alone stands for 5 W in 3 legs, each is"),
        (
            "fuse_import",
            LEGS,
            replace(PARAMS, site=replace(PARAMS.site, fuse_a=63)),
            "the fullest leg alone stands for 0 W, each is fused with 63 A",
        ),
        ("pv_only", {}, PARAMS, "charging from the grid is allowed"),
        (
            "pv_only",
            {},
            EVERY,
            "takes 500 W, and only what the sun leaves over may charge",
        ),
        ("pv_only", {"cell_cure": 1}, EVERY, "a nearly empty cell is charged from whatever there is"),
        ("utility_charge", {"utility_charge_w": 4_200}, PARAMS, "the utility allows charging with 4200 W"),
        ("utility_discharge", {}, PARAMS, "the utility sets no limit to discharging"),
        ("owner_charge", {}, EVERY, "the owner allows charging with 4000 W"),
        ("throughput", {"spent_mwh": 1_250_000}, PARAMS, "1.2 kWh were discharged since midnight UTC, 37.5 kWh may be"),
    ],
)
def test_what_is_said(row: str, changes: dict[str, int], params: Params, words: str) -> None:
    say = next(limit.say for limit in LIMITS if limit.id == row)
    assert words in say(BASE._replace(**changes), params)


def test_every_row_has_an_example() -> None:
    assert {row for row, _, _ in ROWS} == set(CAP)


@pytest.mark.parametrize(
    ("row", "facts", "knots"),
    [
        ("cell_high", ("cell_max_mv",), PARAMS.charge_v_mv),
        ("cell_low", ("cell_min_mv",), PARAMS.discharge_v_mv),
        ("temperature_charge", ("temp_min_dc", "temp_max_dc"), PARAMS.charge_t_dc),
        ("temperature_discharge", ("temp_min_dc", "temp_max_dc"), PARAMS.discharge_t_dc),
    ],
)
def test_every_knot_of_a_table_has_an_example(row: str, facts: tuple[str, ...], knots: Table) -> None:
    worked = {value for name, changes, _ in ROWS if name == row for fact, value in changes.items() if fact in facts}
    assert {x for x, _ in knots} - worked == set()


def test_ids_are_unique_and_sentences_say_something() -> None:
    assert len(CAP) == len(LIMITS)
    for value in evaluate(BASE, PARAMS, None, True, 0, 0).values:
        assert len(value.sentence) > 15
        assert value.owner in {"homeowner", "site", "bms", "inverter", "agent", "utility"}


def test_the_good_home_may_use_its_nameplate() -> None:
    assert permit(PLAIN, BASE, PARAMS) == (-11_400, 11_400)


def test_binding_is_the_tightest_and_among_equals_the_first_of_the_table() -> None:
    facts = BASE._replace(soc_lo_mwh=201 * MWH, dcl_ma=50_000)
    left = caps(PLAIN, facts, PARAMS)
    assert LIMITS[binding(left, PARAMS, charge=False)].id == "reserve"  # 1343 W < 2640 W

    dead = caps(PLAIN, BASE._replace(grid=2, battery_age_ns=NEVER_NS, soc_known=0), PARAMS)
    assert LIMITS[binding(dead, PARAMS, charge=False)].id == "islanded"
    assert LIMITS[binding(dead, PARAMS, charge=True)].id == "islanded"

    free = caps(PLAIN, BASE, PARAMS)
    assert LIMITS[binding(free, PARAMS, charge=False)].id == "nameplate_discharge"
    assert LIMITS[binding(free, PARAMS, charge=True)].id == "nameplate_charge"


def test_table_is_flat_outside_its_knots_and_never_rounds_up() -> None:
    knots = ((0, 0), (30, 10), (60, 0))
    assert [table(PLAIN, knots, x) for x in (-5, 0, 1, 2, 3, 30, 31, 60, 61)] == [0, 0, 0, 0, 1, 10, 9, 0, 0]


def test_sides_of_rows() -> None:
    sides = {row.id: row.side for row in LIMITS}
    assert sides["reserve"] is Side.DISCHARGE
    assert sides["cell_high"] is Side.CHARGE
    assert sides["islanded"] is Side.BOTH


class Recorder:
    """Facts that remember which of them were asked for."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.asked: set[str] = set()

    def __getattr__(self, name: str) -> int:
        self.asked.add(name)
        return int(getattr(self.facts, name))


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row.id)
def test_a_row_reads_the_facts_that_it_declares_and_no_others(row: Limit) -> None:
    """Rows are evaluated again only when a declared fact has changed, so an undeclared one would go stale."""
    asked: set[str] = set()
    for flag in (0, 1):
        flags = {name: flag for name in Facts._fields if BASE._asdict()[name] in (0, 1)}
        for grid in (0, 1, 2):
            recorder = Recorder(BASE._replace(**{**flags, "grid": grid}))
            row.cap(PLAIN, cast(Facts, recorder), EVERY)
            row.say(cast(Facts, recorder), EVERY)
            asked |= recorder.asked
    assert asked == set(row.reads)


@given(st.lists(st.dictionaries(st.sampled_from(Facts._fields), st.integers(1, 5_000), max_size=6), max_size=6))
def test_evaluating_what_changed_equals_evaluating_all(changes: list[dict[str, int]]) -> None:
    before = None
    facts = BASE
    for change in changes:
        facts = facts._replace(**change)
        before = evaluate(facts, PARAMS, before, False, 0, 0)
        assert before == evaluate(facts, PARAMS, None, False, 0, 0)
        assert list(before.pure) == caps(PLAIN, facts, PARAMS)


def test_other_params_are_evaluated_anew() -> None:
    before = evaluate(BASE, PARAMS, None, True, 0, 0)
    other = replace(PARAMS, soc_floor_permille=600)
    assert list(evaluate(BASE, other, before, False, 0, 0).pure) == caps(PLAIN, BASE, other)


def test_a_held_limit_says_so() -> None:
    first = evaluate(BASE._replace(dcl_ma=0), PARAMS, None, True, 0, 0)
    then = evaluate(BASE, PARAMS, first, True, S, S)
    held = next(v for v in then.values if v.id == "dcl")
    assert held.cap_w == 0
    assert held.sentence == "the BMS allows discharging with 240.0 A at 52.8 V; it narrowed before and is let go slowly"
    assert shut(then) is False


def test_one_limit_of_both_sides_that_leaves_nothing_shuts() -> None:
    for changes in ({"devices_ok": 0}, {"grid": 0}, {"acting": 0}, {"meter_age_ns": NEVER_NS}):
        assert shut(evaluate(BASE._replace(**changes), PARAMS, None, True, 0, 0))
    for changes in ({}, {"dcl_ma": 0, "ccl_ma": 0}, {"charge_on": 0, "charge_alarm": 1}):
        assert not shut(evaluate(BASE._replace(**changes), PARAMS, None, True, 0, 0))


def test_what_is_shown_follows_memory_while_facts_stand_still() -> None:
    """The value shown is what binds: 0 W held for 30 s, then 250 W more each second, then nothing to tell."""
    bounds = evaluate(BASE._replace(discharge_on=0), PARAMS, None, True, 0, S)
    seen = []
    for second in range(1, 80):
        bounds = evaluate(BASE, PARAMS, bounds, True, second * S, S)
        shown = next(v for v in bounds.values if v.id == "discharge_enable")
        assert shown.cap_w == bounds.caps[[row.id for row in LIMITS].index("discharge_enable")]
        assert ("narrowed before" in shown.sentence) is (shown.cap_w < 11_400)
        assert not any("narrowed before" in v.sentence for v in bounds.values if v.id != "discharge_enable")
        seen.append(shown.cap_w)
    assert seen[29:33] == [0, 250, 500, 750]
    assert seen[-1] == 11_400


def test_what_leaves_a_side_its_own_nameplate_binds_nothing() -> None:
    """5 kW of charging and 7 kW of discharging: each side is measured by its own."""
    site = replace(PARAMS.site, nameplate_charge_w=5_000, nameplate_discharge_w=7_000)
    uneven = replace(PARAMS, site=site)
    free = caps(PLAIN, BASE, uneven)
    assert LIMITS[binding(free, uneven, charge=True)].id == "nameplate_charge"
    assert LIMITS[binding(free, uneven, charge=False)].id == "nameplate_discharge"
    derated = caps(PLAIN, BASE._replace(dcl_ma=120_000), uneven)  # 6336 W, between the two
    assert LIMITS[binding(derated, uneven, charge=False)].id == "dcl"


@pytest.mark.parametrize(("charge_w", "discharge_w"), [(5_000, 7_000), (7_000, 5_000)])
def test_the_side_with_the_smaller_nameplate_is_measured_by_that(charge_w: int, discharge_w: int) -> None:
    """An alarm's row leaves that side its 5 kW: it limits nothing, though the other side has 7 kW."""
    uneven = replace(PARAMS, site=replace(PARAMS.site, nameplate_charge_w=charge_w, nameplate_discharge_w=discharge_w))
    facts = BASE._replace(rated_charge_w=charge_w, rated_discharge_w=discharge_w)
    left = caps(PLAIN, facts, uneven)
    assert LIMITS[binding(left, uneven, charge=True)].id == "nameplate_charge"
    assert LIMITS[binding(left, uneven, charge=False)].id == "nameplate_discharge"


def test_limits_in_words_are_a_sequence_like_any_other() -> None:
    told = evaluate(BASE, PARAMS, None, True, 0, 0).values
    assert len(told) == len(LIMITS)
    assert told[-1] == tuple(told)[-1]
    assert told[1:3] == (told[1], told[2])
    assert told == evaluate(BASE, PARAMS, None, True, 0, 0).values
    assert told == [*told]
    assert told != evaluate(BASE._replace(grid=0), PARAMS, None, True, 0, 0).values
    assert told != 3
    assert hash(told) == hash(tuple(told))
    assert repr(told) == repr(tuple(told))
    with pytest.raises(IndexError):
        told[len(LIMITS)]
