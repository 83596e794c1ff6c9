"""What commands asked for while nobody looked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.command import Command, CommandKind, CommandState
from agent.core.dark import Stretch, stretches
from agent.core.durable import CommandRecord, OptOut
from agent.core.inputs import ClockTrust
from agent.core.params import S
from agent.core.performance import MOST_PARTS
from tests.core.home import Home, arriving, command
from tests.core.test_accounts import QUARTER_MS, WALL_MS, Tally, drive, take_up

DISPATCH = CommandKind.DISPATCH


def of(number: int, start_s: int, end_s: int, kind: CommandKind = DISPATCH, **changes: Any) -> CommandRecord:
    state = changes.pop("state", CommandState.STARTED)
    boot = changes.pop("kernel_boot", "kernel")
    given = {"power_w": 3600 if kind is DISPATCH else None} | changes
    c = Command(str(number), kind, "agg:f", "d" * 64, number, 2, 1, end_s - start_s, **given)
    return CommandRecord(c, state, None, WALL_MS, 0, start_s * S, end_s * S, boot, started=True)


def seen(*commands: CommandRecord, cuts: tuple[int, ...] = ()) -> list[tuple[str, int, int, int]]:
    found = stretches(commands, "kernel", 100 * S, 200 * S, [at * S for at in cuts])
    assert all(isinstance(x, Stretch) for x in found)
    return [(x.command_id, x.began_ns // S, x.ns // S, x.asked_w) for x in found]


def test_who_rules_asks_until_its_end_and_what_follows_asks_then() -> None:
    assert seen(of(1, 0, 150)) == [("1", 100, 50, 3600)]
    assert seen(of(1, 0, 150), of(2, 170, 900, power_w=-5)) == [("1", 100, 50, 3600), ("2", 170, 30, -5)]
    assert seen(of(1, 0, 300), of(2, 150, 400)) == [("1", 100, 50, 3600), ("2", 150, 50, 3600)], "the newer rules"
    assert seen(of(1, 0, 300), cuts=(50, 120)) == [("1", 100, 20, 3600), ("1", 120, 80, 3600)]
    assert seen(cuts=(120,)) == []


def test_a_list_asks_by_its_intervals_and_a_limit_for_no_power() -> None:
    values = of(1, 80, 170, CommandKind.SCHEDULE, values=(100, None, 300), interval_s=30)
    assert seen(values) == [("1", 100, 10, 100), ("1", 140, 30, 300)]
    limit = of(2, 0, 300, power_w=None, import_limit_w=0)
    assert seen(limit) == [("2", 100, 100, 0)]
    assert seen(values, limit)[:2] == [("1", 100, 10, 100), ("2", 110, 30, 0)]
    assert seen(of(3, 150, 160), values)[1:4] == [("1", 140, 10, 300), ("3", 150, 10, 3600), ("1", 160, 10, 300)]


def test_what_is_over_of_another_boot_or_no_order_asks_for_nothing() -> None:
    assert seen(of(1, 0, 300, state=CommandState.COMPLETED)) == []
    assert seen(of(1, 0, 300, kernel_boot="other")) == []
    assert seen(of(1, 0, 300, CommandKind.SESSION), of(2, 0, 300, CommandKind.PRICE)) == []


@pytest.mark.parametrize("how", ["crash", "stall", "over", "opted_out"])
def test_time_in_which_nobody_looked_is_asked_and_missing(how: str) -> None:
    tally = Tally()
    tally.put(0)
    record = of(1, 10_000, 10_901)
    take_up(tally, record)
    drive(tally, 300, 3600)
    if how == "opted_out":
        tally.durable = replace(tally.durable, opted_out=OptOut("ada", "homeowner", 1))
    if how != "stall":
        tally.restart()
    tally.put(0, s=700 if how == "over" else 120)
    lasted = {"crash": 420, "stall": 420, "over": 900, "opted_out": 420}[how]
    done = replace(record, state=CommandState.COMPLETED, delivered_mwh=tally.meters.total(record))
    tally.durable, tally.due = replace(tally.durable, commands=(done,)), None
    tally.put(0)
    (found,) = tally.of("performance")
    assert (found["requested_wh"], found["lasted_s"], found["missing_s"]) == (lasted, lasted, lasted - 300)
    assert found["quality"] == "est"
    assert found["limited"] == ([{"reason": "opt_out", "lasted_s": 120}] if how == "opted_out" else [])
    assert found["delivered_wh"] == 300
    assert sum(q["requested_wh"] for q in found["quarters"]) == lasted


def test_quarters_in_it_are_told_and_never_too_many_in_one_record() -> None:
    tally = Tally()
    tally.put(0)
    record = of(1, 10_000, 10_000 + 100 * 900)
    take_up(tally, record)
    drive(tally, 100, 3600)
    tally.restart()
    tally.put(0, s=98 * 900)
    told = tally.of("quarters")
    assert [(r["first"], len(r["quarters"])) for r in told] == [(0, MOST_PARTS), (MOST_PARTS, MOST_PARTS)]
    quarters = [q for r in told for q in r["quarters"]]
    assert [q["t0_ms"] % QUARTER_MS for q in quarters[2:]] == [0] * (2 * MOST_PARTS - 2)
    assert {q["requested_wh"] for q in quarters[2:]} == {900}
    (event,) = tally.ledger.kept.events
    assert (event.told, len(event.parts)) == (2 * MOST_PARTS, 3)


def test_a_time_that_no_clock_tells_leaves_the_event_estimated() -> None:
    tally = Tally()
    tally.put(0)
    record = of(1, 10_000, 20_000)
    take_up(tally, record)
    drive(tally, 100, 3600)
    tally.trust = ClockTrust.UNTRUSTED
    tally.put(0)
    tally.restart()
    tally.kernel_boot = "another"
    tally.put(0, s=50)
    (event,) = tally.ledger.kept.events
    assert (event.missing_ns, event.ns // S) == (1, 101)


def test_an_event_that_began_in_the_dark_has_its_true_begin() -> None:
    home = Home().ready()
    start_ms = home.clock().wall_ms + 60_000
    home.tick(arriving(command(1, start_ms=start_ms, duration_s=300)))
    home.tick()
    home.now_ns += 120 * S
    later = home.crash()
    later.run(300)
    (found,) = [record for record in later.settled if record["record"] == "performance"]
    assert abs(found["started_ms"] - start_ms) <= 1000
    assert abs(found["lasted_s"] - 300) <= 1
    assert abs(found["requested_wh"] - 416) <= 2
    assert 55 <= found["missing_s"] <= 75
