"""Values by name -> the Reading of that role: signs, words, alarm ids. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from drivers.binding import Binding, BoundPart, BoundPoint, DeviceSpec
from drivers.codec import RawType, Scale
from drivers.convert import Live, to_battery
from drivers.family import Codes
from drivers.pulse import Pulse
from drivers.readings import BatteryReading, DeviceRole, GridState, InverterReading, MeterReading, Reading

Values = Sequence[int | None]
KEPT = 8  # samples of a power that a reading tells besides its own
GRID = {"connected": GridState.CONNECTED, "islanded": GridState.ISLANDED}


class Assembler:
    """Knows in which slots each point of a device lies."""

    def __init__(self, spec: DeviceSpec, binding: Binding, slots: Mapping[int, tuple[int, ...]]) -> None:
        """`slots`: index of a point in the binding -> slots of its parts."""
        self._name, self._profile, self._ct_sign = spec.name, spec.profile, spec.ct_sign
        self._slots = {p.name: slots[n] for n, p in enumerate(binding.points) if p.name != "alarms"}
        self._range = {p.name: p.valid for p in binding.points if p.valid is not None and len(p.parts) > 1}
        self._extremes = {p.name: _Extreme(p) for p in binding.points if p.combine != "sum"}
        self._limits = {"ccl_ma": spec.ccl_ma, "dcl_ma": spec.dcl_ma}
        self._direction = {p.name: p.direction for p in binding.points if p.direction is not None}
        self._alarms = tuple((slots[n][0], p.bits) for n, p in enumerate(binding.points) if p.name == "alarms")
        self._status = _words(binding.points, "status")
        self._grid = {value: GRID[word] for value, word in _words(binding.points, "grid").items()}
        self._control = binding.control
        self._pulse = Pulse()
        self._samples = Samples()
        self.foreign: tuple[str, ...] = ()
        self._tolerance_w = 2 * binding.capability.resolution_w
        makers: dict[DeviceRole, Callable[[Values, int, int, int], Reading]] = {
            DeviceRole.BATTERY: self._battery,
            DeviceRole.INVERTER: self._inverter,
            DeviceRole.METER: self._meter,
        }
        self._make = makers[spec.profile.role]

    def slots_of(self, name: str) -> tuple[int, ...]:
        """Where the parts of a point are; empty if the device has none."""
        return self._slots.get(name, ())

    def reading(self, values: Values, at_ns: int, battery_at_ns: int, grid_at_ns: int) -> Reading:
        """The reading as of now. The last two ages are of an inverter only."""
        return self._make(values, at_ns, battery_at_ns, grid_at_ns)

    def _get(self, values: Values, name: str) -> int | None:
        """The point's value made of its parts, None if one of them is not known."""
        slots = self._slots.get(name)
        if slots is None:
            return None
        if name in self._extremes:
            return self._extremes[name].of([values[slot] for slot in slots])
        if len(slots) == 1:
            return values[slots[0]]
        direction = self._direction.get(name)
        total = 0
        for slot in slots if direction is None else slots[:-1]:
            value = values[slot]
            if value is None:
                return None
            total += value
        if direction is not None:
            signed = direction.signed(total, values[slots[-1]])
            if signed is None:
                return None
            total = signed
        valid = self._range.get(name)
        return total if valid is None or valid[0] <= total <= valid[1] else None

    def _limit(self, values: Values, name: str) -> int | None:
        """The smaller of what BMS and data sheet allow. A limit of the BMS that does not read is none at all."""
        configured = self._limits[name]
        if name not in self._slots:
            return configured
        value = self._get(values, name)
        return value if value is None or configured is None else min(value, configured)

    def _alarm_ids(self, values: Values) -> tuple[str, ...]:
        ids: list[str] = []
        for slot, bits in self._alarms:
            raised = values[slot]
            if raised:
                ids += [alarm for bit, alarm in bits if raised >> bit & 1]
        return tuple(sorted(set(ids)))

    def _battery(self, values: Values, at_ns: int, battery_at_ns: int, grid_at_ns: int) -> BatteryReading:
        get = self._get
        charge, discharge = get(values, "charge_enabled"), get(values, "discharge_enabled")
        force = get(values, "force_charge")
        return BatteryReading(
            self._name,
            at_ns,
            get(values, "soc_permille"),
            self._profile.soc_quantum_permille,
            get(values, "soh_permille"),
            get(values, "pack_mv"),
            get(values, "pack_ma"),
            get(values, "cell_max_mv"),
            get(values, "cell_min_mv"),
            get(values, "temp_max_dc"),
            get(values, "temp_min_dc"),
            self._limit(values, "ccl_ma"),
            self._limit(values, "dcl_ma"),
            None if charge is None else charge != 0,
            None if discharge is None else discharge != 0,
            self._alarm_ids(values),
            get(values, "capacity_mah"),
            None if force is None else force != 0,
        )

    def _inverter(self, values: Values, at_ns: int, battery_at_ns: int, grid_at_ns: int) -> InverterReading:
        get = self._get
        heard_ns = self._pulse.heard_ns(get(values, "heartbeat"), at_ns)
        if heard_ns < at_ns:  # it answers and does not live: all that it says is as old as its last beat
            at_ns, battery_at_ns, grid_at_ns = heard_ns, min(battery_at_ns, heard_ns), min(grid_at_ns, heard_ns)
        grid, status = get(values, "grid"), get(values, "status")
        remote_w, active = self._remote(values)
        control = self._control
        now_w: int | None = None
        if control is not None and control.convert != "none" and remote_w is not None:
            live = Live(get(values, "pv_w"), None, get(values, "ac_w"), get(values, "battery_w"))
            now_w = to_battery(control.convert, remote_w, live)
            remote_w = None
        battery_w = get(values, "battery_w")
        return InverterReading(
            self._name,
            at_ns,
            battery_w,
            battery_at_ns,
            get(values, "pv_w"),
            get(values, "ac_w"),
            GridState.UNKNOWN if grid is None else self._grid.get(grid, GridState.UNKNOWN),
            grid_at_ns,
            get(values, "frequency_mhz"),
            get(values, "soc_permille"),
            get(values, "floor_permille"),
            remote_w,
            active,
            get(values, "reversion_s"),
            "unknown" if status is None else self._status.get(status, "unknown"),
            self._alarm_ids(values),
            now_w,
            self.foreign,
            self._samples.before(battery_at_ns, battery_w),
        )

    def _remote(self, values: Values) -> tuple[int | None, bool | None]:
        """The setpoint that rules, at its control point, and whether remote control is on. A window that is not one
        value is no setpoint."""
        mode, control = self._get(values, "remote_mode"), self._control
        if mode is None or control is None:
            return None, None
        if mode in control.released:
            return None, False
        watts = self._get(values, "remote_w") if control.codes is None else self._by_code(values, control.codes)
        if mode not in control.active_modes or watts is None:
            return None, True
        if "remote_mirror_w" in self._slots:
            mirror = self._get(values, "remote_mirror_w")
            if mirror is None or abs(mirror - watts) > self._tolerance_w:
                return None, True
        return watts, True

    def _by_code(self, values: Values, codes: Codes) -> int | None:
        """The setpoint of a device that keeps direction and power apart."""
        code = self._get(values, "remote_code")
        charge, discharge = self._get(values, "remote_charge_w"), self._get(values, "remote_discharge_w")
        if code == codes.discharge:
            return discharge
        if code == codes.charge:
            return None if charge is None else -charge
        return 0 if code == codes.zero else None

    def _meter(self, values: Values, at_ns: int, battery_at_ns: int, grid_at_ns: int) -> MeterReading:
        get = self._get
        imported, exported = get(values, "import_wh"), get(values, "export_wh")
        if self._ct_sign < 0:
            imported, exported = exported, imported
        grid_w = self._signed(get(values, "grid_w"))
        return MeterReading(
            self._name,
            at_ns,
            grid_w,
            tuple(self._signed(get(values, f"l{n}_w")) for n in (1, 2, 3)),
            tuple(get(values, f"l{n}_mv") for n in (1, 2, 3)),
            tuple(get(values, f"l{n}_ma") for n in (1, 2, 3)),
            get(values, "frequency_mhz"),
            imported,
            exported,
            self._samples.before(at_ns, grid_w),
        )

    def _signed(self, watts: int | None) -> int | None:
        return None if watts is None else watts * self._ct_sign


