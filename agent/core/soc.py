"""How much energy is in the battery: an interval, and the integrals that carry it from one SoC step to the next."""

from __future__ import annotations

from typing import Protocol

from agent.core.packs import Pack, within
from agent.core.params import Params
from drivers.readings import InverterReading

NJ_PER_MWH = 3_600_000_000  # 1 mWh = 3.6 J, and 1 W x 1 ns = 1 nJ
INVERTER_SOC_STEP = 10  # permille by which an inverter's SoC may differ from the BMS' through rounding alone


Flow = tuple[int, int]  # (charge, discharge), W >= 0


class Remembered(Protocol):
    """What the last cycle left."""

    @property
    def at_ns(self) -> int: ...
    @property
    def soc(self) -> tuple[int, int] | None: ...
    @property
    def drained_nj(self) -> int: ...
    @property
    def charged_nj(self) -> int: ...


class Soc:
    """The energy interval in mWh (None = not known), and the integrals that it needs next time."""

    __slots__ = ("at_ns", "charged_nj", "drained_nj", "hi_mwh", "lo_mwh", "reported")

    def __init__(
        self,
        trace: Remembered,
        params: Params,
        now: int,
        pack: Pack | None,
        inverter: InverterReading | None,
        others: tuple[int | None, ...],
    ) -> None:
        """`pack` and `inverter` are fresh or None; `others`: the SoC that each fresh inverter shows. Integrates once a
        cycle: one that was woken early adds nothing."""
        self.at_ns, self.reported = trace.at_ns, trace.soc
        self.drained_nj, self.charged_nj = trace.drained_nj, trace.charged_nj
        self.lo_mwh: int | None = None
        self.hi_mwh: int | None = None
        if now - trace.at_ns >= params.timers.cycle_ns // 2 or now < trace.at_ns:
            self._integrate(max(0, now - trace.at_ns), pack, inverter)
            self.at_ns = now
        if pack is None or pack.soc_min is None or pack.soc_max is None:
            return
        if self.reported != (pack.soc_min, pack.soc_max):
            if self.reported is None or self.reported[0] != pack.soc_min:
                self.drained_nj = 0
            if self.reported is None or self.reported[1] != pack.soc_max:
                self.charged_nj = 0
            self.reported = (pack.soc_min, pack.soc_max)
        capacity = params.site.capacity_wh
        lo = (pack.soc_min - pack.quantum) * capacity + -self.drained_nj // NJ_PER_MWH
        hi = (pack.soc_max + pack.quantum) * capacity - -self.charged_nj // NJ_PER_MWH
        for said in others:
            other = within(said, 0, 1000)
            if other is not None:
                lo = other * capacity if (other + INVERTER_SOC_STEP) * capacity < lo else lo
                hi = other * capacity if (other - INVERTER_SOC_STEP) * capacity > hi else hi
        self.lo_mwh, self.hi_mwh = max(0, lo), min(1000 * capacity, hi)

    def _integrate(self, dt: int, pack: Pack | None, inverter: InverterReading | None) -> None:
        """What is measured to leave counts with the greater of the two powers, what comes in with the lesser."""
        one = pack.power_w if pack is not None else None
        two = inverter.battery_w if inverter is not None else None
        most = max(one if one is not None else two or 0, two if two is not None else one or 0)
        least = min(one if one is not None else two or 0, two if two is not None else one or 0)
        self.drained_nj = max(0, self.drained_nj + most * dt)
        self.charged_nj = max(0, self.charged_nj - least * dt)

    def bay_w(self, pack: Pack, capacity_wh: int, params: Params, reserve_permille: int, horizon_ns: int) -> Flow:
        """(charge, discharge) W >= 0 that one bank of several can take and give over the horizon: as the limits of the
        home say it, for that bank alone, as if all that has flowed since the SoC moved had been its own."""
        if pack.soc_min is None or pack.soc_max is None:
            return 0, 0
        horizon_ms = max(1, horizon_ns // 1_000_000)
        floor = max(params.soc_floor_permille, reserve_permille)
        least = (pack.soc_min - pack.quantum - floor) * capacity_wh + -self.drained_nj // NJ_PER_MWH
        room = (params.soc_ceiling_permille - pack.soc_max - pack.quantum) * capacity_wh + (
            -self.charged_nj // NJ_PER_MWH
        )
        charge = pack.mv * pack.ccl_ma // 1_000_000 if pack.charge_on else 0
        discharge = pack.mv * pack.dcl_ma // 1_000_000 if pack.discharge_on else 0
        return min(charge, max(0, room * 3600 // horizon_ms)), min(discharge, max(0, least * 3600 // horizon_ms))
