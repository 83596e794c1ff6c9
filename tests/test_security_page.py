"""docs/security.md is true: every control, hazard and case stands there, and every test that is named exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from agent.core.inputs import Inputs
from agent.telemetry import sample_values
from hil.hazards import HAZARDS
from tests.core.home import Home

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAME = re.compile(r"`([\w/]+\.py)::(\w*)`")
STANDS = {"held", "otherwise", "in part", "missing"}
LINK = range(34, 42)


def section(title: str) -> list[list[str]]:
    """Rows of the table under that heading, without its head."""
    text = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines[2:]]


@cache
def functions_of(path: str) -> frozenset[str]:
    """Functions that pytest would take from this file; the file is read and not run."""
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_")


def named(text: str) -> Iterator[tuple[str, str]]:
    for found in NAME.finditer(text):
        yield found[1], found[2]


def test_every_test_that_is_named_exists() -> None:
    every = list(named(PAGE))
    assert len(every) > 130
    gone = [f"{path}::{name}" for path, name in every if not (TESTS / path).is_file() or name not in functions_of(path)]
    assert gone == []
    assert PAGE.count(".py::") == len(every), "a name that this test does not read"


def test_all_25_controls_stand_there_with_a_test_or_a_reason() -> None:
    rows = section("Controls C1 to C25")
    assert [row[0] for row in rows] == [f"C{number}" for number in range(1, 26)]
    for number, asked, stands, how, shown in rows:
        assert asked, number
        assert stands in STANDS, number
        assert how, number
        assert list(named(shown)), number
        assert ("**Missing**" in how) == (stands == "in part") or stands == "missing" or number == "C14", number
        assert stands == "held" or len(how) > 40, f"{number}: the reason"


def test_every_attacker_can_something_and_something_not_and_a_test_shows_it() -> None:
    rows = section("Who may attack, and how far it leads")
    assert len(rows) >= 12
    for who, can, cannot, by, shown in rows:
        assert all((can, cannot, by)), who
        assert list(named(shown)), who
    for word in (
        "stolen dispatch key",
        "operations key",
        "service key",
        "homeowner's key",
        "malicious broker",
        "LAN",
        "SD card",
    ):
        assert any(word in row[0] for row in rows), word
    for word in ("curious aggregator", "technician"):
        assert any(word in row[0] for row in rows), word


def test_the_hazards_of_the_link_stand_there() -> None:
    rows = section("Hazards 34 to 41")
    assert [row[0] for row in rows] == [str(number) for number in LINK]
    assert set(LINK) <= set(HAZARDS)
    assert [row[0] for row in rows if not list(named(row[2]))] == []


def test_every_row_of_the_other_tables_is_shown_by_a_test() -> None:
    for title in ("What a parser is fed", "Replay"):
        rows = section(title)
        assert len(rows) >= 7
        assert [row[0] for row in rows if not list(named(row[-1]))] == []


def test_every_conformance_case_has_its_row() -> None:
    rows = section("Cases of conformance procedures")
    shown = {name for row in rows for path, name in named(row[-1]) if path.startswith("conformance/")}
    cases = {
        name for name in functions_of("conformance/test_csip_aus.py") if re.match(r"test_[a-z]+(_loa)?_\d+_", name)
    }
    assert shown == cases
    assert [row[0] for row in rows if not list(named(row[-1]))] == ["OpenDER"], "which says why"


def test_every_column_of_telemetry_has_its_purpose() -> None:
    rows = section("What leaves the home, and why")
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row[1])]
    home = Home()
    home.run(1)
    inputs: Inputs = home.inputs(())
    columns = sample_values(home.decision, inputs, home.params.wiring)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(columns)
    assert [row[0] for row in rows if not row[2]] == []


def test_security_md_says_what_a_finder_needs() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    for heading in ("How to report", "Supported versions", "What is worth a report", "When a key is lost"):
        assert f"\n## {heading}" in text
    assert "Report a vulnerability" in text
    assert "docs/security.md" in text
    assert re.search(r"within \d+ days", text)
