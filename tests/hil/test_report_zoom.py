"""A closer look at a run: what the page gives the script, and what a browser makes of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hil.report.page import scenario_page
from hil.report.plot import FINE
from hil.report.recording import Recording
from hil.report.scale import Scale
from hil.report.timeline import homes
from hil.report.trace import line
from hil.runner import Outcome, Runner
from hil.scenario import parse
from tests.hil.test_runner import CHAPTERS
from tests.hil.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


def _run(seed: int = 1) -> tuple[Outcome, Recording]:
    recording = Recording()
    return Runner(parse(CHAPTERS, "t.toml"), World(), seed, recording).run(), recording


def test_curves_hold_more_than_a_pixel_shows() -> None:
    t = [i / 100 for i in range(10_000)]
    values = [float(i % 2) for i in range(10_000)]
    x, y = Scale(0.0, 100.0, 0.0, 100.0), Scale(0.0, 1.0, 100.0, 0.0)
    coarse, fine = (len(line(t, values, range(len(t)), x, y, columns)) for columns in (1, FINE))
    assert fine > 0.9 * FINE * coarse


def test_whatever_lies_over_time_says_when_it_is() -> None:
    outcome, recording = _run()
    text = scenario_page(outcome, recording)
    for tag in re.findall(r'<(?:rect|text|circle|path)[^>]*class="(?:bar|state|name|on|dot|flag|mark)[^>]*>', text):
        a, b = (float(re.search(rf' data-{name}="([^"]*)"', tag)[1]) for name in "ab")  # type: ignore[index]  # fails
        assert 0 <= a <= b
    assert text.count('<svg class="win"') == text.count('class="unit') + text.count('class="tick unit')


def test_several_homes_are_shown_on_the_same_axes() -> None:
    first, second = _run(1)[1], _run(2)[1]
    second.numbers["truth.battery_w"][3] = 9_000.0
    page = homes([first, second])
    ticks = [re.findall(r'class="tick" text-anchor="end">([^<]*)<', home) for home in page.split("<figure>")[1:]]
    assert "Home 1, seed 1" in page
    assert "Home 2, seed 2" in page
    assert len(ticks) == 2
    assert ticks[0] == ticks[1]
    assert homes([first]) == ""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: the script of the page is not run")
def test_a_browser_shows_the_stretch_of_the_address(tmp_path: Path) -> None:
    """Chromium without a screen: what stands in the document after the script has run."""
    outcome, recording = _run()
    page = tmp_path / "report.html"
    page.write_text(scenario_page(outcome, recording), encoding="utf-8")

    def seen(place: str) -> str:
        words = [
            str(CHROMIUM),
            *QUIET,
            f"--user-data-dir={tmp_path / 'browser'}",
            "--dump-dom",
            f"{page.as_uri()}{place}",
        ]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    whole, close = seen(""), seen("#t=2,4")
    assert "whole run" in whole
    assert re.search(r'id="stretch">0?:?0:02 to 0:04<', close)
    boxes = [re.findall(r'<svg class="win"[^>]*viewBox="([^"]*)"', text) for text in (whole, close)]
    assert len(boxes[0]) == len(boxes[1]) > 0
    for before, after in zip(*boxes, strict=True):
        (_, _, width, height), (_, _, narrower, same) = (map(float, box.split()) for box in (before, after))
        assert narrower == pytest.approx(width * 2 / recording.end, rel=0.01)
        assert same == height
