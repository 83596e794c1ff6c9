"""No option of the tool is dropped: each reaches the message or is refused, and what is sent is what a link reads."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent.link import homeowner, messages
from hil.aggregator import cli, documents_cli, sense, verbs
from hil.aggregator.aggregator import Aggregator
from tests.hil.tokens import HandDevice, at, counting, keyring, unb64

DEVICE = HandDevice()
ID, HASH = "ab" * 16, "cd" * 32
AROUND = set("help json pki broker user password_file ca mqtt plain until wait_s role answer_births device".split())
NOW = at().wall_ms

# verb -> the least that it needs, and then each of its options: (arguments, what the message says then)
Tried = dict[str, tuple[list[str], dict[str, Any]]]
PRICES = ["--interval-s", "900", "--currency", "EUR", "--price", "1"]
TRIED: dict[str, tuple[list[str], Tried]] = {
    "dispatch": (["--power-w", "5", "--duration-s", "60", "--start-in-s", "1", "--randomize-start-s", "9"], {
        "power_w": (["--power-w", "-7"], {"power_w": -7}),
        "duration_s": (["--duration-s", "61"], {"duration_s": 61}),
        "start_in_s": (["--start-in-s", "2"], {"start": NOW + 2000}),
        "primacy": (["--primacy", "0"], {"primacy": 0}),
        "ramp": (["--ramp", "urgent"], {"ramp": "urgent"}),
        "import_limit_w": (["--import-limit-w", "0"], {"import_limit_w": 0}),
        "export_limit_w": (["--export-limit-w", "8"], {"export_limit_w": 8}),
        "randomize_start_s": (["--randomize-start-s", "-60"], {"randomize_start_s": -60}),
        "randomize_both": (["--randomize-both"], {"randomize_both": True}),
    }),
    "cancel": ([ID], {
        "target": (["--", ID], {"target": ID}),
        "randomize_s": (["--randomize-s", "30"], {"randomize_s": 30}),
    }),
    "stop": ([], {}),
    "schedule": (["--interval-s", "900", "--power-w", "1"], {
        "interval_s": (["--interval-s", "60"], {"interval_s": 60}),
        "powers_w": (["--power-w", "-"], {"powers_w": [1, None]}),
        "start_in_s": (["--start-in-s", "2"], {"start": NOW + 2000}),
        "primacy": (["--primacy", "3"], {"primacy": 3}),
    }),
    "session": (["--duration-s", "60", "--lo-w", "-5", "--hi-w", "5"], {
        "duration_s": (["--duration-s", "61"], {"duration_s": 61}),
        "lo_w": (["--lo-w", "-6"], {"lo_w": -6}),
        "hi_w": (["--hi-w", "6"], {"hi_w": 6}),
        "start_in_s": (["--start-in-s", "2"], {"start": NOW + 2000}),
        "primacy": (["--primacy", "3"], {"primacy": 3}),
    }),
    "setpoint": (["--session", ID, "--power-w", "1"], {
        "session": (["--session", ID], {"session": ID}),
        "power_w": (["--power-w", "-1"], {"power_w": -1}),
        "duration_s": (["--duration-s", "9"], {"duration_s": 9}),
    }),
    "price": (PRICES, {
        "interval_s": (["--interval-s", "60"], {"interval_s": 60}),
        "currency": (["--currency", "USD"], {"currency": "USD"}),
        "prices_micro_per_kwh": (["--price", "-2"], {"prices_micro_per_kwh": [1, -2]}),
        "export_micro_per_kwh": (["--export-price", "3"], {"export_micro_per_kwh": [3]}),
        "start_in_s": (["--start-in-s", "2"], {"start": NOW + 2000}),
    }),
    "quote": (["--power-w", "1", "--duration-s", "2"], {
        "power_w": (["--power-w", "-1"], {"power_w": -1}),
        "duration_s": (["--duration-s", "3"], {"duration_s": 3}),
        "start_in_s": (["--start-in-s", "0"], {"start": NOW}),
    }),
    "resend": (["3", "9"], {"first": ([], {"first": 3}), "last": ([], {"last": 9})}),
    "time": (["--last", "0"], {
        "live_s": (["--live-s", "60"], {"live_s": 60}),
        "last": (["--last", "12"], {"last": 12}),
    }),
    "receipt": (["12"], {"upto": ([], {"upto": 12}), "also": (["--also", "14"], {"also": [14]})}),
    "homeowner reserve": (["reserve", "--permille", "300"], {"permille": (["--permille", "0"], {"permille": 0})}),
    "homeowner storm": (["storm", "--permille", "800", "--for-s", "60"], {
        "permille": (["--permille", "900"], {"permille": 900}),
        "for_s": (["--for-s", "1209600"], {"for_s": 1_209_600}),
        "reason": (["--reason", "wind"], {"reason": "wind"}),
    }),
    "homeowner opt_out": (["opt_out"], {"for_s": (["--for-s", str(366 * 86_400)], {"for_s": 366 * 86_400})}),
    "homeowner opt_in": (["opt_in"], {}),
    "homeowner consent": (["consent", "--to", "root", "--sha256", HASH], {
        "to": (["--to", "data"], {"to": "data"}),
        "sha256": (["--sha256", "ef" * 32], {"sha256": "ef" * 32}),
        "withdrawn": (["--withdrawn"], {"withdrawn": True}),
    }),
}  # fmt: skip
OF_HOMEOWNER = {"permille": ["--permille", "1"], "for_s": ["--for-s", "1"], "reason": ["--reason", "x"],
                "to": ["--to", "root"], "sha256": ["--sha256", HASH], "withdrawn": ["--withdrawn"]}  # fmt: skip
NUMBERS = """-1000001 -1000000 -3601 -3600 -1 0 1 10 11 59 60 255 256 1000 1001 3600 3601 86400 86401 604800 604801
1209600 1209601 31622400 31622401 1000000000001 9223372036854775807 9223372036854775808 1.5 nan"""
ODD = (*NUMBERS.split(), *"eur EUR E - direct urgent root x".split(), "", ID, HASH, "ÄÖÜ", "x" * 80, "x" * 81)


def options(verb: str) -> dict[str, argparse.Action]:
    """Of a verb's own: what is not the same for all."""
    rows = next(a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction))
    return {action.dest: action for action in rows.choices[verb]._actions if action.dest not in AROUND}


