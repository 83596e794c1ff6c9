"""Every record that accounts and store make is one of the protocol's, to the last member."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.core import performance
from agent.core.command import CommandState
from agent.core.decision import Record
from agent.core.inputs import ClockTrust, Consent
from agent.core.params import S
from hil.protocol.settled import RECORDS
from tests.core.home import Home
from tests.core.test_accounts import Tally, drive, running, take_up
from tests.store.test_ledger import commit, kept, store

MODELS = {model.model_fields["record"].annotation.__args__[0]: model for model in RECORDS}  # type: ignore[union-attr]  # a Literal


def eventful() -> list[dict[str, Any]]:
    """A day with everything in it."""
    tally = Tally(registers=True)
    tally.trust = ClockTrust.UNTRUSTED
    tally.put(0)
    tally.put(0)
    tally.trust = ClockTrust.SYNCED
    tally.put(0)
    take_up(tally, running())
    drive(tally, 40, 3600)
    for _ in range(performance.MOST_PARTS):
        tally.put(3600)
        tally.put(3600, s=900)
    done = replace(running(), state=CommandState.COMPLETED, delivered_mwh=tally.meters.total(running()))
    tally.durable, tally.due = replace(tally.durable, commands=(done,)), None
    tally.put(0)
    assert tally.registers is not None
    tally.registers[0] = 5
    tally.restart(off_s=100)
    tally.put(0)
    tally.durable = replace(tally.durable, stopped_by="ada")
    for _ in range(65):
        tally.put(0)
    meter = tally.snapshot.meter
    assert meter is not None
    for mhz in (59_000, *[60_000] * 12):
        tally.now_ns += S
        off = replace(meter, frequency_mhz=mhz, at_ns=tally.now_ns)
        tally.snapshot = replace(tally.snapshot, now_ns=tally.now_ns, meter=off)
        tally.inputs = replace(tally.inputs, clock=tally.clock())
        tally.follow()
    tally.offset_ms += 86_400_000
    tally.put(0)
    tally.put(0)
    tally.ledger = tally.ledger._replace(kept=tally.ledger.kept._replace(open=None))
    tally.put(0)
    home = Home().ready()
    home.tick(Consent("terms", "ada", False, "a" * 64))
    home.tick()
    return [*tally.records, *[r for r in home.settled if r["record"] == "consent"]]


def test_every_record_has_its_form(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, *[Record("settlement", record) for record in eventful()])
    seen = set()
    for record in kept(tmp_path):
        record.pop("_bytes")
        model = MODELS[record["record"]]
        found = model.model_validate(record)
        assert set(record) - {"unreadable"} <= set(model.model_fields), record["record"]
        assert set(model.model_fields) - set(record) <= {"old_kid", "own_n", "own_head", "records", "withdrawn"}, (
            record["record"]
        )
        assert found.model_extra in (None, {})
        seen.add(record["record"])
    assert seen == set(MODELS) - {"session"}
