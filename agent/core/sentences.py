"""Parts of the sentences in which limits and faults are told: values with their units."""

from __future__ import annotations

from agent.core.caps import NEVER_NS, Facts
from agent.core.params import NO_LIMIT_W, Params


def tenths(value: int, unit: str) -> str:
    """Tenths of a unit as decimal text: 205 permille -> "20.5 %"."""
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(value) // 10}.{abs(value) % 10} {unit}"


def age(age_ns: int) -> str:
    return "was never read" if age_ns >= NEVER_NS else f"is {tenths(age_ns // 100_000_000, 's')} old"


def too_old(who: str, age_ns: int, stale_ns: int) -> str:
    return f"the {who}'s reading {age(age_ns)}; it counts for {tenths(stale_ns // 100_000_000, 's')}"


def volts(mv: int, known: int) -> str:
    return f"{mv / 1000:.3f} V" if known else "not known"


def temperatures(f: Facts) -> str:
    if not f.temps_known:
        return "the cell temperatures are not known"
    return f"cells are between {tenths(f.temp_min_dc, '°C')} and {tenths(f.temp_max_dc, '°C')}"


def soc(f: Facts, p: Params, bound: str, mwh: int) -> str:
    if not f.soc_known or p.site.capacity_wh <= 0:
        return "SoC is not known"
    return f"SoC is {bound} {tenths(mwh // p.site.capacity_wh, '%')}"


def amps(name: str, pack_mv: int, ma: int) -> str:
    return f"the BMS allows {name} {tenths(ma // 100, 'A')} at {tenths(pack_mv // 100, 'V')}"


def net(f: Facts, w: int) -> str:
    if not f.net_known:
        return "the house's load is not known"
    return f"the house without the battery {'takes' if w >= 0 else 'gives'} {abs(w)} W"


def either(flag: int, yes: str, no: str) -> str:
    return yes if flag else no


def apart(f: Facts, p: Params) -> str:
    if not f.cells_known:
        return "the cell voltages are not known"
    worth = " (worth a look)" if f.spread_mv >= p.spread_warn_mv else ""
    return f"the cells of a pack are up to {f.spread_mv} mV apart{worth}"


def fused(f: Facts, p: Params, w: int) -> str:
    if not p.site.fuse_a:
        return "no fuse of a leg is configured"
    if not f.phases_known:
        return f"what each leg of the site carries is not known; each is fused with {p.site.fuse_a} A"
    shared = f" in {p.site.legs} legs" if p.site.legs > 1 else ""
    return f"the fullest leg alone stands for {w} W{shared}, each is fused with {p.site.fuse_a} A"


def from_sun(f: Facts, p: Params) -> str:
    if not p.site.pv_only:
        return "charging from the grid is allowed"
    if f.cell_cure == 1:
        return "a nearly empty cell is charged from whatever there is"
    return f"{net(f, f.net_hi_w)}, and only what the sun leaves over may charge"


def capped(who: str, what: str, w: int) -> str:
    return f"{who} allows {what} with {w} W" if w < NO_LIMIT_W else f"{who} sets no limit to {what}"
