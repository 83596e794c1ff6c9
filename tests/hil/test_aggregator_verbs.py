"""Every message that the tool can send is one that the link's own models take, signed by the role that may sign it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from agent.link import homeowner, messages, roles
from hil.aggregator import cli, show, verbs
from hil.aggregator.aggregator import Aggregator, Verdict
from hil.aggregator.alarms import Versions
from hil.aggregator.token import Refused
from tests.hil.tokens import HandDevice, at, counting, keyring

DEVICE = HandDevice()
ID, HASH = "ab" * 16, "cd" * 32

LINES: dict[str, list[str]] = {
    "dispatch": ["dispatch", "home-1", "--power-w", "-3000", "--duration-s", "60", "--ramp", "urgent"],
    "dispatch_limits": ["dispatch", "grp:south", "--import-limit-w", "0", "--duration-s", "60"],
    "dispatch_later": ["dispatch", "home-1", "--power-w", "1", "--duration-s", "60", "--start-in-s", "5",
                       "--randomize-start-s", "-60", "--primacy", "0"],
    "cancel": ["cancel", "home-1", ID],
    "stop": ["stop", "grp:south", "--role", "operations"],
    "schedule": ["schedule", "home-1", "--interval-s", "900", "--power-w", "1", "--power-w", "-", "--power-w", "-2"],
    "session": ["session", "home-1", "--duration-s", "3600", "--lo-w", "-3000", "--hi-w", "3000"],
    "setpoint": ["setpoint", "home-1", "--session", ID, "--power-w", "-1"],
    "price": ["price", "home-1", "--interval-s", "900", "--currency", "EUR", "--price", "1", "--export-price", "-2"],
    "quote": ["quote", "home-1", "--power-w", "1", "--duration-s", "2"],
    "resend": ["resend", "home-1", "1", "7"],
    "time": ["time", "home-1", "--live-s", "60", "--last", "12"],
    "receipt": ["receipt", "home-1", "12", "--also", "14"],
    "reserve": ["homeowner", "home-1", "reserve", "--permille", "300"],
    "storm": ["homeowner", "home-1", "storm", "--permille", "800", "--for-s", "60", "--reason", "wind"],
    "opt_out": ["homeowner", "home-1", "opt_out"],
    "opt_in": ["homeowner", "home-1", "opt_in"],
    "consent": ["homeowner", "home-1", "consent", "--to", "root", "--sha256", HASH],
}  # fmt: skip


@pytest.fixture
def aggregator() -> Aggregator:
    made = Aggregator(keyring(DEVICE), counting())
    made.receive(DEVICE.message("birth", 1, retain=True), at())
    return made


def parsed(line: list[str]) -> argparse.Namespace:
    return cli._parser().parse_args(line)


def test_every_verb_is_tried() -> None:
    assert {line[0] for line in LINES.values()} == set(verbs.VERBS)
    kinds = {line[2] for line in LINES.values() if line[0] == "homeowner"}
    assert kinds == set(homeowner.KINDS)
    assert set(verbs.VERBS) >= set(messages.KINDS)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_the_link_takes_it_from_that_role(aggregator: Aggregator, line: list[str]) -> None:
    args = parsed(line)
    verbs.judge_target(aggregator, args.device, verbs.VERBS[args.verb])
    aggregator.sessions.opened(ID, "dev:home-1", 1, 9, at().wall_ms + 1, at().wall_ms)
    signed = verbs.build(aggregator, args.verb, args, at())
    claims = dict(signed.claims)
    judge = {"time": messages.parse_time, "receipt": messages.parse_receipt, "homeowner": homeowner.parse_homeowner}
    found = judge.get(args.verb, messages.parse_command)(claims)
    assert not isinstance(found, str), found
    assert roles.may_sign(
        signed.role, signed.typ, claims.get("kind", "") if args.verb not in ("time", "receipt") else ""
    )
    assert all(len(text) <= 80 for text in show.fit(show.sent(claims, signed.topic).split("\n")[0], 80))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["dispatch", "home-1", "--power-w", "5kW", "--duration-s", "60"], "whole number"),
        (["dispatch", "home-1", "--power-w", "9999999", "--duration-s", "60"], "outside -1000000 to 1000000 W"),
        (["dispatch", "home-1", "--power-w", "1"], "--duration-s"),
        (["dispatch", "home-1", "--duration-s", "0", "--power-w", "1"], "1 to 86400 s"),
        (["cancel", "home-1", "abc"], "32 hex digits"),
        (["time", "home-1"], "--last"),
        (["homeowner", "home-1", "consent", "--sha256", "1"], "64 hex digits"),
        (["stop", "home-1", "--until", "done"], "invalid choice"),
        (["forge", "nonsense", "home-1"], "invalid choice"),
        ([], "VERB"),
    ],
)
def test_bad_arguments_say_what_is_expected(line: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(line)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["dispatch", "home-1", "--duration-s", "60"], "--power-w"),
        (["homeowner", "home-1", "reserve"], "--permille"),
        (["homeowner", "home-1", "storm", "--permille", "1"], "--for-s"),
        (["homeowner", "home-1", "opt_in", "--key", "/no/such"], "/no/such"),
    ],
)
def test_what_is_missing_is_a_sentence(aggregator: Aggregator, line: list[str], says: str) -> None:
    args = parsed(line)
    with pytest.raises((ValueError, OSError), match=says):
        verbs.build(aggregator, args.verb, args, at())


@pytest.mark.parametrize(
    ("verb", "target", "says"),
    [
        ("stop", "home-7", "knows home-1"),
        ("stop", "grp:north", "knows south"),
        ("quote", "grp:south", "not for a group"),
    ],
)
def test_nobody_is_asked(aggregator: Aggregator, verb: str, target: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        verbs.judge_target(aggregator, target, verbs.VERBS[verb])


def test_no_key_and_no_birth_are_sentences(tmp_path: Path) -> None:
    bare = Aggregator(keyring(DEVICE), counting())
    with pytest.raises(ValueError, match="no birth"):
        verbs.build(bare, "time", parsed(["time", "home-1", "--last", "0"]), at())
    (tmp_path / "devices.json").write_text(json.dumps({"version": 1, "fleet": "demo", "groups": [], "devices": {}}))
    bare.keyring.roles.clear()  # type: ignore[attr-defined]  # the test's own dict
    with pytest.raises(ValueError, match="no key dispatch"):
        verbs.build(bare, "stop", parsed(["stop", "home-1"]), at())


# --- versions and alarms ----------------------------------------------------------------------------------------------
def born(aggregator: Aggregator, seq: int, protocols: object) -> Verdict:
    return aggregator.receive(DEVICE.message("birth", seq, retain=True, protocols=protocols), at())[0]


def test_fewer_protocols_than_before_is_an_alarm_and_is_remembered(aggregator: Aggregator) -> None:
    assert born(aggregator, 2, [1, 2]).alarms == ()
    assert "spoke 2 before" in " ".join(born(aggregator, 3, [1]).alarms)
    assert aggregator.versions.best == {"home-1": 2}
    assert aggregator.stop("home-1", at()).claims["v"] == 1


def test_without_a_common_protocol_nothing_is_sent(aggregator: Aggregator) -> None:
    assert "nothing can be sent" in " ".join(born(aggregator, 2, [7]).alarms)
    with pytest.raises(ValueError, match="no common protocol"):
        aggregator.stop("home-1", at())
    with pytest.raises(ValueError, match="no common protocol"):
        aggregator.stop("grp:south", at())


def test_one_homes_list_stops_no_message_to_its_group() -> None:
    """Be it spite or a version that came too early: the others of the group are told to stop."""
    other = HandDevice("home-2", seed=b"\x02" * 32)
    for protocols in ([2], [], [2, 3]):
        made = Aggregator(keyring(DEVICE, other), counting())
        made.receive(DEVICE.message("birth", 1, protocols=[1]), at())
        verdict, _ = made.receive(other.message("birth", 1, protocols=protocols), at())
        assert "nothing can be sent" in " ".join(verdict.alarms)
        assert made.stop("grp:south", at()).claims["v"] == 1
        with pytest.raises(ValueError, match="no common protocol"):
            made.stop("home-2", at())


def test_a_group_is_spoken_to_as_most_of_it_understand() -> None:
    both = Versions({}, own=(1, 2))
    for device, listed in (("a", [1]), ("b", [1, 2]), ("c", [2])):
        both.heard(device, {"protocols": listed})
    assert [both.choose(some) for some in (("a", "b"), ("b",), ("b", "c"), ("a",), ("a", "b", "c"), ())] == [
        1,
        2,
        2,
        1,
        2,
        2,
    ]


@pytest.mark.parametrize("protocols", [None, "1", [True], [[]], []])
def test_a_birth_that_lists_nothing_sensible(aggregator: Aggregator, protocols: object) -> None:
    born(aggregator, 2, protocols)


def test_a_row_that_is_two_is_an_alarm(aggregator: Aggregator) -> None:
    aggregator.receive(DEVICE.message("event", 1), at())
    verdict, _ = aggregator.receive(DEVICE.message("event", 1, event="other"), at())
    assert "other content" in " ".join(verdict.alarms)
    assert any("!!" in line for line in show.verdict(verdict, at().wall_ms))


def test_a_gap_is_asked_for_as_one_range(aggregator: Aggregator) -> None:
    assert aggregator.resends(at()) == ()
    for seq in (1, 4, 9):
        aggregator.receive(DEVICE.message("event", seq), at())
    [signed] = aggregator.resends(at())
    assert (signed.role, signed.claims["kind"], signed.claims["first"], signed.claims["last"]) == (
        "service",
        "resend",
        2,
        8,
    )


def test_whatever_a_device_says_is_printable_and_fits(aggregator: Aggregator) -> None:
    for kind in ("birth", "live", "batch", "ack", "event", "settlement"):
        verdict, _ = aggregator.receive(DEVICE.message(kind, 5), at())
        assert verdict.refused is None
        for line in show.verdict(verdict, at().wall_ms):
            assert all(len(text) <= 40 for text in show.fit(line, 40))
    evil = Verdict("t", "home-1", refused=Refused("bad", "\x1b[31m" * 100 + "\r\n"))
    [line] = show.verdict(evil, 0)
    assert all(text.isprintable() and len(text) <= 40 for text in show.fit(line, 40))
    assert len(show.fit(line, 40)) == 3