def claims(line: list[str]) -> dict[str, Any]:
    """What that line sends. ValueError, SystemExit: it sends nothing."""
    args = cli._parser().parse_args(line)
    made = Aggregator(keyring(DEVICE), counting())
    made.receive(DEVICE.message("birth", 1, retain=True), at())
    made.sessions.opened(ID, "dev:home-1", 1, 9, NOW + 1, NOW)
    return dict(verbs.build(made, args.verb, args, at()).claims)


def line_of(name: str, *more: str) -> list[str]:
    return [name.partition(" ")[0], "home-1", *TRIED[name][0], *more]


def test_every_option_of_every_verb_is_tried() -> None:
    assert {name.partition(" ")[0] for name in TRIED} == set(verbs.VERBS)
    for name in TRIED:
        verb, _, kind = name.partition(" ")
        if kind:
            assert set(options(verb)) == {"kind", "key", *OF_HOMEOWNER}
        else:
            assert set(options(verb)) == set(TRIED[name][1]), verb


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in TRIED for option in TRIED[name][1]])
def test_an_option_reaches_the_message(name: str, option: str) -> None:
    more, says = TRIED[name][1][option]
    line = [*line_of(name)[:2], *more[1:]] if more[:1] == ["--"] else line_of(name, *more)
    found = claims(line)
    assert {member: found.get(member) for member in says} == says


@pytest.mark.parametrize("name", [name for name in TRIED if name.startswith("homeowner")])
def test_what_a_word_of_the_homeowner_has_no_use_for_is_refused(name: str) -> None:
    for option, more in OF_HOMEOWNER.items():
        if option not in TRIED[name][1]:
            with pytest.raises(ValueError, match=f"no use for {more[0]}"):
                claims(line_of(name, *more))


