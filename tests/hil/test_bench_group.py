"""`bench group`: what its figures say, and a group of three on a real broker."""

from __future__ import annotations

import pytest

from hil.bench.group import STATES, Measured, Round, figures, measure
from hil.group.home import Stamps

S = 1_000_000_000
SCORE = {"duplicates": 0, "conflicts": 0, "missing": 0, "refused": 0}


def _measured(*late_s: float, acks: tuple[str, ...] = STATES) -> Measured:
    stamps = {f"home-{i}": Stamps(S, S, S, round(s * S) if s else 0, 1000, 2000, 3000) for i, s in enumerate(late_s, 1)}
    turn = Round(0, stamps, dict.fromkeys(stamps, acks))
    return Measured([turn], SCORE, 1.0, 1, 1.0, 0.1, 300.0)


def _figure(found: Measured, agents: int, name: str) -> bool:
    return next(figure.holds for figure in figures(found, agents) if name in figure.name)


@pytest.mark.parametrize(
    ("late_s", "holds"), [((0.2, 0.9), True), ((0.2, 1.1), False), ((0.2, 0.0), False)], ids=["all", "late", "never"]
)
def test_a_home_that_is_late_or_never_comes_is_seen(late_s: tuple[float, ...], holds: bool) -> None:
    assert _figure(_measured(*late_s), 2, "passed the gate") is holds


@pytest.mark.parametrize(
    ("acks", "holds"), [(STATES, True), (("received",), False), (("received", "received", "started"), False)]
)
def test_every_ack_is_accounted_for(acks: tuple[str, ...], holds: bool) -> None:
    assert _figure(_measured(0.1, acks=acks), 1, "acks came") is holds


@pytest.mark.slow
def test_three_homes_hear_a_command_to_their_group() -> None:
    found = measure(3, 2)
    for turn in found.rounds:
        assert set(turn.acks.values()) == {STATES}
        for stamps in turn.stamps.values():
            assert turn.sent_ns < stamps.heard <= stamps.verified <= stamps.committed <= stamps.gate
    assert found.score["missing"] == found.score["conflicts"] == 0
