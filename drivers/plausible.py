"""What a point can be at all, whatever its profile says: a register of garbage must not become a number."""

from __future__ import annotations

from collections.abc import Mapping

MEGA = 1_000_000
POWER_W = (-10 * MEGA, 10 * MEGA)
VOLTAGE_MV = (0, 1_500_000)
CURRENT_MA = (-5 * MEGA, 5 * MEGA)
ENERGY_WH = (0, 10**15)
FREQUENCY_MHZ = (0, 500_000)

# Point -> lowest and highest value in the units of the readings. A profile narrows them with `valid`.
PLAUSIBLE: Mapping[str, tuple[int, int]] = {
    "soc_permille": (0, 1000),
    "soh_permille": (0, 1100),  # a new pack may have more than its nameplate
    "pack_mv": VOLTAGE_MV,
    "pack_ma": CURRENT_MA,
    "cell_max_mv": (1, 6000),
    "cell_min_mv": (1, 6000),
    "temp_max_dc": (-500, 1500),
    "temp_min_dc": (-500, 1500),
    "ccl_ma": (0, 5 * MEGA),
    "dcl_ma": (0, 5 * MEGA),
    "capacity_mah": (0, 100 * MEGA),
    "battery_w": POWER_W,
    "pv_w": POWER_W,
    "ac_w": POWER_W,
    "floor_permille": (0, 1000),
    "frequency_mhz": FREQUENCY_MHZ,
    "grid_w": POWER_W,
    "import_wh": ENERGY_WH,
    "export_wh": ENERGY_WH,
    **{f"l{n}_w": POWER_W for n in (1, 2, 3)},
    **{f"l{n}_mv": VOLTAGE_MV for n in (1, 2, 3)},
    **{f"l{n}_ma": CURRENT_MA for n in (1, 2, 3)},
}
