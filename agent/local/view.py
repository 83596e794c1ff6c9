"""A View as JSON: the single wording that status and watch show. Keys are documented in docs/local-api.md.

Every row of `status` has a `level` ("ok", "warn", "fault" or "none" = does not apply) and a `text`; the values that the
text was made of stand beside it with their unit in the key.
"""

from __future__ import annotations

from typing import TypeVar

from agent import whole
from agent.core.decision import Mode
from agent.core.packs import offline
from agent.core.selftest import failed, verdict
from agent.local import reserve, words
from agent.local.health import health_items
from agent.local.reason import Json, because_text, given_text
from agent.mail import LinkState, View
from agent.runtime.part import Now
from drivers.events import DeviceStatus, Presence
from drivers.readings import BatteryReading, InverterReading, MeterReading

STALE_S = 5  # of a device that has not said otherwise

_MODE_TEXT = {
    Mode.INIT: "starting, reads only",
    Mode.SELF_TEST: "self-test, reads only",
    Mode.STANDBY: "standby",
    Mode.LOCAL: "local",
    Mode.DISPATCHED: "dispatched",
    Mode.BACKUP: "backup, hands off while the grid is away",
    Mode.DEGRADED: "degraded, no power until the readings are good again",
    Mode.FAULT: "fault",
    Mode.LOCKOUT: "lockout, waits for a technician",
}
_MODE_LEVEL = {
    Mode.INIT: "none",
    Mode.SELF_TEST: "none",
    Mode.BACKUP: "warn",
    Mode.DEGRADED: "warn",
    Mode.FAULT: "fault",
    Mode.LOCKOUT: "fault",
}


def status_json(view: View, version: str, now: Now) -> Json:
    """Everything `batteryctl status` and `watch` show. `code` is 1 if any health item is "warn" or "fault"."""
    health = health_items(view, now)
    healthy = all(item["level"] == "note" for item in health)
    return {
        "v": 1,
        "ok": healthy,
        "code": 0 if healthy else 1,
        "version": version,
        "boot": view.clock.boot,
        "wall_ms": view.clock.wall_ms,
        "clock": view.clock.trust.value,
        "uptime_s": _age_ms(view.started_ns, now) // 1000,
        "age_ms": _age_ms(view.at_ns, now),
        "stated_end_s": view.decision.stated_end_s,
        "link": _link(view.link),
        "control": _control(view),
        "grid": _grid(view, now),
        "battery": _battery(view, now),
        "reserve": reserve_json(view, now),
        "command": _command(view),
        "devices": [_device(device, view, now) for device in view.devices],
        "buses": [_bus(view, index) for index in range(len(view.buses))],
        "self_test": _self_test(view, now),
        "disk": None if view.disk is None else {"ok": view.disk.ok, "detail": view.disk.detail},
        "health": health,
    }


def reserve_json(view: View, now: Now) -> Json:
    """The homeowner's reserve, where it comes from, and what the inverter itself holds."""
    floors = [i.floor_permille for i in _working(view, now) if i.floor_permille is not None]
    return reserve.row(view, min(floors) if floors else None)


# --- rows -------------------------------------------------------------------------------------------------------------
def _link(link: LinkState | None) -> Json:
    if link is None:
        return {"level": "none", "text": "not set up, or no word from it yet", "state": "unknown"}
    waiting = f"{link.unsent} records wait for a receipt" if link.unsent != 1 else "1 record waits for a receipt"
    if not link.up:
        level, text = "warn", f"down: {link.detail}; {waiting}"
    elif not link.fresh:
        level, text = "warn", f"up, no signed time yet, so no new dispatch is accepted; {waiting}"
    else:
        level, text = "ok", f"up, {waiting}"
    refused = sum(link.counters.values())
    if refused:
        text += f"; {refused} messages refused" if refused != 1 else "; 1 message refused"
    return {
        "level": level,
        "text": text,
        "state": "up" if link.up else "down",
        "detail": link.detail,
        "fresh": link.fresh,
        "unsent": link.unsent,
        "wall_offset_ms": link.wall_offset_ms,
        "refused": dict(sorted(link.counters.items())),
    }


