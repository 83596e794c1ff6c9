"""Orders of a later start, as the observer of the campaign judges them."""

from __future__ import annotations

import pytest

from hil.campaign.observer import PROMISES
from hil.campaign.orders import EARLY, NS, Orders
from hil.expr import Value
from hil.scenario import Event
from hil.signals import Happening


def sent(name: str, verb: str, at_s: int, **args: Value) -> Event:
    return Event(name, verb, args, "", at_s * NS, None, None)


DISPATCH = sent("mine", "aggregator.dispatch", 10, power_w=5000, start_in=40)


def started(made_s: float, repeated: bool = False) -> Happening:
    fields: dict[str, Value] = {"command": "mine", "state": "started", "repeated": repeated, "made_s": made_s}
    return Happening("ack", round(made_s * NS), fields)


@pytest.mark.parametrize(("made_s", "seen"), [(30.0, [EARLY]), (48.9, [EARLY]), (49.5, []), (50.0, []), (53.0, [])])
def test_what_starts_before_its_start_is_seen(made_s: float, seen: list[str]) -> None:
    orders = Orders()
    orders.sign(10 * NS, DISPATCH)
    assert [promise for promise, _ in orders.ack(started(made_s))] == seen
    assert EARLY in PROMISES


def test_a_moved_clock_excuses_what_waits_and_nothing_that_is_sent_after_it() -> None:
    orders = Orders()
    orders.sign(10 * NS, DISPATCH)
    orders.clock(3600 * NS)
    assert list(orders.ack(started(12.0))) == []
    orders = Orders()
    orders.clock(3600 * NS)
    orders.sign(10 * NS, DISPATCH)
    assert [promise for promise, _ in orders.ack(started(12.0))] == [EARLY]


def test_a_later_start_that_is_called_off_in_time_is_not_early() -> None:
    orders = Orders()
    orders.sign(10 * NS, DISPATCH)
    orders.sign(12 * NS, sent("off", "aggregator.cancel", 12, target="mine"))
    fields: dict[str, Value] = {"command": "mine", "state": "cancelled", "repeated": False, "made_s": 12.5}
    assert list(orders.ack(Happening("ack", 12 * NS, fields))) == []
