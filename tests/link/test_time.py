"""Who says what time it is, over the session: what a thief of the service key, and a broker alone, do with it."""

from __future__ import annotations

import json

from agent import mail
from agent.core.inputs import CommandIn, FreshTime
from agent.link.trust import of_bundle
from hil.bundles import DAY_MS, Draft
from tests.link.home import BOOT, WALL, Home, down, jose_open, jose_sign, posted, published, seed_of
from tests.link.roots import anchored, draft, kid, listed, signed
from tests.link.test_trust_link import trust_message


def enrolled(what: Draft | None = None, synced: bool = True) -> Home:
    """Up, and no time has come."""
    held = anchored(what)
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held, synced=synced)
    home.up()
    return home


def nonce(home: Home) -> str:
    """Of the last birth."""
    return str(jose_open(published(home.effects, "up/birth")[-1].payload)["nonce"])


def test_the_owners_word_of_weeks_ago_stays_late_whatever_time_is_signed() -> None:
    home = enrolled(draft(issued_ms=WALL - 60 * DAY_MS))
    old = WALL - 50 * DAY_MS
    claims = home.agg.claims(home.now, kind="reserve", permille=50, iat=old, exp=old + DAY_MS)
    token = jose_sign(seed_of("homeowner"), "battery-homeowner+jws", json.dumps(claims).encode())
    home.send(home.agg.time(home.now, wall_ms=old + 1000))
    assert posted(home.send(down("homeowner", token)), mail.WriteTrust) == []
    assert home.session._counters == {"clock_conflict": 1, "expired": 1}


def test_a_time_and_a_dispatch_that_were_held_back_together_move_nothing() -> None:
    home = Home(synced=False)
    home.up()
    time, command = home.agg.time(home.now), home.agg.command(home.now)
    home.later(3 * 3600)
    home.sample()
    effects = home.send(time) + home.send(command)
    assert (posted(effects, CommandIn), posted(effects, FreshTime)) == ([], [])
    assert all(state.signed is None for state in posted(home.effects, mail.LinkState))
    assert home.session._counters == {"not_fresh": 1}
    assert nonce(home) != BOOT, "it asks again"
    home.send(time)
    assert home.session._counters == {"not_fresh": 1, "replay": 1}, "what is spent is spent, and no other gateway's"
    assert posted(home.effects, mail.Append) == []
    home.later(2)
    assert posted(home.send(home.agg.time(home.now, nonce=nonce(home))), FreshTime)
    assert posted(home.send(command), CommandIn) == []
    assert home.session._counters["expired"] == 1
    assert posted(home.send(home.agg.command(home.now)), CommandIn)


def test_a_home_with_network_time_is_content_with_a_slow_answer() -> None:
    home = Home()
    home.up()
    time = home.agg.time(home.now)
    home.later(300)
    home.sample()
    assert posted(home.send(time), FreshTime)
    assert nonce(home) == BOOT


def test_without_network_time_the_time_is_asked_for_again_before_it_has_drifted_far() -> None:
    home = Home(synced=False)
    home.ready()
    home.later(21 * 3600)
    home.sample()
    assert nonce(home) != BOOT
    births = len(published(home.effects, "up/birth"))
    home.later(60)
    home.sample()
    assert len(published(home.effects, "up/birth")) == births, "and not each second until the answer is there"
    home.send(home.agg.time(home.now, nonce=nonce(home)))
    home.later(60)
    home.sample()
    assert len(published(home.effects, "up/birth")) == births


def test_a_contradiction_is_told_once_an_hour_and_shown_for_as_long_as_it_lasts() -> None:
    home = Home()
    home.ready()
    home.now = home.now._replace(wall_ms=home.now.wall_ms + 3_600_000)
    effects = []
    for _ in range(4):
        home.later(1000)
        effects += home.sample()
    told = [record.body for append in posted(effects, mail.Append) for record in append.records]
    assert [body["event"] for body in told] == ["clock_conflict"]
    shown = [state.fresh for state in posted(home.effects, mail.LinkState)]
    assert list(dict.fromkeys(shown)) == [False, True]
    assert not shown[-1]
    assert home.send(home.agg.command(home.now)) is not None
    assert home.session._counters == {"clock_conflict": 1}
    home.now = home.now._replace(wall_ms=home.now.wall_ms - 3_600_000)
    home.sample()
    assert posted(home.send(home.agg.command(home.now)), CommandIn)


def test_what_a_revoked_service_key_said_is_believed_no_more() -> None:
    home = enrolled(synced=False)
    home.send(home.agg.time(home.now, wall_ms=WALL + 3 * DAY_MS))
    later = draft().next(keys=listed(service=("later",)), revoked=[kid("service")])
    home.send(trust_message(signed(draft()), signed(later)))
    home.later(2)
    home.sample()
    fresh = home.agg.token(home.now, "later", "time", nonce=nonce(home), wall_ms=home.now.wall_ms)
    home.send(down("time", fresh))
    assert home.session._clock.signed_ms(home.now.mono_ns) == home.now.wall_ms
    assert posted(home.send(home.agg.command(home.now)), CommandIn)
