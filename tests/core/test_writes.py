"""What goes to the inverter and when, through whole cycles: the lease, stale readings, results that come late."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from agent.core.command import CommandKind, RampClass
from agent.core.decision import Intent, Mode, Write
from agent.core.inputs import FreshTime, WriteDone
from agent.core.params import S
from tests.core.home import Home, arriving, command


def running(**changes: Any) -> Home:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900, **changes)))
    home.run(12)
    return home


def test_the_lease_is_renewed_every_fifteen_seconds() -> None:
    home = running()
    before = len(home.writes)
    home.run(60)
    renewals = home.writes[before:]
    assert [w.why for _, w in renewals] == ["lease"] * 4
    assert [b[0] - a[0] for a, b in pairwise(renewals)] == [15 * S] * 3


def test_the_lease_is_not_renewed_after_a_write_that_was_not_confirmed() -> None:
    home = running()
    home.outcome = "silent"
    home.run(60)
    assert "lease" not in [w.why for _, w in home.writes[-1:]]
    assert home.mode() is Mode.FAULT


def test_what_relaxes_waits_for_its_turn_however_often_cycles_are_woken() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.tick()
    for _ in range(20):
        home.tick(s=0.05)  # one second of results that wake cycles
    assert home.powers() == [570, 1082]  # 0.9 s of ramp in the second: 570 + 513, in steps of 2 W


def test_what_tightens_waits_for_nothing() -> None:
    home = running()
    home.battery["dcl_ma"] = 60_000
    home.tick(s=0.05)
    assert home.powers()[-1] == 3168
    home.battery["dcl_ma"] = 50_000
    home.tick(s=0.05)
    assert home.powers()[-1] == 2640


def test_what_relaxes_waits_for_the_confirmation_of_the_last_write() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.outcome = "late"
    home.run(2)
    assert set(home.powers()) == {570}
    home.outcome = "confirmed"
    home.run(3)
    assert home.powers()[-1] > 570


def test_a_setpoint_is_rounded_toward_zero_to_the_devices_step() -> None:
    home = running(power_w=4_999)
    assert home.given() == 4_998
    home = running(power_w=-4_999)
    assert home.given() == -4_998


def test_a_setpoint_that_the_inverter_lost_is_written_again_at_once() -> None:
    home = running()
    home.remote_w = None
    home.inverter["status"] = "starting"  # it rebooted
    home.tick()
    assert home.writes[-1][1].why == "again: the inverter restarted"
    assert home.powers()[-1] == 5000


def test_an_inverter_that_does_not_tell_its_setpoint_is_believed_to_have_it() -> None:
    home = running()
    home.inverter["remote_w"] = None
    home.run(14)
    assert home.writes[-1][1].why in ("setpoint", "lease")


def test_a_setpoint_at_the_ac_terminals_is_renewed_when_pv_moves_the_battery() -> None:
    home = running()
    home.inverter.update(remote_w=None, remote_now_w=4960)
    before = len(home.writes)
    home.run(3)
    assert len(home.writes) == before  # 40 W are let pass
    home.inverter["remote_now_w"] = 4900
    home.tick()
    assert home.writes[-1][1].why == "again: PV or load moved"
    assert home.powers()[-1] == 5000
    home.run(30)
    assert "setpoint_lost" not in home.faults()


def test_a_setpoint_of_another_value_is_overwritten() -> None:
    home = running()
    home.remote_w = -4000
    home.tick()
    assert home.powers()[-1] == 5000
    assert home.remote_w == 5000


@pytest.mark.parametrize(("device", "stale_s"), [("battery", 5), ("meter", 3)])
def test_a_stale_reading_gives_zero_at_once_and_release_after_thirty_seconds(device: str, stale_s: int) -> None:
    home = running()
    home.mute.add(device)
    home.run(stale_s)
    assert home.given() == 5000
    home.run(1)
    assert home.given() == 0
    assert home.powers()[-1] == 0
    assert home.mode() is Mode.DEGRADED
    home.run(29)
    assert home.given() == 0
    home.run(1)
    assert home.given() is None
    assert home.intents()[-1] == "clear"
    before = len(home.writes)
    home.run(60)
    assert len(home.writes) == before


def test_a_second_degradation_holds_zero_as_long_as_the_first() -> None:
    home = running()
    for _ in range(2):
        home.mute.add("meter")
        home.run(5)
        assert home.given() == 0
        home.mute.clear()
        home.run(90)
        assert home.given() == 5000


def test_the_agents_own_state_says_what_is_the_matter() -> None:
    home = Home()
    home.queue = [FreshTime()]
    seen = []
    for _ in range(4):
        home.tick()
        seen.append(next(v.sentence for v in home.decision.limits if v.id == "state"))
    assert seen == [
        "the agent is in self_test: the inverter's release, its timer and its floor are awaited",
        "the agent is in standby: it acts after `batteryctl resume`, or with the next cycle",
        "the agent is fit to act",
        "the agent is fit to act",
    ]
    home.tick(arriving(command()))
    home.run(12)
    home.mute.add("battery")
    home.run(8)
    home.mute.clear()
    home.run(2)
    assert home.decision.binding is not None
    assert home.decision.binding.sentence == (
        "the agent is in degraded: it recovers from this: no good reading of the battery for more than 5.0 s"
    )
    assert home.decision.binding in home.decision.limits


def test_a_stale_reading_while_idle_writes_nothing() -> None:
    home = Home().ready()
    home.mute.add("battery")
    home.run(60)
    assert home.writes == []
    assert home.mode() is Mode.DEGRADED


def test_a_silent_inverter_is_not_refreshed_and_is_released_when_it_is_back() -> None:
    home = running()
    home.mute.add("inverter")
    home.run(3)
    power = len(home.powers())
    home.run(57)
    assert len(home.powers()) == power
    assert home.mode() is Mode.FAULT
    home.mute.clear()
    home.run(3)
    assert home.remote_w is None
    assert home.intents()[-1] == "clear"


def test_a_power_still_on_its_way_is_cleared_whatever_a_reading_of_now_says() -> None:
    """The inverter reads released because the write has not reached it yet; after it, it would not be released."""
    home = Home().ready()
    home.tick(arriving(command()))
    answer, home.answer = home.answer, lambda write: None  # type: ignore[method-assign]  # results are slow
    home.tick()
    assert home.intents() == ["power"]
    home.tick(arriving(command(2, kind=CommandKind.CANCEL, target=command().id)), s=0.1)
    assert home.intents() == ["power", "clear"]
    home.run(4)
    assert home.intents() == ["power", "clear"]  # it waits for that result
    home.answer = answer  # type: ignore[method-assign]
    home.run(8)
    assert home.remote_w is None
    before = len(home.writes)
    home.run(60)
    assert len(home.writes) == before


def test_a_setpoint_that_is_not_followed_is_said_again_before_it_is_a_fault() -> None:
    home = Home().ready()
    home.obeys = False
    home.tick(arriving(command(duration_s=900, power_w=11_400, ramp=RampClass.REGULATION)))
    home.run(60)
    assert "again: it is not followed" in [w.why for _, w in home.writes]
    assert "deaf_inverter" in [e.get("fault") for e in home.events_seen]


class Deaf(Home):
    """Refuses STOP."""

    def answer(self, write: Write) -> None:
        if write.intent is Intent.STOP:
            self.queue.append(WriteDone("inverter", "stop", 0, "rejected", self.now_ns))
        else:
            super().answer(write)


def test_where_stop_is_refused_the_setpoint_is_at_least_released_and_stop_is_asked_again() -> None:
    home = Deaf().ready()
    home.tick(arriving(command(power_w=5000, duration_s=900)))
    home.run(12)
    home.battery["temp_max_dc"] = 620
    before = len(home.writes)
    home.run(20)
    assert home.remote_w is None
    intents = [str(w.intent) for _, w in home.writes[before:]]
    assert intents[:2] == ["stop", "clear"]
    assert intents.count("stop") == 2
