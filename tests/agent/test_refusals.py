"""What people read of a write that did not take."""

from __future__ import annotations

from agent.refusals import Refusals
from drivers.events import WriteClass, WriteOutcome, WriteResult


def result(outcome: WriteOutcome, detail: str = "", device: str = "hybrid") -> WriteResult:
    return WriteResult(1, device, WriteClass.POWER, 500, outcome, 0, 0, detail)


def test_a_refusal_is_said_once_and_again_when_it_is_another() -> None:
    refusals = Refusals()
    assert refusals.sentence(result(WriteOutcome.CONFIRMED)) is None
    first = refusals.sentence(result(WriteOutcome.WORN, "again in 3 h 20 min"))
    assert first == "hybrid: POWER 500 was not done (worn): again in 3 h 20 min"
    assert refusals.sentence(result(WriteOutcome.WORN, "again in 3 h 20 min")) is None
    assert refusals.sentence(result(WriteOutcome.WORN, "again in 3 h 20 min", "other")) is not None
    assert refusals.sentence(result(WriteOutcome.MISMATCH, "register 1 reads 0, 5 was written")) is not None
    assert refusals.sentence(result(WriteOutcome.SUPERSEDED, "a newer order took its place")) is None
