"""Every family that is commanded, through its whole cycle on the wire: arm, setpoint, renewal, silence, release; and
devices that acknowledge and do nothing, disks that do not answer, daemons that are killed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drivers.convert import Live
from drivers.events import Presence, WriteClass, WriteOutcome, WriteResult, WriteSequence
from drivers.memory import Memory
from drivers.writer import compile_write
from tests.drivers.obeying import TIMED, Obeying
from tests.drivers.vector import Vector, binding_of, vectors
from tests.drivers.wire import S, Slave

COMMANDED = [v for v in vectors() if v.data.get("commanded", True)]
commanded = pytest.mark.parametrize("vector", COMMANDED, ids=lambda v: v.name)


class Stage:
    """A device that obeys its file, on a wire, and what was sent to it."""

    def __init__(self, vector: Vector, memory: Memory | None = None, slaves: list[Slave] | None = None) -> None:
        self.vector = vector
        self.wire = vector.wire(slaves, replace(vector.spec, memory=memory or Memory()))
        units = {"": self.wire.slaves[vector.data["unit"]]}
        units |= {name: self.wire.slaves[unit] for name, unit in vector.spec.profile.units}
        control = binding_of(self.wire).control
        assert control is not None
        self.control = control
        self.device = Obeying(vector.data["profile"], control.id, units, lambda: self.wire.now)
        converted = control.convert != "none"
        self.watts = min(control.rated_charge_w, control.rated_discharge_w) // (4 if converted else 2) // 100 * 100

    @property
    def tells(self) -> bool:
        return self.device.mode() is not None

    def live(self) -> Live:
        """What the gate would hand over: the latest reading."""
        seen = self.wire.inverters()[-1]
        given = self.vector.data.get("live", {})
        return Live(
            pv_w=seen.pv_w if seen.pv_w is not None else given.get("pv_w"),
            load_w=given.get("load_w"),
            ac_w=seen.ac_w,
            battery_w=seen.battery_w,
            remote_w=seen.remote_w if seen.remote_w is not None else seen.remote_now_w,
            remote_active=seen.remote_active,
        )

    def send(self, write_class: WriteClass, value: int = 0) -> WriteResult:
        order = compile_write(binding_of(self.wire), write_class, value, 1, self.wire.now + S, self.live())
        assert isinstance(order, WriteSequence), order
        for slave in self.wire.slaves.values():
            slave.writes.clear()
        self.wire.order_now(order)
        self.wire.run(8 * S)
        return self.wire.results()[-1]

    def confirmed(self, write_class: WriteClass, value: int = 0) -> None:
        result = self.send(write_class, value)
        assert result.outcome is WriteOutcome.CONFIRMED, result.detail

    def written(self) -> set[int]:
        return {address for slave in self.wire.slaves.values() for address, _ in slave.writes}

    def wearing(self) -> set[int]:
        """Registers that the file says wear out."""
        names = ("arm", "power", "clear", "stop")
        return {at for name in names for _, at, _, group in self.device.writes(name) if group.get("wears")}


@commanded
def test_arm_setpoint_renewal_silence_and_release(vector: Vector) -> None:
    stage = Stage(vector)
    stage.confirmed(WriteClass.POWER, -stage.watts)
    assert not stage.tells or stage.wire.inverters()[-1].remote_active is True
    stage.confirmed(WriteClass.POWER, -stage.watts)  # the lease
    assert not stage.written() & stage.wearing(), "renewal wears out memory"
    stage.confirmed(WriteClass.POWER, stage.watts)  # the other way
    capability = binding_of(stage.wire).capability
    stage.wire.run((capability.reversion_s + 2) * S)  # nobody says anything any more
    if stage.tells:
        ended = capability.reversion in TIMED
        assert stage.device.active is not ended
        assert stage.wire.inverters()[-1].remote_active is not ended
    stage.confirmed(WriteClass.POWER, stage.watts)
    stage.confirmed(WriteClass.CLEAR)
    assert not stage.tells or stage.wire.inverters()[-1].remote_active is False
    stage.confirmed(WriteClass.STOP)
    stage.confirmed(WriteClass.CLEAR)
    assert not stage.tells or stage.wire.inverters()[-1].remote_active is False


@commanded
def test_a_device_that_falls_silent_is_identified_again_and_can_be_released(vector: Vector) -> None:
    stage = Stage(vector)
    stage.confirmed(WriteClass.POWER, -stage.watts)
    for slave in stage.wire.slaves.values():
        slave.alive = False
    stage.wire.run(30 * S)
    assert stage.wire.statuses("device")[-1].presence is Presence.SILENT
    for slave in stage.wire.slaves.values():
        slave.alive = True
    stage.wire.run(20 * S)
    assert stage.wire.statuses("device")[-1].presence is Presence.OK
    stage.confirmed(WriteClass.CLEAR)
    assert not stage.tells or stage.wire.inverters()[-1].remote_active is False


@commanded
def test_what_is_acknowledged_and_not_applied_is_not_called_done(vector: Vector) -> None:
    stage = Stage(vector)
    stage.device.deaf = True
    result = stage.send(WriteClass.POWER, -stage.watts)
    if not binding_of(stage.wire).capability.read_back:
        assert vector.name in (
            "sma_storage",
            "sma_stp_se",
        )  # its setpoint does not read: the battery's power is the proof
        return
    assert result.outcome is WriteOutcome.MISMATCH
    assert "was written" in result.detail
    stage.device.deaf = False
    stage.confirmed(WriteClass.POWER, -stage.watts)
    stage.device.deaf = True
    assert stage.send(WriteClass.CLEAR).outcome is WriteOutcome.MISMATCH


@commanded
def test_every_setpoint_carries_its_reversion_time_and_the_device_ends_by_it(vector: Vector) -> None:
    stage = Stage(vector)
    capability = binding_of(stage.wire).capability
    if capability.reversion not in ("device_s", "device_min"):
        assert stage.control.reversion_s == 0 or capability.reversion in ("implicit", "unreliable")
        return
    stage.confirmed(WriteClass.POWER, stage.watts)
    until_ns = stage.device.until_ns
    assert until_ns is not None, "the timer was never set"
    assert 0 < until_ns - stage.wire.now <= capability.reversion_s * S


# --- what the owner had -----------------------------------------------------------------------------------------------
def owners(vector: Vector) -> list[tuple[str, int, dict[str, Any]]]:
    """(unit, register, write) that a release restores, by the file."""
    device = Stage(vector).device
    found = [(unit, at, write) for unit, at, write, _ in device.writes("clear") if isinstance(write["value"], dict)]
    return [item for item in found if "default" in item[2]["value"]]


RESTORING = [v for v in COMMANDED if owners(v)]
restoring = pytest.mark.parametrize("vector", RESTORING, ids=lambda v: v.name)


def had(vector: Vector, stage: Stage) -> dict[tuple[str, int], int]:
    """Values of the owner's own, in the device from before."""
    mode = stage.device.mode()
    values = {}
    for n, (unit, at, _) in enumerate(owners(vector)):
        slave = stage.device.slaves[unit]
        released = stage.device.control.get("released", [0])
        value = released[0] if mode is not None and (slave, at) == mode[:2] else 3 + n
        values[unit, at] = value
        slave.put(3, at, value)
    stage.wire.run(12 * S)
    return values


