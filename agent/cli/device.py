"""`batteryctl device list | adopt NAME`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from agent.cli import talk, text
from agent.local import words


def run(args: Namespace) -> int:
    if args.action == "adopt":
        if not args.name:
            return talk.show(args, talk.failure(2, "adopt needs the name of a device", "batteryctl device list"))
        reply = talk.ask(args.socket, "adopt", device=args.name)
        return talk.show(args, reply, text.hang(f"{text.symbol('ok')}  ", str(reply.get("text")), 4))
    reply = talk.ask(args.socket, "status")
    if "error" in reply:
        return talk.show(args, reply)
    bad = any(device["level"] in ("warn", "fault") for device in reply["devices"])
    shown = {
        "v": 1,
        "ok": not bad,
        "code": 1 if bad else 0,
        "stated_end_s": reply["stated_end_s"],
        "devices": reply["devices"],
        "buses": reply["buses"],
    }
    return talk.show(args, shown, lines(shown))


def lines(reply: talk.Reply) -> Iterator[str]:
    for device in reply["devices"]:
        head = f"{text.symbol(device['level'])}  {device['name']:12}  {device['role']:9} "
        yield from text.hang(head, _sentence(device), 28)
    for bus in reply["buses"]:
        wrong = ", ".join(f"{bus[key]} {word}" for key, word in _WRONG if bus[key]) or "no errors"
        yield from text.hang(f"--  {bus['name']:12}  bus       ", f"{bus['transactions']} transactions, {wrong}", 28)
        for note in bus["notes"]:
            yield from text.hang(" " * 28, note, 28)
    yield ""
    yield from text.hang("", f"If anything dies, our setpoint ends within {reply['stated_end_s']} s.", 0)


_WRONG = (
    ("crc_errors", "bad CRC"),
    ("timeouts", "timeouts"),
    ("exceptions", "exceptions"),
    ("foreign", "foreign frames"),
    ("retries", "retries"),
    ("late", "late answers"),
    ("requests", "requests of another master"),
    ("noise", "bursts of noise"),
)


def _sentence(device: talk.Reply) -> str:
    known = [str(device[key]) for key in ("maker", "model", "version") if device[key]]
    parts = [" ".join(known) or "not identified yet"]
    if device["serial"]:
        parts.append(f"serial {device['serial']}")
    if device["age_ms"] is not None:
        parts.append(f"read {words.scaled(device['age_ms'], 1000, 1, 's')} ago")
    if device["presence"] != "ok":
        parts.append(f"{device['presence']}: {device['detail']}" if device["detail"] else str(device["presence"]))
    if device["role"] == "inverter" and "reversion" in device:
        proven = "read back" if device["reversion_verified"] else "not proven"
        parts.append(
            f"returns by itself after {device['reversion_s']} s ({proven})"
            if device["reversion_s"]
            else "no return timer"
        )
    return ", ".join(parts)
