"""The plant's own truth under the names of scenarios and observers: no BMS, meter or register stands between."""

from __future__ import annotations

from hil.plant.home import Home
from hil.plant.truth import reserve_wh

NS = 1_000_000_000


def truth_signals(home: Home) -> dict[str, bool | int | float | None]:
    """The `truth.*` names of `hil.signals`, at the time that the home last reached."""
    inverter, window, packs = home.inverter, home.inverter.in_force, home.batteries
    window2 = home.inverters[1].in_force if len(home.inverters) > 1 else None
    one, two, three = home.meter.true_leg_w
    charge_a, discharge_a = home.bms.allowed_a
    taken_ns = max((each.taken_ns for each in home.inverters if each.taken_ns is not None), default=None)
    return {
        "truth.soc_permille": home.soc * 1000,
        "truth.soc_least_permille": min(each.soc for each in packs) * 1000,
        "truth.soc_most_permille": max(each.soc for each in packs) * 1000,
        "truth.bms_error_permille": 1000 * (sum(bms.soc for bms in home.bmss) / len(packs) - home.soc),
        "truth.energy_wh": sum(each.energy_wh for each in packs),
        "truth.reserve_wh": reserve_wh(home),
        "truth.cell_min_mv": min(each.cell_min_v for each in packs) * 1000,
        "truth.cell_max_mv": max(each.cell_max_v for each in packs) * 1000,
        "truth.temp_dc": home.battery.temp_c * 10,
        "truth.temp_min_dc": home.battery.coldest_c * 10,
        "truth.current_a": sum(each.current_a for each in packs),
        "truth.ccl_a": charge_a,
        "truth.dcl_a": discharge_a,
        "truth.battery_w": home.battery_w,
        "truth.inverter_w": inverter.battery_w,
        "truth.inverter2_w": home.inverters[1].battery_w if len(home.inverters) > 1 else None,
        "truth.battery2_a": packs[1].current_a if len(packs) > 1 else None,
        "truth.discharged_wh": home.discharged_wh,
        "truth.charged_wh": home.charged_wh,
        "truth.imported_wh": home.imported_wh,
        "truth.exported_wh": home.exported_wh,
        "truth.grid_w": home.grid_w,
        "truth.grid_l1_w": one,
        "truth.grid_l2_w": two,
        "truth.grid_l3_w": three,
        "truth.frequency_mhz": home.grid.frequency_hz * 1000,
        "truth.load_w": home.load_w,
        "truth.pv_w": home.pv_w,
        "truth.grid_on": home.grid.on,
        "truth.islanded": inverter.islanded,
        "truth.back_s": None if inverter.back_ns is None else (home.now_ns - inverter.back_ns) / NS,
        "truth.fed": home.house_fed,
        "truth.floor_permille": inverter.floor_pct * 10,
        "truth.blackouts": home.blackouts,
        "truth.darkened": home.darkened,
        "truth.remote": any(each.in_force is not None for each in home.inverters),
        "truth.taken_s": None if taken_ns is None else (home.now_ns - taken_ns) / NS,
        "truth.setpoint_w": None if window is None else window[1],
        "truth.setpoint2_w": None if window2 is None else window2[1],
    }
