"""How a home comes back: full jitter, not all in the same moment, and slowly where another one takes its name."""

from __future__ import annotations

import random
from statistics import mean

import pytest

from agent import mail
from agent.link.comeback import BIRTH_SPREAD_NS, Comeback
from agent.runtime.part import MqttDown, MqttUp, Wake
from tests.link.home import Home, S, jose_open, posted, published

FLOOR, CAP = 1 * S, 300 * S


def comeback(seed: int = 1, brokers: int = 1) -> Comeback:
    return Comeback(FLOOR, CAP, brokers, random.Random(seed).randbytes)


def test_pauses_are_drawn_between_the_floor_and_a_ceiling_that_doubles_up_to_five_minutes() -> None:
    """Of 300 homes whose broker stays away: each has its own pauses, and they spread over all of the range."""
    homes = [comeback(seed) for seed in range(300)]
    for attempt in range(12):
        ceiling = min(300, 8 << attempt)
        pauses = [home.ended(None, 0) / S for home in homes]
        assert all(1 <= pause <= ceiling for pause in pauses)
        assert len({round(pause, 3) for pause in pauses}) > 280
        assert mean(pauses) == pytest.approx((1 + ceiling) / 2, rel=0.1)


def test_two_homes_of_one_name_do_not_throw_each_other_out_in_a_hurry() -> None:
    """Both come back as soon as they may, for a day: how often a connection changes hands, and both tell of it."""
    homes = [comeback(seed) for seed in (1, 2)]
    due = [0, 0]
    since, holder, changes, told = 0, 1, 0, [0, 0]
    while max(due) < 86_400 * S:
        taker = 1 - holder  # the one that is out is the only one that comes back
        now = due[taker]
        due[holder] = homes[holder].ended(now - since, now)
        told[holder] += homes[holder].suspicion(now) is not None
        holder, since, changes = taker, now, changes + 1
        due[1 - holder] = max(due[1 - holder], now + 1)
    assert changes / 86_400 < 1 / 20
    assert all(1 <= count <= 24 for count in told)


def test_a_broker_that_says_who_it_was_is_believed_at_once() -> None:
    home = comeback()
    home.ended(3600 * S, 0, taken=True)
    seen = home.suspicion(0)
    assert seen is not None
    assert seen["evidence"] == "taken_over"
    assert home.suspicion(3599 * S) is None


def test_a_line_that_is_lost_now_and_then_is_no_suspicion() -> None:
    home = comeback()
    for n in range(50):
        home.ended((61 if n % 3 else 5) * S, n * 100 * S)
        home.ended(None, n * 100 * S)
        assert home.suspicion(n * 100 * S) is None


# --- as the session does it -------------------------------------------------------------------------------------------
def test_the_first_birth_goes_out_at_once_and_a_later_one_after_a_draw_of_five_seconds() -> None:
    home = Home()
    assert published(home.up(), "/birth")
    waits = []
    for _ in range(20):
        home.later(61)
        home.send(MqttDown("gone"))
        home.later(10)
        home.send(Wake())
        effects = home.send(MqttUp())
        assert published(effects, "/birth") == published(effects, "/live") == []
        waited = 0.0
        while not published(effects := home.send(Wake()), "/birth"):
            waited += 0.25
            home.later(0.25)
        waits.append(waited)
        (live,) = published(effects, "/live")
        assert jose_open(live.payload)["soc_permille"] == 500
    assert max(waits) <= BIRTH_SPREAD_NS / S + 0.25
    assert len(set(waits)) > 8


def flap(home: Home, times: int) -> list[mail.Append]:
    told = []
    for _ in range(times):
        home.later(301)
        home.send(Wake())
        home.send(MqttUp())
        home.later(3)
        told += posted(home.send(MqttDown("the connection ended")), mail.Append)
    return told


def test_a_home_that_is_thrown_out_again_and_again_says_so_once_an_hour() -> None:
    home = Home()
    home.ready()
    home.later(5)
    told = posted(home.send(MqttDown("the connection ended")), mail.Append) + flap(home, 30)  # two and a half hours
    assert [record.records[0].body["event"] for record in told] == ["two_boots"] * 3
    assert told[0].records[0].body["evidence"] == "taken_over"


def test_a_signed_time_for_another_boot_tells_of_a_clone_and_a_late_one_does_not() -> None:
    home = Home()
    home.ready()
    home.later(30)
    assert posted(home.send(home.agg.time(home.now, nonce="c0" * 16)), mail.Append) == []  # of the start before ours
    home.later(60)
    (told,) = posted(home.send(home.agg.time(home.now, nonce="c0" * 16)), mail.Append)
    assert told.records[0].body == {
        "event": "two_boots", "evidence": "other_boot", "short_connections": 0, "other_times": 1,
    }  # fmt: skip
    assert home.session._counters == {"replay": 2}
    for _ in range(50):
        home.later(60)
        effects = home.send(home.agg.time(home.now, nonce="c0" * 16))
        assert posted(effects, mail.Append) == []


def test_a_forged_time_for_another_boot_tells_of_nothing() -> None:
    home = Home()
    home.ready()
    home.later(90)
    for role in ("dispatch", "stranger"):
        assert posted(home.send(home.agg.time(home.now, nonce="c0" * 16, role=role)), mail.Append) == []
