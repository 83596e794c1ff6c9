"""No write leaves the registers of storage control, whatever made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.decision import Intent, Write
from agent.fence import STORAGE, outside
from agent.gate import Gate
from drivers import fence, profile, sunspec
from drivers.binding import Binding, BoundGroup
from drivers.events import RegisterWrite, WriteClass, WriteSequence
from tests.agent.rig import NOW, PARAMS, binding, decision, evidence, identified

NAMES = sorted(path.stem for path in profile.PROFILES.glob("*.toml"))
HARMLESS = {
    124: {"StorCtl_Mod", "MinRsvPct", "OutWRte", "InWRte", "InOutWRte_RvrtTms"},
    704: {
        "WSetEna",
        "WSetMod",
        "WSet",
        "WSetRvrt",
        "WSetPct",
        "WSetPctRvrt",
        "WSetEnaRvrt",
        "WSetRvrtTms",
    },
    715: {"ControllerHb"},
}


def order(*writes: RegisterWrite) -> WriteSequence:
    return WriteSequence(1, "inverter", WriteClass.POWER, 0, writes, (), NOW + 1)


def at(model: int) -> int:
    """Where the device has that model."""
    return next(address for number, address, _ in binding().chain if number == model)


def points(model: int) -> Iterator[tuple[str, int, int]]:
    for point in sunspec.model(model).points.values():
        yield point.name, point.offset, point.words


@pytest.mark.parametrize("model", sorted(STORAGE))
def test_the_table_is_what_the_models_call_storage_control(model: int) -> None:
    named = {offset + n for name, offset, words in points(model) if name in HARMLESS[model] for n in range(words)}
    assert named == STORAGE[model]


PROTECTION = [1, 120, 121, 122, 123, 702, 703, *range(705, 713)]


@pytest.mark.parametrize("model", PROTECTION)
def test_a_protection_point_is_refused_whatever_the_profile_says(model: int) -> None:
    """The chain is given every one of them, and the profile's list names every register of it."""
    base, length = 50_000, 80
    every = frozenset((None, address) for address in range(base, base + length + 2))
    wide = replace(binding(), chain=((model, base, length),), writable=every)
    for offset in range(length + 2):
        told = outside(order(RegisterWrite(base + offset, (1,))), wide)
        assert told is not None
        assert f"SunSpec model {model}" in told


@pytest.mark.parametrize("name", ["WMaxLimPctEna", "VarSet", "AntiIslEna", "PFWInjEna", "WRmp"])
def test_of_a_model_that_we_write_only_the_setpoint(name: str) -> None:
    base = 50_000
    point = sunspec.model(704).points[name]
    every = frozenset((None, address) for address in range(base, base + 70))
    wide = replace(binding(), chain=((704, base, 65),), writable=every)
    assert outside(order(RegisterWrite(base + point.offset, (1,))), wide) is not None
    allowed = sunspec.model(704).points["WSet"]
    assert outside(order(RegisterWrite(base + allowed.offset, (0, 1))), wide) is None


def test_a_write_that_begins_well_and_runs_on_is_refused() -> None:
    base = at(124)
    assert outside(order(RegisterWrite(base + 12, (0, 0))), binding()) is None
    assert "register" in str(outside(order(RegisterWrite(base + 12, (0, 0, 0))), binding()))
    good = RegisterWrite(base + 5, (3,))
    assert "register" in str(outside(order(good, RegisterWrite(base + 2, (9,))), binding()))


@pytest.mark.parametrize(
    "write",
    [
        RegisterWrite(0, (1,), function=5),
        RegisterWrite(0, (), function=16),
        RegisterWrite(0, (1,) * 124, function=16),
        RegisterWrite(0, (1, 2), function=6),
    ],
)
def test_what_is_no_write_of_ours(write: RegisterWrite) -> None:
    every = frozenset((None, address) for address in range(200))
    wide = replace(binding(), chain=(), writable=every)
    assert "function" in str(outside(order(write), wide))
    assert outside(order(RegisterWrite(0, (1,) * 123)), wide) is None


