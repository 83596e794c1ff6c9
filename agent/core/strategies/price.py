"""Prices: give when a kWh is dear, take when it is cheap, and only where that pays for the losses and the wear.

The marks are of the list itself: a quarter of its intervals is at or below the low one, a quarter at or above the high
one; a configuration may set them instead. Once begun it goes on until the price is 5 % past the mark, and every choice
stands five minutes. A list that is over asks for nothing.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from agent.core.arbiter import Proposal, Rank
from agent.core.command import Command, RampClass
from agent.core.due import value_at
from agent.core.durable import CommandRecord
from agent.core.params import Params, S
from agent.core.snapshot import Snapshot
from agent.core.strategies.self_consumption import follow

DWELL_NS = 300 * S
HYSTERESIS = 20  # a twentieth of the mark: 5 %
CHARGE_HOURS = 4  # the whole battery in so many hours is the power that it is charged with: 0.25 C
MICRO = 1_000_000


class Choice(NamedTuple):
    """What was chosen: 1 give, -1 take, 0 neither; of which list, and since when."""

    way: int = 0
    since_ns: int = 0
    of: str = ""


NOTHING = Choice()


class Marks(NamedTuple):
    """Millionths a kWh: from `low` down it is charged, from `high` up discharged; `pays`: that earns something."""

    low: int
    high: int
    pays: bool


@functools.lru_cache(maxsize=8)
def marks(command: Command, low: int | None, high: int | None, efficiency_permille: int, wear: int) -> Marks:
    """Of one list. `low`, `high`: as configured, None = of the list itself; `wear`: millionths a kWh."""
    ordered = sorted([value for value in command.values if value is not None])
    low = ordered[(len(ordered) - 1) // 4] if low is None else low
    high = ordered[len(ordered) - 1 - (len(ordered) - 1) // 4] if high is None else high
    return Marks(low, high, high > low and high * efficiency_permille - low * 1000 >= wear * 1000)


def choose(before: Choice, record: CommandRecord | None, now_ns: int, params: Params) -> tuple[Choice, Marks | None]:
    """What the price of now asks for."""
    price = None if record is None else value_at(record, now_ns)
    if record is None or price is None:
        return NOTHING, None
    command, p = record.command, params
    told = marks(command, p.price_low_micro, p.price_high_micro, p.price_efficiency_permille, p.price_wear_micro)
    mine = before if before.of == command.id else NOTHING
    way = 0
    if told.pays:
        if price >= told.high - (abs(told.high) // HYSTERESIS if mine.way == 1 else 0):
            way = 1
        elif price <= told.low + (abs(told.low) // HYSTERESIS if mine.way == -1 else 0):
            way = -1
    if way == mine.way and mine.of:
        return mine, told
    if mine.of and now_ns - mine.since_ns < DWELL_NS:
        return mine, told
    return Choice(way, now_ns, command.id), told


def propose(
    choice: Choice, record: CommandRecord | None, told: Marks | None, s: Snapshot, params: Params, ruling_w: int | None
) -> Proposal | None:
    """None = the home's own mode. `ruling_w`: the setpoint of now."""
    if record is None or told is None or not choice.way:
        return None
    price = value_at(record, s.now_ns) or 0
    source = f"price:{record.command.id}"
    if choice.way < 0:
        power_w = -(params.site.capacity_wh // CHARGE_HOURS)
        because = f"a kWh costs {_money(price)}, and {_money(told.low)} or less is cheap"
    else:
        power_w = params.site.nameplate_discharge_w
        because = f"a kWh costs {_money(price)}, and {_money(told.high)} or more is dear"
        paid = _export(record, s.now_ns, price)
        if paid < told.high - abs(told.high) // HYSTERESIS:
            power_w = max(0, follow(s, params.dead_band_w, ruling_w))
            because += f"; what is exported earns {_money(paid)}, so only the house is fed"
    return Proposal(Rank.PRICE, source, power_w, RampClass.SCHEDULED, record.command.id, because=because)


def _export(record: CommandRecord, now_ns: int, price: int) -> int:
    exports = record.command.exports
    if not exports:
        return price
    index = (now_ns - record.start_ns) // (record.command.interval_s * S)
    return exports[index] or 0


def _money(micro: int) -> str:
    return f"{'-' if micro < 0 else ''}{abs(micro) // MICRO}.{abs(micro) % MICRO // 1000:03d}"
