"""What the tests of the store share: a clock, a Durable that is not empty, and a look at effects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from agent import mail
from agent.core.command import Command, CommandKind, CommandState
from agent.core.decision import Record
from agent.core.durable import CommandRecord, Durable, Window
from agent.core.inputs import Clock, ClockTrust
from agent.runtime.part import Effect, Now, Post, Start
from agent.store.config import StoreConfig
from agent.store.store import Store

S = 1_000_000_000
BOOT = "b" * 32
CLOCK = Clock(1_700_000_000_000, ClockTrust.SYNCED, "kernel", BOOT)
T = TypeVar("T")


def command(number: int) -> Command:
    return Command(f"{number:032x}", CommandKind.DISPATCH, "agg:f", "d" * 64, 1, 2, None, 600, 5000)


def durable(number: int) -> Durable:
    """One with a command and a window, different for each number."""
    record = CommandRecord(command(number), CommandState.RECEIVED, None, 1, 2, 3, 4, "kernel")
    return Durable(windows=(("agg:f|kid|dev:d", Window(number, 1)),), commands=(record,))


def record(number: int) -> Record:
    return Record("ack", {"command_id": f"{number:032x}", "state": "received"})


def request(number: int, what: Durable | None = None) -> mail.CommitRequest:
    return mail.CommitRequest(number, what or durable(number), (record(number),), CLOCK, number * 1000)


def config(directory: Path, **changes: Any) -> StoreConfig:
    return StoreConfig(directory / "state.db", directory / "reserve", **changes)


def started(directory: Path, **changes: Any) -> Store:
    store = Store(config(directory, **changes))
    store.load()
    list(store.handle(Start(), at(0)))
    return store


def online(directory: Path, **changes: Any) -> Store:
    """A start whose rows go out: the aggregator has said which it has."""
    store = started(directory, **changes)
    list(store.handle(mail.Anchor(0), at(0)))
    return store


def at(seconds: float) -> Now:
    return Now(int(seconds * S), 1_700_000_000_000 + int(seconds * 1000))


def posted(effects: Iterable[Effect], kind: type[T]) -> list[T]:
    return [e.event for e in effects if isinstance(e, Post) and isinstance(e.event, kind)]


def rows(effects: Iterable[Effect]) -> list[mail.OutboxRow]:
    return [row for stored in posted(effects, mail.Stored) for row in stored.rows]
