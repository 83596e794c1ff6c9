"""The whole simulated home of a run: plant, devices, wire, the operations that scenarios may do to it, and its signals.

The same operations and names whether it runs inside the virtual runtime or as a process (`hil.devices.process`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from hil.devices.demo import VARIANTS, demo_devices, units_of
from hil.devices.truth import truth_signals
from hil.faults.home import HomeFaults, Line
from hil.faults.probes import name_of, probe_of, taken_back
from hil.faults.registers import Spoil
from hil.faults.shown import Shown
from hil.plant.battery import PackParams
from hil.plant.bms import Bms, BmsParams
from hil.plant.home import Home, HomeParams
from hil.plant.inverter import Inverter, InverterParams

RATED_W, CAPACITY_AH = InverterParams().rated_w, PackParams().capacity_ah
UNITS: Mapping[str, int] = units_of()
Value = bool | int | float | str | None
WORDS = frozenset(
    "soc_permille load_w pv_w floor_permille temperature_dc revert_s reconnect_s s_of_day variant packs inverters legs "
    "soc2_permille rated_w soc_quantum_permille idle_dc_w inverter_leg temp_spread_dc asking".split()
)
CLAMPS = {"right": 1.0, "reversed": -1.0, "off": 0.0}


class WireControl(Line, Protocol):
    """What can be done to the wire while it runs."""

    def set_noise(self, share: float) -> None:
        """This share of bytes flips a bit."""
        ...

    def set_cut(self, unit: int, on: bool) -> None:
        """The unit's own stub of the line is cut."""
        ...

    def set_broken(self, on: bool) -> None:
        """The whole line is cut."""
        ...

    def counters(self) -> Mapping[str, int]:
        """At least "requests", "replies", "violations"; and what its faults did, by name and unit ("cut:1")."""
        ...


def params_of(settings: Mapping[str, Value]) -> HomeParams:
    """A home from a scenario's `WORDS`. An unknown word is a ValueError."""
    unknown = settings.keys() - WORDS
    if unknown:
        raise ValueError(f"a home has no {min(unknown)!r}; it has {', '.join(sorted(WORDS))}")

    def number(key: str, default: float) -> float:
        value = settings.get(key)
        return default if value is None else float(value)

    def forced(key: str) -> float | None:
        value = settings.get(key)
        return None if value is None else float(value)

    return HomeParams(
        soc=number("soc_permille", 600) / 1000,
        temp_c=number("temperature_dc", 240) / 10,
        start_s_of_day=number("s_of_day", 18 * 3600),
        load_w=forced("load_w"),
        pv_w=forced("pv_w"),
        inverter=InverterParams(
            floor_pct=number("floor_permille", 50) / 10,
            revert_s=int(number("revert_s", 0)),
            reconnect_s=number("reconnect_s", 60),
            rated_w=number("rated_w", RATED_W / number("inverters", 1)),
            idle_dc_w=number("idle_dc_w", 0),
        ),
        bms=BmsParams(soc_quantum=number("soc_quantum_permille", 1) / 1000),
        pack=PackParams(capacity_ah=CAPACITY_AH / number("packs", 1), temp_spread_c=number("temp_spread_dc", 0) / 10),
        packs=int(number("packs", 1)),
        soc2=None if settings.get("soc2_permille") is None else number("soc2_permille", 0) / 1000,
        inverters=int(number("inverters", 1)),
        legs=int(number("legs", 3)),
        inverter_leg=int(number("inverter_leg", 0)) or None,
    )


