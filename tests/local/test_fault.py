"""The table of faults in words, for the terminal and for docs/faults.md."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.core.decision import FaultValue
from agent.core.fault import Clear, Severity
from agent.core.faults import BY_ID, FAULTS
from agent.core.params import S, Timers
from agent.local.fault import DOES, ENDS, does, ends, faults_json
from tests.core.home import PARAMS
from tests.local.home import HOME, NOW, decided

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_table_says() -> None:
    made: str = runpy.run_path(str(ROOT / "scripts" / "faults_page.py"))["page"]()
    page = (ROOT / "docs" / "faults.md").read_text("utf-8")
    assert page.strip() == made.strip(), "python scripts/faults_page.py > docs/faults.md"
    assert all(page.count(f"| `{row.id}` |") == 1 for row in FAULTS)


def rows(*faults: FaultValue, only: str | None = None) -> list[dict[str, Any]]:
    found: Any = faults_json(decided(faults=faults), PARAMS, NOW, only)["faults"]
    assert isinstance(found, list)
    return found


def test_all_rows_are_there_and_none_stands_in_a_healthy_home() -> None:
    assert [row["id"] for row in rows()] == [row.id for row in FAULTS]
    assert not any(row["active"] or row["held"] for row in rows())
    assert {row["level"] for row in rows()} == {"ok"}
    assert faults_json(HOME, PARAMS, NOW)["code"] == 0


def test_what_stands_comes_first_worst_on_top() -> None:
    disk = FaultValue("disk", "warn", "the disk takes no records", "Free space.", NOW.mono_ns - 90 * S)
    stale = FaultValue("battery_stale", "degraded", "no good reading", "Check the cable.", NOW.mono_ns, held=True)
    broken = FaultValue("clock_untrusted", "fault", "its check failed", "Report it.", NOW.mono_ns - S)
    first = rows(disk, stale, broken)[:3]
    assert [(row["id"], row["severity"], row["level"]) for row in first] == [
        ("clock_untrusted", "fault", "fault"),
        ("battery_stale", "degraded", "fault"),
        ("disk", "warn", "warn"),
    ]
    assert [(row["since_s"], row["held"]) for row in first] == [(1, False), (0, True), (90, False)]
    assert first[2]["text"] == "the disk takes no records"
    assert first[2]["next"] == "Free space."


def test_one_of_them() -> None:
    assert [row["id"] for row in rows(only="grid_lost")] == ["grid_lost"]
    assert rows(only="grid_lost")[0]["next"].startswith("nothing to do: the house")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("disk", "by itself, as soon as its cause is gone"),
        ("bms_alarm", "by itself, when its cause has been gone for 1 min"),
        (
            "battery_stale",
            (
                "by itself, when its cause has been gone for 30 s; "
                "within an hour held twice as long each time it comes back, up to 15 min"
            ),
        ),
        (
            "grid_lost",
            (
                "by itself, when its cause has been gone for 5 min and a random part of 5 min; "
                "within an hour held twice as long from the 4th time on, up to 15 min"
            ),
        ),
        (
            "deaf_inverter",
            (
                "by itself, when its cause has been gone for 1 min; within an hour held twice as long from the 4th "
                "time on, up to 15 min; 3 such faults within 1 h lock the agent out"
            ),
        ),
        (
            "over_voltage",
            (
                "by a technician: `batteryctl resume`, with battery and inverter answering and its cause gone; "
                "a restart does not end it"
            ),
        ),
    ],
)
def test_how_it_ends(fault: str, said: str) -> None:
    assert ends(BY_ID[fault], PARAMS) == said


def test_times_are_those_of_this_home() -> None:
    params = replace(PARAMS, timers=Timers(recover_good_ns=7 * S, release_delay_ns=9 * S))
    assert "gone for 7 s;" in ends(BY_ID["battery_stale"], params)
    assert "longer than 9 s" in does(BY_ID["battery_stale"], params)


def test_every_severity_says_what_it_does() -> None:
    assert set(DOES) | {Severity.DEGRADED} == set(Severity)
    stops = [row.id for row in FAULTS if "zero is held" in does(row, PARAMS)]
    assert stops == ["over_temperature", "over_voltage", "forbidden_flow"]
    assert [row.id for row in FAULTS if "cured all the same" in does(row, PARAMS)] == ["imbalance"]


def test_what_the_columns_cannot_say_is_of_rows_that_end_by_themselves() -> None:
    assert all(BY_ID[fault].clear is Clear.AUTO for fault in ENDS)
