"""Values of one reading that cannot all be true: what a wrong register, scale or sign looks like. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from drivers.readings import BatteryReading, InverterReading, MeterReading, Reading

CELL_MV = (1500, 4400)  # of any chemistry that is sold
MAINS_MHZ = (44_000, 66_000)
MAINS_MV = (85_000, 300_000)
SLACK_W = 100
SLACK_SHARE = 0.1


def contradictions(reading: Reading) -> list[str]:
    """Sentences; none if everything can be true together."""
    if isinstance(reading, BatteryReading):
        return [*_battery(reading)]
    return [*(_meter(reading) if isinstance(reading, MeterReading) else _inverter(reading))]


def _battery(pack: BatteryReading) -> Iterator[str]:
    low, high = pack.cell_min_mv, pack.cell_max_mv
    if low is not None and high is not None and low > high:
        yield f"the lowest cell ({low} mV) is above the highest ({high} mV): the two are swapped"
    for name, cell in (("lowest", low), ("highest", high)):
        if cell is not None and not CELL_MV[0] <= cell <= CELL_MV[1]:
            yield f"the {name} cell has {cell} mV, a cell has {CELL_MV[0]} to {CELL_MV[1]} mV: check the scale"
    if pack.pack_mv and low and high and low <= high:
        least, most = pack.pack_mv // high, -(-pack.pack_mv // low)
        count = round(2 * pack.pack_mv / (low + high))
        if not least <= count <= most or (low * count > pack.pack_mv * 1.03 or high * count < pack.pack_mv * 0.97):
            yield f"no number of cells of {low} to {high} mV makes a pack of {pack.pack_mv} mV: check a scale"
    cold, warm = pack.temp_min_dc, pack.temp_max_dc
    if cold is not None and warm is not None and cold > warm:
        yield f"the coldest sensor ({cold / 10} C) is above the warmest ({warm / 10} C): the two are swapped"
    if pack.soc_permille == 0 and pack.pack_ma is not None and pack.pack_ma > 5_000:
        yield f"it is discharged with {pack.pack_ma / 1000} A at 0 % SoC: check the sign of the current, or the SoC"
    if pack.soc_permille == 1000 and pack.pack_ma is not None and pack.pack_ma < -5_000:
        yield f"it is charged with {-pack.pack_ma / 1000} A at 100 % SoC: check the sign of the current, or the SoC"
    for name, enabled, limit in (
        ("charge", pack.charge_enabled, pack.ccl_ma),
        ("discharge", pack.discharge_enabled, pack.dcl_ma),
    ):
        if enabled is False and limit:
            yield f"it gives a {name} limit of {limit / 1000} A and forbids to {name}: which of the two holds?"


def _mains(mhz: int | None) -> Iterator[str]:
    if mhz is not None and mhz and not MAINS_MHZ[0] <= mhz <= MAINS_MHZ[1]:
        yield f"a grid of {mhz / 1000} Hz: check the scale of the frequency"


def _meter(meter: MeterReading) -> Iterator[str]:
    yield from _mains(meter.frequency_mhz)
    phases = [watts for watts in meter.phase_w if watts is not None]
    if meter.grid_w is not None and phases and len(phases) in (1, len(meter.phase_w)):
        slack = SLACK_W + SLACK_SHARE * sum(abs(watts) for watts in phases)
        if abs(sum(phases) - meter.grid_w) > slack:
            yield f"the phases add up to {sum(phases)} W and the total says {meter.grid_w} W: check a sign"
    for number, millivolts in enumerate(meter.phase_mv, 1):
        if millivolts and not MAINS_MV[0] <= millivolts <= MAINS_MV[1]:
            yield f"L{number} has {millivolts / 1000} V: check the scale"


def _inverter(inverter: InverterReading) -> Iterator[str]:
    yield from _mains(inverter.frequency_mhz)
    battery, pv, ac = inverter.battery_w, inverter.pv_w, inverter.ac_w
    if pv is not None and pv < -SLACK_W:
        yield f"PV makes {pv} W: production is positive, check its sign"
    if battery is not None and pv is not None and ac is not None:
        total = battery + pv
        slack = 3 * SLACK_W + SLACK_SHARE * (abs(battery) + abs(pv))
        if abs(total - ac) > slack:
            turned = abs(pv - battery - ac) <= slack
            hint = "with the battery's sign turned it fits: check it" if turned else "one of the three is another value"
            yield f"battery {battery} W and PV {pv} W make {total} W, its AC side says {ac} W; {hint}"