def _self_test(view: View, now: Now) -> Json:
    looked = view.looked
    wrong = failed(looked) is not None
    level = "fault" if wrong else "none" if not looked.at_ns else "warn" if looked.changed else "ok"
    age_s = _age_ms(looked.at_ns, now) // 1000 if looked.at_ns else None
    return {"level": level, "text": verdict(looked), "passed": not wrong, "age_s": age_s}


def _control(view: View) -> Json:
    decision = view.decision
    level = _MODE_LEVEL.get(decision.mode, "ok")
    mode_text = _MODE_TEXT[decision.mode]
    if view.stopped_by is not None:
        level = "warn" if level in ("ok", "none") else level
        mode_text = f"stopped by {view.stopped_by}; {mode_text}"
    if view.opted_out is not None:
        mode_text = f"opted out by {view.opted_out.by}{_until(view)}; {mode_text}"
    return {
        "level": level,
        "text": f"{mode_text}; {given_text(decision)}",
        "mode_text": mode_text,
        "given_text": given_text(decision),
        "mode": decision.mode.value,
        "stopped_by": view.stopped_by,
        "opted_out_by": None if view.opted_out is None else view.opted_out.by,
        "opted_out_until_ms": None if view.opted_out is None else view.opted_out.until_ms or None,
        "source": decision.source,
        "asked_w": decision.asked_w,
        "given_w": decision.given_w,
        "shares": dict(decision.shares),
        "lo_w": decision.lo_w,
        "hi_w": decision.hi_w,
        "binding": None if decision.binding is None else decision.binding.id,
        "because": because_text(decision),
    }


def _until(view: View) -> str:
    """For how long, where that is known."""
    out = view.opted_out
    if out is None or not out.until_ms:
        return ""
    left_s = max(0, out.until_ms - view.clock.wall_ms) // 1000
    return f" for {left_s // 3600} h {left_s % 3600 // 60} min more"


def _grid(view: View, now: Now) -> Json:
    state = view.decision.grid
    at_grid = whole.counting(view.meters, view.decision, view.wiring)
    meters, inverters = _fresh(at_grid, view, now), _working(view, now)
    grid_w = _total([m.grid_w for m in meters])
    heard = [*(m.frequency_mhz for m in meters), *(i.frequency_mhz for i in inverters)]
    frequency = next((f for f in heard if f is not None), None)
    age_ms = _oldest([m.at_ns for m in at_grid], now)
    parts = [state, words.grid_flow(grid_w) if grid_w is not None else "power unknown"]
    if at_grid and not meters and age_ms is not None:
        last = words.grid_flow(_total([m.grid_w for m in at_grid]))
        parts[1] = f"power unknown for {words.lasting(age_ms // 1000)} (it was {last})"
    if frequency is not None:
        parts.append(words.scaled(frequency, 1000, 2, "Hz"))
    return {
        "level": "ok" if state == "connected" and grid_w is not None else "warn",
        "text": ", ".join(parts),
        "state": state,
        "grid_w": grid_w,
        "load_w": view.decision.load_w,
        "pv_w": _pv(view, now, grid_w, inverters),
        "frequency_mhz": frequency,
        "import_wh": _total([m.import_wh for m in meters]),
        "export_wh": _total([m.export_wh for m in meters]),
        "age_ms": age_ms,
    }


