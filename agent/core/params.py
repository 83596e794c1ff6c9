"""Everything the core is configured with: frozen, integer, checked once by `agent.config`.

Defaults are those of docs/design.md; a configuration may be stricter, only one marked `demo` may shorten timers.
"""

from __future__ import annotations

from dataclasses import dataclass

S = 1_000_000_000  # ns in a second
NO_LIMIT_W = 1_000_000  # more than any home has

Table = tuple[tuple[int, int], ...]  # (x, permille of nameplate), x ascending, piecewise linear, flat outside


@dataclass(frozen=True, slots=True)
class Site:
    """What the electrician signed for. W are magnitudes >= 0."""

    nameplate_charge_w: int
    nameplate_discharge_w: int
    capacity_wh: int
    import_limit_w: int
    export_limit_w: int
    fuse_a: int = 0  # of each leg or phase; 0 = only the whole connection is limited
    legs: int = 1  # legs or phases that share the battery's power alike; 1 = which one takes it is not known
    owner_charge_w: int = NO_LIMIT_W
    owner_discharge_w: int = NO_LIMIT_W
    pv_only: bool = False  # a tariff that forbids charging from the grid
    utility_charge_w: int = NO_LIMIT_W
    utility_discharge_w: int = NO_LIMIT_W


@dataclass(frozen=True, slots=True)
class Timers:
    """Durations in ns unless the name says otherwise."""

    cycle_ns: int = 1 * S
    stale_battery_ns: int = 5 * S
    stale_inverter_ns: int = 5 * S
    stale_meter_ns: int = 3 * S
    stale_grid_ns: int = 2 * S  # positive evidence of the grid must be this fresh for any power write
    write_ns: int = 1 * S  # command slot to last byte, worst case
    reversion_s: int = 60  # written with every setpoint where the device has a timer
    refresh_ns: int = 15 * S  # lease renewal, <= a quarter of the reversion time
    release_delay_ns: int = 30 * S  # a lost BMS holds zero this long, then we release
    hold_ns: int = 30 * S  # a limit that lifts stays this long before power returns
    spread_hold_ns: int = 600 * S  # the same for cells that drifted apart
    recover_good_ns: int = 30 * S  # DEGRADED -> STANDBY after this long without a fault, doubled per re-entry
    recover_max_ns: int = 900 * S
    fault_clear_ns: int = 60 * S
    grid_dwell_ns: int = 300 * S  # grid good for this long before we act again
    grid_jitter_ns: int = 300 * S  # plus a random part of this
    actuation_ns: int = 10 * S  # how long power may differ from the setpoint before it is a fault
    command_repeat_ack_ns: int = 10 * S


@dataclass(frozen=True, slots=True)
class Bank:
    """Packs on one DC bus, and the inverters that are fed from it."""

    packs: tuple[str, ...]
    inverters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wiring:
    """How several devices hang together. Empty = every pack behind every inverter, every meter at the grid."""

    banks: tuple[Bank, ...] = ()  # together they name every pack and every inverter that has packs
    bare: tuple[str, ...] = ()  # inverters without a pack: PV only, never commanded
    capacity_wh: tuple[tuple[str, int], ...] = ()  # by pack; all of them or none
    places: tuple[tuple[str, str], ...] = ()  # meter -> "pv" or "load"; the others are at the grid connection


SELF_CONSUMPTION, IDLE = "self_consumption", "idle"  # modes of default control


@dataclass(frozen=True, slots=True)
class DefaultControl:
    """What the home does when nothing is asked of it. `agent.remote` has folded its limits into those of the site."""

    version: int = 0  # of the signed document; 0 = the factory's: 0 W of dispatch, self-consumption, the reserve kept
    mode: str = SELF_CONSUMPTION
    import_limit_w: int | None = None
    export_limit_w: int | None = None
    ramp_permille_per_s: int | None = None  # of what is driven then; None = as fast as the reserve needs it


@dataclass(frozen=True, slots=True)
class Params:
    """The whole of it. Permille of SoC are of the BMS' own scale; tables give permille of nameplate."""

    site: Site
    timers: Timers
    soc_floor_permille: int = 50
    soc_ceiling_permille: int = 1000
    reserve_default_permille: int = 200
    reserve_min_permille: int = 100
    charge_v_mv: Table = ((3400, 1000), (3450, 500), (3500, 100), (3550, 0))
    discharge_v_mv: Table = ((2900, 0), (3000, 100), (3100, 500), (3150, 1000))
    charge_t_dc: Table = ((0, 0), (20, 250), (50, 500), (100, 1000), (400, 1000), (450, 500), (500, 250), (550, 0))
    discharge_t_dc: Table = ((-100, 0), (0, 250), (50, 500), (100, 1000), (400, 1000), (450, 500), (500, 250), (550, 0))
    spread_warn_mv: int = 50  # highest less lowest cell of one pack: worth a look
    spread_derate_mv: int = 150  # charged with a quarter from here
    spread_stop_mv: int = 300  # nothing from here
    daily_permille: int = 1500  # energy that may be discharged in a UTC day, of the capacity
    hysteresis_mv: int = 30
    hysteresis_spread_mv: int = 50
    hysteresis_dc: int = 20
    hysteresis_permille: int = 20
    recover_w_per_s: int = 250  # slew after a limit lifted and its hold passed
    restore_w: int = 0  # charge with this much from the grid while below the reserve; 0 = wait for the sun
    storm_hours: int = 5  # the whole battery in so many hours is the power that charges it for a storm: 0.2 C
    critical_load_w: int = 0  # what the home needs in an outage; 0 = nobody said
    ramp_direct_permille_per_s: int = 50
    ramp_scheduled_permille_per_s: int = 10
    ramp_urgent_permille_per_s: int = 100
    ramp_regulation_permille_per_s: int = 250
    dead_band_w: int = 100  # a reading that moves the decision by more than this wakes a cycle at once
    dispatch_direct_max_s: int = 900
    dispatch_event_max_s: int = 86_400
    price_low_micro: int | None = None  # millionths a kWh: charged from here down; None = of the list itself
    price_high_micro: int | None = None  # discharged from here up
    price_efficiency_permille: int = 850  # of what is charged, that comes back
    price_wear_micro: int = 50_000  # what a kWh through the battery costs it
    crash_loop_starts: int = 5
    crash_loop_window_s: int = 600
    demo: bool = False
    wiring: Wiring = Wiring()
    default: DefaultControl = DefaultControl()
    own: Params | None = None  # as commissioned, where something set from afar tightened it; None = this is it
