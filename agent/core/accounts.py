"""The accounts that settlement rests on: seconds in, records out. Pure, and cheap in most cycles.

A second is only kept; up to a minute of them, as long as nothing changes, is folded at once. Every second of this
machine's own time is in exactly one interval or gap record, whatever the wall clock does: a clock that steps, begins
to be trusted or ceases to be ends the interval, and a record says so. Quarters of an hour are told by a trusted clock.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core import dark, guarantee, interval, performance
from agent.core.book import Book, Cycle, find
from agent.core.command import TERMINAL, CommandKind
from agent.core.decision import Mode, Record
from agent.core.durable import CommandRecord
from agent.core.flows import DT, UNKNOWN_NS, Jump, Registers, Second, Stand, jumps, read, span
from agent.core.guarantee import Day, Excursion
from agent.core.inputs import ClockTrust, Consent, Inputs, PutBack
from agent.core.interval import OPT_OUT, QUARTER_MS, Key, Open
from agent.core.kept import Kept, kept_of
from agent.core.now import Now
from agent.core.params import S
from agent.core.performance import Base, Event
from drivers.readings import GridState, MeterReading

LEAST_NS = S * 9 // 10  # between two seconds
MOST_NS = 10 * S  # between two cycles: more is a gap
HELD = 60
STEP_MS = 2000  # by which a clock may slip against this machine's own time before it has stepped
MOST_CHARS = 200  # of a text in a record
ACCOUNTED = frozenset({CommandKind.DISPATCH, CommandKind.SCHEDULE, CommandKind.SESSION})


class Ledger(NamedTuple):
    """All of it. `kept` lacks the seconds in `held`, over which `key` holds."""

    held: tuple[Second, ...] = ()
    key: Key | None = None
    at_ns: int = 0
    now_ms: int = 0
    commands: tuple[CommandRecord, ...] = ()  # as last looked at
    kept: Kept = Kept()
    base: Base = Base()
    excursion: Excursion | None = None
    put_back: bool = False  # the disk was: records of the lost state may have told what the first gap will tell
    meter: MeterReading | None = None  # the last that was of its second


NOTHING = Ledger()


def begin(text: str, commands: tuple[CommandRecord, ...] = ()) -> Ledger:
    """After a start, from what `text` wrote, with the commands of then; anything else is none: accounts begin anew."""
    return Ledger(kept=kept_of(text), commands=commands)


def text(ledger: Ledger, book: Book) -> str:
    """What `begin` reads; with all that was held, and the registers of now: what a restart begins with."""
    folded = _folded(ledger, book)
    return (_registers(folded) if folded.kept.open is not None else folded).kept.text()


def follow(ledger: Ledger, now: Now) -> Ledger:
    """One cycle. Records go to `now.say`. What goes wrong here costs the accounts, never the battery's protection."""
    try:
        return _follow(ledger, now)
    except Exception as error:  # noqa: BLE001  # accounts are not worth a home without protection
        what = f"{type(error).__name__}: {error}"[:MOST_CHARS]
        now.say.notices.append(f"the accounts were lost and begin anew: {what}")
        now.say.records.append(Record("settlement", {"record": "lost", "what": what, "from_ms": ledger.now_ms}))
        rest_ns = now.s.now_ns + QUARTER_MS * 1_000_000  # not a record of it every second
        kept = Kept(era=ledger.kept.era + 1)  # the clock may be put anywhere until then
        return Ledger(at_ns=rest_ns, commands=now.book.durable.commands, kept=kept)


