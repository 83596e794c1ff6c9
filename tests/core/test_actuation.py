"""The integrator: numbers by hand. Band at 5 kW: 5 % of 11.4 kW + 10 % of 5 kW = 1070 W."""

from __future__ import annotations

from agent.core.actuation import Actuation, rearm, unheeded, watch
from agent.core.decision import Mode
from agent.core.inputs import LocalResume
from agent.core.params import S
from tests.core.home import PARAMS, Home, arriving, command


def watched(start: Actuation, seconds: int, commanded: int | None, measured: int | None) -> Actuation:
    for second in range(seconds):
        now = (100 + second) * S
        start = watch(start, PARAMS, now, S, commanded, 10 * S, measured, now)
    return start


def test_within_the_band_nothing_adds_up() -> None:
    assert watched(Actuation(), 60, 5000, 3930) == Actuation()
    assert watched(Actuation(), 60, 5000, 6070) == Actuation()


def test_out_of_band_adds_up_and_back_in_band_takes_away() -> None:
    off = watched(Actuation(), 8, 5000, 3929)
    assert (off.off_ns, off.off_by_w) == (8 * S, -1071)
    assert watched(off, 3, 5000, 5000).off_ns == 5 * S
    assert watched(off, 60, 5000, 5000).off_ns == 0


def test_a_mirrored_setpoint_is_seen_as_such() -> None:
    assert watched(Actuation(), 5, 5000, -5000).reversed_ns == 5 * S
    assert watched(Actuation(), 5, 5000, -3000).reversed_ns == 0
    assert watched(Actuation(), 5, 500, -500).reversed_ns == 0  # too small to tell


def test_released_forgets_and_unknown_waits() -> None:
    off = watched(Actuation(rearms=(1,)), 8, 5000, 0)
    assert watched(off, 1, None, 0) == Actuation(rearms=(1,))
    assert watched(off, 5, 5000, None) == off
    assert watched(Actuation(), 1, None, 0) == Actuation()


def test_the_inverter_has_time_to_settle() -> None:
    for now, at in ((12 * S, 12 * S), (20 * S, 9 * S)):  # three seconds not over; reading older than the confirmation
        assert watch(Actuation(), PARAMS, now, S, 5000, 10 * S, 0, at).off_ns == 0


def test_rearms_of_the_last_hour_count() -> None:
    old = rearm(rearm(Actuation(), 1 * S), 2 * S)
    assert rearm(old, 3602 * S).rearms == (2 * S, 3602 * S)
    many = Actuation()
    for second in range(100):
        many = rearm(many, second * S)
    assert len(many.rearms) <= 16


def test_said_again_at_each_quarter_of_the_patience() -> None:
    """Ten seconds: at 2.5, 5, 7.5 and 10."""
    at = [unheeded(Actuation(n * S // 10), Actuation((n + 1) * S // 10), PARAMS) for n in range(105)]
    assert [n + 1 for n, said in enumerate(at) if said] == [25, 50, 75, 100]


def deaf() -> Home:
    home = Home().ready()
    home.obeys = False
    home.tick(arriving(command(duration_s=900)))
    home.run(40)
    return home


def test_a_deaf_inverter_is_a_fault_and_is_released() -> None:
    home = deaf()
    assert home.mode() is Mode.FAULT
    assert home.faults() == ["deaf_inverter"]
    assert home.intents()[-1] == "clear"
    assert home.given() is None
    assert home.acks[-1]["reason"] == "state"


def test_three_such_faults_within_an_hour_lock_out_until_a_technician_resumes() -> None:
    home = deaf()
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
    later.run(40)
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
