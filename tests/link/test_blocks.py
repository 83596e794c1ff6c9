"""Sessions and their setpoints between the broker and the core, and what is drawn for a command at the edge."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.durable import Window
from agent.core.inputs import CommandIn
from agent.link.blocks import BLOCKS, Blocks
from agent.link.messages import parse_command
from tests.link.home import WALL, Home, posted

SESSION: dict[str, Any] = {
    "kind": "session", "start": WALL, "duration_s": 600, "lo_w": -5, "hi_w": 5, "seq": 10, "seq_from": 11,
    "seq_to": 1000, "id": "5" * 32,
}  # fmt: skip


def setpoint(home: Home, seq: int, **changes: Any) -> Any:
    body = {"kind": "dispatch", "power_w": 3, "duration_s": 4, "session": "5" * 32, "seq": seq, **changes}
    return home.agg.command(home.now, exp=home.now.wall_ms + 10_000, **body)


def taken(effects: Any) -> list[CommandIn]:
    return posted(effects, CommandIn)


@pytest.fixture
def home() -> Home:
    found = Home()
    found.ready()
    return found


def opened(home: Home) -> CommandIn:
    (got,) = taken(home.send(home.agg.command(home.now, **SESSION)))
    return got


def test_a_session_uses_up_its_whole_block_on_the_disk(home: Home) -> None:
    got = opened(home)
    ((stream, window),) = got.windows
    assert window.high == 1000
    later = Home(windows=[(stream, window)])
    later.ready()
    for seq in (11, 500, 1000):
        assert not taken(later.send(setpoint(later, seq)))
    assert later.session._counters["replay"] == 3
    assert taken(later.send(later.agg.command(later.now, seq=1001)))


def test_setpoints_come_in_any_order_each_once_and_leave_no_window(home: Home) -> None:
    opened(home)
    for seq in (11, 13, 12, 900):
        (got,) = taken(home.send(setpoint(home, seq)))
        assert got.windows == ()
        assert (got.command.session, got.command.seq) == ("5" * 32, seq)
        home.later(1)
    for seq in (11, 13, 900, 10, 1001):
        assert not taken(home.send(setpoint(home, seq)))
        home.later(1)


def test_a_setpoint_is_replayed_byte_for_byte_within_its_seconds(home: Home) -> None:
    opened(home)
    message = setpoint(home, 11)
    assert taken(home.send(message))
    assert not taken(home.send(message))


def test_other_commands_of_that_key_go_on_above_the_block(home: Home) -> None:
    opened(home)
    assert not taken(home.send(home.agg.command(home.now, seq=500)))
    assert taken(home.send(home.agg.command(home.now, seq=1001)))
    home.later(1)
    assert taken(home.send(setpoint(home, 12)))  # and the block is still the session's


def test_a_setpoint_is_of_its_own_session_alone(home: Home) -> None:
    opened(home)
    assert not taken(home.send(setpoint(home, 12, session="6" * 32)))
    assert not taken(home.send(setpoint(home, 12, iss="agg:other")))
    home.later(12)
    message = setpoint(home, 12)
    home.later(12)
    assert not taken(home.send(message))  # expired


@pytest.mark.parametrize("changes", [{"seq_from": 10}, {"seq_from": 5}, {"seq_to": 2**40}, {"seq": 2000}])
def test_a_block_that_is_not_new_or_too_long_is_refused(home: Home, changes: dict[str, Any]) -> None:
    assert not taken(home.send(home.agg.command(home.now, **{**SESSION, **changes})))
    assert home.session._counters == {"replay": 1}


def test_blocks_are_few() -> None:
    blocks = Blocks()
    for n in range(BLOCKS + 5):
        body = parse_command(
            {**SESSION, "v": 1, "iss": "a", "aud": "dev:a", "iat": WALL, "exp": WALL + 1, "id": f"{n:032x}"}
        )
        assert not isinstance(body, str)
        assert blocks.opened(body, "stream", Window(10, 1)).high == 1000
    assert len(blocks._open) == BLOCKS


def test_the_draw_is_the_same_again_and_another_in_every_home() -> None:
    def drawn(seed: bytes, command: str) -> int:
        there = Home(seed=seed)
        there.ready()
        (got,) = taken(there.send(there.agg.command(there.now, id=command)))
        return got.command.draw

    first = drawn(b"1" * 32, "a" * 32)
    assert drawn(b"1" * 32, "a" * 32) == first
    assert drawn(b"2" * 32, "a" * 32) != first
    assert drawn(b"1" * 32, "b" * 32) != first
    draws = [drawn(bytes([n]) * 32, "a" * 32) % 61 for n in range(40)]
    assert len(set(draws)) > 15  # a fleet is spread
