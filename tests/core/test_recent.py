"""The worst of the last samples, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.packs import one
from agent.core.params import S
from agent.core.recent import Legs, Recent, of, span
from tests.core import home as h


def legs(battery_w: int = 0, count: int = 1, **fields: Any) -> Legs | None:
    blank: dict[str, Any] = {"phase_w": (), "phase_ma": (), "phase_mv": ()}
    return of(h.meter(0, **{**blank, **fields}), battery_w, count)


def test_the_voltage_that_counts_is_the_least_of_three_samples() -> None:
    recent, seen = Recent(), []
    for second, mv in enumerate((52_000, 51_000, 53_000, 54_000, 55_000)):
        pack, recent = recent.voltage(one(h.battery(second * S, pack_mv=mv)))
        again, same = recent.voltage(one(h.battery(second * S, pack_mv=mv)))
        assert (again.mv, same) == (pack.mv, recent)  # a sample counts once
        seen.append(pack.mv)
    assert seen == [52_000, 51_000, 51_000, 51_000, 53_000]


def test_another_pack_that_sinks_counts_at_once_though_the_oldest_sample_is_the_same() -> None:
    _, recent = Recent().voltage(one(h.battery(S, pack_mv=52_000)))
    pack, _ = recent.voltage(one(h.battery(S, pack_mv=50_000)))
    assert pack.mv == 50_000


def test_a_voltage_that_was_not_read_leaves_nothing_for_three_samples() -> None:
    _, recent = Recent().voltage(one(h.battery(1, pack_mv=None)))
    pack, _ = recent.voltage(one(h.battery(2)))
    assert pack.mv == 0


def test_three_legs_share_what_the_battery_does() -> None:
    """The fullest imports 4 kW, the emptiest exports 1 kW; without the 3 kW of the battery each has 1 kW more."""
    sample = legs(3_000, 3, phase_w=(4_000, 2_000, -1_000), phase_mv=(230_000, 229_000, 231_000))
    assert sample == Legs(3 * 4_000 + 3_000, -3 * 1_000 + 3_000, 229_000, 3)


def test_one_leg_of_unknown_place_counts_whole() -> None:
    sample = legs(-3_000, 1, phase_w=(4_000, 2_000, -1_000), phase_mv=(230_000, 229_000, 231_000))
    assert sample == Legs(4_000 - 3_000, -1_000 - 3_000, 229_000, 3)


def test_a_fuse_feels_amperes() -> None:
    """5 A at 230 V are 1150 VA; 690 W of them are real, so 920 var: 690 W of import count for 1150 W, and as room for
    export only the 690 W less 920."""
    assert legs(phase_w=(690,), phase_ma=(5_000,), phase_mv=(230_000,)) == Legs(1_150, -230, 230_000, 1)
    assert legs(phase_w=(-690,), phase_ma=(-5_000,), phase_mv=(230_000,)) == Legs(230, -1_150, 230_000, 1)
    assert legs(phase_w=(None,), phase_ma=(5_000,), phase_mv=(230_000,)) == Legs(1_150, -1_150, 230_000, 1)
    assert span(1_000, 900) == (1_000, 1_000)  # a current that is less than its power is not believed


@pytest.mark.parametrize(("count", "mv"), [(1, 207_000), (2, 108_000), (3, 207_000)])
def test_a_leg_without_a_voltage_has_nine_tenths_of_it(count: int, mv: int) -> None:
    for volts in ((None,) * 3, (0,) * 3, ()):
        assert legs(0, count, phase_w=(1_000,) * 3, phase_mv=volts) == Legs(count * 1_000, count * 1_000, mv, 3)


def test_what_is_not_wired_is_no_leg_and_what_is_not_told_is_not_known() -> None:
    assert legs(phase_w=(500, None, None), phase_mv=(230_000, None, None)) == Legs(500, 500, 230_000, 1)
    assert legs(phase_w=(500, None), phase_mv=(230_000, 230_000)) is None
    assert legs(count=3, phase_w=(500, 500)) is None
    assert legs() is None


def test_the_worst_of_three_samples_counts_and_what_is_not_known_forgets() -> None:
    recent = Recent()
    assert recent.worst() is None
    for second, watts in enumerate((900, 100, 500, 300)):
        recent = recent.carried(h.meter(second * S, phase_w=(watts,), phase_ma=()), 0, 1)
        assert recent.carried(h.meter(second * S, phase_w=(watts,), phase_ma=()), 0, 1) is recent
        if second == 2:
            assert recent.worst() == Legs(900, 100, 240_000, 1)
    assert recent.worst() == Legs(500, 100, 240_000, 1)
    for gone in (
        recent.carried(None, 0, 1),
        recent.carried(h.meter(9 * S), None, 1),
        recent.carried(h.meter(9 * S), 0, 3),
    ):
        assert gone.worst() is None
    assert Recent().carried(None, 0, 1) == Recent()
