"""Devices and lines as JSON, for `batteryctl device` and `bus`. Loaded when somebody asks. Keys: docs/local-api.md."""

from __future__ import annotations

from collections.abc import Iterator

from agent.core.inverters import NO_RETURN
from agent.local.installed import Installed, LineFacts
from agent.local.reason import Json
from agent.mail import View
from agent.runtime.part import Now
from drivers.binding import Binding, BoundPoint, DeviceSpec
from drivers.codec import BIT_TYPES, BlockDecoder
from drivers.events import BusStats, DeviceStatus, Looked, Presence, UnitStats
from drivers.layout import Layout
from drivers.port import EXCEPTIONS
from drivers.readings import Capability, InverterReading, MeterReading, Reading
from drivers.waits import BUCKETS, floor_ns

MS = 1_000_000
_LEVEL = {Presence.OK: "ok", Presence.IDENTIFYING: "none"}
_CONFIDENCE = {"low": 0, "medium": 1, "high": 2}


# --- devices ----------------------------------------------------------------------------------------------------------
def devices_json(view: View, installed: Installed, now: Now) -> Json:
    """Every device with what an aggregator can rely on. `code` is 1 if one of them is not what it should be."""
    rows = [_device(name, spec, view, installed, now) for name, spec in installed.specs.items()]
    bad = any(row["level"] == "fault" for row in rows)
    stated_end_s = view.decision.stated_end_s
    return {
        "v": 1,
        "ok": not bad,
        "code": int(bad),
        "stated_end_s": stated_end_s,
        **_nameplate(installed),
        "devices": rows,
    }


def device_json(name: str, view: View, installed: Installed, now: Now) -> Json:
    """One device with every point of its profile."""
    spec = installed.specs[name]
    row = _device(name, spec, view, installed, now)
    bad = row["level"] == "fault"
    row["points"] = [*_points(spec, view, now)]
    return {
        "v": 1,
        "ok": not bad,
        "code": int(bad),
        "stated_end_s": view.decision.stated_end_s,
        **_nameplate(installed),
        "device": row,
    }


def _nameplate(installed: Installed) -> Json:
    charge_w, discharge_w = installed.nameplate_w or (None, None)
    return {"nameplate_charge_w": charge_w, "nameplate_discharge_w": discharge_w}


def _device(name: str, spec: DeviceSpec, view: View, installed: Installed, now: Now) -> Json:
    status = next((d for d in view.devices if d.device == name), None)
    reading = _reading(name, view)
    presence = Presence.ABSENT if status is None else status.presence
    identity = None if status is None else status.identity
    words = ("maker", "model", "version", "serial")
    return {
        "name": name,
        "role": spec.role.value,
        "bus": installed.bus_of.get(name, ""),
        "unit": spec.unit,
        "profile": spec.profile.id,
        "title": spec.profile.title,
        "level": "none" if status is None else _LEVEL.get(presence, "fault"),
        "presence": presence.value,
        "detail": "nothing was heard of it yet" if status is None else status.detail,
        "age_ms": None if reading is None else max(0, now.mono_ns - reading.at_ns) // MS,
        **{word: None if identity is None else getattr(identity, word) for word in words},
        "notes": list(spec.profile.notes),
        "capability": None if status is None or status.capability is None else _capability(spec, status),
    }


def _capability(spec: DeviceSpec, status: DeviceStatus) -> Json:
    cap, bound = status.capability, status.binding
    assert isinstance(cap, Capability)
    control = bound.control if isinstance(bound, Binding) else None
    sure = next((c.confidence for c in spec.profile.controls if control is not None and c.id == control.id), None)
    return {
        "setpoint": cap.signed_setpoint,
        "why_not": _why_not(cap, status.presence),
        "control": None if control is None else control.id,
        "setpoint_unit": cap.unit,
        "control_point": cap.control_point,
        "reversion": cap.reversion,
        "reversion_s": cap.reversion_s,
        "reversion_verified": cap.reversion_verified,
        "granularity_s": cap.granularity_s,
        "floor": cap.floor,
        "pv_curtailment": cap.pv_curtailment,
        "wearing": list(cap.wearing),
        "daily_writes": cap.daily_writes,
        "read_back": cap.read_back,
        "grid_evidence": cap.grid_evidence,
        "rated_charge_w": cap.rated_charge_w,
        "rated_discharge_w": cap.rated_discharge_w,
        "resolution_w": cap.resolution_w,
        "min_refresh_s": cap.min_refresh_s,
        "write_s": cap.write_s,
        "refresh_s": cap.refresh_s,
        "stale_s": cap.stale_s,
        "confidence": sure,
        "unconfirmed": list(cap.unconfirmed),
    }


