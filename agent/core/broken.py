"""When the core itself fails: what it returns, and which events the next cycle hears again."""

from __future__ import annotations

from dataclasses import replace

from agent.core import crew, events, faults, mishap, writes
from agent.core.book import Cycle
from agent.core.decision import Decision, FaultValue, Mode, Outputs
from agent.core.inputs import CommitFailed, Committed, Event, Inputs, LocalResume, LocalStop, OptsOut, WriteDone
from agent.core.params import Params, S
from agent.core.snapshot import reserve_of
from agent.core.state import State
from drivers.readings import GridState

BROKEN_TRIES = 3  # cycles that may go wrong in a row before events they carry are let go, one kind after the other
OURS = (  # what is carried still, after each so many tries
    (LocalStop, OptsOut, WriteDone, Committed, CommitFailed),
    (LocalStop, OptsOut, Committed, CommitFailed),
    (Committed, CommitFailed),
)
UNHEARD = 64


def broken(p: Params, state: State, i: Inputs, what: str) -> tuple[State, Outputs]:
    """Move no power, release, say what happened. A stop, local or signed, stands at once; the other events are heard by
    the next cycle, as far as `_carried` has it. Who resumes must ask again."""
    hand, clear = writes.abandon(state.hand, i.now_ns)
    manned = state.crew
    if manned:
        manned, clear = crew.abandon(manned, i.now_ns)
    row = faults.BY_ID["internal_error"]
    decision = Decision(
        at_ns=i.now_ns,
        mode=Mode.FAULT,
        source="none",
        asked_w=None,
        given_w=None,
        lo_w=0,
        hi_w=0,
        binding=None,
        limits=(),
        faults=(FaultValue(row.id, row.severity.name.lower(), what, row.remedy, i.now_ns),),
        reserve_permille=max([reserve_of(p, i), *[raised.permille for raised in state.book.durable.overlays]]),
        soc_lo_permille=None,
        soc_hi_permille=None,
        grid=GridState.UNKNOWN.value,
        load_w=None,
        command_id=None,
        stated_end_s=-(-(p.timers.stale_battery_ns + p.timers.cycle_ns + p.timers.write_ns) // S)
        + p.timers.reversion_s,
    )
    say = Cycle(i.now_ns, i.clock, p, i.disk_ok, state.fresh, events.locked(state))
    book, left = mishap.stops(state.book, i.events, say)
    book, desk, commit = (state.book, state.desk, None) if book is state.book else mishap.store(book, state.desk, say)
    after = replace(
        state,
        now_ns=i.now_ns,
        mode=Mode.FAULT,
        book=book,
        desk=desk,
        hand=hand,
        crew=manned,
        internal=what,
        ramped_w=None,
        unheard=_carried(left, state.failed),
        failed=state.failed + 1,
    )
    return after, Outputs(decision, clear, commit, (*say.notices, f"internal error: {what}"))


def _carried(heard: tuple[Event, ...], failed: int) -> tuple[Event, ...]:
    """What the next cycle hears again. One of them may be what breaks it time and again: what comes from outside is let
    go first, then a write's result, which its own time limit stands in for, then a stop, which stands without it. The
    store's answers never: a command would wait for them for ever."""
    kept = [e for e in heard if not isinstance(e, LocalResume)]
    if failed >= BROKEN_TRIES:
        kinds = OURS[min(len(OURS), failed // BROKEN_TRIES) - 1]
        kept = [e for e in kept if isinstance(e, kinds)]
    outside = [n for n, e in enumerate(kept) if not isinstance(e, OURS[0])]
    gone = frozenset(outside[: max(0, len(kept) - UNHEARD)])
    return tuple([e for n, e in enumerate(kept) if n not in gone][-UNHEARD:])