class World:
    """`do` acts at `now_ns`; `signals` are the `truth.*` and `wire.*` names of `hil.signals`."""

    def __init__(self, seed: int, settings: Mapping[str, Value] | None = None, start_ns: int = 0) -> None:
        self.home = Home(seed, params_of(settings or {}), start_ns)
        variant = str((settings or {}).get("variant", "124"))
        if variant not in VARIANTS:
            raise ValueError(f"there is no inverter variant {variant!r}; there are {', '.join(VARIANTS)}")
        self.slaves = demo_devices(self.home, variant)
        self._units = units_of(self.home.params.packs, self.home.params.inverters)
        self.wire: WireControl | None = None
        self.faults = HomeFaults(self.slaves, self._units, self._the_wire)
        self._shown = Shown()
        self._kinds = {"power": 0, "clear": 0, "floor": 0, "other": 0}
        self._counted = 0
        self._ops: Mapping[str, Callable[..., None]] = {
            "mute": self._mute,
            "freeze": self._freeze,
            "cut": self._cut,
            "noise": self._noise,
            "break": self._break,
            "deaf": self._deaf,
            "outage": self._outage,
            "frequency": self._frequency,
            "voltage": self._voltage,
            "floor": self._floor,
            "load": self._load,
            "pv": self._pv,
            "soc": self._soc,
            "temperature": self._temperature,
            "bias": self._bias,
            "asleep": self._asleep,
            "asks": self._asks,
            "open": self._open,
            "limits": self._limits,
            "meter_dies": self._meter_dies,
            "meter_flip": self._meter_flip,
            "meter_clamp": self._meter_clamp,
            "reboot": self._reboot,
            "no_reversion": self._no_reversion,
            "zero_ignored": self._zero_ignored,
            "remote": self._remote,
            "forgets": self._forgets,
            "mark": self._mark,
            **self.faults.ops,
        }

    def do(self, op: str, now_ns: int, **args: Value) -> None:
        """Do `op` at `now_ns`. ValueError says what was not understood."""
        operation = self._ops.get(op)
        if operation is None:
            raise ValueError(f"a home cannot {op!r}; it can {', '.join(sorted(self._ops))}")
        self.home.sync(now_ns)
        try:
            probe = None if taken_back(op, args) else probe_of(self, op, args)
            operation(**args)
        except (TypeError, KeyError, AssertionError) as wrong:
            raise ValueError(f"{op}: {wrong}") from wrong
        self.home.revision += 1
        if probe is None:
            self._shown.end(name_of(op, args))
        else:
            self._shown.ask(name_of(op, args), probe)

    def shown(self) -> set[str]:
        """Names of the faults that are on, as this world shows."""
        return self._shown.names()

    def signals(self, now_ns: int) -> dict[str, Value]:
        """Plant truth and wire counters."""
        home = self.home
        home.advance_to(now_ns)
        trace = self.slaves.trace
        for write in trace[self._counted :]:
            if not write.exception:
                self._kinds[write.kind] += 1
        self._counted = len(trace)
        wire = self.line()
        return {
            **truth_signals(home),
            "wire.transactions": wire.get("replies", 0),
            **{f"wire.{kind}": count for kind, count in self._kinds.items()},
            "wire.violations": wire.get("violations", 0),
            "bench.faults": " ".join(sorted(self.shown())),
        }

    # --- operations: every one is a row of `_ops` ---------------------------------------------------------------------
    def _mute(self, device: str, on: bool) -> None:
        self.slaves.by_unit[self.unit(device)].muted = on

    def _freeze(self, device: str, on: bool) -> None:
        self.slaves.by_unit[self.unit(device)].freeze(on)

    def _cut(self, device: str = "battery", on: bool = True) -> None:
        self._the_wire().set_cut(self.unit(device), on)

    def _noise(self, permille: float = 0, on: bool = True) -> None:
        self._the_wire().set_noise(permille / 1000 if on else 0.0)

    def _break(self, on: bool) -> None:
        self._the_wire().set_broken(on)

    def _deaf(self, on: bool, device: str = "inverter") -> None:
        self.inverter(device).ignores_writes = on

    def _outage(self, on: bool = True) -> None:
        (self.home.grid.outage if on else self.home.grid.restore)()

    def _frequency(self, mhz: float | None) -> None:
        self.home.grid.forced_hz = None if mhz is None else mhz / 1000

    def _voltage(self, mv: float | None) -> None:
        self.home.grid.forced_v = None if mv is None else mv / 1000

    def _floor(self, permille: float) -> None:
        self.home.inverter.set_floor(permille / 10)

    def _load(self, w: float | None) -> None:
        self.home.set_load(w)

    def _pv(self, w: float | None) -> None:
        self.home.set_pv(w)

    def _soc(self, permille: float) -> None:
        self.home.set_soc(permille / 1000)

    def _temperature(self, dc: float) -> None:
        self.home.battery.temp_c = dc / 10

    def _bias(self, permille: float) -> None:
        self.home.bms.bias = permille / 1000

    def _asleep(self, on: bool, wake_s: float | None = None) -> None:
        self.home.bms.asleep = on
        self.home.bms.wake_after_s = wake_s if on else None

    def _asks(self, on: bool) -> None:
        self.home.bms.asks = on
        self.home.bms.step(0.0)

    def _open(self, on: bool, device: str = "battery", side: str = "both") -> None:
        bms = self.bms(device)
        bms.opened = frozenset() if not on else frozenset(("charge", "discharge") if side == "both" else (side,))
        bms.step(0.0)

    def _limits(self, ccl_ma: float | None = None, dcl_ma: float | None = None, device: str = "battery") -> None:
        self.bms(device).forced_ccl_a = None if ccl_ma is None else ccl_ma / 1000
        self.bms(device).forced_dcl_a = None if dcl_ma is None else dcl_ma / 1000

    def _meter_dies(self, on: bool) -> None:
        self.home.meter.dies_with_grid = on

    def _meter_flip(self, on: bool) -> None:
        self.home.meter.flipped = on

    def _meter_clamp(self, leg: int, way: str = "off", on: bool = True) -> None:
        clamps = list(self.home.meter.clamps)
        if not 1 <= leg <= len(clamps) or way not in CLAMPS:
            raise ValueError(f"meter_clamp: leg 1 to {len(clamps)}, way {', '.join(CLAMPS)}; not {leg!r}, {way!r}")
        clamps[leg - 1] = CLAMPS[way if on else "right"]
        self.home.meter.clamps = (clamps[0], clamps[1], clamps[2])

    def _reboot(self) -> None:
        self.home.inverter.reboot(self.home.now_ns)

    def _no_reversion(self, on: bool) -> None:
        self.home.inverter.ignores_reversion = on

    def _zero_ignored(self, on: bool) -> None:
        self.home.inverter.ignores_zero = on

    def _remote(self, w: float, revert_s: int = 0) -> None:
        """Another hand commands the inverter."""
        share = w / self.home.params.inverter.rated_w
        self.home.inverter.command(self.home.now_ns, 3, share, -share, revert_s)

    def _forgets(self) -> None:
        """It goes back to its own mode."""
        self.home.inverter.command(self.home.now_ns, mode=0, out_share=1.0, in_share=1.0)

    def _mark(self) -> None:
        self.home.mark()

    def _the_wire(self) -> WireControl:
        if self.wire is None:
            raise ValueError("this home is on no wire; operations on the wire need one")
        return self.wire

    # --- for the probes ----------------------------------------------------------------------------------------------
    def line(self) -> Mapping[str, int]:
        """Counters of the wire; none of one that is not there."""
        return self.wire.counters() if self.wire is not None else {}

    def spoil(self, device: str) -> Spoil:
        """What changes the words of that device."""
        return self.faults.spoil(device)

    def inverter(self, device: str) -> Inverter:
        """By its name."""
        names = [name for name in self._units if name.startswith("inverter")]
        if device not in names:
            raise ValueError(f"there is no inverter {device!r}; there are {', '.join(names)}")
        return self.home.inverters[names.index(device)]

    def bms(self, device: str) -> Bms:
        """By the name of its pack."""
        names = [name for name in self._units if name.startswith("battery")]
        if device not in names:
            raise ValueError(f"there is no battery {device!r}; there are {', '.join(names)}")
        return self.home.bmss[names.index(device)]

    def unit(self, device: str) -> int:
        """Its address on the line."""
        unit = self._units.get(device)
        if unit is None:
            raise ValueError(f"there is no device {device!r}; there are {', '.join(self._units)}")
        return unit
