"""The newest of everything that control was told of the home's devices."""

from __future__ import annotations

from collections.abc import Mapping

from agent.core.inputs import Device
from drivers.device import Binding
from drivers.events import BusStats, DeviceStatus, Presence
from drivers.readings import BatteryReading, DeviceRole, InverterReading, MeterReading


class Latest:
    """By device name, and by bus name."""

    def __init__(self, role_of: Mapping[str, DeviceRole]) -> None:
        self._role_of = role_of
        self._standing: tuple[Device, ...] | None = None
        self.batteries: dict[str, BatteryReading] = {}
        self.inverters: dict[str, InverterReading] = {}
        self.meters: dict[str, MeterReading] = {}
        self.devices: dict[str, DeviceStatus] = {}
        self.buses: dict[str, BusStats] = {}

    def told(self, status: DeviceStatus) -> None:
        """How a device stands now."""
        self.devices[status.device] = status
        self._standing = None

    def standing(self) -> tuple[Device, ...]:
        """Every device of the configuration; the same object until one stands otherwise."""
        if self._standing is None:
            self._standing = tuple(self._device(name, role) for name, role in self._role_of.items())
        return self._standing

    def _device(self, name: str, role: DeviceRole) -> Device:
        """A device that has not been heard of is one that is not there yet, not one fewer."""
        status = self.devices.get(name)
        if status is None:
            return Device(name, role, Presence.IDENTIFYING.value, None)
        return Device(name, role, status.presence.value, status.capability, status.line)

    def slowest_ns(self) -> int:
        """The longest age that a BMS' profile declares as still fresh; 0 = none was identified."""
        batteries = [self.devices.get(name) for name, role in self._role_of.items() if role is DeviceRole.BATTERY]
        told = [d.capability.stale_s for d in batteries if d is not None and d.capability is not None]
        return max(told, default=0) * 1_000_000_000

    def binding(self, name: str) -> Binding | None:
        """How an identified device is written to; None = it is not there."""
        status = self.devices.get(name)
        ok = status is not None and status.presence is Presence.OK
        binding = status.binding if status is not None and ok else None
        return binding if isinstance(binding, Binding) else None