class Samples:
    """The last samples of a power, for who must know what it was at another time than now."""

    def __init__(self) -> None:
        self._was: tuple[tuple[int, int], ...] = ()
        self._last: tuple[int, int] | None = None

    def before(self, at_ns: int, watts: int | None) -> tuple[tuple[int, int], ...]:
        """Those before the one of `at_ns`, oldest first; it is kept for the next. What is not known forgets all."""
        last = self._last
        if watts is None:
            self._was, self._last = (), None
        elif last is None:
            self._last = (at_ns, watts)
        elif at_ns > last[0]:
            self._was, self._last = (*self._was[1 - KEPT :], last), (at_ns, watts)
        return self._was


class _Extreme:
    """The highest or lowest of the parts that are there; not known while one was not read, which may be the worst."""

    def __init__(self, point: BoundPoint) -> None:
        self._pick: Callable[[list[int]], int] = max if point.combine == "max" else min
        self._valid = point.valid
        self._parts = [_extreme_part(part) for part in point.parts]

    def of(self, values: Sequence[int | None]) -> int | None:
        there: list[int] = []
        for raw, (scale, absent) in zip(values, self._parts, strict=True):
            if raw is None:
                return None
            if raw in absent:
                continue
            value = raw if scale is None else scale.value(raw)
            if self._valid is not None and not self._valid[0] <= value <= self._valid[1]:
                return None
            there.append(value)
        return self._pick(there) if there else None


def _extreme_part(part: BoundPart) -> tuple[Scale | None, frozenset[int]]:
    """How to scale what the decoder leaves plain, and the numbers that say "not there"."""
    if part.place.kind is not RawType.F32:
        return part.scale, frozenset(part.sentinels)
    return None, frozenset(part.scale.value(raw) for raw in part.sentinels) if part.scale is not None else frozenset()


def _words(points: Sequence[BoundPoint], name: str) -> dict[int, str]:
    return next((dict(point.words) for point in points if point.name == name), {})
