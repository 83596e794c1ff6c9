"""One simulated home: pack, BMS, hybrid inverter, house, PV, grid and meter on one clock that is passed in.

Steps fall on a fixed lattice (250 ms; 50 ms while power moves) plus the exact time of every write, reversion and grid
event, so that reading a register never changes what happens. `load_w = battery_w + pv_w + grid_w` at every instant.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from hil.plant.bank import Bank
from hil.plant.battery import Battery, PackParams
from hil.plant.bms import Bms, BmsParams
from hil.plant.grid import Grid
from hil.plant.house import House
from hil.plant.inverter import NEVER, Inverter, InverterParams
from hil.plant.meter import Meter, inverter_legs
from hil.plant.pv import Pv
from hil.plant.truth import Truth, truth_of

S = 1_000_000_000
COARSE = 250_000_000
FINE = 50_000_000
LIVELY_W = 100.0  # what moves less is exact on the coarse lattice too, and nobody polls faster


@dataclass(frozen=True, slots=True)
class HomeParams:
    """How a home starts. `load_w` / `pv_w`: None = by the profile of the hour."""

    soc: float = 0.60
    temp_c: float = 24.0
    start_s_of_day: float = 18.0 * 3600
    load_w: float | None = None
    pv_w: float | None = None
    pv_peak_w: float = 6_000.0
    nominal_hz: float = 60.0
    nominal_v: float = 230.0
    pack: PackParams = field(default_factory=PackParams)
    bms: BmsParams = field(default_factory=BmsParams)
    inverter: InverterParams = field(default_factory=InverterParams)
    packs: int = 1  # in parallel, each with `pack`
    soc2: float | None = None  # how the second pack starts; None = as the first
    legs: int = 3  # phases of the grid connection; 2 = split-phase
    inverter_leg: int | None = None  # the leg that inverter and roof feed; None = all of them evenly
    inverters: int = 1  # on the same bank, each as `inverter`; the first has the roof and carries an island


class Home:
    """`advance_to` moves on to a time; hooks (`grid.outage()`, `bms.bias = 0.05` ...) act at the time last reached."""

    def __init__(self, seed: int, params: HomeParams | None = None, start_ns: int = 0) -> None:
        self.params = params = params if params is not None else HomeParams()
        self.now_ns = start_ns
        self.seed = seed

        def stream(name: str) -> random.Random:
            return random.Random(f"{seed}/{name}")

        self.battery = Battery(params.pack, params.soc, params.temp_c, stream("cells"))
        self.bms = Bms(params.bms, self.battery, stream("bms"))
        self.inverter = Inverter(params.inverter)
        self.batteries, self.bmss, self.inverters = [self.battery], [self.bms], [self.inverter]
        for number in range(2, params.packs + 1):
            soc = params.soc if number != 2 or params.soc2 is None else params.soc2
            self.batteries.append(Battery(params.pack, soc, params.temp_c, stream(f"cells{number}")))
            self.bmss.append(Bms(params.bms, self.batteries[-1], stream(f"bms{number}")))
        self.inverters += [Inverter(params.inverter) for _ in range(1, params.inverters)]
        self.several = len(self.bmss) > 1 or len(self.inverters) > 1
        self.bank: Bms | Bank = self.bms
        if self.several:
            self.bank = Bank(self.batteries, self.bmss, 1.0 / params.inverters)
        self.house = House(stream("house"), params.legs)
        self.pv = Pv(stream("pv"), params.pv_peak_w)
        self.grid = Grid(stream("grid"), params.nominal_hz, params.nominal_v)
        self.meter = Meter(inverter_legs(params.legs, params.inverter_leg), params.legs)
        self.house.forced_w, self.pv.forced_w = params.load_w, params.pv_w
        self.pv_w = self.load_w = self.grid_w = 0.0
        self.house_fed = True
        self.blackouts = 0
        self.darkened = 0  # times that a remote window kept dark what the inverter could have fed by itself
        self.blackout_cause = ""
        self.unfed_s = 0.0
        self.soc_min = self.soc_min_on_grid = params.soc
        self.discharged_wh = self.charged_wh = self.pv_wh = self.load_wh = self.conversion_wh = 0.0
        self.imported_wh = self.exported_wh = 0.0  # what flowed, whatever the meter counts
        self.revision = 0  # changes whenever a register image may have
        self._start_ns = start_ns
        self._grid_seen = True
        self._lively = self._held_dark = False
        self._slow_ns = start_ns
        self._each_second()
        self._settle_now()

    # --- time --------------------------------------------------------------------------------------------------------
    def advance_to(self, now_ns: int) -> None:
        """Take every step of the lattice and every event up to `now_ns`: what a read needs."""
        self._run(now_ns)

    def sync(self, now_ns: int) -> None:
        """The same, and then exactly up to `now_ns`: what a write or a hook needs."""
        self._run(now_ns)
        if now_ns > self.now_ns:
            self._step(now_ns)

    def step(self, dt_s: float) -> None:
        """Move on by `dt_s`, exactly."""
        self.sync(self.now_ns + round(dt_s * S))

    def _run(self, to_ns: int) -> None:
        inverter, grid = self.inverter, self.grid
        while True:
            now = self.now_ns
            if grid.on is not self._grid_seen:
                self._grid_seen = grid.on
                for each in self.inverters:
                    (each.grid_back if grid.on else each.grid_lost)(now)
            busy = inverter.busy if not self.several else any(each.busy for each in self.inverters)
            lattice = FINE if self._lively or busy else COARSE
            after = now - now % lattice + lattice
            event = inverter.next_ns if not self.several else min(each.next_ns for each in self.inverters)
            if event < after:
                after = event if event > now else now
            if after > to_ns:
                return
            self._step(after)

    def _step(self, to_ns: int) -> None:
        """The time from now to `to_ns` passes; nothing but lag happens in between."""
        dt_s = (to_ns - self.now_ns) / S
        self.now_ns = to_ns
        self.revision += 1
        inverter = self.inverter
        if dt_s > 0.0:
            if self.grid.on and not inverter.islanded:
                self._on_grid(dt_s)
            else:
                self._off_grid(dt_s)
        for each in self.inverters:
            if each.next_ns <= to_ns:
                each.due(to_ns)
        if not to_ns % S:
            self._each_second()

    def _each_second(self) -> None:
        dt_s = (self.now_ns - self._slow_ns) / S
        self._slow_ns = self.now_ns
        second = (self.params.start_s_of_day + (self.now_ns - self._start_ns) / S) % 86_400.0
        self.house.step(second, dt_s, 0.0 if self.inverter.booting else self.params.inverter.own_w)
        self.pv.step(second, dt_s)
        self.grid.step(dt_s)
        self.meter.tally(dt_s, self.house.shares)
        awake = (self.grid.on or self.pv.available_w) and not self.inverter.booting
        for battery, bms in zip(self.batteries, self.bmss, strict=True):
            battery.settle(dt_s)
            if awake:
                bms.nudge(dt_s)
            bms.step(dt_s)

    def _settle_now(self) -> None:
        """At the start the inverter already does what it would do."""
        load, pv = self.house.load_w, self.pv.available_w
        count = len(self.inverters)
        for each in self.inverters:
            each.battery_w = each.aim((load - pv) / count, pv if each is self.inverter else 0.0, self.bank)
        whole = sum(each.battery_w for each in self.inverters)
        self._flow(load, pv, whole, whole, 0.0)

    # --- flows -------------------------------------------------------------------------------------------------------
    def _on_grid(self, dt_s: float) -> None:
        inverter, load = self.inverter, self.house.load_w
        self.house_fed = True
        if inverter.booting:
            self._flow(load, 0.0, 0.0, 0.0, dt_s)
            return
        pv = self.pv.available_w
        if not self.several:
            mean, last = self._lag(inverter, load - pv, pv, dt_s)
            self._flow(load, pv, mean, last, dt_s)
            return
        count, lively = len(self.inverters), False
        means = lasts = 0.0
        for each in self.inverters:
            mean, last = self._lag(each, (load - pv) / count, pv if each is inverter else 0.0, dt_s)
            lively = lively or self._lively
            means, lasts = means + mean, lasts + last
        self._lively = lively
        self._flow(load, pv, means, lasts, dt_s)

    def _lag(self, inverter: Inverter, need_w: float, pv_w: float, dt_s: float) -> tuple[float, float]:
        """One inverter moves toward its aim for `dt_s`: (mean, last) battery watts."""
        target = inverter.aim(need_w, pv_w, self.bank)
        gap = inverter.battery_w - target
        if (gap > 0.0 and not self.bank.discharge_w) or (gap < 0.0 and not self.bank.charge_w):
            gap = 0.0  # an open FET has no lag
        elif inverter.stays(target, self.bank):
            target, gap = inverter.battery_w, 0.0
        if -1.0 < gap < 1.0:
            self._lively = False
            mean = last = target
        else:
            tau = inverter.params.tau_s
            rest = math.exp(-dt_s / tau)
            last = target + gap * rest
            mean = target + gap * (1.0 - rest) * tau / dt_s
            self._lively = not -LIVELY_W < last - target < LIVELY_W
        inverter.battery_w = last
        return mean, last

    def _off_grid(self, dt_s: float) -> None:
        inverter, demand = self.inverter, self.house.load_w
        self._lively = False
        for each in self.inverters[1:]:
            each.battery_w = 0.0
        watts = inverter.carries(demand, self.pv.available_w, self.bank)
        by_window = watts is None and inverter.carries(demand, self.pv.available_w, self.bank, held=False) is not None
        self.darkened += by_window and not self._held_dark
        self._held_dark = by_window
        if watts is None:
            if inverter.restart_at_ns == NEVER:
                self.blackouts += 1
                self.blackout_cause = self._why_dark(by_window)
            inverter.restart_at_ns = self.now_ns + int(inverter.params.restart_s * S)
        elif self.now_ns >= inverter.restart_at_ns:
            inverter.restart_at_ns = NEVER
        self.house_fed = watts is not None and inverter.restart_at_ns == NEVER
        if watts is None or not self.house_fed:
            self.unfed_s += dt_s
            inverter.battery_w = 0.0
            self._flow(0.0, 0.0, 0.0, 0.0, dt_s)
            return
        inverter.battery_w = watts
        self._flow(demand, demand - watts, watts, watts, dt_s)

    def _why_dark(self, by_window: bool) -> str:
        inverter = self.inverter
        if inverter.booting:
            return "the inverter was rebooting"
        if by_window and inverter.in_force is not None:
            return f"a remote window of {inverter.in_force[0]:.0f}..{inverter.in_force[1]:.0f} W while islanded"
        return f"the battery could not feed {self.house.load_w:.0f} W"

    def _flow(self, load: float, pv: float, mean_w: float, last_w: float, dt_s: float) -> None:
        """`mean_w` flowed from the battery for `dt_s`; `last_w` flows now."""
        params = self.params.inverter
        grid, bank, hours = self.grid, self.bank, dt_s / 3600.0
        dc_w = mean_w / params.eta if mean_w > 0.0 else mean_w * params.eta
        if params.idle_dc_w and bank.discharge_w and not self.inverter.booting:
            dc_w += params.idle_dc_w
        if isinstance(bank, Bank):
            bank.drain(dc_w, dt_s)
        else:
            self.battery.drain(dc_w, dt_s)
        self.load_w, self.pv_w = load, pv
        if mean_w > 0.0:
            self.discharged_wh += mean_w * hours
        else:
            self.charged_wh -= mean_w * hours
        self.conversion_wh += (dc_w - mean_w) * hours
        self.pv_wh += pv * hours
        self.load_wh += load * hours
        soc = self.soc if self.several else self.battery.soc
        if soc < self.soc_min:
            self.soc_min = soc
        self.grid_w = 0.0
        if not grid.on:
            self.meter.step(0.0, 0.0, 0.0, 0.0, 0.0, dt_s)
            return
        if soc < self.soc_min_on_grid:
            self.soc_min_on_grid = soc
        if self.inverter.islanded:
            self.meter.step(0.0, 0.0, 0.0, grid.volts, grid.frequency_hz, dt_s)
            return
        self.grid_w = load - pv - last_w
        mean_grid_w = load - pv - mean_w
        if mean_grid_w > 0.0:
            self.imported_wh += mean_grid_w * hours
        else:
            self.exported_wh -= mean_grid_w * hours
        self.meter.step(load, pv + last_w, pv + mean_w, grid.volts, grid.frequency_hz, dt_s)

    # --- what the bench asks -----------------------------------------------------------------------------------------
    def set_soc(self, soc: float) -> None:
        """Put the pack at `soc` (fraction); the BMS knows at once."""
        for battery, bms in zip(self.batteries, self.bmss, strict=True):
            battery.soc = soc
            battery.settle(0.0)
            bms.follow(soc)
        self.mark()

    def set_load(self, watts: float | None) -> None:
        """The house draws that from now on; None = its profile again."""
        self.house.forced_w = watts
        if watts is not None:
            self.house.load_w = watts

    def set_pv(self, watts: float | None) -> None:
        """The roof gives that from now on; None = the sun again."""
        self.pv.forced_w = watts
        if watts is not None:
            self.pv.available_w = watts

    def mark(self) -> None:
        """Forget the lowest SoC so far."""
        self.soc_min = self.soc_min_on_grid = self.soc

    def output_v_hz(self) -> tuple[float, float]:
        """Volts and hertz at the inverter's own AC output, which an island has too."""
        if self.grid.on and not self.inverter.islanded:
            return self.grid.volts, self.grid.frequency_hz
        return (self.grid.nominal_v, self.grid.nominal_hz) if self.house_fed else (0.0, 0.0)

    @property
    def soc(self) -> float:
        """True SoC of all packs together, 0..1."""
        if not self.several:
            return self.battery.soc
        return sum(each.soc for each in self.batteries) / len(self.batteries)

    @property
    def battery_w(self) -> float:
        """Of all inverters together."""
        return sum(each.battery_w for each in self.inverters) if self.several else self.inverter.battery_w

    def truth(self) -> Truth:
        """Everything, at the time last reached."""
        return truth_of(self)
