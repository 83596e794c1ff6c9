"""Every verb of the scenario language: what it takes, what it does, how it ends, how it is seen, which hazards it is.

A verb with `revert` may be given a time (`for = "90s"`); the runner then ends it. `observe` is an expression of the
scenario language that is true while the fault is there, told by the world and not by who asked for it: a fault that was
never seen makes the run fail. Hazard numbers are the rows of docs/hazards.md. `unable` says by backend why not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hil.aggregator.forge import FORGERIES
from hil.expr import Value
from hil.faults.rig import Rig

Args = Mapping[str, Value]
Act = Callable[[Rig, str, Args], None]  # rig, label, args
Takes = Mapping[str, tuple[str, object]]

REQUIRED = object()
ATTACKS = tuple(FORGERIES)
FAMILIES = (
    "bms", "inverter", "meter", "bus", "usb", "mqtt", "crypto", "clock", "proc", "disk", "config", "grid", "fleet",
)  # fmt: skip

REAL = {"bench": "real devices cannot be told to do that; use the rig's switches by hand"}
NOT_INSIDE = {
    "virtual": "virtual time has no threads, no memory of its own and no kernel to ill-treat",
    "bench": "it would need a changed daemon beside real power",
}
NOT_DISK = {
    "virtual": "virtual time has no file system of its own: nothing below SQLite can fail",
    "bench": "the state of a commissioned gateway is not ours to spoil",
}
NOT_STATE = {"bench": NOT_DISK["bench"]}


@dataclass(frozen=True, slots=True)
class Verb:
    """One row. `args`: name -> (type, default); REQUIRED = must be given; "duration" is read from "90s" to seconds."""

    name: str
    sentence: str
    apply: Act
    args: Takes = field(default_factory=dict)
    revert: Act | None = None
    hazards: tuple[int, ...] = ()
    observe: str = ""
    unable: Mapping[str, str] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """What stands before the dot."""
        return self.name.partition(".")[0]


def _home(op: str, **fixed: Value) -> Act:
    return lambda rig, label, args: rig.home(op, **{**fixed, **args})


def _switch(op: str, on: bool, **fixed: Value) -> Act:
    """A switch of the home, of the same device when it goes off."""
    return lambda rig, label, args: rig.home(op, on=on, **{**fixed, **args})


def _aggregator(op: str) -> Act:
    return lambda rig, label, args: rig.aggregator(op, label, **args)


def _aggregator_switch(op: str, on: bool) -> Act:
    return lambda rig, label, args: rig.aggregator(op, label, on=on)


def _homeowner(kind: str) -> Act:
    return lambda rig, label, args: rig.aggregator("homeowner", label, kind=kind, **args)


def _process(*ops: str) -> Act:
    def act(rig: Rig, label: str, args: Args) -> None:
        for op in ops:
            rig.process(op)

    return act


def _gateway(op: str, **fixed: Value) -> Act:
    return lambda rig, label, args: rig.gateway(op, **{**fixed, **args})


def _local(verb: str, **fixed: Value) -> Act:
    return lambda rig, label, args: rig.local(verb, **{**fixed, **args})


def _fault(name: str, sentence: str, op: str, hazards: tuple[int, ...], args: Takes | None = None, **on: Value) -> Verb:
    """A fault of the home that is switched on and off. `on`: what is the same each time; only its device goes off."""
    takes = args or {}
    device = on.get("device", "{device}" if "device" in takes else None)
    off = {"device": on["device"]} if "device" in on else {}
    seen = f"on('{op}:{device}')" if device else f"on('{op}')"
    return Verb(name, sentence, _switch(op, True, **on), takes, _switch(op, False, **off), hazards, seen, REAL)


def _report(name: str, sentence: str, hazards: tuple[int, ...], args: Takes | None = None, **on: Value) -> Verb:
    """A device says something else than it has: of `field`, in one `way` of hil.faults.registers."""

    def end(rig: Rig, label: str, given: Args) -> None:
        told = {**on, **given}
        rig.home("report", on=False, **{key: told[key] for key in ("device", "field", "offset") if key in told})

    parts = [
        str(on.get(key, f"{{{key}}}")) for key in ("device", "field", "offset") if key in on or key in (args or {})
    ]
    seen = f"on('report:{':'.join(parts)}')"
    return Verb(name, sentence, _switch("report", True, **on), args or {}, end, hazards, seen, REAL)


def _inside(name: str, sentence: str, op: str, hazards: tuple[int, ...], args: Takes | None = None) -> Verb:
    apply, revert = _gateway(op, on=True), _gateway(op, on=False)
    return Verb(name, sentence, apply, args or {}, revert, hazards, f"on('{op}')", NOT_INSIDE)


def _attack(name: str, sentence: str, hazards: tuple[int, ...]) -> Verb:
    takes: Takes = {"way": ("forgery", REQUIRED), "power_w": ("int", 5000)}
    return Verb(name, sentence, _aggregator("attack"), takes, None, hazards)


def _away(name: str, sentence: str, hazards: tuple[int, ...] = ()) -> Verb:
    """The daemon is gone until the event ends."""
    op = name.partition(".")[2]
    return Verb(name, sentence, _process("hold", op), {}, _process("unhold", "start"), hazards, "not proc.alive")


_DEVICE: Takes = {"device": ("str", "battery")}
_ONE_INVERTER: Takes = {"device": ("str", "inverter")}
_WORD: Takes = {"value": ("int", REQUIRED)}
_FIELD: Takes = {"field": ("str", REQUIRED), "value": ("int", REQUIRED)}
_CLAMP: Takes = {"leg": ("int", REQUIRED), "way": ("str", "off")}
_DISPATCH: Takes = {
    "power_w": ("int", REQUIRED),
    "duration": ("duration", REQUIRED),
    "start_in": ("duration", None),
    "primacy": ("int", 1),
    "ramp": ("str", "direct"),
}

_ORDERS = (
    Verb("aggregator.dispatch", "a signed dispatch; + = discharge", _aggregator("dispatch"), _DISPATCH),
    Verb(
        "aggregator.cancel",
        "a signed cancel of an earlier command",
        _aggregator("cancel"),
        {"target": ("label", REQUIRED)},
    ),
    Verb(
        "aggregator.trust",
        "the next trust bundle, which lives so long",
        _aggregator("trust"),
        {"life": ("duration", REQUIRED)},
        None,
        (51,),
    ),
    Verb("aggregator.stop", "a signed stop", _aggregator("stop")),
    Verb(
        "aggregator.silent",
        "nobody answers a birth: no signed time comes",
        _aggregator_switch("silent", True),
        {},
        _aggregator_switch("silent", False),
        (35,),
    ),
    Verb("homeowner.reserve", "the homeowner's signed reserve", _homeowner("reserve"), {"permille": ("int", REQUIRED)}),
    Verb(
        "homeowner.storm",
        "a signed storm: a higher reserve for a while",
        _homeowner("storm"),
        {"permille": ("int", REQUIRED), "for_s": ("int", REQUIRED)},
    ),
    Verb("homeowner.opt_out", "a signed opt-out", _homeowner("opt_out")),
    Verb("homeowner.opt_in", "a signed opt-in", _homeowner("opt_in")),
    _attack("aggregator.attack", "a command shown to work, mutated in one way of hil.aggregator.forge", (37, 38, 39)),
    Verb(
        "home.load", "what the house draws from now on", _home("load"), {"w": ("int", REQUIRED)}, None, (48,), "", REAL
    ),
    Verb("home.pv", "what the roof gives from now on", _home("pv"), {"w": ("int", REQUIRED)}, None, (), "", REAL),
    Verb(
        "home.soc",
        "energy in the cells is put there",
        _home("soc"),
        {"permille": ("int", REQUIRED)},
        None,
        (33,),
        "",
        REAL,
    ),
    Verb(
        "home.temperature",
        "cells and case are put at that temperature",
        _home("temperature"),
        {"dc": ("int", REQUIRED)},
        None,
        (14, 15),
        "",
        REAL,
    ),
    Verb("moment", "nothing happens: a name for the moment at which `when` comes true", lambda rig, label, args: None),
    Verb("local.stop", "batteryctl stop", _local("stop")),
    Verb("local.resume", "batteryctl resume", _local("resume")),
    Verb("local.reserve", "batteryctl reserve", _local("reserve"), {"permille": ("int", REQUIRED)}),
    Verb(
        "local.stranger",
        "somebody who may only look types batteryctl reserve",
        _local("reserve", who="stranger"),
        {"permille": ("int", REQUIRED)},
        None,
        (50,),
        "",
        {"process": "the bench is one user and cannot be another", "bench": "the bench is one user"},
    ),
    Verb(
        "local.garbage",
        "bytes that are no request on the local socket",
        _local("garbage"),
        {},
        None,
        (50,),
        "",
        {"bench": "no games on a gateway with real power"},
    ),
)

_BMS = (
    _fault("bms.mute", "the BMS answers nothing", "mute", (1,), device="battery"),
    _fault("bms.freeze", "the BMS answers with the values of that moment", "freeze", (2,), device="battery"),
    _fault("bms.asleep", "the BMS sleeps: silent, its switches open", "asleep", (1,)),
    _fault("bms.asks", "the BMS asks to be charged, where its profile reads that (home: `asking`)", "asks", (12,)),
    _fault(
        "bms.open",
        "a pack's BMS opens its switches: both, or only charge or discharge",
        "open",
        (11,),
        {**_DEVICE, "side": ("str", "both")},
    ),
    Verb(
        "bms.ccl", "the BMS allows that charge current", _home("limits"),
        {"ccl_ma": ("int", REQUIRED), **_DEVICE}, lambda rig, label, args: rig.home("limits", device=args["device"]),
        (11,), "on('limits:{device}')", REAL,
    ),
    Verb(
        "bms.dcl", "the BMS allows that discharge current", _home("limits"),
        {"dcl_ma": ("int", REQUIRED), **_DEVICE}, lambda rig, label, args: rig.home("limits", device=args["device"]),
        (11,), "on('limits:{device}')", REAL,
    ),
    Verb(
        "bms.bias", "the BMS believes in that much more SoC", _home("bias"), {"permille": ("int", REQUIRED)},
        lambda rig, label, args: rig.home("bias", permille=0), (8, 9), "on('bias')", REAL,
    ),
    _report("bms.stuck", "its SoC stays as it is", (8,), device="battery", field="soc", way="hold"),
    _report("bms.word", "one register reads that word", (3, 13, 14, 15, 16), _FIELD, device="battery"),
    _report("bms.add", "one register reads so much more", (8, 13, 16), _FIELD, device="battery", way="add"),
    _report("bms.scale", "one register reads so many permille", (4,), _FIELD, device="battery", way="permille"),
    _report("bms.inverted", "its current has the other sign", (5,), device="battery", field="current", way="negate"),
    _report(
        "bms.alarm",
        "an alarm bit of its table is set: bit `offset`",
        (10,),
        {"offset": ("int", REQUIRED)},
        device="battery",
        field="alarm",
        value=1,
    ),
    Verb(
        "bms.zeros", "so many answers to reads are of zeros alone, as after a dropout", _home("zeros"),
        {**_DEVICE, "count": ("int", 1)}, None, (3,), "on('zeros:{device}')", REAL,
    ),
)  # fmt: skip

_INVERTER = (
    _fault("inverter.mute", "the inverter answers nothing", "mute", (17,), device="inverter"),
    _fault("inverter.freeze", "the inverter answers with the values of that moment", "freeze", (2,), device="inverter"),
    _fault("inverter.deaf", "the inverter acknowledges writes and ignores them", "deaf", (18,), _ONE_INVERTER),
    _fault("inverter.zero_ignored", "a window of 0 W has no effect", "zero_ignored", (18,)),
    _fault("inverter.no_reversion", "its reversion timer never ends anything", "no_reversion", (20,)),
    _report("inverter.word", "one register reads that word", (3, 4, 30, 47), {**_FIELD, **_ONE_INVERTER}),
    Verb("inverter.reboot", "the inverter restarts and forgets its setpoint", _home("reboot"), {}, None, (19,),
         "on('reboot')", REAL),
    Verb("inverter.forgets", "it drops our setpoint and goes back to its own mode", _home("forgets"), {}, None,
         (19,), "on('forgets')", REAL),
    Verb("inverter.floor", "another hand writes the inverter's own floor", _home("floor"),
         {"permille": ("int", REQUIRED)}, None, (), "on('floor')", REAL),
    Verb("inverter.remote", "another hand commands the inverter", _home("remote"),
         {"w": ("int", REQUIRED), "revert_s": ("int", 60)}, None, (18, 26), "on('remote')", REAL),
)  # fmt: skip

_METER = (
    _fault("meter.mute", "the meter answers nothing", "mute", (7,), device="meter"),
    _fault("meter.freeze", "the meter answers with the values of that moment", "freeze", (7,), device="meter"),
    _fault("meter.flip", "the clamps are on the wrong way round", "meter_flip", (6,)),
    _fault("meter.clamp", "one clamp is off, or the wrong way round", "meter_clamp", (6, 7), _CLAMP),
    _report("meter.word", "one register reads that word", (7,), _FIELD, device="meter"),
    Verb(
        "meter.dies_with_grid",
        "from now on the meter has no power in an outage",
        _home("meter_dies", on=True),
        observe="on('meter_dies')",
    ),
)

_LINE = (
    _fault("bus.cut", "our wire to one device is cut; the device lives on", "cut", (1, 17), _DEVICE),
    _fault("bus.break", "the whole line is cut", "break", (1, 7, 17)),
    _fault("bus.noise", "bytes are hit with this probability", "noise", (25,), {"permille": ("int", REQUIRED)}),
    _fault("bus.echo", "the adapter hears its own words", "echo", (28,)),
    _fault("bus.stranger", "another master asks on our line", "stranger", (26,), {"every_ms": ("int", 700)}),
    _fault("bus.late", "a unit answers so late that nobody waits", "late", (27,), {**_DEVICE, "ms": ("int", REQUIRED)}),
    _fault("bus.swap", "two units sit at each other's address", "swap", (27, 30),
           {**_DEVICE, "other": ("str", "meter")}),
    Verb("usb.unplug", "the adapter is pulled and comes back, as another device node of the same name",
         _gateway("unplug", on=True), {}, _gateway("unplug", on=False), (29,), "on('unplug')",
         {"bench": "pull it by hand"}),
)  # fmt: skip

_WORLD = (
    Verb("broker.kill", "the broker dies; comes back on the same port", lambda r, n, a: r.broker(False), {},
         lambda r, n, a: r.broker(True), (34,), "on('broker')", {"bench": "the broker of a rig is its owner's"}),
    Verb("mqtt.flood", "so many signed cancels of nothing at once, each valid", _aggregator("flood"),
         {"count": ("int", 500)}, None, (40,)),
    _attack("crypto.forge", "the same as aggregator.attack", (37, 38, 39, 40)),
    _fault("grid.outage", "the utility is gone", "outage", (31,)),
    Verb("grid.frequency", "frequency of the utility", _home("frequency"), {"mhz": ("int", REQUIRED)},
         lambda r, n, a: r.home("frequency", mhz=None), (), "on('frequency')", REAL),
    Verb("grid.voltage", "voltage of the utility", _home("voltage"), {"mv": ("int", REQUIRED)},
         lambda r, n, a: r.home("voltage", mv=None), (31,), "on('voltage')", REAL),
    Verb("fleet.outage", "the utility is gone for every home of the fleet alike", _switch("outage", True), {},
         _switch("outage", False), (49,), "on('outage')", REAL),
)  # fmt: skip

_GATEWAY = (
    Verb("clock.step", "the wall clock jumps by so many seconds", _gateway("clock_step"), {"s": ("int", REQUIRED)},
         None, (36,), "on('clock_step')", {"bench": "the clock of a gateway is its owner's"}),
    Verb("clock.untrusted", "the kernel says that its clock is not synchronised", _gateway("untrusted", on=True), {},
         _gateway("untrusted", on=False), (35,), "on('untrusted')", {"bench": "the clock of a gateway is its owner's"}),
    _away("proc.kill9", "SIGKILL; nobody restarts it", (21,)),
    _away("proc.term", "SIGTERM: a clean stop; nobody restarts it"),
    Verb("proc.crash", "SIGKILL; the service manager restarts it", _process("kill9"), {}, None, (21, 23),
         "on('killed')"),
    Verb("proc.start", "the daemon is started again", _process("unhold", "start")),
    _inside("proc.stall", "a thread hangs: `who` is control, store or the line", "stall", (22,),
            {"who": ("str", "control")}),
    _inside("proc.leak", "memory is taken and never given back, so many MB a second", "leak", (24,),
            {"mb_per_s": ("int", 20)}),
    Verb("proc.freeze", "SIGSTOP: nothing of it runs", _process("stop"), {}, _process("cont"), (22,), "on('frozen')",
         {"virtual": NOT_INSIDE["virtual"], "bench": "the interlock does that, and then it is over"}),
    Verb("disk.full", "not a byte is left where the state is kept", _gateway("disk_full", on=True), {},
         _gateway("disk_full", on=False), (42,), "on('disk_full')", NOT_DISK),
    Verb("disk.readonly", "the file system of the state is remounted read-only", _gateway("readonly", on=True), {},
         _gateway("readonly", on=False), (43,), "on('readonly')", NOT_DISK),
    Verb("disk.corrupt", "SIGKILL, then bytes in the middle of the database are other ones", _gateway("corrupt"), {},
         None, (44,), "on('corrupt')", NOT_STATE),
    Verb("disk.cut", "power cut: SIGKILL, and of the log what no message had needed yet is torn at any byte",
         _gateway("cut"), {}, None, (45,), "on('cut')", NOT_DISK),
    Verb("disk.keep", "an image of the state is taken", _gateway("keep"), {}, None, (44,), "on('keep')", NOT_STATE),
    Verb("disk.restore", "SIGKILL, and the state is that of the image again", _gateway("restore"), {}, None, (44,),
         "on('restore')", NOT_STATE),
    Verb("config.bad", "SIGKILL, and the daemon finds a configuration with that value for `key` of [site]",
         _gateway("config", on=True), {"key": ("str", REQUIRED), "value": ("int", REQUIRED)},
         _gateway("config", on=False), (46,), "on('config')",
         {"virtual": "the parts get a configuration that was read; only a process reads a file",
          "bench": "the file of a commissioned gateway is not ours to spoil"}),
)  # fmt: skip

_ROWS = (*_ORDERS, *_BMS, *_INVERTER, *_METER, *_LINE, *_WORLD, *_GATEWAY)
VERBS: Mapping[str, Verb] = {verb.name: verb for verb in _ROWS}
