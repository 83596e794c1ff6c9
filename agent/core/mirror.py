"""The reserve in the inverter's own floor: written on change, read back, and told when another hand moved it.

A device may store its floor in coarser steps than it was told. One that keeps more than was asked for, by less than
`COARSE`, is left alone. One that keeps less is asked for more, first by a percent, then by five: never for less than
the reserve. What comes to stand so is remembered, and only a floor that leaves it is another hand's. Every write beyond
the first waits longer, up to an hour; hours without one shorten that again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.core.decision import Intent, Mode, Write
from agent.core.inputs import WriteDone
from agent.core.params import S
from agent.core.snapshot import Snapshot

if TYPE_CHECKING:
    from agent.core.writes import Hand

ANSWER_NS = 5 * S  # a floor without a result for this long counts as unanswered
RETRY_NS = 10 * S
RETRY_MAX_NS = 3600 * S
DOUBLINGS = 9
STEP = 10  # permille: a floor may read back rounded up by less than this, whoever wrote it
COARSE = 50  # permille: the coarsest step in which a device keeps a floor that it was told
MORE = (STEP, COARSE)  # so much more than the reserve is asked for, one after the other, where less is kept
TAKEN = frozenset({"confirmed", "mismatch"})  # outcomes of a write that the device took, as it could


def kept(floor_permille: int, reserve_permille: int) -> bool:
    """That floor may be what a device makes of this reserve."""
    return 0 <= floor_permille - reserve_permille < 2 * COARSE


def heard(hand: Hand, done: WriteDone, now_ns: int) -> Hand:
    """The result of a floor. That it was confirmed does not end the failures: a floor that reads so does."""
    good = done.outcome == "confirmed"
    ours = hand.floor_permille is not None and done.value == _asked(hand.floor_permille, hand.floor_extra)
    hand = replace(hand, floor_pending=False, floor_failures=hand.floor_failures + (not good))
    if not ours:
        return hand
    return replace(
        hand,
        floor_taken=done.outcome in TAKEN,
        floor_confirmed_ns=now_ns if good else hand.floor_confirmed_ns,
    )


def plan(hand: Hand, s: Snapshot, mode: Mode, connected: bool) -> tuple[Hand, Write | None, tuple[int, bool] | None]:
    """One cycle: the hand, a write, and (floor that was found, by another hand?) where something is to be told."""
    reads = _reads(s, mode, connected)
    if reads is None:
        return hand, None, None
    now = s.now_ns
    if hand.floor_pending:
        if now - hand.floor_ns < ANSWER_NS:
            return hand, None, None
        hand = replace(hand, floor_pending=False, floor_failures=hand.floor_failures + 1)
    if hand.floor_permille != s.reserve_permille:
        if hand.floor_permille is None and 0 <= reads - s.reserve_permille < STEP:
            return hand, None, None
        first = replace(hand, floor_extra=0, floor_seen=None, floor_tries=0)
        return *_write(first, s, reads), (reads, False)
    if s.inverter is None or s.inverter.at_ns <= max(hand.floor_ns, hand.floor_confirmed_ns or 0):
        return hand, None, None  # it was read before our write
    if _stands(hand, reads):
        stood = hand.floor_seen == reads and hand.floor_failures == 0
        return (hand if stood else replace(hand, floor_seen=reads, floor_failures=0)), None, None
    return _again(hand, s, reads)


def _reads(s: Snapshot, mode: Mode, connected: bool) -> int | None:
    """What the device's floor reads; None = nothing is done about it now. In a lockout it is raised alone: nobody else
    keeps a reserve that was raised meanwhile, and a device that is another one is not written at all."""
    if not connected or mode is Mode.INIT or s.capability is None or not s.capability.floor:
        return None
    if s.inverter is None or s.inverter_age_ns > s.inverter_stale_ns:
        return None
    reads = s.inverter.floor_permille
    if mode is Mode.LOCKOUT and (s.mismatch is not None or reads is None or reads >= s.reserve_permille):
        return None
    return reads


def _stands(hand: Hand, reads: int) -> bool:
    """That floor is what the device makes of what it was told."""
    over = reads - (hand.floor_permille or 0)
    if hand.floor_seen is not None and hand.floor_seen == reads:
        return True
    if 0 <= over < STEP:
        return True
    return hand.floor_seen is None and hand.floor_taken and 0 <= over < hand.floor_extra + COARSE


def _again(hand: Hand, s: Snapshot, reads: int) -> tuple[Hand, Write | None, tuple[int, bool] | None]:
    """It reads otherwise than it should: by another hand, where it had stood; else the device cannot or will not."""
    now, foreign = s.now_ns, hand.floor_seen is not None
    since_ns = now - hand.floor_ns
    if since_ns < min(RETRY_MAX_NS, RETRY_NS << hand.floor_tries):
        return hand, None, None
    tries = max(0, hand.floor_tries - 2 * max(0, since_ns // RETRY_MAX_NS - 1))
    hand = replace(hand, floor_tries=min(DOUBLINGS, tries + 1))
    if foreign:
        return *_write(hand, s, reads), (reads, True)
    if hand.floor_confirmed_ns is not None:  # what was not confirmed is counted already
        hand = replace(hand, floor_failures=hand.floor_failures + 1)
    if hand.floor_taken and reads < s.reserve_permille:
        hand = replace(hand, floor_extra=next((more for more in MORE if more > hand.floor_extra), MORE[-1]))
    return *_write(hand, s, reads), None


def _write(hand: Hand, s: Snapshot, reads: int) -> tuple[Hand, Write]:
    hand = replace(
        hand,
        floor_permille=s.reserve_permille,
        floor_ns=s.now_ns,
        floor_pending=True,
        floor_confirmed_ns=None,
        floor_taken=False,
        floor_seen=None,
    )
    name = s.inverter_device.name if s.inverter_device is not None else ""
    asked = _asked(s.reserve_permille, hand.floor_extra)
    return hand, Write(Intent.FLOOR, asked, f"the device's floor is {reads} permille", name)


def _asked(reserve_permille: int, extra: int) -> int:
    return min(1000, reserve_permille + extra)
