"""JUnit XML, read back by another parser and held against the rules of the common schema."""

from __future__ import annotations

import re
from pathlib import Path
from xml.dom import minidom

from hil.figures import Figure, Report
from hil.report import directory
from hil.report.junit import junit
from hil.report.recording import Recording
from hil.runner import Runner
from hil.scenario import parse
from tests.hil.test_runner import HEAD
from tests.hil.world import World

WHEN = "2026-01-01T17:00:00"
REQUIRED = {  # of the schema that Jenkins and its kin read: element -> attributes that must be there
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["failure"],
    "property": [],
    "failure": [],
}
COUNTS = {"tests", "failures", "errors", "skipped"}


def _checked(node: minidom.Element) -> None:
    name = node.tagName
    attributes = dict(node.attributes.items())
    assert attributes.keys() == REQUIRED.get(name, set()), name
    for key in COUNTS & attributes.keys():
        assert attributes[key].isdecimal()
    if "time" in attributes:
        assert re.fullmatch(r"\d+\.\d{3}", attributes["time"])
    if "timestamp" in attributes:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", attributes["timestamp"])
    inner = [child for child in node.childNodes if isinstance(child, minidom.Element)]
    order = [CHILDREN[name].index(child.tagName) for child in inner]  # ValueError: not allowed here
    assert order == sorted(order)
    for child in inner:
        _checked(child)


def _parsed(data: bytes) -> minidom.Document:
    document = minidom.parseString(data)
    assert document.documentElement is not None
    _checked(document.documentElement)
    return document


def _text(node: minidom.Element) -> str:
    return "".join(child.data for child in node.childNodes if isinstance(child, minidom.Text))


def test_one_case_a_promise_and_a_failure_with_its_text() -> None:
    figures = [
        Figure("held", 1.5, "s", "<= 7"),
        Figure("broke", 9.0, "s", "<= 7", {"limit": 7}, "it took 9 s"),
        Figure("only printed", 3),
    ]
    document = _parsed(
        junit(Report("t", figures, 7, 1, {"backend": "virtual", "notes": ["x"]}), "t.virtual", 60.0, WHEN)
    )

    cases = document.getElementsByTagName("testcase")
    suite = document.getElementsByTagName("testsuite")[0]
    failures = document.getElementsByTagName("failure")
    assert [case.getAttribute("name") for case in cases] == ["held", "broke"]
    assert (suite.getAttribute("tests"), suite.getAttribute("failures")) == ("2", "1")
    assert [failure.parentNode for failure in failures] == [cases[1]]
    assert failures[0].getAttribute("message") == "it took 9 s"
    assert "measured 9.0 s, required <= 7" in _text(failures[0])
    properties = {p.getAttribute("name"): p.getAttribute("value") for p in document.getElementsByTagName("property")}
    assert properties == {"seed": "7", "void runs": "1", "backend": "virtual"}


def test_any_text_gives_sound_xml() -> None:
    nasty = "<a>&\"'\x00\x1b[31m\ufffe ]]> 🔋 \ud800"
    figures = [
        Figure(nasty, float("nan"), "s", "<= 7", {nasty: nasty}, nasty),
        Figure("inf", float("inf"), "s", "<= 7"),
    ]
    document = _parsed(junit(Report(nasty, figures), nasty, 0.0, WHEN))
    assert len(document.getElementsByTagName("failure")) == 2
    assert "🔋" in document.getElementsByTagName("testcase")[0].getAttribute("name")


def test_a_report_without_figures_is_an_empty_suite() -> None:
    document = _parsed(junit(Report("t", []), "t", 0.0, WHEN))
    assert document.getElementsByTagName("testsuite")[0].getAttribute("tests") == "0"


def test_a_run_writes_page_figures_and_cases_beside_each_other(tmp_path: Path) -> None:
    recording = Recording()
    bad = HEAD + '[[assert]]\nname = "x"\nalways = "truth.soc_permille > 499.9"\n'
    outcome = Runner(parse(bad, "t.toml"), World(), 1, recording).run()
    page = directory.write(tmp_path / "new" / "r", outcome, recording)

    assert page.name == "report.html"
    assert sorted(path.name for path in page.parent.iterdir()) == ["figures.json", "junit.xml", "report.html"]
    document = _parsed((page.parent / "junit.xml").read_bytes())
    assert document.getElementsByTagName("failure")[0].getAttribute("message").startswith("at ")
