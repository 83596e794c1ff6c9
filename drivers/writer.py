"""Orders -> the registers that carry them, and the read-back that proves it. Pure; for `agent.gate` alone.

Setpoints are quantised toward zero, a floor upward. Nothing is clamped but the AC setpoint of a converted battery
target, to what the inverter is rated for: what is out of bounds is refused, with a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from drivers.binding import Binding, BoundControl, BoundGroup, BoundPut
from drivers.codec import raw_range, to_words, toward_zero, up, words_of
from drivers.convert import Live, to_device
from drivers.events import ReadBack, RegisterWrite, WriteClass, WriteSequence
from drivers.family import Codes, Owner
from drivers.wear import Share

READ_GAP = 16  # registers between two written ones that are read along rather than asked for apart
NOTHING = Live()

Place = tuple[int | None, int]  # unit, register


@dataclass(frozen=True, slots=True)
class _Step:
    """A group to write with the setpoint at the control point, and the pause after it."""

    group: BoundGroup
    watts: int
    gap_ns: int


def compile_write(
    binding: Binding,
    write_class: WriteClass,
    value: int,
    order_id: int,
    not_after_ns: int,
    live: Live | None = None,
    share: Share = Share.HOME,
) -> WriteSequence | str:
    """The writes of one order. `value`: W for POWER (+ = discharge), permille for FLOOR, the beat for HEARTBEAT, else
    ignored. `live`: the latest readings, without which a device that is not controlled at its battery takes no
    setpoint. `share`: whose writes they are, of those that wear the device out.

    Returns a sentence instead when the device cannot take the order or the value is out of its bounds. Every POWER and
    STOP carries the reversion time, so that a silent agent ends its own setpoint.
    """
    steps = _steps(binding, write_class, value, live or NOTHING)
    if isinstance(steps, str):
        return steps
    writes = []
    expected: dict[Place, int] = {}
    for step in steps:
        words = _words(binding, step.group, value, step.watts)
        if isinstance(words, str):
            return words
        group, address = step.group, step.group.puts[0].address
        owner = isinstance(group.puts[0].value, Owner)
        writes.append(
            RegisterWrite(address, words, group.function, step.gap_ns, group.on_change, group.wears, group.unit, owner)
        )
        if group.read_back:
            expected.update({(group.unit, address + n): word for n, word in enumerate(words)})
    kept = write_class in (WriteClass.POWER, WriteClass.FLOOR, WriteClass.HEARTBEAT)
    proof = binding.control is None or binding.control.read_back or write_class is WriteClass.FLOOR
    if write_class is WriteClass.HEARTBEAT:
        proof = False  # the device's own counter is the proof
    read_backs = _read_backs(expected, binding.function) if proof else []
    if write_class in (WriteClass.POWER, WriteClass.STOP) and binding.control is not None:
        for function, group in binding.control.proof:
            words = _words(binding, group, value, steps[-1].watts)
            if isinstance(words, str):
                return words
            read_backs.append(ReadBack(group.puts[0].address, words, function, group.unit))
    return WriteSequence(
        order_id=order_id,
        device=binding.device,
        write_class=write_class,
        value=value if kept else 0,
        writes=tuple(writes),
        read_backs=tuple(read_backs),
        not_after_ns=not_after_ns,
        keep=_keep(binding, write_class, live or NOTHING),
        share=Share.RELEASE if write_class in (WriteClass.CLEAR, WriteClass.STOP) else share,
    )


# --- which writes -----------------------------------------------------------------------------------------------------
def _steps(binding: Binding, write_class: WriteClass, value: int, live: Live) -> list[_Step] | str:
    if write_class is WriteClass.FLOOR:
        if binding.floor is None:
            return f"{binding.device} has no on-grid floor that can be written"
        return _plain((binding.floor,), 0)
    control = binding.control
    if control is None:
        return f"{binding.device} takes no setpoint: {'; '.join(binding.notes) or 'its profile has no control'}"
    if write_class is WriteClass.HEARTBEAT:
        return _plain(control.heartbeat, 0) if control.heartbeat else f"{binding.device} has no heartbeat register"
    if write_class is WriteClass.CLEAR:
        return _plain(control.clear, 0)
    arm = () if live.remote_active else control.arm
    if write_class is WriteClass.STOP:
        hold = to_device(control.convert, 0, live)
        return _plain((*arm, *control.stop), 0 if isinstance(hold, str) else _clamped(control, hold))
    if not -control.rated_charge_w <= value <= control.rated_discharge_w:
        return (
            f"{value} W is beyond what {binding.device} is rated for "
            f"({-control.rated_charge_w}..{control.rated_discharge_w} W)"
        )
    restores = any(isinstance(group.puts[0].value, Owner) for group in control.clear)
    if restores and live.remote_active is None:
        return f"it is not known whether {binding.device} is under remote control: its owner's settings would be lost"
    watts = to_device(control.convert, value, live)
    if isinstance(watts, str):
        return f"{binding.device} is commanded at its {binding.capability.control_point}: {watts}"
    watts = _clamped(control, watts)
    return _plain(arm, 0) + _through_zero(control, watts, live) + _plain(control.power, watts)


def _plain(groups: tuple[BoundGroup, ...], watts: int) -> list[_Step]:
    return [_Step(group, watts, group.gap_ns) for group in groups]


def _clamped(control: BoundControl, watts: int) -> int:
    """An inverter gives no more at its AC terminals than it is rated for; its battery keeps the rest."""
    return max(-control.rated_charge_w, min(control.rated_discharge_w, watts)) if control.convert != "none" else watts


def _through_zero(control: BoundControl, watts: int, live: Live) -> list[_Step]:
    """0 W first, unless the setpoint that rules is known to go the same way: no old power runs in a new direction."""
    if control.through_zero_ns is None or watts == 0:
        return []
    if live.remote_active and live.remote_w is not None:
        before = to_device(control.convert, live.remote_w, live)
        if not isinstance(before, str) and before * watts > 0:
            return []
    steps = _plain(control.power, 0)
    last = steps[-1]
    return [*steps[:-1], _Step(last.group, 0, max(last.gap_ns, control.through_zero_ns))]


def _keep(binding: Binding, write_class: WriteClass, live: Live) -> tuple[ReadBack, ...]:
    """What the owner has in the registers that a release restores, if nobody commands the device now."""
    control = binding.control
    if control is None or write_class not in (WriteClass.POWER, WriteClass.STOP) or live.remote_active is not False:
        return ()
    return tuple(
        ReadBack(group.puts[0].address, (None,) * sum(words_of(put.kind) for put in group.puts), 3, group.unit)
        for group in control.clear
        if isinstance(group.puts[0].value, Owner)
    )


# --- values -----------------------------------------------------------------------------------------------------------
def _words(binding: Binding, group: BoundGroup, value: int, watts: int) -> tuple[int, ...] | str:
    words: list[int] = []
    for put in group.puts:
        raw = _raw(binding, put, value, watts)
        if isinstance(raw, str):
            return raw
        words += to_words(raw, put.kind, put.order)
    return tuple(words)


def _raw(binding: Binding, put: BoundPut, value: int, watts: int) -> int | str:
    """The raw integer of one register value, checked against its bounds."""
    wanted = _wanted(binding, put, value, watts)
    exact = (wanted - put.offset) / put.step
    if put.value == "floor":
        raw = up(exact) if put.step > 0 else -up(-exact)  # a depth of discharge counts the other way
    elif put.value == "reversion":
        raw = up(exact)
    else:
        raw = toward_zero(exact / put.multiple) * put.multiple
    lo, hi = raw_range(put.kind)
    if not lo <= raw <= hi:
        return f"{float(wanted):g} does not fit register {put.address} of {binding.device}"
    if put.low is not None and put.high is not None and not put.low <= raw * put.step + put.offset <= put.high:
        return (
            f"{put.value} {float(wanted):g} is outside {put.low}..{put.high}, "
            f"the bounds of register {put.address} of {binding.device}"
        )
    return raw


def _wanted(binding: Binding, put: BoundPut, value: int, watts: int) -> Fraction:
    """What the register should hold, in its own unit."""
    if isinstance(put.value, int):
        return Fraction(put.value)
    if isinstance(put.value, Owner):
        return put.value.default * put.step + put.offset
    if isinstance(put.value, Codes):
        return Fraction(put.value.word(watts))
    control = binding.control
    symbols = {
        "setpoint": watts,
        "-setpoint": -watts,
        "charge": max(0, -watts),
        "discharge": max(0, watts),
        "magnitude": abs(watts),
        "rated_charge": control.rated_charge_w if control is not None else 0,
        "rated_discharge": control.rated_discharge_w if control is not None else 0,
    }
    if put.value == "reversion":
        return Fraction(control.reversion_s if control is not None else 0)
    if put.value == "beat":
        return Fraction(value)
    if put.value == "floor":
        return Fraction(value, 10)
    number = symbols[put.value]
    return Fraction(number * 100, put.of_w) if put.of_w else Fraction(number)


def _read_backs(expected: dict[Place, int], function: int) -> list[ReadBack]:
    """Reads that show every written register, neighbours joined; the last write to a register counts."""
    reads: list[ReadBack] = []
    run: list[int] = []
    for unit in dict.fromkeys(unit for unit, _ in expected):
        own = {address: word for (its, address), word in expected.items() if its == unit}
        for address in [*sorted(own), None]:
            if run and (address is None or address - run[-1] > READ_GAP):
                words = tuple(own.get(a) for a in range(run[0], run[-1] + 1))
                reads.append(ReadBack(run[0], words, function, unit))
                run = []
            if address is not None:
                run.append(address)
    return reads
