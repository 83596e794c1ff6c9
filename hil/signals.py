"""What a scenario may look at: signals (a value at every moment), functions and streams of records.

`truth.*` comes from the plant, never from the agent; `wire.*` from the wire's own register trace; `agg.*` from the
aggregator's ledger; `agent.*` from the agent's decisions; `proc.*` from whoever runs the daemon. None = not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.expr import Value


@dataclass(frozen=True, slots=True)
class Signal:
    """One name of the scenario language."""

    name: str
    unit: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One record of a stream: `at_ns` is scenario time."""

    stream: str
    at_ns: int
    fields: Mapping[str, Value]


def _table(*rows: tuple[str, str, str]) -> Mapping[str, Signal]:
    return {name: Signal(name, unit, sentence) for name, unit, sentence in rows}


SIGNALS: Mapping[str, Signal] = _table(
    ("t_s", "s", "since the scenario began"),
    ("chapter_s", "s", "since this chapter began"),
    ("truth.soc_permille", "permille", "charge in the cells down to the weakest one's empty, of all packs"),
    ("truth.soc_least_permille", "permille", "the same of the emptiest pack"),
    ("truth.soc_most_permille", "permille", "of the fullest"),
    ("truth.bms_error_permille", "permille", "how much more SoC than that the BMSs believe, in the mean"),
    ("truth.energy_wh", "Wh", "energy in the cells down to the weakest one's empty, before any loss"),
    ("truth.reserve_wh", "Wh", "AC energy that an outage would find now: down to the inverter's off-grid floor"),
    ("truth.cell_min_mv", "mV", "lowest cell of all packs"),
    ("truth.cell_max_mv", "mV", "highest cell of all packs"),
    ("truth.temp_dc", "0.1 °C", "middle of the cells of the first pack"),
    ("truth.temp_min_dc", "0.1 °C", "its coldest cell"),
    ("truth.current_a", "A", "DC current of all packs, + = discharge"),
    ("truth.ccl_a", "A", "what the first pack's BMS allows to charge with, 0 with its switch open"),
    ("truth.dcl_a", "A", "the same for discharge"),
    ("truth.battery_w", "W", "AC at the battery's own point, + = discharge"),
    ("truth.inverter_w", "W", "the same of the first inverter alone"),
    ("truth.inverter2_w", "W", "of the second; None = there is one"),
    ("truth.battery2_a", "A", "current of the second pack, + = discharge; None = there is one"),
    ("truth.discharged_wh", "Wh", "AC that left the battery since the start"),
    ("truth.charged_wh", "Wh", "AC that went into it"),
    ("truth.imported_wh", "Wh", "what came from the grid since the start, whatever the meter counts"),
    ("truth.exported_wh", "Wh", "what went into it"),
    ("truth.grid_w", "W", "at the grid connection, + = import"),
    ("truth.grid_l1_w", "W", "the same of leg or phase 1"),
    ("truth.grid_l2_w", "W", "of leg 2; 0 = there is one leg"),
    ("truth.grid_l3_w", "W", "of leg 3; 0 = there is none"),
    ("truth.frequency_mhz", "mHz", "of the utility, also while it is gone"),
    ("truth.load_w", "W", "what the house draws, the inverter's own consumption included"),
    ("truth.pv_w", "W", "production"),
    ("truth.grid_on", "", "the utility is there"),
    ("truth.islanded", "", "the transfer relay is open"),
    ("truth.back_s", "s", "since an outage was last over: the utility there, the relay closed; None = never"),
    ("truth.fed", "", "the house has power"),
    ("truth.floor_permille", "permille", "the inverter's own on-grid floor"),
    ("truth.remote", "", "the inverter follows a remote setpoint"),
    ("truth.taken_s", "s", "since it last left its own mode for a remote setpoint; None = never"),
    ("truth.setpoint_w", "W", "that setpoint; None = its own mode, or a band"),
    ("truth.setpoint2_w", "W", "that of the second inverter; None = its own mode, a band, or there is one"),
    ("truth.blackouts", "", "times that the house lost power"),
    ("truth.darkened", "", "times that a remote setpoint kept dark what the inverter could have fed by itself"),
    ("wire.transactions", "", "requests that a device answered"),
    ("wire.power", "", "register writes that set or hold a power, 0 W included"),
    ("wire.clear", "", "register writes that end remote control"),
    ("wire.floor", "", "register writes of the inverter's floor"),
    ("wire.other", "", "register writes of any other kind"),
    ("wire.setpoint_w", "W", "what the last write that counts asks for, whether followed or not; None = released"),
    ("wire.violations", "", "requests that began inside t3.5"),
    ("agg.verified", "", "messages whose signature, typ and body held"),
    ("agg.bad", "", "messages from the device that did not verify"),
    ("agg.expired", "", "of those, messages that came after their time was over"),
    ("agg.births", "", "verified births"),
    ("agg.lives", "", "verified live records"),
    ("agg.batches", "", "batches counted in the ledger"),
    ("agg.counted", "", "distinct durable seq in the ledger"),
    ("agg.duplicates", "", "durable messages that came again on the wire"),
    ("agg.conflicts", "", "seq that came with two contents"),
    ("agg.flaws", "", "flaws of the settlement chain, without the losses that it declares"),
    ("agg.unlinked", "", "settlement records that later ones wait for"),
    ("agg.missing", "", "seq below the highest that never came"),
    ("agg.highest", "", "highest durable seq"),
    ("agg.session", "", "the device's presence says ready"),
    ("told.rows", "", "seconds of telemetry, live or in batches, that were held against the plant"),
    ("told.battery_off_w", "W", "second that is furthest off: what it says less what the plant had then"),
    ("told.grid_off_w", "W", "the same at the grid connection"),
    ("told.pv_off_w", "W", "of production"),
    ("told.load_off_w", "W", "of what the house draws"),
    ("told.soc_off_permille", "permille", "of the charge"),
    ("settled.intervals", "", "settlement intervals that were held against the plant's own energies"),
    ("settled.events", "", "settlement records of an event that were"),
    ("settled.charge_off_wh", "Wh", "interval that is furthest off: what it says that was charged, less what was"),
    ("settled.discharge_off_wh", "Wh", "the same of what was discharged"),
    ("settled.import_off_wh", "Wh", "of what came from the grid"),
    ("settled.export_off_wh", "Wh", "of what went into it"),
    ("settled.event_charge_off_wh", "Wh", "event that is furthest off: what it says that was charged, less what was"),
    ("settled.event_discharge_off_wh", "Wh", "the same of what was discharged"),
    ("agent.mode", "", "state of the agent"),
    ("agent.source", "", "whose wish it follows"),
    ("agent.asked_w", "W", "wish, + = discharge"),
    ("agent.given_w", "W", "what it gave; None = released"),
    ("agent.lo_w", "W", "permit, charge side, <= 0"),
    ("agent.hi_w", "W", "permit, discharge side, >= 0"),
    ("agent.binding", "", "id of the limit that made given differ from asked"),
    ("agent.reserve_permille", "permille", "reserve in force"),
    ("agent.soc_permille", "permille", "what the BMS reports; of several packs that of the emptiest"),
    ("agent.soc_lo_permille", "permille", "lowest SoC that it believes possible"),
    ("agent.grid", "", "connected, islanded or unknown"),
    ("agent.stated_end_s", "s", "promise 3 of this home"),
    ("agent.faults", "", "ids of active faults, sorted, space between"),
    ("agent.devices_ok", "", "devices that answer and are what was commissioned"),
    ("agent.link", "", "MQTT session is up"),
    ("agent.fresh", "", "a signed time has echoed this boot's nonce"),
    ("agent.unsent", "", "rows that wait for a receipt"),
    ("agent.refused", "", "messages refused, all reasons together"),
    ("bench.faults", "", "names of the faults that are on, as the world tells"),
    ("bench.stated_end_s", "s", "promise 3 of this home, by its configuration and not by the agent's word"),
    ("bench.meter_w", "W", "by the rig's independent meter; None = there is no rig"),
    ("bench.tripped", "", 'why the rig\'s interlock has ended the run, "" while it has not'),
    ("local.refused", "", "requests on the local socket that were refused"),
    ("proc.alive", "", "the daemon runs"),
    ("proc.starts", "", "times that the daemon was started"),
    ("proc.exit", "", "exit status of the last daemon, negative = signal"),
)

FUNCTIONS: Mapping[str, str] = {
    "acks": 'acks("dispatch", "started"): acks of that command with that state (counted once each)',
    "ack_state": 'ack_state("dispatch"): the last state that its acks gave, "" before the first',
    "ack_reason": 'ack_reason("dispatch", "limited"): reason of the first ack with that state, "" if none',
    "ack_energy": 'ack_energy("dispatch"): Wh that its last ack says it moved, + = discharge; None before the first',
    "refused": 'refused("replay"): messages that the link refused for that reason',
    "fault": 'fault("battery_stale"): whether that fault is active',
    "on": 'on("mute:battery"): whether the world says that this fault is on',
}

STREAMS: Mapping[str, tuple[str, ...]] = {
    "write": ("device", "kind", "value", "address", "words"),
    "ack": ("command", "state", "reason", "asked_w", "given_w", "limit_w", "made_s", "repeated"),
    "uplink": ("kind", "seq", "duplicate"),
    "decision": ("mode", "source", "asked_w", "given_w", "binding", "grid", "lo_w", "hi_w"),
    "process": ("what", "status"),
}
