"""Every verb of the scenario language: what it takes, what it does, how it ends, which hazards it stands for.

A verb with `revert` may be given a time (`for = "90s"`); the runner then ends it. Hazard numbers are the rows of the
table of docs/hazards.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hil.aggregator.forge import FORGERIES
from hil.expr import Value
from hil.faults.rig import Rig

Args = Mapping[str, Value]
Act = Callable[[Rig, str, Args], None]  # rig, label, args

REQUIRED = object()
ATTACKS = tuple(FORGERIES)


@dataclass(frozen=True, slots=True)
class Verb:
    """One row. `args`: name -> (type, default); REQUIRED = must be given; "duration" is read from "90s" to seconds."""

    name: str
    sentence: str
    apply: Act
    args: Mapping[str, tuple[str, object]] = field(default_factory=dict)
    revert: Act | None = None
    hazards: tuple[int, ...] = ()


def _home(op: str, **fixed: Value) -> Act:
    return lambda rig, label, args: rig.home(op, **{**fixed, **args})


def _switch(op: str, on: bool, **fixed: Value) -> Act:
    """A switch of the home, of the same device when it goes off."""
    return lambda rig, label, args: rig.home(op, on=on, **{**fixed, **args})


def _aggregator(op: str) -> Act:
    return lambda rig, label, args: rig.aggregator(op, label, **args)


def _process(*ops: str) -> Act:
    def act(rig: Rig, label: str, args: Args) -> None:
        for op in ops:
            rig.process(op)

    return act


def _fault(
    name: str, sentence: str, op: str, hazards: tuple[int, ...], args: Mapping[str, tuple[str, object]], **fixed: Value
) -> Verb:
    return Verb(name, sentence, _switch(op, True, **fixed), args, _switch(op, False, **fixed), hazards)


_ROWS = (
    Verb(
        "aggregator.dispatch",
        "a signed dispatch; + = discharge",
        _aggregator("dispatch"),
        {
            "power_w": ("int", REQUIRED),
            "duration": ("duration", REQUIRED),
            "start_in": ("duration", None),
            "primacy": ("int", 1),
            "ramp": ("str", "direct"),
        },
    ),
    Verb(
        "aggregator.cancel",
        "a signed cancel of an earlier command",
        _aggregator("cancel"),
        {"target": ("label", REQUIRED)},
    ),
    Verb("aggregator.stop", "a signed stop", _aggregator("stop")),
    Verb(
        "aggregator.attack",
        "a command shown to work, mutated in one way of hil.aggregator.forge",
        _aggregator("attack"),
        {"way": ("str", REQUIRED), "power_w": ("int", 5000)},
        hazards=(37, 38, 39, 40),
    ),
    Verb(
        "broker.kill",
        "the broker dies; comes back on the same port",
        lambda r, n, a: r.broker(False),
        {},
        lambda r, n, a: r.broker(True),
        (34,),
    ),
    _fault("bms.mute", "the BMS answers nothing", "mute", (1,), {}, device="battery"),
    _fault("meter.mute", "the meter answers nothing", "mute", (7,), {}, device="meter"),
    _fault("inverter.mute", "the inverter answers nothing", "mute", (17,), {}, device="inverter"),
    _fault("bms.freeze", "the BMS answers with the values of that moment", "freeze", (2,), {}, device="battery"),
    _fault("meter.freeze", "the meter answers with the values of that moment", "freeze", (7,), {}, device="meter"),
    _fault("inverter.deaf", "the inverter acknowledges writes and ignores them", "deaf", (18,), {}, device="inverter"),
    _fault(
        "bus.cut", "our wire to one device is cut; the device lives on", "cut", (1, 29), {"device": ("str", "battery")}
    ),
    _fault(
        "bus.noise", "bytes on the wire are hit with this probability", "noise", (25,), {"permille": ("int", REQUIRED)}
    ),
    _fault(
        "bms.open",
        "a pack's BMS opens its switches: both, or only charge or discharge",
        "open",
        (3,),
        {"device": ("str", "battery"), "side": ("str", "both")},
    ),
    _fault("meter.flip", "the clamps are on the wrong way round", "meter_flip", (6,), {}),
    Verb("inverter.reboot", "the inverter restarts and forgets its setpoint", _home("reboot"), {}, None, (19,)),
    _fault("grid.outage", "the utility is gone", "outage", (31,), {}),
    Verb("grid.frequency", "frequency of the utility", _home("frequency"), {"mhz": ("int", REQUIRED)}),
    Verb(
        "inverter.floor",
        "another hand writes the inverter's own floor",
        _home("floor"),
        {"permille": ("int", REQUIRED)},
    ),
    Verb("meter.dies_with_grid", "from now on the meter has no power in an outage", _home("meter_dies", on=True)),
    Verb("home.load", "what the house draws from now on", _home("load"), {"w": ("int", REQUIRED)}),
    Verb("home.pv", "what the roof gives from now on", _home("pv"), {"w": ("int", REQUIRED)}),
    Verb(
        "home.temperature",
        "cells and case are put at that temperature",
        _home("temperature"),
        {"dc": ("int", REQUIRED)},
        None,
        (14,),
    ),
    Verb("home.soc", "energy in the cells is put there", _home("soc"), {"permille": ("int", REQUIRED)}),
    Verb(
        "proc.kill9", "SIGKILL; nobody restarts it", _process("hold", "kill9"), {}, _process("unhold", "start"), (21,)
    ),
    Verb("proc.crash", "SIGKILL; the service manager restarts it", _process("kill9"), {}, None, (21,)),
    Verb(
        "proc.term",
        "SIGTERM: a clean stop; nobody restarts it",
        _process("hold", "term"),
        {},
        _process("unhold", "start"),
    ),
    Verb("proc.start", "the daemon is started again", _process("unhold", "start")),
    Verb("local.stop", "batteryctl stop", lambda r, n, a: r.local("stop")),
    Verb("local.resume", "batteryctl resume", lambda r, n, a: r.local("resume")),
    Verb(
        "local.reserve", "batteryctl reserve", lambda r, n, a: r.local("reserve", **a), {"permille": ("int", REQUIRED)}
    ),
)

VERBS: Mapping[str, Verb] = {verb.name: verb for verb in _ROWS}
