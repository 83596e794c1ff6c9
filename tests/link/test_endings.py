"""Cancel and stop of a key pass, whatever was done with that key before; and cost little, however many come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.durable import Window
from agent.core.inputs import CommandIn
from agent.link import endings, replay
from agent.link.budgets import COMMANDS_AT_ONCE, ENDINGS_AT_ONCE, Budgets
from agent.link.messages import Halt, parse_command
from agent.link.timing import OUTLIVED_MS
from agent.runtime.part import MqttMessage
from tests.link.home import WALL, Home, kid_of, posted, seed_of

KID = kid_of(seed_of("dispatch"))


@pytest.fixture
def home() -> Home:
    found = Home()
    found.ready()
    return found


def taken(home: Home, message: MqttMessage) -> bool:
    return bool(posted(home.send(message), CommandIn))


def both_pass(home: Home) -> None:
    home.later(0.001)
    home.sample()
    assert taken(home, home.agg.command(home.now, kind="cancel", target="a" * 32))
    assert taken(home, home.agg.command(home.now, kind="stop"))
    token = home.agg.token(home.now, "dispatch", "command", aud="grp:north", kind="stop")
    home.later(0.001)
    assert taken(home, MqttMessage("battery/v1/fleet/group/north/command", token, 1, False))


def test_a_sessions_block_takes_no_number_from_cancel_and_stop(home: Home) -> None:
    block: dict[str, Any] = {
        "start": home.now.wall_ms,
        "duration_s": 60,
        "lo_w": 0,
        "hi_w": 0,
        "seq_from": 1001,
        "seq_to": 1 << 32,
    }
    assert taken(home, home.agg.command(home.now, kind="session", seq=1000, **block))
    both_pass(home)


def test_a_stream_does_not_begin_at_its_end(home: Home) -> None:
    ask: dict[str, Any] = {"kind": "quote", "power_w": 0, "duration_s": 60}
    far = home.now.wall_ms + replay.JUMP_MAX
    assert not taken(home, home.agg.command(home.now, **ask, seq=(1 << 63) - 1))
    assert not taken(home, home.agg.command(home.now, **ask, seq=far + 1))
    assert home.session._counters == {"replay": 2}
    assert taken(home, home.agg.command(home.now, **ask, seq=far))
    both_pass(home)


def test_no_number_of_a_stop_stands_in_the_way_of_the_next(home: Home) -> None:
    assert taken(home, home.agg.command(home.now, kind="stop", seq=(1 << 63) - 1))
    assert taken(home, home.agg.command(home.now, kind="cancel", target="b" * 32, seq=(1 << 63) - 1))
    both_pass(home)


def test_names_of_issuers_do_not_run_out_for_cancel_and_stop(home: Home) -> None:
    for n in range(10):
        taken(home, home.agg.command(home.now, kind="quote", power_w=0, duration_s=60, iss=f"x{n}"))
        taken(home, home.agg.command(home.now, kind="cancel", target="b" * 32, iss=f"y{n}"))
    both_pass(home)


def test_a_stop_from_tomorrow_makes_nobody_deaf(home: Home) -> None:
    assert taken(home, home.agg.command(home.now, kind="stop", iat=WALL + 86_400_000, exp=WALL + 2 * 86_400_000))
    both_pass(home)


def test_a_stop_works_once_also_when_its_id_is_long_forgotten() -> None:
    first = Home()
    first.ready()
    old = first.agg.command(first.now, kind="stop")
    [got] = posted(first.send(old), CommandIn)
    assert dict(got.windows)[endings.stream(KID)].high == WALL
    again = Home(windows=got.windows)
    again.ready()
    assert not taken(again, old)
    assert again.session._counters == {"replay": 1}
    assert taken(again, again.agg.command(again.now, kind="stop", id="7" * 32)), "another of the same millisecond"
    earlier = again.agg.command(again.now, kind="stop", iat=WALL - 1)
    assert not taken(again, earlier)


def halt(iat: int, n: int) -> Halt:
    claims = Home().agg.claims(Home().now, kind="stop")
    stop = parse_command(claims | {"iat": iat, "exp": iat + 1000, "id": f"{n:032x}"})
    assert isinstance(stop, Halt)
    return stop


def test_a_stop_that_a_wrong_clock_dated_ahead_holds_no_later_one_off() -> None:
    kept = dict(endings.taken({}, KID, halt(WALL, 1), WALL + 10**9))
    assert kept == {endings.stream(KID): Window(WALL, 1)}
    kept = dict(endings.taken({}, KID, halt(WALL + 10**10, 2), WALL + 10**9))
    assert kept[endings.stream(KID)].high == WALL + 10**9
    assert not endings.newer(kept, KID, halt(WALL, 1), None)
    assert endings.newer(kept, KID, halt(WALL + 1, 3), WALL)
    assert endings.newer(kept, KID, halt(WALL + 10**9 + 1, 3), WALL + 10**9 + 1)
    blind = endings.taken(kept, KID, halt(WALL, 1), None)
    assert endings.stream(KID) not in dict(blind), "without the time nobody can say when it was signed"


@pytest.mark.parametrize("ahead_ms", [1, 500, 86_400_000])
def test_a_stop_of_a_clock_that_is_ahead_works_once_also_when_its_id_is_long_forgotten(ahead_ms: int) -> None:
    first = Home()
    first.ready()
    iat = WALL + ahead_ms
    old = first.agg.command(first.now, kind="stop", iat=iat, exp=iat + 60_000)
    [got] = posted(first.send(old), CommandIn)
    windows = got.windows
    for s in (0.4, 3 * 86_400.0):
        again = Home(windows=windows)
        again.now = again.later(s)
        again.ready()
        assert not taken(again, old)
        assert again.session._counters == {"replay": 1}
        windows = tuple([w for w in again.session._inbound._numbers.windows.items() if w[0].startswith("#")])
        assert taken(again, again.agg.command(again.now, kind="stop")), "signed now"


def test_a_stop_that_came_while_nobody_knew_the_time_works_once() -> None:
    home = Home(synced=False)
    home.up()
    old = home.agg.command(home.now, kind="stop", iat=WALL + 1, exp=WALL + 2)
    [got] = posted(home.send(old), CommandIn)
    for synced in (False, True):
        again = Home(windows=got.windows, synced=synced)
        again.up()
        assert not taken(again, old)
        assert taken(again, again.agg.command(again.now, kind="stop"))


def test_of_two_stops_of_one_millisecond_each_works_once() -> None:
    kept: dict[str, Window] = {}
    for n in (1, 2, 3):
        assert endings.newer(kept, KID, halt(WALL, n), WALL)
        kept |= endings.taken(kept, KID, halt(WALL, n), WALL)
    assert not any(endings.newer(kept, KID, halt(WALL, n), WALL + 5) for n in (1, 2, 3))


STOPS = st.lists(st.tuples(st.sampled_from([-900, -1, 0, 0, 1, 500, 40_000, 10**8]), st.integers(0, 2000)), max_size=40)


@settings(max_examples=150, deadline=None)
@given(STOPS, st.data())
def test_no_stop_works_twice_and_none_of_a_clock_that_is_right_is_held_off(
    stops: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Nothing is known of it but what is on the disk. (off: by how much the signer's clock is, ms; later: ms.)"""
    kept: dict[str, Window] = {}
    now_ms, had, ahead = WALL, list[Halt](), 0
    for n, (off_ms, later_ms) in enumerate(stops):
        now_ms += later_ms
        knows = data.draw(st.booleans()) or ahead >= endings.MOST
        stop = halt(now_ms + off_ms, n + 1)
        news = endings.newer(kept, KID, stop, now_ms if knows else None)
        assert news or off_ms < 0
        if ahead < endings.MOST and news:
            kept |= endings.taken(kept, KID, stop, now_ms if knows else None)
            had.append(stop)
            ahead += off_ms > 0 or not knows
        for old in had:
            assert not endings.newer(kept, KID, old, data.draw(st.sampled_from([None, now_ms, now_ms + 10**9])))
    assert endings.newer(kept, KID, halt(now_ms + 1, 1000), now_ms + 1)
    assert len(kept) <= endings.MOST + 1


