"""Whole agent: what the buses do to it. Bounds are those of the hazard table; the truth is the plant's."""

from __future__ import annotations

import pytest

from tests.blackbox.agent import Run

pytestmark = pytest.mark.slow
STALE = {"battery": 5, "inverter": 5, "meter": 3}
DEAFENING = 30  # permille of wrong bytes: no frame comes through, and nothing can be written


@pytest.mark.parametrize("power_w", [5_000, -5_000])
@pytest.mark.parametrize("device", ["battery", "meter"])
def test_a_silent_device_ends_the_setpoint(device: str, power_w: int) -> None:
    """Rows 1 and 7."""
    with Run(seed=3) as run:
        run.running(power_w).home("mute", device=device, on=True)
        run.within(STALE[device] + 2, run.zero_or_released, f"{device} is silent")
        for _ in range(60):
            run.wait(1)
            assert run.zero_or_released(), run.story()
        run.home("mute", device=device, on=False)
        run.within(100, lambda: abs(run["truth.battery_w"] - power_w) < 150, "comes back")


def test_a_silent_bms_is_handed_back() -> None:
    """Row 1: RELEASE after 30 s."""
    with Run(seed=3) as run:
        run.running().home("mute", device="battery", on=True)
        run.within(45, lambda: not run["truth.remote"], "released")
        run.wait(60)
        assert not run["truth.remote"]


def test_a_silent_inverter_is_left_to_its_own_timer() -> None:
    """Row 17: we cannot act; the setpoint ends within the stated time all the same."""
    with Run(seed=4) as run:
        run.running(duration=900)
        stated = run["agent.stated_end_s"]
        run.home("mute", device="inverter", on=True)
        run.within(stated, run.zero_or_released, "the inverter is mute")
        run.wait(20)
        assert run.zero_or_released()
        assert run["agent.mode"] in ("fault", "degraded", "lockout")
        run.home("mute", device="inverter", on=False)
        run.within(600 + 30, lambda: abs(run["truth.battery_w"] - 5_000) < 150, "comes back after dwell and jitter")


def test_a_frozen_bms_is_found_out() -> None:
    """Row 2: byte-identical for 60 s while power flows."""
    with Run(seed=5) as run:
        run.running().home("freeze", device="battery", on=True)
        run.within(63, run.zero_or_released, "the BMS is frozen")
        run.wait(60)
        assert run.zero_or_released()


def test_a_frozen_bms_near_the_reserve_does_not_cost_the_reserve() -> None:
    """What is drained is counted, whatever a stuck BMS says."""
    with Run(seed=5, soc_permille=212, reserve_permille=200) as run:
        run.to(12).dispatch(9_000).wait(6)
        run.home("freeze", device="battery", on=True)
        run.wait(240)
        assert run["truth.soc_permille"] >= 198


def test_a_frozen_inverter_is_found_out() -> None:
    """An inverter that shows old values can not be said to follow: the next order shows it."""
    with Run(seed=6) as run:
        run.running().home("freeze", device="inverter", on=True)
        run.wait(1).do("aggregator.cancel", "c", target="command")
        run.within(75, run.zero_or_released, "cancelled")


def test_a_deaf_inverter_is_a_fault() -> None:
    """Row 18: re-write, release, fault and alarm."""
    with Run(seed=7) as run:
        run.to(12).home("deaf", on=True, device="inverter")
        run.dispatch(5_000).wait(40)
        assert (run["agent.mode"], run["agent.faults"]) == ("fault", "writes_refused"), run.story()
        assert run["agent.given_w"] is None and not run["truth.remote"], run.story()
        assert not {"started", "completed"} & set(run.states()), run.states()


@pytest.mark.parametrize("permille", [1, 5, DEAFENING])
def test_noise_moves_nothing_wrong(permille: int) -> None:
    """Row 25: bits flip in both directions; only what was asked is ever written."""
    with Run(seed=9) as run:
        run.running(duration=900)
        begun = run.t
        run.home("noise", permille=permille, on=True)
        run.wait(120)
        assert permille == DEAFENING or run.writes("power", begun), run.story()
        run.home("noise", on=False)
        run.within(600 + 30, lambda: abs(run["truth.battery_w"] - 5_000) < 150, "comes back after dwell and jitter")
        written = run.writes("power", begun)
        assert written, run.story()
        for write in written:
            assert 0 <= write.fields["value"] <= 5_001, write  # type: ignore[operator]


def test_the_whole_line_is_cut() -> None:
    with Run(seed=10) as run:
        run.running(duration=900)
        stated = run["agent.stated_end_s"]
        run.home("break", on=True)
        run.within(stated, run.zero_or_released, "the line is cut")
        run.wait(30).home("break", on=False)
        run.within(600 + 30, lambda: abs(run["truth.battery_w"] - 5_000) < 150, "comes back after dwell and jitter")


def test_the_bms_reports_too_much() -> None:
    """Row 8: SoC says 60 %, the cells say empty."""
    with Run(seed=11, soc_permille=250) as run:
        run.judge_reserve = False
        run.home("bias", permille=350)
        run.to(12).dispatch(8_000, duration=900).wait(300)
        assert run["truth.soc_permille"] > 50


def test_bms_falls_asleep() -> None:
    """A BMS that fell asleep: never charged blind."""
    with Run(seed=12) as run:
        run.running(-5_000).home("asleep", on=True)
        run.within(8, run.zero_or_released, "asleep")
        run.wait(60)
        assert run.zero_or_released()


@pytest.mark.parametrize(("limits", "bound"), [({"dcl_ma": 0}, 0), ({"dcl_ma": 20_000}, 1_200)])
def test_a_falling_dcl_is_obeyed(limits: dict[str, int], bound: int) -> None:
    """Row 11."""
    with Run(seed=13) as run:
        run.running().home("limits", **limits)
        run.within(4, lambda: run["truth.battery_w"] <= bound, "DCL")


@pytest.mark.parametrize(("power_w", "dc"), [(-5_000, -10), (5_000, 560), (-5_000, 560), (5_000, -110)])
def test_heat_and_frost(power_w: int, dc: int) -> None:
    """Rows 14 and 15."""
    with Run(seed=14) as run:
        run.running(power_w).home("temperature", dc=dc)
        run.within(6, run.zero_or_released, f"{dc / 10} degrees")
        run.wait(20)
        assert run.zero_or_released()


def test_the_inverter_reboots() -> None:
    """Row 19: re-armed through the envelope, started once."""
    with Run(seed=15) as run:
        run.running().home("reboot")
        run.within(300, lambda: abs(run["truth.battery_w"] - 5_000) < 150, "re-armed")
        assert run.states().count("started") == 1


def test_another_master_commands_the_inverter() -> None:
    """Row 26 in effect: a foreign setpoint during our dispatch does not stay."""
    with Run(seed=16) as run:
        run.running().home("remote", w=-8_000, revert_s=0)
        run.within(30, lambda: abs(run["truth.setpoint_w"] - 5_000) < 5 or not run["truth.remote"], "foreign setpoint")


def test_a_foreign_setpoint_found_at_start_is_ended() -> None:
    """Row 21: start reads what is there, and releases."""
    with Run(seed=17) as run:
        run.home("remote", w=6_000, revert_s=0)
        run.within(30, lambda: not run["truth.remote"], "released at start")
