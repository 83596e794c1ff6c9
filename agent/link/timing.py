"""Whether a message is in time, and the keys that signed it. Pure. Which end of the interval judges what: `clock`."""

from __future__ import annotations

from collections.abc import Iterable

from agent.link.clock import APART_MS, LinkClock
from agent.link.messages import DAY_MS, WEEK_MS, AnyCommand, Down
from agent.link.refusal import Refusal
from agent.link.trust import Trust

SKEW_MS = 30_000  # `iat` may lie this far ahead of us
AHEAD_MS = SKEW_MS + APART_MS  # and a signed time, so far ahead of what this home believes
OUTLIVED_MS = 3 * WEEK_MS + DAY_MS  # to accept, until the start, its length; and what a draw or a clock adds
EXPIRES_NOT = frozenset({"resend"})  # asks for what is the aggregator's anyway, also of an expired bundle


def untimely(body: Down, clock: LinkClock, fresh: bool, now_ns: int) -> Refusal | None:
    """Why it may not be taken now: late, early, or nobody knows."""
    if clock.apart:
        return Refusal("clock_conflict", "this gateway's clock and the signed time contradict each other")
    span = clock.span(now_ns)
    if span is not None and span[1] > body.exp:
        return Refusal("expired", f"exp was {span[1] - body.exp} ms ago")
    if span is not None and body.iat > span[0] + SKEW_MS:
        return Refusal("future", f"iat is {body.iat - span[0]} ms ahead")
    if not fresh or span is None:
        return Refusal("not_fresh", "no signed time has echoed a nonce of this boot yet, or none within half a minute")
    return None


def forgotten(body: Down, after_ms: int, clock: LinkClock, now_ns: int) -> Refusal | None:
    """Whether it may have acted already, in a life that this home does not remember: signed time is compared with
    signed time. No clock of this home has a part in it, but that no date which is still to come is of the past."""
    span = clock.span(now_ns)
    if body.iat > after_ms or (span is not None and after_ms > span[1] + AHEAD_MS):
        return None
    return Refusal("replay", f"signed {after_ms - body.iat} ms before this home knows again what it was told")


def outlived(body: Down, clock: LinkClock, now_ns: int) -> Refusal | None:
    """A cancel or a stop is taken after its `exp` too, for as long as anything that was signed before it may still run:
    7 days to be accepted in, 7 until its start, 7 of a plan, and a day. Later it could only end what it never meant; if
    gateway and aggregator agree that it is later."""
    least_ms = clock.least_by_both(now_ns)
    if least_ms is None or least_ms <= body.iat + OUTLIVED_MS:
        return None
    return Refusal("expired", f"all that was signed before it is over since {least_ms - body.iat - OUTLIVED_MS} ms")


def left_s(iat: int, for_s: int, clock: LinkClock, now_ns: int) -> int:
    """What is left of `for_s` from `iat` on, at most, in whole seconds begun; 0: nothing. All of it while gateway and
    aggregator do not agree on the time."""
    least_ms = clock.least_by_both(now_ns)
    return for_s if least_ms is None else max(0, for_s - max(0, least_ms - iat) // 1000)


def unkeyed(trust: Trust, body: AnyCommand, kid: str, clock: LinkClock, now_ns: int) -> Refusal | None:
    """A key outside its time, or a bundle past its own, brings no new work."""
    span = clock.span(now_ns)
    if span is None or body.kind in EXPIRES_NOT:
        return None
    if not current(trust, (kid,), span):
        return Refusal("key_time", f"kid {kid} is outside its time")
    if trust.expired(span[1]):
        return Refusal("trust_expired", f"trust bundle {trust.version} has expired")
    return None


def current(trust: Trust, kids: Iterable[str], span: tuple[int, int]) -> bool:
    """Whether those keys are inside their times, whenever it may be within `span`."""
    return all(trust.current(kid, at_ms) for kid in kids for at_ms in span)
