"""What the homeowner agrees to, or changes, is on record in settlement, whatever way it came."""

from __future__ import annotations

from pathlib import Path

from agent import mail
from agent.core.inputs import Consent
from agent.runtime.part import Start
from tests.agent.test_aside import at, pump
from tests.agent.test_compose import composed


def test_storms_words_by_the_link_and_reserves_are_consents(tmp_path: Path) -> None:
    agent = composed(tmp_path, tmp_path / "state")
    pump(agent, "store", Start(), at(1))
    pump(agent, "control", Start(), at(1))
    said = [
        mail.Verb(1, "storm", "ada", "homeowner", 900, "snow", for_s=3600),
        mail.Verb(mail.LINK, "storm", "the homeowner", "homeowner", 0),
        mail.Verb(1, "storm", "bob", "viewer", 0),  # refused, and so no consent
        mail.Verb(1, "reserve", "ada", "homeowner", 950),
        mail.Verb(mail.LINK, "optout", "the homeowner", "homeowner", for_s=60),
        Consent("terms", "the homeowner", False, "ab" * 32, withdrawn=True),
    ]
    told = [e for s, event in enumerate(said) for e in pump(agent, "control", event, at(2 + s))]
    records = [r.body for e in told if isinstance(e, mail.CommitRequest) for r in e.records if r.kind == "settlement"]
    found = [(r["what"], r["by"], r["local"], r["reserve_permille"], r.get("withdrawn", False)) for r in records]
    assert found == [
        ("storm", "ada", True, 900, False),
        ("storm", "the homeowner", False, 0, False),
        ("reserve", "ada", True, 950, False),
        ("opt_out", "the homeowner", False, None, False),
        ("terms", "the homeowner", False, None, True),
    ]
