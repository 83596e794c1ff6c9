"""What a run shows and what is kept of it: at the worst phase, of this source, and nothing of a run that broke."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hil import coverage, coverage_cli, phases
from hil import scenario as scenarios
from hil.backends.virtual import VirtualBackend
from hil.campaign.resume import source
from hil.coverage import Cell
from hil.judge import Verdict
from hil.runner import Outcome, Runner
from hil.scenario import Scenario, find, load, parse

MS = 1_000_000
FROST = Cell(15, "frost", "virtual", "no charging in frost", 1.0, "s", "<= 2", True, 52)


def verdict(name: str, ok: bool, timing: bool = True) -> Verdict:
    return Verdict(name, "", "", ok, ok, "", "== true", "seen", {}, timing=timing)


def outcome(*verdicts: Verdict) -> Outcome:
    return Outcome(load(find("frost")), "virtual", 52, verdicts, 0, None, ())


def test_any_broken_promise_voids_every_cell_of_its_run() -> None:
    row = verdict("no charging in frost", True)
    assert [c.holds for c in coverage.cells_of(outcome(row))] == [True]
    assert [c.holds for c in coverage.cells_of(outcome(row, verdict("dispatch was followed before", False)))] == [False]


def test_the_worst_of_several_runs_counts_and_one_that_broke_is_the_worst() -> None:
    late = dataclasses.replace(FROST, measured=1.9, phase_ms=130)
    assert coverage.worst([FROST, late, FROST]) == dataclasses.replace(late, runs=3)
    broke = dataclasses.replace(FROST, measured=None, ok=False, phase_ms=550)
    assert coverage.worst([FROST, broke, late]) == dataclasses.replace(broke, runs=3)


def test_a_phase_moves_faults_and_no_orders() -> None:
    scenario = load(find("clocks"))
    moved = phases.later(scenario, 130)
    by = {e.id: (m.at_ns - e.at_ns) // MS for e, m in zip(scenario.events, moved.events, strict=True)}
    assert (by["command"], by["forward"], by["crash"], by["ended"]) == (0, 130, 130, 0)
    echo = load(find("echo"))
    assert phases.later(echo, 130).events == echo.events, "what is so from the start"


def test_bounds_are_measured_over_no_more_than_they_need() -> None:
    scenario = load(find("bms_words"))
    short = phases.bounds_of(scenario)
    assert {a.name for a in short.assertions} == {a.name for a in phases.timed(scenario)} != set()
    assert 245_000 * MS <= short.duration_ns < scenario.duration_ns
    assert phases.bounds_of(load(find("inverter_silent"))).duration_ns <= load(find("inverter_silent")).duration_ns


def test_each_phase_is_run_and_what_misses_at_one_of_them_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound of 700 ms: with the fault right before a poll of the BMS it holds, right after one it cannot."""
    scenario = load(find("heat"))
    tight = tuple(dataclasses.replace(a, bound_ns=700 * MS) if a.hazard is not None else a for a in scenario.assertions)
    tight_one = dataclasses.replace(scenario, assertions=tight)
    said: list[str] = []
    alone = coverage_cli.run("virtual", [tight_one], said.append)
    assert [c.ok for c in alone] == [True], "the phase that is in the file"
    cells = coverage_cli.run("virtual", [tight_one], said.append, offsets=phases.PHASES_MS[:2])
    assert [(c.ok, c.runs, c.phase_ms) for c in cells] == [(False, 2, 130)]
    assert any("+130 ms" in line for line in said)


def test_only_some_kept_rows_are_replaced_and_each_knows_its_source(tmp_path: Path) -> None:
    path = tmp_path / "coverage-virtual.json"
    other = Cell(14, "heat", "virtual", "nothing either way", 1.1, "s", "<= 2", True, 54)
    coverage.write(path, "virtual", [FROST, other])
    coverage.write(path, "virtual", [dataclasses.replace(other, measured=1.2)])
    kept = coverage.read(path)
    assert kept is not None
    assert {(c.scenario, c.measured) for c in kept.cells} == {("frost", 1.0), ("heat", 1.2)}
    assert all(c.source == source() and "this source" in c.age() for c in kept.cells)
    assert "this source" in str(kept.cells[0].figure().beside["kept"])


def test_rows_of_another_source_count_and_say_so_and_of_another_story_do_not() -> None:
    mine = dataclasses.replace(FROST, story=coverage.story_of(load(find("frost"))), date="then", commit="HEAD")
    assert coverage.standing([mine]) == [mine]
    assert coverage.standing([dataclasses.replace(mine, story="0" * 12)]) == []
    assert coverage.standing([dataclasses.replace(mine, assertion="no such one")]) == []
    old = dataclasses.replace(mine, source="0" * 12)
    assert "changed since" in old.age()
    last = coverage.figures([old], {})[-1]
    assert last.beside["with a row of another source"] == "15"


def test_a_story_is_what_the_file_says_and_not_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = find("frost").read_text()
    path = tmp_path / "frost.toml"
    monkeypatch.setattr(scenarios, "find", lambda name: path)

    def story(text: str) -> str:
        path.write_text(text)
        return coverage.story_of(parse(text, "frost.toml"))

    first = story(text)
    assert story("# a comment\n" + text.replace("Frost, and", "Frost and")) == first
    assert story(text.replace("dc = -10", "dc = -20")) != first


@pytest.mark.parametrize("asked", [["--only", "proc_disk"], ["--backend", "process", "--only", "frost"]])
def test_nothing_to_run_is_said_and_fails(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage_cli.main(asked) == 2
    shown = capsys.readouterr()
    assert "nothing to run" in shown.err + shown.out and "every reach holds" not in shown.err + shown.out


def test_a_stall_voids_what_it_explains_and_nothing_else() -> None:
    late, lost = verdict("late", False), verdict("lost", False, timing=False)
    assert outcome(verdict("fine", True)).stands
    assert not outcome(verdict("fine", True), late).stands
    assert outcome(late, lost).stands


TOO_MANY = """
[scenario]
name = "x"
hazards = [37]
duration = "20s"
[home]
soc_permille = 600
[[event]]
id = "command"
at = "5s"
do = "aggregator.dispatch"
args = { power_w = 1000, duration = "10s" }
[[assert]]
name = "twice"
count = "ack"
exactly = 0
[[assert]]
name = "too few"
count = "ack"
at_least = 1000
[[assert]]
name = "forged"
always = "agg.verified == 0"
[[assert]]
name = "late"
after = "command"
within = "1ms"
that = "truth.setpoint_w == 1"
"""


def test_too_many_records_and_a_wrong_book_are_no_matter_of_time() -> None:
    scenario: Scenario = parse(TOO_MANY, "x.toml")
    ended = Runner(scenario, VirtualBackend(), 1).run()
    assert {v.name: (v.ok, v.timing) for v in ended.verdicts} == {
        "twice": (False, False),
        "too few": (False, True),
        "forged": (False, False),
        "late": (False, True),
    }
    assert ended.stands
