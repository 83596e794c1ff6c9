"""Every theorem holds of the shipped source, and fails on the source that its own defect was planted in."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from agent.core import caps
from tests.proof import homes
from tests.proof.every import theorems
from tests.proof.monotone import LESS_IS_WORSE, MORE_IS_WORSE, NEITHER
from tests.proof.sources import Modules
from tests.proof.symbols import SYMBOLS, Paths, Unsound, explore
from tests.proof.theorem import Theorem, planted, prove

SPECIFIED = {
    *(f"I{n}" for n in range(1, 19)),
    "I3b",
    "M",
    "Q1",
    "R1",
    "N1",
    "P1",
    "P3",
    "P4",
    "S1",
    "S4",
    "S6",
    "S8",
    "G2",
}


@lru_cache
def shipped() -> Modules:
    return Modules()


@pytest.mark.slow
@pytest.mark.parametrize("one", theorems(), ids=lambda one: one.id)
def test_theorem(one: Theorem) -> None:
    proof = prove(one, shipped())
    assert proof.against is None, f"{one.words}: {proof.against}"
    assert proof.ranges


@pytest.mark.slow
@pytest.mark.parametrize("one", theorems(), ids=lambda one: one.id)
def test_its_defect_is_found(one: Theorem) -> None:
    """A theorem that cannot fail says nothing."""
    against = planted(one).against
    assert against is not None, f"{one.id} holds of a source with a defect in it"
    assert against.startswith("AssertionError"), against


def test_what_the_specification_names_is_there() -> None:
    assert {one.id.split()[0] for one in theorems()} >= SPECIFIED


def test_every_fact_is_bounded_and_has_its_theorem_of_monotony() -> None:
    assert set(homes.RANGES) == set(caps.Facts._fields)
    assert {*LESS_IS_WORSE, *MORE_IS_WORSE, *NEITHER} == set(caps.Facts._fields)


def test_every_row_is_written_so_that_it_takes_no_path() -> None:
    """Caps use the injected operators only: over symbols, each is one expression."""

    def rows(o: Paths) -> None:
        f = homes.facts(shipped(), o)
        for row in shipped().limits.LIMITS:
            row.cap(SYMBOLS, f, homes.params(shipped()))

    assert len(list(explore(rows))) == 1


def test_an_assertion_that_no_path_comes_to_is_no_proof() -> None:
    def idle(m: Modules, o: Paths) -> None:
        x = o.number("x", 0, 9)
        if x > 9:
            assert x == 99
        assert x >= 0

    told = prove(Theorem("X", "", idle, ("", "", "")), shipped()).against
    assert told is not None
    assert "x == 99" in told
    assert "x >= 0" not in told


def test_what_a_theorem_puts_into_a_module_is_gone_afterwards() -> None:
    def spoil(m: Modules, o: Paths) -> None:
        m.share.__dict__["share"] = None
        assert m.share.share is None

    assert prove(Theorem("X", "", spoil, ("", "", "")), shipped()).against is None
    assert shipped().share.share is not None


# --- the prover itself ------------------------------------------------------------------------------------------------
def outcomes(run: Any) -> list[Any]:
    return [value if error is None else type(error) for _, value, error in explore(run)]


def test_every_path_is_taken_once_and_no_impossible_one() -> None:
    def sign(o: Paths) -> str:
        x = o.number("x", -5, 5)
        if x > 3:
            return "big" if x > 2 else "never"
        return "zero" if x == 0 else "other"

    assert sorted(outcomes(sign)) == ["big", "other", "zero"]


def test_an_example_of_each_path_takes_that_path() -> None:
    """What was asserted before a fork is still there on its other way, and nothing of the way that was left."""

    def tangle(x: Any, y: Any, word: str) -> str:
        if word == "b" and x % 3 == 1:
            return "rest"
        if x > 50:
            return "deep" if x // (y + 1) > 20 else "shallow"
        return "same" if x == y else "other"

    def ways(o: Paths) -> str:
        x, word = o.number("x", 0, 99), o.pick("word", ("a", "b"))
        o.assume(x >= 10)
        y = o.number("y", 0, 20)
        o.assume(y <= x)
        return tangle(x, y, word)

    seen = []
    for paths, value, error in explore(ways):
        assert error is None
        example: Any = paths.example()
        assert 10 <= example["x"] <= 99 and 0 <= example["y"] <= min(20, example["x"])
        assert tangle(example["x"], example["y"], example["word"]) == value
        seen.append((value, example["word"]))
    assert sorted(seen) == sorted(
        [(way, word) for way in ("deep", "shallow", "same", "other") for word in ("a", "b")] + [("rest", "b")]
    )


@pytest.mark.parametrize("a", [-7, -1, 0, 1, 7])
@pytest.mark.parametrize("b", [1, 2, 3])
def test_division_rounds_as_python_does(a: int, b: int) -> None:
    def same(o: Paths) -> None:
        x, y = o.number("x", a, a), o.number("y", b, b)
        assert x // b == a // b
        assert x % b == a % b
        assert x // y == a // b
        assert x % y == a % b
        assert abs(x) == abs(a)

    assert outcomes(same) == [None]


def test_a_division_by_what_may_be_zero_is_refused() -> None:
    for divisor in (0, -1):
        with pytest.raises(Unsound):
            outcomes(lambda o, d=divisor: o.number("x", 0, 9) // d)
    with pytest.raises(Unsound):
        outcomes(lambda o: o.number("x", 0, 9) // o.number("y", 0, 9))


def test_assumptions_that_contradict_each_other_are_refused() -> None:
    def nonsense(o: Paths) -> None:
        x = o.number("x", 0, 9)
        o.assume(x > 9)
        assert x == 99

    with pytest.raises(Unsound):
        outcomes(nonsense)


def test_a_false_theorem_gives_the_inputs_that_break_it() -> None:
    def wrong(o: Paths) -> None:
        x = o.number("x", 0, 9)
        assert x * x != 49

    broken = [paths.example() for paths, _, error in explore(wrong) if error is not None]
    assert broken == [{"x": 7}]
