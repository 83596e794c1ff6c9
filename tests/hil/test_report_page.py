"""The page of a run: what it shows, that it needs nothing else, and that no input breaks it."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from hil.expr import Value
from hil.judge import Verdict
from hil.report.page import POINTERS, scenario_page
from hil.report.recording import Recording
from hil.report.scale import Scale
from hil.report.trace import line
from hil.runner import Outcome, Run, Runner
from hil.scenario import Scenario, parse
from hil.signals import SIGNALS, Happening
from tests.hil.test_runner import CHAPTERS, HEAD
from tests.hil.world import World

S = 1_000_000_000
WALL_MS = 1_767_286_800_000  # 17:00 UTC
NASTY = """<script>alert("x")</script>&'"""


class _Page(HTMLParser):
    """Every tag closed in order; texts outside of scripts and styles; every attribute."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def _scenario(name: str = "t", text: str = "") -> Scenario:
    return parse(HEAD.replace('name = "t"', f"name = '''{name}'''") + text, "t.toml")


def _recording(rows: Sequence[tuple[float, Mapping[str, Value]]], scenario: Scenario) -> Recording:
    recording = Recording()
    recording.begin(Run(scenario, "virtual", 1, WALL_MS))
    for at, known in rows:
        recording.sample(round(at * S), {**dict.fromkeys(SIGNALS), **known})
    return recording


def _page(
    rows: Sequence[tuple[float, Mapping[str, Value]]], verdicts: Sequence[Verdict] = (), name: str = "t"
) -> tuple[str, _Page]:
    scenario = _scenario(name)
    end = round(rows[-1][0] * S) if rows else 0
    outcome = Outcome(scenario, "virtual", 1, list(verdicts), end, None, ())
    text = scenario_page(outcome, _recording(rows, scenario))
    return text, _Page(text)


def _svgs(text: str) -> list[ET.Element]:
    """Each is XML of its own, judged by a parser that forgives nothing; one inside another belongs to it."""
    out, depth, begin = [], 0, 0
    for tag in re.finditer(r"<svg[ >]|</svg>", text):
        begin = begin if depth else tag.start()
        depth += -1 if tag[0] == "</svg>" else 1
        if not depth:
            out.append(ET.fromstring(text[begin : tag.end()]))
    assert depth == 0
    return out


def _numbers_are_finite(text: str) -> bool:
    drawn = " ".join(re.findall(r' (?:d|x|y|cx|cy|width|height|viewBox)="([^"]*)"', text))
    return not re.search(r"nan|inf", drawn)


def _lines(text: str, kind: str) -> list[str]:
    return re.findall(rf'class="line {kind}" d="([^"]*)"', text)


def _verdict(ok: bool, name: str = "v", **times: int) -> Verdict:
    return Verdict(name, "", "", ok, 5.3 if ok else None, "s", "<= 13", "why it is so", {}, **times)  # type: ignore[arg-type]


def test_a_run_shows_each_of_its_parts() -> None:
    recording = Recording()
    outcome = Runner(parse(CHAPTERS, "t.toml"), World(), 1, recording).run()
    text = scenario_page(outcome, recording)
    page = _Page(text)

    for title in ("State of the agent", "Battery", "State of charge and reserve", "Faults", "Promises", "The story"):
        assert title in page.text
    assert "All 3 assertions held" in page.text
    assert "bms.mute" in page.text
    assert "dispatch is followed" in page.text
    assert "17:00:00" in page.text  # absolute beside relative
    assert {svg.get("role") for svg in _svgs(text)} == {"img"}


def test_the_page_needs_nothing_else() -> None:
    recording = Recording()
    outcome = Runner(parse(CHAPTERS, "t.toml"), World(), 1, recording).run()
    text = scenario_page(outcome, recording)
    page = _Page(text)

    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not {"src", "href", "xlink:href", "srcset", "action"} & {name for name, _ in page.attributes}
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"default-src[^>]*", "", text))
    policy = next(value for name, value in page.attributes if value.startswith("default-src"))
    assert policy.startswith("default-src 'none';")


def test_every_axis_has_its_unit_and_both_times() -> None:
    _, page = _page([(i, {"truth.battery_w": 100 * i, "truth.soc_permille": 500}) for i in range(60)])
    assert "kW" in page.texts
    assert "%" in page.texts
    assert page.texts.count("m:s") == page.texts.count("UTC") - page.text.count("<th>UTC") > 0
    assert {"0:30", "17:00:30"} <= set(page.texts)


def test_names_with_the_signs_of_html_are_text() -> None:
    verdicts = [_verdict(False, NASTY, from_ns=0, seen_ns=S, to_ns=2 * S)]
    text, page = _page([(i, {"agent.mode": NASTY, "agent.faults": NASTY}) for i in range(3)], verdicts, NASTY)
    assert page.tags.count("script") == 2  # the page's own
    assert {"title", "text", "b"}.isdisjoint(page.open)
    assert text.count("<script") == text.count("</script") == 2
    assert NASTY in page.text
    assert len(_svgs(text)) > 0


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no samples"),
        pytest.param([(0.0, {"truth.battery_w": 5.0, "agent.mode": "local"})], id="one sample at 0 s"),
        pytest.param([(3.0, {"truth.battery_w": 5.0})], id="one sample later"),
        pytest.param([(1.0, {"truth.battery_w": 5.0})] * 3, id="samples of one moment"),
        pytest.param([(float(i), {}) for i in range(5)], id="nothing known"),
        pytest.param([(float(i), {"truth.battery_w": math.nan}) for i in range(5)], id="NaN alone"),
        pytest.param([(float(i), {"truth.battery_w": math.inf * (-1) ** i}) for i in range(5)], id="infinite"),
        pytest.param(
            [(float(i), {"truth.battery_w": 1.7e308 * (-1) ** i}) for i in range(5)], id="as large as it goes"
        ),
        pytest.param([(float(i), {"truth.battery_w": 10**400}) for i in range(5)], id="beyond any float"),
        pytest.param([(float(i), {"truth.battery_w": 5e-324 * i}) for i in range(5)], id="as small as it goes"),
        pytest.param([(float(i), {"agent.lo_w": -5, "agent.hi_w": None}) for i in range(5)], id="half a permit"),
        pytest.param([(1e7 * i, {"truth.battery_w": i}) for i in range(5)], id="a year and more"),
    ],
)
def test_no_input_breaks_the_page(rows: Sequence[tuple[float, Mapping[str, Value]]]) -> None:
    text, page = _page(rows, [_verdict(True, from_ns=0, seen_ns=2**60, to_ns=2**60), _verdict(False, "w")])
    assert _numbers_are_finite(text)
    assert ("Nothing was sampled" in page.text) is (not rows)
    assert len(_svgs(text)) >= (2 if rows else 0)


def test_a_run_without_verdicts_is_not_called_good() -> None:
    text, page = _page([])
    assert "Nothing was judged" in page.text
    assert 'class="verdict good"' not in text


def test_a_gap_is_drawn_as_a_gap() -> None:
    known: Mapping[str, Value] = {"agent.given_w": 1000, "truth.battery_w": 1000, "agent.mode": "dispatched"}
    dead: Mapping[str, Value] = {"truth.battery_w": 1000}
    rows = [(float(i) / 10, dead if 200 <= i < 300 else known) for i in range(600)]
    text, page = _page(rows)

    assert [d.count("M") for d in _lines(text, "given")] == [2, 2]  # wide and narrow
    assert [d.count("M") for d in _lines(text, "battery")] == [1, 1]
    assert "no word from the agent 10 s" in page.text
    assert "mode-none" in text


def test_a_hole_between_samples_is_a_gap_too() -> None:
    rows = [(float(i) / 10 + (20 if i >= 300 else 0), {"truth.battery_w": 1000}) for i in range(600)]
    text, _ = _page(rows)
    assert [d.count("M") for d in _lines(text, "battery")] == [2, 2]


def test_a_long_run_stays_small_and_keeps_its_spike() -> None:
    rows: list[tuple[float, dict[str, Value]]]
    rows = [(i / 10, {"truth.battery_w": 9999 if i == 11_234 else i % 7, "agent.mode": "local"}) for i in range(20_000)]
    text, _ = _page(rows)

    assert len(text) < 400_000
    tops = [min(float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", d)) for d in _lines(text, "battery")]
    assert len(tops) == 2
    assert all(top < 40 for top in tops)  # one sample of 20,000, and it reaches the top of the panel
    known = re.search(r'"t":\[([^]]*)\]', text)
    assert known is not None
    assert 100 < len(known[1].split(",")) <= POINTERS


def test_each_column_of_pixels_keeps_its_first_lowest_highest_and_last() -> None:
    rng = random.Random(7)
    values = [rng.gauss(0, 1000) for _ in range(5000)]
    t = [i / 50 for i in range(5000)]
    x, y = Scale(0.0, 100.0, 50.0, 150.0), Scale(-5000.0, 5000.0, 200.0, 0.0)
    points = line(t, values, range(5000), x, y)

    for pixel in range(50, 149):
        column = [v for at, v in zip(t, values, strict=True) if int(x(at)) == pixel]
        drawn = {py for px, py in points if pixel - 0.1 < px < pixel + 1.1}
        assert {round(y(v), 1) for v in (column[0], min(column), max(column), column[-1])} <= drawn
    assert len(points) <= 4 * 101
    assert [px for px, _ in points] == sorted(px for px, _ in points)


def test_samples_beyond_all_measure_are_thinned_without_losing_extremes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.report.recording.MOST", 1000)
    odd = {777: -8000, 4003: 9000}
    recording = _recording([(i / 10, {"truth.battery_w": odd.get(i, 100)}) for i in range(10_000)], _scenario())

    values = recording.numbers["truth.battery_w"]
    assert len(recording.t) == len(values) <= 1000
    assert (min(values), max(values)) == (-8000, 9000)
    assert list(recording.t) == sorted(recording.t)
    assert recording.gap_s > max(b - a for a, b in zip(recording.t, recording.t[1:], strict=False))


def test_thinning_keeps_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.report.recording.MOST", 100)
    rows = [(i / 10, {"truth.battery_w": None if 40 <= i < 60 else 5.0}) for i in range(150)]
    values = _recording(rows, _scenario()).numbers["truth.battery_w"]
    assert any(math.isnan(value) for value in values)
    assert any(value == 5.0 for value in values)


def test_a_bound_and_what_was_measured_are_seen_beside_each_other() -> None:
    verdict = _verdict(True, "in time", from_ns=10 * S, seen_ns=15 * S, to_ns=15 * S)
    text, page = _page([(float(i), {"truth.battery_w": 1}) for i in range(60)], [verdict])
    assert text.count('class="bound"') == 2
    assert text.count('class="dot good"') == 2
    assert "in time: held, from 0:10: why it is so" in page.text


def test_what_broke_stands_before_all_else() -> None:
    text, page = _page([(float(i), {"truth.battery_w": 1}) for i in range(6)], [_verdict(True), _verdict(False, "bad")])
    assert "1 of 2 did not hold" in page.text
    assert text.index("What did not hold (1)") < text.index("The run over time")
    assert "why it is so" in page.text


def test_latencies_are_those_of_the_command_that_was_sent() -> None:
    scenario = _scenario()
    recording = _recording([(float(i), {"truth.battery_w": 1}) for i in range(60)], scenario)
    recording.event(10 * S, scenario.events[0], False)
    heard: list[tuple[float, str, dict[str, Value]]] = [
        (10.02, "ack", {"command": "other", "state": "received", "reason": ""}),
        (10.05, "ack", {"command": "cmd", "state": "received", "reason": "", "made_s": 10.03}),
        (10.08, "write", {"kind": "power", "value": 500}),
        (10.09, "write", {"kind": "power", "value": 500}),  # held, not changed
        (11.0, "ack", {"command": "cmd", "state": "started", "reason": ""}),
    ]
    for at, stream, fields in heard:
        recording.happening(Happening(stream, round(at * S), fields))
    text = scenario_page(Outcome(scenario, "process", 1, [_verdict(True)], 60 * S, None, ()), recording)
    medians = re.findall(r"(\d+ ms), one command", re.sub(r"<[^>]*>", "", text))
    assert medians == ["30 ms", "20 ms", "80 ms", "1000 ms"]
