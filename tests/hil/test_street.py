"""Faults of some homes at a shared broker leave the traces of the others as they are, to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from hil.campaign.menu import dishes
from hil.street import cli
from hil.street.home import Street
from hil.street.street import plan


def value(report: object, name: str) -> object:
    return next(figure.value for figure in getattr(report, "figures", ()) if figure.name.startswith(name))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_of_each_fault_and_nobody_else_notices() -> None:
    report, _ = cli.fleet(2 * len(dishes()), 3)
    assert report.ok, f"{report.table()}\n{report.extra}"
    assert report.figures[0].beside["with a fault"] == len(dishes())


def test_each_kind_is_given_once_and_half_of_the_street_stays_well() -> None:
    given = plan(1_000, 4)
    assert sorted(dish.verb for dish in given.values()) == sorted(dish.verb for dish in dishes())
    assert len(plan(6, 4)) == 3
    assert plan(6, 4) == plan(6, 4)


@pytest.mark.slow
def test_homes_that_share_what_they_should_not_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_all_alike(self: Street, name: str, act: Callable[[], None]) -> None:
        act()

    monkeypatch.setattr(Street, "for_device", for_all_alike)  # ids of commands from one stream for all
    assert any(value(cli.fleet(6, seed)[0], "others whose trace differs") for seed in range(1, 6))


@pytest.mark.slow
def test_the_command_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--agents", "4", "--seed", "2", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["ok"], shown["seed"]) == (True, 2)
