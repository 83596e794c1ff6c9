"""Every home at once: facts free within what drivers can hand to the core, and the configurations proved for."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.proof.sources import Modules
from tests.proof.symbols import SYMBOLS, Paths

S = 1_000_000_000
NEVER = 10**18
# As Site declares them: the usual home, and one that is the same in nothing and has every limit
SITES: tuple[tuple[int, ...], ...] = (
    (11_400, 11_400, 25_000, 20_000, 20_000),
    (5_000, 7_300, 9_999, 12_000, 0, 25, 3, 4_000, 7_000, True),
)
AGE, STALE, FLAG = (-NEVER, NEVER), (0, 15 * S), (0, 1)  # a reading may seem to come from the future
FAR = 10**12  # more than any register, sum of packs or of days can hold: what readings may be is not relied on
ANY, LEAST = (-FAR, FAR), (0, FAR)
RANGES: dict[str, tuple[int, int]] = {
    "grid": (0, 2),
    "battery_age_ns": AGE,
    "inverter_age_ns": AGE,
    "meter_age_ns": AGE,
    "battery_stale_ns": STALE,
    "inverter_stale_ns": STALE,
    "meter_stale_ns": STALE,
    "pack_mv": LEAST,  # agent.core.packs and recent give no less
    "ccl_ma": LEAST,
    "dcl_ma": LEAST,
    "cell_max_mv": ANY,
    "cell_min_mv": ANY,
    "temp_max_dc": ANY,
    "temp_min_dc": ANY,
    "soc_lo_mwh": ANY,
    "soc_hi_mwh": ANY,
    "reserve_permille": (0, 1000),
    "horizon_ms": (1, FAR),
    "net_hi_w": ANY,
    "net_lo_w": ANY,
    "rated_charge_w": ANY,
    "rated_discharge_w": ANY,
    "spread_mv": ANY,
    "phase_hi_w": ANY,
    "phase_lo_w": ANY,
    "phase_mv": LEAST,  # agent.core.packs and recent give no less
    "utility_charge_w": ANY,
    "utility_discharge_w": ANY,
    "cell_cure": (0, 2),
    "spent_mwh": ANY,
    **dict.fromkeys(
        "returning acting devices_ok controllable charge_alarm discharge_alarm charge_on discharge_on cells_known "
        "temps_known soc_known net_known phases_known".split(),
        FLAG,
    ),
}
USUAL = {"horizon_ms": 67_000, "pack_mv": 52_800, "ccl_ma": 240_000, "dcl_ma": 120_000}  # what is multiplied


class Home(NamedTuple):
    """One free home: its facts `f`, its parameters `p`, and what is permitted there."""

    f: Any
    p: Any
    lo: Any
    hi: Any


def params(m: Modules, site: tuple[int, ...] = SITES[0], **changes: Any) -> Any:
    return m.params.Params(site=m.params.Site(*site), timers=m.params.Timers(), **changes)


def any_params(m: Modules, o: Paths) -> Any:
    return params(m, o.pick("site (charge, discharge, Wh, import, export, fuse A, legs, owner, owner, PV only)", SITES))


def facts(m: Modules, o: Paths, name: str = "") -> Any:
    """Each fact any number of its range."""
    unknown = [field for field in m.caps.Facts._fields if field not in RANGES]
    assert not unknown, f"say in tests/proof/homes.py which values these facts can have: {unknown}"
    return m.caps.Facts(*(o.number(name + field, *RANGES[field], USUAL.get(field)) for field in m.caps.Facts._fields))


def home(m: Modules, o: Paths) -> Home:
    p = any_params(m, o)
    f = facts(m, o)
    return Home(f, p, *m.permit.permit(SYMBOLS, f, p))
