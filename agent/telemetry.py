"""What the aggregator is told each second, and what birth says of this home: wire names, units, from the Decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent import whole
from agent.core.book import Book
from agent.core.decision import Decision
from agent.core.inputs import Inputs
from agent.core.params import Params, Wiring
from drivers.events import DeviceStatus


def sample_values(decision: Decision, inputs: Inputs, wiring: Wiring) -> dict[str, object]:
    """One row of telemetry; None where not known. Of several packs, inverters and meters it tells the home's totals."""
    battery = whole.battery(inputs.batteries, wiring)
    inverter = whole.inverter(whole.counting(inputs.inverters, decision, wiring))
    meter = whole.meter(whole.counting(inputs.meters, decision, wiring))
    now_ns = inputs.now_ns
    pv_w = inverter.pv_w if inverter else None
    if wiring.bare or wiring.places:  # production elsewhere: what the balance leaves
        known = decision.load_w, meter.grid_w if meter else None, inverter.battery_w if inverter else None
        load_w, grid_w, battery_w = known
        pv_w = None if load_w is None or grid_w is None or battery_w is None else load_w - grid_w - battery_w
    return {
        "soc_permille": battery.soc_permille if battery else None,
        "soh_permille": battery.soh_permille if battery else None,
        "battery_w": inverter.battery_w if inverter else None,
        "pv_w": pv_w,
        "grid_w": meter.grid_w if meter else None,
        "load_w": decision.load_w,
        "grid": decision.grid,
        "frequency_mhz": meter.frequency_mhz if meter else None,
        "cell_min_mv": battery.cell_min_mv if battery else None,
        "cell_max_mv": battery.cell_max_mv if battery else None,
        "temp_min_dc": battery.temp_min_dc if battery else None,
        "temp_max_dc": battery.temp_max_dc if battery else None,
        "ccl_ma": battery.ccl_ma if battery else None,
        "dcl_ma": battery.dcl_ma if battery else None,
        "lo_w": decision.lo_w,
        "hi_w": decision.hi_w,
        "asked_w": decision.asked_w,
        "given_w": decision.given_w,
        "limit": decision.binding.id if decision.binding else "",
        "mode": str(decision.mode),
        "reserve_permille": decision.reserve_permille,
        "import_wh": meter.import_wh if meter else None,
        "export_wh": meter.export_wh if meter else None,
        "command_id": decision.command_id,
        "age_battery_ms": (now_ns - battery.at_ns) // 1_000_000 if battery else None,
        "age_inverter_ms": (now_ns - inverter.at_ns) // 1_000_000 if inverter else None,
        "age_meter_ms": (now_ns - meter.at_ns) // 1_000_000 if meter else None,
    }


def profile_body(
    params: Params,
    version: str,
    decision: Decision,
    devices: Iterable[DeviceStatus],
    documents: Mapping[str, object],
) -> dict[str, object]:
    """Capabilities, limits as commissioned (`params`) and versions; changes seldom, so birth is repeated when it does.
    `documents`: versions of what was set from afar."""
    site, several = params.site, _several(params.wiring)
    return {
        "versions": {"agent": version, "protocol": 1},
        **documents,
        "limits": {
            "nameplate_charge_w": site.nameplate_charge_w,
            "nameplate_discharge_w": site.nameplate_discharge_w,
            "capacity_wh": site.capacity_wh,
            "import_limit_w": site.import_limit_w,
            "export_limit_w": site.export_limit_w,
            "soc_floor_permille": params.soc_floor_permille,
        },
        "reserve_permille": decision.reserve_permille,
        "stated_end_s": decision.stated_end_s,
        "devices": [
            {
                "name": status.device,
                "role": str(status.role),
                "presence": str(status.presence),
                "maker": status.identity.maker if status.identity else None,
                "model": status.identity.model if status.identity else None,
                "capability": _capability(status),
                **several.get(status.device, {}),
            }
            for status in devices
        ],
    }


def _several(wiring: Wiring) -> dict[str, dict[str, object]]:
    """What a configuration of several devices says of each."""
    out: dict[str, dict[str, object]] = {name: {"capacity_wh": wh} for name, wh in wiring.capacity_wh}
    out |= {name: {"place": place} for name, place in wiring.places}
    out |= {name: {"packs": []} for name in wiring.bare}
    return out | {name: {"packs": list(bank.packs)} for bank in wiring.banks for name in bank.inverters}


def _capability(status: DeviceStatus) -> dict[str, object] | None:
    can = status.capability
    if can is None:
        return None
    return {
        "signed_setpoint": can.signed_setpoint,
        "unit": can.unit,
        "control_point": can.control_point,
        "reversion": can.reversion,
        "reversion_s": can.reversion_s,
        "reversion_verified": can.reversion_verified,
        "floor": can.floor,
        "read_back": can.read_back,
        "rated_charge_w": can.rated_charge_w,
        "rated_discharge_w": can.rated_discharge_w,
    }


def running(book: Book, decision: Decision) -> dict[str, object] | None:
    """The command that acts now, as acks show it; None = there is none."""
    for record in book.durable.commands:
        if record.command.id == decision.command_id:
            return {
                "command_id": record.command.id,
                "state": str(record.state),
                "reason": record.reason,
                "asked_w": decision.asked_w,
                "given_w": decision.given_w,
                "ends_in_s": max(0, (record.end_ns - decision.at_ns) // 1_000_000_000),
                "energy_wh": book.meters.total(record) / 1000,
            }
    return None
