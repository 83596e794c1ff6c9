"""The battery's own computer: what it believes (quantised, late, perhaps wrong), what it allows, and when it cuts off.

Its limits bind the inverter over a link of their own (CAN), which no fault of our bus touches.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import pairwise

from hil.plant.battery import Battery

Curve = tuple[tuple[float, float], ...]  # (x, share 0..1), x rising, linear between, flat outside

CHARGE_T: Curve = ((0.0, 0.0), (5.0, 0.2), (12.0, 1.0), (45.0, 1.0), (55.0, 0.0))
DISCHARGE_T: Curve = ((-20.0, 0.0), (-10.0, 0.3), (0.0, 1.0), (50.0, 1.0), (60.0, 0.0))
CHARGE_V: Curve = ((3.45, 1.0), (3.55, 0.1), (3.60, 0.0))
DISCHARGE_V: Curve = ((2.80, 0.0), (2.95, 0.2), (3.05, 1.0))
DITHER = 1021  # prime: the noise of one quantity does not come back for as many seconds
STRIDE = 37


def share(curve: Curve, x: float) -> float:
    """Linear interpolation on `curve`."""
    if x <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return curve[-1][1]


def _share(value: float) -> float:
    return 0.0 if value < 0.0 else 1.0 if value > 1.0 else value


@dataclass(frozen=True, slots=True)
class BmsParams:
    """How good this BMS is."""

    max_charge_a: float = 250.0
    max_discharge_a: float = 250.0
    soc_quantum: float = 0.001  # the step in which it counts SoC; 0.01 on many, whatever their register could show
    soc_lag_s: float = 2.0
    current_step_a: float = 0.1
    current_noise_a: float = 0.06
    current_blind_a: float = 0.2  # below it shows 0
    cell_noise_v: float = 0.0005
    cell_offset_v: float = 0.0015  # of each channel, fixed
    pack_noise_v: float = 0.008
    temp_noise_c: float = 0.03
    sleep_after_s: float = 600.0  # in under-voltage without a charging current
    wake_s: float = 30.0  # what an inverter with power then needs to wake it
    over_v: float = 3.65
    over_v_clear: float = 3.45
    under_v: float = 2.65
    under_v_clear: float = 2.95
    charge_temp_c: tuple[float, float] = (0.0, 55.0)
    discharge_temp_c: tuple[float, float] = (-20.0, 60.0)


@dataclass(frozen=True, slots=True)
class BmsSample:
    """What the BMS shows at one moment; register images are made of this and nothing else. Current + = discharge."""

    soc: float
    pack_v: float
    current_a: float
    cells_v: tuple[float, ...]
    temps_c: tuple[float, float, float, float]
    ambient_c: float
    mos_c: float
    ccl_a: float
    dcl_a: float
    charge_fet: bool
    discharge_fet: bool
    remain_ah: float
    total_ah: float
    throughput_ah: float
    cycles: int
    alarms: frozenset[str]
    asks: bool = False


class Bms:
    """Samples the pack once a second; judges heat and frost by the middle of its cells, as many do. Faults: `bias`,
    `asleep`, `asks`, `forced_ccl_a`, `forced_dcl_a`."""

    def __init__(self, params: BmsParams, battery: Battery, rng: random.Random) -> None:
        self.params = params
        self.asleep = False  # silent, and its FETs are open
        self.wake_after_s: float | None = None  # how long an inverter with power must still nudge it; None = in vain
        self.bias = 0.0  # added to the SoC that it believes
        self.asks = False  # it wants to be charged now
        self.forced_ccl_a: float | None = None
        self.forced_dcl_a: float | None = None
        self.opened = frozenset[str]()  # "charge", "discharge": switched off by hand
        self.misled = 0.0  # what `bias` makes of the SoC that it believes
        self.narrowed: dict[str, float] = {}  # "ccl", "dcl": what is forced, where that is less than it would allow
        self.charge_w = 0.0  # what the inverter may do now, W >= 0
        self.discharge_w = 0.0
        self.soc = 0.0  # as it reports to the inverter
        self._battery = battery
        self._lagged = battery.soc
        self._over_v = self._under_v = False
        self._throughput_as = 0.0
        self._limits = (0.0, 0.0)
        self._sample: BmsSample | None = None
        self._offsets = [rng.gauss(0.0, params.cell_offset_v) for _ in range(battery.params.cells)]
        ring = [rng.gauss(0.0, 1.0) for _ in range(DITHER)]
        self._needed = battery.params.cells + 6
        self._dither = ring + ring[: self._needed]
        self._at = 0  # where in the ring this second's noise begins: a function of time, not of who reads
        self._seen = (0.0, 0.0)
        self._under_s = 0.0
        self.step(0.0)

    def step(self, dt_s: float) -> None:
        """One sample: limits for the inverter at once, SoC with its lag."""
        params, battery = self.params, self._battery
        self._sample = None
        closed = self.discharge_fet if battery.current_a > 0.0 else self.charge_fet
        self._seen = (battery.pack_v, battery.current_a if closed else 0.0)  # one that was just opened ended it
        if dt_s:
            self._at = (self._at + STRIDE) % DITHER
            self._lagged += (battery.soc - self._lagged) * (1.0 - math.exp(-dt_s / params.soc_lag_s))
        believed = _share(self._lagged + self.bias)
        self.misled = believed - _share(self._lagged)
        self.soc = round(believed / params.soc_quantum) * params.soc_quantum
        low, high, temp = battery.cell_min_v, battery.cell_max_v, battery.temp_c
        self._over_v = high > (params.over_v_clear if self._over_v else params.over_v)
        self._under_v = low < (params.under_v_clear if self._under_v else params.under_v)
        empty = self._under_v and battery.current_a >= 0.0 and not self.asleep
        self._under_s = self._under_s + dt_s if empty else 0.0
        if self._under_s >= params.sleep_after_s:
            self.asleep, self.wake_after_s = True, params.wake_s
        charge_a = (
            params.max_charge_a * share(CHARGE_T, temp) * share(CHARGE_V, high)
            if high > 3.45 or not 12.0 < temp < 45.0
            else params.max_charge_a
        )
        discharge_a = (
            params.max_discharge_a * share(DISCHARGE_T, temp) * share(DISCHARGE_V, low)
            if low < 3.05 or not 0.0 < temp < 50.0
            else params.max_discharge_a
        )
        self._limits = charge_a, discharge_a = self._forced(charge_a, discharge_a)
        self.charge_w = charge_a * battery.pack_v if self.charge_fet else 0.0
        self.discharge_w = discharge_a * battery.pack_v if self.discharge_fet else 0.0
        if battery.current_a > 0.0:
            self._throughput_as += battery.current_a * dt_s

    def _forced(self, charge_a: float, discharge_a: float) -> tuple[float, float]:
        """What is left of its own limits."""
        self.narrowed.clear()
        if self.forced_ccl_a is not None and self.forced_ccl_a < charge_a:
            self.narrowed["ccl"] = charge_a = self.forced_ccl_a
        if self.forced_dcl_a is not None and self.forced_dcl_a < discharge_a:
            self.narrowed["dcl"] = discharge_a = self.forced_dcl_a
        return charge_a, discharge_a

    @property
    def charge_fet(self) -> bool:
        """Whether the charge path is closed."""
        low, high = self.params.charge_temp_c
        return (
            "charge" not in self.opened and not self.asleep and not self._over_v and low <= self._battery.temp_c <= high
        )

    @property
    def discharge_fet(self) -> bool:
        """Whether the discharge path is closed."""
        low, high = self.params.discharge_temp_c
        return (
            "discharge" not in self.opened
            and not self.asleep
            and not self._under_v
            and low <= self._battery.temp_c <= high
        )

    @property
    def allowed_a(self) -> tuple[float, float]:
        """(CCL, DCL) in A >= 0; 0 where its switch is open."""
        return (self._limits[0] if self.charge_fet else 0.0, self._limits[1] if self.discharge_fet else 0.0)

    def nudge(self, dt_s: float) -> None:
        """An inverter with power works on a sleeping BMS for `dt_s`."""
        if self.asleep and self.wake_after_s is not None:
            self.wake_after_s -= dt_s
            if self.wake_after_s <= 0.0:
                self.asleep, self.wake_after_s = False, None

    def follow(self, soc: float) -> None:
        """Forget the lag: the pack's SoC was set by hand."""
        self._lagged = soc
        self.step(0.0)

    def sample(self) -> BmsSample:
        """What a reader on the bus sees now."""
        if self._sample is None:
            self._sample = self._look()
        return self._sample

    def _look(self) -> BmsSample:
        battery, params, noise = (
            self._battery,
            self.params,
            self._dither[self._at : self._at + self._battery.params.cells + 6],
        )
        temp, total_ah = battery.temp_c, battery.params.capacity_ah
        throughput_ah = self._throughput_as / 3600.0
        pack_v, current_a = self._seen
        charge_a, discharge_a = self.allowed_a
        cells = battery.params.cells
        shown_a = current_a + noise[cells] * params.current_noise_a
        shown_a = round(shown_a / params.current_step_a) * params.current_step_a
        t, half = params.temp_noise_c, battery.params.temp_spread_c / 2.0
        return BmsSample(
            soc=self.soc,
            pack_v=pack_v + noise[cells + 1] * params.pack_noise_v,
            current_a=shown_a if abs(current_a) > params.current_blind_a else 0.0,
            cells_v=tuple(
                v + o + n * params.cell_noise_v for v, o, n in zip(battery.cells_v, self._offsets, noise, strict=False)
            ),
            temps_c=(
                temp + half + 0.6 + noise[cells + 2] * t,
                temp + 0.1 + noise[cells + 3] * t,
                temp - 0.2 + noise[cells + 4] * t,
                temp - half - 0.5 + noise[cells + 5] * t,
            ),
            ambient_c=battery.params.ambient_c,
            mos_c=temp + 0.02 * abs(current_a),
            ccl_a=charge_a,
            dcl_a=discharge_a,
            charge_fet=self.charge_fet,
            discharge_fet=self.discharge_fet,
            remain_ah=self.soc * total_ah,
            total_ah=total_ah,
            throughput_ah=throughput_ah,
            cycles=int(throughput_ah / total_ah),
            alarms=self._alarms(),
            asks=self.asks,
        )

    def _alarms(self) -> frozenset[str]:
        """Names of what is wrong, as the register tables of the devices know them."""
        battery, params = self._battery, self.params
        temp = battery.temp_c
        checks = {
            "cell_high_voltage": battery.cell_max_v > 3.60,
            "cell_over_voltage": self._over_v,
            "cell_low_voltage": battery.cell_min_v < 2.80,
            "cell_under_voltage": self._under_v,
            "charge_high_temperature": temp > params.charge_temp_c[1] - 5.0,
            "charge_over_temperature": temp > params.charge_temp_c[1],
            "charge_low_temperature": temp < params.charge_temp_c[0] + 3.0,
            "charge_under_temperature": temp < params.charge_temp_c[0],
            "discharge_high_temperature": temp > params.discharge_temp_c[1] - 5.0,
            "discharge_over_temperature": temp > params.discharge_temp_c[1],
            "discharge_under_temperature": temp < params.discharge_temp_c[0],
        }
        return frozenset(name for name, on in checks.items() if on)
