"""S: one setpoint over several inverters. Two of them, any two, and three where three differ from two."""

from __future__ import annotations

from typing import Any

from drivers.readings import Capability, InverterReading
from tests.proof.free import Free, loosen
from tests.proof.homes import NEVER, S, params
from tests.proof.sources import Modules
from tests.proof.symbols import SYMBOLS, Paths
from tests.proof.theorem import theorem

SHARE, CREW, INVERTERS = "agent.core.share", "agent.core.crew", "agent.core.inverters"
WATTS = 100_000
STEPS = ((1, 1), (10, 114), (1, 1, 1))  # of the devices' setpoints; the second is that of two unlike devices


def split(m: Modules, o: Paths, of: tuple[tuple[int, ...], ...] = STEPS) -> tuple[Any, list[Any], tuple[int, ...]]:
    """(what is given, the caps, the steps)."""
    loosen(m.share)
    steps = o.pick("steps_w", of)
    caps = [o.number(f"cap_{i}", 0, WATTS) for i in range(len(steps))]
    return o.number("given_w", -WATTS, WATTS), caps, steps


def split_anyhow(m: Modules, o: Paths) -> tuple[Any, list[Any], tuple[Any, ...]]:
    """(what is given, the caps, the fresh split of two inverters): any that S1 promises, in place of the one made."""
    loosen(m.share)
    given, caps = o.number("given_w", -WATTS, WATTS), [o.number(f"cap_{i}", 0, WATTS) for i in range(2)]
    fresh = promised(o, given, caps)
    m.share.__dict__["share"] = lambda *_: fresh  # in this copy
    return given, caps, fresh


def promised(o: Paths, given: Any, caps: list[Any]) -> tuple[Any, ...]:
    """Any split that S1 allows."""
    parts = tuple([o.number(f"part_{i}", -WATTS, WATTS) for i in range(len(caps))])
    for part, cap in zip(parts, caps, strict=True):
        o.assume((size(given, part) >= 0) & (size(given, part) <= cap))
    o.assume(abs(sum(parts)) <= abs(given))
    return parts


def size(given: Any, part: Any) -> Any:
    """Of a share, in the direction of what is given."""
    return part if given >= 0 else -part


@theorem(
    "S1",
    "no share is beyond its inverter's room or against the others, and together they are never more than was given",
    (SHARE, "min(room[i] - parts[i], left) // step * step", "(left + step - 1) // step * step"),
)
def shares(m: Modules, o: Paths) -> None:
    given, caps, steps = split(m, o)
    parts = [size(given, part) for part in m.share.share(given, caps, steps)]
    for part, cap, step in zip(parts, caps, steps, strict=True):
        assert part >= 0
        assert part <= cap
        assert part % step == 0
    assert sum(parts) <= abs(given)


@theorem(
    "S2",
    "they are all of what was given, but for less than a step of each inverter that has room, and to the watt where "
    "steps are a watt",
    (SHARE, "        left -= more\n", "        left -= more + 1\n"),
)
def whole(m: Modules, o: Paths) -> None:
    given, caps, steps = split(m, o, STEPS[:2])
    parts = [size(given, part) for part in m.share.share(given, caps, steps)]
    left = abs(given) - sum(parts)
    for part, cap, step in zip(parts, caps, steps, strict=True):
        assert SYMBOLS.least(left, cap - part) < step
    if max(steps) == 1:
        assert (left == 0) | (sum(caps) < abs(given))


@theorem(
    "S3",
    "a split that is kept to spare writes is inside the same bounds, and not far from the fresh one",
    (SHARE, "0 <= (k if given_w >= 0 else -k) <= cap for", "(k if given_w >= 0 else -k) <= cap for"),
)
def kept(m: Modules, o: Paths) -> None:
    given, caps, fresh = split_anyhow(m, o)
    before = [None if o.flag(f"{i} was released") else o.number(f"before_{i}", -WATTS, WATTS) for i in range(len(caps))]
    got = m.share.resplit(given, caps, (1,) * len(caps), before)
    for part, cap in zip((size(given, part) for part in got), caps, strict=True):
        assert part >= 0
        assert part <= cap
    assert sum(got) == sum(fresh)
    for one, other in zip(got, fresh, strict=True):
        assert (abs(one - other) <= 100) | (8 * abs(one - other) <= abs(given))


