"""Raises of the reserve: they lift it, never lower it, survive a reboot, and end; numbers by hand.

The home: 25 kWh at 60 %, its own reserve 20 %.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.command import CommandState
from agent.core.decision import LimitValue
from agent.core.durable import Overlay, from_json, to_json
from agent.core.inputs import ClockTrust, EndRaise, FreshTime, RaiseReserve
from agent.core.overlay import CHECKPOINT_S, MOST, STANDS_NS
from agent.core.params import S
from tests.core.home import PARAMS, Home, arriving, command

H = 3600


def storm(permille: int = 800, **changes: object) -> RaiseReserve:
    event = RaiseReserve("storm", "storm", permille, "homeowner", "ann (homeowner)", "storm", for_s=6 * H)
    return replace(event, **changes)  # type: ignore[arg-type]  # fields of the event


def between(home: Home, start_s: int, end_s: int, permille: int = 800) -> RaiseReserve:
    wall = home.clock().wall_ms
    return storm(permille, start_ms=wall + start_s * 1000, end_ms=wall + end_s * 1000, for_s=0)


def remote(permille: int = 500, hours: int = 72, **changes: object) -> RaiseReserve:
    event = RaiseReserve("ops-1", "remote", permille, "operations", "grid desk", "cold front", for_s=hours * H)
    return replace(event, **changes)  # type: ignore[arg-type]  # fields of the event


def reserve(home: Home) -> int:
    return home.decision.reserve_permille


def limit(home: Home, name: str) -> LimitValue:
    return next(value for value in home.decision.limits if value.id == name)


def test_a_raise_acts_in_the_very_cycle_that_hears_of_it() -> None:
    home = Home().ready()
    assert reserve(home) == 200
    assert home.decision.hi_w == 11_400
    home.tick(storm())
    assert reserve(home) == 800
    assert home.decision.hi_w == 0  # at 60 % nothing is discharged below 80 %
    assert [(r.id, r.permille, r.in_force, r.left_s) for r in home.decision.raises] == [("storm", 800, True, 6 * H)]


def test_the_limit_names_whose_word_it_is_and_for_how_long() -> None:
    home = Home().ready()
    home.tick(remote(700))
    said = limit(home, "reserve")
    assert said.owner == "operations"
    assert said.sentence == (
        "SoC is at least 59.9 %, the reserve is 70.0 %; grid desk raised it for 72 h 0 min more: cold front"
    )
    home.tick(EndRaise("ops-1", "ann (homeowner)"))
    assert limit(home, "reserve").owner == "homeowner"
    assert "raised" not in limit(home, "reserve").sentence


def test_it_never_lowers_and_the_greatest_holds() -> None:
    home = Home().ready()
    home.tick(storm(150))
    assert reserve(home) == 200
    home.tick(remote(300))
    assert reserve(home) == 300
    home.tick(storm(400))
    assert reserve(home) == 400
    home.reserve = replace(home.reserve, permille=900)
    home.tick()
    assert reserve(home) == 900
    home.reserve = replace(home.reserve, source="unreadable")
    home.tick()
    assert reserve(home) == 1000


def test_a_window_begins_and_ends_by_its_instants() -> None:
    home = Home().ready()
    home.tick(between(home, 11, 31))
    assert reserve(home) == 200
    assert [(r.in_force, r.left_s) for r in home.decision.raises] == [(False, 30)]
    home.run(9)
    assert reserve(home) == 200
    home.tick()
    assert reserve(home) == 800
    home.run(19)
    assert reserve(home) == 800
    home.tick()
    assert reserve(home) == 200
    assert home.decision.raises == ()
    assert home.disk.overlays == ()
    words = [e["event"] for e in home.events_seen if "raise_id" in e]
    assert words == ["raise", "raise_over"]


def test_it_is_in_the_store_and_survives_a_reboot() -> None:
    home = Home().ready()
    home.tick(storm())
    home.run(2)
    home.disk = from_json(to_json(home.disk))
    later = home.crash(kernel_boot="kernel-2")
    later.tick(FreshTime())
    assert reserve(later) == 800
    later.run(3)
    assert later.disk.overlays[0].kernel_boot == "kernel-2"


def test_a_store_of_before_there_were_raises_is_read() -> None:
    home = Home().ready()
    home.tick(storm())
    home.run(2)
    text = to_json(replace(home.disk, overlays=())).replace('"overlays":[],', "")
    assert "overlays" not in text
    assert from_json(text) == replace(home.disk, overlays=())


def test_a_raise_that_is_not_whole_numbers_makes_the_store_unreadable() -> None:
    home = Home().ready()
    home.tick(storm())
    home.run(2)
    text = to_json(home.disk).replace('"permille":800', '"permille":"800"')
    with pytest.raises(ValueError, match="not a whole number in the raise 'storm'"):
        from_json(text)


def test_without_a_clock_it_stays_until_its_length_has_passed_however_often_the_gateway_restarts() -> None:
    home = Home().ready()
    home.tick(between(home, 10, 100))
    home.run(3)
    later = home.crash(kernel_boot="kernel-2")
    later.trust, later.wall_offset_ms = ClockTrust.UNTRUSTED, 0  # 1970
    later.tick()
    assert reserve(later) == 800  # nobody can say whether it has begun: it has
    later.run(50)
    again = later.crash()  # the daemon alone: the kernel's clock runs on
    again.tick()
    assert reserve(again) == 800
    again.run(47)
    assert reserve(again) == 800
    again.run(3)
    assert reserve(again) == 200


def test_without_a_clock_a_reboot_gives_back_no_more_than_a_checkpoint() -> None:
    home = Home()
    home.trust = ClockTrust.UNTRUSTED
    home.tick(storm(for_s=2 * CHECKPOINT_S))
    home.tick(s=CHECKPOINT_S)
    home.tick()
    assert home.disk.overlays[0].left_s == CHECKPOINT_S
    later = home.crash(kernel_boot="kernel-2")
    later.tick(s=10)
    assert later.decision.raises[0].left_s == CHECKPOINT_S
    later.tick(s=CHECKPOINT_S - 1)
    assert reserve(later) == 800
    later.tick()
    assert reserve(later) == 200


def in_force_s(every_s: int, hours: int = 72, step_s: int = 60, disk: bool = True) -> int:
    """For how long of a running gateway a remote raise holds that has no clock and restarts so often."""
    home = Home()
    home.trust = ClockTrust.UNTRUSTED
    home.tick(remote(hours=hours))
    home.run(2)
    ran_s = boots = 0
    while reserve(home) == 500 and ran_s < 2 * hours * H:
        home.disk_ok = home.commits = disk
        if ran_s // every_s > boots:
            boots = ran_s // every_s
            home = home.crash(kernel_boot=f"again-{boots}")
            home.trust = ClockTrust.UNTRUSTED
        home.tick(s=step_s)
        ran_s += step_s
    return ran_s


@pytest.mark.parametrize("every_s", [300, 540, 600, 660, 1200, 1800, 7200, 12 * H, 1000 * H])
def test_without_a_clock_a_remote_raise_is_in_force_for_its_time_at_most_however_often_the_gateway_restarts(
    every_s: int,
) -> None:
    ran_s = in_force_s(every_s)
    assert ran_s <= 72 * H + 60
    assert ran_s + ran_s // every_s * CHECKPOINT_S >= 72 * H  # ten minutes a restart too early at most


@pytest.mark.parametrize("how", ["length", "dates"])
def test_with_a_clock_no_restart_ends_a_remote_raise_before_its_date(how: str) -> None:
    home = Home().ready()
    home.tick(asked(home, how, "remote"))
    home.run(2)
    left_s = 6 * H - 3
    while left_s > 660:
        home.trust = ClockTrust.UNTRUSTED  # until the time was asked
        wall = home.clock().wall_ms
        home = home.crash(kernel_boot=f"kernel-{left_s}")
        home.wall_offset_ms = wall - home.now_ns // 1_000_000
        home.tick(s=10)
        assert reserve(home) == 800
        home.trust = ClockTrust.SYNCED
        home.tick(s=50)
        home.tick(s=600)
        left_s -= 660
        assert reserve(home) == 800, left_s
    home.tick(s=left_s + 2)
    home.tick(s=600)
    assert reserve(home) == 200


def test_a_remote_raise_that_neither_clock_nor_disk_counts_ends() -> None:
    assert in_force_s(600, disk=False) == 660
    home = Home()  # one that was counted since it was asked for does not
    home.trust, home.disk_ok, home.commits = ClockTrust.UNTRUSTED, False, False
    home.tick(remote(), storm(300))
    home.run(5)
    assert reserve(home) == 500
    assert [r.id for r in home.decision.raises] == ["ops-1", "storm"]


def test_a_storm_is_not_shortened_by_a_restart() -> None:
    home = Home()
    home.trust = ClockTrust.UNTRUSTED
    home.tick(storm(for_s=H))
    for n in range(20):
        home.run(300)
        home = home.crash(kernel_boot=f"k{n}")
        home.trust = ClockTrust.UNTRUSTED
        home.tick()
        assert home.decision.raises[0].left_s > H - 60


def test_one_that_began_without_a_clock_is_dated_when_there_is_one() -> None:
    home = Home()
    home.trust = ClockTrust.UNTRUSTED
    home.tick(storm(for_s=100))
    home.run(39)
    assert home.decision.raises[0].end_ms == 0
    home.trust = ClockTrust.SYNCED
    home.wall_offset_ms += 10**9
    home.tick()
    dated = home.decision.raises[0]
    assert dated.end_ms == home.clock().wall_ms + 60_000
    assert dated.end_ms - dated.start_ms == 100_000
    home.run(59)
    assert reserve(home) == 800
    home.tick()
    assert reserve(home) == 200


def test_what_is_refused() -> None:
    home = Home().ready()
    wall = home.clock().wall_ms
    for wrong, why in (
        (storm(kind="dispatch"), "there is no raise of kind 'dispatch'"),
        (storm(90), "a reserve of 9.0 % is outside 10.0 % to 100.0 %"),
        (storm(1001), "a reserve of 100.1 % is outside 10.0 % to 100.0 %"),
        (storm(for_s=0), "a raise for 0 s is refused: it lasts 1 s to 336 h"),
        (storm(for_s=14 * 86_400 + 1), "a raise for 1209601 s is refused: it lasts 1 s to 336 h"),
        (remote(for_s=72 * H + 1), "a raise for 259201 s is refused: it lasts 1 s to 72 h"),
        (storm(start_ms=wall - 2000, end_ms=wall - 1000), "that is over already"),
        (
            storm(start_ms=wall + 31 * 86_400_000, end_ms=wall + 32 * 86_400_000),
            "it would begin in more than 30 days",
        ),
    ):
        home.notices.clear()
        home.tick(wrong)
        assert [n.partition("refused: ")[2] for n in home.notices] == [why]
        assert reserve(home) == 200
        assert home.disk.overlays == ()


def test_there_is_an_end_to_how_many() -> None:
    home = Home().ready()
    for n in range(MOST + 1):
        home.tick(storm(300 + n, id=f"mine-{n}"))
    assert len(home.decision.raises) == MOST
    assert any(n.endswith(f"{MOST} raises are in force or to come already") for n in home.notices)
    home.tick(storm(400, id="mine-3"))  # in the place of one that is there
    assert reserve(home) == 400
    assert len(home.decision.raises) == MOST


def test_the_others_leave_room_for_the_homeowner() -> None:
    home = Home().ready()
    wall = home.clock().wall_ms
    ahead = {"for_s": 0, "start_ms": wall + 29 * 86_400_000, "end_ms": wall + 29 * 86_400_000 + 1000}
    for n in range(MOST):
        home.tick(remote(100, id=f"ops-{n}", **ahead), storm(100, id=f"tech-{n}", owner="technician", **ahead))
    owners = [r.owner for r in home.decision.raises]
    assert sorted(owners) == ["operations"] * 4 + ["technician"] * 2
    assert any(n.endswith("4 raises of the role operations are in force or to come already") for n in home.notices)
    assert any(n.endswith("2 raises of the role technician are in force or to come already") for n in home.notices)
    home.tick(remote(300, id="ops-3", for_s=H))  # in the place of one that is there: the desk's own, and not less
    home.tick(storm(900))
    home.tick(storm(850, id="another"))
    assert reserve(home) == 900
    assert len(home.decision.raises) == MOST


def test_nobody_turns_the_homeowners_storm_into_a_remote_raise() -> None:
    home = Home().ready()
    home.tick(storm())
    home.tick(remote(900, id="storm"))
    assert [(r.kind, r.owner, r.permille) for r in home.decision.raises] == [("storm", "homeowner", 800)]


def test_only_the_homeowner_makes_one_less() -> None:
    home = Home().ready()
    home.tick(between(home, 10, 1000))
    had = home.decision.raises[0]
    tech = {"owner": "technician", "by": "tom (technician)", "for_s": 0}
    same = {"start_ms": had.start_ms, "end_ms": had.end_ms}
    home.trust = ClockTrust.UNTRUSTED
    home.tick(storm(1000, **(tech | {"for_s": 86_400})))  # longer or shorter: without a clock nobody can tell
    assert any("only the homeowner lowers or shortens it" in n for n in home.notices)
    home.trust = ClockTrust.SYNCED
    home.tick()
    for less in (
        storm(790, **tech, **same),
        storm(800, **tech, start_ms=had.start_ms + 1000, end_ms=had.end_ms),
        storm(800, **tech, start_ms=had.start_ms, end_ms=had.end_ms - 1000),
        storm(900, **(tech | {"for_s": 10})),
    ):
        home.notices.clear()
        home.tick(less)
        assert any("only the homeowner lowers or shortens it" in n for n in home.notices)
        assert [(r.permille, r.start_ms, r.end_ms) for r in home.decision.raises] == [(800, had.start_ms, had.end_ms)]
    home.tick(storm(850, **tech, **same))
    assert home.decision.raises[0].permille == 850
    home.tick(storm(300, for_s=10))
    assert home.decision.raises[0].permille == 300
    home.tick(EndRaise("storm", "ann (homeowner)"))
    assert home.decision.raises == ()
    home.tick(EndRaise("storm", "ann (homeowner)"))  # there is none: nothing happens
    assert reserve(home) == 200


def test_dispatch_is_held_back_by_it_and_says_so() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(30)
    assert home.given() == 5000
    home.tick(remote(700))
    assert home.given() == 0
    home.run(2)
    assert home.acks[-1]["state"] == CommandState.LIMITED
    assert home.acks[-1]["reason"] == "reserve"


def test_the_devices_own_floor_follows_it_and_comes_back() -> None:
    home = Home().ready()
    home.tick(remote(700, hours=1))
    home.run(5)
    assert home.floor_permille == 700
    home.tick(s=H)
    home.run(15)
    assert reserve(home) == 200
    assert home.floor_permille == 200


def test_it_is_charged_for_a_storm_and_released_when_it_is_there() -> None:
    home = Home()
    home.battery["soc_permille"] = 790
    home.ready()
    home.draw = 7
    home.tick(between(home, 5, 20_000))
    home.run(4 + 6)  # 7 s after it began, at random
    assert home.decision.source == "self_consumption"
    home.run(60)
    assert home.decision.source == "storm"
    assert home.decision.asked_w == -5000  # 25 kWh in five hours
    assert home.given() == -5000
    home.battery["soc_permille"] = 815
    home.run(2)
    assert home.decision.source == "storm"  # once begun, to the hysteresis above
    home.battery["soc_permille"] = 822
    home.run(2)
    assert home.given() is None
    home.battery["soc_permille"] = 805  # and not again for a little less
    home.run(2)
    assert home.decision.source == "self_consumption"


def test_a_storm_comes_after_restore_and_before_dispatch() -> None:
    home = Home(replace(PARAMS, restore_w=1000)).ready()
    home.tick(arriving(command()), storm())
    home.run(3)
    assert home.decision.source == "storm"
    assert home.acks[-1]["reason"] == "storm"
    home.battery["soc_permille"] = 150
    home.run(2)
    assert home.decision.source == "cure:reserve"  # up to the reserve of always, with what the site allows for that
    assert home.decision.asked_w == -1000


def test_a_remote_raise_charges_nothing_by_itself() -> None:
    home = Home().ready()
    home.tick(remote(900))
    home.run(20)
    assert home.decision.source == "self_consumption"
    assert home.intents().count("power") == 0


def test_nobody_charges_blind_for_a_storm() -> None:
    home = Home().ready()
    home.tick(storm())
    home.run(3)
    assert home.decision.source == "storm"
    home.mute.add("battery")
    home.presence["battery"] = "silent"
    home.run(7)
    assert home.decision.source == "self_consumption"
    assert home.given() in (0, None)
    assert reserve(home) == 800


def test_an_error_inside_the_core_counts_every_raise() -> None:
    home = Home().ready()
    home.tick(between(home, 1000, 2000))
    assert reserve(home) == 200
    home.params = replace(home.params, hysteresis_permille="x")  # type: ignore[arg-type]  # to break the next cycle
    home.battery["soc_permille"] = 100
    home.state = replace(home.state, bounds=None)
    home.tick(storm("x"))  # type: ignore[arg-type]
    assert home.faults() == ["internal_error"]
    assert reserve(home) == 800


def test_an_overlay_is_one_value() -> None:
    kept = Overlay("a", "storm", 800, "homeowner", "ann", "storm", 1, 2, 3, 4, 5 * S, "k", 6)
    disk = replace(Home().disk, overlays=(kept,))
    assert from_json(to_json(disk)) == disk


def test_ending_one_leaves_the_other() -> None:
    home = Home().ready()
    home.tick(storm(), remote(300))
    home.tick(EndRaise("storm", "ann (homeowner)"))
    assert [r.id for r in home.decision.raises] == ["ops-1"]
    assert reserve(home) == 300


def test_of_several_raises_the_limit_names_the_one_that_holds() -> None:
    home = Home().ready()
    home.tick(storm(150))
    assert "raised" not in limit(home, "reserve").sentence, "below the homeowner's own it holds nothing"
    home.tick(remote(700))
    assert "cold front" in limit(home, "reserve").sentence
    home.tick(storm(650))
    assert "cold front" in limit(home, "reserve").sentence
    home.tick(storm(800))
    assert "ann (homeowner) raised it for 6 h 0 min more: storm" in limit(home, "reserve").sentence
    home.tick(between(home, 3600, 7200, 700))
    assert "cold front" in limit(home, "reserve").sentence, "the storm is announced, not there"
    home = Home().ready()
    home.tick(between(home, 3600, 7200, 700))
    home.tick(remote(700))
    assert "cold front" in limit(home, "reserve").sentence


def test_the_rest_of_a_raise_is_told_in_hours_and_minutes() -> None:
    home = Home().ready()
    home.tick(storm(800))
    home.run(61)
    assert "raised it for 5 h 58 min more" in limit(home, "reserve").sentence


# --- clocks that are set, wrong or lied to ----------------------------------------------------------------------------
STANDS = STANDS_NS // S


def asked(home: Home, how: str, kind: str = "storm") -> RaiseReserve:
    """For six hours from now, as a length or by its dates."""
    event = storm() if kind == "storm" else remote(800, 6)
    if how == "length":
        return event
    wall = home.clock().wall_ms
    return replace(event, for_s=0, start_ms=wall, end_ms=wall + 6 * H * 1000)


@pytest.mark.parametrize("kind", ["storm", "remote"])
@pytest.mark.parametrize("how", ["length", "dates"])
@pytest.mark.parametrize("step_s", [-86_400, -600, -1, 1, 6 * H + 60, 10 * 365 * 86_400])
def test_a_clock_that_is_set_for_a_while_ends_no_raise(step_s: int, how: str, kind: str) -> None:
    home = Home().ready()
    home.tick(asked(home, how, kind))
    for seconds in (1, STANDS - 2):
        home.wall_offset_ms += step_s * 1000
        for _ in range(seconds):
            home.tick()
            assert (reserve(home), home.floor_permille in (200, 800)) == (800, True)
        home.wall_offset_ms -= step_s * 1000
        home.run(3)
        assert reserve(home) == 800
    assert home.decision.hi_w == 0
    assert home.floor_permille == 800


@pytest.mark.parametrize("step_s", [-86_400, -600, 6 * H + 60, 10 * 365 * 86_400])
def test_one_of_a_length_lasts_that_long_whatever_the_clock_says(step_s: int) -> None:
    home = Home().ready()
    home.tick(asked(home, "length"))
    home.run(5)
    home.wall_offset_ms += step_s * 1000
    for _ in range(6 * H // 60 - 1):
        home.tick(s=60)
        assert reserve(home) == 800
    shown = home.decision.raises[0]
    assert abs(shown.end_ms - home.clock().wall_ms - shown.left_s * 1000) <= 60_000, "its dates follow the clock"
    home.tick(s=60)
    assert reserve(home) == 200


def test_a_date_that_a_clock_stands_by_ends_it() -> None:
    """The gateway's clock was behind when the window was set: the date is what the homeowner said."""
    home = Home().ready()
    home.tick(asked(home, "dates"))
    home.run(5)
    home.wall_offset_ms += 7 * H * 1000
    home.run(STANDS)
    assert reserve(home) == 800
    home.tick()
    assert reserve(home) == 200


