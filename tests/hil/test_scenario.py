"""Scenario files: what they may say, and how a wrong word is refused."""

from __future__ import annotations

import pytest

from hil.duration import duration_ns, duration_text
from hil.faults.catalog import VERBS
from hil.scenario import DIRECTORY, Kind, find, load, parse
from hil.signals import FUNCTIONS, SIGNALS, STREAMS
from hil.strict import FileError

GOOD = """
[scenario]
name = "reserve"
duration = "2h"
hazards = [32]
seed = 7
backends = ["virtual", "process"]

[home]
soc_permille = 320

[config.timers]
reversion_s = 60

[[event]]
id = "cmd"
at = "60s"
do = "aggregator.dispatch"
args = { power_w = 8000, duration = "15m" }

[[event]]
at = "20m"
do = "bms.freeze"
for = "90s"

[[assert]]
name = "reserve is kept"
always = "truth.soc_permille >= agent.reserve_permille - 2"
while = "truth.grid_on"

[[assert]]
name = "frozen BMS ends it"
after = "bms.freeze"
within = "62s"
that = "agent.given_w == 0"

[[assert]]
name = "one start"
count = "ack"
where = "command == 'cmd' and state == 'started'"
exactly = 1
"""


def test_reads_a_file() -> None:
    scenario = parse(GOOD, "good.toml")

    assert (scenario.duration_ns, scenario.seed, scenario.hazards) == (7200 * 10**9, 7, (32,))
    assert scenario.events[0].args == {"power_w": 8000, "duration": 900, "primacy": 1, "ramp": "direct"}
    assert scenario.events[1].for_ns == 90 * 10**9
    assert [a.kind for a in scenario.assertions] == [Kind.ALWAYS, Kind.WITHIN, Kind.COUNT]
    assert scenario.config == {"timers": {"reversion_s": 60}}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 7", "sed = 7", r"t\.toml: file\.scenario\.sed: is not a key here"),
        ('duration = "2h"', "duration = 7200", r"scenario\.duration: 7200 has no unit"),
        ('duration = "2h"', "", r"scenario\.duration: is missing"),
        ("soc_permille = 320", "soc = 0.32", r"file\.home\.soc: is not a key here; known: .*soc_permille"),
        ('do = "bms.freeze"', 'do = "bms.melt"', r"event\[1\]\.do: there is no verb 'bms\.melt'"),
        ('at = "20m"', 'att = "20m"', r"event\[1\]\.att: is not a key here"),
        ("power_w = 8000", "power_kw = 8", r"event\[0\]\.args\.power_w: is missing"),
        ("power_w = 8000", 'power_w = "8kW"', r"args\.power_w: expected a whole number, found '8kW'"),
        ("power_w = 8000,", "power_w = 8000, colour = 1,", r"args\.colour: is not a key here"),
        ('while = "truth.grid_on"', 'while = "grid_on"', r"assert\[0\]\.while: no signal `grid_on`; known: truth"),
        ("within = ", "always = 'True'\nwithin = ", r"exactly one of always"),
        ('after = "bms.freeze"\n', "", r"assert\[1\]\.after: `within` counts from an event"),
        ('after = "bms.freeze"', 'after = "bms.thaw"', r"there is no event 'bms\.thaw'; known: .*bms\.freeze\.end"),
        ("exactly = 1", "", r"a count needs `exactly`"),
        ('count = "ack"', 'count = "rows"', r"'rows' is not one of ack, decision"),
        ("command == 'cmd'", "label == 'cmd'", r"assert\[2\]\.where: no signal `label`"),
        ('backends = ["virtual", "process"]', 'backends = ["moon"]', r"'moon' is not one of"),
        ('name = "one start"', 'name = "reserve is kept"', r"'reserve is kept' is there twice"),
        ("[config.timers]", "[plant]\nx = 1\n[config.timers]", r"file\.plant: is not a key here"),
        ("[[event]]", "[[event]", r"t\.toml: is not TOML"),
        (
            'do = "aggregator.dispatch"',
            'do = "aggregator.dispatch"\nfor = "1s"',
            r"for: aggregator\.dispatch has no end",
        ),
        ('at = "60s"', 'at = "60s"\nchapter = "x"', r"there is no chapter 'x'"),
        ('{ power_w = 8000, duration = "15m" }', "7", r"event\[0\]\.args: expected a table"),
    ],
)
def test_refuses(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(FileError, match=message):
        parse(GOOD.replace(old, new, 1), "t.toml")


def test_unknown_scenario_lists_the_known() -> None:
    with pytest.raises(FileError, match=r"there is no scenario 'nosuch'; known: "):
        find("nosuch")


@pytest.mark.parametrize("path", sorted(DIRECTORY.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_scenarios_load(path: object) -> None:
    scenario = load(find(str(path)))
    assert scenario.assertions


@pytest.mark.parametrize(
    ("text", "ns"), [("250ms", 250_000_000), ("90s", 90 * 10**9), ("1h30m", 5400 * 10**9), ("1.5s", 1_500_000_000)]
)
def test_durations(text: str, ns: int) -> None:
    assert duration_ns(text) == ns
    assert duration_ns(duration_text(ns)) == ns


@pytest.mark.parametrize("text", ["", "90", "s", "-1s", "1 hour", "1e3s", 90, None, True])
def test_bad_durations(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_ns(text)


def test_the_page_names_every_word() -> None:
    page = (DIRECTORY.parents[1] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    words = [*SIGNALS, *VERBS, *STREAMS, *FUNCTIONS]
    assert [word for word in words if f"`{word}" not in page] == []


def test_the_example_of_the_page_loads() -> None:
    page = (DIRECTORY.parents[1] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    assert parse(example, "docs/scenarios.md").name == "bms_silent"
