#!/usr/bin/env python3
"""Prints docs/limits.md from the table of limits: each row with an example in which it narrows.

usage: python scripts/limits_page.py > docs/limits.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.core.bounds import Evaluated, evaluate
from agent.core.caps import Facts, full
from agent.core.lifting import lifts
from agent.core.limits import LIMITS
from agent.core.params import Params, S, Site, Timers

HEAD = """\
# Limits
Made from the table in `agent/core/limits.py` by `python scripts/limits_page.py > docs/limits.md`; a test holds it to
that. `batteryctl why` shows the same on a gateway, with its own values: every limit, the one that binds, whose it is,
when it lifts and what to do.

Each limit leaves some watts on its side; the tightest of a side binds, and among equals the one that stands first here.
None widens what another narrows, none sees who asks for what, and what is not known leaves nothing. The order has no
other meaning.

| how it widens again | |
|---|---|
| `live` | at once: it follows a measurement that the next cycle sees again |
| `hold` | {hold} s after it could, then by {slew} W a second |
| `hysteresis` | from nothing only when a margin is met as well, then as `hold` |
| `latch` | only when it leaves nothing to limit any more, then as `hold` |
| `settled` | only when it leaves nothing to limit with a margin, then {settled} min later by {slew} W a second |

The examples are of one home: 25 kWh and 11.4 kW, SoC 60 % (0.1 % either way), a reserve of 20 %, 16 cells at 3.300 to
3.305 V and 20 to 21 °C, a house that takes 500 W, three legs fused with 25 A, 20 kW of import and export, 67 s from the
last good reading to the end of a setpoint, and an owner, a utility and a tariff that limit it. `why` adds the id of the
row, whether it binds, and the watts."""

SITE = Site(11_400, 11_400, 25_000, 20_000, 20_000, 25, 3, 4_000, 7_000, True, 4_200, 5_000)
PARAMS = Params(site=SITE, timers=Timers())
MWH = SITE.capacity_wh  # one permille
GOOD: Mapping[str, int] = {
    **dict.fromkeys(Facts._fields, 0),
    **dict.fromkeys("grid acting devices_ok controllable charge_on discharge_on".split(), 1),
    **dict.fromkeys("cells_known temps_known soc_known net_known phases_known".split(), 1),
    "battery_stale_ns": 5 * S,
    "inverter_stale_ns": 5 * S,
    "meter_stale_ns": 3 * S,
    "pack_mv": 52_800,
    "ccl_ma": 240_000,
    "dcl_ma": 240_000,
    "cell_max_mv": 3_305,
    "cell_min_mv": 3_300,
    "temp_max_dc": 210,
    "temp_min_dc": 200,
    "soc_lo_mwh": 599 * MWH,
    "soc_hi_mwh": 601 * MWH,
    "spread_mv": 5,
    "reserve_permille": 200,
    "horizon_ms": 67_000,
    "net_hi_w": 500,
    "net_lo_w": 500,
    "phase_mv": 230_000,
    "phase_hi_w": 1_200,
    "phase_lo_w": 300,
    "rated_charge_w": 11_400,
    "rated_discharge_w": 11_400,
    "utility_charge_w": 4_200,
    "utility_discharge_w": 5_000,
    "spent_mwh": 4_200_000,
}
EXAMPLES: Mapping[str, Mapping[str, int]] = {  # what must be otherwise for a row to narrow
    "islanded": {"grid": 2},
    "grid_unknown": {"grid": 0},
    "grid_return": {"returning": 1},
    "stale_inverter": {"inverter_age_ns": 7 * S},
    "stale_battery": {"battery_age_ns": 9 * S},
    "stale_meter": {"meter_age_ns": 4 * S},
    "device": {"devices_ok": 0},
    "reversion": {"controllable": 0},
    "state": {"acting": 0},
    "alarm_charge": {"charge_alarm": 1},
    "alarm_discharge": {"discharge_alarm": 1},
    "charge_enable": {"charge_on": 0},
    "discharge_enable": {"discharge_on": 0},
    "ccl": {"ccl_ma": 60_000},
    "dcl": {"dcl_ma": 50_000},
    "cell_high": {"cell_max_mv": 3_475},
    "cell_low": {"cell_min_mv": 3_050},
    "temperature_charge": {"temp_min_dc": 10},
    "temperature_discharge": {"temp_max_dc": 475},
    "imbalance_charge": {"spread_mv": 160},
    "imbalance_discharge": {"spread_mv": 310},
    "soc_ceiling": {"soc_hi_mwh": 996 * MWH},
    "reserve": {"soc_lo_mwh": 204 * MWH},
    "soc_floor": {"soc_lo_mwh": 53 * MWH},
    "site_import": {"net_hi_w": 12_000},
    "site_export": {"net_lo_w": -13_000},
    "fuse_import": {"phase_hi_w": 9_000},
    "fuse_export": {"phase_lo_w": -9_000},
    "pv_only": {"net_hi_w": -1_800},
    "throughput": {"spent_mwh": 37_450_000},
    "nameplate_charge": {"rated_charge_w": 5_000},
    "nameplate_discharge": {"rated_discharge_w": 5_000},
}


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def example(limit: str) -> Evaluated:
    """One cycle of the home in which that limit narrows."""
    facts = Facts(**{**GOOD, **EXAMPLES.get(limit, {})})
    return evaluate(facts, PARAMS, None, False, 0, S)  # no memory of what was narrow before


def _lines() -> Iterator[str]:
    timers = PARAMS.timers
    settled = timers.spread_hold_ns // (60 * S)
    yield HEAD.format(hold=timers.hold_ns // S, slew=PARAMS.recover_w_per_s, settled=settled)
    yield ""
    yield "| limit | side, owner | an example of what it says | leaves | widens | when | what to do |"
    yield "|---|---|---|---|---|---|---|"
    for i, row in enumerate(LIMITS):
        bounds = example(row.id)
        told = lifts(bounds, 0)[i]
        value = bounds.values[i]
        most = full(PARAMS, row.side)
        assert value.cap_w < most and told.when, f"give {row.id} an example in which it narrows"
        when = told.when.removeprefix("lifts ")
        cells = (
            f"`{row.id}`",
            f"{row.side.value}, {value.owner}",
            value.sentence,
            f"{value.cap_w} W",
            f"`{row.lift.value}`",
            when,
            told.remedy,
        )
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    print(page().rstrip("\n"))
