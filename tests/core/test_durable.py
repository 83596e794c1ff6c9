"""Durable's text form: what was written is read, anything else is refused."""

from __future__ import annotations

import pytest

from agent.core.command import CommandState
from agent.core.durable import CommandRecord, Durable, Window, from_json, to_json
from tests.core.home import WALL_MS, command

FULL = Durable(
    windows=(("agg|key|dev:1", Window(9, 0b101)),),
    commands=(
        CommandRecord(
            command=command(start_ms=WALL_MS),
            state=CommandState.LIMITED,
            reason="reserve",
            accepted_ms=WALL_MS,
            accepted_ns=1,
            start_ns=2,
            end_ns=3,
            kernel_boot="k",
            started=True,
            delivered_mwh=-7,
        ),
    ),
    cancelled=(("a" * 32, 5, ""), ("b" * 32, 6, "kid")),
    starts_ms=(1, 2),
    clean_stop=True,
    stopped_by="ada",
    lockout="because",
    latches=("over_voltage",),
    floor_alarm=True,
)


@pytest.mark.parametrize("durable", [Durable(), FULL])
def test_round_trip(durable: Durable) -> None:
    assert from_json(to_json(durable)) == durable


def test_a_program_of_before_changes_what_is_cancelled_and_knows_nothing_of_keys() -> None:
    text = to_json(FULL).replace(f'["{"b" * 32}",6]', f'["{"b" * 32}",6],["{"c" * 32}",7]')
    assert [by for _, _, by in from_json(text).cancelled] == ["", "", ""]
    assert "cancelled_by" not in to_json(Durable(cancelled=(("a" * 32, 5, ""),)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"version":1}',
        to_json(Durable()).replace('"version":1', '"version":2'),
        to_json(FULL).replace('"limited"', '"unheard_of"'),
        to_json(FULL).replace('"primacy"', '"primary"'),
        to_json(FULL).replace('"accepted_ns"', '"accepted"'),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)