def test_of_more_than_can_be_remembered_the_latest_are_and_they_take_no_more_room() -> None:
    kept: dict[str, Window] = {}
    many = [halt(WALL + 10**9 + n, n + 1) for n in range(endings.MOST + 5)]
    for n, stop in enumerate(many):
        assert endings.newer(kept, KID, stop, WALL + n)
        kept |= endings.taken(kept, KID, stop, WALL + n)
    assert len(kept) == endings.MOST + 1
    assert not any(endings.newer(kept, KID, stop, WALL + 100) for stop in many[-endings.MOST :])
    late = halt(WALL + 2 * 10**9, 1000)
    assert [name for name, _ in endings.taken(kept, KID, late, WALL + 3 * 10**9)] == [endings.stream(KID)]


def test_without_a_clock_every_stop_passes_and_stands_in_no_others_way() -> None:
    home = Home(synced=False)
    home.up()
    [got] = posted(
        home.send(home.agg.command(home.now, kind="stop", iat=WALL + 86_400_000, exp=WALL + 86_400_001)), CommandIn
    )
    assert endings.stream(KID) not in dict(got.windows)
    assert taken(home, home.agg.command(home.now, kind="stop"))


def test_cancels_and_stops_of_a_day_are_bounded_on_the_disk_and_none_is_refused(home: Home) -> None:
    got: list[CommandIn] = []
    for n in range(ENDINGS_AT_ONCE + 50):
        cancel = home.agg.command(home.now, kind="cancel", target=f"{n:032x}")
        got += posted(home.send(cancel), CommandIn)
        if n % 40 == 39:
            home.later(0.9)
    assert len(got) == ENDINGS_AT_ONCE + 50
    assert [c.quiet for c in got] == [False] * ENDINGS_AT_ONCE + [True] * 50
    assert not any(c.windows for c in got)
    before = dict(home.session._inbound._numbers.windows)
    home.later(1)
    [stop] = posted(home.send(home.agg.command(home.now, kind="stop")), CommandIn)
    assert stop.quiet
    assert (stop.windows, home.session._inbound._numbers.windows) == ((), before)
    [theirs] = posted(home.send(home.agg.command(home.now, "operations", kind="stop")), CommandIn)
    assert not theirs.quiet, "each key has its own"


