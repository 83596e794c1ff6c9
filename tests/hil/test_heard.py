"""What the aggregator heard, held against the plant: settlement by record, telemetry by second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agent.runtime.part import Now
from hil.aggregator.book import DeviceBook, Message
from hil.heard import Heard
from hil.remembered import Remembered
from hil.signals import SIGNALS

T0 = 1_767_286_800_000
NOTHING = {"charge_wh": 0, "discharge_wh": 0, "import_wh": 0, "export_wh": 0, "pv_wh": 0}


def truth(**values: float) -> dict[str, float]:
    """A home in which 3600 W flow out of the battery, and nothing else is."""
    names = [name for name in SIGNALS if name.startswith("truth.")]
    return {**dict.fromkeys(names, 0.0), **{f"truth.{name}": value for name, value in values.items()}}


def heard(kind: str, **claims: Any) -> Message:
    return Message("home", kind, claims, Now(0, 0), 0)


def interval(t0_s: int, t1_s: int, end: Mapping[str, int], jumps: Any = (), quality: str = "ok") -> Message:
    ends = {"t0_ms": T0 + 1000 * t0_s, "t1_ms": T0 + 1000 * t1_s, "start": NOTHING, "end": {**NOTHING, **end}}
    return heard("settlement", record="interval", quality=quality, jumps=jumps, **ends)


def event(t0_s: int | None, t1_s: int, **delivered: int) -> Message:
    started = None if t0_s is None else T0 + 1000 * t0_s
    told = {f"delivered_{way}_wh": delivered.get(way, 0) for way in ("charge", "discharge")}
    times = {"started_ms": started, "ended_ms": T0 + 1000 * t1_s}
    return heard("settlement", record="performance", quality="ok", **times, **told)


def after(seconds: int, book: DeviceBook) -> dict[str, Any]:
    """The signals when 3600 W were discharged for so long, 1 Wh a second, and then all of `book` comes."""
    seen = Heard()
    for s in range(seconds):
        seen.look(T0 + 1000 * s, at(s), DeviceBook("home"))
    return seen.look(T0 + 1000 * seconds, at(seconds), book)


def at(s: int) -> dict[str, float]:
    return truth(discharged_wh=float(s), battery_w=3600.0, soc_permille=500.0)


# --- settlement -------------------------------------------------------------------------------------------------------
def test_what_flowed_is_held_against_each_way_of_an_interval() -> None:
    book = DeviceBook("home", settlements=[interval(0, 100, {"discharge_wh": 97})])
    signals = after(120, book)
    assert signals["settled.intervals"] == 1
    assert signals["settled.discharge_off_wh"] == pytest.approx(-3)
    assert signals["settled.charge_off_wh"] == 0


def test_ways_that_are_taken_for_each_other_do_not_cancel_out() -> None:
    book = DeviceBook("home", settlements=[interval(0, 100, {"charge_wh": 100})])
    signals = after(120, book)
    assert signals["settled.charge_off_wh"] == pytest.approx(100)
    assert signals["settled.discharge_off_wh"] == pytest.approx(-100)


def test_the_record_that_is_furthest_off_stays() -> None:
    rows = [interval(0, 50, {"discharge_wh": 70}), interval(50, 100, {"discharge_wh": 49})]
    signals = after(120, DeviceBook("home", settlements=rows))
    assert signals["settled.intervals"] == 2
    assert signals["settled.discharge_off_wh"] == pytest.approx(20)


def test_a_jump_counts_as_its_estimate() -> None:
    jump = {"name": "discharge_wh", "before_wh": 40, "after_wh": 9_040, "why": "ahead", "estimated_wh": 10}
    pv = {"name": "pv_wh", "before_wh": 0, "after_wh": 5, "why": "ahead", "estimated_wh": 0}
    book = DeviceBook("home", settlements=[interval(0, 100, {"discharge_wh": 9_090}, (jump, pv))])
    assert after(120, book)["settled.discharge_off_wh"] == pytest.approx(0)


def test_what_a_record_does_not_vouch_for_is_not_judged() -> None:
    book = DeviceBook("home", settlements=[interval(0, 100, {"discharge_wh": 9}, quality="est")])
    assert after(120, book)["settled.intervals"] == 0


def test_an_event_is_judged_over_its_own_time_and_one_that_never_began_is_not() -> None:
    book = DeviceBook("home", settlements=[event(None, 10), event(20, 60, discharge=41, charge=2)])
    signals = after(120, book)
    assert signals["settled.events"] == 1
    assert signals["settled.event_discharge_off_wh"] == pytest.approx(1)
    assert signals["settled.event_charge_off_wh"] == pytest.approx(2)


def test_an_event_over_which_the_clock_was_put_back_is_not_judged() -> None:
    """It began a day after its end; that time was never looked at by this clock."""
    rows = [event(86_400 + 40, 100, discharge=1), interval(20, 100, {"discharge_wh": 80})]
    book = DeviceBook("home", settlements=rows)
    signals = after(120, book)
    assert signals["settled.events"] == 0
    assert signals["settled.intervals"] == 1


def test_a_record_of_a_clock_that_was_put_back_holds_up_none_behind_it() -> None:
    ahead = interval(86_400, 86_500, {"discharge_wh": 1})
    signals = after(120, DeviceBook("home", settlements=[ahead, interval(20, 100, {"discharge_wh": 80})]))
    assert signals["settled.intervals"] == 1
    assert signals["settled.discharge_off_wh"] == pytest.approx(0)


def test_what_was_not_looked_at_is_not_judged_and_what_comes_later_waits() -> None:
    early, late = interval(-60, 30, {"discharge_wh": 9}), interval(30, 121, {"discharge_wh": 91})
    seen, book = Heard(), DeviceBook("home", settlements=[early])
    for s in range(120):
        seen.look(T0 + 1000 * s, at(s), book)
    book.settlements.append(late)
    signals = seen.look(T0 + 120_000, at(120), book)
    assert signals["settled.intervals"] == 0
    assert signals["settled.discharge_off_wh"] is None
    signals = seen.look(T0 + 121_000, at(121), book)
    assert signals["settled.intervals"] == 1
    assert signals["settled.discharge_off_wh"] == pytest.approx(0)


# --- telemetry --------------------------------------------------------------------------------------------------------
def batch(t0_s: int, **columns: list[int | None]) -> Message:
    rows = [[1000 * i, *values] for i, values in enumerate(zip(*columns.values(), strict=True))]
    return heard("batch", t0_ms=T0 + 1000 * t0_s, cols=["dt_ms", *columns], rows=rows)


def test_a_second_is_right_when_the_plant_had_it_then() -> None:
    book = DeviceBook("home", batches=[batch(10, battery_w=[3600, 3590, None], soc_permille=[500, 500, 504])])
    signals = after(30, book)
    assert signals["told.rows"] == 3
    assert signals["told.battery_off_w"] == -10
    assert signals["told.soc_off_permille"] == 4
    assert signals["told.pv_off_w"] is None


def test_a_flipped_sign_is_seen_in_a_live_record() -> None:
    book = DeviceBook("home")
    book.lives.append(heard("live", iat=T0 + 20_000, battery_w=-3600))
    assert after(30, book)["told.battery_off_w"] == -7200


def test_what_moves_is_right_anywhere_between_its_ends() -> None:
    seen = Heard()
    for s in range(10):
        seen.look(T0 + 1000 * s, truth(battery_w=1000.0 * s), DeviceBook("home"))
    book = DeviceBook("home", batches=[batch(5, battery_w=[4700])])
    signals = seen.look(T0 + 10_000, truth(battery_w=10_000.0), book)
    assert signals["told.battery_off_w"] == 0


def test_a_row_that_the_disk_has_spoilt_and_one_of_before_are_not_judged() -> None:
    book = DeviceBook("home", batches=[heard("batch", unreadable=True), batch(-20, battery_w=[9])])
    assert after(30, book)["told.rows"] == 0


# --- the plant's past -------------------------------------------------------------------------------------------------
def test_the_past_is_a_line_between_two_looks() -> None:
    past = Remembered(("truth.battery_w",))
    assert past.span_ms is None
    for s in (0, 2):
        past.see(T0 + 1000 * s, {"truth.battery_w": 100.0 * s})
    assert past.at(T0 + 500) == {"truth.battery_w": 50.0}
    assert past.at(T0 - 500) == {"truth.battery_w": 0.0}


def test_a_clock_that_is_put_back_begins_anew_and_a_rig_has_no_past() -> None:
    past = Remembered(("truth.battery_w",))
    past.see(T0, {"truth.battery_w": None})
    assert past.span_ms is None
    past.see(T0 + 5000, {"truth.battery_w": 1})
    past.see(T0 + 5100, {"truth.battery_w": 2})
    assert past.over(T0, T0 + 9000) == [{"truth.battery_w": 1.0}]
    past.see(T0, {"truth.battery_w": 3})
    assert past.span_ms == (T0, T0)
