"""Which faults a campaign draws, with which arguments, and what each takes away from the observer's promises.

A verb of the catalogue that is not here is not drawn, and `LEFT_OUT` says why. `takes`: what cannot be asked while it
lasts, because nobody could give it: "unread" (battery or inverter cannot be read: the setpoint must end), "untold" (the
inverter cannot be told: its own timer must end it), "timer" (that timer does not work), "soc" (the BMS is wrong about
its SoC), "temps" (about its cells), "dead" (no daemon). The table of docs/reliability.md has a row for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from hil.aggregator.forge import FORGERIES
from hil.expr import Value
from hil.faults.catalog import VERBS

Draw = Callable[[Random], dict[str, Value]]


@dataclass(frozen=True, slots=True)
class Dish:
    """One fault. `draw` its arguments; `lasts` None: it cannot be ended."""

    verb: str
    draw: Draw = lambda rng: {}
    takes: frozenset[str] = frozenset()
    lasts: tuple[int, int] | None = (5, 150)  # seconds

    @property
    def able(self) -> bool:
        """The catalogue has it, and virtual time can show it."""
        verb = VERBS.get(self.verb)
        return verb is not None and "virtual" not in getattr(verb, "unable", {})


def _one(**choices: tuple[Value, ...]) -> Draw:
    return lambda rng: {name: rng.choice(values) for name, values in choices.items()}


def _field(device_fields: Mapping[str, tuple[int, ...]]) -> Draw:
    def draw(rng: Random) -> dict[str, Value]:
        field = rng.choice(sorted(device_fields))
        return {"field": field, "value": rng.choice(device_fields[field])}

    return draw


def _dish(verb: str, draw: Draw | None = None, takes: str = "", lasts: tuple[int, int] | None = (5, 150)) -> Dish:
    return Dish(verb, draw or (lambda rng: {}), frozenset(takes.split()), lasts)


DEVICES = ("battery", "inverter", "meter")
WAYS = tuple(FORGERIES)
_WORDS = (0, 0x7FFF, 0x8000, 0xFFFF)
_COLD_WORDS = (0, 2_681, 2_761, 0xFFFF)  # -5 and 3 °C beside what no cell has

MENU: tuple[Dish, ...] = (
    _dish("bms.mute", takes="unread"),
    _dish("bms.freeze", takes="soc temps"),
    _dish("bms.asleep", takes="unread"),
    _dish("bms.asks"),
    _dish("bms.open", _one(side=("both", "charge", "discharge"))),
    _dish("bms.ccl", _one(ccl_ma=(0, 5_000, 60_000))),
    _dish("bms.dcl", _one(dcl_ma=(0, 5_000, 60_000))),
    _dish("bms.bias", _one(permille=(-200, -50, 50, 150)), "soc"),
    _dish("bms.stuck", None, "soc"),
    _dish("bms.word", _field({"soc": _WORDS, "current": _WORDS, "pack_v": _WORDS, "temp_min": _COLD_WORDS}), "soc"),
    _dish("bms.add", _field({"soc": (-300, 300)}), "soc"),
    _dish("bms.scale", _field({"current": (100, 10_000), "pack_v": (100, 10_000)})),
    _dish("bms.inverted"),
    _dish("bms.alarm", _one(offset=(0, 3, 7, 12))),
    _dish("bms.zeros", _one(device=DEVICES, count=(1, 2, 5)), "", None),
    _dish("inverter.mute", takes="unread untold"),
    _dish("inverter.freeze"),
    _dish("inverter.deaf", takes="untold"),
    _dish("inverter.zero_ignored", takes="untold"),
    _dish("inverter.no_reversion", takes="timer"),
    _dish("inverter.reboot", lasts=None),
    _dish("inverter.forgets", lasts=None),
    _dish("inverter.floor", _one(permille=(50, 100, 700)), "", None),
    _dish("inverter.remote", _one(w=(-4_000, 0, 6_000), revert_s=(10, 60)), "", None),
    _dish("meter.mute"),
    _dish("meter.freeze"),
    _dish("meter.flip"),
    _dish("bus.cut", _one(device=("battery", "inverter")), "unread untold"),
    _dish("bus.cut", _one(device=("meter",))),
    _dish("bus.break", takes="unread untold"),
    _dish("bus.noise", _one(permille=(2, 10, 50, 300)), "untold"),
    _dish("bus.stranger", _one(every_ms=(300, 700, 2_500)), "untold"),
    _dish("bus.late", _one(device=DEVICES, ms=(150, 400, 1_500)), "untold"),
    _dish("bus.swap", _one(device=("battery",), other=("meter",)), "unread", (20, 150)),
    _dish("bus.swap", _one(device=("inverter",), other=("meter",)), "unread untold", (20, 150)),
    _dish("usb.unplug", takes="unread untold"),
    _dish("broker.kill"),
    _dish("crypto.forge", _one(way=WAYS, power_w=(7_770, -7_770)), "", None),
    _dish("aggregator.attack", _one(way=WAYS, power_w=(7_770, -7_770)), "", None),
    _dish("grid.outage"),
    _dish("grid.frequency", _one(mhz=(57_000, 59_300, 60_500, 62_500))),
    _dish("grid.voltage", _one(mv=(100_000, 190_000, 260_000))),
    _dish("meter.dies_with_grid", lasts=None),
    _dish("clock.step", _one(s=(-86_400, -60, 60, 7_200)), "", None),
    _dish("clock.untrusted"),
    _dish("proc.kill9", takes="dead"),
    _dish("proc.term", takes="dead"),
    _dish("proc.crash", takes="dead", lasts=None),
    _dish("home.temperature", _one(dc=(-100, 0, 15, 440, 560)), "", None),
    _dish("home.load", _one(w=(0, 500, 9_000, 20_000)), "", None),
    _dish("home.pv", _one(w=(0, 2_000, 7_000)), "", None),
    _dish("local.stop", lasts=None),
    _dish("local.resume", lasts=None),
    _dish("local.reserve", _one(permille=(150, 400, 900)), "", None),
)

LEFT_OUT: Mapping[str, str] = {
    "aggregator.dispatch": "the work that the faults meet; drawn apart",
    "aggregator.cancel": "as dispatch",
    "aggregator.stop": "as dispatch",
    "aggregator.trust": "a new bundle, or none until the old one is over; a scenario waits the months that takes",
    "home.soc": "puts energy where there was none: a starting point, not a fault",
    "proc.start": "ends other faults",
    "moment": "nothing happens",
    "inverter.word": "its fields are those of one model; scenarios aim at them",
    "meter.word": "as inverter.word",
    "meter.clamp": "one of three; `meter.flip` turns all of them",
    "bus.echo": "an adapter does not begin to hear itself; scenarios start with it",
    "local.stranger": "moves nothing by itself; a scenario counts the refusal",
    "local.garbage": "the local socket has a fuzz target of its own",
    "aggregator.silent": "no dispatch would act any more; a scenario withholds the time",
    "homeowner.reserve": "`local.reserve` is drawn; what is signed from afar goes the same way from there on",
    "homeowner.storm": "a higher reserve for a while; a scenario has it",
    "homeowner.opt_out": "no dispatch would act any more; a scenario has it",
    "homeowner.opt_in": "ends an opt-out",
    "mqtt.flood": "200 signatures a second cost a second each; a scenario shows it",
    "fleet.outage": "one home's outage; `hil fleet` has the others",
    "disk.corrupt": "with a restart of its own; scenarios, and `hil powercut`",
    "disk.keep": "no fault by itself",
    "disk.restore": "a restored image is another past; a scenario tells what is allowed then",
}


def dishes() -> tuple[Dish, ...]:
    """Those that can be drawn here."""
    return tuple(dish for dish in MENU if dish.able)


def takes_of(verb: str, args: Mapping[str, Value]) -> frozenset[str]:
    """What a verb takes away with those arguments: of a fault with degrees only what that degree makes impossible."""
    degree = _DEGREES.get(verb)
    if degree is not None:
        return frozenset(degree(args).split())
    return frozenset[str]().union(*(dish.takes for dish in MENU if dish.verb == verb))


def _number(value: Value) -> float:
    assert isinstance(value, int | float), f"a number, not {value!r}"
    return float(value)


def _of_device(args: Mapping[str, Value]) -> str:
    """A meter is neither what is commanded nor what is watched for its own sake; a battery is not commanded."""
    return {"battery": "unread", "inverter": "unread untold"}.get(str(args.get("device")), "")


def _noise(args: Mapping[str, Value]) -> str:
    """Up to 1 % of bytes, four of five writes get through at once, and the others are tried again."""
    share = _number(args["permille"])
    return "" if share <= 10 else "untold" if share <= 50 else "unread untold"


def _late(args: Mapping[str, Value]) -> str:
    """A reply within the deadline is only slow. A later one falls into the next request, whosever that is."""
    return "" if _number(args["ms"]) < 200 else "untold"


_DEGREES: Mapping[str, Callable[[Mapping[str, Value]], str]] = {
    "bms.word": lambda args: "soc" if args["field"] == "soc" else "",
    "bus.cut": _of_device,
    "bus.swap": _of_device,
    "bus.noise": _noise,
    "bus.late": _late,
}
