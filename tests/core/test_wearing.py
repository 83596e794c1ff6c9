"""What a dispatch may wear out of the inverter, and that the reserve is kept when it has done so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.command import CommandKind
from agent.core.decision import Intent, Mode, Write
from agent.core.inputs import Reserve, WriteDone
from agent.core.params import S
from drivers.wear import Share, Wear
from tests.core.home import Home, arriving, command

BUDGET = 20
HOUR = 3600


class Wearing(Home):
    """Arming takes `arm` writes, a release one, a new floor one; the driver counts them by `drivers.wear`."""

    def __init__(self, floor: bool, arm: int = 1) -> None:
        super().__init__()
        self.wear, self.arm, self.floor = Wear(None), arm, floor
        self.soc = 620.0
        self.load_w = 2_000
        self.made: list[Share] = []
        if not floor:
            self.told = {"floor": False}
            self.inverter["floor_permille"] = None

    def answer(self, write: Write) -> None:
        need = {
            Intent.POWER: self.arm * (self.remote_w is None),
            Intent.CLEAR: int(self.remote_w is not None),
            Intent.FLOOR: int(write.value != self.floor_permille),
        }.get(write.intent, 0)
        share = Share.HOME if write.command_id is None else Share.DISPATCH
        if write.intent is Intent.CLEAR:
            share = Share.RELEASE
        elif write.intent is Intent.FLOOR and write.value > self.floor_permille:
            share = Share.RAISE
        free_ns = self.wear.free_ns(self.now_ns, BUDGET, 1, need, share) if need else self.now_ns
        if free_ns > self.now_ns:
            outcome = "spent" if share is Share.DISPATCH else "worn"
            self.queue.append(WriteDone("inverter", write.intent.value, write.value, outcome, self.now_ns, free_ns))
            return
        for _ in range(need):
            self.wear.wrote(self.now_ns, share is Share.RELEASE)
            self.made.append(share)
        short_ns = self.wear.free_ns(self.now_ns, BUDGET, 1, 2 * (self.arm + 1), Share.HOME)
        super().answer(write)
        if write.intent is Intent.POWER and short_ns > self.now_ns:
            done = self.queue.pop()
            assert isinstance(done, WriteDone)
            self.queue.append(replace(done, free_ns=short_ns))

    def live(self, seconds: int) -> set[str]:
        """The house runs on the battery down to what holds it. Returns every fault that was seen."""
        seen: set[str] = set()
        for _ in range(seconds):
            own_w = self.load_w if self.soc > (self.floor_permille if self.floor else 20) else 0
            battery_w = own_w if self.remote_w is None else self.remote_w
            self.soc -= battery_w / 3600 / self.params.site.capacity_wh * 1000
            self.battery["soc_permille"] = round(self.soc)
            self.inverter["battery_w"] = battery_w
            self.meter["grid_w"] = self.load_w - battery_w
            self.tick()
            seen |= set(self.faults())
        return seen


def dispatches(home: Wearing, count: int) -> set[str]:
    seen: set[str] = set()
    for number in range(1, count + 1):
        home.tick(arriving(command(number, power_w=500, duration_s=5)))
        seen |= home.live(119)
    return seen


def test_a_key_that_dispatches_all_day_cannot_spend_what_keeps_the_reserve() -> None:
    home = Wearing(floor=False)
    home.soc, home.battery["soc_permille"] = 320.0, 320
    home.ready()
    seen = dispatches(home, 12) | home.live(4 * HOUR)
    assert home.made.count(Share.DISPATCH) == 5  # each with its release: half of the budget
    assert home.soc >= 200
    assert home.given() is not None  # we drive it
    assert seen == set()


@pytest.mark.parametrize("arm", [1, 2])
def test_a_raised_reserve_is_written_into_the_floor_after_any_number_of_dispatches(arm: int) -> None:
    home = Wearing(floor=True, arm=arm)
    home.battery["soc_permille"] = 620
    home.ready()
    seen = dispatches(home, 12)
    home.reserve = Reserve(600, "file")
    seen |= home.live(60)
    assert home.floor_permille == 600
    assert seen == set()


def test_a_dispatch_without_its_part_is_limited_and_ends_with_its_own_reason() -> None:
    home = Wearing(floor=True)
    home.ready()
    for _ in range(BUDGET // 2):
        home.wear.wrote(home.now_ns)
    home.tick(arriving(command(duration_s=60)))
    home.live(10)
    assert home.mode() is Mode.LOCAL
    assert home.given() is None
    assert home.states()[-1] == "limited"
    assert home.acks[-1]["reason"] == "wear_share"
    assert "the rest is the home's own" in home.acks[-1]["sentence"]
    home.tick(arriving(command(9, kind=CommandKind.QUOTE, duration_s=60)))  # a quote says the same
    assert (home.acks[-1]["given_w"], home.acks[-1]["reason"]) == (None, "wear_share")
    before = len(home.writes)
    home.live(40)
    assert home.writes[before:] == []  # it is not asked again and again
    home.live(15)
    assert (home.acks[-1]["state"], home.acks[-1]["reason"]) == ("failed", "wear_share")


def test_a_running_dispatch_that_needs_one_more_write_than_its_part_is_released() -> None:
    home = Wearing(floor=True)
    home.ready()
    home.tick(arriving(command(duration_s=600)))
    home.live(30)
    assert home.mode() is Mode.DISPATCHED
    free_ns = home.now_ns + 120 * S
    home.tick(WriteDone("inverter", "power", home.given() or 0, "spent", 0, free_ns))
    home.live(3)
    assert home.remote_w is None
    assert home.faults() == []
    home.live(130)
    assert home.given() == 5_000  # the part has room again, and the dispatch has time left
    home.live(600)
    assert home.states()[-1] == "completed"


def test_a_cure_is_not_left_to_a_dispatch_that_is_not_followed() -> None:
    home = Wearing(floor=True)
    home.ready()
    for _ in range(BUDGET // 2):
        home.wear.wrote(home.now_ns)
    home.tick(arriving(command(duration_s=600, power_w=5_000)))
    home.live(5)
    home.meter["grid_w"] = 21_000
    for _ in range(15):
        home.meter["grid_w"] = 21_000 - (home.remote_w or 0)
        home.inverter["battery_w"] = home.remote_w or 0
        home.tick()
    assert home.decision.source.startswith("cure:")
    assert (home.given() or 0) > 0


def test_the_write_says_for_whom_it_is() -> None:
    home = Wearing(floor=False)
    home.soc, home.battery["soc_permille"] = 205.0, 205
    home.ready()
    home.live(20)
    assert {w.command_id for _, w in home.writes if w.intent is Intent.POWER} == {None}
    home.tick(arriving(command(power_w=-3_000)))
    home.live(20)
    powers = [w for _, w in home.writes if w.intent is Intent.POWER]
    assert powers[-1].command_id == command().id


def test_what_the_home_takes_it_holds_when_the_writes_run_short_however_a_key_moves_the_battery() -> None:
    """Charged out of the reserve's reach and let go again, each time for two writes of the home's, none of its own."""
    home = Wearing(floor=False)
    home.soc, home.battery["soc_permille"], home.load_w = 203.0, 203, 8_000
    home.ready()
    low = home.soc
    seen: set[str] = set()
    for count in range(1, 13):
        while home.decision.source != "self_consumption" or home.given() is None or home.soc > 206:
            seen |= home.live(10)
            low = min(low, home.soc)
        home.tick(arriving(command(count, power_w=-11_400, duration_s=220)))
        seen |= home.live(230)
    assert low >= 200
    assert seen == set()
    assert Share.DISPATCH not in home.made
    assert len(home.made) < BUDGET - 4  # not one that is kept for releases
    assert home.given() is not None


def test_a_setpoint_far_from_the_reserve_is_released_when_there_are_writes_again() -> None:
    home = Wearing(floor=False)
    home.soc, home.battery["soc_permille"] = 203.0, 203
    home.ready()
    home.live(60)
    assert home.given() is not None
    short_ns = home.now_ns + 100 * S
    home.tick(WriteDone("inverter", "power", home.given() or 0, "confirmed", home.now_ns, short_ns))
    home.reserve = Reserve(100, "file")
    home.wear = Wear(None)
    home.live(2)
    assert home.given() is not None
    home.live(120)
    assert home.given() is None