def has(stage: Stage, values: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    return {(unit, at): stage.device.slaves[unit].regs[3, at] for unit, at in values}


def test_the_families_whose_owner_may_have_set_something() -> None:
    names = {vector.name for vector in RESTORING}
    assert {"solis_hybrid", "victron_gx", "deye_3p_hv"} <= names


@restoring
def test_a_release_writes_back_what_the_owner_had(vector: Vector) -> None:
    stage = Stage(vector)
    values = had(vector, stage)
    stage.confirmed(WriteClass.POWER, stage.watts)
    assert stage.wire.remembered["device"].owner
    stage.confirmed(WriteClass.POWER, -stage.watts)  # what is there now is ours: it is not kept again
    stage.confirmed(WriteClass.CLEAR)
    assert has(stage, values) == values
    assert stage.wire.remembered["device"].owner == ()


@restoring
def test_a_killed_daemon_writes_it_back_when_it_is_started_again(vector: Vector) -> None:
    stage = Stage(vector)
    values = had(vector, stage)
    stage.confirmed(WriteClass.POWER, stage.watts)
    again = Stage(vector, stage.wire.remembered["device"], [*stage.wire.slaves.values()])
    again.confirmed(WriteClass.CLEAR)
    assert has(again, values) == values


@restoring
def test_nothing_is_written_before_it_is_on_the_disk(vector: Vector) -> None:
    stage = Stage(vector)
    had(vector, stage)
    stage.wire.disk = False
    result = stage.send(WriteClass.POWER, stage.watts)
    assert result.outcome is WriteOutcome.REJECTED
    assert "could not be stored" in result.detail
    assert stage.written() == set()
    assert stage.send(WriteClass.STOP).outcome is WriteOutcome.CONFIRMED  # a stop waits for no disk


@restoring
def test_what_is_not_known_of_the_owner_is_the_profiles_default(vector: Vector) -> None:
    stage = Stage(vector)
    values = had(vector, stage)
    stage.confirmed(WriteClass.POWER, stage.watts)
    again = Stage(vector, None, [*stage.wire.slaves.values()])  # the file is lost
    again.confirmed(WriteClass.CLEAR)
    defaults = {(unit, at): write["value"]["default"] for unit, at, write in owners(vector)}
    assert has(again, values) == defaults


# --- the reserve in the device's own floor ----------------------------------------------------------------------------
@commanded
def test_the_reserve_is_mirrored_into_the_floor_read_back_and_a_foreign_change_is_seen(vector: Vector) -> None:
    stage = Stage(vector)
    if binding_of(stage.wire).floor is None:
        assert "floor" not in stage.device.raw or "floor" in binding_of(stage.wire).capability.unconfirmed
        return
    stage.confirmed(WriteClass.FLOOR, 250)
    assert stage.wire.inverters()[-1].floor_permille == 250
    stage.confirmed(WriteClass.FLOOR, 250)
    assert not stage.device.raw["floor"].get("wears") or stage.written() == set()
    stage.device.deaf = True
    assert stage.send(WriteClass.FLOOR, 400).outcome is WriteOutcome.MISMATCH
    stage.device.deaf = False
    binding = binding_of(stage.wire)
    assert binding.floor is not None
    slave, at = stage.wire.slaves[binding.floor.unit or vector.data["unit"]], binding.floor.puts[0].address
    stage.confirmed(WriteClass.FLOOR, 300)
    other = [slave.regs[3, at + n] for n in range(2)]
    stage.confirmed(WriteClass.FLOOR, 250)
    slave.put(3, at, *other)  # another hand
    stage.wire.run(12 * S)
    assert stage.wire.inverters()[-1].floor_permille == 300