def _battery(view: View, now: Now) -> Json:
    packs, inverters = _fresh(view.batteries, view, now), _working(view, now)
    battery_w = _total([i.battery_w for i in inverters])
    age_ms = _oldest([p.at_ns for p in view.batteries], now)
    level, text = _battery_text(view, packs, battery_w, age_ms)
    one = whole.battery(packs, view.wiring)
    return {
        "level": level,
        "text": text,
        "soc_permille": one.soc_permille if one is not None else None,
        "soc_lo_permille": view.decision.soc_lo_permille,
        "soc_hi_permille": view.decision.soc_hi_permille,
        "soh_permille": _least([p.soh_permille for p in packs]),
        "battery_w": battery_w,
        "pack_mv": _least([p.pack_mv for p in packs]),
        "cell_min_mv": _least([p.cell_min_mv for p in packs]),
        "cell_max_mv": _most([p.cell_max_mv for p in packs]),
        "temp_min_dc": _least([p.temp_min_dc for p in packs]),
        "temp_max_dc": _most([p.temp_max_dc for p in packs]),
        "ccl_ma": one.ccl_ma if one is not None else None,
        "dcl_ma": one.dcl_ma if one is not None else None,
        "alarms": sorted({alarm for p in packs for alarm in p.alarms}),
        "age_ms": age_ms,
        "packs": [_pack(pack, now) for pack in view.batteries] if len(view.batteries) > 1 else [],
    }


def _pack(pack: BatteryReading, now: Now) -> Json:
    """One of several, as it was last read."""
    return {
        "name": pack.device,
        "online": not offline(pack),
        "soc_permille": pack.soc_permille,
        "pack_mv": pack.pack_mv,
        "pack_ma": pack.pack_ma,
        "ccl_ma": pack.ccl_ma,
        "dcl_ma": pack.dcl_ma,
        "alarms": list(pack.alarms),
        "age_ms": _age_ms(pack.at_ns, now),
    }


def _packs_text(packs: tuple[BatteryReading, ...]) -> str:
    """How many, the span of their SoC, and which carry nothing: few words for any number of them."""
    off = [p.device for p in packs if offline(p)]
    up = [p for p in packs if not offline(p)] or list(packs)
    span = words.span(_least([p.soc_permille for p in up]), _most([p.soc_permille for p in up]), 10, 1, "%")
    low = min(up, key=lambda p: 0 if p.soc_permille is None else p.soc_permille)
    text = f"{len(packs)} packs, SoC {span}, lowest {low.device}"
    if not off:
        return text
    return f"{text}, {off[0] if len(off) == 1 else len(off)} offline"


def _battery_text(
    view: View, packs: tuple[BatteryReading, ...], battery_w: int | None, age_ms: int | None
) -> tuple[str, str]:
    if age_ms is None:
        return "fault", "no reading yet; the battery is held at 0 W until its BMS answers"
    flow = words.battery_flow(battery_w) if battery_w is not None else "power unknown"
    if not packs:
        last = words.percent(_least([p.soc_permille for p in view.batteries]))
        return "fault", f"no reading for {words.lasting(age_ms // 1000)} (SoC was {last}); {flow}"
    soc = f"SoC {words.percent(packs[0].soc_permille)}" if len(packs) == 1 else _packs_text(packs)
    cells = words.span(_least([p.cell_min_mv for p in packs]), _most([p.cell_max_mv for p in packs]), 1000, 3, "V")
    heat = words.span(_least([p.temp_min_dc for p in packs]), _most([p.temp_max_dc for p in packs]), 10, 1, "C")
    text = f"{soc}, {flow}, cells {cells}, {heat}"
    if view.decision.soc_lo_permille is None:
        return "fault", f"SoC is not certain, so no power either way; {text}"
    alarms = sorted({alarm for p in packs for alarm in p.alarms})
    if alarms:
        return "warn", f"BMS alarms: {', '.join(alarms)}; {text}"
    return "ok", text


def _command(view: View) -> Json | None:
    if view.command is None:
        return None
    plain = {k: v for k, v in view.command.items() if v is None or isinstance(v, str | int | float | bool)}
    state = str(plain.get("state", words.UNKNOWN))
    text = f"{words.short_id(str(plain.get('command_id', '')))} {state}"
    if plain.get("reason"):
        text += f" by {plain['reason']}"
    ends_in = plain.get("ends_in_s")  # `energy_wh` is as of the last commit: not shown as if it were now
    if isinstance(ends_in, int):
        text += f", ends in {words.lasting(ends_in)}"
    if plain.get("sentence"):
        text += f": {plain['sentence']}"
    level = "ok" if state in ("received", "scheduled", "started", "completed") else "warn"
    return {"level": level, "text": text, **plain}


