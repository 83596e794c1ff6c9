"""A dispatched limit on the grid: the battery keeps import and export inside by its own power, within the permit.

It narrows what dispatch, schedule, price and the home itself want; cures, storms and people at home come before it.
While the inverter in its own mode keeps the limit, it is left alone.
"""

from __future__ import annotations

from dataclasses import replace

from agent.core.arbiter import Proposal, Rank
from agent.core.command import RampClass
from agent.core.decision import LimitValue, Side
from agent.core.due import Asks
from agent.core.durable import CommandRecord
from agent.core.params import Params
from agent.core.snapshot import Snapshot

OWNER = "utility"


def within(wish: Proposal, asks: Asks, s: Snapshot, dead_band_w: int, ruling_w: int | None) -> Proposal:
    """The wish, inside the limits that are in force. `ruling_w`: the setpoint of now, None = released."""
    if wish.rank < Rank.DISPATCH or s.net_lo_w is None or s.net_hi_w is None:
        return wish
    least_w, most_w = _band(asks, s)
    now_w = wish.power_w
    if now_w is None:
        own_w = s.battery_w or 0
        rests = least_w <= 0 <= most_w if ruling_w is not None else True
        if rests and least_w - dead_band_w <= own_w <= most_w + dead_band_w:
            return wish
        if ruling_w is None:
            now_w = own_w
        else:
            now_w = 0
    held_w = max(least_w, min(most_w, now_w)) if least_w <= most_w else (least_w + most_w) // 2
    if held_w == now_w:
        return wish
    if ruling_w is not None and 0 <= (ruling_w - held_w) * (1 if held_w > now_w else -1) <= dead_band_w:
        held_w = ruling_w  # on the safe side of it already, and near
    imports = held_w > now_w
    holder = asks.imports if imports else asks.exports
    assert holder is not None, "only a limit that is there moves the wish"
    cut = _cut(holder, imports, held_w)
    if wish.power_w is not None:
        return replace(wish, power_w=held_w, cut=cut, meant_w=wish.power_w)
    source = f"dispatch:{holder.command.id}"
    return Proposal(Rank.DISPATCH, source, held_w, RampClass.REGULATION, holder.command.id, because=cut.sentence)


def _band(asks: Asks, s: Snapshot) -> tuple[int, int]:
    """What battery power keeps both limits, W: (least, most)."""
    least_w, most_w = -(1 << 40), 1 << 40
    if asks.imports is not None:
        least_w = (s.net_hi_w or 0) - (asks.imports.command.import_limit_w or 0)
    if asks.exports is not None:
        most_w = (s.net_lo_w or 0) + (asks.exports.command.export_limit_w or 0)
    return least_w, most_w


def _cut(holder: CommandRecord, imports: bool, held_w: int) -> LimitValue:
    c = holder.command
    if imports:
        sentence = f"{c.issuer} allows {c.import_limit_w} W from the grid"
        return LimitValue("import_limit", Side.CHARGE, abs(held_w), sentence, OWNER)
    sentence = f"{c.issuer} allows {c.export_limit_w} W into the grid"
    return LimitValue("export_limit", Side.DISCHARGE, abs(held_w), sentence, OWNER)


def broken_by(
    record: CommandRecord, asks: Asks, s: Snapshot, given_w: int | None, bound: LimitValue | None, params: Params
) -> LimitValue | None:
    """Why a limit that `record` holds is not kept now; None = it is. `given_w`, `bound`: this cycle's setpoint, and
    what made it smaller."""
    if s.net_lo_w is None or s.net_hi_w is None:
        return LimitValue("stale_meter", Side.BOTH, 0, "no meter tells what the grid gives and takes", "agent")
    battery_w = given_w if given_w is not None else (s.battery_w or 0)
    over_w = 0
    if record is asks.imports:
        over_w = s.net_hi_w - battery_w - (record.command.import_limit_w or 0)
    if record is asks.exports:
        over_w = max(over_w, battery_w - s.net_lo_w - (record.command.export_limit_w or 0))
    return bound if over_w > params.dead_band_w else None  # without any: it is on its way there
