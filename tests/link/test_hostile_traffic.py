"""Hazards 34 to 41, and the parser's list, as floods: nothing moves, memory and log stay as they are.

What each rule of the parser refuses, one by one, stands in test_jws, test_inbound and test_forgeries; here each comes
hundreds of times, and then the whole agent hears all of them.
"""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Iterator

import pytest

from agent import mail
from agent.core.inputs import CommandIn
from agent.runtime.part import Log, MqttDown, MqttMessage, MqttUp, Wake
from hil.aggregator.aggregator import Aggregator
from hil.aggregator.forge import FORGERIES, forge
from hil.backends.virtual import VirtualBackend
from hil.bench.garbage import garbage
from hil.bench.virtual import SLOW_POLLS
from hil.scenario import parse
from tests.link.home import BOOT, ROOT, Home, S, posted, published
from tests.link.test_forgeries import keyring, message

COUNT = 300
GROWTH = 96 * 1024  # counters, a window, remembered ids: nothing that grows with the count
_HOME = '[scenario]\nname = "hostile"\nduration = "2m"\n[home]\nsoc_permille = 600\nload_w = 900\n'


class Victim(Home):
    """A home that has taken a dispatch, and what it is worth listening to afterwards."""

    def __init__(self) -> None:
        super().__init__()
        numbers = itertools.count(1)
        self.ring = keyring()
        self.aggregator = Aggregator(self.ring, lambda n: next(numbers).to_bytes(n, "big"))
        self.up()
        self.send(message(self.aggregator.time("home1", BOOT, self.now).publish))
        self.shown = self.aggregator.dispatch("home1", 5000, 600, self.now)
        assert posted(self.send(message(self.shown.publish)), CommandIn)
        self.effects.clear()

    def forged(self, kind: str) -> MqttMessage:
        valid = self.shown if kind == "replayed" else self.aggregator.dispatch("home1", 5000, 600, self.now)
        made = forge(kind, valid, self.ring)
        return MqttMessage(made.topic, made.payload, 1, made.retain)


def flood(home: Home, messages: Iterator[MqttMessage], count: int = COUNT) -> int:
    """That many in a second of the home's time; growth of memory, bytes."""
    for _ in range(50):
        home.send(next(messages))
    home.effects.clear()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    logs = 0
    for _ in range(count):
        home.later(1 / count)
        effects = home.send(next(messages))
        logs += sum(isinstance(e, Log) for e in effects)
        assert all(isinstance(event, mail.LinkState) for event in posted(effects, object))
        assert published(effects) == []
        home.effects.clear()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert logs <= 2, "one line for each reason in a minute"
    return after - before


@pytest.mark.parametrize("kind", FORGERIES)
def test_hundreds_of_each_forgery_cost_a_counter(kind: str) -> None:
    """Hazards 37, 38, 39 and 40 (replayed, out of its time, forged or misaddressed, malformed)."""
    home = Victim()
    one = home.forged(kind)
    assert flood(home, itertools.repeat(one)) <= GROWTH
    assert sum(home.session._counters.values()) == COUNT + 50


def test_garbage_of_all_kinds_costs_a_counter_and_a_stop_still_passes() -> None:
    """Hazard 40."""
    home = Victim()
    pool = [MqttMessage(f"{ROOT}/down/{leaf}", payload, 1, False) for leaf, payload in garbage(home.ring, 1)]
    logged = [e for m in pool for e in home.send(m) if isinstance(e, Log)]
    assert len(logged) <= 12, "one line for each reason"
    assert flood(home, itertools.cycle(pool)) <= GROWTH
    home.later(1)
    assert posted(home.send(message(home.aggregator.stop("home1", home.now).publish)), CommandIn)


def test_fresh_garbage_leaves_no_trace_of_what_it_said() -> None:
    """No table grows by a name, a key, an id or a number that a stranger made up."""
    home = Victim()
    fresh = [home.forged("forged_key") for _ in range(COUNT + 50)]
    assert flood(home, iter(fresh)) <= GROWTH


def test_a_line_that_comes_and_goes_all_day_bounds_its_log_and_memory() -> None:
    """Hazard 34: a broker that takes each connection and drops it."""
    home = Victim()
    gc.collect()
    logs = 0
    began = home.now.mono_ns
    while home.now.mono_ns - began < 86_400 * S:
        effects = home.send(MqttDown("gone"))
        home.later(301)
        effects += [*home.send(Wake()), *home.send(MqttUp())]
        logs += sum(isinstance(e, Log) for e in effects)
        home.later(1)
        home.effects.clear()
    assert logs <= 2 * 86_400 // 300 + 24


@pytest.mark.parametrize("step_ms", [-86_400_000, 86_400_000, -3_600_000, 3_600_000])
def test_a_wall_clock_that_jumps_opens_no_door(step_ms: int) -> None:
    """Hazards 35 and 36: where network time and signed time contradict each other, nothing that rests on time is taken;
    where the wall clock is nobody's, signed time judges, which runs on by the monotonic clock."""
    home = Victim()
    late = message(home.aggregator.dispatch("home1", 1000, 60, home.now).publish)
    home.later(120)
    home.now = home.now._replace(wall_ms=home.now.wall_ms + step_ms)
    home.sample()
    effects = home.send(late)
    assert posted(effects, CommandIn) == []
    assert home.session._counters == {"clock_conflict": 1}
    home.synced = False
    home.sample()
    assert posted(home.send(late), CommandIn) == []
    assert home.session._counters == {"clock_conflict": 1, "expired": 1}


def writes(attacked: bool) -> list[tuple[str, object]]:
    """What a home that runs a dispatch writes within a minute; `attacked`: under every forgery and all garbage."""
    backend = VirtualBackend(SLOW_POLLS, observed=False, traced=False)
    backend.start(parse(_HOME, "hostile"), 3)
    backend.run_until(15 * S)
    backend.aggregator("dispatch", "told", power_w=3000, duration=600, primacy=1, ramp="direct")
    backend.run_until(25 * S)
    aggregator, ring = backend._aggregator, backend._aggregator.keyring
    numbers = itertools.count(1000)

    def publish(topic: str, payload: bytes) -> None:
        backend._broker.publish("aggregator", next(numbers), topic, payload, 1, False)

    shown = next(iter(aggregator.sent.values()))[0]
    for kind in FORGERIES if attacked else ():
        valid = backend.build(lambda a, now: a.dispatch(backend.device, -11_400, 60, now))
        made = forge(kind, shown if kind == "replayed" else valid, ring)
        if not made.retain:  # whoever has subscribed hears a retained command as a plain one, and this one is valid
            publish(made.topic, made.payload)
    for leaf, payload in garbage(ring, 2) * 5 if attacked else ():
        publish(f"battery/v1/{ring.fleet}/{backend.device}/down/{leaf}", payload)
    backend.run_until(85 * S)
    found: list[tuple[str, object]] = [(write.kind, write.words) for write in backend.wire.trace]
    backend.finish()
    backend.discard()
    return found


def test_the_whole_agent_writes_no_register_for_any_of_it() -> None:
    """The bus sees what it sees without."""
    assert writes(attacked=True) == writes(attacked=False)
