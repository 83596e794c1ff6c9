"""Ways through the core that an ordinary day does not take: what is late, lost, refused or not there at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core import crew, grid, meters, writes
from agent.core.book import Book, Live, put
from agent.core.decision import Intent, Mode
from agent.core.durable import Durable
from agent.core.inputs import WriteDone
from agent.core.params import S
from agent.core.snapshot import Trace, take
from agent.core.steptest import Step, StepTest
from agent.core.writes import Hand
from drivers.readings import GridState
from tests.core import home as h
from tests.core.home import PARAMS, Home, arriving, command
from tests.core.several import Several
from tests.core.test_several import OWN
from tests.core.test_snapshot import NOW, world


def dispatched() -> Home:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(15)
    assert home.given() == 5000
    return home


# --- what was never read ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("device", ["battery", "inverter", "meter"])
def test_a_device_that_was_never_read_is_called_so(device: str) -> None:
    home = Home()
    home.mute.add(device)
    home.run(20)
    assert f"the {device} was not read yet" in [f.sentence for f in home.decision.faults]


def test_of_no_inverter_at_all_nothing_is_known_of_the_grid() -> None:
    assert grid.of_all([]) == (GridState.UNKNOWN, False, "no inverter is there to say")


def test_one_meter_is_its_own_picture() -> None:
    one = h.meter(NOW)
    assert meters.at_grid([one]) is one


def test_inverters_without_a_pack_that_is_read_have_no_room_and_keep_their_place() -> None:
    home = Several()
    home.mute = {"pack1", "pack2"}
    home.run(3)
    seen, _ = take(home.params, home.inputs(()), home.state.trace)
    assert [unit.device.name for unit in seen.units] == ["inv1", "inv2"]
    assert seen.pack is None
    assert home.given() is None


def test_where_every_inverter_is_lost_none_is_left_out() -> None:
    """Else the home would look at nobody, and nobody is never late."""
    home = Several().ready()
    home.mute = {"inv1", "inv2"}
    home.run(120)
    seen, _ = take(home.params, home.inputs(()), home.state.trace)
    assert not any(unit.out for unit in seen.units)
    assert all(away.out for away in home.state.trace.away)
    assert home.mode() is Mode.FAULT


# --- the SoC ----------------------------------------------------------------------------------------------------------
def test_each_end_of_the_soc_forgets_its_own_flow_when_it_moves() -> None:
    """Two packs: the emptiest has not moved, so what was drained since it last did still counts."""
    home = Several()
    home.each["pack1"]["soc_permille"], home.each["pack2"]["soc_permille"] = 400, 600
    home.run(3)
    moved = replace(home.state.trace, drained_nj=7 * 10**12, charged_nj=9 * 10**12)

    def after(one: int, two: int) -> tuple[int, int]:
        home.each["pack1"]["soc_permille"], home.each["pack2"]["soc_permille"] = one, two
        trace = take(home.params, home.inputs(()), replace(moved, at_ns=home.now_ns))[1]
        return trace.drained_nj, trace.charged_nj

    assert after(400, 600) == (7 * 10**12, 9 * 10**12)
    assert after(401, 600) == (0, 9 * 10**12)
    assert after(400, 601) == (7 * 10**12, 0)
    assert after(401, 601) == (0, 0)


def test_a_bank_of_unknown_soc_moves_nothing() -> None:
    home = Several(parameters=OWN)
    home.ready()
    home.each["pack2"]["soc_permille"] = None
    home.tick()
    seen, _ = take(home.params, home.inputs(()), home.state.trace)
    assert [(unit.charge_w, unit.discharge_w) for unit in seen.units][1] == (0, 0)


def test_steps_that_the_pack_s_current_shows_the_other_way_round_are_a_reversed_sign() -> None:
    home = Home().ready()
    mirrored = home.state.trace.sanity._replace(pack_test=StepTest(1, steps=(Step(2000, -1000),) * 3))
    home.state = replace(home.state, trace=replace(home.state.trace, sanity=mirrored))
    home.run(15)
    told = {f.id: f.sentence for f in home.decision.faults}
    assert told["current_wrong"] == "the pack's current has the opposite sign of the inverter's battery power"


# --- writes -----------------------------------------------------------------------------------------------------------
def done(write_class: str, value: int, outcome: str, device: str = "inverter") -> WriteDone:
    return WriteDone(device, write_class, value, outcome, NOW)


def test_a_result_of_an_older_setpoint_says_nothing_of_the_newer() -> None:
    hand = Hand(setpoint_w=500, pending=True)
    for late in (done("power", 400, "confirmed"), done("power", 500, "superseded")):
        assert writes.heard(hand, late, NOW) == replace(hand, touched_ns=NOW)


def test_a_clear_that_was_superseded_released_nothing() -> None:
    hand = Hand(clear_pending=True, clear_ns=NOW - S)
    heard = writes.heard(hand, done("clear", 0, "superseded"), NOW)
    assert heard == replace(hand, clear_pending=False, touched_ns=NOW)
    assert heard.maybe_active


def test_what_was_superseded_is_no_news() -> None:
    home = dispatched()
    home.tick(done("power", 5000, "superseded"))
    assert not [notice for notice in home.notices if "superseded" in notice]
    home.tick(done("power", 5000, "refused"))
    assert [notice for notice in home.notices if "refused" in notice]


@pytest.mark.parametrize(("shown_w", "again"), [(5051, True), (5050, False), (4950, False), (4949, True)])
def test_a_setpoint_that_pv_has_moved_is_renewed(shown_w: int, again: bool) -> None:
    """Commanded at the AC terminals, the battery follows PV: beyond 50 W of what was given it is said again."""
    home = dispatched()
    before = len(home.writes)
    home.inverter["remote_now_w"] = shown_w
    home.tick()
    assert [w.why for _, w in home.writes[before:]] == (["again: PV or load moved"] if again else [])


def test_a_reading_that_is_too_old_moves_no_setpoint() -> None:
    shown, _ = take(PARAMS, world(inverters=(h.inverter(NOW, remote_active=True, remote_now_w=900),)), Trace(NOW))
    hand = Hand(setpoint_w=500, confirmed=True, confirmed_ns=NOW - 9 * S, asked_ns=NOW)
    wanted = writes.Wanted(Mode.LOCAL, 500, None, False, False, False)
    late = replace(shown, inverter_age_ns=shown.inverter_stale_ns + 1)
    assert [w.why for w in writes.plan(hand, shown, wanted, PARAMS).writes] == ["again: PV or load moved"]
    assert writes.plan(hand, late, wanted, PARAMS).writes == ()


# --- several commands, a core that fails ------------------------------------------------------------------------------
def test_of_several_commands_the_one_meant_is_renewed_in_its_place() -> None:
    book = Book(Durable(), (Live("a"), Live("b"), Live("c")))
    assert put(book, Live("b", running=True)).live == (Live("a"), Live("b", running=True), Live("c"))
    assert put(book, Live("d")).live == (Live("a"), Live("b"), Live("c"), Live("d"))


def test_a_core_that_fails_releases_every_inverter(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Several()
    home.ready()
    home.tick(arriving(command(power_w=6000, duration_s=900)))
    home.run(15)
    assert set(home.shares()) == {"inv1", "inv2"}

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("agent.core.step.take", broken)
    before = len(home.writes)
    home.tick()
    assert home.faults() == ["internal_error"]
    assert {(w.device, w.intent) for _, w in home.writes[before:]} == {("inv1", Intent.CLEAR), ("inv2", Intent.CLEAR)}
    assert home.remotes == {"inv1": None, "inv2": None}
    home.tick()
    assert len(home.writes) == before + 2, "what was released is not released again"


def test_a_crew_of_nobody_leaves_the_home_s_own_watch() -> None:
    home = Home().ready()
    seen, _ = take(home.params, home.inputs(()), home.state.trace)
    assert crew.watch((), seen, home.params, S, home.state.actuation) == ((), home.state.actuation)
