"""Which faults lock the agent out when they come three times within an hour: every row of the table, and the page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core import standing
from agent.core.actuation import Actuation, deaf, restarting, watch
from agent.core.checks import World
from agent.core.decision import Mode
from agent.core.fault import Clear, Fault, Severity
from agent.core.faults import FAULTS
from agent.core.params import S
from agent.core.standing import STRIKES
from tests.core.home import PARAMS, Home, arriving, command, inverter

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


# --- an inverter that restarts ----------------------------------------------------------------------------------------
def restarts(times: int, silent_s: int, starts_s: int, status: str, outcome: str) -> tuple[Home, set[str]]:
    """A dispatched home whose inverter restarts so often within an hour: it answers nothing, then for a while says that
    status, gives no power and answers writes like that."""
    home, seen = Home().ready(), set[str]()

    def run(seconds: int) -> None:
        for _ in range(seconds):
            home.meter["frequency_mhz"] = 60_000 + home.now_ns // S % 7  # a live meter is never quite still
            home.tick()
            seen.update(home.faults())

    for number in range(1, times + 1):
        wall_ms = home.clock().wall_ms
        ask = command(number, duration_s=900, created_ms=wall_ms, exp_ms=wall_ms + 60_000)
        home.tick(arriving(ask))
        run(20)
        assert home.given() == 5000
        home.remote_w = None
        home.mute.add("inverter")
        run(silent_s)
        home.mute.clear()
        home.inverter = {"status": status, "battery_w": 0}
        home.outcome = outcome
        if status == "running":
            home.inverter["reversion_s"] = 0  # as it is after a start
        run(1)
        home.inverter.pop("reversion_s", None)
        run(starts_s - 1)
        home.inverter = {}
        home.outcome = "confirmed"
        run(900 - silent_s - starts_s)
    return home, seen


@pytest.mark.parametrize(("silent_s", "starts_s"), [(0, 3), (0, 200), (3, 40), (12, 200)])
@pytest.mark.parametrize(
    ("status", "outcome", "told"),
    [
        ("starting", "confirmed", "setpoint_short"),  # it takes the setpoint, and gives nothing yet
        ("starting", "rejected", "inverter_starting"),
        ("running", "confirmed", "setpoint_short"),  # its words do not tell, its timer or its silence did
    ],
)
def test_an_inverter_that_restarts_four_times_an_hour_is_not_taken_for_a_deaf_one(
    silent_s: int, starts_s: int, status: str, outcome: str, told: str
) -> None:
    home, seen = restarts(4, silent_s, starts_s, status, outcome)
    assert home.disk.lockout is None
    assert not seen & PAIR
    if starts_s > 60:  # beyond what its silence is held for
        assert told in seen


def test_what_is_refused_after_the_start_is_a_refusal() -> None:
    _, seen = restarts(1, 0, 3, "running", "rejected")
    assert "writes_refused" in seen


def test_one_that_starts_for_ever_is_asked_ever_more_seldom() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    home.inverter, home.outcome = (
        {"status": "off", "battery_w": 0, "remote_active": False, "remote_w": None},
        "rejected",
    )
    home.run(800)
    assert "inverter_starting" in home.faults()
    shown = next(f for f in home.decision.faults if f.id == "inverter_starting")
    assert shown.sentence == "the inverter says off and confirms nothing: it starts, or is switched off"
    assert home.mode() is Mode.DEGRADED
    home.mute.add("inverter")
    home.run(10)
    home.mute.clear()
    home.inverter, home.outcome = {}, "confirmed"
    home.run(120)
    assert home.mode() is Mode.LOCAL


def test_a_restart_that_takes_each_setpoint_is_told_as_lost_setpoints() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    home.inverter = {"status": "starting", "battery_w": 0, "remote_active": False, "remote_w": None}
    home.run(30)
    assert (home.mode(), "setpoint_lost" in home.faults()) == (Mode.DEGRADED, True)


@pytest.mark.parametrize(
    ("asked_w", "measured_w", "is_deaf"), [(0, 3_000, True), (-2_000, 3_000, True), (5_000, 0, False)]
)
def test_a_restart_excuses_less_and_nothing_else(asked_w: int, measured_w: int, is_deaf: bool) -> None:
    seen = Actuation(rearms=(0,))
    for second in range(1, 60):
        now = second * S
        excused = restarting(seen, None, now)
        assert excused
        seen = watch(seen, PARAMS, now, S, asked_w, 1, measured_w, now, None, excused)
    assert deaf(seen) is is_deaf
    assert not restarting(seen, None, 300 * S)
    assert restarting(Actuation(), inverter(0, status="sleeping"), 0)
    assert not restarting(Actuation(), inverter(0), 0)
