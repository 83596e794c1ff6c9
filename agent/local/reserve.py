"""The reserve as people are told of it: percent, kWh, hours; who raised it; and what happens while SoC is below it."""

from __future__ import annotations

from agent.core.decision import Decision, LimitValue, RaiseValue, Side
from agent.local import words
from agent.local.reason import Json
from agent.mail import View

ASLEEP = ("bms_asleep", "battery_stale", "soc_unknown")  # the faults that say why SoC is not known


def row(view: View, floor_permille: int | None) -> Json:
    """The row of status. `floor_permille`: what the inverter itself holds, None = it has none or none was read."""
    decision = view.decision
    effective = decision.reserve_permille
    level, text = "ok", f"{words.percent(effective)}{_energy(view)}"
    cause = next((r for r in decision.raises if r.in_force and r.permille == effective), None)
    if cause is not None:
        text += f" for {words.lasting(cause.left_s)} more, raised by {cause.by}: {cause.reason}"
        text += f"; {words.percent(view.reserve_permille)} is the homeowner's"
    elif view.reserve_source != "file":
        level = "warn"
        text += f", because the homeowner's reserve is {view.reserve_source}"
    elif effective != view.reserve_permille:
        text += f" now, {words.percent(view.reserve_permille)} set by the homeowner"
    else:
        text += ", set by the homeowner"
    coming = [r for r in decision.raises if not r.in_force]
    for one in coming:
        begins_s = max(0, one.start_ms - view.clock.wall_ms) // 1000
        text += f"; {words.percent(one.permille)} in {words.lasting(begins_s)} ({one.reason})"
    hours = _hours(view)
    text += "".join(f"; {phrase}" for phrase in _hours_text(view, hours))
    if floor_permille is not None:
        text += f"; the inverter's own floor is {words.percent(floor_permille)}"
    below = below_text(decision)
    if below:
        level, text = "warn", f"{text}; {below}"
    return {
        "level": level,
        "text": text,
        "permille": view.reserve_permille,
        "effective_permille": effective,
        "source": view.reserve_source,
        "floor_permille": floor_permille,
        "energy_wh": effective * decision.capacity_wh // 1000 if decision.capacity_wh else None,
        "usable_wh": _usable_wh(view),
        "hours_present": hours[0],
        "hours_critical": hours[1],
        "critical_load_w": view.critical_load_w or None,
        "raises": [_raise(one) for one in decision.raises],
    }


def below_text(decision: Decision) -> str:
    """What happens while the battery is below its reserve, or while nobody knows; "" = it is not."""
    low = decision.soc_lo_permille
    if low is None:
        cause = next((f.sentence for f in decision.faults if f.id in ASLEEP), "")
        return f"SoC is not known, so no power is moved either way{': ' + cause if cause else ''}"
    if low >= decision.reserve_permille:
        return ""
    text = f"SoC {words.percent(low)} is below it"
    if decision.grid != "connected":
        return f"{text}: the house may run on it until the grid is back"
    if decision.given_w is not None and decision.given_w < 0:
        return f"{text}: it is charged with {-decision.given_w} W by {decision.source}"
    if any(fault.id == "reserve_unguarded" for fault in decision.faults):
        return f"{text}: nobody keeps it, the inverter in its own mode may discharge"
    shut = _shut(decision)
    if shut is not None:
        return f"{text}: nothing is discharged, and charging waits: {shut.sentence}"
    return f"{text}: nothing is discharged, and it charges from PV"


def _shut(decision: Decision) -> LimitValue | None:
    """What forbids charging, None = nothing."""
    if decision.lo_w < 0:
        return None
    return next((v for v in decision.limits if v.side is not Side.DISCHARGE and v.cap_w == 0), None)


def _energy(view: View) -> str:
    capacity_wh = view.decision.capacity_wh
    return f" = {view.decision.reserve_permille * capacity_wh / 1e6:.1f} kWh" if capacity_wh else ""


def _usable_wh(view: View) -> int | None:
    """What of the reserve an outage can use: down to the floor."""
    decision = view.decision
    if not decision.capacity_wh:
        return None
    return max(0, decision.reserve_permille - view.soc_floor_permille) * decision.capacity_wh // 1000


def _hours(view: View) -> tuple[float | None, float | None]:
    """How long the reserve feeds the house: at its load of now, at the critical load."""
    usable_wh = _usable_wh(view)
    loads = view.decision.load_w, view.critical_load_w
    hours = [round(usable_wh / w, 1) if usable_wh is not None and w is not None and w > 0 else None for w in loads]
    return hours[0], hours[1]


def _hours_text(view: View, hours: tuple[float | None, float | None]) -> list[str]:
    """Clauses; none where there is nothing to say."""
    present, critical = hours
    out = []
    if present is not None:
        out.append(f"{present:.1f} h at the present load of {view.decision.load_w} W")
    if critical is not None:
        out.append(f"{critical:.1f} h at the critical load of {view.critical_load_w} W")
    return out


def _raise(one: RaiseValue) -> Json:
    return {
        "id": one.id,
        "kind": one.kind,
        "permille": one.permille,
        "owner": one.owner,
        "by": one.by,
        "reason": one.reason,
        "start_ms": one.start_ms or None,
        "end_ms": one.end_ms or None,
        "left_s": one.left_s,
        "in_force": one.in_force,
    }
