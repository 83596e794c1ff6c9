"""The integrator: numbers by hand. Band at 5 kW: 5 % of 11.4 kW + 10 % of 5 kW = 1070 W.

Patience at 11.4 kW: 0.175 x 11.4 kW x 10 s = 19.95 kWs, a quarter of it says the setpoint again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.actuation import (
    Actuation,
    Loss,
    contested,
    deaf,
    excuse,
    lost,
    overridden,
    paused,
    rearm,
    short,
    unheeded,
    watch,
)
from agent.core.command import RampClass
from agent.core.decision import Mode
from agent.core.inputs import LocalResume
from agent.core.params import S
from agent.core.snapshot import take
from tests.core.home import PARAMS, Home, arriving, command


def watched(start: Actuation, seconds: int, commanded: int | None, measured: int | None) -> Actuation:
    for second in range(seconds):
        now = (100 + second) * S
        start = watch(start, PARAMS, now, S, commanded, 10 * S, measured, now)
    return start


def test_within_the_band_nothing_adds_up() -> None:
    for measured in (3930, 6070):
        seen = watched(Actuation(), 60, 5000, measured)
        assert (seen.off_nj, seen.off_by_w) == (0, 0)


def test_out_of_band_adds_up_and_back_in_band_takes_away() -> None:
    off = watched(Actuation(), 8, 5000, 6071)
    assert (off.off_nj, off.off_by_w) == (8 * S, 1071)
    far = watched(Actuation(), 4, 5000, 0)
    assert (far.off_nj, far.off_by_w) == (4 * 3930 * S, -5000)
    back = watched(far, 3, 5000, 5000)  # a band's worth each second
    assert (back.off_nj, back.off_by_w) == ((4 * 3930 - 3 * 1070) * S, -5000)
    assert watched(far, 60, 5000, 5000).off_nj == 0


def test_the_patience_is_watt_seconds_in_proportion_to_the_rating() -> None:
    """5 kW asked, nothing done: 3930 W x 5 s is not 19.95 kWs yet, x 6 s is. Done 7 kW: 930 W, so 22 s."""
    assert not deaf(watched(Actuation(), 5, 5000, 0))
    assert deaf(watched(Actuation(), 6, 5000, 0))
    assert not deaf(watched(Actuation(), 21, 5000, 7000))
    assert deaf(watched(Actuation(), 22, 5000, 7000))
    assert not deaf(Actuation())
    small = Actuation()
    for second in range(4):  # 2 kW rated: 3.5 kWs; band 100 + 200; 2000 - 300 = 1700 W
        now = (100 + second) * S
        assert deaf(small) == (second >= 3)
        small = watch(small, PARAMS, now, S, 2000, 10 * S, 0, now, 2000)


def test_what_lies_between_the_setpoints_of_the_last_seconds_is_obeyed() -> None:
    """A ramp from 0 to 8 kW in steps of a second, followed two seconds late."""
    seen = Actuation()
    for n in range(9):
        now = (100 + n) * S
        seen = watch(seen, PARAMS, now, S, 1000 * n, now - S // 2, max(0, 1000 * (n - 2)), now)
        assert len(seen.told) <= 4
    assert seen.off_nj == 0
    for n in range(9, 13):  # it stays behind for longer than it may: 6 kW, of 8 less a band of 1370 W
        now = (100 + n) * S
        seen = watch(seen, PARAMS, now, S, 8000, 108 * S - S // 2, 6000, now)
    assert seen.told == ((108 * S - S // 2, 8000),)
    assert (seen.off_nj, seen.short_nj) == (0, 2 * 630 * S)


def test_less_than_asked_the_right_way_round_is_told_and_no_disobedience() -> None:
    """A fifth of the setpoint is the edge: 1000 W of 5 kW has been heard, 999 W has not."""
    for sign in (1, -1):
        for gives, good in ((3000, True), (1000, True), (999, False), (0, False), (-200, False), (-3000, False)):
            seen = watched(Actuation(), 60, sign * 5000, sign * gives)
            assert (deaf(seen), short(seen)) == (not good, good)
    excused = Actuation()
    for second in range(60):
        now = (100 + second) * S
        excused = watch(excused, PARAMS, now, S, 5000, 10 * S, 0, now, None, True)
    assert short(excused) and not deaf(excused)
    assert excused.short_nj == excused.patience_nj  # no more: the setpoint is said again four times, not for ever
    assert watched(excused, 60, 5000, 5000).short_nj == 0
    over = watch(Actuation(), PARAMS, 100 * S, S, 5000, 10 * S, 7000, 100 * S, None, True)
    assert over.off_nj > 0 and over.short_nj == 0  # no excuse for more


def test_what_excuses_less() -> None:
    home = Home().ready()
    s, _ = take(PARAMS, home.inputs(()), home.state.trace)
    empty, full = (replace(s, soc_lo_mwh=p * 25_000, soc_hi_mwh=p * 25_000) for p in (150, 900))
    assert excuse(-3000, None, 11_400, full, PARAMS) and not excuse(3000, None, 11_400, full, PARAMS)
    assert excuse(3000, None, 11_400, empty, PARAMS) and not excuse(-3000, None, 11_400, empty, PARAMS)
    assert excuse(3000, 10_260, 11_400, s, PARAMS) and not excuse(3000, 10_259, 11_400, s, PARAMS)
    assert not excuse(3000, 10_260, 0, s, PARAMS)
    assert not excuse(None, 11_400, 11_400, empty, PARAMS)
    unknown = replace(s, soc_lo_mwh=None, soc_hi_mwh=None)
    assert not excuse(3000, None, 11_400, unknown, PARAMS) and not excuse(-3000, None, 11_400, unknown, PARAMS)


def test_an_inverter_that_tapers_is_a_warning_and_the_sender_hears_of_it() -> None:
    home = Home().ready()
    home.tick(arriving(command(power_w=-8000, duration_s=600)))
    for _ in range(300):
        home.inverter["battery_w"] = max(-3000, home.remote_w or 0)
        home.tick()
    assert home.mode() is Mode.DISPATCHED
    assert home.faults() == ["setpoint_short"]
    assert home.acks[-1]["reason"] == "setpoint_short"
    assert "gives 3000 W of the 8000 W" in home.acks[-1]["sentence"]


def test_an_inverter_that_ignores_a_ramp_is_found_while_it_ramps() -> None:
    seen = Actuation()
    for n in range(20):
        now = (100 + n) * S
        seen = watch(seen, PARAMS, now, S, 570 * n, now - S // 2, 0, now)
    assert deaf(seen)


def test_a_mirrored_setpoint_is_seen_as_such() -> None:
    assert watched(Actuation(), 5, 5000, -5000).reversed_ns == 5 * S
    assert watched(Actuation(), 5, 5000, -3000).reversed_ns == 0
    assert watched(watched(Actuation(), 3, 5000, -5000), 1, 5000, 5000).reversed_ns == 0
    assert watched(Actuation(), 5, 500, -500).reversed_ns == 0  # too small to tell


def test_released_forgets_and_unknown_waits() -> None:
    known = Actuation(rearms=(1,), overrides=(2,), foreign=("InWRte",))
    off = watched(known, 8, 5000, 0)
    assert watched(off, 1, None, 0) == known
    assert watched(off, 5, 5000, None) == off
    assert watched(Actuation(), 1, None, 0) == Actuation()


def test_the_inverter_has_time_to_settle() -> None:
    for now, at in ((12 * S, 12 * S), (20 * S, 9 * S)):  # three seconds not over; reading older than the confirmation
        assert watch(Actuation(), PARAMS, now, S, 5000, 10 * S, 0, at).off_nj == 0


@pytest.mark.parametrize("loss", Loss)
def test_losses_of_the_last_hour_count_by_what_took_it(loss: Loss) -> None:
    def times(seen: Actuation) -> tuple[tuple[int, ...], tuple[int, ...]]:
        own, other = seen.rearms, seen.overrides
        return (other, own) if loss is Loss.OVERRIDDEN else (own, other)

    old = rearm(rearm(Actuation(), 1 * S, loss), 2 * S, loss)
    assert times(rearm(old, 3602 * S, loss)) == ((2 * S, 3602 * S), ())
    many = Actuation()
    for second in range(100):
        many = rearm(many, second * S, loss)
    assert len(times(many)[0]) <= 16


def test_how_often_is_too_often() -> None:
    """Five losses an hour are put up with, and three of another hand; what is over for ten minutes, or for one, is."""
    by_itself = other = Actuation()
    for n in range(6):
        assert (lost(by_itself, n * S), contested(other, n * S)) == (0, n >= 3)
        assert overridden(other, n * S) == (n if n > 3 else 0)
        by_itself, other = rearm(by_itself, n * S, Loss.REBOOTED), rearm(other, n * S, Loss.OVERRIDDEN)
    assert (lost(by_itself, 604 * S), lost(by_itself, 605 * S)) == (6, 0)
    assert (overridden(other, 64 * S), overridden(other, 65 * S)) == (6, 0)
    assert contested(other, 3602 * S) and not contested(other, 3604 * S)
    late = rearm(Actuation(rearms=(0, 1, 2, 3, 4)), 3599 * S, Loss.REVERTED)
    assert lost(late, 3599 * S) == 6
    assert lost(late, 3600 * S + 1) == 0  # the first is more than an hour ago


def test_said_again_at_each_quarter_of_the_patience() -> None:
    """20 units of patience: at 5, 10, 15 and 20."""
    at = [unheeded(Actuation(n, patience_nj=20), Actuation(n + 1, patience_nj=20), PARAMS) for n in range(21)]
    assert [n + 1 for n, said in enumerate(at) if said] == [5, 10, 15, 20]


def deaf_home() -> Home:
    home = Home().ready()
    home.obeys = False
    home.tick(arriving(command(duration_s=900)))
    home.run(40)
    return home


def test_a_deaf_inverter_is_a_fault_and_is_released() -> None:
    home = deaf_home()
    assert home.mode() is Mode.FAULT
    assert home.faults() == ["deaf_inverter"]
    assert home.intents()[-1] == "clear"
    assert home.given() is None
    assert home.acks[-1]["reason"] == "state"


def test_three_such_faults_within_an_hour_lock_out_until_a_technician_resumes() -> None:
    home = deaf_home()
    home.run(240)  # it recovers, is dispatched again, and is as deaf as before
    assert home.mode() is Mode.LOCKOUT
    assert home.disk.lockout
    assert home.states()[-1] == "failed"
    assert home.acks[-1]["reason"] == "lockout"

    later = home.crash(kernel_boot="kernel-2").ready()
    assert later.mode() is Mode.LOCKOUT  # it survives a reboot
    later.tick(arriving(command(9)))
    assert later.acks[-1]["reason"] == "lockout"

    later.mute.add("battery")
    later.run(6)
    later.tick(LocalResume("technician ada"))
    later.run(3)
    assert later.mode() is Mode.LOCKOUT  # not without the BMS
    later.mute.clear()
    later.tick()
    later.tick(LocalResume("technician ada"))
    later.run(40 + PARAMS.timers.grid_dwell_ns // S)  # the gateway was off as well
    assert later.mode() is Mode.LOCAL
    assert not later.disk.lockout


def test_a_reversed_battery_is_latched() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(3)
    home.obeys = False
    for _ in range(30):
        home.inverter["battery_w"] = -(home.remote_w or 0)
        home.tick()
    assert "actuation_reversed" in home.faults()
    assert home.disk.latches == ("actuation_reversed",)
    home.inverter.clear()
    later = home.crash().ready()
    later.run(200)
    assert later.mode() is Mode.FAULT
    later.tick(LocalResume("technician ada"))
    later.run(5)
    assert later.mode() is Mode.DISPATCHED  # the command has time left


# --- on its way -------------------------------------------------------------------------------------------------------
def course(powers: list[int], commanded: int = 0, start: Actuation | None = None) -> Actuation:
    """A reading a second of an inverter that was told otherwise before."""
    seen = start if start is not None else Actuation()
    for second, measured in enumerate(powers):
        now = (100 + second) * S
        seen = watch(seen, PARAMS, now, S, commanded, 90 * S, measured, now)
    return seen


def test_an_inverter_that_comes_nearer_by_a_gradient_is_not_deaf() -> None:
    """11.4 kW that sink by 2 % a second: 228 W."""
    assert course([11_400 - 228 * n for n in range(48)]).off_nj == (11_400 - 570) * S  # of the first reading alone
    assert course([-11_400 + 228 * n for n in range(48)]).off_nj == (11_400 - 570) * S
    assert deaf(course([11_400 - 227 * n for n in range(51)]))


def test_one_that_does_not_move_or_moves_away_is_counted_from_the_first_second() -> None:
    assert deaf(course([5_000] * 6))
    assert deaf(course([5_000 + 300 * n for n in range(6)]))


def test_what_only_swings_comes_no_nearer_than_it_was() -> None:
    assert deaf(course([5_000, 4_500, 5_000, 4_500, 5_000, 4_500, 5_000]))


def test_a_reading_that_is_seen_twice_counts_as_it_did() -> None:
    seen = course([9_000, 8_000])
    again = watch(seen, PARAMS, 102 * S, S, 0, 90 * S, 8_000, 101 * S)
    assert again.off_nj == seen.off_nj == (9_000 - 570) * S
    assert watch(again, PARAMS, 103 * S, S, 0, 90 * S, 8_000, 103 * S).off_nj == (9_000 + 8_000 - 2 * 570) * S


def test_each_setpoint_is_approached_anew() -> None:
    seen = course([9_000, 8_000])
    assert (seen.nearest_w, seen.nearing) == (8_000, True)
    other = watch(seen, PARAMS, 110 * S, S, 2_000, 105 * S, 7_000, 110 * S)
    assert (other.nearest_w, other.nearing) == (5_000, False)
    assert paused(seen, 0, 110 * S).nearest_w == -1


def test_the_opposite_of_the_setpoint_is_never_on_its_way() -> None:
    seen = course([-6_000, -5_500, -5_000], commanded=5_000)
    assert seen.reversed_ns > 0


@pytest.mark.parametrize("permille", [50, 80, 100])
def test_ordinary_dispatches_lock_out_no_slow_inverter(permille: int) -> None:
    home, power_w = Home().ready(), 0
    for second in range(900):
        events: tuple[Any, ...] = ()
        if second % 300 in (5, 60):
            asked = 11_400 if second % 300 == 5 else 0
            events = (arriving(command(second, power_w=asked, duration_s=200, ramp=RampClass.REGULATION)),)
        wanted, step = home.remote_w or 0, 11_400 * permille // 1000
        power_w = wanted if wanted > power_w else max(wanted, power_w - step)
        home.inverter["battery_w"] = power_w
        home.tick(*events)
        assert "deaf_inverter" not in home.faults()
    assert home.mode() in (Mode.LOCAL, Mode.DISPATCHED)