def _follow(ledger: Ledger, now: Now) -> Ledger:
    s, i = now.s, now.i
    commands = now.book.durable.commands
    dt = s.now_ns - ledger.at_ns
    if commands is ledger.commands and dt < LEAST_NS:
        return ledger
    if ledger.key is None:
        return _first(ledger, now) if now.mode is not Mode.INIT else ledger
    wall_ms = i.clock.wall_ms
    key = now.key(ledger.key)
    meter = now.meter
    second: Second = (
        dt,
        s.battery_w,
        meter.grid_w if meter is not None else None,
        s.pv_w,
        s.load_w,
        meter.frequency_mhz if meter is not None and s.grid is GridState.CONNECTED else None,
        s.pack.soc_min if s.pack is not None and s.battery_age_ns <= s.battery_stale_ns else None,
    )
    opened = ledger.kept.open
    assert opened is not None
    slip_ms = wall_ms - ledger.now_ms - dt // 1_000_000
    plain = (
        key == ledger.key
        and commands is ledger.commands
        and len(ledger.held) < HELD
        and -STEP_MS < slip_ms < STEP_MS
        and dt <= MOST_NS
        and ledger.excursion is None
        and not guarantee.is_out(second[5])
        and wall_ms // QUARTER_MS <= opened.t0_ms // QUARTER_MS
    )
    if plain:
        held = (*ledger.held, second)
        read_last = meter or ledger.meter
        return Ledger(held, key, s.now_ns, wall_ms, commands, ledger.kept, ledger.base, None, False, read_last)
    return _turn(ledger, now, key, second, slip_ms)


# --- rarely -----------------------------------------------------------------------------------------------------------
def _turn(ledger: Ledger, now: Now, key: Key, second: Second, slip_ms: int) -> Ledger:
    """Something changed, or a minute is full."""
    assert ledger.key is not None
    before, dt = ledger.key, second[DT]
    full = len(ledger.held) >= HELD
    ledger = _folded(ledger, now.book)
    if full and key.away != ledger.kept.away:
        ledger = _told(ledger, key, now)
    if dt > MOST_NS:
        return _after_gap(ledger, now, key, slip_ms)
    ledger = ledger._replace(meter=now.meter or ledger.meter)
    was = before.trust != ClockTrust.UNTRUSTED
    if was is not now.trusted or not -STEP_MS < slip_ms < STEP_MS:
        return _reclocked(ledger, now, key, second, slip_ms)
    ledger = ledger._replace(held=(second,), key=key, at_ns=now.s.now_ns, now_ms=now.i.clock.wall_ms)
    ledger = _frequency(ledger, now, second)
    if now.book.durable.commands is not ledger.commands:
        ledger = _commands(ledger, now)
    opened = ledger.kept.open
    assert opened is not None
    if now.i.clock.wall_ms // QUARTER_MS > opened.t0_ms // QUARTER_MS:
        ledger = _folded(ledger, now.book)
        t1_ms = now.i.clock.wall_ms // QUARTER_MS * QUARTER_MS
        ledger = _closed(_registers(ledger), now, t1_ms)
        ledger = _opened(ledger, now, t1_ms)
    return ledger


def _folded(ledger: Ledger, book: Book) -> Ledger:
    """What is held goes into the accounts."""
    held, key, kept = ledger.held, ledger.key, ledger.kept
    if not held or key is None or kept.open is None:
        return ledger
    stand = Stand(kept.stand.registers, kept.stand.integrals.plus(held))
    began_ms = ledger.now_ms - sum([x[DT] for x in held]) // 1_000_000
    events = kept.events
    if key.command_id is not None:
        mean = ledger.base.mean()
        events = tuple([e.plus(held, key, began_ms, mean) if e.id == key.command_id else e for e in events])
    if events:
        events = tuple([_delivered(e, book) for e in events])
    kept = Kept(
        ledger.now_ms,
        key.trust != ClockTrust.UNTRUSTED,
        kept.era,
        stand,
        kept.open.plus(held, key),
        events,
        kept.day.plus(held, key),
        kept.away,
        kept.unread.later(sum([x[DT] for x in held])),
        ledger.at_ns,
        kept.kernel_boot,
    )
    return ledger._replace(held=(), kept=kept, base=ledger.base.plus(held))


