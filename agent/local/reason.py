"""Why the battery is told what it is told: asked, given, and every limit. `why`, status and watch share these words."""

from __future__ import annotations

from agent.core import lifting
from agent.core.decision import Decision, LimitValue, Side
from agent.core.strategies import self_consumption
from agent.local import words
from agent.mail import View
from agent.runtime.part import Now

Json = dict[str, object]
NOT_TOLD = lifting.Lifting("", "")
SHOWN = 3  # inverters by name


def why_json(view: View, side: str | None, now: Now) -> Json:
    """Every limit as it stands, per side, tightest first; `binds` marks the one that made given differ from asked."""
    decision = view.decision
    sides = [s for s in (Side.DISCHARGE, Side.CHARGE) if side is None or s.value == side]
    return {
        "v": 1,
        "ok": True,
        "code": 0,
        "age_ms": max(0, now.mono_ns - view.at_ns) // 1_000_000,
        "mode": decision.mode.value,
        "source": decision.source,
        "asked_w": decision.asked_w,
        "given_w": decision.given_w,
        "lo_w": decision.lo_w,
        "hi_w": decision.hi_w,
        "binding": None if decision.binding is None else decision.binding.id,
        "text": given_text(decision),
        "because": because_text(decision),
        "sides": [_side(decision, s, _lifting(decision)) for s in sides],
    }


def _lifting(decision: Decision) -> dict[str, lifting.Lifting]:
    """By limit."""
    if decision.bounds is None:
        return {}
    told = lifting.lifts(decision.bounds, decision.at_ns)
    return {limit.id: one for limit, one in zip(decision.limits, told, strict=True)}


def given_text(decision: Decision) -> str:
    """What the battery is told, of what was asked, in one clause."""
    asked, given = decision.asked_w, decision.given_w
    source = words.short_id(decision.source)
    if given is None:
        alone = "released, the inverter is left to its own mode"
        return alone if asked is None else f"{alone}, while {source} asks {words.battery_flow(asked)}"
    if asked is None:
        return f"held at {words.battery_flow(given)}{_shared(decision)}"
    if given == asked:
        return f"{words.battery_flow(given)}{_shared(decision)}, as asked by {source}"
    held = "on the ramp" if decision.binding is None else f"held by {decision.binding.id}"
    # both in one direction: "discharge 3200 W of 5000 W" reads better than the word twice
    wish = words.watts(abs(asked)) if asked * given > 0 else words.battery_flow(asked)
    return f"{words.battery_flow(given)} of {wish} asked by {source}, {held}{_shared(decision)}"


def _shared(decision: Decision) -> str:
    """By which inverter, where there are several; more than three are counted."""
    shares = [(name, abs(w)) for name, w in decision.shares]
    if len(shares) < 2:
        return ""
    if len(shares) > SHOWN:
        return f" by {len(shares)} inverters, {min(w for _, w in shares)} to {max(w for _, w in shares)} W each"
    return " by " + ", ".join(f"{name} {w} W" for name, w in shares)


def because_text(decision: Decision) -> str:
    """The binding limit's own sentence, or why there is none."""
    if decision.binding is not None:
        return f"{decision.binding.id}, set by {decision.binding.owner}: {decision.binding.sentence}"
    if decision.asked_w is None:
        fault = decision.faults[0] if decision.faults and decision.given_w is not None else None
        return "nobody asks for power" if fault is None else f"{fault.id}: {fault.sentence}"
    if decision.because:
        return decision.because
    if decision.given_w == decision.asked_w:
        if decision.source == self_consumption.SOURCE:
            return "no floor of the inverter keeps the reserve, so the house is followed by us; no limit is in the way"
        return "no limit stands in the way"
    return "power moves to what was asked at the permitted rate"


def _side(decision: Decision, side: Side, told: dict[str, lifting.Lifting]) -> Json:
    cap_w = decision.hi_w if side is Side.DISCHARGE else -decision.lo_w
    limits = [limit for limit in decision.limits if limit.side in (side, Side.BOTH)]
    first = None if decision.binding is None else decision.binding.id
    limits.sort(key=lambda limit: (limit.cap_w, limit.id != first, limit.id))
    rated = [limit.cap_w for limit in limits if limit.id.startswith("nameplate")]
    full_w = min(rated or [limit.cap_w for limit in limits[-1:]] or [0])
    return {
        "side": side.value,
        "cap_w": cap_w,
        "full_w": full_w,
        "limits": [_limit(limit, decision, side, full_w, told) for limit in limits],
    }


_BY_ITSELF = "it lifts by itself"
_READ = "batteryctl device list says what answers"
_OF_ID = {
    "reserve": "the homeowner may lower it: batteryctl reserve PCT",
    "soc_floor": f"{_BY_ITSELF} when the battery is charged",
    "soc_ceiling": f"{_BY_ITSELF} when the battery is used",
    "device": "batteryctl device list; one that was replaced: batteryctl device adopt NAME",
    "temperature_charge": f"{_BY_ITSELF} when the cells are warmer or cooler; never force it",
    "temperature_discharge": f"{_BY_ITSELF} when the cells are warmer or cooler; never force it",
    "stale_battery": _READ,
    "stale_inverter": _READ,
    "stale_meter": _READ,
    "import_limit": f"{_BY_ITSELF} with the end of that command",
    "export_limit": f"{_BY_ITSELF} with the end of that command",
    "site_import": f"{_BY_ITSELF} when the house takes less; the electrician sets the limit in the configuration",
    "site_export": f"{_BY_ITSELF} when the house takes more; the electrician sets the limit in the configuration",
}
_OF_OWNER = {
    "agent": _BY_ITSELF,
    "bms": "the BMS decides; its own display or app says why",
    "homeowner": "the homeowner decides",
    "inverter": "batteryctl device list says what the inverter can",
    "site": "the electrician sets it in the configuration",
    "utility": f"{_BY_ITSELF} with the grid; batteryctl faults says how long",
}


def next_step(limit: LimitValue, decision: Decision) -> str:
    """What a person can do about it, or that nothing is to be done. "" = nobody knows of such an owner."""
    if limit.id == "state" and decision.faults:
        return f"batteryctl faults {decision.faults[0].id}"
    return _OF_ID.get(limit.id) or _OF_OWNER.get(limit.owner, "")


def _limit(limit: LimitValue, decision: Decision, side: Side, full_w: int, told: dict[str, lifting.Lifting]) -> Json:
    binding = decision.binding
    lift = told.get(limit.id, NOT_TOLD)
    return {
        "id": limit.id,
        "side": limit.side.value,
        "cap_w": limit.cap_w,
        "owner": limit.owner,
        "sentence": limit.sentence,
        "lifts": lift.when,
        "next": lift.remedy or next_step(limit, decision),
        "narrows": limit.cap_w < full_w or limit.cap_w == 0,
        "binds": binding is not None and binding.id == limit.id and binding.side in (side, Side.BOTH),
    }
