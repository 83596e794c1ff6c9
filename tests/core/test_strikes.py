"""Which faults lock the agent out when they come three times within an hour: every row of the table, and the page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core import standing
from agent.core.checks import World
from agent.core.decision import Mode
from agent.core.fault import Clear, Fault, Severity
from agent.core.faults import FAULTS
from agent.core.params import S
from agent.core.standing import STRIKES
from tests.core.home import PARAMS, Home

PAGE = (Path(__file__).parents[2] / "docs" / "hazards.md").read_text("utf-8")
GRAVE = [row for row in FAULTS if row.severity is Severity.FAULT]
PAIR = {  # they point at the inverter, the agent, or what is between them
    "internal_error",
    "inverter_fault",
    "deaf_inverter",
    "setpoint_overridden",
    "writes_refused",
    "reversion_off",
    "reading_implausible",
}


def test_the_rows_that_strike_are_these_and_the_page_says_so() -> None:
    assert {row.id for row in FAULTS if row.strikes} == PAIR
    assert {row.id for row in GRAVE} > PAIR  # what is no fault needs no strike, what locks out neither
    lines = [line.split("|")[1] for line in PAGE.split("## Three times an hour")[1].splitlines() if "| `" in line]
    told = [set(re.findall(r"`(\w+)`", line)) for line in lines]
    assert told[0] == PAIR
    assert sorted(name for names in told for name in names) == sorted(row.id for row in GRAVE)
    latched = {row.id for row in GRAVE if row.clear is Clear.TECHNICIAN}
    assert told[-1] == latched


def come_and_go(row: Fault, times: int, monkeypatch: pytest.MonkeyPatch) -> Home:
    """That row alone, raised so often, each time until its hold has passed."""
    there = [False]

    def check(world: World) -> str | None:
        return "it is there" if there[0] else None

    monkeypatch.setattr(standing, "FAULTS", (replace(row, check=check, stays=None, grace=False),))
    home = Home().ready()
    hold_s = (row.hold(PARAMS) if row.hold is not None else 0) // S
    for _ in range(times):
        there[0] = True
        home.run(2)
        assert home.mode() in (Mode.FAULT, Mode.LOCKOUT)
        there[0] = False
        home.run(hold_s + 5)
    return home


@pytest.mark.parametrize("row", GRAVE, ids=lambda row: row.id)
def test_three_times_an_hour(row: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    home = come_and_go(row, STRIKES - 1, monkeypatch)
    assert home.disk.lockout is None
    assert (home.mode() is Mode.LOCAL) is (row.clear is not Clear.TECHNICIAN)
    home = come_and_go(row, STRIKES, monkeypatch)
    assert (home.disk.lockout is not None) is row.strikes
    if row.clear is Clear.TECHNICIAN:  # it stands since the first time, and is worth a lockout by itself
        assert home.disk.latches == (row.id,)
        assert home.mode() is Mode.FAULT


def test_three_different_ones_count_together_and_an_hour_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for row in GRAVE if row.strikes][:3]
    there: set[str] = set()

    def planted(row: Fault) -> Fault:
        return replace(row, check=lambda world: "it is there" if row.id in there else None)

    monkeypatch.setattr(standing, "FAULTS", tuple(planted(row) for row in rows))
    for between_s, locked in ((100, True), (1900, False)):
        home = Home().ready()
        for row in rows:
            there.add(row.id)
            home.run(2)
            there.clear()
            home.run(between_s)
        assert (home.disk.lockout is not None) is locked