def _delivered(event: Event, book: Book) -> Event:
    record = find(book.durable, event.id)
    return event if record is None else event.delivered(book.meters.told(record))


def _registers(ledger: Ledger) -> Ledger:
    """The devices' registers as they were read last, jumps noted."""
    opened = ledger.kept.open
    assert opened is not None
    kept, found = _read(ledger.kept, ledger.meter, ledger.at_ns)
    if found:
        kept = kept._replace(open=opened._replace(jumps=(*opened.jumps, *found)))
    return ledger._replace(kept=kept)


def _read(kept: Kept, meter: MeterReading | None, now_ns: int) -> tuple[Kept, tuple[Jump, ...]]:
    """With what `meter` told; which of it was a jump."""
    before, integrals = kept.stand.registers, kept.stand.integrals
    after = read(before, meter)
    found = jumps(before, after, kept.unread, integrals)
    return kept._replace(stand=Stand(after, integrals), unread=kept.unread.after(meter, now_ns, integrals)), found


def _closed(ledger: Ledger, now: Now, t1_ms: int) -> Ledger:
    """The interval's record, and the quarter of every event; what is open next is for the caller."""
    kept = ledger.kept
    opened = kept.open
    if opened is None or not opened.samples:
        return ledger
    source = "meter" if kept.stand.registers.import_wh is not None else "bms_estimate"
    room = now.offer()
    body = interval.body(opened, t1_ms, kept.stand, kept.era, source, now.returns_ms(), room)
    now.say.records.append(Record("settlement", body))
    events = tuple([performance.quartered(e, t1_ms, now.say.records) for e in kept.events])
    return ledger._replace(kept=kept._replace(now_ms=t1_ms, events=events, open=None))


def _opened(ledger: Ledger, now: Now, t0_ms: int) -> Ledger:
    """A new interval from `t0_ms` on; a UTC day that is over by a trusted clock, or that it denies, is told."""
    kept, trust = ledger.kept, str(now.i.clock.trust)
    day, today = kept.day, t0_ms // guarantee.DAY_MS
    if now.trusted and today != day.number:
        if day.number:
            now.say.records += [guarantee.kept(day), _checkpoint(day.number, kept.stand)]
            day = Day()
        day = day._replace(number=today)  # with what was before any day was known
    late = kept.unread.late(kept.stand.registers)
    kept = kept._replace(
        open=Open(t0_ms, kept.stand, trust=trust, late=late),
        day=day,
        now_ms=max(t0_ms, now.i.clock.wall_ms),
        trusted=now.trusted,
        at_ns=now.s.now_ns,
        kernel_boot=now.i.clock.kernel_boot,
    )
    return ledger._replace(kept=kept)


def _checkpoint(day: int, stand: Stand) -> Record:
    """The store adds what it knows of the chain: `first`, `last` and `head`."""
    return Record("settlement", {"record": "checkpoint", "day": guarantee.date(day), "end": stand.registers._asdict()})


# --- clocks and gaps --------------------------------------------------------------------------------------------------
def _first(ledger: Ledger, now: Now) -> Ledger:
    """The first second of this start: what was open before it ends where it was last known, and what lay between is a
    gap."""
    kept, wall_ms = ledger.kept, now.i.clock.wall_ms
    ledger = ledger._replace(at_ns=now.s.now_ns, now_ms=wall_ms, key=now.key(None))
    if kept.open is not None:
        ledger = _closed(ledger, now, _ends_ms(kept))
        ledger = _gap(ledger, now, "not_running", dark.lasted(kept, now))
    else:
        none = kept._replace(stand=Stand(Registers(), kept.stand.integrals))
        ledger = ledger._replace(kept=_read(none, now.s.meter, now.s.now_ns)[0])
    ledger = _opened(ledger, now, wall_ms)
    return _commands(ledger, now)


