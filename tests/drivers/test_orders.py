"""Orders on the wire: pauses, registers that wear out, acknowledged but not applied, and what is not confirmed yet."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.convert import Live, to_battery, to_device
from drivers.events import WriteClass, WriteOutcome, WriteResult, WriteSequence
from drivers.orders import Order
from drivers.wear import DAY_NS, Share, most
from drivers.writer import compile_write
from tests.drivers.vector import Vector, binding_of, vectors
from tests.drivers.wire import MS, S, Wire

BY_NAME = {vector.name: vector for vector in vectors()}
HOUR = 3600 * S


def unit(vector: Vector) -> int:
    number: int = vector.data["unit"]
    return number


def send(
    wire: Wire, write_class: WriteClass, value: int = 0, live: Live | None = None, share: Share = Share.HOME
) -> WriteResult:
    released = Live(remote_active=False)
    order = compile_write(binding_of(wire), write_class, value, 1, wire.now + S, live or released, share)
    assert isinstance(order, WriteSequence), order
    wire.order_now(order)
    wire.run(6 * S)
    return wire.results()[-1]


def written(wire: Wire, vector: Vector) -> list[tuple[int, tuple[int, ...]]]:
    writes = wire.slaves[unit(vector)].writes
    found, writes[:] = [*writes], []
    return found


def test_a_register_that_is_right_already_is_not_written_again() -> None:
    vector = BY_NAME["goodwe_et"]
    wire = vector.wire()
    assert send(wire, WriteClass.POWER, -2500).outcome is WriteOutcome.CONFIRMED
    assert written(wire, vector) == [(47511, (8,)), (47511, (11,)), (47512, (2500,))]  # 47512 was 0 already
    ruling = Live(remote_active=True, remote_w=-2500)
    assert send(wire, WriteClass.POWER, -2500, ruling).outcome is WriteOutcome.CONFIRMED
    assert written(wire, vector) == []
    assert send(wire, WriteClass.POWER, -2600, ruling).outcome is WriteOutcome.CONFIRMED
    assert written(wire, vector) == [(47512, (2600,))]


def test_the_daily_budget_ends_setpoints_and_never_a_release() -> None:
    vector = BY_NAME["goodwe_et"]
    wire = vector.wire()
    device = wire.bus._devices[0]
    for _ in range(160):  # of 200, a fifth is kept for releases
        device.keeper.wear.wrote(wire.now)
    result = send(wire, WriteClass.POWER, -2500)
    assert result.outcome is WriteOutcome.WORN
    assert "again in 2" in result.detail
    assert DAY_NS - HOUR < result.free_ns - wire.now <= DAY_NS
    assert written(wire, vector) == []
    wire.slaves[unit(vector)].put(3, 47511, 11, 900)
    assert send(wire, WriteClass.CLEAR).outcome is WriteOutcome.CONFIRMED
    assert written(wire, vector) == [(47511, (1,)), (47512, (0,))]
    wire.slaves[unit(vector)].put(3, 47511, 11, 900)
    assert send(wire, WriteClass.STOP).outcome is WriteOutcome.CONFIRMED
    assert written(wire, vector) == [(47511, (8,)), (47512, (0,))]


def test_dispatch_stops_at_its_part_and_the_home_goes_on() -> None:
    vector = BY_NAME["goodwe_et"]
    wire = vector.wire()
    device = wire.bus._devices[0]
    for _ in range(96):  # half of 200 is dispatch's, less what it needs now and what its release will
        device.keeper.wear.wrote(wire.now)
    result = send(wire, WriteClass.POWER, -2500, share=Share.DISPATCH)
    assert result.outcome is WriteOutcome.SPENT
    assert "the rest is the home's own; again in 2" in result.detail
    assert DAY_NS - HOUR < result.free_ns - wire.now <= DAY_NS
    assert written(wire, vector) == []
    assert send(wire, WriteClass.POWER, -2500).outcome is WriteOutcome.CONFIRMED
    assert len(written(wire, vector)) == 3


@pytest.mark.parametrize("name", ["sofar_hyd_g3", "huawei_luna", "solaredge_storedge", "victron_gx"])
def test_a_confirmed_setpoint_tells_when_the_writes_for_taking_control_twice_are_gone(name: str) -> None:
    vector = BY_NAME[name]
    wire = vector.wire()
    device = wire.bus._devices[0]
    control = binding_of(wire).control
    assert control is not None
    arm = sum(group.wears for group in (*control.arm, *control.power))
    release = sum(group.wears for group in control.clear)
    room = most(control.daily_writes, release, Share.HOME) - 2 * (arm + release)
    live = Live(remote_active=True, remote_w=0, pv_w=0, load_w=0, ac_w=0, battery_w=0)
    wire.now += DAY_NS
    used = device.keeper.wear.count(wire.now)
    for _ in range(room - used):
        device.keeper.wear.wrote(wire.now)
    order = Order(compiled(wire, live), device, wire.bus._port)
    assert order._short_ns(wire.now) == 0
    device.keeper.wear.wrote(wire.now)
    assert 0 < order._short_ns(wire.now) - wire.now <= DAY_NS
    release_order = compile_write(binding_of(wire), WriteClass.CLEAR, 0, 1, 1, live)
    assert isinstance(release_order, WriteSequence)
    assert Order(release_order, device, wire.bus._port)._short_ns(wire.now) == 0


def test_where_each_setpoint_wears_nothing_is_spared_by_holding_on() -> None:
    wire = BY_NAME["goodwe_et"].wire()
    device = wire.bus._devices[0]
    for _ in range(165):
        device.keeper.wear.wrote(wire.now)
    order = Order(compiled(wire, Live(remote_active=True, remote_w=-2500)), device, wire.bus._port)
    assert order._short_ns(wire.now) == 0


def compiled(wire: Wire, live: Live) -> WriteSequence:
    order = compile_write(binding_of(wire), WriteClass.POWER, 0, 1, wire.now + S, live)
    assert isinstance(order, WriteSequence), order
    return order


@pytest.mark.parametrize("lost", [1, 2, 3, 9])
def test_a_wearing_write_whose_answer_is_lost_counts_and_is_not_made_again_unseen(lost: int) -> None:
    """The device has written it: a read shows so, and no second write follows."""
    vector = BY_NAME["goodwe_et"]
    wire, left = vector.wire(), [lost]
    device = wire.bus._devices[0]

    def maul(request: bytes, reply: bytes) -> list[tuple[int, bytes]]:
        if request[1] in (6, 16) and left[0] > 0:
            left[0] -= 1
            return []
        return [(0, reply)]

    wire.maul = maul
    assert send(wire, WriteClass.POWER, -2500).outcome is WriteOutcome.CONFIRMED
    assert written(wire, vector) == [(47511, (8,)), (47511, (11,)), (47512, (2500,))]
    assert device.keeper.wear.count(wire.now) == 3


@pytest.mark.parametrize("releasing", [False, True])
def test_a_device_that_swallows_wearing_writes_is_asked_three_times_and_each_counts(releasing: bool) -> None:
    vector = BY_NAME["goodwe_et"]
    wire = vector.wire()
    device = wire.bus._devices[0]
    slave = wire.slaves[unit(vector)]
    slave.put(3, 47511, 11, 900)
    slave.before = lambda slave, address, words: False
    wire.maul = lambda request, reply: [] if request[1] in (6, 16) else [(0, reply)]
    result = send(wire, WriteClass.CLEAR if releasing else WriteClass.POWER, -2500)
    assert result.outcome is WriteOutcome.SILENT
    assert "asked 3 times" in result.detail
    assert len(written(wire, vector)) == 3
    assert device.keeper.wear.count(wire.now) == 3


def test_a_retry_that_the_budget_has_no_room_for_is_not_made() -> None:
    vector = BY_NAME["goodwe_et"]
    wire = vector.wire()
    device = wire.bus._devices[0]
    order = compile_write(binding_of(wire), WriteClass.POWER, -2500, 1, 1, Live(remote_active=False))
    assert isinstance(order, WriteSequence)
    need = sum(write.wears for write in order.writes)
    home = most(200, 2, Share.HOME)
    for _ in range(home - need):
        device.keeper.wear.wrote(wire.now)
    slave = wire.slaves[unit(vector)]
    slave.before = lambda slave, address, words: False
    wire.maul = lambda request, reply: [] if request[1] in (6, 16) else [(0, reply)]
    assert send(wire, WriteClass.POWER, -2500).outcome is WriteOutcome.WORN
    assert len(written(wire, vector)) == 1
    assert device.keeper.wear.count(wire.now) <= home


def test_the_order_of_a_release_is_of_that_share_whoever_asks() -> None:
    binding = binding_of(BY_NAME["goodwe_et"].wire())
    for write_class in (WriteClass.CLEAR, WriteClass.STOP):
        order = compile_write(binding, write_class, 0, 1, 1, Live(remote_active=True), Share.DISPATCH)
        assert isinstance(order, WriteSequence)
        assert order.share is Share.RELEASE


def test_acknowledged_without_being_applied_is_a_mismatch() -> None:
    vector = BY_NAME["growatt_vpp"]
    wire = vector.wire()
    result = send(wire, WriteClass.POWER, -2500)  # 30474 goes on showing 0
    assert result.outcome is WriteOutcome.MISMATCH
    assert "register 30474 reads 0, 25 was written" in result.detail


def test_pauses_between_writes_are_kept() -> None:
    vector = BY_NAME["solis_hybrid"]
    wire = vector.wire()
    assert send(wire, WriteClass.POWER, 1000).outcome is WriteOutcome.CONFIRMED
    sent = [at_ns for at_ns, frame in wire.sent if frame[1] == 6]
    assert len(sent) == 4
    assert all(later - earlier >= 100 * MS for earlier, later in itertools.pairwise(sent))


@pytest.mark.parametrize("name", ["huawei_luna", "sungrow_sh", "sofar_hyd_g3", "sma_storage", "eg4_luxpower"])
def test_a_grid_state_that_is_not_confirmed_is_not_believed(name: str) -> None:
    vector = BY_NAME[name]
    wire = vector.wire(spec=replace(vector.spec, confirmed=frozenset()))
    capability = binding_of(wire).capability
    assert str(wire.inverters()[-1].grid_state) == "unknown"
    assert "grid" in capability.unconfirmed
    assert not capability.grid_evidence
    assert not capability.signed_setpoint
    assert "a commissioning check must confirm it" in wire.statuses("device")[-1].detail


def test_a_control_that_is_not_confirmed_takes_no_setpoint() -> None:
    vector = BY_NAME["deye_3p_hv"]
    wire = vector.wire(spec=replace(vector.spec, confirmed=frozenset()))
    refusal = compile_write(binding_of(wire), WriteClass.POWER, 100, 1, 1)
    assert isinstance(refusal, str)
    assert "remote_mode is not sure" in refusal
    assert "remote_mode" in binding_of(wire).capability.unconfirmed


def test_without_a_rating_of_the_device_or_the_site_there_is_no_setpoint() -> None:
    vector = BY_NAME["victron_gx"]
    wire = vector.wire(spec=replace(vector.spec, nameplate_w=None))
    refusal = compile_write(binding_of(wire), WriteClass.POWER, 100, 1, 1, Live(ac_w=0, battery_w=0))
    assert isinstance(refusal, str)
    assert "gives no rating" in refusal


@given(
    st.sampled_from(["none", "pv", "measured", "grid"]),
    st.integers(-100_000, 100_000),
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.integers(-100_000, 100_000),
    st.integers(-100_000, 100_000),
)
def test_conversion_there_and_back_is_the_battery_target(
    convert: str, target: int, pv: int, load: int, ac: int, battery: int
) -> None:
    live = Live(pv, load, ac, battery)
    device = to_device(convert, target, live)
    assert isinstance(device, int)
    assert to_battery(convert, device, live) == target


def test_conversion_by_hand() -> None:
    live = Live(pv_w=2000, load_w=1500, ac_w=2700, battery_w=800)
    assert to_device("none", -500, live) == -500
    assert to_device("pv", -500, live) == 1500  # 2000 W of PV, 500 of it into the battery
    assert to_device("measured", -500, live) == 1400  # 100 W are lost or used behind it
    assert to_device("grid", -500, live) == 0  # load 1500 = PV 2000 - charging 500
    for convert in ("pv", "measured", "grid"):
        assert isinstance(to_device(convert, 0, Live()), str)


def test_a_reversion_time_in_minutes_is_rounded_up() -> None:
    vector = BY_NAME["huawei_luna"]
    binding = binding_of(vector.wire(spec=replace(vector.spec, reversion_s=121)))
    order = compile_write(binding, WriteClass.POWER, 0, 1, 1)
    assert isinstance(order, WriteSequence)
    assert next(write.words for write in order.writes if write.address == 47083) == (3,)
