"""The configured devices by role, and whether each is what it should be. A silent one is judged by its reading."""

from __future__ import annotations

from collections.abc import Container

from agent.core.inputs import Device
from agent.core.params import S, Wiring
from drivers.readings import DeviceRole

STALE_MAX_NS = 15 * S  # a device may declare itself slower than the defaults, up to this


class Roster:
    """Who is there. A device that declares itself slower is believed; what is beside the point is not looked at."""

    __slots__ = (
        "batteries",
        "battery",
        "battery_stale_ns",
        "inverter_stale_ns",
        "inverters",
        "meter_stale_ns",
        "meters",
        "mismatch",
        "ok",
    )

    def __init__(self, devices: tuple[Device, ...], wiring: Wiring, out: Container[str]) -> None:
        """`out`: inverters that the home goes on without, whatever they are."""
        self.batteries: list[str] = []
        self.battery: Device | None = None  # the first that does not answer, else the first
        self.inverters: list[Device] = []
        self.meters: list[str] = []
        self.mismatch: str | None = None
        self.ok = True
        self.battery_stale_ns = self.inverter_stale_ns = self.meter_stale_ns = 0
        for device in devices:
            if self._beside(device, wiring) or device.name in out:
                continue
            self._take(device)
            if device.presence not in ("ok", "silent"):
                self.ok = False
            if device.presence == "mismatch":
                self.mismatch = device.name
        self.ok = self.ok and bool(self.batteries and self.inverters and self.meters)

    def _take(self, device: Device) -> None:
        declared = declared_ns(device)
        if device.role is DeviceRole.BATTERY:
            self.batteries.append(device.name)
            if self.battery is None or (device.presence != "ok" and self.battery.presence == "ok"):
                self.battery = device
            self.battery_stale_ns = max(self.battery_stale_ns, declared)
        elif device.role is DeviceRole.INVERTER:
            self.inverters.append(device)
            self.inverter_stale_ns = max(self.inverter_stale_ns, declared)
        else:
            self.meters.append(device.name)
            self.meter_stale_ns = max(self.meter_stale_ns, declared)

    @staticmethod
    def _beside(device: Device, wiring: Wiring) -> bool:
        """A PV inverter, or a meter at PV or load: what it says is welcome, nothing depends on it."""
        if device.role is DeviceRole.METER:
            return bool(wiring.places) and any(name == device.name for name, _ in wiring.places)
        return bool(wiring.bare) and device.name in wiring.bare


def declared_ns(device: Device) -> int:
    """At which age its readings count as lost, by its own word."""
    return min(STALE_MAX_NS, device.capability.stale_s * S) if device.capability is not None else 0
