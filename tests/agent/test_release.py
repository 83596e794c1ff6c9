"""CLEAR until the inverter shows that it is its own, or the time is up."""

from __future__ import annotations

from dataclasses import replace

from agent.gate import Gate
from agent.release import RETRY_NS, TIMEOUT_NS, Release, Releases
from drivers.events import WriteClass, WriteOutcome, WriteResult
from tests.agent.rig import NOW, PARAMS, binding, inverter


def result(outcome: WriteOutcome) -> WriteResult:
    return WriteResult(1, "inverter", WriteClass.CLEAR, 0, outcome, NOW, NOW)


def test_an_inverter_that_is_released_already_is_not_written_to() -> None:
    release = Release(Gate(PARAMS), NOW)
    assert release.next(NOW + 5, inverter(at_ns=NOW + 1), binding()) is None
    assert release.confirmed


def test_a_reading_from_before_the_stop_proves_nothing() -> None:
    release = Release(Gate(PARAMS), NOW)
    order = release.next(NOW + 1, inverter(at_ns=NOW), binding())
    assert order is not None
    assert order.write_class is WriteClass.CLEAR
    assert not release.ended


def test_a_clear_is_retried_until_it_is_read_back() -> None:
    release = Release(Gate(PARAMS), NOW)
    active = inverter(at_ns=NOW + 1, remote_active=True, remote_w=5000)
    assert release.next(NOW + 2, active, binding()) is not None
    assert release.next(NOW + 3, active, binding()) is None
    release.result(result(WriteOutcome.SILENT))
    assert release.next(NOW + 4, active, binding()) is None
    assert release.next(NOW + 2 + RETRY_NS, active, binding()) is not None
    release.result(result(WriteOutcome.CONFIRMED))
    assert release.ended
    assert release.confirmed


def test_an_inverter_that_is_only_read_needs_no_release() -> None:
    release = Release(Gate(PARAMS), NOW)
    assert release.next(NOW + 1, None, replace(binding(), control=None)) is None
    assert release.ended
    assert release.confirmed


def test_without_an_inverter_it_ends_in_time_and_says_so() -> None:
    release = Release(Gate(PARAMS), NOW)
    assert release.next(NOW + TIMEOUT_NS, None, None) is None
    assert release.sentence == ""
    assert release.next(NOW + TIMEOUT_NS + 1, None, None) is None
    assert release.ended
    assert not release.confirmed
    assert "timer" in release.sentence


# --- several inverters ------------------------------------------------------------------------------------------------
def test_each_of_several_inverters_is_released() -> None:
    releases = Releases(Gate(PARAMS), NOW, ["one", "two"])
    busy = {name: inverter(device=name, at_ns=NOW + 1, remote_active=True) for name in ("one", "two")}
    orders = releases.next(NOW + 2, busy, dict.fromkeys(busy, binding()))
    assert [name for name, _ in orders] == ["one", "two"]
    releases.result(replace(result(WriteOutcome.CONFIRMED), device="one"))
    assert not releases.ended
    releases.next(NOW + TIMEOUT_NS + 5, busy, dict.fromkeys(busy, binding()))
    assert releases.ended
    assert not releases.confirmed
    assert releases.sentence.startswith("one: the inverter is released")
    assert "two: no proof of release" in releases.sentence


def test_all_released_is_said_once() -> None:
    releases = Releases(Gate(PARAMS), NOW, ["one", "two"])
    idle = {name: inverter(device=name, at_ns=NOW + 1) for name in ("one", "two")}
    assert releases.next(NOW + 5, idle, dict.fromkeys(idle, binding())) == []
    assert releases.confirmed
    assert releases.sentence == "the inverter is released: it runs in its own mode"


# --- what it must not be taken in by ----------------------------------------------------------------------------------
def test_another_kind_of_write_is_no_proof() -> None:
    release = Release(Gate(PARAMS), NOW)
    active = inverter(at_ns=NOW + 1, remote_active=True)
    assert release.next(NOW + 2, active, binding()) is not None
    release.result(replace(result(WriteOutcome.CONFIRMED), write_class=WriteClass.POWER))
    assert not release.ended
    assert release.next(NOW + 3 + RETRY_NS, active, binding()) is None  # the CLEAR is still under way


def test_a_release_that_cannot_be_made_says_so_and_is_not_confirmed() -> None:
    """Its registers are outside the fence: a bug, told at once and not after ten seconds."""
    release = Release(Gate(PARAMS), NOW)
    fenced = replace(binding(), writable=frozenset())
    assert release.next(NOW + 1, inverter(at_ns=NOW + 1, remote_active=True), fenced) is None
    assert release.ended
    assert not release.confirmed
    assert "the release cannot be made" in release.sentence


def test_a_home_without_inverters_has_nothing_to_release() -> None:
    releases = Releases(Gate(PARAMS), NOW, [])
    assert releases.next(NOW, {}, {}) == []
    assert releases.ended
    assert releases.confirmed
    assert releases.sentence == "there is no inverter to release"


def test_a_result_of_somebody_else_is_nobodys() -> None:
    releases = Releases(Gate(PARAMS), NOW, ["one"])
    releases.result(replace(result(WriteOutcome.CONFIRMED), device="stranger"))
    assert not releases.of("one").ended
