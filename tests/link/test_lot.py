"""A stranger's flood under a public `kid`, each message like a stop: what chance the genuine one has, measured."""

from __future__ import annotations

import itertools
import random

import pytest

from agent import mail
from agent.core.inputs import CommandIn
from agent.link import lot
from agent.link.jws import b64
from agent.runtime.part import MqttMessage, Wake, WakeAt
from tests.link.home import Home, S, down, jose_sign, kid_of, posted, seed_of
from tests.link.test_trust_link import home_of, said

TRIALS = 60


def forgery(role: str) -> MqttMessage:
    """Of the right form, and not even signed: that costs its verification all the same."""
    leaf, kind = ("homeowner", "opt_out") if role == "homeowner" else ("command", "stop")
    header = f'{{"alg":"Ed25519","kid":"{kid_of(seed_of(role))}","typ":"battery-{leaf}+jws"}}'
    return down(
        leaf, b".".join(b64(part).encode() for part in (header.encode(), b'{"kind":"%s"}' % kind.encode(), bytes(64)))
    )


def chance(role: str, rate: int, evenly: bool) -> float:
    """Of how many genuine ones that come in the midst of `rate` forgeries a second one is taken."""
    draw = random.Random(rate)
    home, junk, taken = home_of(), forgery(role), 0
    home.session._inbound.lot._random = draw.randbytes
    wake_ns = home.now.mono_ns
    genuine = [2 + each / 10 + draw.uniform(0, 0.05) for each in range(TRIALS)]
    steps = (1 / rate if evenly else draw.expovariate(rate) for _ in itertools.count())
    at_s = 0.0
    end_s = genuine[-1] + 0.2
    while at_s < end_s:
        step = next(steps)
        while genuine and genuine[0] <= at_s + step:
            rest = genuine.pop(0) - at_s
            home.later(rest)
            at_s, step = at_s + rest, step - rest
            home.send(said(home, "opt_out") if role == "homeowner" else home.agg.command(home.now, role, kind="stop"))
        home.later(step)
        at_s += step
        if home.now.mono_ns >= wake_ns:
            home.send(Wake())
        home.send(junk)
        asked = [e.at_ns for e in home.effects if isinstance(e, WakeAt)]
        wake_ns = asked[-1] if asked else wake_ns
        taken += len(posted(home.effects, mail.Verb if role == "homeowner" else CommandIn))
        home.effects.clear()
    return taken / TRIALS


@pytest.mark.parametrize(
    ("role", "rate", "evenly", "least"),
    [
        ("dispatch", 100, True, 1.0),
        ("dispatch", 300, True, 0.75),
        ("dispatch", 300, False, 0.75),
        ("homeowner", 1000, True, 0.2),
    ],
)
def test_a_genuine_ending_has_its_chance_however_it_is_flooded(
    role: str, rate: int, evenly: bool, least: float
) -> None:
    """None of these had any while the first that came had all the room."""
    assert chance(role, rate, evenly) >= least


def test_no_more_is_looked_at_and_kept_than_has_room() -> None:
    home = home_of()
    junk = forgery("dispatch")
    for _ in range(1000):
        home.later(0.001)
        home.send(junk)
        home.send(Wake())
    proven, flood = (home.session._counters[word] for word in ("bad_signature", "flood"))
    assert 250 < proven <= 150 + S // lot.SLOT_NS * lot.LOOKS
    assert 1000 - lot.LOOKS <= proven + flood <= 1000
    assert len(home.session._inbound.lot._held) <= lot.LOOKS


def test_each_of_those_that_came_is_drawn_as_often() -> None:
    draw = random.Random(5)
    pot: lot.Lot[int] = lot.Lot(draw.randbytes)
    seen = [0] * 30
    for turn in range(2000):
        now_ns = turn * S
        kept = [pot.keep(number, now_ns) for number in range(30)]
        assert kept == [True] * lot.LOOKS + [False] * (30 - lot.LOOKS)
        assert pot.drawn(now_ns + lot.SLOT_NS - 1) == []
        for number in pot.drawn(now_ns + lot.SLOT_NS):
            seen[number] += 1
    assert pot.drawn(1 << 62) == []
    assert sum(seen) == 2000 * lot.LOOKS
    assert min(seen) > 300 and max(seen) < 500, "400 each, six standard deviations"


def test_what_waits_is_not_looked_at_for_a_group_or_a_key_that_is_gone() -> None:
    home = Home()
    home.ready()
    token = jose_sign(seed_of("stranger"), "battery-command+jws", b'{"kind":"stop"}', kid=kid_of(seed_of("dispatch")))
    for _ in range(102):
        home.send(MqttMessage(f"{down('x', b'').topic.rsplit('/', 3)[0]}/group/north/command", token, 1, False))
    assert len(home.session._inbound.lot._held) == 2
    home.session._inbound.join(())
    home.later(1)
    before = dict(home.session._counters)
    home.send(Wake())
    assert home.session._counters == before


@pytest.mark.parametrize(
    ("token", "ending"),
    [
        (b"x." + b64(b'{"kind":"cancel"}').encode() + b".y", True),
        (b"x." + b64(b'{"kind":"dispatch"}').encode() + b".y", False),
        (b"x.a.y", False),
    ],
)
def test_what_looks_like_an_ending(token: bytes, ending: bool) -> None:
    assert lot.ends(token) is ending
