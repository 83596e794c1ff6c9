"""What a verb of a scenario acts on: the same handles on every backend."""

from __future__ import annotations

from typing import Protocol

from hil.expr import Value


class Rig(Protocol):
    """Each call takes effect now and returns; what it causes shows in signals and records."""

    def home(self, op: str, **args: Value) -> None:
        """Plant, devices and wire of the simulated home."""
        ...

    def aggregator(self, op: str, label: str, **args: Value) -> None:
        """Sign and publish; `label` is the scenario's name for what is sent."""
        ...

    def broker(self, up: bool) -> None:
        """Kill the broker or start it again on the same port."""
        ...

    def process(self, op: str) -> None:
        """ "kill9", "term", "start", "stop"/"cont"; "hold"/"unhold": withhold or allow restarts by the supervisor."""
        ...

    def gateway(self, op: str, **args: Value) -> None:
        """What befalls the machine: its clock, its disk, its adapter, its memory, its configuration."""
        ...

    def local(self, verb: str, **args: Value) -> None:
        """What a person types on the gateway: "stop", "resume", "reserve"; `who` = "stranger" may only look."""
        ...