def spans(o: Paths, n: int) -> list[tuple[Any, Any]]:
    """(least, most) of what each may be doing by our orders: 0 is always among it, or was on the way there."""
    found = []
    for i in range(n):
        least, most = o.number(f"least_{i}", -WATTS, WATTS), o.number(f"most_{i}", -WATTS, WATTS)
        o.assume(least <= most)
        found.append((least, most))
    return found


@theorem(
    "S4",
    "whichever order or answer is lost, what all may be doing adds up to no more than before or than what is meant now",
    (SHARE, "min(new, max(0, span[1])) if new >= 0", "new if new >= 0"),
)
def lost(m: Modules, o: Paths) -> None:
    loosen(m.share)
    n = o.pick("inverters", (2, 3))
    news = [o.number(f"meant_{i}", -WATTS, WATTS) for i in range(n)]
    charging = o.flag("charging")
    for new in news:
        o.assume((new <= 0) if charging else (new >= 0))
    before = spans(o, n)
    now = m.share.safely(news, before)
    after = [m.share.asked(span, value) for span, value in zip(before, now, strict=True)]
    most = [m.share.max(0, span[1]) for span in before]
    least = [m.share.min(0, span[0]) for span in before]
    runs_most, runs_least = sum(m.share.max(0, span[1]) for span in after), sum(m.share.min(0, s[0]) for s in after)
    assert (runs_most <= sum(most)) | (runs_most <= sum(news))
    assert (runs_least >= sum(least)) | (runs_least >= sum(news))
    for new, value, span in zip(news, now, after, strict=True):
        assert abs(value) <= abs(new)
        assert (span[0] <= value) & (value <= span[1])


@theorem(
    "S5",
    "what an inverter may be doing covers what was read back of it, and what was asked of it since",
    (SHARE, "(value_w, value_w) if latest_w is None else asked((value_w, value_w), latest_w)", "(value_w, value_w)"),
)
def covered(m: Modules, o: Paths) -> None:
    loosen(m.share)
    loosen(m.mirror)
    loosen(m.writes)
    loosen(m.mirror)  # hears of floors
    hand = Free(o, m.writes.Hand, "hand")
    least, most = o.number("least", -WATTS, WATTS), o.number("most", -WATTS, WATTS)
    o.assume(least <= most)
    member = m.crew.Member("inv1", hand, span=(least, most))
    word = o.pick("write", ("power", "clear", "stop", "floor"))
    outcome = o.pick("outcome", ("confirmed", "silent", "rejected", "dropped"))
    value = o.number("value", -WATTS, WATTS)
    done = m.inputs.WriteDone("inv1", word, value, outcome, 0)
    after = m.crew._heard(member, done, o.number("now_ns", 0, NEVER))
    if outcome != "confirmed" or word == "floor":
        assert after.span[0] == least
        assert after.span[1] == most
        return
    runs = value if word == "power" else 0
    assert (after.span[0] <= runs) & (runs <= after.span[1])
    if after.hand.setpoint_w is not None:
        assert (after.span[0] <= after.hand.setpoint_w) & (after.hand.setpoint_w <= after.span[1])


# --- inverters that are lost ------------------------------------------------------------------------------------------
@theorem(
    "S6",
    "an inverter that is lost is left out only after its stated end, and never one that does not end by itself; it "
    "counts again only when it says how its grid stands",
    (INVERTERS, "now_ns - since >= ends_ns(can, unit.stale_ns, params)", "now_ns - since >= unit.stale_ns"),
)
def away(m: Modules, o: Paths) -> None:
    loosen(m.inverters)
    p = params(m)
    can = None if o.flag("never said what it can") else Free(o, Capability, "capability")
    if can is not None:
        can._given["reversion"] = o.pick("reversion", ("none", "unreliable", "device_s"))
    device = Free(
        o, m.inputs.Device, "device", name="inv1", presence=o.pick("presence", ("ok", "lost")), capability=can
    )
    reading = None if o.flag("never read") else Free(o, InverterReading, "reading")
    age, stale = o.number("age_ns", 0, NEVER), o.number("stale_ns", 5 * S, 15 * S)
    unit = m.inverters.Unit(device, reading, age, stale, False)
    now = o.number("now_ns", 0, NEVER)
    since = o.number("since_ns", 0, NEVER) if o.flag("was away") else None
    old = m.inverters.Away("inv1", None, since, o.flag("was out"))
    got = m.inverters._away(unit, old, p, now)
    fit = device.presence == "ok" and reading is not None and bool(age <= stale)
    if fit:
        assert got.since_ns is None
        assert old.out or not got.out
        if old.out and not got.out:
            assert reading is not None
            assert reading.grid_state.name != "UNKNOWN"
            assert now - reading.grid_at_ns <= p.timers.stale_grid_ns
        return
    out = got.out
    assert out or not old.out
    if out and not old.out:
        assert can is not None
        assert can.reversion not in ("none", "unreliable")
        assert since is not None
        waited = now - since
        assert waited >= stale + p.timers.cycle_ns + p.timers.write_ns + p.timers.reversion_s * S
        assert waited >= stale + p.timers.cycle_ns + (can.write_s + can.reversion_s) * S


