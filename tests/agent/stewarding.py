"""A steward under script: a store that answers or does not, a clock that only `later` moves, and all that it said."""

from __future__ import annotations

from typing import Any

from agent import mail
from agent.core.decision import FaultValue
from agent.core.inputs import Clock, ClockTrust, RaiseReserve
from agent.core.params import Params, Site, Timers
from agent.remote import Remote, begun, parse
from agent.runtime.part import Effect, Log, Now, Post
from agent.steward import Facts, Steward

S = 1_000_000_000
SITE = Params(Site(11_400, 11_400, 25_000, 24_000, 11_400), Timers())
WALL = 1_700_000_000_000


def fault(name: str, severity: str = "fault") -> FaultValue:
    return FaultValue(name, severity, "a sentence", "a remedy", 0)


def config(version: int, probation_s: int = 600, **settings: Any) -> mail.Document:
    body = {"probation_s": probation_s, "settings": settings}
    return mail.Document("config", version, f"digest {version}", body)


def default(version: int, mode: str = "self_consumption", **members: Any) -> mail.Document:
    return mail.Document("default", version, f"digest {version}", {"mode": mode, **members})


def release(version: int) -> mail.Document:
    return mail.Document("firmware", version, f"digest {version}", {"raw": f"manifest {version}", "name": "x"})


class Desk:
    """Steward and disk. `fails`: the disk's next answers are a refusal."""

    def __init__(self, site: Params = SITE, disk: bytes | None = None) -> None:
        kept, undone = Remote(), None
        if disk is not None:
            found = parse(disk)
            assert isinstance(found, Remote), found
            kept, undone = begun(found)
        self.site, self.disk, self.fails, self.up = site, disk, False, True
        self.faults: tuple[FaultValue, ...] = ()
        self.now = Now(1000 * S, WALL)
        self.events: list[dict[str, object]] = []
        self.told: list[mail.LinkSettings] = []
        self.lines: list[str] = []
        self.raises: list[RaiseReserve] = []
        self.steward = Steward(site, kept, undone)
        self.take(self.steward.begin(self.clock, self.now))

    @property
    def clock(self) -> Clock:
        return Clock(self.now.wall_ms, ClockTrust.SYNCED, "kernel", "boot")

    @property
    def facts(self) -> Facts:
        return Facts(self.up, self.faults, (), self.clock)

    @property
    def holds(self) -> Params:
        return self.steward.params

    def take(self, effects: list[Effect], answer: bool = True) -> None:
        """Nothing but the disk, the link and the log is ever spoken to."""
        for effect in effects:
            if isinstance(effect, Log):
                self.lines.append(effect.text)
                continue
            assert isinstance(effect, Post)
            if isinstance(effect.event, mail.LinkSettings):
                self.told.append(effect.event)
                continue
            assert isinstance(effect.event, mail.WriteDocuments)
            if answer:
                self._write(effect.event)
        self.raises += self.steward.taken()

    def _write(self, request: mail.WriteDocuments) -> None:
        if not self.fails:
            self.disk = request.state
            self.events += [dict(event) for event in request.events]
        done = mail.DocumentsStored("no space left" if self.fails else None)
        self.take(self.steward.stored(done, self.facts, self.now))

    def send(self, doc: mail.Document, answer: bool = True) -> None:
        self.take(self.steward.document(doc, self.facts, self.now), answer)

    def later(self, seconds: int, heard: bool = False) -> None:
        """A look every second."""
        for _ in range(seconds):
            self.now = Now(self.now.mono_ns + S, self.now.wall_ms + 1000)
            if heard:
                self.steward.heard()
            if self.steward.watching:
                self.take(self.steward.look(self.facts, self.now))

    def restart(self) -> Desk:
        return Desk(self.site, self.disk)

    def words(self) -> list[object]:
        return [(event["event"], event["version"], event["reason"]) for event in self.events]
