"""A stop while the database takes nothing: it goes into the second file, and the next start knows of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agent import mail
from agent.compose import Agent
from agent.runtime.part import Now, Post, Start, Wake
from tests.agent.test_compose import composed

S = 1_000_000_000


def at(s: int) -> Now:
    return Now(s * S, 1_760_000_000_000 + s * 1000)


def pump(agent: Agent, part: str, event: object, now: Now) -> list[object]:
    """That event and all that follows between control and store; what was posted."""
    told: list[object] = []
    waiting: list[tuple[str, object]] = [(part, event)]
    while waiting:
        name, event = waiting.pop(0)
        for effect in agent.parts[name].handle(event, now):
            if isinstance(effect, Post):
                told.append(effect.event)
                if effect.to in ("control", "store"):
                    waiting.append((effect.to, effect.event))
    return told


def refuse(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = agent.parts["store"]

    def full(_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(store._vault._db, "commit", full)


def test_a_stop_on_a_full_disk_is_known_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = composed(tmp_path, tmp_path / "state")
    pump(agent, "store", Start(), at(1))
    pump(agent, "control", Start(), at(1))
    refuse(agent, monkeypatch)
    pump(agent, "store", mail.AppendBatch(b"x", agent.parts["control"]._clock.read(at(2)), 0, 1), at(2))  # type: ignore[attr-defined]
    for s in range(3, 9):
        pump(agent, "control", Wake(), at(s))
    told = pump(agent, "control", mail.Verb(1, "stop", "ada", "technician"), at(9))
    (kept,) = [e for e in told if isinstance(e, mail.KeepAside)]
    assert kept.durable.stopped_by == "ada"
    quiet = [e for s in range(10, 20) for e in pump(agent, "control", Wake(), at(s))]
    assert not [e for e in quiet if isinstance(e, mail.KeepAside)]  # the card is written when something changed

    later = composed(tmp_path, tmp_path / "state")
    assert later.parts["control"]._durable.stopped_by == "ada"  # type: ignore[attr-defined]
    view = [e for e in pump(later, "control", Start(), at(1)) if isinstance(e, mail.View)]
    assert view[-1].stopped_by == "ada"


def test_an_opt_out_goes_the_same_way_and_is_ended_by_an_opt_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = composed(tmp_path, tmp_path / "state")
    pump(agent, "store", Start(), at(1))
    pump(agent, "control", Start(), at(1))
    with monkeypatch.context() as full:
        refuse(agent, full)
        pump(agent, "store", mail.AppendBatch(b"x", agent.parts["control"]._clock.read(at(2)), 0, 1), at(2))  # type: ignore[attr-defined]
        for s in range(3, 9):
            pump(agent, "control", Wake(), at(s))
        told = pump(agent, "control", mail.Verb(mail.LINK, "optout", "the homeowner", "homeowner", for_s=3600), at(9))
        assert [e for e in told if isinstance(e, mail.KeepAside)]
        (answer,) = [e for e in told if isinstance(e, mail.VerbDone)]
        assert (answer.code, "the disk takes no records" in answer.text) == (0, True)
        quiet = [e for s in range(10, 15) for e in pump(agent, "control", Wake(), at(s))]
        assert not [e for e in quiet if isinstance(e, mail.KeepAside)]

    later = composed(tmp_path, tmp_path / "state")
    pump(later, "store", Start(), at(1))
    view = [e for e in pump(later, "control", Start(), at(1)) if isinstance(e, mail.View)]
    assert view[-1].opted_out is not None
    assert view[-1].opted_out.by == "the homeowner"
    refused = pump(later, "control", mail.Verb(1, "optin", "bob", "technician"), at(2))
    assert [e.code for e in refused if isinstance(e, mail.VerbDone)] == [4]
    told = pump(later, "control", mail.Verb(1, "optin", "ann", "homeowner"), at(3))
    assert [e.code for e in told if isinstance(e, mail.VerbDone)] == [0]
    assert [e for e in told if isinstance(e, mail.View)][-1].opted_out is None
    held = pump(later, "control", mail.Verb(1, "override", "bob", "technician", 500, for_s=60), at(4))
    assert [e.code for e in held if isinstance(e, mail.VerbDone)] == [0]