def test_commands_of_a_day_are_bounded_by_key() -> None:
    budgets = Budgets()
    assert sum(budgets.day("one", 0) for _ in range(10_000)) == COMMANDS_AT_ONCE
    assert budgets.day("other", 0)
    budgets.keys(frozenset({"one"}))
    assert not budgets.day("one", 0)
    assert sum(budgets.day("other", 0) for _ in range(10_000)) == COMMANDS_AT_ONCE, "a key that came back"


def test_the_days_budget_is_asked_and_setpoints_do_not_count(home: Home) -> None:
    while home.session._inbound._budgets.day(KID, home.now.mono_ns):
        pass
    assert not taken(home, home.agg.command(home.now))
    assert home.session._counters == {"flood": 1}
    both_pass(home)


@pytest.mark.parametrize("body", [{"kind": "stop"}, {"kind": "cancel", "target": "c" * 32}])
def test_a_stop_that_was_held_back_counts_for_as_long_as_what_it_meant_may_run(
    home: Home, body: dict[str, Any]
) -> None:
    def signed(ago_ms: int, by: Home) -> MqttMessage:
        iat = by.now.wall_ms - ago_ms
        return by.agg.command(by.now, **body, iat=iat, exp=iat + 60_000)

    assert not taken(home, signed(OUTLIVED_MS + 1, home))
    assert home.session._counters == {"expired": 1}
    assert taken(home, signed(OUTLIVED_MS, home))
    for synced, told in ((False, False), (False, True), (True, False)):
        one_clock = Home(synced=synced)
        one_clock.up()
        if told:
            one_clock.send(one_clock.agg.time(one_clock.now))
        assert taken(one_clock, signed(OUTLIVED_MS + 1, one_clock)), "one clock alone makes nobody deaf"
