"""What register writes mean to the inverter of the bench, by its effect and not by anyone's name for it."""

from __future__ import annotations

from hil.devices import sunspec_hybrid as model
from hil.devices.slave import WrittenRegisters
from hil.writes import WriteLog, fingerprint


def _take(log: WriteLog, address: int, *words: int, unit: int = 3, exception: int = 0) -> tuple[object, object]:
    fields = log.take(WrittenRegisters(0, unit, 16, address, words, exception), 0).fields
    return fields["kind"], fields["value"]


def test_a_setpoint_and_its_end() -> None:
    log = WriteLog()
    assert _take(log, model.RVRT_TMS, 60) == ("timer", 60)
    assert _take(log, model.OUT_W_RTE, 5000, 0x10000 - 5000) == ("staged", 0)
    assert _take(log, model.STOR_CTL_MOD, 3) == ("power", 5700)
    assert _take(log, model.OUT_W_RTE, 0x10000 - 2500, 2500) == ("power", -2850)
    assert log.setpoint_w == -2850
    assert _take(log, model.STOR_CTL_MOD, 0) == ("clear", 0)
    assert _take(log, model.OUT_W_RTE, 10_000, 10_000) == ("staged", 0)
    assert log.setpoint_w is None
    counts = {"wire.power": 2, "wire.clear": 1, "wire.floor": 0, "wire.other": 3}
    assert log.signals() == {**counts, "wire.setpoint_w": None}


def test_zero_watts_is_power_and_other_writes_have_their_own_names() -> None:
    log = WriteLog()
    assert _take(log, model.STOR_CTL_MOD, 3)[0] == "power"
    assert _take(log, model.OUT_W_RTE, 0, 0) == ("power", 0)
    assert _take(log, model.MIN_RSV_PCT, 2000) == ("floor", 200)
    assert _take(log, 40_010, 1) == ("other", 0)
    assert _take(log, 5, 1, unit=1) == ("other", 0)
    assert _take(log, model.OUT_W_RTE, 1, exception=3) == ("refused", 3)


def test_a_fingerprint_has_no_times() -> None:
    one, other = WriteLog(), WriteLog()
    first = one.take(WrittenRegisters(1, 3, 16, model.MIN_RSV_PCT, (2000,), 0), 1)
    second = other.take(WrittenRegisters(9, 3, 16, model.MIN_RSV_PCT, (2000,), 0), 9)
    assert fingerprint([first]) == fingerprint([second]) == [("inverter", model.MIN_RSV_PCT, "2000")]
