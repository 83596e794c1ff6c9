"""What a number of a scenario file may be: of its home, of every verb. What lies outside has no sense in the
world of the bench, or is a slip of the pen. Texts that are one of a few have their words here as well.

A home's numbers and a verb's stand in one table by "home.NAME" and "VERB.NAME"; `hil.fits` looks them up.
"""

from __future__ import annotations

from collections.abc import Mapping

from hil.faults.registers import FIELDS

WATTS = (-1_000_000, 1_000_000)  # as the protocol has it
HOUSE_W = (0, 100_000)
SHARE = (0, 1000)
DAY_S = 86_400
WORD = (0, 65_535)
BIT = (0, 1)
DEGREES = (-500, 1_000)  # tenths; what a register of the bench's BMS can say
ALARMS = FIELDS["battery"]["discharge_enabled"].at - FIELDS["battery"]["alarm"].at  # bits of its table

RANGES: Mapping[str, tuple[int, int]] = {
    "home.reserve_permille": SHARE,
    "home.soc_permille": SHARE,
    "home.load_w": HOUSE_W,
    "home.pv_w": HOUSE_W,
    "home.floor_permille": SHARE,
    "home.temperature_dc": DEGREES,
    "home.revert_s": WORD,
    "home.reconnect_s": (0, 3_600),
    "home.s_of_day": (0, DAY_S - 1),
    "home.packs": (1, 10),
    "home.inverters": (1, 10),
    "home.legs": (1, 3),
    "home.soc2_permille": SHARE,
    "home.rated_w": (100, 100_000),
    "home.soc_quantum_permille": (1, 100),
    "home.idle_dc_w": (0, 5_000),
    "home.inverter_leg": (0, 3),
    "home.temp_spread_dc": (0, 500),
    "home.asking": BIT,
    "aggregator.dispatch.power_w": WATTS,
    "aggregator.dispatch.duration": (1, DAY_S),
    "aggregator.dispatch.start_in": (0, 30 * DAY_S),
    "aggregator.dispatch.primacy": (0, 255),
    "aggregator.trust.life": (1, 3_650 * DAY_S),
    "aggregator.attack.power_w": WATTS,
    "crypto.forge.power_w": WATTS,
    "homeowner.reserve.permille": SHARE,
    "homeowner.storm.permille": SHARE,
    "homeowner.storm.for_s": (1, 14 * DAY_S),
    "home.load.w": HOUSE_W,
    "home.pv.w": HOUSE_W,
    "home.soc.permille": SHARE,
    "home.temperature.dc": DEGREES,
    "local.reserve.permille": SHARE,
    "local.stranger.permille": SHARE,
    "bms.ccl.ccl_ma": (0, 1_000_000),
    "bms.dcl.dcl_ma": (0, 1_000_000),
    "bms.bias.permille": (-1000, 1000),
    "bms.word.value": WORD,
    "bms.add.value": (-65_535, 65_535),
    "bms.scale.value": (-1_000_000, 1_000_000),
    "bms.alarm.offset": (0, ALARMS - 1),
    "bms.zeros.count": (1, 1_000),
    "inverter.word.value": WORD,
    "inverter.floor.permille": SHARE,
    "inverter.remote.w": (-100_000, 100_000),
    "inverter.remote.revert_s": WORD,
    "meter.clamp.leg": (1, 3),
    "meter.word.value": WORD,
    "bus.noise.permille": SHARE,
    "bus.stranger.every_ms": (10, 3_600_000),
    "bus.late.ms": (1, 60_000),
    "mqtt.flood.count": (1, 10_000),
    "grid.frequency.mhz": (1_000, 100_000),
    "grid.voltage.mv": (0, 500_000),
    "clock.step.s": (-3_650 * DAY_S, 3_650 * DAY_S),
    "proc.leak.mb_per_s": (1, 10_000),
    "config.bad.value": (-1_000_000_000, 1_000_000_000),
}

WORDS: Mapping[str, tuple[str, ...]] = {
    "aggregator.dispatch.ramp": ("direct", "scheduled", "urgent", "regulation"),
    "bms.open.side": ("both", "charge", "discharge"),
    "meter.clamp.way": ("off", "reversed"),
    "proc.stall.who": ("control", "store", "line"),
    **{f"{verb}.field": tuple(FIELDS["battery"]) for verb in ("bms.word", "bms.add", "bms.scale")},
    "inverter.word.field": tuple(FIELDS["inverter"]),
    "meter.word.field": tuple(FIELDS["meter"]),
}


def outside(name: str, value: object) -> str:
    """Why `value` is none for "VERB.NAME" or "home.NAME"; "" = it is fine."""
    if name in WORDS and value not in WORDS[name]:
        return f"{value!r} is not one of {', '.join(WORDS[name])}"
    low, high = RANGES.get(name, (None, None))
    if low is None or high is None or (isinstance(value, int) and low <= value <= high):
        return ""
    return f"{value!r} is not between {low} and {high}"
