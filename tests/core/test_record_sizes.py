"""No record of settlement outgrows a message, however many commands, reasons and quarters there were."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from agent.core import accounts, performance
from agent.core.book import Cycle, Live
from agent.core.command import CommandKind, CommandState
from agent.core.fault import Severity
from agent.core.faults import BY_ID
from agent.core.inputs import Consent
from agent.core.interval import MOST_COMMANDS, MOST_REASONS
from agent.core.limits import LIMITS
from agent.core.modes import ACTING
from agent.core.params import S
from agent.core.standing import Memory
from agent.link import jws, upward
from agent.mail import OutboxRow
from tests.core.home import PARAMS
from tests.core.test_accounts import Tally, running, take_up

LONG = "n" * 64
SENDER = upward.Sender(LONG, LONG, jws.signer(b"\1" * 32))
LONGEST = max((*BY_ID, *(row.id for row in LIMITS)), key=len)
CHAINED = {"n": 10**9, "prev": "f" * 64, "versions": {"agent": "10.10.10.dev100+abcdef0"}}


def size(body: dict[str, Any]) -> int:
    data = json.dumps(body | CHAINED, separators=(",", ":")).encode()
    return len(
        upward.row_token(SENDER, OutboxRow(2**53, "settlement", "b" * 32, 1_700_000_000_000, 2**45, "holdover", data))
    )


def fits(tally: Tally, kind: str) -> list[dict[str, Any]]:
    found = tally.of(kind)
    assert found
    assert max(size(body) for body in found) <= jws.TOKEN_MAX
    return found


def test_a_quarter_of_commands_reasons_and_jumps_fits() -> None:
    tally = Tally(registers=True)
    tally.registers = [10**12, 10**12]
    tally.put(0)
    mode = next(m for m in type(tally.mode) if m not in ACTING)
    graves = [f.id for f in BY_ID.values() if f.severity >= Severity.DEGRADED]
    for second in range(1, 901):
        record = running(power_w=-100_000)
        record = replace(record, command=replace(record.command, id=f"{second:032x}"))
        take_up(tally, record)
        tally.live = (Live(record.command.id, acked_reason=f"{second % 99:03d}{LONGEST}"),)
        tally.mode = mode
        tally.memory = (Memory(graves[second % len(graves)], True, tally.now_ns, None, 0, (), "x"),)
        if second == 899:
            tally.registers = [1, 1]
        tally.put(-100_000, 100_000)
    (found,) = [r for r in fits(tally, "interval") if r["command_ids"]]
    assert found["command_ids"] == [f"{n:032x}" for n in range(1, MOST_COMMANDS + 1)]
    assert len(found["command_ids"]) + found["more_commands"] == round(found["dispatched_s"])
    for reasons in ("limited", "unavailable"):
        assert len(found[reasons]) <= MOST_REASONS + 1
        assert sum(r["lasted_s"] for r in found[reasons]) == found["dispatched_s"]
    assert len(found["jumps"]) == 2


def test_one_that_takes_turns_with_another_is_counted_at_each_turn() -> None:
    tally = Tally()
    tally.put(0)
    for second in [*range(MOST_COMMANDS + 1), MOST_COMMANDS, 0, MOST_COMMANDS]:
        record = running()
        take_up(tally, replace(record, command=replace(record.command, id=f"{second:032x}")))
        tally.put(0)
    tally.due = None
    for _ in range(900):
        tally.put(0)
    found = tally.of("interval")[0]
    assert (len(found["command_ids"]), found["more_commands"]) == (MOST_COMMANDS, 2)


def test_a_week_of_a_schedule_tells_every_quarter_in_records_that_fit() -> None:
    """Each quarter ends with ten seconds' sleep too many: as many parts, and fewer seconds to run."""
    tally = Tally()
    tally.put(0)
    record = running(power_w=-100_000, kind=CommandKind.SCHEDULE)
    record = replace(record, command=replace(record.command, interval_s=900, values=(-100_000,) * 700))
    take_up(tally, record)
    for _ in range(7 * 96):
        for gives_w in (-100_000, 60_000):  # both ways, so that every sum has many digits
            tally.meters = tally.meters.add(record.command.id, gives_w * 800 * S)
        tally.put(-100_000, s=10)
        tally.put(-100_000, s=890)
    done = replace(tally.meters.told(record), state=CommandState.COMPLETED)
    tally.durable, tally.due = replace(tally.durable, commands=(done,)), None
    tally.put(0)
    parts, (found,) = fits(tally, "quarters"), fits(tally, "performance")
    assert [r["first"] for r in parts] == [i * performance.MOST_PARTS for i in range(len(parts))]
    assert found["quarters_told"] == len(parts) * performance.MOST_PARTS
    every = [q for r in (*parts, found) for q in r["quarters"]]
    for name in ("requested_wh", "delivered_wh", "requested_charge_wh", "delivered_charge_wh"):
        assert sum(q[name] for q in every) == found[name] != 0
    assert len(every) >= 7 * 96
    assert [q["t0_ms"] for q in every] == sorted(q["t0_ms"] for q in every)
    assert accounts.begin(json.dumps(tally.ledger.kept)).kept == tally.ledger.kept


class Wordy:
    def __getattr__(self, name: str) -> Any:
        raise AttributeError("ü" * 5000)


def test_texts_of_others_are_cut() -> None:
    tally = Tally()
    tally.put(0)
    tally.snapshot = replace(tally.snapshot, now_ns=tally.now_ns + S, pack=Wordy())  # type: ignore[arg-type]
    say = Cycle(tally.now_ns, tally.clock(), PARAMS, True, True, None)
    tally.inputs = replace(tally.inputs, events=(Consent("reserve", "ü" * 5000, True, "f" * 64, 1000),))
    accounts.heard(tally.ledger, tally.inputs, say)
    tally.records += [dict(r.body) for r in say.records]
    tally.follow()
    assert fits(tally, "consent")[0]["by"] == "ü" * accounts.MOST_CHARS
    assert len(fits(tally, "lost")[0]["what"]) == accounts.MOST_CHARS
