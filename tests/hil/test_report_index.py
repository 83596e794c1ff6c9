"""Reports of many runs: the hazard table with a page a run, and the picture of a case that broke a campaign."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hil import coverage_cli, scenario_cli
from hil.backends.virtual import VirtualBackend
from hil.campaign import picture as pictures
from hil.campaign.case import Case, Deck
from hil.campaign.observer import PROMISES
from hil.coverage import Cell
from hil.figures import Figure, Report
from hil.hazards import HAZARDS
from hil.report.index import Line, index_page
from hil.runner import Outcome


def _cell(ok: bool, assertion: str = "zero in time") -> Cell:
    return Cell(1, "bms_silent", "virtual", assertion, 2.1 if ok else None, "s", "<= 7", ok, 7)


def _text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_measured_stands_beside_required_and_gaps_are_named() -> None:
    report = Report("t", [Figure("a", 1, "", "== 1")])
    cells = [_cell(True), _cell(False, "<b>&")]
    text = _text(index_page(report, [], cells, {"virtual": "today, commit abc"}, True))

    assert "✓ 1 BMS does not answer 7 s 2.1 s &lt;= 7 s zero in time" in text
    assert "✗ not measured &lt;= 7 s &lt;b&gt;&amp;" in text
    assert text.count("not shown") == len(HAZARDS) - 1
    assert f"1 of {len(HAZARDS)} hazards shown" in text
    assert "as kept today, commit abc" in text


@pytest.mark.parametrize(("held", "judged", "good"), [(3, 3, True), (2, 3, False), (0, 0, False)])
def test_a_run_that_broke_is_not_called_good(held: int, judged: int, good: bool) -> None:
    report = Report("t", [Figure("a", 1, "", "== 1")])
    page = index_page(report, [Line("x", "virtual", "", 60, held, judged, "x/report.html")], [_cell(True)], {}, False)
    assert ('class="verdict good"' in page) is good
    assert ('class="verdict bad"' in page) is not good
    assert 'href="x/report.html"' in page


def test_coverage_leaves_a_page_a_run_and_one_over_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = coverage_cli.main(["--only", "cell_high", "--report", str(tmp_path), "--json"])
    told = capsys.readouterr()

    assert code == 0
    assert json.loads(told.out)["ok"] is True  # stdout is one object and nothing else
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for href in re.findall(r'href="([^"]*)"', page):
        assert (tmp_path / href).is_file()
    assert (tmp_path / "cell_high-virtual" / "junit.xml").is_file()
    cases = ET.parse(tmp_path / "junit.xml").findall(".//testcase")
    assert [case.get("name") for case in cases] == ["16 cell too full or too empty: a full cell takes nothing"]


def test_a_scenario_s_report_names_its_promises_on_page_and_in_junit(tmp_path: Path) -> None:
    assert scenario_cli.main(["cell_high", "--report", str(tmp_path)]) == 0
    names = [case.get("name") for case in ET.parse(tmp_path / "junit.xml").findall(".//testcase")]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))

    assert names == [figure["name"] for figure in figures["figures"]]
    assert all(str(name) in page for name in names)
    assert "as the BMS reports it" in page
    assert {"samples.csv", "events.csv"} <= {path.name for path in tmp_path.iterdir()}


def _short() -> Case:
    case = Deck(1).case(0)
    return dataclasses.replace(case, length_s=20, acts=[act for act in case.acts if act.at_s + (act.for_s or 0) < 20])


def test_a_broken_case_is_drawn_with_what_it_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def falls(self: VirtualBackend, at_ns: int) -> None:
        raise ValueError("<oh> no")

    whole = pictures.picture(_short(), tmp_path / "whole").read_text(encoding="utf-8")
    monkeypatch.setattr(VirtualBackend, "run_until", falls)
    fallen = pictures.picture(_short(), tmp_path / "fallen").read_text(encoding="utf-8")

    assert f"All {len(PROMISES)} assertions held" in whole
    assert f"1 of {len(PROMISES)} did not hold" in fallen
    assert "ValueError(&#x27;&lt;oh&gt; no&#x27;)" in fallen


def test_an_outcome_without_verdicts_is_no_success() -> None:
    scenario = _short().scenario()
    assert not Outcome(scenario, "virtual", 1, [], 0, None, ()).ok
