"""One setpoint over several inverters, by headroom. Pure arithmetic over whole watts.

No share exceeds its own cap or points the other way, and together they never exceed what was given. They are exactly
what was given where the caps have room for it and the devices' steps divide it.
"""

from __future__ import annotations

from collections.abc import Sequence

STICK_W = 100  # shares are left as they are while none would move by more than this,
STICK_PART = 8  # or by more than this part of the whole


def share(given_w: int, caps_w: Sequence[int], steps_w: Sequence[int]) -> tuple[int, ...]:
    """Split `given_w` in proportion to `caps_w` (W >= 0), each share a multiple of its own `steps_w` (W >= 1).

    What rounding leaves over goes to those with room, in order.
    """
    sign, left = (1, given_w) if given_w >= 0 else (-1, -given_w)
    room = [cap // step * step for cap, step in zip(caps_w, steps_w, strict=True)]
    whole = sum(room)
    if whole <= left:
        return tuple(sign * most for most in room)
    parts = [left * most // whole // step * step for most, step in zip(room, steps_w, strict=True)]
    left -= sum(parts)
    for i, step in enumerate(steps_w):
        more = min(room[i] - parts[i], left) // step * step
        parts[i] += more
        left -= more
    return tuple(sign * part for part in parts)


def resplit(
    given_w: int, caps_w: Sequence[int], steps_w: Sequence[int], before_w: Sequence[int | None]
) -> tuple[int, ...]:
    """As `share`, but the shares of before while they still add up to the same, fit, and are not far off: a cap that
    moves by a watt each second must not write to every inverter each second."""
    fresh = share(given_w, caps_w, steps_w)
    kept = tuple([before or 0 for before in before_w])
    if sum(kept) != sum(fresh) or None in before_w:
        return fresh
    slack = max(STICK_W, abs(given_w) // STICK_PART)
    fits = all(0 <= (k if given_w >= 0 else -k) <= cap for k, cap in zip(kept, caps_w, strict=True))
    near = all(abs(k - f) <= slack for k, f in zip(kept, fresh, strict=True))
    return kept if fits and near else fresh


Span = tuple[int, int]  # (least, most) W of what an inverter may be doing by our orders


def asked(span: Span, value_w: int) -> Span:
    """After an order: it may have been taken, or lost on its way."""
    return min(span[0], value_w), max(span[1], value_w)


def read_back(value_w: int, latest_w: int | None) -> Span:
    """After `value_w` was read back: it runs, or what was asked last, if that was another one."""
    return (value_w, value_w) if latest_w is None else asked((value_w, value_w), latest_w)


def safely(shares_w: Sequence[int], spans: Sequence[Span]) -> tuple[int, ...]:
    """What of `shares_w` may be asked now, by what each inverter may be doing.

    First what shrinks or turns, then, once that is read back, what grows: so that what runs at any time, whichever
    order or answer is lost, adds up to no more than one of the splits that were meant.
    """
    if not any(_shrinks(new, span) for new, span in zip(shares_w, spans, strict=True)):
        return tuple(shares_w)
    return tuple([_meanwhile(new, span) for new, span in zip(shares_w, spans, strict=True)])


def _shrinks(new: int, span: Span) -> bool:
    return min(0, new) > span[0] or max(0, new) < span[1]


def _meanwhile(new: int, span: Span) -> int:
    """No further from zero than what may be running there already; a turn goes by zero."""
    return min(new, max(0, span[1])) if new >= 0 else max(new, min(0, span[0]))
