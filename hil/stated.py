"""Within how many seconds our setpoint ends when anything dies: by the configuration and docs/design.md, section 5, and
not by the agent's own word."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hil.expr import Value

DEFAULTS: Mapping[str, float] = {
    "stale_battery_s": 5,
    "stale_inverter_s": 5,
    "stale_meter_s": 3,
    "cycle_s": 1,
    "write_s": 1,
    "reversion_s": 60,
}
STALE = ("stale_battery_s", "stale_inverter_s", "stale_meter_s")


def stated_end_s(config: Mapping[str, Mapping[str, Value]]) -> float:
    """Staleness of the slowest device, a cycle, a write, and the inverter's own timer, in whole seconds. `config`: a
    scenario's; the bench's devices declare nothing slower."""
    given = config.get("timers", {})

    def seconds(name: str) -> float:
        value = given.get(name, DEFAULTS[name])
        assert isinstance(value, int | float), f"{name} is a number of seconds, not {value!r}"
        return float(value)

    return math.ceil(max(map(seconds, STALE)) + sum(map(seconds, ("cycle_s", "write_s", "reversion_s"))))
