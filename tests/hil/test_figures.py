"""The figures' JSON, their verdicts and their table."""

from __future__ import annotations

import io
import json

import pytest

from hil.figures import Figure, Report, Scalar


@pytest.mark.parametrize(
    ("value", "reach", "holds"),
    [
        (249.9, "<= 250", True),
        (250.1, "<= 250", False),
        (0.97, ">= 0.97", True),
        (0, "== 0", True),
        (1, "== 0", False),
        (True, "== true", True),
        (False, "== true", False),
        (None, "<= 250", False),
        (float("nan"), "<= 250", False),
        (True, "<= 250", False),
        ("ok", '== "ok"', True),
        (10**9, None, True),
    ],
)
def test_holds(value: Scalar, reach: str | None, holds: bool) -> None:
    assert Figure("x", value, "ms", reach).holds is holds


def test_json_has_the_keys_of_the_design_and_exit_code_follows_ok() -> None:
    good = Figure("dispatch.p99", 120.5, "ms", "<= 250", beside={"default": 1})
    bad = Figure("rss.ratio", 9.0, "", "<= 6.5")
    out, talk = io.StringIO(), io.StringIO()

    code = Report("bench", [good, bad], seed=7).print(as_json=True, out=out, talk=talk)

    shown = json.loads(out.getvalue())
    assert code == 1
    assert shown["ok"] is False
    assert shown["seed"] == 7
    assert shown["machine"]["cores"] >= 1
    assert shown["figures"][0] == {
        "name": "dispatch.p99",
        "value": 120.5,
        "unit": "ms",
        "reach": "<= 250",
        "holds": True,
        "beside": {"default": 1},
    }
    assert "xx missed: rss.ratio" in talk.getvalue()
    assert Report("bench", [good]).print(as_json=False, out=out, talk=talk) == 0


def test_a_report_of_nothing_is_not_ok() -> None:
    nothing = Report("empty", [])
    assert nothing.ok is False
    assert "xx nothing was measured" in nothing.table()
    assert "ok" not in nothing.table()
