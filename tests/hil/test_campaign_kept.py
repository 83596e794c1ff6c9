"""The observer's reserve under a BMS that is wrong: by what nobody can know, its word counts; by more, the cells."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hil.campaign.kept import BEYOND, RETAKEN, Kept
from hil.campaign.observer import NS, RESERVE, Observer
from hil.expr import Value
from hil.scenario import Event
from tests.hil.test_campaign import GOOD, an_event


def wrong(
    by: float, sinks_from: float, *others: Event, anew: Mapping[str, Value] | None = None, at: int = 20
) -> list[str]:
    """A BMS that says so much more from second 20 on, while the cells sink by 1 permille in 4 s from there on."""
    observer = Observer({"reserve_permille": 200})
    for second in range(200):
        error = by if second >= 20 else 0.0
        if second == 20:
            observer.event(second * NS, an_event("bms.bias", for_s=900, permille=round(by)), False)
        for other in others if second == at else ():
            observer.event(second * NS, other, False)
        soc = sinks_from - max(0, second - 20) / 4
        gone = anew if anew is not None and at <= second < at + 3 else {}
        cells = {"truth.soc_permille": soc, "truth.bms_error_permille": error}
        observer.sample(second * NS, {**GOOD, "agent.hi_w": 0, "agent.lo_w": -9000, **cells, **gone})
    return [str(v).split(" at ")[0] for v in observer.violations if v.promise == RESERVE]


def test_a_bms_that_is_wrong_by_what_nobody_can_know_is_taken_at_its_word_and_no_further() -> None:
    assert wrong(50.0, 210.0) == []
    assert wrong(50.0, 195.0) == []
    assert wrong(50.0, 185.0) == [RESERVE], "by its own word"
    assert wrong(20.0, 210.0) == [RESERVE]
    assert wrong(1.5, 210.0) == [RESERVE]
    assert wrong(-50.0, 210.0) == [RESERVE]


def test_a_bms_that_is_wrong_by_more_is_found_out_and_the_cells_count() -> None:
    assert wrong(150.0, 210.0) == [RESERVE]
    assert wrong(150.0, 190.0) == [RESERVE]


@pytest.mark.parametrize(
    "others",
    [
        [("bms.mute", {})],
        [("inverter.deaf", {})],
        [("proc.kill9", {})],
        [("inverter.no_reversion", {})],
        [("bms.freeze", {})],
    ],
)
def test_but_not_where_the_agent_cannot_see_it_or_act(others: list[tuple[str, dict[str, Value]]]) -> None:
    events = [an_event(verb, for_s=900, name=verb, **args) for verb, args in others]
    assert wrong(150.0, 210.0, *events) == []
    late = wrong(150.0, 210.0, *events, at=100)
    assert late == [RESERVE], "it had 80 s in which it could have"


def test_a_start_takes_the_bms_at_its_word() -> None:
    dead: dict[str, Value] = {"proc.alive": False, "agent.mode": None, "agent.hi_w": None, "agent.lo_w": None}
    assert wrong(150.0, 210.0, anew=dead) == []
    assert wrong(150.0, 230.0, anew=dead, at=40) == []
    assert wrong(150.0, 230.0, anew=dead, at=199) == [RESERVE]


def test_what_came_back_below_the_reserve_is_not_taken_once_more() -> None:
    kept = Kept(200)
    there_and_back = [*range(100, 196), *range(195, 100, -1)]
    found = [kept.see(n * 10 * NS, float(soc), 0.0, False, True, False) for n, soc in enumerate(there_and_back)]
    first = next(soc for soc, sentence in zip(there_and_back, found, strict=True) if sentence is not None)
    assert first == 195 - RETAKEN - BEYOND - 1
    assert not any(found[: there_and_back.index(195)]), "what a start took does not count"
