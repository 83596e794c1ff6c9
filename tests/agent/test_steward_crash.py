"""Pairs of configurations and a power cut at any byte that is written for the second: one of two, never a third.

Nothing of it lowers a reserve, takes back a revocation, or loosens what was commissioned.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import mail
from agent import remote as remotes
from agent.core.book import Cycle
from agent.core.durable import Durable
from agent.core.inputs import Inputs, RaiseReserve, Reserve
from agent.core.overlay import settle
from agent.remote import Held, Remote, Settings, effective
from agent.runtime.part import Effect
from agent.store import slots
from agent.store.documents import DocumentsFile
from agent.store.reserve import ReserveFile
from agent.store.trust import TrustFile
from tests.agent.stewarding import SITE, Desk, config, fault
from tests.agent.test_steward import chosen, no_looser

TRUST = b"bundle 3, which revokes a key"
PWRITE = os.pwrite


class PowerCut(BaseException):
    """Nothing runs after it."""


@contextmanager
def power_for(count: int | None) -> Iterator[list[int]]:
    """So many bytes reach the slots, then it is dark. Yields the bytes that did."""
    written = [0]

    def pwrite(fd: int, data: bytes, at: int) -> int:
        left = len(data) if count is None else min(len(data), count - written[0])
        written[0] += left
        PWRITE(fd, data[:left], at)
        if left < len(data):
            raise PowerCut
        return left

    with patch.object(slots.os, "pwrite", pwrite):  # type: ignore[attr-defined]  # the module's own os
        yield written


class Gateway(Desk):
    """A steward on a real store; what it raises is counted by the core."""

    def __init__(self, directory: Path, durable: Durable) -> None:
        self.directory, self.durable = directory, durable
        self.file = DocumentsFile(directory / "documents")
        data = self.file.read()
        assert not isinstance(data, str), data
        super().__init__(disk=data)

    def _write(self, request: mail.WriteDocuments) -> None:
        """As the store does: the record first."""
        self.events += [dict(event) for event in request.events]
        assert self.file.write(request.state) is None
        self.take(self.steward.stored(mail.DocumentsStored(None), self.facts, self.now))

    def take(self, effects: list[Effect], answer: bool = True) -> None:
        self.raises = []
        super().take(effects, answer)
        self.settle(*self.raises)

    def settle(self, *events: RaiseReserve) -> int:
        """The reserve that the raises hold now, permille."""
        inputs = Inputs(self.now.mono_ns, self.clock, (), (), (), (), Reserve(300, "file"), events, True, True, 0)
        say = Cycle(self.now.mono_ns, self.clock, SITE, True, True, None)
        self.durable, held, _ = settle(self.durable, inputs, say)
        return held.permille

    def dies(self) -> Gateway:
        return Gateway(self.directory, self.durable)


def end_of(gateway: Gateway, ending: str) -> None:
    """Its probation of 60 s ends so."""
    if ending == "fault":
        gateway.faults = (fault("actuation"),)
    gateway.later(61, heard=ending == "holds")


def sent(settings: Settings, raised: int | None) -> dict[str, Any]:
    more: dict[str, Any] = {} if raised is None else {"raise_permille": raised, "raise_s": 3600}
    return {name: value for name, value in asdict(settings).items() if value is not None} | more


@given(
    one=chosen, two=chosen, raised=st.none() | st.integers(100, 1000),
    ending=st.sampled_from(["holds", "fault", "lost", "restart"]), share=st.integers(0, 100), late=st.booleans(),
)  # fmt: skip
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_power_cut_at_any_byte_leaves_the_one_before_or_the_one_that_has_held(
    one: Settings, two: Settings, raised: int | None, ending: str, share: int, late: bool
) -> None:
    """`share`: percent of what the second configuration and its end write, at which it is cut; `late`: in its end."""
    with tempfile.TemporaryDirectory() as name, patch.object(slots.os, "fsync"):  # type: ignore[attr-defined]  # as above
        whole = lived(Path(name) / "whole", one, two, raised, ending, None, None)
        cut = whole[1 if late else 0] * share // 100
        lived(Path(name) / "cut", one, two, raised, ending, None if late else cut, cut if late else None)


def lived(
    directory: Path,
    one: Settings,
    two: Settings,
    raised: int | None,
    ending: str,
    cut: int | None,
    cut_late: int | None,
) -> tuple[int, int]:
    """A life with a power cut or none, judged; bytes that the second configuration wrote, and its end."""
    directory.mkdir(exist_ok=True)
    assert TrustFile(directory / "trust").write(TRUST) is None
    assert ReserveFile(directory / "reserve").write(300, "ann") is None
    gateway = Gateway(directory, Durable())
    gateway.send(config(1, 60, **sent(one, None)))
    gateway.later(61, heard=True)
    fit_one, fit_two = (remotes.unfit(SITE, each) is None for each in (one, two))
    before = effective(SITE, Remote(settled=Held(1, one))) if fit_one else SITE
    assert gateway.holds == before
    first = powered(cut, lambda: gateway.send(config(2, 60, **sent(two, raised))))
    owed = gateway.settle()
    assert first[0] or owed == (raised or 0) * fit_two
    second = (False, 0)
    if not first[0] and ending != "restart":
        second = powered(cut_late, lambda: end_of(gateway, ending))
    again = gateway.dies()
    judge(again, gateway, before, two, held=fit_two and ending == "holds" and not first[0], exact=not second[0])
    assert again.settle() >= owed
    assert TrustFile(directory / "trust").read() == TRUST
    assert ReserveFile(directory / "reserve").read() == Reserve(300, "file")
    return first[1], second[1]


def judge(again: Gateway, gateway: Gateway, before: Any, two: Settings, held: bool, exact: bool) -> None:
    after = effective(SITE, Remote(settled=Held(2, two)))
    assert no_looser(again.holds, SITE)
    assert again.holds in ([after] if held and exact else [before, after] if held else [before])
    floors = again.steward.in_force.remote.floors
    answered = dict(gateway.steward.in_force.remote.floors)["config"][0]
    assert floors["config"][0] >= answered
    if floors["config"][0] == 2:  # the broker kept it: it comes again, and is no news
        again.send(config(2, 60, **sent(two, None)))
        assert again.words() in ([], [("config_rolled_back", 2, "restart")])


def powered(count: int | None, work: Callable[[], object]) -> tuple[bool, int]:
    """Whether it went dark, and the bytes that were written."""
    with power_for(count) as written:
        try:
            work()
        except PowerCut:
            return True, written[0]
    return False, written[0]


def test_the_cut_really_cuts(tmp_path: Path) -> None:
    file = DocumentsFile(tmp_path / "documents")
    assert file.write(b"before") is None
    dark, written = powered(3, lambda: file.write(b"after"))
    assert (dark, written) == (True, 3)
    assert file.read() == b"before"
