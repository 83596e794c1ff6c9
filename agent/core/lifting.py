"""When each limit lifts, and what a person can do about it. Evaluated only when somebody asks: a cycle never is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from agent.core.bounds import Evaluated
from agent.core.caps import Facts, full
from agent.core.hold import REST_W, Hold, hold_ns, ready
from agent.core.limits import LIMITS, Lift
from agent.core.params import Params, S, Table
from agent.core.sentences import tenths

Say = Callable[[Facts, Params], str]


class Lifting(NamedTuple):
    """Both "" where the limit narrows nothing."""

    when: str
    remedy: str


def lifts(bounds: Evaluated, now_ns: int) -> tuple[Lifting, ...]:
    """One for each limit, in the order of LIMITS."""
    holds = {hold.index: hold for hold in bounds.holds if hold.cap_w < REST_W}
    return tuple(
        _lifting(i, cap, pure, holds.get(i), bounds, now_ns)
        for i, (cap, pure) in enumerate(zip(bounds.caps, bounds.pure, strict=True))
    )


def _lifting(i: int, cap: int, pure: int, hold: Hold | None, b: Evaluated, now: int) -> Lifting:
    row, p = LIMITS[i], b.params
    if cap >= full(p, row.side):
        return Lifting("", "")
    say, remedy = WORDS[row.id]
    if cap >= pure > 0:  # memory has no part in it
        say = AHEAD.get(row.id, say)
    if hold is None or cap >= pure or not ready(row, pure, hold, b.facts, p):
        return Lifting(f"lifts {say(b.facts, p)}{_then(i, hold, b)}", remedy)
    wait = hold_ns(row, hold, p) - (now - hold.lifting_ns if hold.lifting_ns is not None else 0)
    if wait > 0:
        return Lifting(f"lifts in about {-(-wait // S)} s, then by {p.recover_w_per_s} W a second", remedy)
    rest = (min(pure, full(p, row.side)) - cap) // max(1, p.recover_w_per_s)
    return Lifting(f"is being lifted by {p.recover_w_per_s} W a second, for about {rest + 1} s more", remedy)


def _then(i: int, hold: Hold | None, b: Evaluated) -> str:
    """The hold that follows, of a limit that has one."""
    row = LIMITS[i]
    if row.lift is Lift.LIVE:
        return ""
    return f", {hold_ns(row, hold if hold is not None else Hold(i, 0), b.params) // S} s later"


def _volts(mv: int) -> str:
    return f"{mv / 1000:.3f} V"


def _warm(knots: Table) -> Say:
    def say(f: Facts, p: Params) -> str:
        """From nothing with the margin; a derating follows the temperature."""
        free = [x for x, permille in knots if permille >= 1000]
        if knots[0][0] < f.temp_min_dc and f.temp_max_dc < knots[-1][0] and f.temps_known:
            return f"fully when cells are between {tenths(free[0], '°C')} and {tenths(free[-1], '°C')}"
        least, most = knots[0][0] + p.hysteresis_dc, knots[-1][0] - p.hysteresis_dc
        return f"when cells are between {tenths(least, '°C')} and {tenths(most, '°C')}"

    return say


def _charge_heat(f: Facts, p: Params) -> str:
    return _warm(p.charge_t_dc)(f, p)


def _discharge_heat(f: Facts, p: Params) -> str:
    return _warm(p.discharge_t_dc)(f, p)


def _fully(permille: int, f: Facts, p: Params) -> str:
    """From there on the look-ahead above `permille` leaves the whole nameplate, rounded up."""
    ahead_mwh = p.site.nameplate_discharge_w * f.horizon_ms // 3600
    return f"fully at {tenths(min(1000, permille + 1 + ahead_mwh // p.site.capacity_wh), '%')}"


def _reserve(f: Facts, p: Params) -> str:
    if f.reserve_permille + p.hysteresis_permille >= 1000:
        return "when the reserve is lowered"
    return f"at {tenths(f.reserve_permille + p.hysteresis_permille, '%')}"


def _apart(f: Facts, p: Params) -> str:
    least = p.spread_stop_mv if f.spread_mv >= p.spread_stop_mv else p.spread_derate_mv
    return f"when the cells are less than {least - p.hysteresis_spread_mv} mV apart"


def _fixed(text: str) -> Say:
    return lambda f, p: text


DEVICES = "see the devices in `batteryctl status`: power, wiring, address"
BMS = "read the BMS' alarms in `batteryctl status`; its maker's manual says what ends them"
COMMISSION = "a technician changes it in the configuration"
WORDS: dict[str, tuple[Say, str]] = {
    "islanded": (_fixed("when the utility is back and has stayed"), "nothing: the house runs from the battery"),
    "grid_unknown": (_fixed("when the inverter says that the grid is there"), DEVICES),
    "grid_return": (_fixed("when the grid has stayed for its time"), "nothing: wait"),
    "stale_inverter": (_fixed("with the next good reading of the inverter"), DEVICES),
    "stale_battery": (_fixed("with the next good reading of the BMS"), DEVICES),
    "stale_meter": (_fixed("with the next good reading of the meter"), DEVICES),
    "device": (_fixed("when every device is the commissioned one"), "after a change of devices: `batteryctl resume`"),
    "reversion": (_fixed("with an inverter that ends a setpoint by itself"), COMMISSION),
    "state": (_fixed("when the agent is fit to act"), "see `batteryctl status`; after a stop: `batteryctl resume`"),
    "alarm_charge": (_fixed("when the BMS ends its alarm"), BMS),
    "alarm_discharge": (_fixed("when the BMS ends its alarm"), BMS),
    "charge_enable": (_fixed("when the BMS enables charging"), BMS),
    "discharge_enable": (_fixed("when the BMS enables discharging"), BMS),
    "ccl": (_fixed("when the BMS allows a greater charge current"), "nothing: the BMS decides"),
    "dcl": (_fixed("when the BMS allows a greater discharge current"), "nothing: the BMS decides"),
    "cell_high": (
        lambda f, p: f"when the highest cell is at {_volts(p.charge_v_mv[0][0])} or below",
        "nothing: it falls when charging ends",
    ),
    "cell_low": (
        lambda f, p: f"when the lowest cell is at {_volts(p.discharge_v_mv[-1][0])} or above",
        "charge the battery",
    ),
    "temperature_charge": (_charge_heat, "warm or cool the room of the battery"),
    "temperature_discharge": (_discharge_heat, "warm or cool the room of the battery"),
    "imbalance_charge": (_apart, "a slow full charge lets the BMS balance; if it stays, have the pack examined"),
    "imbalance_discharge": (_apart, "a slow full charge lets the BMS balance; if it stays, have the pack examined"),
    "soc_ceiling": (
        lambda f, p: f"at {tenths(p.soc_ceiling_permille - p.hysteresis_permille, '%')}",
        "nothing: it is full",
    ),
    "reserve": (_reserve, "the homeowner may set a lower one: `batteryctl reserve`"),
    "soc_floor": (lambda f, p: f"at {tenths(p.soc_floor_permille + p.hysteresis_permille, '%')}", "charge the battery"),
    "site_import": (
        lambda f, p: f"as the house takes less than {p.site.import_limit_w} W",
        "switch off what takes much",
    ),
    "site_export": (
        lambda f, p: f"as the house leaves less than {p.site.export_limit_w} W of production",
        "nothing: it follows the sun and the house",
    ),
    "fuse_import": (
        lambda f, p: f"as no leg carries {p.site.fuse_a} A",
        "move loads to other legs, or switch off what takes much",
    ),
    "fuse_export": (lambda f, p: f"as no leg carries {p.site.fuse_a} A", "nothing: it follows the sun and the house"),
    "pv_only": (_fixed("as the sun gives more than the house takes"), COMMISSION),
    "utility_charge": (_fixed("when the utility ends it"), "nothing: the utility decides"),
    "utility_discharge": (_fixed("when the utility ends it"), "nothing: the utility decides"),
    "owner_charge": (_fixed("when it is changed"), COMMISSION),
    "owner_discharge": (_fixed("when it is changed"), COMMISSION),
    "throughput": (_fixed("at midnight UTC"), COMMISSION),
    "nameplate_charge": (_fixed("never"), "nothing: it is what was installed"),
    "nameplate_discharge": (_fixed("never"), "nothing: it is what was installed"),
}
AHEAD: dict[str, Say] = {
    "reserve": lambda f, p: _fully(f.reserve_permille, f, p),
    "soc_floor": lambda f, p: _fully(p.soc_floor_permille, f, p),
}
