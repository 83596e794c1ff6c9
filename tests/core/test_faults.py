"""Every row of the fault table raised and cleared through whole cycles; holds, doubling, latches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.core.alarms import blocked
from agent.core.decision import Intent, Mode
from agent.core.durable import Durable
from agent.core.fault import Clear, Severity
from agent.core.faults import BY_ID, FAULTS
from agent.core.inputs import NOT_LOOKED, ClockTrust, LocalResume, Reserve, WriteDone
from agent.core.params import S
from agent.core.selftest import Looked
from agent.core.standing import Memory, hold_of, strikes, worst
from agent.core.step import initial
from drivers.readings import GridState
from tests.core.home import PARAMS, Home, arriving, capability, command


def set_battery(**fields: Any) -> Callable[[Home], None]:
    return lambda home: home.battery.update(fields)


def set_inverter(**fields: Any) -> Callable[[Home], None]:
    return lambda home: home.inverter.update(fields)


def mute(device: str) -> Callable[[Home], None]:
    return lambda home: home.mute.add(device)


def present(device: str, word: str) -> Callable[[Home], None]:
    return lambda home: home.presence.update({device: word})


def asleep(home: Home) -> None:
    home.mute.add("battery")
    home.presence["battery"] = "silent"


def two_masters(home: Home) -> None:
    home.line = "two masters on this line: somebody else asks unit 9 (function 3, register 0)"


def disk(home: Home) -> None:
    home.disk_ok = False


def clock(home: Home) -> None:
    home.trust = ClockTrust.UNTRUSTED


def reserve(home: Home) -> None:
    home.reserve = Reserve(0, "unreadable")


def looked(**facts: Any) -> Callable[[Home], None]:
    def happens(home: Home) -> None:
        home.looked = Looked(at_ns=1, **facts)

    return happens


# (fault, what brings it about, mode it leads to while idle)
CAUSES: list[tuple[str, Callable[[Home], None], Mode]] = [
    ("identity_mismatch", present("meter", "mismatch"), Mode.FAULT),
    ("bus_contention", two_masters, Mode.FAULT),
    ("over_temperature", set_battery(temp_max_dc=600), Mode.LOCKOUT),
    ("over_voltage", set_battery(cell_max_mv=3650, soc_permille=1000), Mode.LOCKOUT),
    ("inverter_stale", mute("inverter"), Mode.FAULT),
    ("inverter_fault", set_inverter(status="fault", alarms=("ground_fault",)), Mode.FAULT),
    ("bms_protection", set_battery(alarms=("short_circuit_protection",)), Mode.FAULT),
    ("imbalance", set_battery(cell_max_mv=3440, cell_min_mv=3140), Mode.FAULT),
    ("cells_apart", set_battery(cell_max_mv=3350, cell_min_mv=3300), Mode.LOCAL),
    ("grid_lost", set_inverter(grid_state=GridState.ISLANDED), Mode.BACKUP),
    ("grid_unknown", set_inverter(grid_state=GridState.UNKNOWN), Mode.BACKUP),
    ("battery_stale", mute("battery"), Mode.DEGRADED),
    ("bms_asleep", asleep, Mode.DEGRADED),
    ("soc_unknown", set_battery(soc_permille=None), Mode.DEGRADED),
    ("meter_stale", mute("meter"), Mode.DEGRADED),
    ("bms_alarm", set_battery(alarms=("cell_high_voltage_alarm",)), Mode.LOCAL),
    ("reserve_unreadable", reserve, Mode.LOCAL),
    ("disk", disk, Mode.LOCAL),
    ("clock_untrusted", clock, Mode.LOCAL),
    ("self_test", looked(memory="a parameter fell over"), Mode.FAULT),
    ("clocks_apart", looked(clock="a second took two"), Mode.LOCAL),
    ("changed_on_disk", looked(changed=("the configuration was changed",)), Mode.LOCAL),
]
ELSEWHERE = {  # raised in the tests of the part that they watch
    "internal_error": "test_step",
    "actuation_reversed": "test_actuation",
    "deaf_inverter": "test_actuation",
    "setpoint_short": "test_actuation",
    "lockout": "test_actuation",
    "battery_frozen": "test_still",
    "inverter_frozen": "test_still",
    "reading_implausible": "test_sanity",
    "current_wrong": "test_sanity",
    "meter_wrong": "test_sanity",
    "meter_stuck": "test_sanity",
    "meter_dead": "test_grid_loss",
    "inverter_starting": "test_strikes",
    "soc_doubted": "test_sanity",
    "inverter_out": "test_several",
    "reserve_unguarded": "test_self_consumption",
    "floor_ignored": "test_beneath",
    "forbidden_flow": "test_astray",
    "setpoint_lost": "test_overridden",
    "setpoint_overridden": "test_overridden",
    "floor_changed": "test_floor",
    "floor_refused": "test_floor",
    "not_read_back": "test_readback",
    "writes_refused": "below",
    "writes_worn": "below",
    "reversion_off": "below",
    "crash_loop": "below",
}


def test_every_row_is_raised_somewhere() -> None:
    assert {c[0] for c in CAUSES} | set(ELSEWHERE) == set(BY_ID)
    assert len(BY_ID) == len(FAULTS)


@pytest.mark.parametrize(("fault", "cause", "mode"), CAUSES)
def test_raised_and_cleared(fault: str, cause: Callable[[Home], None], mode: Mode) -> None:
    home = Home().ready()
    cause(home)
    home.run(7)
    assert fault in home.faults()
    assert home.mode() is mode
    shown = next(f for f in home.decision.faults if f.id == fault)
    assert shown.remedy
    assert shown.sentence
    raised = [e for e in home.events_seen if e.get("fault") == fault]
    assert [e["event"] for e in raised] == ([] if fault == "disk" else ["fault_raised"])

    home.battery = {"soc_permille": 1000} if fault == "over_voltage" else {}  # a full battery does not become less full
    home.inverter.clear()
    home.mute.clear()
    home.presence.clear()
    home.line = ""
    home.looked = NOT_LOOKED
    home.disk_ok, home.trust, home.reserve = True, ClockTrust.SYNCED, Reserve(200, "file")
    home.run(2)
    if BY_ID[fault].clear is Clear.TECHNICIAN:
        home.run(300)
        assert fault in home.faults()
        home.tick(LocalResume("technician ada"))
    home.run(620)
    assert home.faults() == []
    assert home.mode() is Mode.LOCAL
    assert [e["event"] for e in home.events_seen if e.get("fault") == fault] == ["fault_raised", "fault_cleared"]


def test_sentences_and_remedies_are_for_people() -> None:
    for row in FAULTS:
        assert row.remedy[0].isupper()
        assert row.remedy.endswith(".")


def test_degraded_recovers_after_thirty_seconds_then_sixty_up_to_fifteen_minutes() -> None:
    home = Home().ready()
    for hold_s in (30, 60, 120, 240, 480, 900, 900):
        home.mute.add("battery")
        home.run(7)
        home.mute.clear()
        home.run(hold_s)
        assert home.mode() is Mode.DEGRADED, hold_s
        home.run(3)
        assert home.mode() is Mode.LOCAL, hold_s


def test_an_hour_without_it_makes_the_hold_short_again() -> None:
    home = Home().ready()
    for _ in range(3):
        home.mute.add("battery")
        home.run(7)
        home.mute.clear()
        home.run(200)
    home.run(3700)
    home.mute.add("battery")
    home.run(7)
    home.mute.clear()
    home.run(33)
    assert home.mode() is Mode.LOCAL


def test_hold_of_rows() -> None:
    memory = Memory("battery_stale", True, 0, 0, 0, (1, 2, 3), "")
    assert hold_of(BY_ID["battery_stale"], memory, PARAMS) == 120 * S
    assert hold_of(BY_ID["grid_unknown"], memory, PARAMS) == 0
    assert hold_of(BY_ID["grid_lost"], replace(memory, jitter_ns=7 * S), PARAMS) == 307 * S
    assert hold_of(BY_ID["inverter_stale"], memory, PARAMS) == 60 * S


def test_worst_and_strikes() -> None:
    gone = Memory("deaf_inverter", False, 0, 0, 0, (0, 10 * S), "")
    here = Memory("meter_stale", True, 0, None, 0, (5 * S,), "")
    assert worst((gone, here)) is Severity.DEGRADED
    assert worst((gone,)) == 0
    assert strikes((gone, here), 3600 * S) == 2
    assert strikes((gone, here), 3601 * S) == 1


def test_writes_that_are_never_confirmed_are_a_fault() -> None:
    home = Home().ready()
    home.outcome = "rejected"
    home.tick(arriving(command()))
    home.run(6)
    assert "writes_refused" in home.faults()
    assert home.mode() is Mode.FAULT
    assert home.given() is None


def test_a_spent_wear_budget_releases_at_once_and_says_when_it_lifts() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    assert home.mode() is Mode.DISPATCHED
    lifts_ns = home.now_ns + 400 * S
    home.tick(WriteDone("inverter", "power", home.given() or 0, "worn", 0, lifts_ns))
    home.tick()
    assert home.faults() == ["writes_worn"]
    assert "no setpoint before" in home.decision.faults[0].sentence
    assert home.mode() is Mode.FAULT
    assert home.remote_w is None  # a setpoint that could not be tightened any more is not left standing
    before = len(home.writes)
    home.run(300)
    assert [w for _, w in home.writes[before:] if w.intent is Intent.POWER] == []
    home.run(200)
    assert home.faults() == []


def test_writes_that_are_never_answered_are_a_fault() -> None:
    home = Home().ready()
    home.answer = lambda write: None  # type: ignore[method-assign]  # a gate that never reports
    home.tick(arriving(command()))
    home.run(30)
    assert "writes_refused" in home.faults()


def test_a_setpoint_that_would_never_end_is_a_fault() -> None:
    home = Home().ready()
    home.inverter["reversion_s"] = 0
    home.run(5)
    assert home.faults() == []  # nothing of ours is active
    home.tick(arriving(command()))
    home.run(4)
    assert "reversion_off" in home.faults()
    assert home.given() is None


def test_another_hand_s_setpoint_that_would_never_end_is_written_over_with_our_timer() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(20)
    home.inverter.update(remote_w=9_000, reversion_s=0)
    home.tick()
    home.inverter.clear()
    home.run(3)
    assert home.faults() == []
    assert home.given() == 5000
    home.inverter["reversion_s"] = 0  # the setpoint is ours, its timer is not
    home.run(2)
    assert home.faults() == ["reversion_off"]


def test_no_reversion_no_dispatch() -> None:
    home = Home().ready()
    inputs = home.inputs

    def without(events: Any) -> Any:
        made = inputs(events)
        devices = tuple(replace(d, capability=capability(reversion="none")) for d in made.devices)
        return replace(made, devices=devices)

    home.inputs = without  # type: ignore[method-assign]
    home.tick(arriving(command()))
    home.run(5)
    assert home.powers() == [0]
    assert home.acks[1]["reason"] == "reversion"


def test_five_starts_in_ten_minutes_make_a_safe_boot() -> None:
    home = Home()
    for _ in range(3):
        home.run(20)
        home = home.crash()
    home.run(20)
    assert home.faults() == []
    home = home.crash()
    home.ready()
    home.run(10)
    assert "crash_loop" in home.faults()
    home.tick(arriving(command()))
    assert home.acks[-1]["reason"] == "crash_loop"
    home.run(1800)
    assert home.faults() == []


def test_a_technician_ends_a_safe_boot() -> None:
    home = Home(durable=Durable(starts_ms=tuple(Home().clock().wall_ms - n * 1000 for n in range(5, 0, -1))))
    home.ready()
    assert home.mode() is Mode.FAULT
    home.tick(LocalResume("technician ada"))
    home.run(5)
    assert home.mode() is Mode.LOCAL


def test_a_clock_that_went_back_counts_no_crash() -> None:
    starts = (10**12, 10**12, 10**12, 10**12, 10**12)
    home = Home(durable=Durable(starts_ms=starts))
    home.wall_offset_ms -= home.clock().wall_ms - 1000  # no time yet: 1970
    home.state = initial(PARAMS, Durable(starts_ms=starts), home.clock(), home.now_ns)
    home.run(5)
    assert "crash_loop" not in home.faults()


def test_clean_stops_are_not_counted() -> None:
    home = Home()
    for _ in range(9):
        home = home.crash(clean=True)
        home.run(6)
    assert home.faults() == []


def test_resume_keeps_latches_whose_cause_is_there() -> None:
    home = Home().ready()
    home.battery["temp_max_dc"] = 620
    home.run(3)
    home.tick(LocalResume("technician ada"))
    home.run(3)
    assert home.mode() is Mode.LOCKOUT
    assert home.disk.latches == ("over_temperature",)
    assert any("while their cause is there" in n for n in home.notices)


def test_a_running_dispatch_goes_on_under_warnings() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.run(12)
    for cause in (disk, clock, set_battery(alarms=("soc_low_alarm",))):
        cause(home)
    home.run(5)
    assert home.given() == 5000


@pytest.mark.parametrize(
    ("alarm", "charge", "discharge"),
    [
        ("cell_high_voltage_alarm", False, False),
        ("soc_low_alarm", False, False),
        ("aerosol_alarm", True, True),
        ("cell_over_voltage_protection", True, False),
        ("charge_under_temperature_protection", True, False),
        ("charge_over_current_latch", True, False),
        ("cell_under_voltage_protection", False, True),
        ("soc_low_protection", False, True),
        ("discharge_over_current_2_protection", False, True),
        ("short_circuit_latch", True, True),
        ("ambient_over_temperature_protection", True, True),
        ("charge_mosfet_fault", True, True),
        ("something_that_nobody_knows", True, True),
    ],
)
def test_what_alarms_forbid(alarm: str, charge: bool, discharge: bool) -> None:
    assert blocked((alarm,)) == (charge, discharge)
    assert blocked((alarm, "soc_low_alarm")) == (charge, discharge)


def test_a_one_sided_protection_leaves_the_other_side() -> None:
    home = Home().ready()
    home.battery["alarms"] = ("cell_over_voltage_protection",)
    home.run(2)
    assert (home.decision.lo_w, home.decision.hi_w) == (0, 11_400)
    assert "bms_protection" not in home.faults()
    home.battery["alarms"] = ("cell_over_voltage_protection", "discharge_over_current_protection")
    home.run(2)
    assert (home.decision.lo_w, home.decision.hi_w) == (0, 0)
    assert home.mode() is Mode.FAULT
