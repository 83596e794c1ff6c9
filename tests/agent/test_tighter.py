"""What a BMS newly forbids wakes control at once; what it says otherwise, or allows, waits for the period."""

from __future__ import annotations

import dataclasses

import pytest

from agent.core.params import Params, Site, Timers
from agent.core.quarantine import Watch
from agent.core.sanity import Sanity
from agent.core.snapshot import Trace
from agent.tighter import Tighter, suspected
from drivers.readings import BatteryReading

GOOD = BatteryReading(
    device="battery", at_ns=0, soc_permille=600, soc_quantum_permille=10, soh_permille=1000, pack_mv=52_800,
    pack_ma=20_000, cell_max_mv=3310, cell_min_mv=3295, temp_max_dc=260, temp_min_dc=240, ccl_ma=100_000,
    dcl_ma=100_000, charge_enabled=True, discharge_enabled=True, alarms=(),
)  # fmt: skip
TIGHTER = Tighter(Params(Site(25_000, 11_400, 11_400, 10_000, 10_000), Timers()))


@pytest.mark.parametrize(
    ("field", "was", "becomes", "worse"),
    [
        ("ccl_ma", 100_000, 99_000, True),
        ("ccl_ma", 99_000, 100_000, False),
        ("ccl_ma", 0, None, False),
        ("dcl_ma", 100_000, 0, True),
        ("dcl_ma", 100_000, None, True),
        ("charge_enabled", True, False, True),
        ("discharge_enabled", True, None, True),
        ("alarms", (), ("cell_low",), True),
        ("soc_permille", 600, 590, False),
        ("soc_permille", 600, 650, True),
        ("soc_permille", 600, None, True),
        ("soc_permille", None, None, False),
        ("cell_max_mv", 3310, 3390, False),
        ("cell_max_mv", 3400, 3401, True),
        ("cell_max_mv", 3402, 3401, False),
        ("cell_max_mv", 3310, None, True),
        ("cell_max_mv", None, 3310, False),
        ("cell_max_mv", None, 3500, True),
        ("cell_min_mv", 3295, 3180, False),
        ("cell_min_mv", 3150, 3149, True),
        ("cell_min_mv", 3295, None, True),
        ("temp_max_dc", 260, 400, False),
        ("temp_max_dc", 400, 401, True),
        ("temp_max_dc", 560, 550, False),
        ("temp_min_dc", 240, 100, False),
        ("temp_min_dc", 100, 99, True),
        ("temp_min_dc", 90, 95, False),
        ("temp_min_dc", 240, None, True),
        ("temp_min_dc", None, -10, True),
    ],
)
def test_what_forbids_more_is_told_from_what_does_not(field: str, was: object, becomes: object, worse: bool) -> None:
    before, after = (dataclasses.replace(GOOD, **{field: value}) for value in (was, becomes))  # type: ignore[arg-type]
    assert TIGHTER.than(before, after) is worse


def test_cells_that_drift_apart_count_from_where_a_limit_begins() -> None:
    def apart(mv: int) -> BatteryReading:
        return dataclasses.replace(GOOD, cell_max_mv=3390, cell_min_mv=3390 - mv)

    assert not TIGHTER.than(apart(20), apart(149))
    assert TIGHTER.than(apart(149), apart(150))
    assert not TIGHTER.than(apart(160), apart(155))


def test_after_a_refused_block_the_next_one_of_that_pack_is_looked_at_when_it_comes() -> None:
    calm, refused = Watch(GOOD), Watch(GOOD, refused_ns=(5,))
    assert not suspected(Trace(0), "battery")
    assert not suspected(Trace(0, sanity=Sanity(watches=(("battery", calm), ("battery2", refused)))), "battery")
    assert suspected(Trace(0, sanity=Sanity(watches=(("battery", refused),))), "battery")
