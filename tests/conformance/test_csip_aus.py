"""Cases of the CSIP-AUS conformance procedures (TS 5573, as CACTUS publishes them) that concern the life of a command.

Each test has the name of its case. Their messages are IEEE 2030.5 over HTTP and ours are not, so it is the behaviour
that is held: the same responses in the same order, at the same times. GEN cases limit what flows into the grid, LOA
cases what is taken from it. PRC cases are named by their subject alone: their text was not at hand.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.accept import drawn_ms
from agent.core.command import Command, CommandKind, RampClass
from agent.core.inputs import ClockTrust
from agent.core.params import S
from agent.core.step import step
from drivers.readings import GridState
from tests.core.home import SITE, WALL_MS, Home, arriving, command
from tests.core.test_dispatch import CANCEL
from tests.core.test_lifecycle import event, ready
from tests.core.test_plans import limited, listed, prices, schedule

LIMITS = {"GEN": "export_limit_w", "LOA": "import_limit_w"}
HOUSE = {"GEN": -8000, "LOA": 9000}  # beyond the limit by itself
REGULATION = RampClass.REGULATION


def offline(home: Home, seconds: int) -> None:
    for _ in range(seconds):
        home.now_ns += S
        inputs = replace(home.inputs(tuple(home.queue)), link_up=False)
        home.queue = []
        home.state, home.out = step(home.params, home.state, inputs)
        for write in home.out.writes:
            home.answer(write)
        if home.out.commit is not None:
            home.store(home.out.commit)


def grid_w(home: Home) -> int:
    """What the meter reads, + import."""
    return home.house_w - (home.remote_w or 0)


def limit(case: str, number: int, watts: int, **changes: object) -> Command:
    return limited(number, **{LIMITS[case]: watts, **changes})


def kept(case: str, home: Home, watts: int) -> bool:
    return (-grid_w(home) if case == "GEN" else grid_w(home)) <= watts + home.params.dead_band_w


def test_all_18_responses_come_in_their_order() -> None:
    """1 received, 2 started, 3 completed."""
    home = ready()
    home.tick(arriving(event(1, 5, 30)))
    home.run(45)
    assert [s for s in home.states() if s in ("received", "started", "completed")] == [
        "received",
        "started",
        "completed",
    ]


def test_all_21_a_schedule_of_24_minutes() -> None:
    """24 controls of a minute each: every one at its time, none twice, no gap."""
    home = ready()
    powers = tuple((500 + 20 * n) * (1 if n % 2 else -1) for n in range(24))
    home.tick(arriving(schedule(1, *powers)))
    seen = []
    home.run(9)
    for _ in range(24):
        home.run(59)
        seen.append(home.given())
        home.run(1)
    assert seen == list(powers)
    home.run(3)
    assert home.given() is None
    assert home.states() == ["received", "scheduled", "started", "completed"]


def test_all_21_and_as_24_events_that_join_on() -> None:
    home = ready()
    home.tick(*[arriving(event(n, 10 + 60 * (n - 1), 60, power_w=500 + 20 * n, ramp=REGULATION)) for n in range(1, 25)])
    home.run(12)
    for n in range(1, 25):
        home.run(40)
        assert home.given() == 500 + 20 * n
        home.run(20)
    assert all(home.states(n)[-1] == "completed" for n in range(1, 25))
    assert home.intents().count("clear") <= 1


def test_all_22_randomised_starts_fill_their_window() -> None:
    """R = 60 both ways: a window of 120 s. One way: 60 s."""
    draws = [n * 0x9E3779B97F4A7C15 % 2**64 for n in range(2000)]
    both = [drawn_ms(60, True, draw) / 1000 for draw in draws]
    assert (min(both) < -58, max(both) > 58) == (True, True)
    assert all(-60 <= moved <= 60 for moved in both)
    assert abs(sum(both) / len(both)) < 3
    later = [drawn_ms(60, False, draw) / 1000 for draw in draws]
    assert all(0 <= moved <= 60 for moved in later)
    assert 27 < sum(later) / len(later) < 33


def test_all_23_loss_of_communication() -> None:
    """What was accepted runs to its end; then the default: the home is its own, nothing is frozen at the last value."""
    home = ready()
    home.tick(arriving(event(1, 30, 60)), arriving(event(2, 200, 60, power_w=-2000)))
    offline(home, 70)
    assert home.given() == 4788
    offline(home, 100)
    assert home.given() is None
    offline(home, 70)
    assert (home.given() or 0) < -1000
    offline(home, 60)
    assert home.given() is None
    assert (home.states(1)[-1], home.states(2)[-1]) == ("completed", "completed")


@pytest.mark.parametrize(
    ("ramp", "permille"),
    [(RampClass.SCHEDULED, 10), (RampClass.DIRECT, 50), (RampClass.URGENT, 100), (REGULATION, 250)],
)
def test_all_25_ramps_up_at_the_rate_that_was_asked(ramp: RampClass, permille: int) -> None:
    home = ready()
    home.tick(arriving(command(power_w=11_400, ramp=ramp)))
    home.run(40)
    steps = [after - before for before, after in zip(home.powers(), home.powers()[1:], strict=False)]
    assert steps
    assert max(steps) <= SITE.nameplate_discharge_w * permille // 1000


def test_all_28_ramps_from_one_control_to_the_next_without_passing_zero_needlessly() -> None:
    home = ready()
    home.tick(arriving(command(power_w=6000, ramp=REGULATION)))
    home.run(6)
    before = len(home.powers())
    home.tick(arriving(command(2, power_w=9000)))
    home.run(12)
    after = home.powers()[before:]
    assert after == sorted(after)
    assert after[-1] == 9000


def test_all_30_persists_through_a_power_cycle_while_offline() -> None:
    home = ready()
    home.tick(arriving(event(1, 900, 900)))
    later = home.crash(kernel_boot="kernel-2")
    later.trust = ClockTrust.HOLDOVER
    offline(later, 860)
    assert later.given() is None
    offline(later, 140)
    assert later.given() == 5000
    offline(later, 900)
    assert later.given() is None
    assert later.states()[-1] == "completed"


@pytest.mark.parametrize("case", ["GEN", "LOA"])
def test_gen_loa_09_cancel(case: str) -> None:
    home = ready()
    home.tick(arriving(limit(case, 1, 1000, duration_s=900)))
    home.house_w = HOUSE[case]
    home.run(15)
    assert kept(case, home, 1000)
    home.tick(arriving(command(9, target=command(1).id, **CANCEL)))
    home.run(3)
    assert home.states(1)[-1] == "cancelled"
    assert home.given() is None
    assert not kept(case, home, 1000)


@pytest.mark.parametrize("case", ["GEN", "LOA"])
def test_gen_loa_10_primacy(case: str) -> None:
    """The lower number has it; when it ends, the other."""
    home = ready()
    home.house_w = HOUSE[case]
    home.tick(arriving(limit(case, 1, 5000, primacy=2, start_ms=WALL_MS + 20_000, duration_s=120)))
    home.tick(arriving(limit(case, 2, 1000, primacy=1, start_ms=WALL_MS + 20_000, duration_s=50)))
    home.run(40)
    assert kept(case, home, 1000)
    home.run(40)
    assert home.states(2)[-1] == "completed"
    assert kept(case, home, 5000)
    assert not kept(case, home, 4500)


@pytest.mark.parametrize("case", ["GEN", "LOA"])
def test_gen_loa_11_variable_limits(case: str) -> None:
    """A new limit every minute."""
    home = ready()
    home.house_w = HOUSE[case]
    limits = (4000, 1500, 0, 2500, 6000)
    for n, watts in enumerate(limits, 1):
        home.tick(arriving(limit(case, n, watts, duration_s=900)))
        home.run(30)
        assert kept(case, home, watts), watts
        assert home.states(n)[-1] == "started"
    assert [home.states(n)[-1] for n in range(1, 5)] == ["superseded"] * 4


@pytest.mark.parametrize("case", ["GEN", "LOA"])
def test_gen_loa_13_a_limit_under_a_load_that_varies(case: str) -> None:
    """Within the accuracy of the procedure: the better of 4 % of rating and 100 W, some seconds after each step."""
    home = ready()
    home.tick(arriving(limit(case, 1, 2000, duration_s=900)))
    sign = 1 if case == "LOA" else -1
    for load in (500, 6000, 3000, 9000, 2500, 7000, 1000):
        home.house_w = sign * load
        home.run(12)
        assert kept(case, home, 2000), load
    assert "limited" not in home.states()


def test_sto_03_a_storage_target_under_an_export_limit() -> None:
    home = ready()
    home.house_w = 1000
    home.tick(arriving(limited(1, export_limit_w=1500)), arriving(command(2, power_w=5000, ramp=REGULATION)))
    home.run(12)
    assert abs((home.given() or 0) - 2500) <= 100
    assert home.states(2)[:3] == ["received", "limited", "started"] or "limited" in home.states(2)
    home.house_w = 4500
    home.run(30)
    assert home.given() == 5000


def test_sto_06_a_storage_target_to_charge_under_an_import_limit() -> None:
    home = ready()
    home.house_w = 1000
    home.tick(arriving(limited(1, import_limit_w=3000)), arriving(command(2, power_w=-5000, ramp=REGULATION)))
    home.run(12)
    assert abs((home.given() or 0) + 2000) <= 100
    home.house_w = -2500
    home.run(30)
    assert home.given() == -5000


# --- prices -----------------------------------------------------------------------------------------------------------
def test_prc_01_a_price_list_is_taken_and_acted_on() -> None:
    home = ready()
    home.tick(arriving(prices(1, 100, 400, interval_s=600)))
    assert home.states() == ["received", "scheduled"]
    home.run(60)
    assert (home.given() or 0) < 0
    assert home.states()[-1] == "started"


def test_prc_02_the_price_changes_at_the_boundary_of_its_interval() -> None:
    home = ready()
    home.tick(arriving(prices(1, 100, 400, interval_s=600)))
    home.run(607)
    assert (home.given() or 0) < 0
    home.run(5)
    assert (home.given() or 0) >= 0
    home.run(60)
    assert (home.given() or 0) > 0


def test_prc_03_a_newer_list_of_the_issuer_is_in_the_place_of_the_older() -> None:
    home = ready()
    home.tick(arriving(prices(1, 100, 400, interval_s=600)))
    home.run(60)
    home.tick(arriving(prices(2, 400, 100, in_s=0, interval_s=600)))
    home.run(320)  # a choice stands five minutes, but not beyond its own list
    assert home.states(1)[-1] == "superseded"
    assert (home.given() or 0) > 0


def test_prc_04_a_list_is_cancelled() -> None:
    home = ready()
    home.tick(arriving(prices(1, 100, 400, interval_s=600)))
    home.run(60)
    home.tick(arriving(command(9, target=command(1).id, **CANCEL)))
    assert home.given() is None
    assert home.states()[-1] == "cancelled"


def test_prc_05_a_list_that_is_over_is_not_gone_by() -> None:
    home = ready()
    home.tick(arriving(listed(1, CommandKind.PRICE, (100_000, 400_000), in_s=-700, interval_s=60)))
    assert home.states() == ["received", "rejected_late"]
    home.tick(arriving(prices(2, 100, 400, interval_s=60)))
    home.run(200)
    assert home.given() is None
    assert home.states(2)[-1] == "completed"


def test_an_outage_during_an_event_is_limited_and_it_resumes_with_time_left() -> None:
    """Beside the procedures: no case has an outage."""
    home = ready()
    home.tick(arriving(event(1, 5, 1800)))
    home.run(80)
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(60)
    assert [a["reason"] for a in home.acks if a["state"] == "limited"][-1] == "islanded"
    home.inverter.clear()
    home.run(700)
    assert home.given() == 5000
    assert home.states().count("started") == 1
