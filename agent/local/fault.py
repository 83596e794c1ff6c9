"""The table of faults in words: what `batteryctl faults` shows of this home, and docs/faults.md of every home."""

from __future__ import annotations

from agent.core.decision import FaultValue
from agent.core.fault import Clear, Fault, Severity
from agent.core.faults import CRITICAL, FAULTS
from agent.core.params import Params
from agent.core.standing import FORGIVEN, REENTRY_NS, STRIKES
from agent.local import words
from agent.local.health import level_of
from agent.local.reason import Json
from agent.mail import View
from agent.runtime.part import Now

S = 1_000_000_000

DOES = {
    Severity.WARN: "nothing is stopped; a person should know",
    Severity.DERATE: "power is limited where it has to be; `batteryctl why` shows by what",
    Severity.BACKUP: "hands off: our setpoint is released once, then no power is written and the house is left alone",
    Severity.FAULT: "our setpoint is released, no power is written, and dispatch waits",
    Severity.LOCKOUT: "our setpoint is released, no power is written, every dispatch ends and none is accepted",
}
ENDS = {  # what the columns of the table cannot say
    "bus_contention": "by itself, when the line was quiet for a minute",
    "writes_worn": "by itself, when writes of the day are free again; its sentence says when",
    "crash_loop": "by itself after half an hour without a start, or by `batteryctl resume`",
    "lockout": "by a technician: `batteryctl resume`, with battery and inverter answering and no cause left",
}


def faults_json(view: View, params: Params, now: Now, only: str | None = None) -> Json:
    """Every row of the table, or that one: first the active ones, worst on top, then the rest in the table's order."""
    active = {fault.id: fault for fault in view.decision.faults}
    rows = [row for row in FAULTS if only in (None, row.id)]
    rows.sort(key=lambda row: -_severity(active[row.id]) if row.id in active else 0)
    return {"v": 1, "ok": True, "code": 0, "faults": [_row(row, active.get(row.id), params, now) for row in rows]}


def does(row: Fault, params: Params) -> str:
    """What the agent does while it is active."""
    if row.severity is Severity.DEGRADED:
        after = _lasting(params.timers.release_delay_ns)
        return (
            f"no power: the setpoint becomes 0 W at once and is released if it lasts longer than {after}, or stays at "
            "0 W where nothing else would keep the reserve"
        )
    also = "; zero is held, by the inverter's own stop where it has one" if row.id in CRITICAL else ""
    if row.id == "forbidden_flow":
        also = "; where that does not end it, zero is held, on grid, until what forbids it is gone"
    also += "; a cell that is nearly empty or over-full is cured all the same" if row.cures else ""
    return DOES[row.severity] + also


def ends(row: Fault, params: Params) -> str:
    """What ends it, with the times of this home."""
    parts = [ENDS.get(row.id) or _over(row, params)]
    longest = _lasting(params.timers.recover_max_ns)
    if row.clear is not Clear.TECHNICIAN and Severity.DEGRADED <= row.severity <= Severity.FAULT:
        times = "each time it comes back" if row.doubles else f"from the {FORGIVEN + 1}th time on"
        parts.append(f"within an hour held twice as long {times}, up to {longest}")
    if row.strikes:
        parts.append(f"{STRIKES} such faults within {_lasting(REENTRY_NS)} lock the agent out")
    return "; ".join(parts)


def _over(row: Fault, params: Params) -> str:
    if row.clear is Clear.TECHNICIAN:
        return (
            "by a technician: `batteryctl resume`, with battery and inverter answering and its cause gone; "
            "a restart does not end it"
        )
    hold_ns = row.hold(params) if row.hold is not None else 0
    if hold_ns == 0:
        return "by itself, as soon as its cause is gone"
    jitter_ns = params.timers.grid_jitter_ns if row.id == "grid_lost" else 0
    more = f" and a random part of {_lasting(jitter_ns)}" if jitter_ns else ""
    return f"by itself, when its cause has been gone for {_lasting(hold_ns)}{more}"


def remedy(said: str) -> str:
    """The table's word, as an answer to "what to do"."""
    return said.replace("None: ", "nothing to do: ", 1)


def _lasting(ns: int) -> str:
    """A time of the configuration, without what is zero in it."""
    return words.lasting(ns // S).removesuffix(" 0 s").removesuffix(" 0 min")


def _severity(fault: FaultValue) -> Severity:
    return Severity[fault.severity.upper()]


def _row(row: Fault, fault: FaultValue | None, params: Params, now: Now) -> Json:
    return {
        "id": row.id,
        "severity": row.severity.name.lower() if fault is None else fault.severity,
        "level": "ok" if fault is None else level_of(fault.severity),
        "active": fault is not None,
        "held": fault is not None and fault.held,
        "since_s": None if fault is None else max(0, now.mono_ns - fault.since_ns) // S,
        "text": None if fault is None else fault.sentence,
        "next": remedy(row.remedy if fault is None else fault.remedy),
        "checks": row.what,
        "does": does(row, params),
        "ends": ends(row, params),
    }
