"""`bench command`: which stamp belongs to which command, and one tiny run of both sides."""

from __future__ import annotations

import pytest

from hil.bench.command import PARTS, Span, agent_spans, bare_spans, figures, measure
from hil.devices import sunspec_hybrid as model
from hil.devices.slave import seal

READ = seal(bytes((3, 3, 0x9C, 0x40, 0, 10))).hex()


def _fc16(address: int, *words: int) -> str:
    values = b"".join(word.to_bytes(2, "big") for word in words)
    return seal(bytes((3, 16)) + address.to_bytes(2, "big") + bytes((0, len(words), len(values))) + values).hex()


BARE = Span(0, 1_000_000, 3_000_000)
LEASE, RATE = _fc16(model.RVRT_TMS, 60), _fc16(model.OUT_W_RTE, 500, 65_036)


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (f"w 10 {READ}\nr 20\nm 110\nw 130 {LEASE}\nr 135\nw 140 {RATE}", Span(100, 110, 130, True)),
        (f"w 10 {READ}\nr 20\nm 110\nw 140 {RATE}", Span(100, 110, 140, True)),
        (f"w 105 {READ}\nm 110\nr 120\nw 140 {RATE}", Span(100, 110, 140, False)),  # a poll was on the wire
        (f"m 110\nw 115 {READ}\nr 120\nw 140 {RATE}", Span(100, 110, 140, False)),  # a poll went first
        (f"m 90\nm 110\nw 112 {_fc16(model.OUT_W_RTE, 499, 0)}\nw 140 {RATE}", Span(100, 110, 140, True)),  # one before
    ],
)
def test_a_commands_stamps(stamps: str, expected: Span) -> None:
    assert agent_spans([(100, 500)], stamps) == [expected]


def test_what_a_command_is_between_its_parts_is_taken_in_order_and_shown_as_the_middle_of_each() -> None:
    posted = "p 105 Committed\np 112 CommandIn\np 115 Committed\np 118 CommitRequest\np 125 Committed\np 131 Execute"
    (span,) = agent_spans([(100, 500)], f"m 110\n{posted}\nw 140 {RATE}\np 150 CommandIn")
    assert span.posted_ns == (112, 118, 125, 131)
    assert [round(ms * 1e6) for ms in span.parts_ms] == [2, 6, 7, 6, 9]
    whole = Span(0, 0, 9_000_000, True, (1_000_000, 3_000_000, 6_000_000, 7_000_000))
    shown = {figure.name: figure for figure in figures({"agent": [whole, span], "bare": [span]}, 1)}
    assert list(shown["of it in each part, p50"].beside) == list(PARTS)
    assert "of it in each part, p50" not in {figure.name for figure in figures({"agent": [BARE], "bare": [BARE]}, 1)}


def test_a_command_without_a_write_is_missing_and_the_figure_says_so() -> None:
    assert agent_spans([(100, 500)], f"m 110\nw 112 {READ}\n") == []
    span = Span(0, 1_000_000, 3_000_000)
    shown = figures({"agent": [span], "bare": [span, span]}, 2)
    assert [figure.holds for figure in shown if figure.name.startswith("commands answered")] == [False]


def test_the_bare_sides_lines_are_taken_in_order() -> None:
    assert bare_spans([1, 4], "ready\n2 3\n5 6\n") == [Span(1, 2, 3), Span(4, 5, 6)]
    with pytest.raises(ValueError, match="zip"):
        bare_spans([1, 4], "2 3\n")


def test_only_an_idle_bus_counts() -> None:
    fast, slow = Span(0, 1_000_000, 3_000_000), Span(0, 1_000_000, 300_000_000, idle=False)
    shown = {figure.name: figure for figure in figures({"agent": [fast, slow], "bare": [fast, fast]}, 2)}
    assert shown["paho + commit + write, agent / bare, p99"].value == 1.0
    assert shown["on_message -> first write, p50"].value == 2.0
    assert shown["commands on an idle bus"].beside == {"behind a poll, not counted": 1}


@pytest.mark.slow
def test_both_sides_answer() -> None:
    sides = measure(3, 1, 1)
    assert {name: len(spans) for name, spans in sides.items()} == {"agent": 3, "bare": 3}
    for span in (*sides["agent"], *sides["bare"]):
        assert span.sent_ns < span.heard_ns < span.wrote_ns
    assert all(len(span.parts_ms) == len(PARTS) for span in sides["agent"])
