"""Raises of the reserve under clocks that are set, wrong or lied to; numbers by hand. The home is that of `raises`."""

from __future__ import annotations

import pytest

from agent.core.durable import from_json, to_json
from agent.core.inputs import ClockTrust
from agent.core.overlay import STANDS_NS
from agent.core.params import S
from tests.core.home import Home
from tests.core.raises import H, asked, between, remote, reserve, storm

STANDS = STANDS_NS // S


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


@pytest.mark.parametrize("kind", ["storm", "remote"])
def test_the_aggregators_word_for_the_time_alone_ends_none(kind: str) -> None:
    """Whoever has its service key keeps network time away, and says that it is next week."""
    home = Home().ready()
    home.tick(asked(home, "dates", kind))
    home.run(2)
    home.signed = True
    home.wall_offset_ms += 7 * 86_400_000
    home.tick(s=STANDS + 60)
    home.tick(s=STANDS + 60)
    assert reserve(home) == 800
    assert home.decision.raises[0].left_s > 5 * H, "and says how long it holds"
    home.tick(s=6 * H)
    assert reserve(home) == 200, "the count ends it"


def test_the_aggregators_word_for_the_time_alone_keeps_none_from_beginning() -> None:
    home = Home().ready()
    home.tick(between(home, 1000, 1000 + H))
    home.signed = True
    home.wall_offset_ms -= 86_400_000
    home.tick(s=990)
    assert reserve(home) == 200
    home.tick(s=20)
    assert reserve(home) == 800
    home.tick(s=H)
    home.signed = False
    home.run(3)
    assert reserve(home) == 800, "it waits for its date"


def test_a_technician_replaces_none_while_the_aggregators_word_is_all_there_is() -> None:
    home = Home().ready()
    home.tick(asked(home, "dates"))
    home.signed = True
    home.wall_offset_ms += 6 * H * 1000 - 1000
    home.tick(storm(900, owner="technician", for_s=10))
    assert [r.permille for r in home.decision.raises] == [800]
