"""`batteryctl bus test [BUS|DEVICE]`: how a line does, and what its pattern of errors suggests."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator

from agent.cli import clock, latency, offline, talk, text, verdict

_STEP_S = 1.0


def run(args: Namespace) -> int:
    if len(args.words) > 1:
        return talk.show(args, talk.failure(2, "test takes one bus or device at most", "batteryctl bus test"))
    wanted = args.words[0] if args.words else None
    with offline.Reached(args) as there:
        before = there.ask("bus")
        if "error" in before:
            return talk.show(args, before)
        buses = [bus for bus in before["buses"] if _is_meant(bus, wanted)]
        if not buses:
            known = [str(bus["name"]) for bus in before["buses"]]
            known += [str(unit["device"]) for bus in before["buses"] for unit in bus["units"] if unit["device"]]
            what = f"there is no bus or device {wanted!r}; there are: {', '.join(known)}"
            return talk.show(args, talk.failure(2, what, "batteryctl bus test"))
        _wait(args.seconds)
        after = there.ask("bus")
        if "error" in after:
            return talk.show(args, after)
    names = {str(bus["name"]) for bus in buses}
    pairs = [
        (old, new)
        for old in before["buses"]
        for new in after["buses"]
        if old["name"] == new["name"] and old["name"] in names
    ]
    tested = [_tested(old, new, wanted, after["bounds_us"]) for old, new in pairs]
    bad = any(item["level"] == "fault" for bus in tested for item in bus["verdict"])
    shown = {"v": 1, "ok": not bad, "code": int(bad), "seconds_s": args.seconds, "buses": tested}
    return talk.show(args, shown, lines(shown))


def _is_meant(bus: talk.Reply, wanted: str | None) -> bool:
    return wanted is None or wanted == bus["name"] or any(unit["device"] == wanted for unit in bus["units"])


def _wait(seconds: float) -> None:
    """With a countdown where somebody looks."""
    left = seconds
    shown = sys.stderr.isatty()
    while left > 0:
        if shown:
            print(f"\r--  listening for {left:.0f} s more ", end="", file=sys.stderr, flush=True)
        clock.nap(min(_STEP_S, left))
        left -= _STEP_S
    if shown:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _tested(old: talk.Reply, new: talk.Reply, wanted: str | None, bounds_us: list[int]) -> talk.Reply:
    counters = (
        "transactions", "crc_errors", "timeouts", "exceptions", "foreign", "retries", "late", "requests", "noise",
    )  # fmt: skip
    earlier = {unit["unit"]: unit for unit in old["units"]}
    units = []
    for unit in new["units"]:
        if unit["device"] == wanted or wanted in (None, new["name"]):
            units.append(_window(earlier[unit["unit"]], unit, bounds_us))
    timer = latency.timer_ms(new["port"]) if new["port"] else None
    bus = {key: new[key] for key in ("name", "port", "tcp", "baud", "parity", "stop_bits")}
    bus |= {key: new[key] - old[key] for key in counters}
    bus |= {"units": units, "latency_timer_ms": timer, "notes": new["notes"]}
    return {**bus, "verdict": verdict.judge(bus)}


def _window(old: talk.Reply, new: talk.Reply, bounds_us: list[int]) -> talk.Reply:
    waits = [b - a for a, b in zip(old["waits"], new["waits"], strict=True)]
    counts = {key: new[key] - old[key] for key in ("answers", "exceptions", "crc_errors", "timeouts")}
    return {
        "unit": new["unit"],
        "device": new["device"],
        **counts,
        "p50_ms": _quantile(waits, bounds_us, 0.5),
        "p99_ms": _quantile(waits, bounds_us, 0.99),
    }


def _quantile(waits: list[int], bounds_us: list[int], share: float) -> float | None:
    """The upper end of the bucket that it lies in: never better than it was."""
    total = sum(waits)
    if not total:
        return None
    seen = 0
    for place, count in enumerate(waits):
        seen += count
        if seen >= share * total:
            return bounds_us[min(place + 1, len(bounds_us) - 1)] / 1000
    raise AssertionError("the buckets hold fewer than their sum")


def lines(reply: talk.Reply) -> Iterator[str]:
    for number, bus in enumerate(reply["buses"]):
        if number:
            yield ""
        where = bus["tcp"] or f"{bus['port']}, {bus['baud']} baud 8{bus['parity']}{bus['stop_bits']}"
        yield from text.hang("BUS      ", f"{bus['name']}: {where}, {reply['seconds_s']:g} s", 9)
        yield ""
        yield _HEAD
        for unit in bus["units"]:
            yield _row(unit)
        yield ""
        counted = ", ".join(f"{bus[key]} {name}" for key, name in _SEEN if bus[key])
        counted = counted or _PLAIN[bool(bus["transactions"])]
        yield from text.hang("LINE     ", f"{bus['transactions']} transactions, {counted}", 9)
        for item in bus["verdict"]:
            yield from text.hang(f"VERDICT  {text.symbol(item['level'])}  ", str(item["text"]), 13)
            if item["next"]:
                yield from text.hang("             next: ", str(item["next"]), 19)


_PLAIN = ("nothing at all", "nothing but answers")
_SEEN = (
    ("retries", "retries"),
    ("late", "late answers"),
    ("foreign", "answers that nobody asked for"),
    ("requests", "requests of another master"),
    ("noise", "bursts of noise"),
)
_HEAD = "    DEVICE         UNIT  ANSWERS  REFUSED  BAD CRC  SILENT  P50 ms  P99 ms"


def _row(unit: talk.Reply) -> str:
    lost = unit["crc_errors"] + unit["timeouts"]
    mark = "none" if not unit["answers"] + lost else "fault" if not unit["answers"] else "warn" if lost else "ok"
    p50, p99 = ("-" if unit[key] is None else f"{unit[key]:.1f}" for key in ("p50_ms", "p99_ms"))
    counts = f"{unit['answers']:8d} {unit['exceptions']:8d} {unit['crc_errors']:8d} {unit['timeouts']:7d}"
    return f"{text.symbol(mark)}  {unit['device'] or '(second)':14} {unit['unit']:4d} {counts} {p50:>7} {p99:>7}"