def test_a_date_that_has_not_come_keeps_it_but_not_for_ever() -> None:
    home = Home().ready()
    home.tick(asked(home, "dates"))
    home.wall_offset_ms -= 365 * 86_400_000
    for _ in range(14 * 24 - 1):
        home.tick(s=H)
        assert reserve(home) == 800, "its date is not there"
    home.tick(s=H)
    assert reserve(home) == 200, "no storm lasts longer"


@pytest.mark.parametrize("how", ["length", "dates", "no clock"])
def test_a_remote_raise_is_in_force_for_72_hours_at_most_by_any_count(how: str) -> None:
    home = Home().ready()
    wall = home.clock().wall_ms
    if how == "length":
        home.tick(remote(900))
    elif how == "dates":
        home.tick(remote(900, for_s=0, start_ms=wall, end_ms=wall + 72 * H * 1000))
    else:
        ahead = wall + 20 * 86_400_000
        home.tick(remote(900, for_s=0, start_ms=ahead, end_ms=ahead + 72 * H * 1000))
        home.run(2)
        home = home.crash(kernel_boot="kernel-2")
        home.trust = ClockTrust.UNTRUSTED
    held = 0
    for turn in range(100 * 6):
        if turn == 71 * 6 or turn == 40 * 6:
            home = home.crash()
        if turn == 71 * 6:
            home.wall_offset_ms -= 71 * H * 1000
        home.tick(s=600)
        held += 600 * (reserve(home) == 900)
    assert 71 * H <= held <= 72 * H