def _device(device: DeviceStatus, view: View, now: Now) -> Json:
    readings: tuple[BatteryReading | InverterReading | MeterReading, ...]
    readings = (*view.batteries, *view.inverters, *view.meters)
    reading = next((r for r in readings if r.device == device.device), None)
    body: Json = {
        "name": device.device,
        "role": device.role.value,
        "level": {Presence.OK: "ok", Presence.IDENTIFYING: "none"}.get(device.presence, "fault"),
        "presence": device.presence.value,
        "detail": device.detail,
        "age_ms": None if reading is None else _age_ms(reading.at_ns, now),
        "maker": None,
        "model": None,
        "version": None,
        "serial": None,
    }
    if device.identity is not None:
        identity = device.identity
        body |= {
            "maker": identity.maker,
            "model": identity.model,
            "version": identity.version,
            "serial": identity.serial,
        }
    if device.capability is not None:
        cap = device.capability
        body |= {
            "control_point": cap.control_point,
            "reversion": cap.reversion,
            "reversion_s": cap.reversion_s,
            "reversion_verified": cap.reversion_verified,
            "floor": cap.floor,
            "rated_charge_w": cap.rated_charge_w,
            "rated_discharge_w": cap.rated_discharge_w,
            "resolution_w": cap.resolution_w,
            "stale_s": cap.stale_s,
        }
    return body


def _bus(view: View, index: int) -> Json:
    bus = view.buses[index]
    return {
        "name": bus.bus,
        "transactions": bus.transactions,
        "crc_errors": bus.crc_errors,
        "timeouts": bus.timeouts,
        "exceptions": bus.exceptions,
        "foreign": bus.foreign,
        "retries": bus.retries,
        "late": bus.late,
        "requests": bus.requests,
        "noise": bus.noise,
        "notes": list(bus.notes),
    }


# --- arithmetic over what may be unknown: unknown stays unknown -------------------------------------------------------
def _total(values: list[int | None]) -> int | None:
    known = [v for v in values if v is not None]
    return sum(known) if known and len(known) == len(values) else None


def _least(values: list[int | None]) -> int | None:
    known = [v for v in values if v is not None]
    return min(known) if known and len(known) == len(values) else None


def _most(values: list[int | None]) -> int | None:
    known = [v for v in values if v is not None]
    return max(known) if known and len(known) == len(values) else None


R = TypeVar("R", BatteryReading, InverterReading, MeterReading)


def _fresh(readings: tuple[R, ...], view: View, now: Now) -> tuple[R, ...]:
    """The readings if all are young enough to be called present, else none: an old value must not look new."""
    stale_s = {d.device: d.capability.stale_s for d in view.devices if d.capability is not None}
    young = all(_age_ms(r.at_ns, now) <= 1000 * stale_s.get(r.device, STALE_S) for r in readings)
    return readings if young else ()


def _working(view: View, now: Now) -> tuple[InverterReading, ...]:
    """The inverters that count, if all of them are fresh."""
    return _fresh(whole.counting(view.inverters, view.decision, view.wiring), view, now)


def _pv(view: View, now: Now, grid_w: int | None, inverters: tuple[InverterReading, ...]) -> int | None:
    """Of the inverters; where there is production elsewhere, what the balance leaves."""
    if not view.wiring.bare and not view.wiring.places:
        return _total([i.pv_w for i in inverters])
    parts = [view.decision.load_w, grid_w, _total([i.battery_w for i in inverters])]
    load_w, grid_w, battery_w = parts
    return None if load_w is None or grid_w is None or battery_w is None else load_w - grid_w - battery_w


def _age_ms(at_ns: int, now: Now) -> int:
    return max(0, now.mono_ns - at_ns) // 1_000_000


def _oldest(times: list[int], now: Now) -> int | None:
    return _age_ms(min(times), now) if times else None
