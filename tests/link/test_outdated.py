"""The disk was put back to an older state: what the life that is lost was told must not act again."""

from __future__ import annotations

import pytest

from agent import mail
from agent.core.durable import SIGNED_AFTER, Window
from agent.core.inputs import CommandIn, FreshTime, Outdated
from agent.link.clock import APART_MS
from agent.link.timing import SKEW_MS
from agent.runtime.part import Effect, Post
from tests.link.home import WALL, Home, posted
from tests.link.test_trust_link import home_of as with_homeowner
from tests.link.test_trust_link import said

DAY_S = 86_400


def answered(last: int | None, **changes: object) -> tuple[Home, list[Effect]]:
    """Up, and the first signed time says that the aggregator has rows up to `last`; those from 10 on are of now."""
    home = Home(**{"first": 10, **changes})  # type: ignore[arg-type]  # the harness takes anything
    home.up()
    return home, home.send(home.agg.time(home.now, last=last))


@pytest.mark.parametrize("synced", [True, False])
def test_nothing_is_taken_that_was_signed_before_the_aggregators_answer(synced: bool) -> None:
    """Also on a clock that nobody keeps: signed time is compared with signed time."""
    home = Home(synced=synced, first=10)
    captured = home.agg.command(home.now, exp=WALL + 1000 * DAY_S, power_w=-5000)
    quote = home.agg.command(home.now, kind="quote", power_w=1, duration_s=1)
    ending = home.agg.command(home.now, kind="stop")
    asks = home.agg.command(home.now, kind="resend", first=1, last=2)
    home.later(5)
    home.up()
    effects = home.send(home.agg.time(home.now, last=10))
    events = [
        e.event for e in effects if isinstance(e, Post) and isinstance(e.event, Outdated | FreshTime | mail.Anchor)
    ]
    after_ms = home.now.wall_ms + SKEW_MS
    assert events == [Outdated(after_ms), FreshTime(), mail.Anchor(10, after_ms)], "it ends before anything is taken"
    home.later(10)
    assert [posted(home.send(m), CommandIn) for m in (captured, quote)] == [[], []]
    assert home.session._counters == {"replay": 2}
    assert posted(home.send(ending), CommandIn), "what ends is taken whenever it was signed"
    assert posted(home.send(asks), mail.Resend)
    home.later(20)
    assert posted(home.send(home.agg.command(home.now, iat=home.now.wall_ms + 1)), CommandIn)


@pytest.mark.parametrize("last", [None, 0, 9])
def test_an_ordinary_start_takes_what_was_signed_before_it(last: int | None) -> None:
    home = Home(first=10)
    command = home.agg.command(home.now)
    home.later(5)
    home.up()
    effects = home.send(home.agg.time(home.now, last=last))
    assert (posted(effects, Outdated), posted(effects, mail.Anchor)) == ([], [mail.Anchor(last)])
    assert posted(home.send(command), CommandIn)


def test_the_next_start_cannot_tell_and_goes_by_what_is_on_the_disk() -> None:
    """Its numbers are in order by now. A date that is still to come was a lie, and makes no home deaf until then."""
    known = ((SIGNED_AFTER, Window(WALL + SKEW_MS, 0)),)
    lie = ((SIGNED_AFTER, Window(WALL + SKEW_MS + APART_MS + 1, 0)),)
    for windows, taken in ((known, False), (lie, True)):
        home = Home(windows=windows, first=10)
        home.up()
        home.send(home.agg.time(home.now, last=9))
        assert bool(posted(home.send(home.agg.command(home.now)), CommandIn)) is taken


def test_where_only_the_store_could_tell_it_is_from_then_on() -> None:
    home, effects = answered(500, first=None)
    assert posted(effects, Outdated) == []
    told = home.send(mail.Anchored(10, 491, 501, 1))
    assert posted(told, Outdated) == [Outdated(home.now.wall_ms + SKEW_MS)]
    assert posted(home.send(home.agg.command(home.now)), CommandIn) == []
    home, effects = answered(500)
    assert posted(effects, Outdated), "and where the link has, it is not told twice"
    assert posted(home.send(mail.Anchored(10, 491, 501, 1)), Outdated) == []


def test_the_homeowners_word_is_not_played_again_either() -> None:
    home = with_homeowner()
    home.session._inbound.outdated(home.now.wall_ms)
    assert posted(home.send(said(home, "reserve", permille=50)), mail.WriteTrust) == []
    home.later(1)
    assert posted(home.send(said(home, "reserve", permille=60)), mail.WriteTrust)
