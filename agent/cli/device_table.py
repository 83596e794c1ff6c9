"""The pictures of `device list` and `device show`: replies of the local API -> lines."""

from __future__ import annotations

from collections.abc import Iterator

from agent.cli import quantity, talk, text
from agent.local import words

_INDENT = 4
_LABEL = 18  # columns of what a row is about
_TOLD = {"w": "in W", "pct_of_wchamax": "in % of WChaMax", "pct_of_rated": "in % of the rating"}
_POINT = {
    "battery": "the battery itself",
    "inverter_ac": "the inverter's AC terminals; converted with live PV",
    "grid": "the grid connection; converted with live PV and load",
    "dc": "the battery's DC terminals",
}


# --- list -------------------------------------------------------------------------------------------------------------
def table(reply: talk.Reply) -> Iterator[str]:
    """One block a device: first who it is, then what an aggregator can rely on."""
    for number, device in enumerate(reply["devices"]):
        if number:
            yield ""
        yield from _head(device)
        for label, value in _rows(device, reply):
            yield from text.hang(" " * _INDENT + label.ljust(_LABEL), value, _INDENT + _LABEL)
    yield ""
    if reply["stated_end_s"]:
        yield from text.hang("", f"If anything dies, our setpoint ends within {reply['stated_end_s']} s.", 0)


def _head(device: talk.Reply) -> Iterator[str]:
    who = " ".join(str(device[key]) for key in ("maker", "model", "version") if device[key]) or "not identified yet"
    parts = [f"{device['name']}: {device['role']}, {device['bus']} unit {device['unit']}", who]
    if device["serial"]:
        parts.append(f"serial {device['serial']}")
    yield from text.hang(f"{text.symbol(device['level'])}  ", ", ".join(parts), _INDENT)


def _rows(device: talk.Reply, reply: talk.Reply) -> Iterator[tuple[str, str]]:
    cap = device["capability"]
    if device["presence"] != "ok":
        yield str(device["presence"]), str(device["detail"])
    if device["presence"] == "mismatch":
        yield "next", f"if it was replaced on purpose: batteryctl device adopt {device['name']}"
    if cap is None:
        if device["role"] == "inverter":
            yield "can be told", "not known before it was identified"
        return
    if device["role"] != "inverter":
        yield "reads only", f"every {cap['refresh_s']} s, lost after {cap['stale_s']} s of silence"
    else:
        yield from _setpoint(cap, reply)
        if cap["setpoint"]:
            yield from _control(cap)
        yield "own reserve floor", "yes, written on change and read back" if cap["floor"] else "none that we may write"
        yield "wears out", _wear(cap)
    unsure = cap["unconfirmed"]
    sure = {"high": "high: several sources agree on it", "medium": "medium: sources say so, not all details"}
    if device["role"] == "inverter" and cap["setpoint"]:
        yield "how sure", sure.get(str(cap["confidence"]), str(cap["confidence"] or "not stated"))
    if unsure:
        yield "not confirmed", f"{', '.join(unsure)} (batteryctl device show {device['name']})"


def _setpoint(cap: talk.Reply, reply: talk.Reply) -> Iterator[tuple[str, str]]:
    """What it takes, or why nothing; and what the home was rated for, beside the device's own."""
    unit = _TOLD.get(str(cap["setpoint_unit"]), str(cap["setpoint_unit"]))
    ends = _ends(cap["rated_charge_w"], cap["rated_discharge_w"])
    if cap["why_not"]:
        yield "can be told", f"nothing: {'; '.join(cap['why_not'])}"
        if cap["rated_charge_w"] or cap["rated_discharge_w"]:
            yield "rated", ends
    else:
        yield "can be told", f"{ends}, {unit}, in steps of {cap['resolution_w']} W, {_pace(cap)}"
    if reply["nameplate_charge_w"] is not None:
        ours = _ends(reply["nameplate_charge_w"], reply["nameplate_discharge_w"])
        yield "home is rated", f"{ours}, by its configuration"


def _ends(charge_w: int, discharge_w: int) -> str:
    return f"charge {charge_w} W to discharge {discharge_w} W"


def _control(cap: talk.Reply) -> Iterator[tuple[str, str]]:
    yield "control point", _POINT.get(str(cap["control_point"]), str(cap["control_point"]))
    yield "if we fall silent", _silent(cap)
    yield "read-back", "every command is read back" if cap["read_back"] else "none: it acknowledges and that is all"
    yield "PV curtailment", "yes" if cap["pv_curtailment"] else "no"


