"""What no device on the bus knows: the plant as it is, at the time last reached."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hil.plant.house import Legs
from hil.plant.inverter import NEVER

if TYPE_CHECKING:
    from hil.plant.home import Home


@dataclass(frozen=True, slots=True)
class Truth:
    """W as in docs/design.md; SoC as a fraction; `_wh` since the start, but `energy_wh` and `reserve_wh` are there."""

    at_ns: int
    soc_true: float  # of all packs together; each by its weakest cell
    soc_reported: float
    soc_min: float  # lowest since the start or the last `mark`
    soc_min_on_grid: float  # the same, while the utility was there
    battery_w: float
    pv_w: float
    load_w: float  # what the house got; its wish is `demand_w`
    demand_w: float
    grid_w: float
    grid_leg_w: Legs  # of each leg, + = import
    house_fed: bool
    blackouts: int
    blackout_cause: str
    unfed_s: float
    grid_on: bool
    islanded: bool
    frequency_hz: float
    volts: float
    mode: int
    remote: bool  # a remote window is in force
    setpoint_w: float | None  # its upper bound; None = the inverter's own mode
    revert_at_ns: int | None
    floor_pct: float
    pack_v: float
    current_a: float  # of all packs, + = discharge
    temp_c: float
    cell_min_v: float  # of all packs
    cell_max_v: float
    discharged_wh: float  # AC
    charged_wh: float
    pv_wh: float
    load_wh: float
    import_wh: float
    export_wh: float
    terminal_wh: float  # DC, + = discharge
    conversion_wh: float  # lost between DC and AC
    heat_wh: float  # lost in the cells' resistances
    rc_wh: float  # held by their RC elements
    energy_wh: float  # in the cells, down to the weakest one's empty
    reserve_wh: float  # AC, that an outage would find now: down to the inverter's own floor without a grid

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def truth_of(home: Home) -> Truth:
    """Everything, at the time last reached."""
    inverter, window, packs = home.inverter, home.inverter.in_force, home.batteries
    return Truth(
        at_ns=home.now_ns,
        soc_true=home.soc,
        soc_reported=home.bms.soc,
        soc_min=home.soc_min,
        soc_min_on_grid=home.soc_min_on_grid,
        battery_w=home.battery_w,
        pv_w=home.pv_w,
        load_w=home.load_w,
        demand_w=home.house.load_w,
        grid_w=home.grid_w,
        grid_leg_w=home.meter.true_leg_w,
        house_fed=home.house_fed,
        blackouts=home.blackouts,
        blackout_cause=home.blackout_cause,
        unfed_s=home.unfed_s,
        grid_on=home.grid.on,
        islanded=inverter.islanded,
        frequency_hz=home.grid.frequency_hz,
        volts=home.grid.volts,
        mode=inverter.mode,
        remote=window is not None,
        setpoint_w=None if window is None else window[1],
        revert_at_ns=None if inverter.revert_at_ns == NEVER else inverter.revert_at_ns,
        floor_pct=inverter.floor_pct,
        pack_v=home.battery.pack_v,
        current_a=sum(each.current_a for each in packs),
        temp_c=home.battery.temp_c,
        cell_min_v=min(each.cell_min_v for each in packs),
        cell_max_v=max(each.cell_max_v for each in packs),
        discharged_wh=home.discharged_wh,
        charged_wh=home.charged_wh,
        pv_wh=home.pv_wh,
        load_wh=home.load_wh,
        import_wh=home.meter.import_wh,
        export_wh=home.meter.export_wh,
        terminal_wh=sum(each.terminal_wh for each in packs),
        conversion_wh=home.conversion_wh,
        heat_wh=sum(each.heat_wh for each in packs),
        rc_wh=sum(each.rc_wh for each in packs),
        energy_wh=sum(each.energy_wh for each in packs),
        reserve_wh=reserve_wh(home),
    )


def reserve_wh(home: Home) -> float:
    """AC watt-hours that an outage would find now: each pack from where it is down to the inverter's off-grid floor,
    after conversion, before the cells' own resistance."""
    params = home.params.inverter
    floor = params.offgrid_floor_pct / 100.0
    return params.eta * sum(max(0.0, each.energy_wh - each.energy_at_wh(floor)) for each in home.batteries)
