"""Whole cycles under anything that the declared types allow: laws, no examples."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core.command import CommandKind, CommandState, RampClass
from agent.core.decision import Intent, Mode, Outputs
from agent.core.durable import CommandRecord, Durable, Window, from_json, to_json
from agent.core.inputs import (
    Clock,
    ClockTrust,
    CommandIn,
    CommitFailed,
    Committed,
    Device,
    FreshTime,
    Inputs,
    LocalResume,
    LocalStop,
    Reserve,
    WriteDone,
)
from agent.core.limits import LIMITS
from agent.core.params import S
from agent.core.state import State
from agent.core.step import final, initial, step
from drivers.readings import DeviceRole, GridState
from tests.core import home as h
from tests.core.home import PARAMS, Home, arriving, command

NOW = 10_000 * S
WILD = st.none() | st.integers(-70_000, 70_000)
AGE = st.sampled_from([0, S // 2, S, 2 * S, 2 * S + 1, 3 * S + 1, 5 * S, 5 * S + 1, 60 * S, -2 * S])
PERMILLE = st.none() | st.integers(-5, 1100)
FLAG = st.none() | st.booleans()

batteries = st.builds(
    lambda age, **f: (age, f),
    AGE,
    soc_permille=PERMILLE,
    soc_quantum_permille=st.integers(-1, 20),
    pack_mv=WILD,
    pack_ma=WILD,
    cell_max_mv=st.none() | st.integers(2500, 3800),
    cell_min_mv=st.none() | st.integers(2500, 3800),
    temp_max_dc=st.none() | st.integers(-400, 700),
    temp_min_dc=st.none() | st.integers(-400, 700),
    ccl_ma=WILD,
    dcl_ma=WILD,
    charge_enabled=FLAG,
    discharge_enabled=FLAG,
    alarms=st.sampled_from([(), ("x",), ("soc_low_alarm",), ("cell_over_voltage_protection",)]),
)
inverters = st.builds(
    lambda age, grid_age, **f: (age, grid_age, f),
    AGE,
    AGE,
    battery_w=WILD,
    pv_w=WILD,
    grid_state=st.sampled_from(GridState),
    soc_permille=PERMILLE,
    floor_permille=PERMILLE,
    remote_w=WILD,
    remote_active=FLAG,
    reversion_s=st.none() | st.integers(0, 600),
    status=st.sampled_from(["running", "fault", ""]),
)
meters = st.builds(
    lambda age, **f: (age, f),
    AGE,
    grid_w=WILD,
    phase_mv=st.sampled_from([(), (240_000,), (0,), (None, 240_000), (240_000, 0, 0)]),
    frequency_mhz=st.none() | st.sampled_from([0, 49_000, 60_000, 90_000]),
)
presences = st.sampled_from(["ok", "ok", "ok", "silent", "mismatch", "absent", "identifying", "?"])
commands = st.builds(
    h.command,
    st.integers(1, 4),
    kind=st.sampled_from(CommandKind),
    digest=st.sampled_from(["a" * 64, "b" * 64]),
    exp_ms=st.sampled_from([0, h.WALL_MS, h.WALL_MS + 10**9]),
    start_ms=st.none() | st.integers(h.WALL_MS - 10**6, h.WALL_MS + 10**6),
    duration_s=st.sampled_from([-1, 0, 1, 30, 600, 901, 90_000]),
    power_w=st.sampled_from([0, 1, 5000, -5000, 50_000, 10**9, -(10**40)]),
    primacy=st.integers(-1, 3),
    ramp=st.sampled_from(RampClass),
    target=st.none() | st.sampled_from([f"{n:032x}" for n in range(5)]),
)
windows = st.sampled_from([(), (("s", Window(3, 7)),)])
events = st.one_of(
    st.builds(CommandIn, commands, windows),
    st.just(FreshTime()),
    st.builds(Committed, st.integers(0, 9)),
    st.builds(CommitFailed, st.integers(0, 9), st.just("full")),
    st.builds(
        WriteDone,
        st.just("inverter"),
        st.sampled_from(["power", "clear", "floor", "stop", "heartbeat", "?"]),
        st.sampled_from([0, 570, 5000, 200]),
        st.sampled_from(["confirmed", "rejected", "mismatch", "silent", "late", "superseded", "refused"]),
        st.just(0),
    ),
    st.builds(LocalStop, st.just("ada")),
    st.builds(LocalResume, st.just("ada")),
)
cycles = st.tuples(
    st.sampled_from([0, S // 20, S, S, S, 3 * S, 40 * S, 700 * S, -S]),
    st.none() | batteries,
    st.none() | inverters,
    st.none() | meters,
    st.tuples(presences, presences, presences),
    st.lists(events, max_size=4),
    st.builds(Reserve, st.integers(-10, 1100), st.sampled_from(["file", "file", "unreadable", "new"])),
    st.booleans(),
    st.sampled_from(ClockTrust),
    st.integers(0, 2**64 - 1),
)


def inputs_of(now: int, cycle: Any) -> Inputs:
    _, battery, inverter, meter, presence, happened, reserve, disk_ok, trust, draw = cycle
    one, two, three = h.battery(now), h.inverter(now), h.meter(now)
    if battery is not None:
        one = replace(one, at_ns=now - battery[0], **battery[1])
    if inverter is not None:
        age, grid_age, fields = inverter
        two = replace(two, at_ns=now - age, grid_at_ns=now - grid_age, **fields)
    if meter is not None:
        three = replace(three, at_ns=now - meter[0], **meter[1])
    return Inputs(
        now_ns=now,
        clock=Clock(h.WALL_MS + (now - NOW) // 1_000_000, trust, "kernel", "boot"),
        batteries=(one,),
        inverters=(two,),
        meters=(three,),
        devices=tuple(replace(d, presence=word) for d, word in zip(h.devices(), presence, strict=True)),
        reserve=reserve,
        events=tuple(happened),
        disk_ok=disk_ok,
        link_up=True,
        draw=draw,
    )


def check(i: Inputs, before: State, after: State, out: Outputs) -> None:
    d = out.decision
    assert after.internal is None, after.internal
    assert d.lo_w <= 0 <= d.hi_w
    assert d.lo_w >= -11_400
    assert d.hi_w <= 11_400
    assert d.given_w is None or d.lo_w <= d.given_w <= d.hi_w
    if d.given_w is not None and d.asked_w is None:  # a zero on its way to release, after what asked for it is gone
        assert (d.given_w, d.mode) == (0, Mode.DEGRADED)
    if d.given_w is not None and d.mode not in (Mode.LOCAL, Mode.DISPATCHED, Mode.DEGRADED):
        assert d.given_w == 0  # near an unguarded reserve
        assert d.mode not in (Mode.INIT, Mode.LOCKOUT)
    if d.asked_w is not None and d.given_w is not None:
        assert abs(d.given_w) <= abs(d.asked_w)
        assert d.given_w * d.asked_w >= 0
        assert d.binding is not None or abs(d.asked_w - d.given_w) < 2
    inverter = i.inverters[0]
    evidenced = (
        inverter.grid_state is GridState.CONNECTED
        and -S <= i.now_ns - inverter.grid_at_ns <= 2 * S
        and i.devices[1].presence == "ok"
    )
    for write in out.writes:
        assert i.devices[1].presence == "ok"
        if write.intent in (Intent.POWER, Intent.FLOOR):
            assert evidenced
            assert d.grid == "connected"
        if write.intent is Intent.POWER:
            assert write.value == d.given_w
            if write.value != 0:
                assert d.mode in (Mode.LOCAL, Mode.DISPATCHED)
        if write.intent is Intent.FLOOR:
            assert 100 <= write.value <= 1000
            assert write.value == d.reserve_permille
        if write.intent is Intent.STOP:
            assert {"over_temperature", "over_voltage"} & {f.id for f in d.faults}
    assert len(out.writes) <= 2
    if out.commit is not None:
        assert out.commit.id == before.desk.next_id
        assert i.disk_ok
        assert from_json(to_json(out.commit.durable)) == out.commit.durable
        for record in out.commit.records:
            json.dumps(record.body)
            if record.kind == "ack":
                assert CommandState(str(record.body["state"]))
    assert len(d.limits) == len(LIMITS)


WELL = ("ok", "ok", "ok")
FLOORLESS: tuple[Any, ...] = (
    0,
    None,
    None,
    None,
    WELL,
    [WriteDone("inverter", "floor", 0, "rejected", 0)],
    Reserve(591, "file"),
    True,
)
RELEASED: tuple[Any, ...] = (0, None, None, (3 * S + 1, {"grid_w": None}), WELL, [], Reserve(0, "file"), True)


@settings(max_examples=200, deadline=None)
@given(st.lists(cycles, min_size=1, max_size=12))
@example([(*FLOORLESS, ClockTrust.SYNCED, 0), (*RELEASED, ClockTrust.SYNCED, 0)])  # the reserve is no longer at risk
def test_anything(sequence: list[Any]) -> None:
    now = NOW
    state = initial(PARAMS, Durable(), Clock(h.WALL_MS, ClockTrust.SYNCED, "kernel", "boot"), now)
    started: list[str] = []
    for cycle in sequence:
        now += cycle[0]
        i = inputs_of(now, cycle)
        before = state
        state, out = step(PARAMS, state, i)
        check(i, before, state, out)
        acks = [r for r in out.commit.records if r.kind == "ack"] if out.commit is not None else []
        started += [
            str(r.body["command_id"]) for r in acks if r.body["state"] == "started" and "written" in str(r.body)
        ]
    assert len(started) == len(set(started))
    from_json(to_json(final(state)))


@settings(max_examples=60, deadline=None)
@given(st.lists(cycles, min_size=1, max_size=5))
def test_same_inputs_same_outputs(sequence: list[Any]) -> None:
    def trace() -> list[Any]:
        now = NOW
        state = initial(PARAMS, Durable(), Clock(h.WALL_MS, ClockTrust.SYNCED, "kernel", "boot"), now)
        outs = []
        for cycle in sequence:
            now += cycle[0]
            state, out = step(PARAMS, state, inputs_of(now, cycle))
            outs.append(asdict(out))
        return outs

    assert trace() == trace()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["dcl", "temp", "soc", "meter", "tick", "tick", "tick"]), st.integers(0, 100)),
        min_size=1,
        max_size=25,
    )
)
def test_tightening_is_never_delayed(changes: list[tuple[str, int]]) -> None:
    """Whatever the home does, what is given is inside the permit of this very cycle, and what is written is given."""
    home = Home().ready()
    home.tick(arriving(command(power_w=11_400, duration_s=900, ramp=RampClass.REGULATION)))
    home.run(8)
    for what, size in changes:
        if what == "dcl":
            home.battery["dcl_ma"] = size * 2400
        elif what == "temp":
            home.battery["temp_min_dc"] = size * 2 - 60
        elif what == "soc":
            home.battery["soc_permille"] = 195 + size // 5
        elif what == "meter":
            home.meter["grid_w"] = -size * 300
        home.tick(s=0.2 + size / 100)
        d = home.decision
        if d.mode is Mode.DISPATCHED:
            assert home.given() is not None
            assert d.lo_w <= (home.given() or 0) <= d.hi_w
            assert home.remote_w == home.given()  # the wire has it in the same cycle


@pytest.mark.parametrize("state", list(CommandState))
def test_any_stored_record_is_taken_up_or_left_alone(state: CommandState) -> None:
    """A disk may hold a command in any state; none of them makes a start fail or acts twice."""
    record = CommandRecord(
        command=command(),
        state=state,
        reason=None,
        accepted_ms=h.WALL_MS,
        accepted_ns=h.START_NS,
        start_ns=h.START_NS,
        end_ns=h.START_NS + 600 * S,
        kernel_boot="kernel-1",
        started=True,
    )
    home = Home(durable=Durable(commands=(record,)))
    home.run(700)
    assert home.states().count("started") == 0
    assert home.remote_w is None


def test_devices_of_every_role_may_be_missing() -> None:
    state = initial(PARAMS, Durable(), Clock(h.WALL_MS, ClockTrust.SYNCED, "kernel", "boot"), NOW)
    for roles in ([], [DeviceRole.METER], [DeviceRole.INVERTER, DeviceRole.BATTERY]):
        i = inputs_of(NOW + S, (0, None, None, None, ("ok",) * 3, [], Reserve(200, "file"), True, ClockTrust.SYNCED, 0))
        i = replace(i, devices=tuple(Device(str(r), r, "ok", None) for r in roles), batteries=(), meters=())
        state, out = step(PARAMS, state, i)
        assert (out.decision.lo_w, out.decision.hi_w) == (0, 0)
        assert out.writes == ()
