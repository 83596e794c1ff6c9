"""Puts into force what the operator set from afar, watches it while it is on probation, and takes it back. Sans-IO.

First on the disk, then in force; a rollback is in force at once and on the disk after. What a configuration raises of
the reserve begins at once and ends by itself, whatever becomes of the configuration.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Set
from dataclasses import asdict, replace
from typing import NamedTuple

from agent import mail
from agent import remote as remotes
from agent.core import overlay
from agent.core.decision import FaultValue
from agent.core.durable import Overlay
from agent.core.inputs import Clock, RaiseReserve
from agent.core.params import Params
from agent.remote import (
    APPLIED,
    CONFIG,
    CONFIRMED,
    DEFAULT,
    FIRMWARE,
    REFUSED,
    ROLLED_BACK,
    Fate,
    Held,
    InForce,
    Remote,
)
from agent.runtime.part import Effect, Log, Now, Post

S = 1_000_000_000
LOST_NS = 120 * S  # so long without the aggregator is lost: rule R13 of the link's standards
RETRY_NS = 60 * S
GRAVE = frozenset({"degraded", "fault", "lockout"})  # severities that end a probation; an outage is nobody's fault


class Facts(NamedTuple):
    """What it looks at of the home."""

    link_up: bool
    faults: tuple[FaultValue, ...]
    overlays: tuple[Overlay, ...]
    clock: Clock


class Steward:
    """`kept`: what the disk had, `sentence`: what the start undid."""

    def __init__(self, site: Params, kept: Remote, sentence: str | None = None) -> None:
        self._site = site
        self._remote = self._next = kept
        self._sentence = sentence
        self._waiting: deque[Remote] = deque()  # given to the disk, in order
        self._unkept_ns: int | None = None  # since when the disk does not have what holds
        self._since_ns = 0
        self._down_ns: int | None = None
        self._heard = False
        self._known: frozenset[str] = frozenset()  # faults that were there when the probation began
        self.in_force = InForce(site, remotes.effective(site, kept), kept)
        self._raises: list[RaiseReserve] = []

    @property
    def watching(self) -> bool:
        """`look` is to be called about once a second."""
        return self._remote.trial is not None or self._unkept_ns is not None

    @property
    def params(self) -> Params:
        """By which this home goes now."""
        return self.in_force.now

    # --- what happens ------------------------------------------------------------------------------------------------
    def begin(self, clock: Clock, now: Now) -> list[Effect]:
        """Once, at the start: a probation that a restart has ended is told and kept."""
        if self._sentence is None:
            return []
        fate = self._remote.fate  # None: the file was damaged
        reason, version = ("damaged", 0) if fate is None else ("restart", fate.version)
        event = _event(ROLLED_BACK, version, reason, self._sentence)
        return [Log("warning", self._sentence), self._keep(self._remote, (event,), clock, now)]

    def document(self, doc: mail.Document, facts: Facts, now: Now) -> list[Effect]:
        """A proven document. One that is no news moves nothing."""
        floor = self._next.floors.get(doc.kind)
        if floor is not None and doc.version <= floor[0]:
            return []
        after = self._next.seen(doc.kind, doc.version, doc.digest, doc.kid)
        if doc.kind == CONFIG:
            return self._config(doc, after, facts, now)
        if doc.kind == DEFAULT:
            control = remotes.default_of({"version": doc.version, **doc.body})
            event = _event("default_applied", doc.version, None, f"default control {doc.version} holds: {control.mode}")
            return [self._keep(after.defaulted(control, doc.kid), (event,), facts.clock, now)]
        sentence = f"release {doc.version} is known here; nothing is installed by itself"
        event = _event("firmware_known", doc.version, None, sentence)
        return [self._keep(after.released(str(doc.body["raw"])), (event,), facts.clock, now)]

    def revoked(self, kids: Set[str], facts: Facts, now: Now) -> list[Effect]:
        """What those keys have set lapses at once, and is off the disk after; so do the numbers that they used up."""
        before, after, coming = self._remote, self._remote.lapsed(kids), self._next.lapsed(kids)
        if after is before and coming is self._next:
            return []
        events = []
        if after.held != before.held:
            sentence = f"configuration {before.held.version} is taken back: the key that signed it was revoked"
            events.append(_event(ROLLED_BACK, before.held.version, "revoked", sentence))
            after = replace(after, fate=Fate(before.held.version, ROLLED_BACK, sentence))
        if after.default != before.default:
            sentence = f"default control {before.default.version} is taken back: the key that signed it was revoked"
            events.append(_event("default_applied", after.default.version, "revoked", sentence))
        on_their_way = bool(self._waiting)
        self._waiting = deque([each.lapsed(kids) for each in self._waiting])
        self._hold(after)
        said = [Log("warning", str(event["sentence"])) for event in events]
        kept = replace(coming, fate=after.fate) if on_their_way else after
        return [*said, self._keep(kept, tuple(events), facts.clock, now), self.link()]

    def stored(self, done: mail.DocumentsStored, facts: Facts, now: Now) -> list[Effect]:
        """The answer to the oldest write."""
        if not self._waiting:
            return []
        kept = self._waiting.popleft()
        if done.error is not None:
            self._next = self._waiting[-1] if self._waiting else self._remote
            if kept is self._remote:  # it holds already: a rollback, or what the start undid
                self._unkept_ns = now.mono_ns
            return [Log("error", f"what was set from afar could not be kept: {done.error}"), self.link()]
        if kept is self._remote:
            self._unkept_ns = None
            return [self.link()]
        before = self._remote
        self._hold(kept)
        if kept.trial is not None and kept.trial != before.trial:
            self._since_ns, self._down_ns, self._heard = now.mono_ns, None, False
            self._known = frozenset(fault.id for fault in facts.faults)
        news = [kept.fate.sentence] if kept.fate is not None and kept.fate != before.fate else []
        news += [f"default control {kept.default.version} holds"] if kept.default != before.default else []
        return [*(Log("info", text) for text in news), self.link()]

    def taken(self) -> list[RaiseReserve]:
        """What the next cycle must hear of; once."""
        raises, self._raises = self._raises, []
        return raises

    def heard(self) -> None:
        """A signed word of the aggregator's service."""
        self._heard = True

    def look(self, facts: Facts, now: Now) -> list[Effect]:
        """Whether what is on probation holds, is taken back, or stays."""
        if self._unkept_ns is not None and now.mono_ns - self._unkept_ns >= RETRY_NS:
            self._unkept_ns = None
            return [self._keep(self._remote, (), facts.clock, now)]
        trial = self._remote.trial
        if trial is None or self._waiting:
            return []
        self._down_ns = None if facts.link_up else now.mono_ns if self._down_ns is None else self._down_ns
        wrong = self._wrong(trial, facts, now)
        if wrong is not None:
            return self._roll_back(*wrong, facts, now)
        if now.mono_ns - self._since_ns < trial.probation_s * S:
            return []
        sentence = f"configuration {trial.version} has held for {trial.probation_s} s and stays"
        event = _event(CONFIRMED, trial.version, None, sentence)
        return [self._keep(self._remote.confirmed(sentence), (event,), facts.clock, now)]

    # --- inside ------------------------------------------------------------------------------------------------------
    def _config(self, doc: mail.Document, after: Remote, facts: Facts, now: Now) -> list[Effect]:
        settings = remotes.settings_of(doc.body["settings"])
        held = Held(doc.version, settings, int(str(doc.body["probation_s"])), doc.kid)
        why = remotes.unfit(self._site, settings) or self._raise(held, facts)
        if why is not None:
            sentence = f"configuration {doc.version} is refused: {why}"
            after = after.judged(Fate(doc.version, REFUSED, sentence))
            event = _event(REFUSED, doc.version, "not_applicable", sentence)
            return [self._keep(after, (event,), facts.clock, now)]
        events = []
        if after.trial is not None:
            told = remotes.taken_back(after, f"configuration {doc.version} has come before its probation was over")
            events.append(_event(ROLLED_BACK, after.trial.version, "replaced", told))
        sentence = f"configuration {doc.version} is on probation for {held.probation_s} s: {summary(held)}"
        events.append(_event(APPLIED, doc.version, None, sentence))
        after = after.tried(held, sentence)
        return [self._keep(after, tuple(events), facts.clock, now)]

    def _raise(self, held: Held, facts: Facts) -> str | None:
        """Begin what it raises of the reserve: that waits for no disk. Why not, or None."""
        settings = held.settings
        if settings.raise_permille is None or settings.raise_s is None:
            return None
        name = f"configuration {held.version}"
        event = RaiseReserve(
            f"config-{held.version}", overlay.REMOTE, settings.raise_permille, "operations", "operations", name,
            for_s=settings.raise_s,
        )  # fmt: skip
        why = overlay.refusal(event, facts.overlays, facts.clock, self._site)
        if why is None:
            self._raises.append(event)
        return why

    def _wrong(self, trial: Held, facts: Facts, now: Now) -> tuple[str, str] | None:
        """Why the probation has failed: a word and a clause."""
        new = next((f for f in facts.faults if f.severity in GRAVE and f.id not in self._known), None)
        if new is not None:
            return "fault", f"fault {new.id} arose while it was on probation: {new.sentence}"
        patience_ns = min(LOST_NS, trial.probation_s * S)
        if self._down_ns is not None and now.mono_ns - self._down_ns >= patience_ns:
            return "aggregator_lost", f"the aggregator was out of reach for {patience_ns // S} s"
        over = now.mono_ns - self._since_ns >= trial.probation_s * S
        if over and not (facts.link_up and self._heard):
            return "aggregator_lost", "no signed time or receipt of the aggregator has come while it was on probation"
        return None

    def _roll_back(self, reason: str, why: str, facts: Facts, now: Now) -> list[Effect]:
        sentence = remotes.taken_back(self._remote, why)
        version = self._remote.held.version
        self._hold(self._remote.rolled_back(sentence))
        event = _event(ROLLED_BACK, version, reason, sentence)
        write = self._keep(self._remote, (event,), facts.clock, now)
        return [Log("warning", sentence), write, self.link()]

    def _hold(self, state: Remote) -> None:
        self._remote = state
        self.in_force = InForce(self._site, remotes.effective(self._site, state), state)

    def _keep(self, state: Remote, events: tuple[Mapping[str, object], ...], clock: Clock, now: Now) -> Post:
        self._next = state
        self._waiting.append(state)
        return Post("store", mail.WriteDocuments(state.dump(), events, clock, now.mono_ns // 1_000_000))

    def link(self) -> Post:
        """What the link goes on with."""
        settings = self._remote.held.settings
        told = mail.LinkSettings(
            dict(self._next.floors), settings.batch_s, settings.live_s, settings.groups, self._remote.trial is not None
        )
        return Post("link", told)

    def versions(self) -> dict[str, object]:
        """Members of the birth; 0 = none."""
        remote = self._remote
        return {
            "config_version": remote.held.version,
            "config_trial": remote.trial is not None,
            "default_version": remote.default.version,
            "firmware_version": remote.floors.get(FIRMWARE, (0, ""))[0],
        }


def summary(held: Held) -> str:
    """What it sets, in a clause."""
    told = [
        f"{name} {', '.join(value) or 'none' if isinstance(value, tuple) else value}"
        for name, value in asdict(held.settings).items()
        if value is not None
    ]
    return ", ".join(told) or "nothing beyond what was commissioned"


def _event(word: str, version: int, reason: str | None, sentence: str) -> dict[str, object]:
    return {"event": word, "version": version, "reason": reason, "sentence": sentence}
