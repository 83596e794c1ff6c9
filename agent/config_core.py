"""What core and link take from a checked file: in permille and ns, and never shorter than is safe outside of a demo."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from agent.core.params import NO_LIMIT_W, Params, S, Site, Timers
from agent.wiring import wiring

if TYPE_CHECKING:
    from agent.config import File

MICRO = 1_000_000  # prices are in millionths


@dataclass(frozen=True, slots=True)
class LinkTimers:
    """Back-off range and block length of the link, in ns and samples."""

    backoff_min_ns: int = 1 * S
    backoff_max_ns: int = 300 * S
    block_s: int = 60


def params_of(file: File) -> Params:
    """Percent and seconds of people into permille and ns. ValueError on what is refused."""
    site, battery = file.site, file.battery
    params = Params(
        site=Site(
            nameplate_charge_w=site.nameplate_charge_w,
            nameplate_discharge_w=site.nameplate_discharge_w,
            capacity_wh=site.capacity_wh,
            import_limit_w=site.import_limit_w,
            export_limit_w=site.export_limit_w,
            fuse_a=site.fuse_a or 0,
            legs={"single": 1, "split": 2, "three": 3}[site.phases],
            owner_charge_w=NO_LIMIT_W if battery.max_charge_w is None else battery.max_charge_w,
            owner_discharge_w=NO_LIMIT_W if battery.max_discharge_w is None else battery.max_discharge_w,
            pv_only=site.pv_only,
            utility_charge_w=site.utility_charge_w,
            utility_discharge_w=site.utility_discharge_w,
        ),
        timers=_timers(file),
        soc_floor_permille=round(battery.soc_floor_pct * 10),
        soc_ceiling_permille=round(battery.soc_ceiling_pct * 10),
        reserve_min_permille=round(battery.reserve_min_pct * 10),
        critical_load_w=site.critical_load_w,
        daily_permille=round(battery.daily_cycles * 1000),
        restore_w=battery.restore_w,
        price_low_micro=_micro(battery.price_low),
        price_high_micro=_micro(battery.price_high),
        price_wear_micro=round(battery.price_wear * MICRO),
        price_efficiency_permille=round(battery.efficiency_pct * 10),
        demo=file.agent.demo,
        wiring=wiring(file.device, site.capacity_wh),
    )
    if params.reserve_min_permille < params.soc_floor_permille:
        raise ValueError("battery.reserve_min_pct is below battery.soc_floor_pct; a reserve under the floor is none")
    low, high = battery.price_low, battery.price_high
    if low is not None and high is not None and low >= high:
        raise ValueError(f"battery.price_low = {low:g} is to be below battery.price_high = {high:g}")
    return params


def _micro(price: float | None) -> int | None:
    return None if price is None else round(price * MICRO)


def _timers(file: File) -> Timers:
    base = Timers()
    known = {field.name for field in fields(Timers)}
    changes: dict[str, int] = {}
    for key, value in file.timers.model_dump(exclude_none=True).items():
        if key in ("backoff_min_s", "backoff_max_s", "block_s"):
            continue
        name = key if key in known else key.removesuffix("_s") + "_ns"
        new = int(value) if name == "reversion_s" else round(value * S)
        old = getattr(base, name)
        if not file.agent.demo and new < old and name not in ("cycle_ns", "refresh_ns"):
            raise _too_short(key, value, old if name == "reversion_s" else old / S)
        changes[name] = new
    timers = replace(base, **changes)
    if timers.refresh_ns * 4 > timers.reversion_s * S:
        raise ValueError(
            f"timers.refresh_s = {timers.refresh_ns / S:g} must be at most a quarter of "
            f"reversion_s = {timers.reversion_s}"
        )
    return timers


def _too_short(key: str, value: float, default: float) -> ValueError:
    return ValueError(
        f"timers.{key} = {value:g} is shorter than its default {default:g}; only a file with agent.demo = true may"
    )


def link_timers_of(file: File) -> LinkTimers:
    """The link's, held to their defaults outside of a demo. ValueError on what is refused."""
    base, timers = LinkTimers(), file.timers
    found = LinkTimers(
        base.backoff_min_ns if timers.backoff_min_s is None else round(timers.backoff_min_s * S),
        base.backoff_max_ns if timers.backoff_max_s is None else round(timers.backoff_max_s * S),
        timers.block_s or base.block_s,
    )
    if found.backoff_max_ns < found.backoff_min_ns:
        raise ValueError("timers.backoff_max_s is shorter than timers.backoff_min_s")
    for key, new, old in (
        ("backoff_min_s", found.backoff_min_ns / S, base.backoff_min_ns / S),
        ("backoff_max_s", found.backoff_max_ns / S, base.backoff_max_ns / S),
        ("block_s", found.block_s, base.block_s),
    ):
        if new < old and not file.agent.demo:
            raise _too_short(key, new, old)
    return found
