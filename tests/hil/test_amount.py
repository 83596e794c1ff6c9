"""What a command line asks for is more than nothing, or it is told what is expected."""

from __future__ import annotations

import argparse
import importlib

import pytest

from hil.amount import amount, count


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("007", 7)])
def test_counts(text: str, value: int) -> None:
    assert count(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "x", "\u0661"])
def test_no_counts(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="from 1 on expected"):
        count(text)


@pytest.mark.parametrize("text", ["0", "-0.1", "nan", "inf", "1e999", "", "x"])
def test_no_amounts(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="above 0 expected"):
        amount(text)


def test_amounts() -> None:
    assert amount("0.5") == 0.5


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("campaign.cli", "--device-days -1"),
        ("campaign.cli", "--jobs 0"),
        ("crash.cli", "--homes 0"),
        ("crash.cli", "--kills 0"),
        ("powercut.cli", "--cuts 0"),
        ("soak.cli", "--minutes 0"),
        ("street.cli", "--agents 0"),
        ("teeth.cli", "--jobs 0"),
        ("long.cli", "--hours 0"),
    ],
)
def test_a_command_that_would_do_nothing_is_refused(
    module: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"hil.{module}").main(words.split())
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err
