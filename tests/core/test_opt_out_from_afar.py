"""The homeowner's signed opt-out may come late: it takes nothing from the one that is there."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.inputs import ClockTrust, OptsIn, OptsOut
from agent.core.params import S
from tests.core.home import Home, arriving, command


def here(for_s: int = 0, role: str = "homeowner") -> OptsOut:
    return OptsOut(f"ann ({role})", role, for_s)


def afar(for_s: int = 0) -> OptsOut:
    return OptsOut("the homeowner, from afar", "homeowner", for_s, longer=True)


def left_s(home: Home) -> int | None:
    """Of the opt-out that is in force; None: until opt-in."""
    out = home.disk.opted_out
    assert out is not None
    return (out.until_ns - home.now_ns) // S if out.until_ms else None


@pytest.mark.parametrize(
    ("before", "after", "lasts_s"),
    [(0, 60, None), (600, 60, 600), (600, 900, 900), (600, 0, None), (0, 0, None)],
)
def test_one_from_afar_only_lengthens(before: int, after: int, lasts_s: int | None) -> None:
    home = Home().ready()
    home.tick(here(before), afar(after))
    assert left_s(home) == lasts_s
    home.run(70)
    home.tick(arriving(command(duration_s=60)))
    assert home.states() == ["no_participation"]
    home.tick(OptsIn("ann"), afar(60))
    assert left_s(home) == 60, "after an opt-in it begins anew"


def test_one_at_home_takes_the_place_of_any() -> None:
    home = Home().ready()
    home.tick(afar(), here(60))
    assert left_s(home) == 60


def test_a_technicians_that_lasts_longer_is_the_homeowners_from_then_on() -> None:
    home = Home().ready()
    home.tick(here(600, "technician"), afar(60))
    assert left_s(home) == 600
    assert home.disk.opted_out is not None
    assert home.disk.opted_out.role == "homeowner"


def test_after_a_reboot_what_is_left_at_most_is_compared() -> None:
    home = Home().ready()
    home.tick(here(3_000))
    later = home.crash(kernel_boot="kernel-2")
    later.trust = ClockTrust.UNTRUSTED
    held = later.disk.opted_out
    later.tick(afar(60))
    assert later.disk.opted_out == held
    later.tick(afar(3_001))
    assert left_s(later) == 3_001


def test_in_a_cycle_that_goes_wrong_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any) -> Any:
        raise ZeroDivisionError("a bug")

    home = Home().ready()
    home.tick(here(600))
    with monkeypatch.context() as patch:
        patch.setattr("agent.core.oblige.cure", bug)
        home.tick(afar(60))
        assert left_s(home) == 599, "a second went by"
        home.tick(afar(900))
        assert left_s(home) == 900
    home.run(150)
    home.tick(arriving(command(duration_s=60)))
    assert home.states() == ["no_participation"]
    home.run(900)
    assert home.disk.opted_out is None
