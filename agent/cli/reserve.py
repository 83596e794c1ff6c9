"""`batteryctl reserve [PCT]`: the energy that stays in the battery for the home; `reserve storm PCT`: more, for now."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from agent.cli import talk, text
from agent.cli.clock import local_minute

EXAMPLE = "batteryctl reserve storm 80 --for 12h"
DATES_END_MS = 253_402_128_000_000  # two days before the year 10000, where Python's dates end


def run(args: Namespace) -> int:
    if args.percent == "storm":
        return _storm(args)
    extra = next((n for n in ("storm", "begin", "until", "length") if getattr(args, n) is not None), None)
    if extra is not None:
        return talk.show(args, talk.failure(2, "times and a second percentage belong to a storm", EXAMPLE))
    if args.percent is None:
        reply = talk.ask(args.socket, "reserve")
        return talk.show(args, reply, _lines(reply))
    return _said(args, talk.with_pin(args, "reserve", permille=args.percent))


def _storm(args: Namespace) -> int:
    if args.storm is None:
        return talk.show(args, talk.failure(2, "what reserve for the storm?", f"{EXAMPLE}; or: storm off"))
    wish: dict[str, object] = {"permille": args.storm}
    if args.reason:
        wish["reason"] = args.reason
    if args.storm:
        status = talk.ask(args.socket, "status") if args.length is None else {"wall_ms": 0}  # by the agent's clock
        if "error" in status:
            return talk.show(args, status)
        try:
            wish |= _window(args, int(status["wall_ms"]))
        except ValueError as error:
            return talk.show(args, talk.failure(2, str(error), EXAMPLE))
    return _said(args, talk.with_pin(args, "storm", **wish))


def _said(args: Namespace, reply: talk.Reply) -> int:
    return talk.show(args, reply, text.hang(f"{text.symbol('ok')}  ", str(reply.get("text")), 4))


def _window(args: Namespace, wall_ms: int) -> dict[str, object]:
    """Either a length, or two instants. ValueError: not a window."""
    if args.length is not None:
        if args.begin or args.until:
            raise ValueError("give either --for, or --until with or without --from")
        return {"for_s": args.length}
    if not args.until:
        raise ValueError("until when? --for 12h, or --until 18:30")
    if wall_ms >= DATES_END_MS:
        raise ValueError(f"the gateway's clock says {local_minute(wall_ms)}: until when is not to be told by it")
    from datetime import datetime

    now = datetime.fromtimestamp(wall_ms / 1000).astimezone()
    begin = now if args.begin in (None, "now") else _instant(args.begin, now)
    until = _instant(args.until, max(now, begin))
    if until <= begin:
        raise ValueError(f"it would end at {until:%Y-%m-%d %H:%M}, before it begins at {begin:%Y-%m-%d %H:%M}")
    return {"from_ms": int(begin.timestamp() * 1000), "until_ms": int(until.timestamp() * 1000)}


if talk.TYPE_CHECKING:
    from datetime import datetime


def _instant(words: str, after: datetime) -> datetime:
    """`18:30` is the next one after `after`; else an ISO date, with an offset or in this gateway's zone."""
    from datetime import datetime, time, timedelta

    try:
        if len(words) <= 5:
            clock = time.fromisoformat(words if len(words) == 5 else f"0{words}")
            found = datetime.combine(after.date(), clock).astimezone()
            return found if found > after else datetime.combine(after.date() + timedelta(days=1), clock).astimezone()
        return datetime.fromisoformat(words).astimezone()
    except (ValueError, OverflowError):
        raise ValueError(f"{words!r} is not a time, expected such as 18:30 or 2026-11-24T06:00") from None


def _lines(reply: talk.Reply) -> Iterator[str]:
    row = reply.get("reserve") or {}
    yield from text.hang(f"RESERVE  {text.symbol(row.get('level'))}  ", str(row.get("text")), 13)
    for one in row.get("raises") or []:
        dates = [local_minute(ms) for ms in (one["start_ms"], one["end_ms"]) if ms]
        span = " to ".join(dates) or "no clock yet"
        state = "in force" if one["in_force"] else "to come"
        yield from text.hang(
            f"{one['kind'].upper():9}{text.symbol('note')}  ",
            f"{one['permille'] / 10:.1f} %, {span}, {state}; {one['by']}: {one['reason']}",
            13,
        )
