"""Sessions and setpoints of the tool, each a run of its own, judged by a real link and then by a whole home."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest

from agent.core.command import CommandKind
from agent.core.inputs import CommandIn
from hil.aggregator import cli, verbs
from hil.aggregator.aggregator import Aggregator
from hil.aggregator.sessions import LEAST, PER_S, Sessions, numbers
from tests.link.home import BOOT, Home, posted
from tests.link.test_forgeries import keyring, message

SESSION = ["session", "home1", "--duration-s", "3600", "--lo-w", "-3000", "--hi-w", "3000"]
DISPATCH = ["dispatch", "home1", "--power-w", "1", "--duration-s", "60"]
RING = keyring()
DRAWS = itertools.count(1)


class Operator:
    """A directory of keys, and a home that hears what is sent from it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = Home()
        self.home.up()
        self.home.send(message(self.made().time("home1", BOOT, self.home.now).publish))

    def made(self, directory: Path | None = None) -> Aggregator:
        """As another run of the tool makes it, which knows nothing but the file."""
        made = Aggregator(RING, lambda n: next(DRAWS).to_bytes(n, "big"))
        made.sessions = Sessions(directory or self.directory)
        return made

    def run(self, *argv: str, directory: Path | None = None) -> tuple[str, list[CommandIn]]:
        """Id of what one run sends, and what the link takes of it."""
        args = cli._parser().parse_args(argv)
        signed = verbs.build(self.made(directory), args.verb, args, self.home.now)
        return signed.id, posted(self.home.send(message(signed.publish)), CommandIn)

    def setpoint(self, session: str, target: str = "home1") -> list[CommandIn]:
        return self.run("setpoint", target, "--session", session, "--power-w", "-1200")[1]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def test_a_home_takes_a_session_and_each_of_its_setpoints(operator: Operator) -> None:
    session, (taken,) = operator.run(*SESSION)
    assert taken.command.kind is CommandKind.SESSION
    for _ in range(20):
        (point,) = operator.setpoint(session)
        assert (point.command.session, point.command.power_w) == (session, -1200)
        operator.home.later(0.25)
    assert operator.home.session._counters == {}


@pytest.mark.parametrize("wait_s", [0, 0.001, 1, 60, 3700])
def test_whatever_another_run_sends_during_a_session_is_no_replay(operator: Operator, wait_s: float) -> None:
    session, taken = operator.run(*SESSION)
    assert taken
    operator.home.later(wait_s)
    for argv in (
        DISPATCH,
        DISPATCH,
        SESSION,
        SESSION,
        DISPATCH,
        ["cancel", "home1", session],
        ["quote", *DISPATCH[1:]],
    ):
        assert operator.run(*argv)[1], argv
        operator.home.later(0.001)
    assert wait_s > 3600 or operator.setpoint(session), "another session does not end this one's numbers"
    assert operator.home.session._counters == {}


def test_a_group_has_its_own_block_and_its_homes_hear_all_that_follows(operator: Operator) -> None:
    session, taken = operator.run("session", "grp:north", *SESSION[2:])
    assert taken
    assert operator.setpoint(session, "grp:north")
    assert operator.run(*DISPATCH)[1]
    assert operator.run("dispatch", "grp:north", *DISPATCH[2:])[1]
    with pytest.raises(ValueError, match="is of grp:north"):
        operator.setpoint(session)


def test_who_does_not_know_the_file_is_heard_again_when_utc_has_passed_the_block(
    operator: Operator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    session, _ = operator.run(*SESSION)
    with pytest.raises(ValueError, match="not opened"):
        operator.run("setpoint", "home1", "--session", session, "--power-w", "1", directory=elsewhere)
    assert operator.run(*DISPATCH, directory=elsewhere)[1] == []
    operator.home.later(numbers(3600) / 1000)
    assert operator.run(*DISPATCH, directory=elsewhere)[1] == [], "to the last number"
    operator.home.later(0.001)
    assert operator.run(*DISPATCH, directory=elsewhere)[1]


def test_a_block_is_as_long_as_the_session_needs(operator: Operator) -> None:
    assert (numbers(1), numbers(3600), numbers(86_400)) == (LEAST, 3600 * PER_S, 86_400 * PER_S)
    session, _ = operator.run("session", "home1", "--duration-s", "1", "--lo-w", "-1", "--hi-w", "1")
    for _ in range(LEAST):
        assert operator.setpoint(session)
        operator.home.later(1)
    with pytest.raises(ValueError, match="no number left"):
        operator.setpoint(session)
    assert operator.run(*DISPATCH)[1]


def test_blocks_that_are_over_are_forgotten_and_a_strange_file_is_a_sentence(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    for n, now_ms in ((1, 0), (2, 1000), (3, 2600)):
        sessions.opened(f"{n}", f"dev:{n}", 1 + 1000 * n, 500 + 1000 * n, end_ms=1000 * n, now_ms=now_ms)
    known = json.loads((tmp_path / "sessions.json").read_text())
    assert (set(known["sessions"]), set(known["last"])) == ({"3"}, {"dev:3"})
    given = [(a, sessions.number(a, 7, 2)) for a in ("dev:3", "dev:4", "grp:g", "grp:h", "dev:4")]
    assert given == [("dev:3", 3501), ("dev:4", 7), ("grp:g", 3503), ("grp:h", 3505), ("dev:4", 3507)]
    for text in ("[]", "{", '{"last": {}, "sessions": {"a": 1}}', '{"last": {"a": "b"}, "sessions": {}}', "[" * 9999):
        (tmp_path / "sessions.json").write_text(text)
        with pytest.raises(ValueError, match=r"sessions\.json"):
            sessions.number("dev:a", 1)


def test_a_whole_home_follows_the_setpoints_of_the_tool(tmp_path: Path) -> None:
    """Agent, devices and broker in virtual time; the tool's messages come over that broker."""
    from hil import scenario
    from hil.backends.virtual import VirtualBackend

    (tmp_path / "x.toml").write_text(HOME)
    backend = VirtualBackend(observed=False, traced=False)
    backend.start(scenario.load(tmp_path / "x.toml"), 7)
    backend.run_until(60 * 10**9)

    def run(*argv: str) -> str:
        tool = Aggregator(backend._aggregator.keyring, random.Random(str(argv)).randbytes, receipts=False)
        tool.sessions = Sessions(tmp_path)
        args = cli._parser().parse_args([argv[0], backend.device, *argv[1:]])
        signed = verbs.build(tool, args.verb, args, backend.runtime.now())
        backend._live.publish(signed.publish)
        return signed.id

    session = run(*SESSION[:1], *SESSION[2:])
    for second in range(1, 61):
        backend.run_until((60 + second) * 10**9)
        run("setpoint", "--session", session, "--power-w", "-1200")
    book = backend._aggregator.books[backend.device]
    assert [ack.state for ack in book.acks[session]] == ["received", "started"]
    assert book.lives[-1].claims["given_w"] == -1200
    later = run(*DISPATCH[:1], *DISPATCH[2:])
    backend.run_until(130 * 10**9)
    assert "received" in [ack.state for ack in book.acks[later]]
    backend.finish()
    assert book.counters.get("replay", 0) == 0


HOME = """[scenario]
name = "x"
about = "y"
hazards = []
seed = 7
duration = "10m"
[home]
soc_permille = 600
load_w = 900
"""
