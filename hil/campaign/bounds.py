"""What a setpoint of ours may be by the plant's own word: what its BMS allows, and the limits of the site's connection.

The agent is not asked: a permit that is too wide shows here. The plant's inverter holds to its BMS by itself, over a
line of their own, so what counts is the setpoint that stands in it and not the watts that flow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from hil.expr import Value
from hil.site import RATED_W

NS = 1_000_000_000
CELLS = 16  # in series, of the bench's packs
PACK_A = 250.0  # what a BMS of the bench allows at most
WINDOW_NS = 5 * NS  # two samples of the BMS, a cycle, a write
LEG_V = 230
FUSE_BEYOND = 1.1  # a fuse stands that for hours; a setpoint that rises overshoots by 6 % for 2 s
SITE_NS = 15 * NS  # a load that steps is seen, answered by a setpoint, and followed by the inverter
TOLERANCE_W = RATED_W * 2 // 100 + 100
CHARGES_W, DISCHARGES_W = -150, 150  # beyond its dead band
NO_LIMIT_W = 1_000_000
BMS, SITE = "beyond the BMS", "beyond the connection"


class Bounds:
    """Of one home. Several packs: the faults of the bench are of the first one."""

    def __init__(self, home: Mapping[str, Value], config: Mapping[str, Mapping[str, Value]]) -> None:
        site = config.get("site", {})
        self._import_w = _number(site.get("import_limit_w", NO_LIMIT_W))
        self._export_w = _number(site.get("export_limit_w", NO_LIMIT_W))
        self._leg_w = _number(site.get("fuse_a", NO_LIMIT_W)) * LEG_V * FUSE_BEYOND
        self._others = int(_number(home.get("packs", 1))) - 1
        self._allowed: deque[tuple[int, float, float]] = deque()
        self._over_ns: int | None = None  # since when the connection carries too much, and we add to it

    def see(self, at_ns: int, s: Mapping[str, Value], ours: bool, metered: bool) -> Iterator[tuple[str, str]]:
        """One second. `ours`: a setpoint stands that the agent can see to; `metered`: and it sees the connection.
        Yields the promise that breaks, and the sentence."""
        volts = _number(s["truth.cell_max_mv"]) * CELLS / 1000
        charge_w, discharge_w = (
            (_number(s[f"truth.{side}_a"]) + self._others * PACK_A) * volts for side in ("ccl", "dcl")
        )
        self._allowed.append((at_ns, charge_w, discharge_w))
        while self._allowed[0][0] < at_ns - WINDOW_NS:
            self._allowed.popleft()
        asked = s["truth.setpoint_w"]
        if not ours or asked is None:
            self._over_ns = None
            return
        least = -max(charge for _, charge, _ in self._allowed) - TOLERANCE_W
        most = max(discharge for _, _, discharge in self._allowed) + TOLERANCE_W
        if not least <= _number(asked) <= most:
            yield BMS, f"{asked} W are asked for; the BMS allowed {least:.0f} to {most:.0f} W in the last 5 s"
        over = self._over(s, _number(asked)) if metered else None
        if over is None:
            self._over_ns = None
            return
        self._over_ns = at_ns if self._over_ns is None else self._over_ns
        if at_ns - self._over_ns > SITE_NS:
            yield SITE, over

    def _over(self, s: Mapping[str, Value], asked_w: float) -> str | None:
        """The connection carries more than it may, and our setpoint adds to that."""
        grid_w, battery_w = _number(s["truth.grid_w"]), _number(s["truth.battery_w"])
        if grid_w > self._import_w + TOLERANCE_W and battery_w < CHARGES_W and asked_w < 0:
            return f"{grid_w:.0f} W are imported, {self._import_w:.0f} W may be, and {asked_w:.0f} W are asked for"
        legs = [_number(s[f"truth.grid_l{n}_w"]) for n in (1, 2, 3)] if self._leg_w < NO_LIMIT_W else []
        if legs and max(legs) > self._leg_w and battery_w < CHARGES_W and asked_w < 0:
            return f"{max(legs):.0f} W flow in a leg, {self._leg_w:.0f} W may, and {asked_w:.0f} W are asked for"
        if grid_w < -self._export_w - TOLERANCE_W and battery_w > DISCHARGES_W and asked_w > 0:
            return f"{-grid_w:.0f} W are exported, {self._export_w:.0f} W may be, and {asked_w:.0f} W are asked for"
        return None


def _number(value: Value) -> float:
    assert isinstance(value, int | float), f"a number, not {value!r}"
    return float(value)