def test_a_window_that_a_clock_reaches_for_a_moment_has_not_begun() -> None:
    home = Home().ready()
    home.tick(between(home, 10 * 86_400, 11 * 86_400))
    for ahead_s, there in ((10 * 86_400 + 60, 800), (12 * 86_400, 200)):
        home.wall_offset_ms += ahead_s * 1000
        home.run(STANDS - 1)
        assert reserve(home) == there, "in the window it holds at once"
        home.wall_offset_ms -= ahead_s * 1000
        home.tick()
        assert (reserve(home), len(home.decision.raises)) == (200, 1)
    home.wall_offset_ms += (10 * 86_400 + 60) * 1000
    home.run(STANDS + 1)
    home.wall_offset_ms -= (10 * 86_400 + 60) * 1000
    home.tick()
    assert reserve(home) == 800, "a clock that stood by it has begun it"


def test_what_has_begun_is_begun_after_a_restart_too() -> None:
    home = Home().ready()
    home.tick(asked(home, "dates"))
    home.run(2)
    for kernel in (None, "kernel-2"):
        later = home.crash(kernel_boot=kernel)
        later.disk = from_json(to_json(later.disk))
        later.wall_offset_ms -= 600_000
        later.tick()
        assert reserve(later) == 800


def test_time_in_which_the_gateway_was_off_ends_it_by_its_date() -> None:
    for how in ("length", "dates"):
        home = Home().ready()
        home.tick(asked(home, how))
        home.run(2)
        later = home.crash(kernel_boot="kernel-2")
        later.wall_offset_ms += 7 * H * 1000
        later.run(STANDS)
        assert reserve(later) == 800, "the clock is trusted, and nobody counted: it has to stand by it"
        later.tick()
        assert reserve(later) == 200


