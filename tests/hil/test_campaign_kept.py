"""The observer's reserve under a BMS that is wrong: by what nobody can know, its word counts; by more, the cells."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hil.backends.virtual import VirtualBackend
from hil.campaign.homeowner import Homeowner
from hil.campaign.kept import BEYOND, RETAKEN, Kept
from hil.campaign.observer import AHEAD, NS, RESERVE, Observer
from hil.expr import Value
from hil.runner import Runner
from hil.scenario import Event, parse
from hil.signals import Happening
from hil.teeth.defects import CASES
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


def raised(
    sinks_to: float,
    *others: Event,
    code: int = 0,
    asks: int = 400,
    at: int = 20,
    gone: Mapping[str, Value] | None = None,
    until: int = 200,
    hi_w: int = 0,
) -> list[str]:
    """A home with a reserve of 20 %, from 45 % down by 1 permille in 2 s; somebody asks for another reserve at 20 s."""
    observer = Observer({"reserve_permille": 200})
    for second in range(600):
        for other in others if second == 5 else ():
            observer.event(second * NS, other, False)
        if second == at:
            observer.event(second * NS, an_event("local.reserve", permille=asks), False)
        if second == at and code >= 0:
            observer.happening(local(second, asks, code))
        soc = max(sinks_to, 450.0 - second / 2)
        away = gone if gone is not None and second < until else {}
        observer.sample(
            second * NS, {**GOOD, "agent.hi_w": hi_w, "agent.lo_w": -9000, "truth.soc_permille": soc, **away}
        )
    return [v.promise for v in observer.violations if v.promise in (RESERVE, AHEAD)]


def local(second: int, asked: int, code: int) -> Happening:
    told = asked if code == 0 else None
    fields: dict[str, Value] = {"verb": "reserve", "permille": asked, "code": code, "told_permille": told}
    return Happening("local", second * NS + 3_000_000, fields)


def test_a_reserve_that_was_raised_is_asked_for_from_the_answer_on() -> None:
    assert raised(397.0) == []
    assert raised(390.0) == [RESERVE]
    assert raised(390.0, code=4) == [], "it was refused"
    assert raised(390.0, code=5) == [], "it could not be written, and he was told so"
    assert raised(390.0, code=-1) == [], "nobody answered"


def test_what_the_permit_leaves_is_the_raised_reserve() -> None:
    assert raised(402.0, hi_w=11_000) == [AHEAD]
    assert raised(402.0, hi_w=11_000, code=4) == []


def test_a_reserve_that_was_refused_lowers_no_bound() -> None:
    assert raised(190.0, asks=150, code=4) == [RESERVE]
    assert raised(190.0, asks=150, code=0) == []
    assert raised(190.0, asks=150, code=-1) == [], "it may have been taken"
    assert raised(160.0, asks=180, code=0) == [RESERVE]


def test_a_raise_counts_once_the_inverter_could_be_told_and_until_then_what_counted_before() -> None:
    cut = an_event("inverter.mute", for_s=900)
    assert raised(250.0, cut) == []
    assert raised(190.0, cut) == [RESERVE]
    stopped: dict[str, Value] = {"agent.mode": "stopped"}
    assert raised(250.0, gone=stopped, until=600) == []
    assert raised(250.0, gone=stopped, until=300) == [RESERVE]
    assert raised(300.0, gone=stopped, until=300) == [], "what was gone before is not asked for"


def test_a_raise_above_what_is_there_keeps_what_is_there() -> None:
    assert raised(430.0, asks=900) == [RESERVE]
    assert raised(439.0, asks=900) == []


def test_a_daemon_that_is_not_there_hears_of_no_lower_reserve() -> None:
    dead: dict[str, Value] = {"proc.alive": False, "agent.mode": None, "agent.hi_w": None, "agent.lo_w": None}
    assert raised(190.0, asks=150, code=-1, gone=dead) == [RESERVE]


def test_an_older_image_brings_back_the_reserve_that_it_has() -> None:
    home = Homeowner(200)
    home.image()
    home.asks(400)
    home.answered(400, 0, 400)
    assert home.permille == 400
    home.restored()
    assert home.permille == 200


def test_an_answer_says_what_stands_for_all_that_was_asked_before() -> None:
    home = Homeowner(200)
    home.asks(150)
    assert home.permille == 150
    home.asks(300)
    home.asks(100)
    home.answered(300, 0, 300)
    assert home.permille == 100, "that is still on its way"
    home.answered(100, 4, None)
    assert home.permille == 300
    home.asks(150)
    home.answered(150, 5, None)
    assert home.permille == 150, "it may be on the disk"


def test_the_bench_tells_what_somebody_at_the_gateway_was_answered() -> None:
    text = (CASES / "reserve_raised.toml").read_text(encoding="utf-8").replace("15m", "60s").replace("14m", "10s")
    text += '[[assert]]\nname = "told"\ncount = "local"\n'
    text += "where = \"verb == 'reserve' and permille == 400 and code == 0 and told_permille == 400\"\nexactly = 1\n"
    assert Runner(parse(text, "t.toml"), VirtualBackend(), 1).run().ok