def _why_not(cap: Capability, presence: Presence) -> list[str]:
    """Why no setpoint of ours may be used: of the device, then of what the agent asks of every device."""
    why = [*cap.why_not]
    if cap.control and cap.reversion in NO_RETURN:
        why.append("it has no reversion timer" + (" that can be relied on" if cap.reversion == "unreliable" else ""))
    if presence is Presence.MISMATCH:
        why.append("it is not the device that was commissioned")
    return why


def _reading(name: str, view: View) -> Reading | None:
    readings: tuple[Reading, ...] = (*view.batteries, *view.inverters, *view.meters)
    return next((reading for reading in readings if reading.device == name), None)


# --- points -----------------------------------------------------------------------------------------------------------
def _points(spec: DeviceSpec, view: View, now: Now) -> Iterator[Json]:
    """Every point of the profile: its latest value, how old, how sure its register is."""
    reading = _reading(spec.name, view)
    sure: dict[str, str] = {}
    for point in spec.profile.points:
        known = sure.setdefault(point.name, point.confidence)
        if _CONFIDENCE[point.confidence] > _CONFIDENCE[known]:
            sure[point.name] = point.confidence
    if spec.profile.floor is not None and "floor_permille" in sure:
        sure["floor_permille"] = min(sure["floor_permille"], spec.profile.floor_confidence, key=_CONFIDENCE.__getitem__)
    for name, confidence in sure.items():
        confirmed = name in spec.confirmed or (name == "floor_permille" and "floor" in spec.confirmed)
        value, at_ns = (None, None) if reading is None else point_value(reading, name)
        yield {
            "name": name,
            "value": value,
            "age_ms": None if not at_ns else max(0, now.mono_ns - at_ns) // MS,  # at 0: never read
            "confidence": "confirmed" if confirmed else confidence,
        }


def point_value(reading: Reading, name: str) -> tuple[object, int]:
    """The value of a profile's point in a reading, None if not known, and when it was read (monotonic ns)."""
    at_ns = reading.at_ns
    if isinstance(reading, MeterReading) and name[:1] == "l" and name[1:2].isdigit():
        phases = {"w": reading.phase_w, "mv": reading.phase_mv, "ma": reading.phase_ma}[name.partition("_")[2]]
        phase = int(name[1]) - 1
        return (phases[phase] if phase < len(phases) else None), at_ns
    if isinstance(reading, InverterReading):
        if name == "grid":
            return reading.grid_state.value, reading.grid_at_ns
        if name == "battery_w":
            return reading.battery_w, reading.battery_at_ns
    if name == "alarms":
        return ([] if isinstance(reading, MeterReading) else list(reading.alarms)), at_ns
    return getattr(reading, name, None), at_ns