def test_a_storm_that_has_begun_is_charged_for_while_the_clock_is_set_back() -> None:
    home = Home().ready()
    home.draw = 7
    home.tick(asked(home, "dates"))
    home.run(10)
    assert home.decision.source == "storm"
    home.wall_offset_ms -= 600_000
    home.run(5)
    assert home.decision.source == "storm"


def test_a_technician_replaces_no_raise_that_has_begun_by_one_that_has_not() -> None:
    home = Home().ready()
    home.tick(asked(home, "dates"))
    home.run(2)
    had = home.decision.raises[0]
    home.wall_offset_ms -= 600_000
    home.tick(storm(900, owner="technician", for_s=0, start_ms=had.start_ms, end_ms=had.end_ms))
    assert [(r.permille, r.in_force) for r in home.decision.raises] == [(800, True)]


def test_a_clock_that_is_set_costs_two_commits_and_no_more() -> None:
    home = Home().ready()
    home.tick(asked(home, "length"))
    home.run(3)
    home.wall_offset_ms += 86_400_000
    home.tick()
    home.wall_offset_ms -= 86_400_000
    home.tick()
    assert not any(home.tick().commit for _ in range(60))


def test_a_store_of_before_raises_were_counted_is_read() -> None:
    home = Home().ready()
    home.tick(asked(home, "dates"))
    home.run(2)
    text = to_json(home.disk)
    for part in ('"begun":true,', '"on":true,', '"ran_s":0,', ',"whole":false'):
        assert part in text
        text = text.replace(part, "")
    home.disk = from_json(text)
    later = home.crash()
    later.tick()
    assert reserve(later) == 800
    assert later.state.book.durable.overlays[0].begun