def test_a_model_reaches_to_its_last_register_and_no_further() -> None:
    """ID, L and `L` registers more; what follows belongs to the next model, or to none."""
    every = frozenset((None, address) for address in range(50_000, 50_200))
    wide = replace(binding(), chain=((121, 50_000, 10), (124, 50_012, 24)), writable=every)
    assert "model 121" in str(outside(order(RegisterWrite(50_011, (1,))), wide))
    assert "model 124" in str(outside(order(RegisterWrite(50_012, (1,))), wide))
    assert outside(order(RegisterWrite(50_012 + 5, (1,))), wide) is None
    assert "model 124" in str(outside(order(RegisterWrite(50_037, (1,))), wide))
    assert outside(order(RegisterWrite(50_038, (1,))), wide) is None
    assert outside(order(RegisterWrite(49_999, (1,))), wide) is not None  # not of the profile's list


@pytest.mark.parametrize("function", [*range(1, 6), *range(7, 16), 17, 22, 23])
def test_two_functions_write(function: int) -> None:
    wide = replace(binding(), chain=(), writable=frozenset({(None, 0)}))
    assert outside(order(RegisterWrite(0, (1,), function=6)), wide) is None
    assert outside(order(RegisterWrite(0, (1,), function=16)), wide) is None
    assert f"function {function} " in str(outside(order(RegisterWrite(0, (1,), function=function)), wide))


@pytest.mark.parametrize("unit", [None, 9, 3])
def test_another_unit_number_is_no_way_around_the_table(unit: int | None) -> None:
    """3 is the device's own; 9 is not, and a device may answer for both."""
    base = at(124)
    wide = replace(binding(), writable=frozenset((unit, base + n) for n in range(-40, 26)))
    assert binding().unit == 3
    for offset in (-1, 0, 2, 6, 8):
        assert outside(order(RegisterWrite(base + offset, (1,), unit=unit)), wide) is not None
    assert (outside(order(RegisterWrite(base + 5, (1,), unit=unit)), wide) is None) == (unit != 3)
    assert outside(order(RegisterWrite(base + 5, (1,), unit=8)), wide) is not None  # not of the profile's list


def test_the_own_unit_by_another_name_is_refused_without_a_model_too() -> None:
    wide = replace(binding(), chain=(), writable=frozenset({(3, 100), (None, 100)}))
    assert "own" in str(outside(order(RegisterWrite(100, (1,), unit=3)), wide))
    assert outside(order(RegisterWrite(100, (1,))), wide) is None


TWIN = '[[control.power]]\nunit = "twin"\nwrite = [{ vendor = true, at = 40160, type = "u16", value = 0 }]\n\n'


def test_a_profile_of_the_sites_own_reaches_no_protection_by_a_second_name_of_the_unit(tmp_path: Path) -> None:
    """40160 lies in model 122 of the demo inverter. Bound and compiled as if nobody had looked at its configuration."""
    shipped = (profile.PROFILES / "sunspec_hybrid.toml").read_text("utf-8")
    own = shipped.replace('id = "sunspec_hybrid"', 'id = "own_hybrid"', 1)
    own = own.replace("[line]\n", "[line]\nunits = { twin = 3 }\n", 1)
    place = own.index("[[control.power]]", own.index('id = "model_124"'))
    (tmp_path / "own_hybrid.toml").write_text(own[:place] + TWIN + own[place:], "utf-8")

    bound = identified(profile.load("own_hybrid", tmp_path))

    assert next(model for model, base, length in bound.chain if base <= 40_160 < base + length + 2) in PROTECTION
    told = Gate(PARAMS).admit(Write(Intent.POWER, 1000, "test"), decision(), bound, evidence())
    assert "refused by the gate" in str(told)
    assert "own" in str(told)


