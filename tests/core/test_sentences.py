"""What every limit says, word for word: of a home where all is known, and of one where nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.caps import NEVER_NS, Facts
from agent.core.limits import LIMITS
from agent.core.params import NO_LIMIT_W, S
from tests.core.home import PARAMS
from tests.core.test_limits import BASE, MWH

SITE = replace(
    PARAMS.site,
    nameplate_charge_w=4_000,
    nameplate_discharge_w=900,
    import_limit_w=21_000,
    export_limit_w=12_000,
    fuse_a=63,
    legs=2,
    pv_only=True,
    owner_charge_w=3_100,
    owner_discharge_w=800,
)
HOME = replace(
    PARAMS,
    site=SITE,
    soc_ceiling_permille=950,
    soc_floor_permille=70,
    charge_t_dc=((5, 0), (100, 1000), (500, 0)),
)
KNOWN = BASE._replace(
    battery_age_ns=1 * S,
    inverter_age_ns=2 * S,
    meter_age_ns=S // 2,
    battery_stale_ns=7 * S,
    inverter_stale_ns=8 * S,
    meter_stale_ns=6 * S,
    pack_mv=51_200,
    ccl_ma=100_000,
    dcl_ma=90_000,
    cell_max_mv=3401,
    cell_min_mv=3222,
    spread_mv=60,
    temp_max_dc=311,
    temp_min_dc=-42,
    soc_hi_mwh=620 * MWH,
    soc_lo_mwh=580 * MWH,
    reserve_permille=215,
    net_hi_w=700,
    net_lo_w=-300,
    phases_known=1,
    phase_hi_w=5_000,
    phase_lo_w=-4_000,
    phase_mv=240_000,
    utility_charge_w=4_200,
    utility_discharge_w=1_700,
    spent_mwh=3_450_000,
    rated_charge_w=3_900,
    rated_discharge_w=850,
)
UNKNOWN = KNOWN._replace(
    grid=2,
    returning=1,
    acting=0,
    battery_age_ns=NEVER_NS,
    inverter_age_ns=NEVER_NS,
    meter_age_ns=61 * S,
    devices_ok=0,
    controllable=0,
    charge_alarm=1,
    discharge_alarm=1,
    charge_on=0,
    discharge_on=0,
    cells_known=0,
    temps_known=0,
    soc_known=0,
    net_known=0,
    phases_known=0,
    rated_charge_w=9_000,
    rated_discharge_w=9_000,
    utility_charge_w=NO_LIMIT_W,
    utility_discharge_w=NO_LIMIT_W,
)
OF_KNOWN = """
islanded: the house is not islanded
grid_unknown: the grid is evidenced
grid_return: the grid has stayed
stale_inverter: the inverter's reading is 2.0 s old; it counts for 8.0 s
stale_battery: the battery's reading is 1.0 s old; it counts for 7.0 s
stale_meter: the meter's reading is 0.5 s old; it counts for 6.0 s
device: every device is the commissioned one
reversion: the inverter ends a setpoint by itself when we fall silent
state: the agent is fit to act
alarm_charge: no BMS alarm forbids charging
alarm_discharge: no BMS alarm forbids discharging
charge_enable: the BMS enables charging
discharge_enable: the BMS enables discharging
ccl: the BMS allows charging with 100.0 A at 51.2 V
dcl: the BMS allows discharging with 90.0 A at 51.2 V
cell_high: the highest cell is 3.401 V; none is charged at 3.550 V
cell_low: the lowest cell is 3.222 V; none is discharged at 2.900 V
temperature_charge: cells are between -4.2 °C and 31.1 °C; charging needs 0.5 °C to 50.0 °C
temperature_discharge: cells are between -4.2 °C and 31.1 °C; discharging needs -10.0 °C to 55.0 °C
imbalance_charge: the cells of a pack are up to 60 mV apart (worth a look); charging is a quarter \
from 150 mV, nothing from 300
imbalance_discharge: the cells of a pack are up to 60 mV apart (worth a look); nothing is discharged from 300 mV
soc_ceiling: SoC is at most 62.0 %, its ceiling is 95.0 %
reserve: SoC is at least 58.0 %, the reserve is 21.5 %
soc_floor: SoC is at least 58.0 %, its floor is 7.0 %
site_import: the house without the battery takes 700 W, the site may import 21000 W
site_export: the house without the battery gives 300 W, the site may export 12000 W
fuse_import: the fullest leg alone stands for 5000 W in 2 legs, each is fused with 63 A
fuse_export: the fullest leg alone stands for 4000 W in 2 legs, each is fused with 63 A
pv_only: the house without the battery takes 700 W, and only what the sun leaves over may charge
utility_charge: the utility allows charging with 4200 W
utility_discharge: the utility allows discharging with 1700 W
owner_charge: the owner allows charging with 3100 W
owner_discharge: the owner allows discharging with 800 W
throughput: 3.4 kWh were discharged since midnight UTC, 37.5 kWh may be
nameplate_charge: the inverter may charge with 3900 W
nameplate_discharge: the inverter may discharge with 850 W
"""
OF_UNKNOWN = """
islanded: the inverter runs the house as an island: hands off
grid_return: the grid is back and must stay for a while
stale_inverter: the inverter's reading was never read; it counts for 8.0 s
stale_battery: the battery's reading was never read; it counts for 7.0 s
stale_meter: the meter's reading is 61.0 s old; it counts for 6.0 s
device: a device is missing or not the commissioned one
reversion: the inverter takes no signed setpoint that it would end by itself
state: the agent is starting, stopped, recovering or at fault
alarm_charge: a BMS alarm forbids charging
alarm_discharge: a BMS alarm forbids discharging
charge_enable: the BMS does not enable charging
discharge_enable: the BMS does not enable discharging
cell_high: the highest cell is not known; none is charged at 3.550 V
cell_low: the lowest cell is not known; none is discharged at 2.900 V
temperature_charge: the cell temperatures are not known; charging needs 0.5 °C to 50.0 °C
temperature_discharge: the cell temperatures are not known; discharging needs -10.0 °C to 55.0 °C
imbalance_charge: the cell voltages are not known; charging is a quarter from 150 mV, nothing from 300
imbalance_discharge: the cell voltages are not known; nothing is discharged from 300 mV
soc_ceiling: SoC is not known, its ceiling is 95.0 %
reserve: SoC is not known, the reserve is 21.5 %
soc_floor: SoC is not known, its floor is 7.0 %
site_import: the house's load is not known, the site may import 21000 W
site_export: the house's load is not known, the site may export 12000 W
fuse_import: what each leg of the site carries is not known; each is fused with 63 A
fuse_export: what each leg of the site carries is not known; each is fused with 63 A
pv_only: the house's load is not known, and only what the sun leaves over may charge
utility_charge: the utility sets no limit to charging
utility_discharge: the utility sets no limit to discharging
nameplate_charge: the inverter may charge with 4000 W
nameplate_discharge: the inverter may discharge with 900 W
"""


@pytest.mark.parametrize(("facts", "text"), [(KNOWN, OF_KNOWN), (UNKNOWN, OF_UNKNOWN)], ids=["known", "unknown"])
def test_what_every_limit_says(facts: Facts, text: str) -> None:
    """A sentence that is not among those of `UNKNOWN` is the one of `KNOWN`."""
    told = dict(line.split(": ", 1) for line in (OF_KNOWN + text).strip().splitlines() if line)
    assert {row.id: row.say(facts, HOME) for row in LIMITS} == told


def test_of_a_grid_that_is_not_evidenced() -> None:
    say = {row.id: row.say(KNOWN._replace(grid=0), HOME) for row in LIMITS}
    assert say["grid_unknown"] == "there is no fresh evidence that the grid is there"
    assert say["islanded"] == "the house is not islanded"
