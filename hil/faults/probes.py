"""How each operation on the home shows: by what wire, devices and plant count or have, never by what was asked for.

What waits for the next use (an answer, a write, an outage) shows when that has come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from hil.devices.slave import Slave, Slaves
from hil.faults.registers import Spoil, key_of
from hil.faults.shown import Probe, became, done, grew
from hil.plant.bms import Bms
from hil.plant.home import Home
from hil.plant.inverter import Inverter

Value = bool | int | float | str | None
TAKEN_BACK = ("limits", "frequency", "voltage", "bias")  # by being done again without a value


class World(Protocol):
    """What `hil.devices.world.World` lets a probe look at."""

    home: Home
    slaves: Slaves

    def unit(self, device: str) -> int: ...

    def bms(self, device: str) -> Bms: ...

    def inverter(self, device: str) -> Inverter: ...

    def spoil(self, device: str) -> Spoil: ...

    def line(self) -> Mapping[str, int]: ...


def name_of(op: str, args: Mapping[str, Value]) -> str:
    """By what the world tells of it: the operation, of which device, of which of its values."""
    return ":".join((op, *(str(args[key]) for key in ("device", "field", "offset") if key in args)))


def taken_back(op: str, args: Mapping[str, Value]) -> bool:
    """Whether this is its end."""
    nothing = 0 if op == "bias" else None
    said = [value for key, value in args.items() if key != "device"]
    return args.get("on") is False or (op in TAKEN_BACK and all(value is nothing for value in said))


def probe_of(world: World, op: str, args: Mapping[str, Value]) -> Probe | None:
    """To be made right before the operation; None: it is no fault but a turn of the scene."""
    if op in _OF_LINE:
        name = _OF_LINE[op].format(unit=world.unit(str(args.get("device", "battery"))))
        return grew(lambda: world.line().get(name, 0))
    if op in _OF_DEVICE:
        slave = world.slaves.by_unit[world.unit(str(args.get("device", _OF_DEVICE[op][0])))]
        return grew(lambda: _OF_DEVICE[op][1](slave))
    make = _OF_PLANT.get(op)
    return None if make is None else make(world, args)


def _number(args: Mapping[str, Value], key: str) -> float:
    value = args[key]
    assert isinstance(value, int | float), f"{key} is a number, not {value!r}"
    return float(value)


def _text(args: Mapping[str, Value], key: str, default: str) -> str:
    return str(args.get(key, default))


def _report(world: World, args: Mapping[str, Value]) -> Probe:
    spoil, offset = world.spoil(_text(args, "device", "")), args.get("offset", 0)
    key = key_of(_text(args, "field", ""), offset if isinstance(offset, int) else 0)
    return grew(lambda: spoil.changed.get(key, 0))


def _zeros(world: World, args: Mapping[str, Value]) -> Probe:
    spoil = world.spoil(_text(args, "device", ""))
    return grew(lambda: spoil.zeroed)


def _swap(world: World, args: Mapping[str, Value]) -> Probe:
    """Of the two, one that takes the other's requests."""
    units = [world.unit(_text(args, key, "")) for key in ("device", "other")]
    return grew(lambda: sum(world.slaves.misplaced.get(unit, 0) for unit in units))


def _outage(world: World, args: Mapping[str, Value]) -> Probe:
    home = world.home
    return done(lambda: not home.grid.on, lambda: home.meter.volts == 0.0)


def _utility(key: str, has: Callable[[Home], float]) -> Callable[[World, Mapping[str, Value]], Probe]:
    def make(world: World, args: Mapping[str, Value]) -> Probe:
        wanted = None if args.get(key) is None else _number(args, key) / 1000
        return became(lambda: has(world.home) == wanted)  # a walk of its own never meets it exactly

    return make


def _floor(world: World, args: Mapping[str, Value]) -> Probe:
    inverter, pct = world.home.inverter, _number(args, "permille") / 10
    return done(lambda: inverter.floor_pct == pct)


def _remote(world: World, args: Mapping[str, Value]) -> Probe:
    inverter, w = world.home.inverter, _number(args, "w")

    def follows() -> bool:
        window = inverter.in_force
        return window is not None and max(abs(window[0] - w), abs(window[1] - w)) < 1.0

    share = w / inverter.params.rated_w
    return done(lambda: (inverter.mode, inverter.out_share, inverter.in_share) == (3, share, -share), follows)


