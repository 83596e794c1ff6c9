"""What is wrong with this home, as a list: the `# Health check:` of `batteryctl status`."""

from __future__ import annotations

from agent.core.decision import FaultValue
from agent.mail import View
from agent.runtime.part import Now
from drivers.events import DeviceStatus, Presence

Item = dict[str, object]

STALLED_NS = 3_000_000_000  # control runs every second: three missed cycles are not a late one
_LEVEL_OF_SEVERITY = {"backup": "note", "warn": "warn", "derate": "warn"}
_ORDER = {"fault": 0, "warn": 1, "note": 2}
_OF_DEVICE = {"battery_stale": "battery", "inverter_stale": "inverter", "meter_stale": "meter"}  # fault id: role


def health_items(view: View, now: Now) -> list[Item]:
    """Worst first: `id`, `level` ("fault", "warn": unhealthy; "note": worth knowing), `text`, `next` ("" = wait).

    The core's table of faults says what is wrong with the home; added is what it cannot know: the link, a stop, a
    device that has only just fallen silent, and control itself standing still. What two of them say is said once.
    """
    items = _stalled(view, now) + [_fault(fault, view, now) for fault in view.decision.faults]
    told = {fault.id for fault in view.decision.faults}
    items += _devices(view, told) + _stopped(view) + _opted_out(view) + _of_link(view)
    items.sort(key=lambda item: _ORDER[str(item["level"])])  # stable: equals keep their order
    return list({str(item["text"]): item for item in reversed(items)}.values())[::-1]


def level_of(severity: str) -> str:
    """How loud it is shown. An unknown word is shown as the worst: a slip must not hide a fault."""
    return _LEVEL_OF_SEVERITY.get(severity.lower(), "fault")


def _item(id_: str, level: str, text: str, next_: str) -> Item:
    return {"id": id_, "level": level, "text": text, "next": next_}


def _fault(fault: FaultValue, view: View, now: Now) -> Item:
    level = level_of(fault.severity)
    since_s = max(0, now.mono_ns - fault.since_ns) // 1_000_000_000
    text, next_ = fault.sentence, fault.remedy.replace("None: ", "nothing to do: ", 1)
    role = _OF_DEVICE.get(fault.id)
    for device in view.devices:
        if device.role.value == role and device.presence is not Presence.OK and device.detail:
            seen, _, advice = device.detail.partition("; ")
            text, next_ = f"{text}: {seen}", advice or next_
    return {**_item(fault.id, level, text, next_), "since_s": since_s}


def _is_told(device: DeviceStatus, told: set[str]) -> bool:
    if device.presence is Presence.OK:
        return True
    return device.presence is not Presence.MISMATCH and f"{device.role.value}_stale" in told


def _devices(view: View, told: set[str]) -> list[Item]:
    """One item for each thing that is seen, with every device it is seen of: a dead line is one fault, not three."""
    names: dict[tuple[str, str, str, str], list[str]] = {}
    for device in view.devices:
        if not _is_told(device, told):
            name = device.device if device.device == device.role.value else f"{device.role.value} {device.device}"
            names.setdefault(_seen(device), []).append(name)
    return [_item(id_, level, f"{', '.join(who)}: {text}", next_) for (id_, level, text, next_), who in names.items()]


def _seen(device: DeviceStatus) -> tuple[str, str, str, str]:
    level = "note" if device.presence is Presence.IDENTIFYING else "fault"
    text, _, advice = (device.detail or f"it is {device.presence.value}").partition("; ")
    next_ = {
        Presence.ABSENT: "check the USB adapter or the network, then the port in the configuration",
        Presence.SILENT: "check power, A/B wires, unit number and baud rate",
        Presence.MISMATCH: f"if it was replaced on purpose: batteryctl device adopt {device.device}",
    }.get(device.presence, "")
    if device.presence is not Presence.MISMATCH:
        next_ = advice or next_
    return f"device_{device.presence.value}", level, text, next_


def _stalled(view: View, now: Now) -> list[Item]:
    age_ns = now.mono_ns - view.at_ns
    if age_ns <= STALLED_NS:
        return []
    text = f"control has not finished a cycle for {age_ns // 1_000_000_000} s, it should every second"
    return [_item("control_stalled", "fault", text, "the service manager restarts it: batteryctl log -f")]


def _stopped(view: View) -> list[Item]:
    if view.stopped_by is None:
        return []
    text = f"stopped by {view.stopped_by}: dispatch is refused and the inverter runs in its own mode"
    return [_item("stopped", "warn", text, "batteryctl resume")]


def _opted_out(view: View) -> list[Item]:
    if view.opted_out is None:
        return []
    text = f"opted out by {view.opted_out.by}: the home runs on by itself and follows no dispatch"
    return [_item("opted_out", "note", text, "batteryctl optin")]


def _of_link(view: View) -> list[Item]:
    link = view.link
    if link is None:
        return []
    if not link.up:
        text = f"the aggregator cannot be reached: {link.detail}"
        return [_item("link_down", "warn", text, "the home is safe without it; check the network: ip -br addr")]
    if not link.fresh:
        text = (
            "no signed time for this start of the agent has come, or it contradicts our clock: new dispatch is refused"
        )
        return [_item("link_not_fresh", "warn", text, "it comes by itself within seconds; else ask the aggregator")]
    return []
