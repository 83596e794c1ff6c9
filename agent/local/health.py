"""What is wrong with this home, as a list: the `# Health check:` of `batteryctl status`."""

from __future__ import annotations

from agent.core.decision import FaultValue
from agent.core.inputs import ClockTrust
from agent.local import words
from agent.mail import View
from agent.runtime.part import Now
from drivers.events import DeviceStatus, Presence

Item = dict[str, object]

STALLED_NS = 3_000_000_000  # control runs every second: three missed cycles are not a late one
_LEVEL_OF_SEVERITY = {"info": "note", "note": "note", "backup": "note", "warn": "warn", "derate": "warn"}
_ORDER = {"fault": 0, "warn": 1, "note": 2}


def health_items(view: View, now: Now) -> list[Item]:
    """Worst first: `id`, `level` ("fault", "warn": unhealthy; "note": worth knowing), `text`, `next` ("" = wait)."""
    items = [_fault(fault, now) for fault in view.decision.faults]
    items += _of_agent(view, now)
    items += [_device(device) for device in view.devices if device.presence is not Presence.OK]
    items += _of_link(view)
    items.sort(key=lambda item: _ORDER[str(item["level"])])  # stable: equals keep their order
    return items


def _item(id_: str, level: str, text: str, next_: str) -> Item:
    return {"id": id_, "level": level, "text": text, "next": next_}


def _fault(fault: FaultValue, now: Now) -> Item:
    # an unknown severity is shown as the worst: a word that was misspelt must not hide a fault
    level = _LEVEL_OF_SEVERITY.get(fault.severity.lower(), "fault")
    since_s = max(0, now.mono_ns - fault.since_ns) // 1_000_000_000
    return {**_item(fault.id, level, fault.sentence, fault.remedy), "since_s": since_s}


def _of_agent(view: View, now: Now) -> list[Item]:
    items = []
    age_ns = now.mono_ns - view.at_ns
    if age_ns > STALLED_NS:
        text = f"control has not finished a cycle for {age_ns // 1_000_000_000} s, it should every second"
        items.append(_item("control_stalled", "fault", text, "the service manager restarts it: batteryctl log -f"))
    if view.stopped_by is not None:
        text = f"stopped by {view.stopped_by}: dispatch is refused and the inverter runs in its own mode"
        items.append(_item("stopped", "warn", text, "batteryctl resume"))
    if view.reserve_source != "file":
        text = (
            f"the file of the homeowner's reserve is {view.reserve_source}: "
            f"{words.percent(view.decision.reserve_permille)} is kept until the homeowner confirms it"
        )
        items.append(_item("reserve_unconfirmed", "warn", text, "batteryctl reserve PCT, with the homeowner's PIN"))
    if view.disk is not None and not view.disk.ok:
        text = f"the disk does not keep records, so new dispatch is refused: {view.disk.detail}"
        items.append(_item("disk", "fault", text, "check the SD card: df -h; dmesg | tail"))
    if view.clock.trust is ClockTrust.UNTRUSTED:
        text = "the wall clock is not synced, so nothing that is timed can start"
        items.append(_item("clock", "warn", text, "timedatectl"))
    if view.decision.grid == "islanded":
        items.append(_item("islanded", "note", "the grid is away: the inverter feeds the house, we write nothing", ""))
    return items


def _device(device: DeviceStatus) -> Item:
    next_ = {
        Presence.ABSENT: "check the USB adapter or the network, then the port in the configuration",
        Presence.SILENT: "check power, A/B wires, unit number and baud rate",
        Presence.MISMATCH: f"if it was replaced on purpose: batteryctl device adopt {device.device}",
    }.get(device.presence, "")
    level = "note" if device.presence is Presence.IDENTIFYING else "fault"
    detail = device.detail or f"it is {device.presence.value}"
    return _item(f"device_{device.presence.value}", level, f"{device.role.value} {device.device}: {detail}", next_)


def _of_link(view: View) -> list[Item]:
    link = view.link
    if link is None:
        return []
    if not link.up:
        text = f"the aggregator cannot be reached: {link.detail}"
        return [_item("link_down", "warn", text, "the home is safe without it; check the network: ip -br addr")]
    if not link.fresh:
        text = "no signed time for this start of the agent has come, so new dispatch is refused"
        return [_item("link_not_fresh", "warn", text, "it comes by itself within seconds; else ask the aggregator")]
    return []