def _forgets(world: World, args: Mapping[str, Value]) -> Probe:
    inverter = world.home.inverter
    return done(lambda: inverter.mode == 0, lambda: inverter.in_force is None)


def _bias(world: World, args: Mapping[str, Value]) -> Probe:
    bms = world.home.bms
    before = bms.misled
    return lambda: bms.misled not in (0.0, before)


def _asks(world: World, args: Mapping[str, Value]) -> Probe:
    return done(lambda: world.home.bms.sample().asks)


def _open(world: World, args: Mapping[str, Value]) -> Probe:
    """One of its switches that was closed."""
    bms, side = world.bms(_text(args, "device", "battery")), args.get("side", "both")
    charge = done(lambda: side != "discharge" and not bms.charge_fet)
    discharge = done(lambda: side != "charge" and not bms.discharge_fet)
    return lambda: charge() | discharge()


def _limits(world: World, args: Mapping[str, Value]) -> Probe:
    """What it allows is less than it would allow by itself."""
    bms = world.bms(_text(args, "device", "battery"))
    wanted = {key[:3]: _number(args, key) / 1000 for key in ("ccl_ma", "dcl_ma") if args.get(key) is not None}
    return lambda: any(bms.narrowed.get(side) == amperes for side, amperes in wanted.items())


def _meter_dies(world: World, args: Mapping[str, Value]) -> Probe:
    meter = world.home.meter
    return became(lambda: meter.dead)


def _meter_flip(world: World, args: Mapping[str, Value]) -> Probe:
    """It shows import for export."""
    meter = world.home.meter
    return became(lambda: meter.total_w * sum(meter.true_leg_w) < 0.0)


def _meter_clamp(world: World, args: Mapping[str, Value]) -> Probe:
    """That leg shows otherwise than it did, beside what flows there."""
    meter, leg = world.home.meter, round(_number(args, "leg")) - 1

    def share() -> float | None:
        true = meter.true_leg_w[leg] if 0 <= leg < len(meter.true_leg_w) else 0.0
        return round(meter.leg_w[leg] / true, 6) if true else None

    before = share()
    return lambda: share() not in (None, 1.0, before)


def _no_reversion(world: World, args: Mapping[str, Value]) -> Probe:
    return grew(lambda: world.home.inverter.untimed)


def _zero_ignored(world: World, args: Mapping[str, Value]) -> Probe:
    return grew(lambda: world.home.inverter.zeros_ignored)


def _deaf(world: World, args: Mapping[str, Value]) -> Probe:
    inverter = world.inverter(_text(args, "device", "inverter"))
    return grew(lambda: inverter.unfollowed)


_OF_LINE: Mapping[str, str] = {  # counters of the wire
    "cut": "cut:{unit}",
    "late": "late:{unit}",
    "break": "broken",
    "noise": "flips",
    "echo": "echoes",
    "stranger": "strangers",
}
_OF_DEVICE: Mapping[str, tuple[str, Callable[[Slave], int]]] = {  # requests, counted by the device that got them
    "mute": ("", lambda slave: slave.unheard),
    "freeze": ("", lambda slave: slave.stale),
    "asleep": ("battery", lambda slave: slave.slept),
    "reboot": ("inverter", lambda slave: slave.slept),
}
_OF_PLANT: Mapping[str, Callable[[World, Mapping[str, Value]], Probe]] = {
    "report": _report,
    "zeros": _zeros,
    "swap": _swap,
    "outage": _outage,
    "frequency": _utility("mhz", lambda home: home.grid.frequency_hz),
    "voltage": _utility("mv", lambda home: home.grid.volts),
    "floor": _floor,
    "remote": _remote,
    "forgets": _forgets,
    "bias": _bias,
    "asks": _asks,
    "open": _open,
    "limits": _limits,
    "meter_dies": _meter_dies,
    "meter_flip": _meter_flip,
    "meter_clamp": _meter_clamp,
    "no_reversion": _no_reversion,
    "zero_ignored": _zero_ignored,
    "deaf": _deaf,
}
