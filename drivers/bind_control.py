"""The writing half of a Binding: which control is used, its ratings, registers and steps, and the Capability. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from drivers.binding import BoundControl, BoundGroup, BoundPut, Check, DeviceSpec, Place
from drivers.codec import SUNSPEC_SENTINEL, div_round, from_words, raw_range
from drivers.confirm import how_to_confirm
from drivers.family import Codes, Control, Part, Profile, PutGroup, Reversion
from drivers.profile_control import SETPOINTS
from drivers.readings import Capability, DeviceRole
from drivers.resolve import Resolver

REQUEST_NS = 60_000_000  # of one short transaction, typical at 9600 baud
S = 1_000_000_000
MOST_RATED_W = 1_000_000
NO_GRID = "no register of it proves that the grid is there"
UNCONFIRMED = "is not sure for this device; a commissioning check must confirm it before anything is written by it"


@dataclass(slots=True)
class Found:
    """What binding adds up as it goes."""

    words: Mapping[int, int]
    notes: list[str]
    unconfirmed: list[str]
    checks: dict[int, Check]
    unusable: list[str]  # why no control is


class ControlBinder:
    """`factor`: 10 ** scale factor of a place, None if it is not implemented."""

    def __init__(
        self,
        spec: DeviceSpec,
        resolver: Resolver,
        found: Found,
        slow: str,
        factor: Callable[[Place, str], Fraction | None],
    ) -> None:
        self._spec, self._profile, self._resolver, self._found = spec, spec.profile, resolver, found
        self._slow, self._factor = slow, factor

    # --- which one, and its ratings -----------------------------------------------------------------------------------
    def choose(self) -> tuple[Control | None, dict[str, int]]:
        """The first control whose models, ratings and confidence are there."""
        for control in self._profile.controls:
            if not self._resolver.has(control.models):
                self._found.unusable.append(f"it has no model of control {control.id}")
                continue
            if control.confidence == "low" and control.id not in self._spec.confirmed:
                self._found.unconfirmed.append(control.id)
                self._found.notes.append(f"{control.id} {UNCONFIRMED}")
                self._found.unusable.append(f"control {control.id} is not confirmed")
                continue
            charge = self._rating(control.rated_charge)
            discharge = self._rating(control.rated_discharge)
            if self._spec.nameplate_w is not None and not control.rated_charge and control.unit == "w":
                charge, discharge = self._spec.nameplate_w
            if charge is None or discharge is None:
                where = "and the site none" if not control.rated_charge else "so it cannot be commanded by it"
                self._found.notes.append(f"{control.id} is there but gives no rating, {where}")
                self._found.unusable.append(f"control {control.id} gives no rating")
                continue
            if control.unit == "pct_of_wchamax" and self._spec.wdischamax_w:
                discharge = self._spec.wdischamax_w
            return control, {"charge": charge, "discharge": discharge}
        if self._profile.controls:
            self._found.notes.append("it has no register that takes a setpoint: telemetry only")
        return None, {}

    def _unusable(self, why: str) -> None:
        self._found.notes.append(why)
        self._found.unusable.append(f"control {why}")

    def _why_not(self, bound: BoundControl | None, grid: bool) -> tuple[str, ...]:
        """Why it takes no setpoint of ours, in a few words each; empty if it does, and of what is no inverter."""
        if self._profile.role is not DeviceRole.INVERTER:
            return ()
        if not self._profile.controls:
            return ("its profile knows no setpoint",)
        why = self._found.unusable if bound is None else []
        unsure = "the grid state is not confirmed" if "grid" in self._found.unconfirmed else NO_GRID
        return (*why, *([] if grid else [unsure]))

    def _rating(self, parts: tuple[Part, ...]) -> int | None:
        block = next((b.name for b in self._profile.blocks if b.after_write), self._slow)
        for part in parts:
            for place, _ in self._resolver.places(part):
                raw = self._raw(place, part)
                factor = self._factor(place, block)
                if raw is None or factor is None:
                    continue
                if self._profile.sunspec:
                    self._found.checks.setdefault(place.address, Check(place, raw, block))
                value = factor * part.scale * raw
                watts = div_round(value.numerator, value.denominator)
                if 0 < watts <= MOST_RATED_W:
                    return watts
        return None

    def _raw(self, place: Place, part: Part) -> int | None:
        words = [self._found.words.get(place.address + n) for n in range(place.length)]
        known = [word for word in words if word is not None]
        if len(known) != len(words):
            return None
        raw = from_words(known, place.kind, place.order)
        if raw is None or raw == 0 or raw in part.sentinels:
            return None
        return None if self._profile.sunspec and raw == SUNSPEC_SENTINEL.get(place.kind) else raw

    # --- registers ----------------------------------------------------------------------------------------------------
    def control(self, control: Control, rated: Mapping[str, int]) -> BoundControl | None:
        """Its registers, or None with a note that says what is missing."""
        groups: list[tuple[BoundGroup, ...]] = []
        proofs = tuple(group for _, group in control.proof)
        for puts in (control.power, control.clear, control.stop, control.arm, proofs):
            bound = tuple(self._group(group, rated) for group in puts)
            missing = next((b for b in bound if isinstance(b, str)), None)
            if missing is not None:
                self._unusable(f"{control.id} cannot be used: {missing}")
                return None
            groups.append(tuple(b for b in bound if isinstance(b, BoundGroup)))
        coarse = _too_coarse(control, groups[0])
        if coarse is not None:
            self._unusable(f"{control.id} cannot be used: {coarse}")
            return None
        power, clear, stop, arm, shown = groups
        beats = [self._group(group, rated) for group in control.heartbeat]  # a device may have it or not
        there = tuple(b for b in beats if isinstance(b, BoundGroup))
        return BoundControl(
            control.id,
            control.unit,
            control.active_modes,
            rated["charge"],
            rated["discharge"],
            _reversion_s(control.reversion, self._spec.reversion_s),
            control.read_back,
            control.settle_ns,
            power,
            clear,
            stop,
            arm,
            tuple(zip((function for function, _ in control.proof), shown, strict=True)),
            control.convert,
            control.through_zero_ns,
            control.released,
            control.codes,
            control.daily_writes,
            there if len(there) == len(beats) else (),
        )

    def floor(self) -> BoundGroup | None:
        """How its floor is written, None with a note if it has none or it is not sure."""
        if self._profile.floor is None:
            return None
        if self._profile.floor_confidence == "low" and "floor" not in self._spec.confirmed:
            self._found.unconfirmed.append("floor")
            self._found.notes.append(f"its floor register {UNCONFIRMED}")
            return None
        group = self._group(self._profile.floor, {})
        if isinstance(group, str):
            self._found.notes.append(f"it has no on-grid floor: {group}")
            return None
        return group

    def _group(self, group: PutGroup, rated: Mapping[str, int]) -> BoundGroup | str:
        puts = []
        unit = None
        for put in group.puts:
            place = self._resolver.put(group, put)
            if place is None:
                return f"it has no register {put.at}"
            factor = self._factor(place, self._slow)
            if factor is None:
                return f"the scale factor of {put.at} is not implemented"
            of_w = rated.get(put.of, 0)
            unit = place.unit
            step = factor * put.scale
            puts.append(
                BoundPut(
                    place.address, place.kind, place.order, step, put.value, of_w, put.low, put.high,
                    put.offset, put.multiple, put.at if isinstance(put.at, str) else f"register {put.at}",
                )
            )  # fmt: skip
        return BoundGroup(
            group.function, tuple(puts), unit, group.gap_ns, group.on_change, group.wears, group.read_back
        )

    def _control_ids(self) -> frozenset[str]:
        return frozenset(control.id for control in self._profile.controls)

    # --- what it can be told ------------------------------------------------------------------------------------------
    def capability(
        self, control: Control | None, bound: BoundControl | None, floor: BoundGroup | None, grid: bool
    ) -> Capability:
        """The row of `batteryctl device list`."""
        reversion = None if control is None else control.reversion
        verified = self._spec.reversion_verified
        timed = bound is not None and reversion is not None and reversion.kind != "none"
        wearing = () if control is None else control.wearing
        if floor is not None and floor.wears:
            wearing = tuple(dict.fromkeys([*wearing, "floor_permille"]))
        return Capability(
            device=self._spec.name,
            signed_setpoint=bound is not None and grid,
            unit="none" if control is None else control.unit,
            control_point="battery" if control is None else control.control_point,
            reversion="none" if reversion is None else reversion.kind,
            reversion_s=bound.reversion_s if timed and bound is not None else 0,
            reversion_verified=reversion is not None and (reversion.verified if verified is None else verified),
            floor=floor is not None,
            wearing=wearing,
            min_refresh_s=1 if control is None else control.min_refresh_s,
            read_back=bound is not None and bound.read_back,
            pv_curtailment=control is not None and control.pv_curtailment,
            rated_charge_w=0 if bound is None else bound.rated_charge_w,
            rated_discharge_w=0 if bound is None else bound.rated_discharge_w,
            resolution_w=0 if bound is None else _resolution_w(bound),
            refresh_s=self._profile.refresh_s,
            stale_s=self._profile.stale_s,
            granularity_s=1 if reversion is None else reversion.granularity_s,
            grid_evidence=grid,
            daily_writes=0 if bound is None else bound.daily_writes,
            write_s=1 if bound is None else _write_s(bound, self._profile),
            unconfirmed=tuple(dict.fromkeys(self._found.unconfirmed)),
            confirm=tuple(how_to_confirm(n, self._control_ids()) for n in dict.fromkeys(self._found.unconfirmed)),
            heartbeat_s=control.heartbeat_s if control is not None and bound is not None and bound.heartbeat else 0,
            control="" if bound is None else bound.id,
            why_not=self._why_not(bound, grid),
        )


def _reversion_s(reversion: Reversion, asked_s: int | None) -> int:
    """Within the device's bounds and on its grid, rounded up: never 0, which would mean never."""
    wanted = reversion.default_s if asked_s is None else asked_s
    steps = -(-wanted // reversion.granularity_s) * reversion.granularity_s
    return max(reversion.min_s, min(reversion.max_s, steps))


def _steps(groups: tuple[BoundGroup, ...]) -> Iterator[tuple[BoundPut, Fraction]]:
    for group in groups:
        for put in group.puts:
            if isinstance(put.value, str) and put.value in SETPOINTS:
                yield put, abs(put.step) * put.multiple


def _too_coarse(control: Control, groups: tuple[BoundGroup, ...]) -> str | None:
    unit = "W" if control.unit == "w" else "%"
    for put, step in _steps(groups):
        if step > control.max_step:
            return f"its setpoint has steps of {step} {unit}, more than {control.max_step} {unit}"
        if control.unit != "w" and 100 / abs(put.step) > raw_range(put.kind)[1]:
            return f"100 % does not fit its setpoint register at steps of {put.step} %"
    return None


def _resolution_w(control: BoundControl) -> int:
    """The smallest step of the setpoint, rounded up to whole watts."""
    steps = [step * Fraction(put.of_w, 100) if control.unit != "w" else step for put, step in _steps(control.power)]
    worst = max(steps, default=Fraction(0))
    return -((-worst.numerator) // worst.denominator)


def _write_s(control: BoundControl, profile: Profile) -> int:
    """Longest from the first request of a POWER to the last, in whole seconds."""
    twice = 1 if control.through_zero_ns is None else 2
    groups = [*control.arm, *(control.power * twice)]
    requests = sum(1 + group.on_change for group in groups)
    pauses_ns = sum(group.gap_ns for group in groups) + (control.through_zero_ns or 0)
    total_ns = requests * (REQUEST_NS + profile.gap_ns) + pauses_ns
    return max(1, -(-total_ns // S))


__all__ = ["Codes", "ControlBinder", "Found"]