def sweep(name: str) -> Iterator[list[str]]:
    """Each option with each odd value, and any two options beside each other."""
    flags = {a.dest: a.option_strings[0] for a in options(name.partition(" ")[0]).values() if a.option_strings}
    flags.pop("key", None)
    for flag, value in itertools.product(flags.values(), ODD):
        yield line_of(name, flag, value)
    for one, other in itertools.permutations(TRIED[name][1].values(), 2):
        if "--" not in (*one[0][:1], *other[0][:1]):
            yield line_of(name, *one[0], *other[0])


@pytest.mark.parametrize("name", TRIED)
def test_what_is_sent_is_what_a_link_reads(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A home that cannot read it is silent: the tool says it instead."""
    judge = {"time": messages.parse_time, "receipt": messages.parse_receipt, "homeowner": homeowner.parse_homeowner}
    sent = 0
    for line in sweep(name):
        try:
            found = claims(line)
        except (SystemExit, ValueError):
            continue
        sent += 1
        assert not isinstance(read := judge.get(line[0], messages.parse_command)(found), str), f"{line}: {read}"
    assert sent or not TRIED[name][1]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["price", "home-1", "--interval-s", "900", "--currency", "eur", "--price", "1"], "EUR"),
        (["resend", "home-1", "9", "3"], "row 9 is above row 3"),
        (["schedule", "home-1", "--interval-s", "86400", *["--power-w", "1"] * 8], "more than 7 days"),
        (["price", "home-1", "--interval-s", "86400", "--currency", "EUR", *["--price", "1"] * 8], "more than 7 days"),
        (["schedule", "home-1", "--interval-s", "60", *["--power-w", "1"] * 193], "at most 192"),
        (["price", "home-1", *PRICES, "--export-price", "1", "--export-price", "2"], "one each an interval"),
        (["session", "home-1", "--duration-s", "60", "--lo-w", "5", "--hi-w", "4"], "above --hi-w"),
        (["dispatch", "home-1", "--import-limit-w", "5", "--duration-s", "60", "--ramp", "direct"], "needs --power-w"),
        (["dispatch", "home-1", "--power-w", "5", "--duration-s", "60", "--randomize-both"], "of what"),
        (["dispatch", "home-1", "--power-w", "5", "--duration-s", "60", "--randomize-start-s", "5"], "--start-in-s"),
        (["homeowner", "home-1", "storm", "--permille", "1", "--for-s", "1209601"], "at most 1209600"),
        (["receipt", "home-1", "1", *["--also", "3"] * 257], "at most 256"),
        (["stop", "home-1", "--wait-s", "-5"], "no time to wait"),
        (["stop", "home-1", "--wait-s", "nan"], "no time to wait"),
        (["watch", "--seconds", "inf"], "no time to wait"),
        (["config", "home-1", "--version", "1", "--wait-s", "-1"], "no time to wait"),
    ],
)
def test_what_no_home_takes_is_a_sentence(line: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((ValueError, SystemExit)) as ended:
        claims(line)
    assert says in str(ended.value) or (ended.value.args == (2,) and says in capsys.readouterr().err)


def test_a_storm_is_ended_with_nothing_else() -> None:
    assert claims(["homeowner", "home-1", "storm", "--permille", "0"])["permille"] == 0
    assert sense.HOMEOWNER.keys() == homeowner.KINDS.keys()


def test_every_setting_of_a_document_reaches_it() -> None:
    for kind in ("config", "default"):
        rows = next(a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction))
        mine = [a for a in rows.choices[kind]._actions if a.dest not in AROUND | {"number"}]
        for action in mine:
            value = "idle" if action.choices else "south" if action.dest == "groups" else "7"
            needed = [] if kind == "config" else ["--mode", "self_consumption"]
            line = [kind, "home-1", "--version", "1", *needed, action.option_strings[0], value]
            made = documents_cli.built(
                kind, Aggregator(keyring(DEVICE), counting()), cli._parser().parse_args(line), at()
            )
            body = claims_of(made.payload)
            said = body if action.dest in body else body["settings"]
            assert said[action.dest] == (["south"] if action.dest == "groups" else value if action.choices else 7)


def claims_of(token: bytes) -> dict[str, Any]:
    body = json.loads(unb64(token.split(b".")[1]))
    assert isinstance(body, dict)
    return body