# --- lines ------------------------------------------------------------------------------------------------------------
def buses_json(stats: list[BusStats], installed: Installed) -> Json:
    """Lines with their counters since the start of the agent."""
    bounds_us = [floor_ns(bucket) // 1000 for bucket in range(BUCKETS)]
    rows = [_bus(s, installed.lines[s.bus], installed) for s in stats if s.bus in installed.lines]
    return {"v": 1, "ok": True, "code": 0, "bounds_us": bounds_us, "buses": rows}


def _bus(stats: BusStats, line: LineFacts, installed: Installed) -> Json:
    names: dict[int, str] = {installed.specs[n].unit: n for n, bus in installed.bus_of.items() if bus == line.name}
    return {
        **line_json(line),
        "transactions": stats.transactions,
        "crc_errors": stats.crc_errors,
        "timeouts": stats.timeouts,
        "exceptions": stats.exceptions,
        "foreign": stats.foreign,
        "retries": stats.retries,
        "late": stats.late,
        "requests": stats.requests,
        "noise": stats.noise,
        "notes": list(stats.notes),
        "units": [_unit(unit, names.get(unit.unit)) for unit in stats.units],
    }


def line_json(line: LineFacts) -> Json:
    """What the configuration says of a line."""
    serial = line.tcp is None
    return {
        "name": line.name,
        "port": line.port,
        "tcp": line.tcp,
        "baud": line.baud if serial else None,
        "parity": line.parity if serial else None,
        "stop_bits": line.stop_bits if serial else None,
    }


def _unit(unit: UnitStats, device: str | None) -> Json:
    return {
        "unit": unit.unit,
        "device": device,
        "answers": unit.answers,
        "exceptions": unit.exceptions,
        "crc_errors": unit.crc_errors,
        "timeouts": unit.timeouts,
        "waits": list(unit.waits),
    }


# --- raw reads --------------------------------------------------------------------------------------------------------
def looked_json(looked: Looked, unit: int, function: int, address: int, status: DeviceStatus | None) -> Json:
    """The registers, and the points of the device among them. Not there: `error`, with `fate` and `exception`."""
    where = f"unit {unit}"
    head: Json = {"v": 1, "unit": unit, "function": function, "address": address, "fate": looked.fate}
    if looked.fate == "data":
        data = looked.data
        words = [int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data) - 1, 2)]
        body: Json = {"bits_hex": data.hex()} if function in (1, 2) else {"words": words}
        binding = None if status is None else status.binding
        points = [*_decoded(binding, function, address, data)] if isinstance(binding, Binding) else []
        return {**head, "ok": True, "code": 0, **body, "points": points}
    if looked.fate == "exception":
        why = EXCEPTIONS.get(looked.code, "an exception that the standard does not know")
        text = f"{where} refuses to read {address} with function {function}: {why} (exception {looked.code})"
        next_ = "try another address, a shorter range, or --fc 3 / --fc 4"
        error = {"text": text, "next": next_}
        return {**head, "ok": False, "code": 5, "exception": looked.code, "error": error}
    text, next_ = _SILENCE[looked.fate]
    code = 6 if looked.fate == "timeout" else 5
    return {**head, "ok": False, "code": code, "error": {"text": f"{where} {text}", "next": next_}}


_SILENCE = {
    "timeout": ("does not answer", "check its unit number, power and wiring; batteryctl bus scan finds who is there"),
    "garbled": (
        "answers with bytes that are no sound frame",
        "batteryctl bus test shows how often, and what it suggests",
    ),
    "lost": (
        "got no answer: its line is not open, or was lost, or too many others are asking",
        "batteryctl device list; try again",
    ),
}


def _decoded(binding: Binding, function: int, address: int, data: bytes) -> Iterator[Json]:
    """The points whose registers are all in what was read. Of a point with several parts each is shown alone."""
    layout = Layout(binding)
    size = len(data) * 8 if function in (1, 2) else len(data) // 2
    values: list[int | None] = [None] * layout.count
    for n, point in enumerate(binding.points):
        for index, part in enumerate(point.parts):
            place = part.place
            inside = address <= place.address and place.address + place.length <= address + size
            if place.function != function or not inside or (place.kind in BIT_TYPES) != (function in (1, 2)):
                continue
            slot = layout.slots[n][index]
            items = [item for item in layout.items(point.block) if item.slot == slot]
            BlockDecoder([item.field(address) for item in items]).decode(data, 0, values)
            yield _point(point, index, place.address, values[slot])


def _point(point: BoundPoint, index: int, address: int, value: int | None) -> Json:
    name = point.name if len(point.parts) == 1 else f"{point.name} part {index + 1} of {len(point.parts)}"
    word = dict(point.words).get(value) if value is not None else None
    return {"name": name, "address": address, "value": value, "word": word}
