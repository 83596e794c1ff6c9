"""The writing half of a profile: control and floor, from the edge to the frozen form, with their refusals.

Refused are, with file, key and reason: a setpoint without release, a write without bounds, a scale too coarse for the
setpoint, a reversion time that is not written, a wearing register without a budget, a direction without its power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import NoReturn

from drivers import fence, sunspec
from drivers.codec import WordOrder, words_of
from drivers.family import Codes, Control, Owner, Part, Put, PutGroup, Reversion
from drivers.profile_error import ProfileError
from drivers.profile_schema import (
    CodeEdge,
    ControlEdge,
    FloorEdge,
    HeartbeatEdge,
    OwnerEdge,
    PartEdge,
    ProtectionEdge,
    WriteEdge,
    WriteGroupEdge,
)
from drivers.wear import Share, most

MS = 1_000_000
SETPOINTS = frozenset({"setpoint", "-setpoint", "charge", "discharge", "magnitude"})
TIMED = ("device_s", "device_min")
CONVERSIONS = {"battery": ("none",), "inverter_ac": ("pv", "measured"), "grid": ("grid", "measured")}


def _modes(edge: ControlEdge) -> tuple[int, ...]:
    return tuple(edge.active_mode) if isinstance(edge.active_mode, list) else (edge.active_mode,)


def protection(
    file: str, edge: ProtectionEdge | None, controls: Iterable[Control], floor: PutGroup | None
) -> tuple[tuple[int, int], ...]:
    """The registers that nobody writes; a profile that writes one of them itself is refused."""
    if edge is None:
        return ()
    for n, (low, high) in enumerate(edge.deny):
        if low > high:
            raise ProfileError(file, f"protection.deny[{n}]", f"{low}..{high} is empty; give [first, last]")
    groups = [group for control in controls for group in fence.written(control)]
    for group in [*groups, *([] if floor is None else [floor])]:
        for address in fence.numbered(group):
            if fence.within(tuple(edge.deny), address):
                reason = f"register {address} is protection by this file's own word, and the file writes it"
                raise ProfileError(file, "protection.deny", reason)
    return tuple(edge.deny)


class ControlReader:
    """Reads control and floor of one file. `part` and `point` come from the reading half."""

    def __init__(
        self,
        file: str,
        is_sunspec: bool,
        order: WordOrder,
        units: Iterable[str],
        part: Callable[[str, PartEdge], Part],
        point: Callable[[str, int | None, str, int | None], sunspec.ModelPoint],
    ) -> None:
        self._file, self._sunspec, self._order = file, is_sunspec, order
        self._units = frozenset(units)
        self._part, self._point = part, point

    def _fail(self, key: str, reason: str) -> NoReturn:
        raise ProfileError(self._file, key, reason)

    def floor(self, edge: FloorEdge) -> PutGroup:
        """How the device's own on-grid floor is written."""
        group = WriteGroupEdge(
            model=edge.model,
            function=edge.function,
            unit=edge.unit,
            on_change=edge.wears,
            wears=edge.wears,
            write=[edge.write],
        )
        return self._group("floor", group)

    def control(self, key: str, edge: ControlEdge) -> Control:
        """One way to command the device."""
        key = f"{key} ({edge.id})"
        self._check(key, edge)
        rev = edge.reversion
        power = self._groups(f"{key}.power", edge.power, edge)
        codes = edge.codes
        return Control(
            edge.id,
            tuple(edge.models),
            edge.unit,
            edge.control_point,
            edge.convert,
            edge.max_step,
            _modes(edge),
            tuple(edge.released),
            edge.min_refresh_s,
            edge.read_back,
            edge.settle_ms * MS,
            None if edge.through_zero_ms is None else edge.through_zero_ms * MS,
            tuple(edge.wearing),
            0 if edge.wear is None else edge.wear.daily,
            edge.pv_curtailment,
            edge.confidence,
            Reversion(rev.kind, rev.verified, rev.default_s, rev.min_s, rev.max_s, rev.granularity_s),
            tuple(self._part(f"{key}.rated.charge[{n}]", p) for n, p in enumerate(edge.rated.charge)),
            tuple(self._part(f"{key}.rated.discharge[{n}]", p) for n, p in enumerate(edge.rated.discharge)),
            None if codes is None else Codes(codes.charge, codes.discharge, codes.zero),
            tuple((name, self._part(f"{key}.state.{name}", p)) for name, p in edge.state.items()),
            self._groups(f"{key}.arm", edge.arm, edge),
            power,
            tuple(
                (p.function, self._group(f"{key}.proof[{n}]", WriteGroupEdge(write=[p])))
                for n, p in enumerate(edge.proof)
            ),
            self._groups(f"{key}.clear", edge.clear, edge),
            self._groups(f"{key}.stop", edge.stop, edge) or power,
            () if edge.heartbeat is None else self._beats(f"{key}.heartbeat", edge.heartbeat, edge),
            0 if edge.heartbeat is None else edge.heartbeat.every_s,
        )

    def _beats(self, key: str, edge: HeartbeatEdge, control: ControlEdge) -> tuple[PutGroup, ...]:
        if not self._writes_symbol(edge.write, "beat"):
            self._fail(key, "nothing in it carries the beat")
        if any(group.wears for group in edge.write):
            self._fail(key, "a register that wears out when written cannot carry a heartbeat")
        return self._groups(f"{key}.write", edge.write, control)

    # --- what makes no sense ------------------------------------------------------------------------------------------
    def _check(self, key: str, edge: ControlEdge) -> None:
        if edge.power and not edge.clear:
            self._fail(f"{key}.clear", "a setpoint without a release is refused: say how control is handed back")
        if not edge.power:
            self._fail(f"{key}.power", "a control without power writes controls nothing")
        if edge.convert not in CONVERSIONS[edge.control_point]:
            known = " or ".join(CONVERSIONS[edge.control_point])
            self._fail(f"{key}.convert", f'a setpoint at the {edge.control_point} needs convert = "{known}"')
        if edge.codes is None and "remote_code" in edge.state:
            self._fail(f"{key}.codes", "remote_code needs codes = { charge, discharge, zero }")
        both = sorted(set(_modes(edge)) & set(edge.released))
        if both:
            self._fail(f"{key}.released", f"{both[0]} cannot mean both active and released")
        self._check_reversion(key, edge)
        self._check_symbols(key, edge)
        self._check_wear(key, edge)
        self._check_owner(key, edge)

    def _check_reversion(self, key: str, edge: ControlEdge) -> None:
        rev, key_rev = edge.reversion, f"{key}.reversion"
        if not rev.min_s <= rev.default_s <= rev.max_s:
            self._fail(f"{key_rev}.default_s", f"{rev.default_s} s is outside {rev.min_s}..{rev.max_s} s")
        for name, value in (("default_s", rev.default_s), ("min_s", rev.min_s), ("max_s", rev.max_s)):
            if value % rev.granularity_s:
                self._fail(f"{key_rev}.{name}", f"{value} s is no multiple of the granularity, {rev.granularity_s} s")
        if rev.kind in TIMED and not self._writes_symbol(edge.power, "reversion"):
            self._fail(f"{key}.power", "the reversion time must be written with every setpoint")
        if rev.kind in (*TIMED, "implicit") and rev.min_s == 0:
            self._fail(f"{key_rev}.min_s", "0 s would mean that the setpoint stays for ever")
        if rev.kind == "implicit" and rev.min_s != rev.max_s:
            self._fail(f"{key_rev}.min_s", "an implicit reversion has one time: min_s, default_s and max_s are equal")
        if rev.kind == "none" and rev.max_s:
            self._fail(f"{key_rev}.max_s", "a device without reversion has no time: 0")

    def _check_symbols(self, key: str, edge: ControlEdge) -> None:
        values = [write.value for group in edge.power for write in group.write]
        if not any(isinstance(value, str) and value in SETPOINTS for value in values):
            self._fail(f"{key}.power", "nothing in it carries the setpoint")
        one_register = "magnitude" in values
        if one_register and not any(isinstance(value, CodeEdge) for value in values):
            self._fail(f"{key}.power", "magnitude has no direction: a command word by direction must go with it")
        if one_register and edge.through_zero_ms is None:
            self._fail(
                f"{key}.through_zero_ms",
                "one power register serves both directions: without passing through 0 W a change of direction would "
                "run the old power the other way",
            )

    def _check_wear(self, key: str, edge: ControlEdge) -> None:
        for name in ("arm", "power", "clear", "stop"):
            for n, group in enumerate(getattr(edge, name)):
                if group.wears and (edge.wear is None or not edge.wearing):
                    self._fail(f"{key}.wear", f"{name}[{n}] wears out memory: give wear = {{ daily = N }} and wearing")
                if group.wears and not group.on_change:
                    self._fail(f"{key}.{name}[{n}].on_change", "a wearing register is written on change only")
        release = sum(group.wears for group in edge.clear)
        taking = release + sum(group.wears for group in (*edge.arm, *edge.power))
        if edge.wear is not None and most(edge.wear.daily, release, Share.DISPATCH) < taking:
            self._fail(
                f"{key}.wear.daily",
                f"of {edge.wear.daily} writes a day dispatch has {most(edge.wear.daily, release, Share.DISPATCH)}, and "
                f"taking control and releasing it are up to {taking}: it would never be followed",
            )

    def _check_owner(self, key: str, edge: ControlEdge) -> None:
        """What the owner had is of use in a release, of a whole write, and of a register that we can read."""
        for name in ("arm", "power", "clear", "stop"):
            for n, group in enumerate(getattr(edge, name)):
                owners = [isinstance(write.value, OwnerEdge) for write in group.write]
                if any(owners) and (name != "clear" or not all(owners)):
                    reason = "the owner's values are written back by clear, in writes of their own"
                    self._fail(f"{key}.{name}[{n}]", reason)
                if any(owners) and "remote_mode" not in edge.state:
                    self._fail(f"{key}.state.remote_mode", "without it nobody knows whether a value is the owner's")

    @staticmethod
    def _writes_symbol(groups: list[WriteGroupEdge], symbol: str) -> bool:
        return any(write.value == symbol for group in groups for write in group.write)

    # --- writes -------------------------------------------------------------------------------------------------------
    def _groups(self, key: str, groups: list[WriteGroupEdge], control: ControlEdge) -> tuple[PutGroup, ...]:
        for n, group in enumerate(groups):
            for m, write in enumerate(group.write):
                self._check_step(f"{key}[{n}].write[{m}].scale", write, control)
        return tuple(self._group(f"{key}[{n}]", group) for n, group in enumerate(groups))

    def _check_step(self, key: str, write: WriteEdge, control: ControlEdge) -> None:
        if not isinstance(write.value, str) or write.value not in SETPOINTS or (self._sunspec and not write.vendor):
            return  # SunSpec scale factors are known when the device is read, and checked then
        step = abs(Fraction(write.scale)) * write.multiple
        if step > control.max_step:
            unit = "W" if control.unit == "w" else "%"
            self._fail(key, f"steps of {step} {unit} lose the setpoint's resolution of {control.max_step} {unit}")

    def _group(self, key: str, group: WriteGroupEdge) -> PutGroup:
        if group.unit and group.unit not in self._units:
            self._fail(f"{key}.unit", f'line.units has no "{group.unit}"')
        end: int | None = None
        size = 0
        puts = []
        for n, write in enumerate(group.write):
            put, begin, size = self._put(f"{key}.write[{n}]", write, group.model)
            if end is not None and begin != end:
                self._fail(f"{key}.write[{n}].at", "the values of one write must be neighbours; make two writes of it")
            end = begin + size
            puts.append(put)
        if group.function == 6 and (len(puts) != 1 or size != 1):
            self._fail(f"{key}.function", "function 6 writes one register only")
        return PutGroup(
            group.model,
            group.function,
            tuple(puts),
            group.unit,
            group.gap_ms * MS,
            group.on_change,
            group.wears,
            group.read_back,
        )

    def _put(self, key: str, edge: WriteEdge, model: int | None) -> tuple[Put, int, int]:
        if isinstance(edge.value, str) and (edge.min is None or edge.max is None or edge.min > edge.max):
            self._fail(key, f"{edge.value} is written without bounds; give min and max in the register's unit")
        if self._sunspec and not edge.vendor:
            if isinstance(edge.at, int) or model is None:
                self._fail(key, 'a SunSpec write is model = N and at = "PointName"; addresses come from the chain')
            point = self._point(key, model, str(edge.at), None)
            begin, size = point.offset, point.words
        else:
            if isinstance(edge.at, str) or edge.type is None:
                self._fail(key, "needs at = register and type = ...")
            begin, size = edge.at, words_of(edge.type)
        value: int | str | Codes | Owner
        if isinstance(edge.value, CodeEdge):
            value = Codes(edge.value.charge, edge.value.discharge, edge.value.zero)
        elif isinstance(edge.value, OwnerEdge):
            value = Owner(edge.value.default)
        else:
            value = edge.value
        put = Put(
            edge.at,
            value,
            edge.type,
            edge.order or self._order,
            Fraction(edge.scale),
            edge.of,
            edge.min,
            edge.max,
            edge.offset,
            edge.multiple,
        )
        return put, begin, size
