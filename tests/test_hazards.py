"""docs/hazards.md is true: all hazards are there, and every fault, limit, test and scenario that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

from agent.core.faults import BY_ID
from agent.core.limits import LIMITS
from hil.faults.catalog import VERBS
from hil.hazards import HAZARDS
from hil.scenario import DIRECTORY, load

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "hazards.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)
]
NAMES = re.compile(r"`([a-z_0-9]+)`")
CLAIMS = {"exp", "iat"}  # of a token


def test_all_of_them_are_there_once_with_an_answer_and_a_test() -> None:
    assert [row[0] for row in ROWS] == [str(n) for n in range(1, len(HAZARDS) + 1)]
    for number, hazard, answer, shown in ROWS:
        assert hazard, number
        assert answer, number
        assert NAMES.search(shown), number


def test_every_test_and_scenario_that_is_named_exists() -> None:
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    tests = set(re.findall(r"^(?:async )?def (test_\w+)", source, re.MULTILINE))
    scenarios = {path.stem for path in DIRECTORY.glob("*.toml")}
    named = {name for row in ROWS for name in NAMES.findall(row[3])} | set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 60
    assert {name for name in named if name not in tests | scenarios} == set()


def test_every_fault_answers_something_and_every_name_is_a_fault_or_a_limit() -> None:
    limits = {limit.id for limit in LIMITS}
    named = {name for row in ROWS for name in NAMES.findall(row[2])}
    assert named - set(BY_ID) - limits - CLAIMS == set()
    assert {fault for fault in BY_ID if f"`{fault}`" not in PAGE} == set()


def test_a_scenario_of_a_hazard_is_named_at_one_of_its_rows_and_no_hazard_has_another_number() -> None:
    numbers = set(HAZARDS)
    for path in DIRECTORY.glob("*.toml"):
        hazards = load(path).hazards
        assert set(hazards) <= numbers, path.name
    assert {n for verb in VERBS.values() for n in verb.hazards} <= numbers
