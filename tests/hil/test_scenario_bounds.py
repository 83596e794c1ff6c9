"""A slip of the pen in a scenario file: exit 2 and a sentence that names file, key, what was seen and expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil import scenario_cli
from hil.campaign import cli as campaign_cli
from hil.campaign.case import Deck
from hil.faults import inside
from hil.faults.catalog import VERBS
from hil.faults.ranges import RANGES, WORDS
from hil.scenario import HOME_KEYS, parse
from hil.strict import FileError

HEAD = '[scenario]\nname = "t"\nduration = "60s"\n'
HOLDS = '[[assert]]\nname = "x"\nalways = "True"\n'
TEXTS = {
    "device",
    "other",
    "way",
    "key",
    "target",
}  # judged by what the home has, by the attacks, by the daemon, by the file


def event(verb: str, args: str = "", rest: str = "") -> str:
    return f'[[event]]\nid = "e"\nat = "5s"\ndo = "{verb}"\nargs = {{ {args} }}\n{rest}'


def counted(rest: str) -> str:
    return f'[[assert]]\nname = "y"\ncount = "write"\n{rest}\n'


def test_every_number_has_a_range_and_every_word_its_list() -> None:
    numbers = {
        f"{v.name}.{a}" for v in VERBS.values() for a, (kind, _) in v.args.items() if kind in ("int", "duration")
    }
    assert RANGES.keys() == numbers | {f"home.{key}" for key in HOME_KEYS}
    texts = {
        f"{v.name}.{a}" for v in VERBS.values() for a, (kind, _) in v.args.items() if kind == "str" and a not in TEXTS
    }
    assert WORDS.keys() == texts | {"meter.clamp.way"}
    assert WORDS["proc.stall.who"] == tuple(inside.WHO)


@pytest.mark.parametrize("name", sorted(RANGES))
def test_what_lies_beside_the_range_is_refused(name: str) -> None:
    low, high = RANGES[name]
    verb, _, key = name.rpartition(".")
    if name in {f"home.{one}" for one in HOME_KEYS}:
        texts = {value: f"{HEAD}[home]\n{key} = {value}\n" for value in (low - 1, high + 1, 10**30)}
        where = f"file.home.{key}: "
    else:
        needed = {"field": '"soc"', "value": "1", "power_w": "1", "duration": '"9s"', "permille": "1", "for_s": "1"}
        needed |= {"life": '"9s"', "w": "1", "leg": "1", "way": '"unsigned"', "key": '"fuse_a"', "ms": "1"}
        if verb in ("inverter.word", "meter.word"):
            needed["field"] = '"serial"'
        takes = VERBS[verb].args
        timed = takes[key][0] == "duration"
        texts = {}
        for value in (low - 1, high + 1) if not timed else [v for v in (low - 1, high + 1) if v >= 0]:
            given = {k: v for k, v in needed.items() if k in takes and (verb, k) != ("meter.clamp", "way")}
            given[key] = f'"{value}s"' if timed else str(value)
            texts[value] = HEAD + event(verb, ", ".join(f"{k} = {v}" for k, v in given.items()))
        where = f"event[0].args.{key}: "
    for value, text in texts.items():
        with pytest.raises(FileError) as refused:
            parse(text, "t.toml")
        assert str(refused.value) == f"t.toml: {where}{value} is not between {low} and {high}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('sample = "10m"', "file.scenario.sample: 10m is not between 1ms and a tenth of it all, 6s"),
        ("fleet = -3", "file.scenario.fleet: -3 is not between 1 and 100"),
        ("seed = -1", "file.scenario.seed: -1 is not between 0 and "),
        ("backends = []", "file.scenario.backends: is empty"),
        ("hazards = [999]", "file.scenario.hazards: there is no row 999 in the hazard table"),
        ("[home]\nlegs = 2\ninverter_leg = 3", "t.toml: home.inverter_leg: 3 is not one of its 2 legs"),
        ("[home]\nsoc2_permille = 300", "t.toml: home.soc2_permille: is of a second pack, and this home has 1"),
        ('[config."a b"]\nx = 1', "file.config.a b: 'a b' is no name of a section"),
        ("[config.site]\nfuse_a = nan", "file.config.site.fuse_a: expected a finite number"),
        (event("bms.word", 'field = "nonsense", value = 1'), "args.field: 'nonsense' is not one of pack_v, "),
        (
            event("bus.cut", 'device = "toaster"'),
            "event e.args.device: this home has no 'toaster'; it has battery, meter",
        ),
        (event("bms.open", 'device = "meter"'), "event e.args.device: this home has no 'meter'; it has battery"),
        (event("bms.open", 'side = "left"'), "args.side: 'left' is not one of both, charge, discharge"),
        (event("bus.swap", 'other = "battery"'), "event e.args.other: 'battery' is the device itself"),
        (event("bms.asks"), "event e.do: bms.asks does nothing without `asking = 1`"),
        (event("proc.stall", 'who = "me"', 'for = "9s"'), "args.who: 'me' is not one of control, store, line"),
        (event("aggregator.dispatch", 'power_w = 1, duration = "1500ms"'), "'1500ms' is not a whole number of seconds"),
        (
            event("aggregator.dispatch", 'power_w = 1, duration = "9s", ramp = "soon"'),
            "args.ramp: 'soon' is not one of",
        ),
        (event("moment").replace('"5s"', '"20m"'), "event e.at: 20m is behind the end, 1m"),
        (
            event("moment").replace('"5s"', f'"{"9" * 400}d"'),
            "at: '9999999999999999999999999999999999999999' is longer",
        ),
        (event("bms.mute", rest='for = "5m"'), "event e.for: it would last to 5m5s, behind the end, 1m"),
        (event("bms.mute", rest='for = "0s"'), "event[0].for: lasts for no time"),
        (event("moment", rest="optional = true"), "event[0].optional: only what waits for a `when` may not come"),
        (event("aggregator.cancel", 'target = "e"'), "event e.args.target: no event with id 'e' sends a command"),
        (counted('at_most = 0\nfrom = "10m"'), "assert y.from: its window opens at 10m, expected before the end, 1m"),
        (counted('at_most = 0\nto = "10m"'), "assert y.to: its window lasts to 10m, expected to the end at most, 1m"),
        (event("moment") + counted('at_most = 0\nfrom = "9s"\nuntil = "e"'), "assert y.until: its window closes at 5s"),
        (counted('at_most = 0\nto = "0s"'), "assert[1].to: a window of no time"),
        (counted("at_most = -1"), "assert[1].at_most: -1 is below 0"),
        (counted("at_least = 0"), "assert[1].at_least: 0 always holds"),
        (counted("at_least = 3\nat_most = 2"), "assert[1].at_least: 3 is not between 0 and at_most, 2"),
        (
            HOLDS.replace("x", "z").replace("True", "acks('me', 'started') == 0"),
            "assert z.that: acks: there is no command 'me'",
        ),
        (HOLDS.replace("x", "z").replace("True", "not fault('flu')"), "assert z.that: fault: there is no fault 'flu'"),
        (
            HOLDS.replace("x", "z") + 'promise = "ours"',
            "assert[1].promise: 'ours' is not one of no watt flows unwatched, ",
        ),
        (HOLDS.replace("x", "z") + 'timers = ["revert"]', "assert z.timers: there is no timer 'revert'; known: "),
        (event("moment").replace('"e"', '"start"'), "event.id: 'start' is not a name"),
        (event("bms.mute") + HOLDS.replace("x", "z") + 'after = "e.end"', "assert z.after: there is no event 'e.end'"),
    ],
)
def test_a_slip_of_the_pen_is_refused(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f"{HEAD}{text}\n{HOLDS}" if "[[assert]]" not in text else f"{HEAD}{HOLDS}{text}")
    for main, args in ((scenario_cli.main, [str(path)]), (campaign_cli.main, ["--case", str(path)])):
        assert main(args) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("t.toml: ")
        assert message in said.err


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("timers]\nreversion_s = 9999", "t.toml: config: timers.reversion_s: 9999"),
        ('timers]\ncycle_s = "soon"', "t.toml: config: timers.cycle_s: "),
        ("timer]\nx = 1", "t.toml: config: timer: unknown key 'timer'"),
        ("battery]\nreserve_min_pct = -1", "t.toml: config: battery.reserve_min_pct: "),
    ],
)
def test_what_the_agent_would_refuse_is_refused_before_it_runs(
    section: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f"{HEAD}[config.{section}\n{HOLDS}")
    assert scenario_cli.main([str(path)]) == 2
    assert message in capsys.readouterr().err
    assert campaign_cli.main(["--case", str(path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "key"), [(event("moment", rest='when = "True"'), "event e.when"), ("fleet = 2\n", "scenario.fleet")]
)
def test_a_campaigns_case_has_nothing_that_only_a_scenario_tries(
    text: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(HEAD + text)
    assert campaign_cli.main(["--case", str(path)]) == 2
    assert f"t.toml: {key}: a campaign's case is one home" in capsys.readouterr().err


def test_a_case_of_a_number_that_no_campaign_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert campaign_cli.main(["--case", "9" * 5000]) == 2
    assert "is not between 0 and" in capsys.readouterr().err


def test_whatever_a_campaign_draws_is_within_its_range() -> None:
    deck = Deck(7)
    for number in range(300):
        deck.case(number).scenario()


@pytest.mark.parametrize(
    "words", ["packs = 10\ninverters = 10", "rated_w = 100", "rated_w = 100000", "legs = 1", "soc_permille = 0"]
)
def test_the_edges_of_a_home_run(words: str, tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f"{HEAD}[home]\n{words}\n{HOLDS}".replace("60s", "20s"))
    assert scenario_cli.main([str(path), "--json"]) == 0


def test_homes_that_may_be_no_time_apart_are_refused() -> None:
    text = f'{HEAD}fleet = 2\n{HOLDS}[[spread]]\nname = "s"\nof = "x"\nat_least = "0s"\n'
    with pytest.raises(FileError, match=r"^t\.toml: spread\[0\]\.at_least: 0s always holds"):
        parse(text, "t.toml")
