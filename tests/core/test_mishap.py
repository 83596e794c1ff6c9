"""Stops that arrive in cycles that go wrong: they count at once, whatever is broken and for however long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent.core.command import CommandKind
from agent.core.decision import Mode
from agent.core.inputs import LocalStop
from tests.core.home import Home, arriving, command


def running() -> Home:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    assert home.given() == 5000
    return home


def bug(*_: Any) -> Any:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("before", [0, 3, 4, 9, 40])
@pytest.mark.parametrize("ending", [{"kind": CommandKind.STOP}, {"kind": CommandKind.CANCEL, "target": command().id}])
def test_a_signed_stop_counts_in_any_broken_cycle_and_is_stored_in_it(
    monkeypatch: pytest.MonkeyPatch, before: int, ending: dict[str, Any]
) -> None:
    home = running()
    with monkeypatch.context() as patch:
        patch.setattr("agent.core.oblige.cure", bug)
        for _ in range(before):
            home.tick()
        home.tick(arriving(command(2, **ending)))
        home.run(5)
        assert home.mode() is Mode.FAULT
        assert home.states() == ["received", "started", "cancelled"]
        assert home.states(2) == ["completed"]
        after_a_power_cut = home.crash()
    home.run(150)
    assert (home.given(), home.mode()) == (None, Mode.LOCAL)
    assert home.states() == ["received", "started", "cancelled"]
    after_a_power_cut.run(60)
    assert after_a_power_cut.given() is None


def test_what_came_before_a_signed_stop_does_not_begin_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    with monkeypatch.context() as patch:
        patch.setattr("agent.core.oblige.cure", bug)
        home.tick(arriving(command(1)))
        home.tick(arriving(command(2, kind=CommandKind.STOP)))
        home.tick(arriving(command(3, duration_s=900)))
    home.run(100)
    assert home.states(1) == ["received", "cancelled"]
    assert home.states(3)[-1] == "started"
    assert home.given() == 5000


def test_a_local_stop_is_stored_by_a_core_that_stays_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    home = running()
    with monkeypatch.context() as patch:
        patch.setattr("agent.core.oblige.cure", bug)
        home.tick(LocalStop("ada"))
        assert home.disk.stopped_by == "ada"


@pytest.mark.parametrize("kind", [CommandKind.STOP, CommandKind.CANCEL])
def test_a_stop_that_cannot_be_received_ends_everything(monkeypatch: pytest.MonkeyPatch, kind: CommandKind) -> None:
    home = running()
    with monkeypatch.context() as patch:
        patch.setattr("agent.core.dispatch.receive", bug)
        home.tick(arriving(command(2)), arriving(command(3, kind=kind)))
        assert [r.state.value for r in home.disk.commands] == ["cancelled"]
        assert [n for n in home.notices if "cannot be received" in n]
    home.run(150)
    assert (home.given(), home.mode()) == (None, Mode.LOCAL)
    assert home.states(2) == []


def test_a_stop_counts_where_storing_is_what_breaks_and_is_stored_later(monkeypatch: pytest.MonkeyPatch) -> None:
    home = running()
    store: Callable[..., Any] = bug
    with monkeypatch.context() as patch:
        patch.setattr("agent.core.commits.store", store)
        home.tick(arriving(command(2, kind=CommandKind.STOP)))
        home.run(3)
        assert home.states(2) == []
    home.run(2)
    assert home.states() == ["received", "started", "cancelled"]
    assert home.states(2) == ["completed"]