def _pace(cap: talk.Reply) -> str:
    least, write = cap["min_refresh_s"], cap["write_s"]
    slow = f", each takes up to {write} s" if write > 1 else ""
    return f"at most one a {'second' if least == 1 else f'{least} s'}{slow}"


def _silent(cap: talk.Reply) -> str:
    proven = "measured at commissioning" if cap["reversion_verified"] else "not proven on this device"
    after = f"{cap['reversion_s']} s"
    kinds = {
        "device_s": f"its own timer ends the setpoint after {after} ({proven})",
        "device_min": f"its own timer ends the setpoint after {after}, in whole minutes ({proven})",
        "implicit": f"it drops the setpoint by itself after {after} ({proven})",
        "unreliable": f"it should drop the setpoint after {after}, and does not always",
        "none": "nothing: it keeps the last setpoint until it is told otherwise",
    }
    return kinds.get(str(cap["reversion"]), f"{cap['reversion']} after {after} ({proven})")


def _wear(cap: talk.Reply) -> str:
    if not cap["wearing"]:
        return "nothing that we write"
    budget = f", at most {cap['daily_writes']} writes a day" if cap["daily_writes"] else ""
    return f"{', '.join(cap['wearing'])}: written on change only{budget}"


# --- show -------------------------------------------------------------------------------------------------------------
def show(reply: talk.Reply) -> Iterator[str]:
    """Who it is, what it can, and every point."""
    device = reply["device"]
    yield from _head(device)
    profile = f"{device['profile']} ({device['title']})"
    rows = [("profile", profile), *_rows(device, reply)]
    if device["age_ms"] is not None:
        rows.insert(1, ("last reading", f"{_seconds(device['age_ms'])} ago"))
    for label, value in rows:
        yield from text.hang(" " * _INDENT + label.ljust(_LABEL), value, _INDENT + _LABEL)
    for note in device["notes"]:
        yield from text.hang(" " * _INDENT + "note".ljust(_LABEL), str(note), _INDENT + _LABEL)
    yield ""
    yield f"    {'POINT':19} {'VALUE':>20}  {'AGE':>7}  HOW SURE"
    points = device["points"]
    for point in points:
        low = point["confidence"] == "low"
        known = point["value"] is not None
        mark = text.symbol("warn" if low else "ok" if known else "none")
        age = "" if point["age_ms"] is None or not known else _seconds(point["age_ms"])
        sure = "low: to be confirmed" if low else str(point["confidence"])
        yield f"{mark}  {point['name']:19} {quantity.text(str(point['name']), point['value']):>20}  {age:>7}  {sure}"
    yield from _confirming(device)


def _seconds(age_ms: int) -> str:
    return words.scaled(age_ms, 1000, 1, "s")


_HOW = (
    ("grid", "open the main switch for a minute: it must say islanded, and connected again after"),
    ("floor", "set the floor on the inverter's own screen: the value here must follow"),
    ("_ma", "charge with about 1 kW, then discharge: size and sign must agree with the display, + = discharge"),
    ("_w", "let a known load run, then let it charge: size and sign must agree with the display"),
    ("_dc", "compare with the display, or with a thermometer on the pack"),
    ("_mv", "compare with the display, or with a multimeter"),
    ("_permille", "compare with the display, once high and once low"),
    ("alarms", "provoke a harmless alarm (a low limit in the BMS' app) and see it here"),
)
_COMMAND = "let it run for ten minutes with somebody at the meter: power and its end by silence must be as told"


def _confirming(device: talk.Reply) -> Iterator[str]:
    """How to make sure of what is not."""
    unsure = {str(point["name"]) for point in device["points"] if point["confidence"] == "low"}
    cap = device["capability"]
    names = sorted(unsure | {str(name) for name in (cap["unconfirmed"] if cap else ())})
    if not names:
        return
    known = {str(point["name"]) for point in device["points"]} | {"floor"}
    yield ""
    yield "To confirm what is not sure:"
    for name in names:
        how = next((way for ending, way in _HOW if name.endswith(ending) or name.startswith(ending)), "see its manual")
        yield from text.hang(f"  {name:19} ", how if name in known else _COMMAND, 22)
    listed = ", ".join(f'"{name}"' for name in names)
    yield from text.hang("  next     ", f"what holds goes into [[device]] {device['name']}: confirmed = [{listed}]", 11)
