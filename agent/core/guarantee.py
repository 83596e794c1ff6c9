"""Two things that are told when they are over: a UTC day under the homeowner's reserve, a frequency out of its band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.core.decision import Record
from agent.core.flows import DT, LOAD, NJ_PER_WH, Second
from agent.core.interval import Key, Reasons, listed, more, round_s

DAY_MS = 86_400_000
BAND_MHZ = 200  # around 50 or 60 Hz: beyond it a grid is in trouble, within it every grid wanders
BACK_NS = 10 * 1_000_000_000  # within the band for so long: over


class Day(NamedTuple):
    """One UTC day (number since 1970; 0 = none was known) of the promise to keep the reserve."""

    number: int = 0
    below: Reasons = ()
    outage_ns: int = 0
    served_nj: int = 0

    def plus(self, held: Sequence[Second], key: Key) -> Day:
        """With those seconds."""
        if key.below is None and not key.islanded:
            return self
        ns = sum([x[DT] for x in held])
        served = sum([max(0, x[LOAD]) * x[DT] for x in held if x[LOAD] is not None]) if key.islanded else 0
        outage_ns = self.outage_ns + (ns if key.islanded else 0)
        return Day(self.number, more(self.below, key.below, ns), outage_ns, self.served_nj + served)


def kept(day: Day) -> Record:
    """The record of a day that is over. A `dispatch` among the causes is a broken promise."""
    body = {
        "record": "reserve",
        "day": date(day.number),
        "below_s": round_s(sum([ns for _, ns in day.below])),
        "below": listed(day.below),
        "outage_s": round_s(day.outage_ns),
        "outage_served_wh": day.served_nj // NJ_PER_WH,
    }
    return Record("settlement", body)


def date(number: int) -> str:
    """YYYY-MM-DD of a day since 1970, by the proleptic Gregorian calendar (H. Hinnant's civil_from_days)."""
    z = number + 719_468
    era, doe = divmod(z, 146_097)
    yoe = (doe - doe // 1460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return f"{yoe + era * 400 + (month <= 2):04d}-{month:02d}-{doy - (153 * mp + 2) // 5 + 1:02d}"


class Excursion(NamedTuple):
    """The grid's frequency is out of its band, or was within the last seconds."""

    trigger_ms: int
    before_w: int | None
    ns: int = 0
    back_ns: int = 0
    peak_mhz: int = 0
    peak_w: int = 0  # what the battery gave then beyond `before_w`, of greatest magnitude
    nj: int = 0

    def plus(self, dt_ns: int, mhz: int | None, battery_w: int | None) -> Excursion:
        """One second more; a frequency that is not known is neither in nor out."""
        nominal = nominal_mhz(self.peak_mhz)
        change = battery_w - (self.before_w or 0) if battery_w is not None else 0
        within = mhz is not None and abs(mhz - nominal) <= BAND_MHZ
        peak = self.peak_mhz
        if mhz is not None and abs(mhz - nominal) > abs(peak - nominal):
            peak = mhz
        return self._replace(
            ns=self.ns + dt_ns,
            back_ns=self.back_ns + dt_ns if within or mhz is None else 0,
            peak_mhz=peak,
            peak_w=change if abs(change) > abs(self.peak_w) else self.peak_w,
            nj=self.nj + change * dt_ns,
        )


def nominal_mhz(mhz: int) -> int:
    """50 or 60 Hz, whichever is nearer."""
    return 50_000 if mhz < 55_000 else 60_000


def is_out(mhz: int | None) -> bool:
    """Beyond the band."""
    return mhz is not None and not -BAND_MHZ <= mhz - (50_000 if mhz < 55_000 else 60_000) <= BAND_MHZ


def left(excursion: Excursion, now_ms: int) -> Record:
    """The record of a frequency that is back."""
    out_ns = max(0, excursion.ns - excursion.back_ns)
    wh = abs(excursion.nj) // NJ_PER_WH
    body = {
        "record": "frequency",
        "trigger_ms": excursion.trigger_ms,
        "recovered_ms": now_ms - excursion.back_ns // 1_000_000,
        "lasted_s": round_s(out_ns),
        "peak_mhz": excursion.peak_mhz,
        "band_mhz": BAND_MHZ,
        "function": "none",  # this version has no droop: what the battery did had other reasons
        "before_w": excursion.before_w,
        "peak_w": excursion.peak_w,
        "energy_wh": wh if excursion.nj >= 0 else -wh,
    }
    return Record("settlement", body)