@theorem(
    "S7",
    "what an inverter was asked is remembered as flowing until it is left out, and forgotten then",
    (CREW, "    if unit.out == member.out:\n        return member\n", "    if unit.out:\n        return member\n"),
)
def mustered(m: Modules, o: Paths) -> None:
    loosen(m.crew)
    hand = Free(o, m.writes.Hand, "hand")
    span = (o.number("least", -WATTS, WATTS), o.number("most", -WATTS, WATTS))
    member = m.crew.Member("inv1", hand, span=span, out=o.flag("was out"))
    device = Free(o, m.inputs.Device, "device", name="inv1")
    unit = m.inverters.Unit(device, None, 0, 0, o.flag("is out"))
    s = Free(o, m.snapshot.Snapshot, "s", units=(unit,))
    (after,) = m.crew.muster((member,), s)
    assert after.out == unit.out
    if unit.out and not member.out:
        assert after.hand.setpoint_w is None
        assert after.span[0] == 0
        assert after.span[1] == 0
    else:
        assert after.hand is hand
        assert after.span[0] == span[0]
        assert after.span[1] == span[1]


@theorem(
    "S8",
    "what is asked of each now is inside its own room, never against the others; one that is left out is released; "
    "and together with what may still be running it is no more than was given or ran before",
    (
        CREW,
        "caps = [unit.charge_w if given_w < 0 else unit.discharge_w",
        "caps = [max(unit.charge_w, unit.discharge_w)",
    ),
)
def targets(m: Modules, o: Paths) -> None:
    loosen(m.share)
    loosen(m.crew)
    m.crew.__dict__["resplit"] = lambda given, caps, *_: promised(o, given, caps)  # in this copy: as S3 has it
    outs = o.pick("out", ((False, False), (False, True)))
    before = spans(o, 2)
    units, members = [], []
    for i, (out, span) in enumerate(zip(outs, before, strict=True)):
        room = [o.number(f"{side}_{i}", 0, WATTS) for side in ("charge_w", "discharge_w")]
        can = Free(o, Capability, f"capability {i}", resolution_w=(0, 10)[i])
        device = Free(o, m.inputs.Device, f"device {i}", name=f"inv{i}", capability=can)
        units.append(m.inverters.Unit(device, None, 0, 0, out, *room))
        setpoint = None if o.flag(f"{i} was released") else o.number(f"setpoint_{i}", -WATTS, WATTS)
        members.append(m.crew.Member(f"inv{i}", m.writes.Hand(setpoint_w=setpoint), span=span, out=out))
    s = Free(o, m.snapshot.Snapshot, "s", units=tuple(units))
    given = None if o.flag("released") else o.number("given_w", -WATTS, WATTS)
    got = m.crew._targets(tuple(members), s, given)
    most: Any = 0
    least: Any = 0
    now_most: Any = 0
    now_least: Any = 0
    for unit, span, value in zip(units, before, got, strict=True):
        if unit.out or given is None:
            assert value is None
            continue
        part = size(given, value)
        assert part >= 0
        assert part <= (unit.discharge_w if given >= 0 else unit.charge_w)
        after = m.share.asked(span, value)
        most, least = most + m.share.max(0, span[1]), least + m.share.min(0, span[0])
        now_most, now_least = now_most + m.share.max(0, after[1]), now_least + m.share.min(0, after[0])
    if given is not None:
        assert (now_most <= most) | (now_most <= given)
        assert (now_least >= least) | (now_least >= given)
