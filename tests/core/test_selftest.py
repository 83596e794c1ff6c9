"""The verdict of the self-test, and what a cycle makes of it."""

from __future__ import annotations

import pytest

from agent.core.decision import Intent, Mode
from agent.core.inputs import NOT_LOOKED
from agent.core.selftest import Looked, changed, failed, verdict
from tests.core.home import Home, arriving, command


@pytest.mark.parametrize(
    ("looked", "wrong", "words"),
    [
        (NOT_LOOKED, None, "not done yet"),
        (Looked(memory="", clock=None), None, "not done yet"),
        (Looked(at_ns=5, memory="", clock=""), None, "ok"),
        (Looked(at_ns=5, skipped=("a", "b")), None, "ok; not tested: a; not tested: b"),
        (Looked(at_ns=5, changed=("x was changed",), skipped=("a",)), None, "ok; x was changed; not tested: a"),
        (Looked(memory="bits"), "bits", "failed: bits"),
        (Looked(at_ns=5, memory="bits", clock="slow"), "bits", "failed: bits"),
        (Looked(at_ns=5, memory="", clock="slow"), None, "ok; slow"),
    ],
)
def test_verdict(looked: Looked, wrong: str | None, words: str) -> None:
    assert failed(looked) == wrong
    assert verdict(looked) == words


def test_what_changed() -> None:
    assert changed(Looked(at_ns=5)) is None
    assert changed(Looked(at_ns=5, changed=("a", "b"))) == "a; b"


def test_a_failed_self_test_releases_a_running_dispatch() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.run(12)
    assert home.remote_w == 5000
    home.looked = Looked(memory="the safety parameters in memory are not those of the start")
    home.run(2)
    assert home.mode() is Mode.FAULT
    assert home.remote_w is None
    assert home.intents()[-1] == Intent.CLEAR.value


def test_who_answers_network_time_ends_no_dispatch_and_no_reserve() -> None:
    """Clocks that run apart are told: network time is nobody's word, and a release leaves a reserve without a floor."""
    home = Home().ready()
    home.tick(arriving(command()))
    home.run(12)
    home.looked = Looked(at_ns=home.now_ns, memory="", clock="the clock took 600 s for 607 s")
    home.run(120)
    assert home.remote_w == 5000
    assert home.mode() is Mode.DISPATCHED
    assert home.faults() == ["clocks_apart"]
    home.looked = Looked(at_ns=home.now_ns, memory="", clock="")
    home.run(1)
    assert home.faults() == []


def test_what_changed_on_the_disk_changes_nothing_but_is_told() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.run(12)
    home.looked = Looked(at_ns=home.now_ns, changed=("the configuration was changed since the start",))
    home.run(3)
    assert home.remote_w == 5000
    assert "changed_on_disk" in home.faults()


def test_each_look_is_one_event_and_one_line() -> None:
    home = Home().ready()
    home.looked = Looked(at_ns=7, memory="")
    home.run(3)
    told = [e for e in home.events_seen if e["event"] == "self_test"]
    assert told == [{"event": "self_test", "ok": True, "result": "ok"}]
    assert home.notices.count("self-test ok") == 1
    home.looked = Looked(at_ns=8, memory="bits")
    home.run(3)
    told = [e for e in home.events_seen if e["event"] == "self_test"]
    assert told[1:] == [{"event": "self_test", "ok": False, "result": "failed: bits"}]
