"""The page of a command's figures: bars beside limit and peer, the table, and the street of a fleet."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hil.bench import cli
from hil.figures import Figure, Report
from hil.report import sheet
from hil.report.bars import bars, room
from hil.street.picture import House, street_map

NASTY = """<b>"&'"""


def _widths(svg: str) -> list[float]:
    return [float(width) for width in re.findall(r'class="hbar[^>]*width="([^"]*)"', svg)]


def test_a_bar_is_as_long_as_its_value_and_the_limit_stands_where_it_is() -> None:
    svg = bars(Figure("x", 0.2, "ms", "<= 0.4", {"peer": 0.1, "n": 900}, peers=("peer",)))
    mine, peer = _widths(svg)
    begin = float(re.findall(r'class="hbar mine" x="([^"]*)"', svg)[0])
    limit = float(re.findall(r'class="limit" d="M([\d.]+) ', svg)[0])
    assert mine == pytest.approx(2 * peer, rel=0.01)
    assert limit - begin == pytest.approx(2 * mine, rel=0.01)
    assert "at most 0.4" in svg
    assert "900" not in svg


def test_what_stands_beside_in_one_unit_is_compared() -> None:
    svg = bars(Figure("ratio", 6.1, "", "<= 6.5", {"daemon MB": 60.0, "bare MB": 10.0, "traffic s": 300}))
    assert len(_widths(svg)) == 3
    assert _widths(svg)[1] == pytest.approx(6 * _widths(svg)[2], rel=0.01)


@pytest.mark.parametrize(
    "figure",
    [
        Figure("a text", "src", "", None),
        Figure("a fact", True, "", "== true"),
        Figure("none of it", 0, "", "== 0"),
        Figure("nothing beside", 7.0, "s", None),
        Figure("not measured", None, "s", "<= 7"),
        Figure("no number", float("nan"), "s", "<= 7"),
        Figure("a count", 12, "", ">= 1"),
    ],
    ids=lambda figure: figure.name,
)
def test_where_nothing_is_compared_nothing_is_drawn(figure: Figure) -> None:
    assert bars(figure) == ""
    assert "<figure>" not in sheet.sheet(Report("t", [figure]), "python -m hil x")


@pytest.mark.parametrize(
    ("value", "reach", "words"),
    [
        (0.27, "<= 0.3", "10.0% to spare"),
        (0.33, "<= 0.3", "10.0% beyond it"),
        (1.2, "<= 0.3", "4.0 times the limit"),
        (0.99, ">= 0.9", "10.0% to spare"),
        (0.81, ">= 0.9", "10.0% beyond it"),
        (50_000, ">= 1000", "50 times what is asked"),
    ],
)
def test_room_in_words(value: float, reach: str, words: str) -> None:
    assert room(Figure("x", value, "", reach)) == words


def test_the_page_says_what_missed_and_needs_nothing_else(tmp_path: Path) -> None:
    missed = Figure(NASTY, 9.0, NASTY, "<= 7", {NASTY: NASTY, "peer": 8.0}, NASTY, ("peer",))
    report = Report(NASTY, [Figure("good", 1.0, "s", "<= 7"), missed], 5, 1, {"commit": "abc", "list": [1]})
    page = sheet.write(tmp_path / "r", report, "bench", "python -m hil bench x")
    text = page.read_text("utf-8")
    assert "1 of 2 do not hold" in text
    assert '<b>"' not in text
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script", re.sub(r"default-src[^>]*", "", text))
    assert [ET.fromstring(svg).get("role") for svg in re.findall(r"<svg.*?</svg>", text)] == ["img", "img"]
    assert sorted(path.name for path in page.parent.iterdir()) == ["figures.json", "junit.xml", "report.html"]
    assert json.loads((page.parent / "figures.json").read_text("utf-8"))["ok"] is False


def test_a_command_leaves_its_page_and_says_how_to_make_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(args: argparse.Namespace) -> Report:
        return Report("one cycle", [Figure("core.step", 0.2, "ms", "<= 0.3", {"p99": 0.4}, peers=("p99",))], args.seed)

    monkeypatch.setattr("hil.bench.step.run", run)
    assert cli.main(["step", "--seed", "3", "--report", str(tmp_path / "r")]) == 0
    assert "report.html" in capsys.readouterr().err
    assert "<code>python -m hil bench step --seed 3</code>" in (tmp_path / "r" / "report.html").read_text("utf-8")


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("hil.bench.step.run", lambda args: pytest.fail("it ran"))
    assert cli.main(["step", "--report", str(tmp_path / "file" / "r")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_each_home_of_a_street_is_a_square_of_its_kind() -> None:
    houses = [House("a", "", False), House("b", "", True), House("c", "bms.mute", True), House("d", NASTY, False)]
    body = street_map(houses).body
    kinds = re.findall(r'class="house (\w+)"', body)
    assert kinds == ["well", "noticed", "struck", "unhurt"]
    assert "The 2 homes with a fault" in body
    assert NASTY not in body
