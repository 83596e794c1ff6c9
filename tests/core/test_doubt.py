"""A BMS that contradicts what is measured: the interval must contain the truth, and an honest one is not accused."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core.doubt import IDLE_PERMILLE_OF_C, LEAK_PERMILLE_PER_H, REBASE_WITHIN, Doubt, Sight, follow
from agent.core.params import S
from agent.core.soc import NJ_PER_MWH

CAPACITY_WH = 25_000
FULL_MWH = 1000 * CAPACITY_WH


class Pack:
    """A pack with a truth of its own and a BMS that says what it likes."""

    def __init__(self, soc: float) -> None:
        self.truth = soc * FULL_MWH / 1000
        self.doubt = Doubt()
        self.now = 1_000 * S
        self.agreed = 0  # how often count and BMS came to agree anew

    def run(self, seconds: int, power_w: int, says: int, *, cells: tuple[int, int] = (3300, 3300), dt: int = 1) -> None:
        for _ in range(0, seconds, dt):
            self.now += dt * S
            self.truth -= power_w * dt / 3.6
            low, high = cells
            sight = Sight(self.now, dt * S, CAPACITY_WH, says, power_w, power_w, high, low)
            before, self.doubt = self.doubt, follow(self.doubt, sight)
            self.agreed += self.doubt.moved < before.moved

    def honest(self, seconds: int, power_w: int) -> None:
        for _ in range(0, seconds, 10):
            self.run(10, power_w, self.soc, dt=10)

    @property
    def soc(self) -> int:
        return max(0, min(1000, round(self.truth * 1000 / FULL_MWH)))

    def interval(self, says: int) -> tuple[float, float]:
        lo, hi = self.doubt.widen(says * CAPACITY_WH, says * CAPACITY_WH)
        return lo / CAPACITY_WH, hi / CAPACITY_WH


def test_nothing_is_said_against_an_honest_bms() -> None:
    pack = Pack(600)
    for power in (3000, -4000, 0, 5000, -5000):
        pack.honest(3000, power)
        assert pack.doubt.sentence() is None
        assert pack.interval(pack.soc) == (pack.soc, pack.soc)


def test_a_stuck_soc_is_found_after_nine_percent_of_the_energy() -> None:
    pack = Pack(650)
    pack.run(1500, 5000, 650)  # 8.3 % have left
    assert pack.doubt.sentence() is None
    pack.run(300, 5000, 650)  # 10 %: more than 8 % and an eighth of what passed
    assert pack.doubt.off
    lo, hi = pack.interval(650)
    assert abs(lo - pack.soc) <= 1 and hi == 650
    pack.run(1800, 5000, 650)
    lo, _ = pack.interval(650)
    assert abs(lo - pack.soc) < 2, "the count goes on while the BMS stands still"


def test_it_is_believed_again_when_it_comes_back_to_the_count() -> None:
    pack = Pack(650)
    pack.run(2400, 5000, 650)
    assert pack.doubt.off
    pack.run(10, 0, pack.soc + 10)
    assert not pack.doubt.off
    assert pack.doubt.jumped is not None, "but it jumped: the old value counts for ten minutes"
    pack.run(601, 0, pack.soc + 10)
    assert pack.doubt.sentence() is None


def test_a_full_charge_calibrates_whatever_was_doubted() -> None:
    pack = Pack(650)
    pack.run(2400, -5000, 650)
    pack.run(12, 0, 650, cells=(3000, 3300))
    assert pack.doubt.off and pack.doubt.empty is not None
    pack.run(1, -500, 995, cells=(3450, 3460))
    assert pack.doubt.sentence() is None


def test_an_empty_cell_at_rest_means_there_may_be_nothing() -> None:
    pack = Pack(40)
    pack.run(12, 1000, 500, cells=(3050, 3200))
    assert pack.interval(500) == (0, 500)
    assert "nearly empty" in (pack.doubt.sentence() or "")
    pack.run(3600, -2500, 500, cells=(3300, 3310))  # 10 % were charged
    lo, hi = pack.interval(500)
    assert 99 <= lo <= 100 and hi == 600, "what the BMS said then, and the charge since"


def test_an_empty_cell_is_over_when_what_was_charged_since_is_what_the_bms_says() -> None:
    pack = Pack(40)
    pack.run(12, 0, 210, cells=(3050, 3200))
    pack.run(2800, -5000, 210)  # 15.6 %
    assert pack.doubt.empty is not None
    pack.run(100, -5000, 210)
    assert pack.doubt.empty is None


def test_under_load_a_low_cell_says_nothing() -> None:
    pack = Pack(500)
    pack.run(30, 6000, 500, cells=(3050, 3200))  # 0.24 C
    assert pack.interval(500) == (500, 500)
    pack.run(12, 5000, 500, cells=(3050, 3200))  # 0.2 C
    assert pack.interval(500)[0] == 0


def test_a_cell_must_say_it_for_ten_seconds_of_samples_at_rest() -> None:
    for cells in ((3050, 3300), (3300, 3450)):
        pack = Pack(500)
        pack.run(10, 0, 500, cells=cells)
        pack.run(1, 0, 500)  # one that says otherwise
        pack.run(10, 0, 500, cells=cells)
        pack.run(1, 6000, 500, cells=cells)  # one under load
        pack.run(10, 0, 500, cells=cells)
        assert pack.doubt.sentence() is None, cells
        pack.run(1, 0, 500, cells=cells)
        assert pack.doubt.sentence() is not None, cells


def test_one_sample_that_is_looked_at_for_long_is_one_sample() -> None:
    doubt = Doubt()
    for n in range(1, 16):
        doubt = follow(doubt, Sight(n * S, S, CAPACITY_WH, 500, 0, 0, 3300, 3050, at_ns=S))
    assert doubt.sentence() is None
    for n in (3600, 7200):  # nor are two with a silence between them in a row
        doubt = follow(doubt, Sight(n * S, S, CAPACITY_WH, 500, 0, 0, 3300, 3050))
    assert doubt.sentence() is None


def test_a_full_cell_at_rest_means_it_may_be_full() -> None:
    pack = Pack(960)
    pack.run(12, -1000, 650, cells=(3330, 3450))
    assert pack.interval(650) == (650, 1000)
    pack.run(5, -1000, 650, cells=(3330, 3449))
    assert pack.interval(650)[1] == 1000, "once said it stays said"
    pack.run(1800, 8000, 650, cells=(3300, 3310))  # 16 % have left
    assert 838 <= pack.interval(650)[1] <= 841
    pack.run(1800, 8000, 650, cells=(3300, 3310))
    assert pack.doubt.full is None, "within 5 % both agree again"


def test_the_edges_of_the_voltage_witnesses() -> None:
    for cells, says, doubted in (
        ((3050, 3300), 201, True),
        ((3050, 3300), 200, False),
        ((3051, 3300), 900, False),
        ((3300, 3450), 899, True),
        ((3300, 3450), 900, False),
        ((3300, 3449), 100, False),
    ):
        pack = Pack(500)
        pack.run(12, 0, says, cells=cells)
        assert (pack.doubt.sentence() is not None) is doubted, (cells, says)


def test_a_jump_counts_both_ways_for_ten_minutes() -> None:
    pack = Pack(600)
    pack.run(30, 0, 600)
    pack.run(1, 0, 540)
    assert pack.interval(540) == (540, 600)
    pack.run(599, 0, 540)
    assert pack.interval(540) == (540, 600)
    pack.run(2, 0, 540)
    assert pack.interval(540) == (540, 540)


def test_one_zero_sample_after_a_dropout_is_not_forgotten_at_once() -> None:
    pack = Pack(600)
    pack.run(30, 0, 600)
    pack.run(1, 0, 0)
    assert pack.interval(0) == (0, 600)
    pack.run(1, 0, 600)
    assert pack.interval(600) == (0, 600), "which of the two was right is not known yet"
    pack.run(601, 0, 600)
    assert pack.interval(600) == (600, 600)


def test_five_percent_in_ten_seconds_is_no_jump() -> None:
    pack = Pack(600)
    pack.run(30, 0, 600)
    pack.run(1, 0, 550)
    assert pack.doubt.jumped is None


def test_a_resting_sensor_s_offset_is_not_held_against_the_bms() -> None:
    pack = Pack(600)
    for _ in range(24 * 7):
        pack.run(3600, 60, 600, dt=60)  # the meter sees 60 W that are not there: 40 % in a week
    assert pack.doubt.sentence() is None


def test_no_reading_teaches_nothing() -> None:
    pack = Pack(600)
    pack.run(10, 1000, 600)
    assert follow(pack.doubt, None) == pack.doubt


def test_after_a_silence_the_count_begins_anew_where_the_silence_explains_the_difference() -> None:
    pack = Pack(300)
    pack.run(10, 1000, 300)
    pack.now += 3600 * S  # 30 % were charged meanwhile, and nobody saw it
    pack.truth = 600 * CAPACITY_WH
    pack.run(1, 0, 600)
    assert pack.doubt.sentence() is None
    assert pack.interval(600) == (600, 600)
    assert pack.doubt.moved == 0
    pack.run(2200, 5000, 600)  # a BMS that stands still from then on is found as ever
    assert pack.doubt.off


def test_a_blink_explains_no_more_than_could_flow_in_it() -> None:
    pack = Pack(650)
    pack.run(1400, 5000, 650)
    for _ in range(3):  # 7.8 % apart, not yet found: 16 s of silence do not wash it away
        pack.now += 16 * S
        pack.run(1, 5000, 650)
        assert not pack.doubt.off
        assert pack.doubt.moved > 0
    pack.run(600, 5000, 650)
    assert pack.doubt.off
    pack.now += 3600 * S
    pack.run(1, 0, 650)
    assert pack.doubt.off, "what was found out stays found out through any silence"
    lo, _ = pack.interval(650)
    assert lo <= pack.soc + 1


def test_a_jump_over_a_short_silence_is_a_jump_and_the_witnesses_stay() -> None:
    pack = Pack(600)
    pack.run(30, 0, 600)
    pack.now += 20 * S
    pack.run(1, 0, 0)
    lo, hi = pack.interval(0)
    assert lo == 0 and 600 <= hi < 606
    assert pack.doubt.jumped is not None
    pack = Pack(600)
    pack.run(12, 0, 600, cells=(3000, 3300))
    pack.now += 3600 * S
    pack.run(1, 0, 700)
    assert pack.doubt.empty is not None


def test_fifteen_seconds_are_no_silence() -> None:
    pack = Pack(600)
    pack.run(10, 1000, 600)
    pack.now += 14 * S
    pack.run(1, 1000, 600)
    assert pack.doubt.moved > 0
    pack.now += 15 * S
    pack.run(1, 0, 600)
    assert pack.doubt.moved == 0


def test_a_pack_that_comes_or_goes_takes_no_witness_with_it() -> None:
    pack = Pack(600)
    pack.run(12, 0, 600, cells=(3000, 3300))
    half = follow(pack.doubt, Sight(pack.now + S, S, CAPACITY_WH // 2, 600, 0, 0, 3300, 3300))
    assert half.sentence() is not None
    assert half.widen(600 * CAPACITY_WH // 2, 600 * CAPACITY_WH // 2) == (0, 600 * CAPACITY_WH // 2)
    whole = follow(half, Sight(pack.now + 2 * S, S, CAPACITY_WH, 600, 0, 0, 3300, 3300))
    assert whole.widen(600 * CAPACITY_WH, 600 * CAPACITY_WH) == (0, 600 * CAPACITY_WH)


def test_another_capacity_counts_anew_unless_the_count_speaks_against_the_bms() -> None:
    honest = follow(Doubt(), Sight(S, S, CAPACITY_WH, 600, 0, 0, 3300, 3300))
    half = follow(honest, Sight(2 * S, S, CAPACITY_WH // 2, 700, 0, 0, 3300, 3300))
    assert half.sentence() is None  # the packs that are left stand higher: no jump, no doubt
    pack = Pack(650)
    pack.run(1800, 5000, 650)
    assert pack.doubt.off
    half = follow(pack.doubt, Sight(pack.now + S, S, CAPACITY_WH // 2, 650, 0, 0, 3300, 3300))
    assert half.off
    lo, _ = half.widen(650 * CAPACITY_WH // 2, 650 * CAPACITY_WH // 2)
    assert abs(lo // (CAPACITY_WH // 2) - pack.soc) <= 1


STEPS = st.lists(
    st.tuples(st.integers(-11_400, 11_400), st.integers(0, 1000), st.integers(2800, 3650), st.integers(2800, 3650)),
    max_size=60,
)


@given(STEPS, st.integers(-50, 1000 * CAPACITY_WH), st.integers(0, 1000 * CAPACITY_WH))
def test_it_never_narrows_and_stays_inside_the_pack(steps: list[tuple[int, int, int, int]], lo: int, more: int) -> None:
    doubt, now = Doubt(), 0
    for power, says, high, low in steps:
        now += 7 * S
        doubt = follow(doubt, Sight(now, 7 * S, CAPACITY_WH, says, power, power - 100, high, low))
    lo = max(0, lo)
    hi = min(1000 * CAPACITY_WH, lo + more)
    wide_lo, wide_hi = doubt.widen(lo, hi)
    assert 0 <= wide_lo <= lo <= hi <= wide_hi <= 1000 * CAPACITY_WH


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-9000, 9000), min_size=5, max_size=40),
    st.integers(100, 900),
    st.integers(-30, 30),
)
@example([0, -4000, 5242, 6822, -4064, 3819, 5324], 311, 0)  # agreed twice, from the same side
def test_the_truth_is_inside_once_a_stuck_bms_is_found(powers: list[int], soc: int, bias: int) -> None:
    """Exact sensors, a BMS that never moves: from the moment it is found out, the interval holds the truth."""
    pack = Pack(soc)
    says = max(0, min(1000, soc + bias))
    at_rest_s = 0
    for power in powers:
        if not 20 < pack.soc - power / 25 < 980:
            continue
        pack.run(900, power, says, dt=10)
        at_rest_s += 900 if abs(power) * 1000 <= CAPACITY_WH * IDLE_PERMILLE_OF_C else 0
        if pack.doubt.off:
            lo, hi = pack.interval(says)
            slack: float = abs(bias) + 3  # the bias it began with, rounding
            slack += LEAK_PERMILLE_PER_H * at_rest_s / 3600
            slack += REBASE_WITHIN * max(1, pack.agreed)  # a swing that ends near what the BMS says hides so much
            assert lo - slack <= pack.truth * 1000 / FULL_MWH <= hi + slack


def test_units_are_the_project_s() -> None:
    assert NJ_PER_MWH == 3_600_000_000