def test_a_binding_that_nobody_fenced_takes_nothing() -> None:
    bare = replace(binding(), writable=frozenset())
    for intent in (Intent.POWER, Intent.CLEAR, Intent.STOP):
        told = Gate(PARAMS).admit(Write(intent, 0, "test"), decision(), bare, evidence())
        assert "refused by the gate" in str(told)


def test_a_bug_in_the_binding_does_not_reach_the_wire() -> None:
    """The setpoint is moved to WChaMax, a nameplate register, after the fence was made."""

    def moved(group: BoundGroup) -> BoundGroup:
        return replace(group, puts=tuple(replace(put, address=at(124) + 2) for put in group.puts[:1]))

    good = binding()
    assert good.control is not None
    wrong = replace(good, control=replace(good.control, power=tuple(moved(g) for g in good.control.power)))
    assert isinstance(Gate(PARAMS).admit(Write(Intent.POWER, 500, "test"), decision(), good, evidence()), WriteSequence)
    assert "refused by the gate" in str(
        Gate(PARAMS).admit(Write(Intent.POWER, 500, "test"), decision(), wrong, evidence())
    )


# --- profiles ---------------------------------------------------------------------------------------------------------
CHAIN = tuple((model, 40_000 + 200 * n, 120) for n, model in enumerate((1, 124, 704, 715)))


def test_the_fence_is_what_control_and_floor_name_and_nothing_else() -> None:
    hybrid = profile.load("sunspec_hybrid")
    base = {model: address for model, address, _ in CHAIN}
    assert fence.writable(hybrid, "model_124", CHAIN, {}) == {(None, base[124] + n) for n in STORAGE[124]}
    of_704 = {(None, base[704] + n) for n in STORAGE[704]} | {(None, base[715] + n) for n in STORAGE[715]}
    floor = {(None, base[124] + 7)}
    assert fence.writable(hybrid, "model_704", CHAIN, {}) == of_704 | floor
    assert fence.writable(hybrid, None, CHAIN, {}) == floor
    assert fence.writable(hybrid, "model_704", (), {}) == frozenset()
    cut = ((124, 40_000, 10),)  # this maker's model ends before OutWRte
    assert fence.writable(hybrid, "model_124", cut, {}) == {(None, 40_005), (None, 40_007)}


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_profile_is_inside_its_own_fence(name: str) -> None:
    """What is never written has none; what is, has the few registers of its orders: tens, not hundreds."""
    found = profile.load(name)
    for control in found.controls:
        registers = fence.writable(found, control.id, CHAIN, {})
        if not control.models or set(control.models) <= {model for model, _, _ in CHAIN}:
            assert 0 < len(registers) < 40
    if not found.controls and found.floor is None:
        assert fence.writable(found, None, CHAIN, {}) == frozenset()


def test_units_by_name_are_those_of_the_configuration() -> None:
    named = profile.load("victron_gx")
    control = named.controls[0]
    own = {unit for unit, _ in fence.writable(named, control.id, (), {})}
    assert own <= {None, *dict(named.units).values()}
    name = next(group.unit for group in fence.written(control) if group.unit)
    assert 77 in {unit for unit, _ in fence.writable(named, control.id, (), {name: 77})}


def test_protection_is_taken_off_the_list() -> None:
    named = profile.load("victron_gx")
    control = named.controls[0]
    registers = fence.writable(named, control.id, (), {})
    gone = min(address for _, address in registers)
    denied = replace(named, protection=((gone, gone),))
    assert fence.writable(denied, control.id, (), {}) == {r for r in registers if r[1] != gone}


def test_the_demo_inverter_passes_every_order() -> None:
    bound: Binding = binding()
    for intent, value in ((Intent.POWER, 500), (Intent.POWER, -500), (Intent.CLEAR, 0), (Intent.FLOOR, 200)):
        assert isinstance(
            Gate(PARAMS).admit(Write(intent, value, "test"), decision(), bound, evidence()), WriteSequence
        )
