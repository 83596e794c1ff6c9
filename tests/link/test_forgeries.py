"""The integrator's attack kit against the link: none of it reaches control, and the right counter rises for each."""

from __future__ import annotations

import itertools

import pytest

from agent import mail
from agent.core.inputs import CommandIn
from agent.link import trust
from agent.runtime.part import MqttMessage
from hil.aggregator.aggregator import Aggregator, Publish
from hil.aggregator.forge import FORGERIES, forge
from hil.aggregator.keys import OVER, Keyring, SigningKey
from tests.link.home import BOOT, DEVICE_SEED, Home, kid_of, okp, posted, published, seed_of


def keyring() -> Keyring:
    roles = {role: SigningKey(kid_of(seed_of(role)), okp(seed_of(role))) for role in (*trust.ROLES, OVER)}
    return Keyring("fleet", ("north",), roles, {"home1": {kid_of(DEVICE_SEED): okp(DEVICE_SEED)}})


def message(publish: Publish) -> MqttMessage:
    return MqttMessage(publish.topic, publish.payload, 1, publish.retain)


@pytest.mark.parametrize("kind", FORGERIES)
def test_forgery_moves_nothing(kind: str) -> None:
    home, ring = Home(), keyring()
    numbers = itertools.count(1)
    aggregator = Aggregator(ring, lambda n: next(numbers).to_bytes(n, "big"))
    home.up()
    home.send(message(aggregator.time("home1", BOOT, home.now).publish))
    shown = aggregator.dispatch("home1", 5000, 600, home.now)
    assert posted(home.send(message(shown.publish)), CommandIn), "the command that is mutated must be shown to work"
    valid = shown if kind == "replayed" else aggregator.dispatch("home1", 5000, 600, home.now)
    forged = forge(kind, valid, ring)
    effects = home.send(MqttMessage(forged.topic, forged.payload, 1, forged.retain))
    assert all(isinstance(event, mail.LinkState) for event in posted(effects, object))
    assert published(effects) == []
    assert [home.session._counters] in [[{reason: 1}] for reason in forged.reasons]
