"""A home of several packs, inverters and meters for tests of the core: each by name, each easy to change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.core.decision import Intent, Write
from agent.core.inputs import Device, Event, Inputs, WriteDone
from agent.core.params import Params, S, Wiring
from drivers.readings import Capability, DeviceRole
from tests.core import home as h
from tests.core.home import Home

RATED_W = 5_000


def params(**wiring: Any) -> Params:
    return replace(h.PARAMS, wiring=Wiring(**wiring))


class Several(Home):
    """`each[name]` changes that device's reading; `ratings[name]` its capability. Inverters obey what they confirm."""

    def __init__(
        self,
        packs: tuple[str, ...] = ("pack1", "pack2"),
        inverters: tuple[str, ...] = ("inv1", "inv2"),
        meters: tuple[str, ...] = ("meter",),
        parameters: Params = h.PARAMS,
    ) -> None:
        self.packs, self.inverters, self.meters = packs, inverters, meters
        self.each: dict[str, dict[str, Any]] = {name: {} for name in (*packs, *inverters, *meters)}
        self.ratings: dict[str, dict[str, Any]] = {name: {} for name in inverters}
        self.remotes: dict[str, int | None] = dict.fromkeys(inverters)
        self.outcomes: dict[str, str] = {}
        super().__init__(parameters)

    def capability(self, name: str) -> Capability:
        base = {"rated_charge_w": RATED_W, "rated_discharge_w": RATED_W, "resolution_w": 1}
        return h.capability(name, **{**base, **self.ratings[name]})

    def devices(self) -> tuple[Device, ...]:
        return (
            *(Device(n, DeviceRole.BATTERY, self.presence.get(n, "ok"), None) for n in self.packs),
            *(Device(n, DeviceRole.INVERTER, self.presence.get(n, "ok"), self.capability(n)) for n in self.inverters),
            *(Device(n, DeviceRole.METER, self.presence.get(n, "ok"), None) for n in self.meters),
        )

    def power(self, name: str) -> int:
        remote = self.remotes[name]
        return remote if remote is not None and self.obeys else 0

    def inputs(self, events: tuple[Event, ...]) -> Inputs:
        for name in self.inverters:  # a timer of 60 s ends what a silent inverter was told
            if name in self.mute and name in self.frozen and self.now_ns - self.frozen[name].at_ns > 60 * S:
                self.remotes[name] = None
        whole = sum(self.power(name) for name in self.inverters)
        alive = {"capacity_mah": 244_000 + self.now_ns // S % 2, "ccl_ma": 120_000, "dcl_ma": 120_000}
        shown = sum(self.each[name].get("battery_w", self.power(name)) or 0 for name in self.inverters)
        closed = [n for n in self.packs if self.each[n].get("charge_enabled", True)]
        flows = {n: shown * 1_000_000 // 52_800 // len(closed) if n in closed else 0 for n in self.packs}
        packs = [
            r
            for n in self.packs
            for r in self.reading(n, h.battery, **{"device": n, **alive, "pack_ma": flows[n], **self.each[n]})
        ]
        return Inputs(
            now_ns=self.now_ns,
            clock=self.clock(),
            batteries=tuple(packs),
            inverters=tuple(
                r
                for n in self.inverters
                for r in self.reading(
                    n,
                    h.inverter,
                    **{
                        "device": n,
                        "battery_w": self.power(n),
                        "frequency_mhz": 60_000 + self.now_ns // S % 7,
                        "remote_active": self.remotes[n] is not None,
                        "remote_w": self.remotes[n],
                        **self.each[n],
                    },
                )
            ),
            meters=tuple(
                r
                for i, n in enumerate(self.meters)
                for r in self.reading(
                    n, h.meter, **{"device": n, "grid_w": (500 - whole) if not i else 0, **self.each[n]}
                )
            ),
            devices=self.devices(),
            reserve=self.reserve,
            events=events,
            disk_ok=self.disk_ok,
            link_up=True,
            draw=self.draw,
        )

    def answer(self, write: Write) -> None:
        name = write.device
        outcome = self.outcomes.get(name, "confirmed") if name not in self.mute else "silent"
        if outcome == "confirmed":
            if write.intent is Intent.POWER:
                self.remotes[name] = write.value
            elif write.intent is Intent.CLEAR:
                self.remotes[name] = None
        self.queue.append(WriteDone(name, write.intent.value, write.value, outcome, self.now_ns))

    def shares(self) -> dict[str, int]:
        return dict(self.decision.shares)
