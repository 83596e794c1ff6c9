"""Why an inverter takes no setpoint of ours, in the words that `device list` shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.readings import Capability
from tests.drivers.home import home
from tests.drivers.vector import Vector, binding_of, vectors
from tests.drivers.wire import S

KNOWN = {vector.name: vector for vector in vectors()}


def unconfirmed(name: str) -> Capability:
    vector = KNOWN[name]
    return binding_of(vector.wire(spec=replace(vector.spec, confirmed=frozenset()))).capability


@pytest.mark.parametrize("vector", KNOWN.values(), ids=lambda v: v.name)
def test_there_is_a_reason_exactly_where_it_takes_no_setpoint(vector: Vector) -> None:
    for confirmed in (vector.spec.confirmed, frozenset[str]()):
        capability = binding_of(vector.wire(spec=replace(vector.spec, confirmed=confirmed))).capability
        assert bool(capability.why_not) != capability.signed_setpoint
        assert all("\n" not in why and why.strip() == why for why in capability.why_not)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("eg4_luxpower", ("its profile knows no setpoint",)),
        ("foxess_h3_smart", ("no register of it proves that the grid is there",)),
        ("huawei_luna", ("the grid state is not confirmed",)),
        ("deye_3p_hv", ("control remote_mode is not confirmed",)),
        ("sma_stp_se", ("control wspt is not confirmed", "the grid state is not confirmed")),
        ("fronius_gen24", ()),
    ],
)
def test_the_reasons(name: str, why: tuple[str, ...]) -> None:
    assert unconfirmed(name).why_not == why


def test_without_a_rating_it_takes_none() -> None:
    vector = KNOWN["foxess_h3_smart"]
    capability = binding_of(vector.wire(spec=replace(vector.spec, nameplate_w=None))).capability
    assert capability.why_not == (
        "control remote gives no rating",
        "no register of it proves that the grid is there",
    )


def test_what_is_no_inverter_needs_no_reason() -> None:
    wire = home()
    wire.run(5 * S)
    found = {name: wire.statuses(name)[-1].capability for name in ("bms", "meter", "inverter")}
    assert all(capability is not None and capability.why_not == () for capability in found.values())
