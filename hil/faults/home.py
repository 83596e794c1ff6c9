"""The `home` verbs on the plant itself: what the virtual backend calls, and the device process on its socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from hil.expr import Value
from hil.plant.home import Home

UNITS = {"battery": 1, "meter": 2, "inverter": 3}


class WireSwitches(Protocol):
    """The wire's faults; both wires have them."""

    noise: float
    cut: set[int]


def apply(home: Home, wire: WireSwitches, op: str, args: Mapping[str, Value]) -> None:
    """Do `op` now. Raises KeyError for an op that there is not."""
    _OPS[op](home, wire, args)
    home.revision += 1


def _mute(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    on = bool(args["on"])
    if args["device"] == "battery":
        home.bms.muted = on
    elif args["device"] == "meter":
        home.meter.muted = on
    else:
        home.inverter.deaf = on


def _freeze(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    if args["device"] == "battery":
        home.bms.freeze(bool(args["on"]))
    else:
        home.meter.frozen = bool(args["on"])


def _deaf(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    home.inverter.ignores_writes = bool(args["on"])


def _cut(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    if args["on"]:
        wire.cut.add(UNITS[str(args["device"])])
    else:
        wire.cut.clear()


def _noise(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    wire.noise = float(args["permille"] or 0) / 1000 if args["on"] else 0.0


def _outage(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    if args["on"]:
        home.grid.outage()
    else:
        home.grid.restore()


def _frequency(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    home.grid.forced_hz = float(args["mhz"] or 0) / 1000


def _floor(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    home.inverter.set_floor(float(args["permille"] or 0) / 10)


def _load(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    home.house.forced_w = home.house.load_w = float(args["w"] or 0)


def _pv(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    home.pv.forced_w = float(args["w"] or 0)


def _soc(home: Home, wire: WireSwitches, args: Mapping[str, Value]) -> None:
    home.set_soc(float(args["permille"] or 0) / 1000)


_OPS: Mapping[str, Callable[[Home, WireSwitches, Mapping[str, Value]], None]] = {
    "mute": _mute,
    "freeze": _freeze,
    "deaf": _deaf,
    "cut": _cut,
    "noise": _noise,
    "outage": _outage,
    "frequency": _frequency,
    "floor": _floor,
    "load": _load,
    "pv": _pv,
    "soc": _soc,
}
