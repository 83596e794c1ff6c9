"""`batteryctl statement --month YYYY-MM`: what this home gave and got that month, from its own signed records.

Reads records, of this gateway or of files; asks nobody. `verify-chain` says whether they are what was signed.
"""

from __future__ import annotations

import argparse
import calendar
import csv
import datetime as dt
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.cli import text
from agent.store.archive import payload, record
from agent.tools import chainfiles
from agent.tools.findings import Line
from agent.tools.lines import Refused, guarded
from agent.tools.placing import END_MS, Placed, place
from agent.tools.retold import once
from agent.tools.stretch import Read, covering
from agent.tools.totals import Totals, both, flows, of_month
from agent.tools.verify import refused

EVENTS_SHOWN = 5
_EVER = 1 << 62
MONTH = re.compile("(19[7-9][0-9]|[2-9][0-9]{3})-(0?[1-9]|1[0-2])")
_TELLING = ("interval", "performance", "session")  # the newest of them names the month
COLUMNS = (
    "t0_ms", "t1_ms", "time", "partial", "quality", "charge_wh", "discharge_wh", "import_wh", "export_wh", "pv_wh",
    "residual_wh", "dispatched_s", "missing_s", "estimated",
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """0 printed, 2 usage or a file."""
    parser = argparse.ArgumentParser(prog="batteryctl statement", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--month", default="")
    parser.add_argument("--csv", action="store_true")
    parser.add_argument("--export", default="")
    parser.add_argument("--capacity", type=int)
    parser.add_argument("--config", required=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        _run(args)
    except Refused as error:
        return refused(args.json, error)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"a record is not of the form that this version knows ({type(error).__name__}: {error})"
        return refused(args.json, Refused(2, what, "batteryctl verify-chain says whether they are what was signed"))
    except BrokenPipeError:
        raise  # the reader went away: no file of ours
    except OSError as error:
        return refused(args.json, Refused(2, f"{error.filename}: {error.strerror}", "--export FILE"))
    return 0


def _run(args: argparse.Namespace) -> None:
    if args.capacity is not None and args.capacity <= 0:
        raise Refused(2, f"--capacity {args.capacity}: Wh of the battery were expected, above 0", "--capacity 10000")
    config = chainfiles.load_config(args.config) if not args.files or (args.export and not args.files) else None
    files = [Path(name) for name in args.files] if args.files else chainfiles.archive_of(config) if config else []
    damaged: list[chainfiles.Damaged] = []
    found = read(chainfiles.read_lines(files, damaged))
    if damaged and not found.bodies:
        raise chainfiles.spoilt(damaged)
    for each in damaged:
        print(f"{text.symbol('warn')}  {each.path.name} is left out: {each.why}", file=sys.stderr)
    records = place([found.bodies[n] for n in sorted(found.bodies)])
    begin, end, month = _month(args.month, _newest(records))
    if args.export:
        of = (begin, end) if args.month else (0, _EVER)
        _export(args, covering(found, records, *of), month)
        return
    records, again = once(records)
    totals = of_month(records, month, begin, end)
    totals.told_again = again
    capacity = args.capacity or (config.params.site.capacity_wh if config is not None else 0) or None
    if args.csv:
        _csv([r.body for r in records if r.is_in(begin, end)])
    elif args.json:
        events = [dict(event) for event in totals.events]
        print(json.dumps({"v": 1, "ok": True, "code": 0, **totals.body(capacity), "event_records": events}))
    else:
        for row in page(totals, capacity, min(found.bodies, default=0)):
            print(row)


def _newest(records: Sequence[Placed]) -> int:
    """When the last one that tells of energy was; a clock that was far ahead for a while names no month."""
    telling = (r.ms for r in reversed(records) if r.body.get("record") in _TELLING)
    return next((ms for ms in telling if ms is not None and ms < END_MS), 0)


def _month(words: str, newest_ms: int) -> tuple[int, int, str]:
    """Begin and end, UTC ms; where no month is named, that of the newest record."""
    if not words:
        words = dt.datetime.fromtimestamp(newest_ms / 1000, dt.UTC).strftime("%Y-%m")
    if (found := MONTH.fullmatch(words)) is None:
        raise Refused(2, f"--month {words:.80}: no month of 1970 to 9999", "--month 2026-11")
    year, month = int(found[1]), int(found[2])
    begin_ms = int(dt.datetime(year, month, 1, tzinfo=dt.UTC).timestamp()) * 1000
    return begin_ms, begin_ms + calendar.monthrange(year, month)[1] * 86_400_000, f"{year}-{month:02d}"


def read(lines: Iterable[Line]) -> Read:
    """Each record once, however often and in whatever order it is there."""
    bodies: dict[int, Mapping[str, Any]] = {}
    tokens: dict[int, bytes] = {}
    receipts: dict[int, bytes] = {}
    for line in lines:
        found = record(line.data)
        if found is not None:
            n = found[1]["n"]
            assert isinstance(n, int)
            bodies.setdefault(n, found[1])
            tokens.setdefault(n, line.data)
        elif (other := payload(line.data)) is not None and isinstance(over := other[1].get("checkpoint"), dict):
            receipts.setdefault(over["n"], line.data) if isinstance(over.get("n"), int) else None
    return Read(bodies, tokens, receipts)


def _export(args: argparse.Namespace, chosen: Sequence[bytes], month: str) -> None:
    """The stretch of the chain that proves the month, or all of it, and beside it the public keys to check it."""
    if not chosen:
        raise Refused(2, f"nothing is on record for {month}", "batteryctl statement --month YYYY-MM --export FILE")
    target = Path(args.export)
    target.write_bytes(b"".join(data + b"\n" for data in chosen))
    keys = target.with_name(f"{target.name}.keys.json")
    keys.write_text(chainfiles.own_keys(chainfiles.load_config(args.config)).text(), "utf-8")
    told = f"{target}: {len(chosen)} signed lines; {keys}: the public keys"
    if args.json:
        print(json.dumps({"v": 1, "ok": True, "code": 0, "lines": len(chosen), "file": str(target), "keys": str(keys)}))
    else:
        print(f"{text.symbol('ok')}  {told}")
        print(f"    next     batteryctl verify-chain {target} --keys {keys}")


def _csv(records: Sequence[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    for r in records:
        if r.get("record") == "interval":
            row = {**r, **flows(r), "estimated": " ".join(r["estimated"])}
            writer.writerow([row[name] for name in COLUMNS])


# --- for people -------------------------------------------------------------------------------------------------------
def page(t: Totals, capacity_wh: int | None, first: int = 0) -> list[str]:
    """80 x 24, whatever the month was like. `first`: number of the first record that was there."""
    e = t.energy
    known_s = max(1, t.covered_s)
    rows = [f"STATEMENT {t.month} (UTC)   {t.covered_s / 3600:.1f} h recorded in {t.intervals} intervals", ""]
    if not t.intervals and not t.events and not t.unplaced:
        before = f"; what is before record {first} is not here" if first else ""
        return [*rows, f"{text.symbol('none')}  nothing is on record for this month{before}"]
    cycles = f", {e['discharge_wh'] / capacity_wh:.1f} full cycles" if capacity_wh else ""
    asked = f"asked to give {kwh(t.asked_given_wh)}, to take {kwh(t.asked_taken_wh)}"
    rows += [
        _line("EVENTS", f"{len(t.events)}, for {_hours(t.dispatched_s)}: {asked}"),
        _line("GIVEN", f"{kwh(t.given_wh)} to the grid and the house; {kwh(t.taken_wh)} taken on request"),
        _line("BATTERY", f"{kwh(e['discharge_wh'])} out, {kwh(e['charge_wh'])} recharged{cycles}"),
        _line("SITE", f"{kwh(e['import_wh'])} bought, {kwh(e['export_wh'])} sold, {kwh(e['pv_wh'])} from the sun"),
        _line("RESERVE", _reserve(t)),
        _line("OUTAGES", f"{_time(t.outage_s)}, {kwh(t.served_wh)} served" if t.outage_s else "none"),
        _line("OPTED OUT", _time(t.opted_out_s)),
        _line("AWAY", _reasons(t.unavailable)),
        _line("LIMITED", _reasons(t.limited)),
        _line("RECORDS", _quality(t, known_s)),
        *_estimated(t),
        *_unplaced(t),
        *_again(t),
        "",
    ]
    rows += _events(t)
    rows.append("    next     batteryctl verify-chain: whether these are what was signed")
    return [row[:79] for row in rows]


def _line(name: str, words: str) -> str:
    return f"{name:11}{words}"


def _reserve(t: Totals) -> str:
    if not t.days:
        return "no day of it is over yet"
    broken = t.below.get("dispatch", 0)
    if broken:
        return f"NOT KEPT: {_time(broken)} below it through dispatch"
    if not t.below:
        return f"kept on all of {t.days} days"
    return f"kept against dispatch on {t.days} days; below it: {_reasons(t.below)}"


def _quality(t: Totals, known_s: int) -> str:
    good = 100 - 100 * t.missing_s / known_s
    words = f"{good:.1f} % of the time measured"
    words += f", {t.gaps} gaps ({kwh(sum(t.gap_wh.values()))} in them)" if t.gaps else ""
    return words + (f", {t.jumps} jumps of a register" if t.jumps else "")


def _events(t: Totals) -> list[str]:
    if not t.events:
        return []
    rows = ["    UTC, kWh       TO GIVE    GIVEN  TO TAKE    TAKEN  STATE"]
    for event in sorted(t.events, key=lambda e: int(e["ended_ms"]), reverse=True)[:EVENTS_SHOWN]:
        ms = int(event["started_ms"] or event["received_ms"])
        at = f"{dt.datetime.fromtimestamp(ms / 1000, dt.UTC):%m-%d %H:%M}" if ms < END_MS else "beyond 9999"
        why = f" ({event['reason']})" if event["reason"] else ""
        (to_give, to_take), (given, taken) = both(event, "requested"), both(event, "delivered")
        energy = "".join(f"{wh / 1000:9.2f}" for wh in (to_give, given, to_take, taken))
        rows.append(f"    {at}{energy}  {event['state']}{why}")
    left = len(t.events) - EVENTS_SHOWN
    return [*rows, f"    and {left} more: --json has all"] if left > 0 else rows


def _estimated(t: Totals) -> list[str]:
    names = ", ".join(sorted(name.removesuffix("_wh") for name in t.estimated_of))
    return [_line("ESTIMATED", f"{names}: summed up by the agent, no register tells")] if names else []


def _unplaced(t: Totals) -> list[str]:
    if not t.unplaced:
        return []
    e = t.unplaced_wh
    words = f"{kwh(e['import_wh'])} bought, {kwh(e['export_wh'])} sold, {kwh(e['discharge_wh'])} out"
    return [_line("NOT PLACED", f"{words}: no clock told when")]


def _again(t: Totals) -> list[str]:
    if not t.told_again:
        return []
    return [_line("TOLD AGAIN", f"{t.told_again} records, after an older database was put back: counted once")]


def kwh(wh: int) -> str:
    """With its unit; less than it shows is nothing, whichever way."""
    return f"{round(wh / 1000, 2) + 0.0:.2f} kWh"


def _time(seconds: int) -> str:
    return _hours(seconds) if seconds else "never"


def _hours(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h {rest // 60:02d} min"


def _reasons(found: Mapping[str, int]) -> str:
    worst = sorted(found.items(), key=lambda each: -each[1])
    shown = ", ".join(f"{name} {_time(seconds)}" for name, seconds in worst[:3] if seconds)
    return shown + (", ..." if len(worst) > 3 else "") if shown else "never"


if __name__ == "__main__":
    sys.exit(guarded(main))
