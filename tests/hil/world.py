"""A stand-in world for tests of the runner: one battery that follows its dispatch after a delay, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hil.backends.backend import Ending
from hil.expr import Value
from hil.scenario import Scenario
from hil.signals import SIGNALS, Happening

DELAY_NS = 1_500_000_000


class World:
    """Obeys `aggregator.dispatch` 1.5 s later; `bms.mute` ends the setpoint 5 s later."""

    name = "virtual"

    def __init__(self) -> None:
        self.now = 0
        self.power = 0
        self.soc = 500.0
        self.plans: list[tuple[int, int]] = []
        self.records: list[Happening] = []
        self.calls: list[tuple[str, Mapping[str, Value]]] = []
        self.finished = 0

    def start(self, scenario: Scenario, seed: int) -> None:
        self.soc = float(scenario.home.get("soc_permille") or 500)

    def now_ns(self) -> int:
        return self.now

    def wall_ms(self) -> int:
        return 1_767_286_800_000

    def run_until(self, at_ns: int) -> None:
        for when, power in [p for p in self.plans if p[0] <= at_ns]:
            self.plans.remove((when, power))
            self.power = power
            fields: dict[str, Value] = {"device": "inverter", "kind": "power", "value": power, "address": 40140}
            self.records.append(Happening("write", when, fields))
        self.soc -= self.power * (at_ns - self.now) / 1e9 / 25_000 / 3.6
        self.now = at_ns

    def signals(self) -> Mapping[str, Value]:
        known: dict[str, Value] = {
            "truth.battery_w": self.power,
            "truth.soc_permille": self.soc,
            "agent.stated_end_s": 7,
        }
        return {name: known.get(name) for name in SIGNALS}

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "acks": lambda label, state: 1,
            "ack_state": lambda label: "started",
            "ack_reason": lambda label, state: "",
            "refused": lambda reason: 0,
            "fault": lambda name: False,
            "on": lambda name: True,
        }

    def happenings(self) -> Sequence[Happening]:
        records, self.records = self.records, []
        return records

    def timers(self) -> Mapping[str, tuple[float, float]]:
        return {"reversion_s": (6.0, 60.0)}

    def finish(self) -> Ending:
        self.finished += 1
        return Ending("abc")

    def discard(self) -> None:
        self.calls.append(("discard", {}))

    def home(self, op: str, **args: Value) -> None:
        self.calls.append((op, args))
        if op == "mute" and args["on"]:
            self.plans.append((self.now + 5_000_000_000, 0))

    def aggregator(self, op: str, label: str, **args: Value) -> None:
        self.calls.append((op, args))
        if op == "dispatch":
            power = args["power_w"]
            assert isinstance(power, int)
            self.plans.append((self.now + DELAY_NS, power))

    def broker(self, up: bool) -> None:
        self.calls.append(("broker", {"up": up}))

    def process(self, op: str) -> None:
        self.calls.append((op, {}))

    def gateway(self, op: str, **args: Value) -> None:
        self.calls.append((op, args))

    def local(self, verb: str, **args: Value) -> None:
        self.calls.append((verb, args))