def _after_gap(ledger: Ledger, now: Now, key: Key, slip_ms: int) -> Ledger:
    """This process stood still: nobody looked."""
    ledger = _registers(ledger)
    kept, wall_ms = ledger.kept, now.i.clock.wall_ms
    ledger = _closed(ledger, now, _ends_ms(kept))
    stepped = not -STEP_MS < slip_ms < STEP_MS
    if stepped:
        ledger = _stepped(ledger, now, wall_ms - slip_ms)
    ledger = _gap(ledger, now, "stalled", now.s.now_ns - ledger.at_ns, stepped)
    ledger = ledger._replace(held=(), key=key, at_ns=now.s.now_ns, now_ms=wall_ms, excursion=None, base=Base())
    return _commands(_opened(ledger, now, wall_ms), now)


def _reclocked(ledger: Ledger, now: Now, key: Key, second: Second, slip_ms: int) -> Ledger:
    """The wall clock was put elsewhere, or what it says has begun or ceased to be believed. The second between belongs
    to what ends; where a clock is believed from now on, that is placed by it."""
    assert ledger.key is not None
    wall_ms = now.i.clock.wall_ms
    old = ledger.key
    ledger = ledger._replace(held=(second,), now_ms=ledger.now_ms + second[DT] // 1_000_000, at_ns=now.s.now_ns)
    ledger = _registers(_folded(ledger, now.book))
    opened = ledger.kept.open
    assert opened is not None
    placed = now.trusted and old.trust == ClockTrust.UNTRUSTED
    ends_ms, t0_ms = _ends_ms(ledger.kept), wall_ms
    if placed:
        since_ms = wall_ms - opened.ns // 1_000_000
        kept = ledger.kept._replace(open=opened._replace(t0_ms=since_ms, trust="placed"), era=ledger.kept.era + 1)
        ledger = _closed(ledger._replace(kept=kept), now, wall_ms)
        _clock(now, "trusted", ends_ms, kept.era)
    else:
        ledger = _closed(ledger, now, ends_ms)
        if now.trusted or not -STEP_MS < slip_ms < STEP_MS:
            ledger = _stepped(ledger, now, ends_ms)
        else:
            _clock(now, "untrusted", ends_ms, ledger.kept.era)
            t0_ms = max(ends_ms, wall_ms)  # in the same era: it may have slipped back by less than a step
    ledger = ledger._replace(key=key, now_ms=wall_ms)
    return _commands(_opened(ledger, now, t0_ms), now)


def _stepped(ledger: Ledger, now: Now, from_ms: int) -> Ledger:
    era = ledger.kept.era + 1
    _clock(now, "step", from_ms, era)
    return ledger._replace(kept=ledger.kept._replace(era=era))


def _clock(now: Now, why: str, from_ms: int, era: int) -> None:
    """What was `from_ms` by the clock of before is now the time of this record's cycle; `era` begins here."""
    body = {"record": "clock", "why": why, "from_ms": from_ms, "to_ms": now.i.clock.wall_ms, "era": era}
    now.say.records.append(Record("settlement", body))


def _ends_ms(kept: Kept) -> int:
    """Where what is open ends by its own clock: with its last second, not before its first where that slips."""
    return kept.now_ms if kept.open is None else max(kept.now_ms, kept.open.t0_ms)


def _gap(ledger: Ledger, now: Now, reason: str, dark_ns: int | None, stepped: bool = False) -> Ledger:
    """Time in which nobody looked; registers say what flowed meanwhile, commands what was asked. A clock that is back
    begins an era, believed or not, unless it has (`stepped`)."""
    wall_ms, from_ms = now.i.clock.wall_ms, ledger.kept.now_ms
    out = OPT_OUT if now.book.durable.opted_out is not None else None
    ns = dark_ns or 1  # one that no clock tells is a time all the same
    ledger = ledger._replace(kept=dark.asked(ledger.kept, ledger.commands, ns, now.say.records, out))
    both = ledger.kept.trusted and now.trusted and wall_ms >= from_ms
    if wall_ms < from_ms and not stepped:
        ledger = _stepped(ledger, now, from_ms + (dark_ns or 0) // 1_000_000)
    before = ledger.kept.stand
    later = ledger.kept.unread.later(UNKNOWN_NS if dark_ns is None else dark_ns)
    kept, found = _read(ledger.kept._replace(unread=later), now.s.meter, now.s.now_ns)
    first, last, estimated = span(before, kept.stand)
    body = {
        "record": "gap",
        "reason": reason,
        "t0_ms": from_ms,
        "t1_ms": wall_ms if both else None,
        "era": kept.era,
        "start": first,
        "end": last,
        "estimated": estimated,
        "jumps": [jump._asdict() for jump in found],
        "perhaps_told": ledger.put_back,
    }
    now.say.records.append(Record("settlement", body))
    return ledger._replace(kept=kept, put_back=False, meter=now.s.meter)


# --- parts of it ------------------------------------------------------------------------------------------------------
def heard(ledger: Ledger, i: Inputs, say: Cycle) -> Ledger:
    """Who agreed to what, or changed it: the homeowner's own word. And that the disk is that of an older day: what
    comes is told in an era that no lost record can be of."""
    for event in i.events:
        if isinstance(event, PutBack):
            kept = ledger.kept._replace(era=ledger.kept.era + event.eras)
            ledger = ledger._replace(kept=kept, put_back=ledger.key is None)
        elif isinstance(event, Consent):
            body = {"record": "consent", "at_ms": i.clock.wall_ms, "what": event.what, "by": event.by[:MOST_CHARS]}
            body |= {"local": event.local, "terms": event.terms, "reserve_permille": event.reserve_permille}
            body |= {"withdrawn": True} if event.withdrawn else {}
            say.records.append(Record("settlement", body))
    return ledger


def _commands(ledger: Ledger, now: Now) -> Ledger:
    """Commands that came, and the record of each that ended."""
    commands = now.book.durable.commands
    events, kept = {e.id: e for e in ledger.kept.events}, ledger.kept
    for record in commands:
        over = record.state in TERMINAL
        if record.command.id in events and over:
            event = events.pop(record.command.id)
            now.say.records.append(performance.record(event, record, now.i.clock.wall_ms))
        elif not over and record.command.kind in ACCOUNTED:
            events.setdefault(record.command.id, Event(record.command.id).delivered(record))
    there = {record.command.id for record in commands}
    left = tuple(e for e in events.values() if e.id in there)
    return ledger._replace(commands=commands, kept=kept._replace(events=left))


def _frequency(ledger: Ledger, now: Now, second: Second) -> Ledger:
    """A frequency out of its band, from when it leaves until it is back for a while."""
    dt, battery_w, mhz = second[DT], second[1], second[5]
    running = ledger.excursion
    if running is None:
        if not guarantee.is_out(mhz):
            return ledger
        mean = ledger.base.mean()
        running = Excursion(now.i.clock.wall_ms, mean[0] if mean is not None else None, peak_mhz=mhz or 0)
    running = running.plus(dt, mhz, battery_w)
    if running.back_ns >= guarantee.BACK_NS:
        now.say.records.append(guarantee.left(running, now.i.clock.wall_ms))
        return ledger._replace(excursion=None)
    return ledger._replace(excursion=running)


def _told(ledger: Ledger, key: Key, now: Now) -> Ledger:
    """A minute of it: whether the home can be dispatched, why not, and until when."""
    body = {
        "record": "availability",
        "available": key.away is None,
        "reason": key.away,
        "expected_return_ms": now.returns_ms(),
        "at_ms": now.i.clock.wall_ms,
    }
    now.say.records.append(Record("settlement", body))
    return ledger._replace(kept=ledger.kept._replace(away=key.away))
