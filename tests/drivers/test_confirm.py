"""What a profile is not sure of: named with how to confirm it, and nothing is written by it before."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from drivers.binding import Binding
from drivers.convert import Live
from drivers.events import WriteClass, WriteSequence
from drivers.writer import compile_write
from tests.drivers.obeying import PROFILES
from tests.drivers.vector import Vector, binding_of, vectors


def unsure(vector: Vector) -> set[str]:
    """Points, floor and controls of low confidence, by the raw file; a control counts while it is the first."""
    raw: dict[str, Any] = tomllib.loads((PROFILES / f"{vector.data['profile']}.toml").read_text("utf-8"))
    usual = raw.get("confidence", "high")
    names = {point["name"] for point in raw["point"] if point.get("confidence", usual) == "low"}
    names |= {"floor"} if raw.get("floor", {}).get("confidence") == "low" else set()
    return names | {control["id"] for control in raw.get("control", []) if control.get("confidence") == "low"}


UNSURE = [vector for vector in vectors() if unsure(vector)]


def unconfirmed(vector: Vector) -> Binding:
    return binding_of(vector.wire(spec=replace(vector.spec, confirmed=frozenset())))


@pytest.mark.parametrize("vector", UNSURE, ids=lambda v: v.name)
def test_it_is_named_with_how_to_confirm_it(vector: Vector) -> None:
    capability = unconfirmed(vector).capability
    assert set(capability.unconfirmed) == unsure(vector)
    assert len(capability.confirm) == len(capability.unconfirmed)
    for name, how in zip(capability.unconfirmed, capability.confirm, strict=True):
        assert how.startswith(f"{name}: ")
        assert len(how) > len(name) + 20
    sure = binding_of(vector.wire(spec=replace(vector.spec, confirmed=frozenset(unsure(vector))))).capability
    assert sure.unconfirmed == sure.confirm == ()


@pytest.mark.parametrize("vector", UNSURE, ids=lambda v: v.name)
def test_nothing_is_written_by_it(vector: Vector) -> None:
    binding, low = unconfirmed(vector), unsure(vector)
    if "floor" in low:
        assert not isinstance(compile_write(binding, WriteClass.FLOOR, 300, 1, 1), WriteSequence)
    if "grid" in low:
        assert not binding.capability.signed_setpoint  # without evidence the gate writes no power
    if low & {control.id for control in vector.spec.profile.controls}:
        live = Live(pv_w=0, load_w=0, ac_w=0, battery_w=0, remote_active=False)
        for write_class in (WriteClass.POWER, WriteClass.STOP, WriteClass.CLEAR):
            assert not isinstance(compile_write(binding, write_class, 0, 1, 1, live), WriteSequence)


def test_the_families_whose_facts_are_known_to_be_unsure() -> None:
    names = {vector.name for vector in UNSURE}
    assert {"huawei_luna", "sungrow_sh", "sofar_hyd_g3", "sma_storage", "sma_stp_se", "deye_3p_hv"} <= names
    assert {"foxess_h1", "foxess_kh", "eg4_luxpower", "deye_1p", "deye_3p_lv"} <= names
