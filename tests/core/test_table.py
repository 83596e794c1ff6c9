"""The rows of LIMITS by hand, in their order: which side each binds, how it lifts, and who owns it."""

from __future__ import annotations

from agent.core.caps import PLAIN
from agent.core.limits import LIMITS
from agent.core.permit import BOTH, CHARGING, DISCHARGING, binding, caps
from tests.core.home import PARAMS
from tests.core.test_limits import BASE

TABLE = """
islanded both live utility
grid_unknown both live utility
grid_return both live utility
stale_inverter both live inverter
stale_battery both live bms
stale_meter both live site
device both live site
reversion both live inverter
state both live agent
alarm_charge charge hold bms
alarm_discharge discharge hold bms
charge_enable charge hold bms
discharge_enable discharge hold bms
ccl charge hold bms
dcl discharge hold bms
cell_high charge latch agent
cell_low discharge latch agent
temperature_charge charge hysteresis agent
temperature_discharge discharge hysteresis agent
imbalance_charge charge settled agent
imbalance_discharge discharge settled agent
soc_ceiling charge hysteresis site
reserve discharge hysteresis homeowner
soc_floor discharge hysteresis site
site_import charge live site
site_export discharge live site
fuse_import charge live site
fuse_export discharge live site
pv_only charge live site
utility_charge charge hold utility
utility_discharge discharge hold utility
owner_charge charge live homeowner
owner_discharge discharge live homeowner
throughput discharge hold homeowner
nameplate_charge charge live site
nameplate_discharge discharge live site
"""


def test_every_row_is_as_the_table_says() -> None:
    """A row that moves changes which reason people are told; one that lifts otherwise, how long they wait."""
    rows = [f"{row.id} {row.side.name.lower()} {row.lift.value} {row.owner}" for row in LIMITS]
    assert rows == TABLE.strip().splitlines()


def test_every_row_is_on_its_sides() -> None:
    assert set(CHARGING) & set(DISCHARGING) == set(BOTH)
    assert set(CHARGING) | set(DISCHARGING) == set(range(len(LIMITS)))
    assert [LIMITS[i].id for i in BOTH] == [line.split()[0] for line in TABLE.splitlines() if " both " in line]


def test_of_equals_the_first_is_told() -> None:
    """Each row in turn leaves nothing, and so does every later one of its side."""
    free = caps(PLAIN, BASE, PARAMS)
    for at, row in enumerate(LIMITS):
        for charge, side in ((True, CHARGING), (False, DISCHARGING)):
            if at in side:
                left = [0 if i >= at and i in side else w for i, w in enumerate(free)]
                assert LIMITS[binding(left, PARAMS, charge)].id == row.id
