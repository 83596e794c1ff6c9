"""Default control: the lowest wish. Idle is held on grid alone, and not where that would wear a register out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.arbiter import NOTHING, Proposal, Rank, choose
from agent.core.decision import Mode
from agent.core.inputs import LocalStop, OptsIn, OptsOut
from agent.core.params import IDLE, SELF_CONSUMPTION, DefaultControl, Params
from agent.remote import Held, Remote, Settings, effective
from drivers.readings import GridState
from tests.core.home import PARAMS, Home, arriving, command

CONTROL = DefaultControl(3, IDLE)


def home(control: DefaultControl = CONTROL, **told: Any) -> Home:
    made = Home(replace(PARAMS, default=control))
    made.told = told
    return made.ready()


def test_idle_holds_the_battery_at_rest_and_gives_way_to_dispatch() -> None:
    here = home()
    here.run(3)
    assert (here.decision.source, here.given(), here.mode()) == ("default:idle", 0, Mode.LOCAL)
    here.tick(arriving(command(1, power_w=3000)))
    here.run(9)
    assert here.decision.source.startswith("dispatch:")
    assert here.given() == 3000
    here.run(900)
    assert (here.decision.source, here.given()) == ("default:idle", 0)


def test_idle_is_never_held_in_an_outage_nor_while_a_person_has_stopped_the_agent() -> None:
    here = home()
    here.run(3)
    here.tick(LocalStop("ann"))
    here.run(3)
    assert here.given() is None
    other = home()
    other.run(3)
    other.inverter["grid_state"] = GridState.ISLANDED
    other.run(3)
    assert (other.mode(), other.given()) == (Mode.BACKUP, None)


def test_a_homeowner_who_takes_no_part_is_not_held_at_rest() -> None:
    here = home()
    here.run(3)
    here.tick(OptsOut("ann (homeowner)", "homeowner"))
    here.run(3)
    assert (here.decision.source, here.given()) == ("self_consumption", None)
    here.tick(OptsIn("ann (homeowner)"))
    here.run(3)
    assert here.decision.source == "default:idle"


@pytest.mark.parametrize(
    "told", [{"wearing": ("power",)}, {"signed_setpoint": False}, {"reversion": "none"}, {"reversion": "unreliable"}]
)
def test_where_idle_cannot_be_held_the_inverter_is_let_be(told: Any) -> None:
    here = home(**told)
    here.run(3)
    assert (here.decision.source, here.given()) == ("self_consumption", None)


def test_self_consumption_by_name_is_that_of_the_factory() -> None:
    here = home(DefaultControl(4, SELF_CONSUMPTION))
    here.run(3)
    assert (here.decision.source, here.given()) == ("self_consumption", None)


def begun(ramp: int | None) -> int:
    """What a home at its reserve, without a floor of the inverter's, is first given of the house's 500 W."""
    here = Home(replace(PARAMS, default=DefaultControl(1, SELF_CONSUMPTION, ramp_permille_per_s=ramp)))
    here.told = {"floor": False}
    here.inverter["floor_permille"] = None
    here.battery["soc_permille"] = 209
    here.ready()
    return next(power for power in here.powers() if power)


def test_the_ramp_of_default_control_slows_what_is_driven_and_never_hastens_it() -> None:
    """Nameplate 11.4 kW: 10 permille a second are 114 W, and the first step is of two cycles."""
    assert begun(None) == begun(1000) == 500
    assert begun(10) == 228


def test_the_lowest_wish_is_above_none() -> None:
    assert choose([None]) is NOTHING
    wish = Proposal(Rank.DEFAULT, "default:idle", 0)
    assert choose([wish]) is wish
    assert choose([wish, Proposal(Rank.SELF_CONSUMPTION, "x", None)]).source == "x"


# --- what is set from afar starves no home ----------------------------------------------------------------------------
def test_below_the_reserve_idle_lets_the_sun_in_until_the_reserve_is_there() -> None:
    here = Home(replace(PARAMS, default=CONTROL))
    here.battery["soc_permille"] = 205
    here.ready().run(3)
    for permille, source in ((191, "default:idle"), (188, "self_consumption"), (199, "self_consumption")):
        here.battery["soc_permille"] = permille
        here.run(3)
        assert here.decision.source == source, permille
    here.battery["soc_permille"] = 203
    here.run(3)
    assert (here.decision.source, here.given()) == ("default:idle", 0)


STARVING = Remote(
    settled=Held(1, Settings(charge_limit_w=0, discharge_limit_w=0, import_limit_w=0, export_limit_w=0)),
    default=DefaultControl(1, SELF_CONSUMPTION, import_limit_w=0, export_limit_w=0),
)


def starved(params: Params = PARAMS, **told: Any) -> Home:
    made = Home(effective(params, STARVING))
    made.told = told
    return made


def test_no_limit_from_afar_keeps_a_home_below_its_reserve() -> None:
    here = starved(replace(PARAMS, restore_w=2500))
    here.battery["soc_permille"] = 215
    here.ready()
    here.run(60)
    assert (here.decision.source, here.decision.lo_w) == ("self_consumption", 0), "above it they hold"
    here.battery["soc_permille"] = 185
    here.run(120)
    assert (here.decision.source, here.given()) == ("cure:reserve", -2500)
    here.battery["soc_permille"] = 204
    here.run(30)
    assert (here.decision.source, here.decision.lo_w) == ("self_consumption", 0)


def test_no_limit_from_afar_keeps_the_sun_from_a_driven_battery_below_its_reserve() -> None:
    here = starved(floor=False)
    here.inverter["floor_permille"] = None
    here.battery["soc_permille"] = 150
    here.house_w = -4000
    here.ready()
    here.run(120)
    assert (here.decision.source, here.given()) == ("cure:absorb", -4000)
    here.tick(arriving(command(1, power_w=-3000)))
    here.run(9)
    assert here.given() == 0, "whoever asks for something is bound by them"


@pytest.mark.parametrize(("cell", "sign"), [({"cell_min_mv": 2800}, -1), ({"cell_max_mv": 3640}, 1)])
def test_no_limit_from_afar_keeps_a_cell_from_its_cure(cell: dict[str, int], sign: int) -> None:
    here = starved()
    here.ready()
    here.battery.update(cell)
    here.run(60)
    assert here.decision.source.startswith("cure:cell")
    assert here.given() == sign * 1250


def test_no_import_limit_from_afar_makes_the_battery_give() -> None:
    here = starved()
    here.house_w = 3000
    here.ready()
    here.run(10)
    assert (here.decision.source, here.given()) == ("self_consumption", None)
