"""The demo home's inverter as a gate sees it: identified over the virtual wire, with good readings beside it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from agent.core.decision import Decision, Mode
from agent.core.params import Params, Site, Timers
from agent.gate import Evidence
from drivers import profile as profiles
from drivers.binding import Binding, DeviceSpec
from drivers.bus import Bus, BusSpec
from drivers.events import DeviceStatus, Emit, Opened, Presence, Received, Transmit, Wake, WakeAt
from drivers.family import Profile
from drivers.readings import BatteryReading, DeviceRole, GridState, InverterReading, MeterReading
from hil.devices.demo import demo_devices
from hil.plant.home import Home
from hil.wire.virtual import VirtualWire

NOW = 100_000_000_000
PARAMS = Params(Site(11_400, 11_400, 25_000, 24_000, 11_400), Timers())


@lru_cache
def binding() -> Binding:
    """Of the inverter, from a walk of its model chain."""
    return identified(profiles.load("sunspec_hybrid"))


def identified(profile: Profile) -> Binding:
    """The demo inverter, as that profile takes it."""
    heap: list[tuple[int, int, Callable[[], None]]] = []
    now = [0]
    found: list[Binding] = []
    bus = Bus(BusSpec("rs485"), [DeviceSpec("inverter", DeviceRole.INVERTER, 3, profile)])

    def at(ns: int, fn: Callable[[], None]) -> None:
        heapq.heappush(heap, (ns, len(heap) + now[0], fn))

    def feed(event: Opened | Received | Wake) -> None:
        for effect in bus.handle(event, now[0]):
            if isinstance(effect, Transmit):
                wire.transmit(effect.data, now[0])
            elif isinstance(effect, WakeAt):
                at(effect.at_ns, lambda: feed(Wake()))
            elif isinstance(effect, Emit) and isinstance(effect.event, DeviceStatus):
                status = effect.event
                if status.presence is Presence.OK and isinstance(status.binding, Binding):
                    found.append(status.binding)

    wire = VirtualWire(demo_devices(Home(1)), 19_200, at, lambda data, ns: feed(Received(data, ns)), seed=1)
    feed(Opened())
    while not found and now[0] < 10_000_000_000:
        now[0], _, fn = heapq.heappop(heap)
        fn()
    return found[0]


def battery(**changes: object) -> BatteryReading:
    """60 %, warm, healthy."""
    good = BatteryReading(
        "bms", NOW, 600, 1, 990, 52_000, 0, 3300, 3290, 250, 240, 250_000, 250_000, True, True, (), 488_000
    )
    return replace(good, **changes)  # type: ignore[arg-type]  # tests name real fields


def inverter(**changes: object) -> InverterReading:
    """Connected, released."""
    good = InverterReading(
        "inverter", NOW, 0, NOW, 0, 0, GridState.CONNECTED, NOW, 60_000, 600, 200, None, False, 60, "running"
    )
    return replace(good, **changes)  # type: ignore[arg-type]  # tests name real fields


def meter(**changes: object) -> MeterReading:
    """230 V, 60 Hz, importing a little."""
    good = MeterReading(
        "meter", NOW, 500, (500, 0, 0), (230_000, 230_000, 230_000), (2_000, 0, 0), 60_000, 1_000, 1_000
    )
    return replace(good, **changes)  # type: ignore[arg-type]  # tests name real fields


def decision(**changes: object) -> Decision:
    """A permit of this cycle, wide open."""
    good = Decision(
        NOW,
        Mode.DISPATCHED,
        "dispatch:x",
        5000,
        5000,
        -11_400,
        11_400,
        None,
        (),
        (),
        200,
        599,
        601,
        "connected",
        500,
        "x",
        67,
    )
    return replace(good, **changes)  # type: ignore[arg-type]  # tests name real fields


def evidence(
    battery_: BatteryReading | None = None, inverter_: InverterReading | None = None, meter_: MeterReading | None = None
) -> Evidence:
    """Good readings, or these."""
    return Evidence(NOW, (battery_ or battery(),), inverter_ or inverter(), (meter_ or meter(),), 200)
