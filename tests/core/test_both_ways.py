"""A command that gives and takes is told both ways: neither is netted against the other."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from agent.core import accounts
from agent.core.book import Book
from agent.core.command import CommandKind, CommandState
from agent.core.durable import Durable, from_json, to_json
from agent.core.kept import kept_of
from agent.core.params import S
from agent.core.performance import Part
from agent.core.settlement import Meters, charged_mwh
from agent.core.soc import NJ_PER_MWH
from tests.core.test_accounts import Tally, drive, running, take_up

SIDES = ("delivered_discharge_wh", "delivered_charge_wh", "requested_discharge_wh", "requested_charge_wh")


def over(tally: Tally) -> dict[str, Any]:
    """The record of the command that runs, which is done."""
    assert tally.due is not None
    done = replace(tally.meters.told(tally.due), state=CommandState.COMPLETED)
    tally.durable, tally.due = replace(tally.durable, commands=(done,)), None
    tally.put(0)
    (found,) = [r for r in tally.records if r["record"] in ("performance", "session")]
    return dict(found)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("kind", [CommandKind.SCHEDULE, CommandKind.SESSION])
def test_what_was_given_and_taken_stands_apart_in_the_record_and_in_each_quarter(
    kind: CommandKind, stored: bool
) -> None:
    tally = Tally()
    tally.put(0)
    record = running(-3600, kind)
    record = replace(record, command=replace(record.command, interval_s=9000, values=(3600,)))
    take_up(tally, record)
    drive(tally, 300, -3600)
    if stored:  # what the disk has of it, and a process that begins with that
        record = tally.meters.told(record)
        (record,) = from_json(to_json(Durable(commands=(record,)))).commands
        tally.meters = Meters()
        tally.durable = replace(tally.durable, commands=(record,))
        tally.restart()
    record = replace(record, command=replace(record.command, power_w=3600))
    take_up(tally, record)
    drive(tally, 300, 3600)
    drive(tally, 700, 1800)
    found = over(tally)
    assert [found[name] for name in SIDES] == [650, 300, 1000 - stored, 300]  # one second is that of the start
    assert (found["delivered_wh"], found["requested_wh"]) == (350, 700 - stored)
    assert len(found["quarters"]) >= 2
    for name in SIDES:
        assert sum(q[name] for q in found["quarters"]) == found[name]
        assert all(q[name] >= 0 for q in found["quarters"])
    mixed = next(q for q in found["quarters"] if q["delivered_charge_wh"])
    assert mixed["delivered_discharge_wh"] > 0 or stored


def test_neither_sum_ever_falls_however_small_the_steps() -> None:
    meters, record = Meters(), running()
    given = taken = 0
    out, into = [], []
    for step in range(400):
        nanojoules = NJ_PER_MWH * 3 // 10 * (1 if step % 3 else -2)
        given, taken = given + max(0, nanojoules), taken + max(0, -nanojoules)
        meters = meters.add(record.command.id, nanojoules)
        if step % 50 == 49:
            record, meters = meters.told(record), meters.folded()
        told = meters.told(record)
        assert told.delivered_mwh == meters.total(record)
        assert told.both_mwh >= 0
        out.append(told.delivered_mwh + charged_mwh(told))
        into.append(charged_mwh(told))
    assert (out[-1], into[-1]) == (given // NJ_PER_MWH, taken // NJ_PER_MWH)
    assert out == sorted(out)
    assert into == sorted(into)


def test_one_way_alone_is_written_as_before_it_was_counted_apart() -> None:
    meters = Meters().add(running().command.id, -5 * NJ_PER_MWH)
    told = meters.told(running())
    assert "both_mwh" not in to_json(Durable(commands=(told,)))
    assert (charged_mwh(told), told.delivered_mwh) == (5, -5)


def test_the_accounts_of_a_program_that_did_not_count_it_apart_go_on() -> None:
    tally = Tally()
    tally.put(0)
    take_up(tally, running(-3600))
    drive(tally, 901, -3600)
    raw = json.loads(accounts.text(tally.ledger, Book(tally.durable, tally.live, tally.meters)))
    (event,) = raw[5]
    assert event[-4:] != [0, 0, 0, 0]
    raw[5] = [[*event[:5], [part[:3] for part in event[5]], *event[6:-4]]]
    (found,) = kept_of(json.dumps(raw)).events
    assert found.requested_charge_nj == -found.requested_nj == 901 * 3600 * S
    assert [part.wh() for part in found.parts] == [part.wh() for part in tally.ledger.kept.events[0].parts]
    assert Part(0, -2000, -1000).wh() == (-2, 0, 2, -1, 0, 1)
