"""Orders -> the registers that carry them, and the read-back that proves it. Pure; for `agent.gate` alone.

Setpoints are quantised toward zero, a floor upward. Nothing is clamped: what is out of bounds is refused, with a
sentence.
"""

from __future__ import annotations

from fractions import Fraction

from drivers.binding import Binding, BoundGroup, BoundPut
from drivers.codec import raw_range, to_words, toward_zero, up
from drivers.events import ReadBack, RegisterWrite, WriteClass, WriteSequence

READ_GAP = 16  # registers between two written ones that are read along rather than asked for apart


def compile_write(
    binding: Binding, write_class: WriteClass, value: int, order_id: int, not_after_ns: int
) -> WriteSequence | str:
    """The writes of one order. `value`: W for POWER (+ = discharge), permille for FLOOR, ignored otherwise.

    Returns a sentence instead when the device cannot take the order or the value is out of its bounds. Every POWER and
    STOP carries the reversion time, so that a silent agent ends its own setpoint.
    """
    chosen = _groups(binding, write_class, value)
    if isinstance(chosen, str):
        return chosen
    writes = []
    for group in chosen:
        words: list[int] = []
        for put in group.puts:
            raw = _raw(binding, put, 0 if write_class is WriteClass.STOP else value)
            if isinstance(raw, str):
                return raw
            words += to_words(raw, put.kind, put.order)
        writes.append(RegisterWrite(group.puts[0].address, tuple(words), group.function))
    kept = write_class in (WriteClass.POWER, WriteClass.FLOOR)
    proof = binding.control is None or binding.control.read_back or write_class is WriteClass.FLOOR
    return WriteSequence(
        order_id=order_id,
        device=binding.device,
        write_class=write_class,
        value=value if kept else 0,
        writes=tuple(writes),
        read_backs=_read_backs(writes, binding.function) if proof else (),
        not_after_ns=not_after_ns,
    )


def _groups(binding: Binding, write_class: WriteClass, value: int) -> tuple[BoundGroup, ...] | str:
    """Which writes the order is made of."""
    if write_class is WriteClass.FLOOR:
        if binding.floor is None:
            return f"{binding.device} has no on-grid floor that can be written"
        return (binding.floor,)
    control = binding.control
    if control is None:
        return f"{binding.device} takes no setpoint: {'; '.join(binding.notes) or 'its profile has no control'}"
    if write_class is WriteClass.HEARTBEAT:
        return f"{binding.device} has no heartbeat register"
    if write_class is WriteClass.CLEAR:
        return control.clear
    if write_class is WriteClass.STOP:
        return control.stop
    if not -control.rated_charge_w <= value <= control.rated_discharge_w:
        return (
            f"{value} W is beyond what {binding.device} is rated for "
            f"({-control.rated_charge_w}..{control.rated_discharge_w} W)"
        )
    return control.power


def _raw(binding: Binding, put: BoundPut, value: int) -> int | str:
    """The raw integer of one register value, checked against its bounds."""
    wanted = _wanted(binding, put, value)
    raw = up(wanted / put.step) if put.value == "floor" else toward_zero(wanted / put.step)
    lo, hi = raw_range(put.kind)
    if not lo <= raw <= hi:
        return f"{float(wanted):g} does not fit register {put.address} of {binding.device}"
    if put.low is not None and put.high is not None and not put.low <= raw * put.step <= put.high:
        return (
            f"{put.value} {float(wanted):g} is outside {put.low}..{put.high}, "
            f"the bounds of register {put.address} of {binding.device}"
        )
    return raw


def _wanted(binding: Binding, put: BoundPut, value: int) -> Fraction:
    """What the register should hold, in its own unit."""
    if isinstance(put.value, int):
        return Fraction(put.value)
    if put.value == "reversion":
        return Fraction(binding.control.reversion_s if binding.control is not None else 0)
    if put.value == "floor":
        return Fraction(value, 10)
    watts = -value if put.value == "-setpoint" else value
    return Fraction(watts * 100, put.of_w) if put.of_w else Fraction(watts)


def _read_backs(writes: list[RegisterWrite], function: int) -> tuple[ReadBack, ...]:
    """Reads that show every written register, neighbours joined; the last write to a register counts."""
    expected = {write.address + n: word for write in writes for n, word in enumerate(write.words)}
    reads: list[ReadBack] = []
    run: list[int] = []
    for address in [*sorted(expected), None]:
        if run and (address is None or address - run[-1] > READ_GAP):
            words = tuple(expected.get(a) for a in range(run[0], run[-1] + 1))
            reads.append(ReadBack(run[0], words, function))
            run = []
        if address is not None:
            run.append(address)
    return tuple(reads)
