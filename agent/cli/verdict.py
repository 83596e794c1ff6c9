"""What a line's pattern of errors suggests. Pure: counters of a while -> sentences, worst first."""

from __future__ import annotations

from agent.cli import latency

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Reply = dict[str, Any]

_FEW = 5  # transactions that say something
_RARE = 0.002  # share of bad frames that a good line may have
_MOST = 0.9
_SLOW_MS = 100


def judge(bus: Reply) -> list[Reply]:
    """`level`, `text`, `next` each. One "ok" if there is nothing to say."""
    units = [unit for unit in bus["units"] if _asked(unit) >= _FEW]
    if not any(_asked(unit) for unit in bus["units"]) and bus["units"]:
        return [_item("fault", "nothing was exchanged: the line is not open, or it was lost", "batteryctl device list")]
    if not units:
        few = "too few transactions to judge: this was too short"
        return [_item("warn", few, "batteryctl bus test --seconds 30")]
    found = _silence(bus, units) + _garble(bus, units) + _others(bus, units) + _timer(bus)
    if not found:
        worst = max((unit["p99_ms"] for unit in units if unit["p99_ms"] is not None), default=0)
        return [_item("ok", f"clean: every unit answers, 99 % of the answers begin within {worst:.1f} ms", "")]
    order = {"fault": 0, "warn": 1, "note": 2}
    return sorted(found, key=lambda item: order[item["level"]])


def _item(level: str, text: str, next_: str) -> Reply:
    return {"level": level, "text": text, "next": next_}


def _asked(unit: Reply) -> int:
    return int(unit["answers"] + unit["exceptions"] + unit["crc_errors"] + unit["timeouts"])


def _heard(unit: Reply) -> int:
    return int(unit["answers"] + unit["exceptions"])


def _names(units: list[Reply]) -> str:
    return ", ".join(f"{unit['device'] or 'unit'} ({unit['unit']})" for unit in units)


def _silence(bus: Reply, units: list[Reply]) -> list[Reply]:
    dead = [unit for unit in units if not _heard(unit) and not unit["crc_errors"]]
    if len(dead) == len(units) and bus["tcp"]:
        return [_item("fault", f"nobody answers at {bus['tcp']}", "is the host up, is its Modbus TCP switched on?")]
    if len(dead) == len(units):
        text = "nobody answers, and no stray bytes either: A and B swapped, no power, or a cut before the first device"
        return [_item("fault", text, "swap A and B at the adapter once; then batteryctl bus scan for other speeds")]
    out = []
    if dead:
        text = f"{_names(dead)} never answers while others do: its address, its power or its own stub, not the line"
        out.append(_item("fault", text, "check the address on its display; batteryctl bus scan shows who is there"))
    some = [unit for unit in units if unit not in dead and unit["timeouts"] > _RARE * _asked(unit) + 1]
    if some and len(some) < len(units):
        text = f"{_names(some)} leaves requests unanswered now and then, the others do not: a slow or busy device"
        out.append(_item("warn", text, "a longer response_ms in its profile; a second master on it is switched off"))
    elif some:
        text = "every unit leaves requests unanswered now and then: requests are damaged on their way"
        out.append(
            _item("warn", text, "check the termination (120 ohm at both ends), and that A, B and ground are tight")
        )
    return out


def _garble(bus: Reply, units: list[Reply]) -> list[Reply]:
    bad = [unit for unit in units if unit["crc_errors"] > _RARE * _asked(unit)]
    if not bad:
        return []
    rotten = [unit for unit in bad if unit["crc_errors"] > _MOST * _asked(unit)]
    if bus["tcp"]:
        return [_item("fault", "frames on TCP are broken: no cable does that, the gateway does", "update its firmware")]
    if len(rotten) == len(units):
        setting = f"{bus['baud']} baud 8{bus['parity']}{bus['stop_bits']}"
        text = f"bytes come back and hardly a frame is sound: {setting} is wrong"
        return [_item("fault", text, "stop batteryd, then batteryctl bus scan finds speed and parity")]
    share = 100 * sum(unit["crc_errors"] for unit in bad) / sum(_asked(unit) for unit in bad)
    if len(bad) == len(units) and len(units) > 1:
        text = f"{share:.1f} % of all frames are damaged, whoever sends: the line itself"
        next_ = (
            "120 ohm at both ends and nowhere else; bias (680 ohm) at one place; the shield grounded at one end; away "
            "from the inverter's DC cables; then a lower speed"
        )
        return [_item("fault" if share > 5 else "warn", text, next_)]
    text = f"{share:.1f} % of the frames of {_names(bad)} are damaged"
    if len(units) > 1:
        text += ", those of the others are not: its own connector, stub or driver"
    return [
        _item("fault" if share > 5 else "warn", text, "its plug and stub (under 0.5 m); is it the end without 120 ohm?")
    ]


def _others(bus: Reply, units: list[Reply]) -> list[Reply]:
    out = []
    strangers = bus["requests"] + bus["foreign"]
    if strangers:
        text = f"{strangers} frames of somebody else: a second master asks on this line"
        out.append(_item("fault", text, "unplug other loggers and dongles: they are masters too"))
    if bus["late"]:
        text = f"{bus['late']} answers came after they were given up: a device is slower than its profile says"
        out.append(_item("warn", text, "a longer response_ms in its profile; is a gateway or a radio link between?"))
    if bus["noise"] > _FEW:
        text = f"{bus['noise']} bursts that are no frames: the idle line floats, or another protocol runs on it"
        out.append(_item("warn", text, "bias (680 ohm to 5 V and ground) at one place; 120 ohm at both ends"))
    out += [_item("note", str(note), "") for note in bus["notes"]]
    refused = [unit for unit in units if unit["exceptions"] > _asked(unit) // 10]
    if refused:
        text = f"{_names(refused)} refuses registers: the profile is of another model or firmware"
        out.append(_item("warn", text, f"batteryctl device check {refused[0]['device'] or 'NAME'}"))
    slow = [unit for unit in units if unit["p99_ms"] is not None and unit["p99_ms"] > _SLOW_MS]
    if slow:
        text = f"{_names(slow)} takes up to {max(unit['p99_ms'] for unit in slow):.0f} ms to begin an answer"
        out.append(_item("note", text, ""))
    return out


def _timer(bus: Reply) -> list[Reply]:
    timer = bus["latency_timer_ms"]
    if timer is None or timer <= latency.GOOD_MS:
        return []
    text = f"the USB adapter holds every reply back for up to {timer} ms (its latency timer; FTDI's default is 16 ms)"
    return [_item("warn", text, latency.remedy(str(bus["port"])))]
