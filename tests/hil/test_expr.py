"""The scenario language: what it computes, what unknown does, and that nothing else can be said in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.expr import UNKNOWN, compile_expr

NAMES = ("a", "b", "truth.soc_permille", "mode")


def value(text: str, **known: Any) -> Any:
    known = {name.replace("__", "."): v for name, v in known.items()}
    return compile_expr(text, NAMES).value(known.get)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("a >= 5 and b < 3", True),
        ("not a == 7", False),
        ("-a + 1", -6),
        ("0 < b <= 2", True),
        ("mode in ('local', 'standby')", True),
        ("mode not in ('backup', 'fault')", True),
        ("abs(-3) + min(1, 2) + max(1, 2)", 6),
        ("a if b > 10 else 0", 0),
        ("truth.soc_permille - 2 >= 200", True),
    ],
)
def test_computes(text: str, expected: object) -> None:
    assert value(text, a=7, b=2, truth__soc_permille=205, mode="local") == expected


@pytest.mark.parametrize(
    "text", ["a > 1", "a + 1 == 2", "abs(a) < 3", "not (a < 1)", "a < 1 or b == 9", "mode < 3", "mode * 9 == 1"]
)
def test_unknown_spreads(text: str) -> None:
    assert value(text, a=None, b=2, mode="x") is UNKNOWN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a == None", True),
        ("a != 3", True),
        ("a > 1 and b == 9", False),
        ("a > 1 or b == 2", True),
        ("known(a)", False),
    ],
)
def test_unknown_does_not_hide_what_is_known(text: str, expected: bool) -> None:
    assert value(text, a=None, b=2) is expected


def test_unknown_is_never_taken_for_true_or_false() -> None:
    with pytest.raises(TypeError):
        bool(UNKNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')",
        "().__class__",
        "a.__class__",
        "(lambda: 1)()",
        "[x for x in (1,)]",
        "a[0]",
        "open('x')",
        "abs(x=1)",
        "f'{a}'",
        "2 ** 9999",
        "1 << 9",
        "(a := 3)",
        "b'x'",
        "1j",
        "{1: 2}",
        "",
        "a +",
        "nosuch > 1",
        "a" * 501,
        "(" * 300 + "1" + ")" * 300,
    ],
)
def test_refuses_everything_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_expr(text, NAMES)


def test_refusal_of_an_unknown_signal_names_the_near_ones() -> None:
    with pytest.raises(ValueError, match=r"no signal `soc_permille`; known: truth\.soc_permille"):
        compile_expr("soc_permille > 3", NAMES)


def test_says_what_it_asks_for() -> None:
    expr = compile_expr("abs(a) < truth.soc_permille", NAMES)
    assert (expr.names, expr.calls) == (frozenset({"a", "truth.soc_permille"}), frozenset({"abs"}))


def test_division_by_zero_is_unknown() -> None:
    assert value("a / b > 1", a=1, b=0) is UNKNOWN


@given(st.text(max_size=60))
def test_never_raises_anything_but_value_error(text: str) -> None:
    try:
        compile_expr(text, NAMES).value(lambda name: 1)
    except ValueError:
        return
