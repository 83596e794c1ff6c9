"""The accounts of settlement: laws over any splits, restarts and clocks, held against sums made here; then examples."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import accounts
from agent.core.accounts import Ledger
from agent.core.book import Book, Cycle, Live
from agent.core.command import Command, CommandKind, CommandState
from agent.core.decision import Mode
from agent.core.durable import CommandRecord, Durable, OptOut
from agent.core.flows import Integrals, Jump, Registers, Stand, Unread, flowed
from agent.core.inputs import Clock, ClockTrust, Consent, PutBack, Reserve
from agent.core.kept import kept_after
from agent.core.now import Now
from agent.core.params import S
from agent.core.settlement import Meters
from agent.core.snapshot import Snapshot, Trace, take
from agent.core.standing import Memory
from agent.core.step import final
from drivers.readings import GridState
from tests.core import home as h
from tests.core.home import PARAMS, Home, arriving, command
from tests.core.test_snapshot import world

WALL_MS = 1_700_000_100_000  # 22:15:00 UTC: a quarter begins
QUARTER_MS = 900_000
START = 10_000 * S
BASE, _ = take(PARAMS, world(), Trace(START))
ENERGIES = ("charge_wh", "discharge_wh", "import_wh", "export_wh", "pv_wh")


class Tally:
    """`follow` in its loop; what goes in is summed up here as well."""

    def __init__(self, registers: bool = False) -> None:
        self.ledger = accounts.begin("")
        self.now_ns, self.offset_ms = START, WALL_MS - START // 1_000_000
        self.trust = ClockTrust.SYNCED
        self.kernel_boot = "kernel"
        self.records: list[dict[str, Any]] = []
        self.notices: list[str] = []
        self.fresh = True
        self.durable = Durable()
        self.meters = Meters()
        self.live: tuple[Live, ...] = ()
        self.due: CommandRecord | None = None
        self.mode = Mode.LOCAL
        self.memory: tuple[Memory, ...] = ()
        self.registers = [1_000_000, 2_000_000] if registers else None
        self.inputs = world()
        self.snapshot: Snapshot = BASE
        self.sums = dict.fromkeys(ENERGIES, 0)
        self.wh = 0.0

    @property
    def wall_ms(self) -> int:
        return self.now_ns // 1_000_000 + self.offset_ms

    def put(self, battery_w: int | None = 0, grid_w: int = 0, s: float = 1.0, soc: int = 600, **changes: Any) -> None:
        """One cycle, `s` seconds after the last, with these powers since."""
        ns = round(s * S)
        first = self.ledger.key is None
        self.now_ns += ns
        if battery_w is not None and not first and ns <= accounts.MOST_NS:
            self.sums["discharge_wh"] += max(0, battery_w) * ns
            self.sums["charge_wh"] += max(0, -battery_w) * ns
            self.sums["import_wh"] += max(0, grid_w) * ns
            self.sums["export_wh"] += max(0, -grid_w) * ns
        imported, exported = self.registers if self.registers is not None else (None, None)
        meter = h.meter(self.now_ns, grid_w=grid_w, import_wh=imported, export_wh=exported, frequency_mhz=60_000)
        pack = BASE.pack
        assert pack is not None
        self.snapshot = replace(
            BASE,
            now_ns=self.now_ns,
            battery_w=battery_w,
            load_w=None if battery_w is None else battery_w + grid_w,
            pv_w=0,
            meter=meter,
            pack=pack._replace(soc_min=soc, soc_max=soc),
            **changes,
        )
        self.inputs = replace(self.inputs, now_ns=self.now_ns, clock=self.clock())
        self.follow()

    def follow(self) -> None:
        say = Cycle(self.now_ns, self.clock(), PARAMS, True, self.fresh, None)
        book = Book(self.durable, self.live, self.meters)
        room, asked_w = (-5000, 5000), self.due.command.power_w or 0 if self.due is not None else 0
        self.ledger = accounts.follow(
            self.ledger, Now(self.inputs, self.snapshot, book, self.due, self.mode, self.memory, room, say, asked_w)
        )
        self.records += [dict(record.body) for record in say.records]
        self.notices += say.notices

    def clock(self) -> Clock:
        return Clock(self.wall_ms, self.trust, self.kernel_boot, "boot")

    def restart(self, off_s: int = 0) -> None:
        """With all that was held, as a clean stop leaves it."""
        text = accounts.text(self.ledger, Book(self.durable, (), self.meters))
        self.ledger = accounts.begin(text, self.durable.commands)
        self.now_ns += off_s * S

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["record"] == kind]


def flows(record: dict[str, Any]) -> dict[str, int]:
    jumped = dict.fromkeys(ENERGIES, 0)
    for jump in record["jumps"]:
        if jump["name"] not in record["estimated"]:
            jumped[jump["name"]] += jump["after_wh"] - jump["before_wh"] - jump["estimated_wh"]
    return {name: record["end"][name] - record["start"][name] - jumped[name] for name in ENERGIES}


STEP = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 700), st.integers(-6000, 6000)),
    st.tuples(st.just("restart"), st.integers(0, 2000), st.just(0)),
    st.tuples(st.just("clock"), st.sampled_from([-7200, -90, -3, -1, 1, 3, 90, 7200]), st.just(0)),
    st.tuples(st.just("trust"), st.sampled_from([0, 1, 2]), st.just(0)),
    st.tuples(st.just("stall"), st.integers(11, 3000), st.just(0)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=9), st.booleans())
def test_whatever_happens_every_second_and_watt_hour_is_in_one_record(steps: list[Any], registers: bool) -> None:
    tally = Tally(registers)
    tally.put(0)
    began_ns, dark_ns = tally.now_ns, 0
    for what, number, power_w in [*steps, ("trust", 0, 0), ("run", 1000, 700)]:
        if what == "run":
            for i in range(0, number, 5):
                if tally.registers is not None:
                    tally.registers[0] += i % 3
                tally.put(power_w, -power_w, s=5)
        elif what == "restart":
            before = tally.now_ns
            tally.restart(number)
            tally.put(0, 0)
            dark_ns += tally.now_ns - before
        elif what == "clock":
            tally.offset_ms += number * 1000
        elif what == "trust":
            tally.trust = list(ClockTrust)[number]
        else:
            tally.put(500, 0, s=number)
            dark_ns += number * S
    assert not tally.of("lost"), tally.notices
    spans = [r for r in tally.records if r["record"] in ("interval", "gap")]
    for one, two in pairwise(spans):
        both = [n for n in ENERGIES if n not in one["estimated"] and n not in two["estimated"]]
        assert {n: one["end"][n] for n in both} == {n: two["start"][n] for n in both}
        if one["estimated"] == two["estimated"]:
            assert one["end"] == two["start"]
    kept = accounts._folded(tally.ledger, Book(tally.durable, (), tally.meters)).kept
    for name in ("charge_wh", "discharge_wh"):
        left = kept.stand.integrals.wh()[ENERGIES.index(name)] - (spans[-1]["end"][name] if spans else 0)
        assert sum(flows(r)[name] for r in spans) + left == tally.sums[name] // 3_600_000_000_000
    intervals = tally.of("interval")
    assert kept.open is not None
    lasted = sum(r["lasted_s"] for r in intervals) + kept.open.ns / S
    assert abs(lasted - (tally.now_ns - began_ns - dark_ns) / S) <= len(intervals) + 1
    for one, two in pairwise(intervals):
        if one["era"] == two["era"] and "untrusted" not in (one["time"], two["time"]):
            assert one["t0_ms"] < one["t1_ms"] <= two["t0_ms"] < two["t1_ms"]
    whole = [(r["era"], r["t0_ms"]) for r in intervals if not r["partial"]]
    assert len(whole) == len(set(whole))
    assert all(t0 % QUARTER_MS == 0 for _, t0 in whole)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 180), min_size=1, max_size=6), st.booleans())
def test_any_split_by_restarts_has_the_sums_of_none(cuts: list[int], registers: bool) -> None:
    """Sum of intervals = difference of the registers, however often it was restarted without time between."""
    totals = []
    for places in ([], sorted(set(cuts))):
        tally = Tally(registers)
        tally.put(0)
        for second in range(1, 200):
            if tally.registers is not None:
                tally.registers[0] += second % 5
            tally.put(360, 1800, s=10)
            if second in places:
                tally.restart()
        spans = [r for r in tally.records if r["record"] in ("interval", "gap")]
        totals.append({name: sum(flows(r)[name] for r in spans) for name in ENERGIES})
        moved = {name: spans[-1]["end"][name] - spans[0]["start"][name] for name in ENERGIES}
        assert totals[-1] == moved
    lost = len(set(cuts))  # the ten seconds between a start and its first look, 1 Wh, are in a gap
    assert 0 <= totals[0]["discharge_wh"] - totals[1]["discharge_wh"] <= lost + 1


def test_a_quarter_is_whole_and_exact() -> None:
    tally = Tally(registers=True)
    tally.put(0)
    for _ in range(910):
        assert tally.registers is not None
        tally.registers[0] += 1
        tally.put(3600, 1800)
    (found,) = tally.of("interval")
    assert (found["t0_ms"], found["t1_ms"], found["partial"]) == (WALL_MS + 1000, WALL_MS + QUARTER_MS, True)
    for _ in range(900):
        tally.put(3600, 1800)
    found = tally.of("interval")[1]
    assert (found["t0_ms"], found["t1_ms"]) == (WALL_MS + QUARTER_MS, WALL_MS + 2 * QUARTER_MS)
    assert not found["partial"]
    assert flows(found)["discharge_wh"] == 900
    assert found["battery_w"] == {"avg": 3600, "min": 3600, "max": 3600}
    assert (found["samples"], found["missing_s"], found["lasted_s"]) == (900, 0, 900)
    assert (found["quality"], found["time"], found["source"]) == ("ok", "synced", "meter")
    assert found["estimated"] == ["charge_wh", "discharge_wh", "pv_wh"]
    assert found["frequency_mhz"] == {"avg": 60_000, "min": 60_000, "max": 60_000}
    assert found["residual_wh"] == flows(found)["import_wh"] + 900 - 1350


@pytest.mark.parametrize(("by", "why"), [(-999_000, "back"), (5_000_000, "ahead")])
def test_of_a_register_that_jumps_the_measured_power_counts(by: int, why: str) -> None:
    tally = Tally(registers=True)
    tally.put(0)
    assert tally.registers is not None
    for second in range(1900):
        tally.registers[0] += 1 if second < 1200 or second > 1300 else 0
        tally.registers[0] += by if second == 1250 else 0
        tally.put(0, 1800)
    first, second_ = tally.of("interval")
    assert first["jumps"] == []
    (jump,) = second_["jumps"]
    assert (jump["name"], jump["why"]) == ("import_wh", why)
    assert second_["quality"] == "bad"
    assert jump["estimated_wh"] == flows(second_)["import_wh"] == 450
    assert second_["residual_wh"] == 0


def test_a_clock_that_steps_is_a_record_and_nothing_is_counted_twice() -> None:
    tally = Tally()
    tally.put(0)
    for _ in range(100):
        tally.put(3600)
    tally.offset_ms -= 3_600_000
    for _ in range(100):
        tally.put(3600)
    (before,) = tally.of("interval")
    (clock,) = tally.of("clock")
    assert (clock["why"], clock["era"]) == ("step", 1)
    assert clock["from_ms"] - clock["to_ms"] == 3_600_000
    assert (before["era"], before["partial"], before["lasted_s"]) == (0, True, 101)
    opened = tally.ledger.kept.open
    assert opened is not None
    assert opened.t0_ms == clock["to_ms"]


def test_a_clock_that_begins_to_be_trusted_places_what_went_before() -> None:
    tally = Tally()
    tally.trust = ClockTrust.UNTRUSTED
    tally.offset_ms -= 999_900_000
    tally.put(0)
    for _ in range(1000):
        tally.put(3600)
    (blind,) = tally.of("interval")
    assert (blind["time"], blind["partial"], blind["lasted_s"]) == ("untrusted", True, 899)
    tally.trust, tally.offset_ms = ClockTrust.SYNCED, tally.offset_ms + 999_900_000
    tally.put(3600)
    placed = tally.of("interval")[1]
    (clock,) = tally.of("clock")
    assert (placed["time"], placed["t1_ms"], placed["era"]) == ("placed", tally.wall_ms, 1)
    assert placed["t1_ms"] - placed["t0_ms"] == 102_000
    assert (clock["why"], clock["to_ms"] - clock["from_ms"]) == ("trusted", 999_900_000)
    tally.trust = ClockTrust.UNTRUSTED
    tally.put(3600)
    assert tally.of("clock")[-1]["why"] == "untrusted"


def test_time_without_the_agent_is_a_gap_with_the_registers_of_both_ends() -> None:
    tally = Tally(registers=True)
    tally.put(0)
    for _ in range(50):
        tally.put(3600)
    tally.restart(off_s=1800)
    assert tally.registers is not None
    tally.registers[0] += 700
    tally.put(0)
    (gap,) = tally.of("gap")
    assert (gap["reason"], gap["t1_ms"] - gap["t0_ms"]) == ("not_running", 1_801_000)
    assert flows(gap)["import_wh"] == 700
    assert gap["jumps"] == []
    tally.restart(off_s=10)
    tally.offset_ms -= 3_600_000
    tally.registers[0] -= 5_000
    tally.put(0)
    gap = tally.of("gap")[1]
    assert (gap["t1_ms"], gap["jumps"][0]["why"]) == (None, "back")
    assert tally.of("clock")[-1]["why"] == "step"


@pytest.mark.parametrize("early", [True, False])
def test_a_disk_that_was_put_back_begins_an_era_and_its_gap_may_have_been_told(early: bool) -> None:
    """Known before the first second is counted, the gap says so; later the store says it in its row."""
    home = Home().ready() if not early else Home()
    if early:
        home.state = replace(home.state, ledger=_after_an_hour())
    home.tick(PutBack(7))
    assert home.state.ledger.kept.era == 7
    for _ in range(30):
        home.tick()
    gaps = [r for r in home.settled if r["record"] == "gap"]
    assert [(g["era"], g["perhaps_told"]) for g in gaps] == ([(7, True)] if early else [])


def _after_an_hour() -> Ledger:
    tally = Tally()
    for _ in range(3):
        tally.put(0)
    return accounts.begin(accounts.text(tally.ledger, Book(Durable())))


def test_a_process_that_stood_still_has_a_gap() -> None:
    tally = Tally()
    tally.put(0)
    tally.put(3600)
    tally.offset_ms += 60_000
    tally.put(3600, s=400)
    (gap,) = tally.of("gap")
    assert gap["reason"] == "stalled"
    assert tally.of("clock")[0]["why"] == "step"
    assert tally.sums["discharge_wh"] == 3600 * S


def test_accounts_that_fail_cost_the_accounts_alone() -> None:
    tally = Tally()
    tally.put(0)
    tally.ledger = tally.ledger._replace(kept=tally.ledger.kept._replace(open=None))
    tally.put(0)
    (lost,) = tally.of("lost")
    assert "AssertionError" in lost["what"]
    assert tally.notices
    for _ in range(899):
        tally.put(0)
    assert tally.ledger.key is None
    tally.put(0)
    tally.put(0)
    assert tally.ledger.key is not None


def test_what_was_kept_is_read_strictly() -> None:
    assert accounts.begin("") == Ledger()
    for text in ("x", "[]", "3", '{"a":1}', "[1,2]", "[1,true,0,[1],null,[],[],null]"):
        assert accounts.begin(text) == Ledger()


def test_nothing_is_counted_before_the_first_readings() -> None:
    tally = Tally()
    tally.mode = Mode.INIT
    tally.put(3600)
    assert tally.ledger.key is None
    assert accounts.text(tally.ledger, Book(Durable())) == ""


# --- events -----------------------------------------------------------------------------------------------------------
def running(power_w: int = 3600, kind: CommandKind = CommandKind.DISPATCH) -> CommandRecord:
    command = Command("c" * 32, kind, "agg:f", "d" * 64, 1, 2, None, 3600, power_w)
    return CommandRecord(command, CommandState.STARTED, None, WALL_MS, 0, 0, 10**15, "kernel", started=True)


def take_up(tally: Tally, record: CommandRecord) -> None:
    tally.durable, tally.due = replace(tally.durable, commands=(record,)), record


def drive(tally: Tally, seconds: int, gives_w: int) -> None:
    assert tally.due is not None
    for _ in range(seconds):
        tally.meters = tally.meters.add(tally.due.command.id, gives_w * S)
        tally.put(gives_w)


@pytest.mark.parametrize("restart", [False, True])
def test_an_event_is_the_sum_of_its_quarters(restart: bool) -> None:
    tally = Tally()
    tally.put(0)
    for _ in range(310):
        tally.put(100, 200)
    record = running()
    take_up(tally, record)
    drive(tally, 400, 3600)
    if restart:
        mwh = tally.meters.total(record)
        record = replace(record, delivered_mwh=mwh)
        tally.meters = Meters()
        take_up(tally, record)
        tally.restart()
        tally.put(3600)
    drive(tally, 700, 1800)
    done = replace(record, state=CommandState.COMPLETED, delivered_mwh=tally.meters.total(record))
    tally.durable, tally.due = replace(tally.durable, commands=(done,)), None
    tally.put(0)
    (found,) = tally.of("performance")
    assert found["digest"] == "d" * 64
    assert (found["state"], found["before_w"], found["before_grid_w"]) == ("completed", 100, 200)
    assert found["delivered_wh"] == 400 + 350 == sum(q["delivered_wh"] for q in found["quarters"])
    assert found["requested_wh"] == sum(q["requested_wh"] for q in found["quarters"])
    assert abs(found["requested_wh"] - 1100) <= 1
    assert found["to_90_pct_s"] == 1
    assert (found["requested_w"], found["lasted_s"]) == (3600, 1100 + restart)
    assert found["quarters"][1 if not restart else -1]["t0_ms"] % QUARTER_MS == 0
    assert abs(found["error_rms_w"] - 1436) <= 1
    assert tally.ledger.kept.events == ()
    tally.put(0)
    assert len(tally.of("performance")) == 1


def test_an_event_that_never_began_and_one_whose_power_nobody_knows() -> None:
    tally = Tally()
    tally.put(0)
    take_up(tally, running())
    tally.put(None)
    tally.put(None)
    done = replace(running(), state=CommandState.FAILED, reason="stale_inverter")
    tally.durable, tally.due = replace(tally.durable, commands=(done,)), None
    tally.put(0)
    (found,) = tally.of("performance")
    assert (found["quality"], found["error_rms_w"], found["reason"]) == ("est", None, "stale_inverter")
    waiting = replace(running(kind=CommandKind.SESSION), state=CommandState.SCHEDULED)
    tally.durable = replace(tally.durable, commands=(waiting,))
    tally.put(0)
    tally.durable = replace(tally.durable, commands=(replace(waiting, state=CommandState.CANCELLED),))
    tally.put(0)
    (found,) = tally.of("session")
    assert (found["quarters"], found["started_ms"], found["requested_w"]) == ([], None, 0)
    tally.durable = replace(tally.durable, commands=(running(),))
    tally.put(0)
    tally.durable = replace(tally.durable, commands=())  # forgotten before it ended: it has no record
    tally.put(0)
    assert len(tally.of("performance")) == 1


# --- the reserve, outages, frequency, availability --------------------------------------------------------------------
def day_of(tally: Tally) -> dict[str, int]:
    tally.offset_ms += 86_400_000
    tally.put(0, soc=600)
    tally.put(0, soc=600)
    return {b["reason"]: b["lasted_s"] for b in tally.of("reserve")[-1]["below"]}


def test_what_nobody_follows_since_the_home_opted_out_is_asked_and_no_dispatch_of_it() -> None:
    """Not to blame for a battery below the reserve, nor praised for what the home takes from it."""
    tally = Tally()
    tally.put(0)
    record = running()
    take_up(tally, record)
    tally.durable = replace(tally.durable, opted_out=OptOut("ada", "homeowner", 1))
    for _ in range(100):
        tally.put(3600, soc=100)
    assert tally.ledger.key is not None
    assert tally.ledger.key.below == "self_use"
    tally.durable = replace(tally.durable, opted_out=None, commands=(replace(record, state=CommandState.COMPLETED),))
    tally.due = None
    for _ in range(900):
        tally.put(0)
    (found,) = tally.of("performance")
    assert (found["requested_wh"], found["delivered_wh"], found["lasted_s"]) == (100, 0, 100)
    assert found["limited"] == [{"reason": "opt_out", "lasted_s": 100}]
    assert found["to_90_pct_s"] is None
    closed = tally.of("interval")[0]
    assert (closed["dispatched_s"], closed["opted_out_s"], closed["command_ids"]) == (0, 100, [])
    assert closed["limited"] == [{"reason": "opt_out", "lasted_s": 100}]


def test_below_the_reserve_has_a_cause() -> None:
    tally = Tally()
    tally.put(0)
    for _ in range(20):
        tally.put(500, soc=150)
    tally.put(0)
    for _ in range(30):
        tally.put(500, soc=150, grid=GridState.ISLANDED)
    for _ in range(10):
        tally.put(-500, soc=150)  # it fills up again after the outage
    tally.put(0)
    take_up(tally, running())
    for _ in range(5):
        tally.put(3600, soc=150)
    tally.durable, tally.due = replace(tally.durable, commands=()), None
    tally.put(0)
    assert day_of(tally) == {"self_use": 20, "outage": 40, "dispatch": 5}
    found = tally.of("reserve")[-1]
    assert (found["outage_s"], found["outage_served_wh"]) == (30, 4)
    (checkpoint,) = tally.of("checkpoint")
    assert checkpoint["day"] == found["day"] == "2023-11-14"
    tally.put(0)
    tally.inputs = replace(tally.inputs, reserve=Reserve(700, "file"))
    for _ in range(7):
        tally.put(0, soc=600)
    tally.inputs = replace(tally.inputs, reserve=Reserve(200, "file"))
    assert day_of(tally) == {"raised": 8}  # and the second in which it was lowered again
    tally.inputs = replace(tally.inputs, reserve=Reserve(1000, "unreadable"))
    for _ in range(7):
        tally.put(0, reserve_told=False)
    assert day_of(tally) == {}


def test_a_frequency_out_of_its_band_is_told_when_it_is_back() -> None:
    tally = Tally()

    def put(mhz: int | None, battery_w: int | None = 100, **changes: Any) -> None:
        tally.put(battery_w)
        meter = replace(tally.snapshot.meter, frequency_mhz=mhz)  # type: ignore[type-var]  # the tally's own
        tally.now_ns += S
        tally.snapshot = replace(tally.snapshot, meter=meter, now_ns=tally.now_ns, **changes)
        tally.inputs = replace(tally.inputs, clock=tally.clock())
        tally.follow()

    tally.put(100)
    for _ in range(70):
        tally.put(100)
    for mhz in (59_790, 59_500, None, 59_700):
        put(mhz, 1100 if mhz == 59_500 else 100)
    for _ in range(12):
        tally.put(100)
    (found,) = tally.of("frequency")
    assert (found["peak_mhz"], found["peak_w"], found["before_w"], found["function"]) == (59_500, 1000, 100, "none")
    assert found["lasted_s"] >= 4
    put(50_300, grid=GridState.ISLANDED)  # our own island's frequency is no grid event
    for _ in range(12):
        tally.put(100)
    assert len(tally.of("frequency")) == 1


def test_a_minute_without_dispatch_is_told_with_its_reason_and_expected_end() -> None:
    tally = Tally()
    tally.put(0)
    tally.mode = Mode.DEGRADED
    gone = tally.now_ns
    tally.memory = (Memory("battery_stale", True, gone, gone, 0, (gone,), "x"),)
    for _ in range(65):
        tally.put(0)
    (found,) = tally.of("availability")
    assert (found["available"], found["reason"]) == (False, "battery_stale")
    assert found["expected_return_ms"] >= found["at_ms"]
    tally.memory = ()
    for _ in range(65):
        tally.put(0)
    assert tally.of("availability")[-1]["reason"] == "degraded"
    tally.mode = Mode.LOCAL
    tally.inputs = replace(tally.inputs, disk_ok=False)
    for _ in range(65):
        tally.put(0)
    assert tally.of("availability")[-1]["reason"] == "disk"
    tally.inputs = replace(tally.inputs, disk_ok=True)
    tally.durable = replace(tally.durable, stopped_by="ada")
    for _ in range(65):
        tally.put(0)
    assert tally.of("availability")[-1]["reason"] == "stopped"
    tally.durable = replace(tally.durable, lockout="x", stopped_by=None)
    tally.mode = Mode.LOCKOUT
    latched = Memory("cell_over_voltage", True, gone, gone, 0, (gone,), "x")
    for _ in range(65):
        tally.put(0)
    assert tally.of("availability")[-1]["reason"] == "lockout"
    tally.durable, tally.memory, tally.mode = Durable(latches=(latched.id,)), (), Mode.LOCAL
    for _ in range(65):
        tally.put(0)
    assert tally.of("availability")[-1]["available"] is True
    for _ in range(900):
        tally.put(0)
    found = tally.of("interval")[0]
    assert {"reason": "stopped", "lasted_s": 65} in found["unavailable"]
    assert found["opted_out_s"] == 65


def test_a_start_that_has_heard_no_signed_time_is_not_available_but_goes_on_with_what_was_accepted() -> None:
    tally = Tally()
    tally.fresh = False
    for _ in range(65):
        tally.put(0)
    (found,) = tally.of("availability")
    assert (found["available"], found["reason"], found["expected_return_ms"]) == (False, "not_fresh", None)
    take_up(tally, running())
    drive(tally, 65, 3000)
    assert tally.of("availability")[-1]["available"] is True
    tally.durable, tally.due, tally.fresh = Durable(), None, True
    for _ in range(900):
        tally.put(0)
    (cause,) = tally.of("interval")[0]["unavailable"]
    assert cause["reason"] == "not_fresh"
    assert 60 <= cause["lasted_s"] <= 66


def test_two_cycles_within_a_second_are_one() -> None:
    tally = Tally()
    tally.put(0)
    before = tally.ledger
    tally.put(3600, s=0.3)
    assert tally.ledger is before
    tally.put(3600, s=0.7)
    assert tally.ledger.held[0][0] == S


def test_a_consent_is_a_record_of_who_what_and_whence() -> None:
    home = Home().ready()
    home.tick(Consent("reserve", "ada", True, None, 300))
    home.tick()
    (found,) = [record for record in home.settled if record["record"] == "consent"]
    assert (found["by"], found["local"], found["reserve_permille"], found["terms"]) == ("ada", True, 300, None)
    home.tick(Consent("terms", "ada", False, "ab" * 32), Consent("terms", "ada", False, "ab" * 32, withdrawn=True))
    home.tick()
    agreed = [record for record in home.settled if record["record"] == "consent"][1:]
    assert [(r["terms"], r.get("withdrawn", False)) for r in agreed] == [("ab" * 32, False), ("ab" * 32, True)]


def test_a_dispatch_through_whole_cycles_is_accounted_for_and_a_crash_doubles_nothing() -> None:
    home = Home().ready()
    home.tick(arriving(command(1, duration_s=120)))
    home.run(60)
    later = home.crash()
    later.run(200)
    (found,) = [record for record in later.settled if record["record"] == "performance"]
    done = next(a for a in later.acks if a["state"] == "completed")
    assert found["delivered_wh"] == done["energy_wh"] == sum(q["delivered_wh"] for q in found["quarters"])
    assert [record["record"] for record in later.settled if record["record"] == "gap"] == ["gap"]
    stopped = final(later.state)
    again = Home(durable=stopped, at_ns=later.now_ns)
    again.wall_offset_ms = later.wall_offset_ms
    again.ready()
    again.run(3)
    closed = [record for record in again.settled if record["record"] == "interval"]
    assert closed[0]["t1_ms"] == later.clock().wall_ms


def test_a_meter_that_falls_silent_leaves_its_registers_as_they_were() -> None:
    tally = Tally(registers=True)
    tally.put(0)
    for second in range(1000):
        tally.put(0, 100, meter_age_ns=0 if second < 800 else 60 * S)
    (found,) = tally.of("interval")
    assert found["end"]["import_wh"] == found["start"]["import_wh"] == 1_000_000
    assert (found["missing_s"], found["quality"]) == (99, "est")
    assert found["grid_w"]["avg"] == 100


def test_a_register_that_comes_late_and_jumps_at_once_is_no_energy() -> None:
    start = Stand(Registers(), Integrals())
    end = Stand(Registers(import_wh=500), Integrals(imported=3 * 3_600_000_000_000))
    jump = Jump("import_wh", 10, 500, "ahead")
    assert flowed(start, end, (jump,))["import_wh"] == 3


def test_an_event_that_waits_has_no_quarter_of_its_own() -> None:
    tally = Tally()
    tally.put(0)
    waiting = replace(running(), state=CommandState.SCHEDULED)
    tally.durable = replace(tally.durable, commands=(waiting,))
    for _ in range(1000):
        tally.put(0)
    take_up(tally, running())
    drive(tally, 5, 3600)
    done = replace(running(), state=CommandState.COMPLETED, delivered_mwh=5_000)
    tally.durable, tally.due = replace(tally.durable, commands=(done,)), None
    tally.put(0)
    (found,) = tally.of("performance")
    assert [q["delivered_wh"] for q in found["quarters"]] == [5]


def test_a_latched_fault_has_no_expected_end_and_a_limit_that_was_told_is_counted() -> None:
    tally = Tally()
    tally.put(0)
    gone = tally.now_ns
    tally.mode, tally.memory = Mode.DEGRADED, (Memory("battery_stale", True, gone, gone, 0, (gone,), "x"),)
    tally.durable = Durable(latches=("battery_stale",))
    for _ in range(65):
        tally.put(0)
    assert tally.of("availability")[-1]["expected_return_ms"] is None
    tally.mode, tally.memory, tally.durable = Mode.LOCAL, (), Durable()
    take_up(tally, running())
    tally.live = (Live("x" * 32), Live(running().command.id, acked_reason="reserve"))
    drive(tally, 7, 3600)
    tally.live = ()
    drive(tally, 3, 3600)
    done = replace(running(), state=CommandState.COMPLETED)
    tally.durable, tally.due = replace(tally.durable, commands=(done,)), None
    tally.put(0)
    assert tally.of("performance")[0]["limited"] == [{"reason": "reserve", "lasted_s": 7}]


@pytest.mark.parametrize("stall", [False, True])
def test_what_registers_said_before_the_agent_was_away_is_in_the_interval_and_not_in_the_gap(stall: bool) -> None:
    """Whoever stops or dies in mid-quarter, and whoever only stands still."""
    tally = Tally(registers=True)
    tally.put(0)
    assert tally.registers is not None
    for _ in range(120):
        tally.registers[1] += 2
        tally.put(7200, -7200)
    if not stall:
        tally.restart(off_s=60)
    tally.registers[1] += 30
    tally.put(0, 0, s=60 if stall else 1)
    (before,), (gap,) = tally.of("interval"), tally.of("gap")
    assert (flows(before)["export_wh"], before["residual_wh"]) == (240, 0)
    assert flows(gap)["export_wh"] == 30


def test_a_register_may_move_as_far_as_its_own_time_since_it_was_read_allows() -> None:
    """A meter that is silent for hours, and a home that is dark for a time that no clock tells."""
    tally = Tally(registers=True)
    tally.put(0)
    assert tally.registers is not None
    for _ in range(900):
        tally.put(0, 5000, s=5)
    silent = tally.registers
    tally.registers = None
    for _ in range(6 * 720):
        tally.put(0, 5000, s=5, meter_age_ns=10**12)
    tally.registers = silent
    tally.registers[0] += 30_000
    for _ in range(360):
        tally.put(0, 0, s=5)
    found = tally.of("interval")
    assert [r["jumps"] for r in found] == [[]] * len(found)
    assert sum(flows(r)["import_wh"] for r in found) == 30_000
    assert [r["quality"] for r in found if flows(r)["import_wh"]] == ["est"]
    assert found[-1]["quality"] == "ok"
    tally.trust, tally.inputs = ClockTrust.UNTRUSTED, replace(tally.inputs, clock=tally.clock())
    tally.restart(off_s=3600)
    tally.kernel_boot = "another"
    tally.registers[0] += 5_000
    tally.put(0)
    (gap,) = tally.of("gap")
    assert (gap["t1_ms"], gap["jumps"], flows(gap)["import_wh"]) == (None, [], 5_000)


def test_accounts_of_a_program_that_kept_less_are_taken_up() -> None:
    tally = Tally(registers=True)
    tally.put(0)
    for _ in range(100):
        tally.put(3600)
    kept = json.loads(accounts.text(tally.ledger, Book(Durable())))
    assert accounts.begin(json.dumps(kept[:8])).kept._replace(unread=Unread(), at_ns=0, kernel_boot="") == (
        accounts.begin(json.dumps(kept)).kept._replace(unread=Unread(), at_ns=0, kernel_boot="")
    )


def test_accounts_whose_text_is_lost_go_on_after_the_last_record_with_a_gap() -> None:
    tally = Tally(registers=True)
    tally.put(0)
    assert tally.registers is not None
    for _ in range(1000):
        tally.registers[0] += 1
        tally.put(3600, 3600)
    (last,) = tally.of("interval")
    tally.ledger = Ledger(kept=kept_after(json.loads(json.dumps(last))))
    tally.now_ns += 1800 * S
    tally.put(0)
    (gap,) = tally.of("gap")
    assert gap["start"] == last["end"]
    assert (flows(gap)["import_wh"], gap["t0_ms"], gap["t1_ms"]) == (101, last["t1_ms"], tally.wall_ms)
    assert kept_after({**gap, "t1_ms": None})[:3] == (gap["t0_ms"], False, 0)
    for other in ({"record": "clock"}, {}, {"record": "gap"}, {**gap, "end": 3}):
        assert kept_after(other).open is None
