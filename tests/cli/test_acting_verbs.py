"""Reserve, stop, resume and device against a served home, in this process: what it prints, and its exit code."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import Any

import pytest

from agent.core.decision import RaiseValue
from agent.mail import Verb, VerbDone
from tests.cli.conftest import Run, Serve
from tests.local.home import CAPABILITY, HOME, decided, home, troubled


def accept(verb: Verb) -> VerbDone:
    return VerbDone(verb.conn, 0, f"{verb.verb} done", {"value": verb.value})


# --- reserve ----------------------------------------------------------------------------------------------------------
def test_reserve_is_shown(serve: Serve, run: Run) -> None:
    serve(HOME)

    out = "RESERVE  ok  30.0 %, set by the homeowner; the inverter's own floor is 30.0 %\n"
    assert run("reserve") == (0, out, "")


def test_a_technician_raises_the_reserve(serve: Serve, run: Run) -> None:
    harness = serve(HOME, answer=accept)

    assert run("reserve", "40.5%") == (0, "ok  reserve done\n", "")
    assert [(v.role, v.value) for v in harness.verbs] == [("technician", 405)]


def test_lowering_the_reserve_without_a_pin_names_every_fact(serve: Serve, run: Run) -> None:
    harness = serve(HOME, answer=accept)

    assert run("reserve", "20") == (
        4,
        "",
        """\
xx the reserve is 30.0 % and only the homeowner lowers it
   limit    reserve = 30.0 %
   present  20.0 % asked
   set by   homeowner
   next     let the homeowner type the PIN
""",
    )
    assert harness.verbs == []


def test_the_pin_comes_from_stdin_for_scripts(serve: Serve, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = serve(HOME, uid=1000, answer=accept)
    monkeypatch.setattr(sys, "stdin", io.StringIO("4711\n"))

    assert run("reserve", "20", "--pin-stdin")[0] == 0
    assert [(v.role, v.value) for v in harness.verbs] == [("homeowner", 200)]


def test_a_storm_for_a_while(serve: Serve, run: Run) -> None:
    harness = serve(HOME, answer=accept)

    assert run("reserve", "storm", "80%", "--for", "90min", "--reason", "snow") == (0, "ok  storm done\n", "")
    asked = harness.verbs[0]
    assert (asked.verb, asked.role, asked.value, asked.for_s, asked.text) == ("storm", "technician", 800, 5400, "snow")


def test_a_storm_between_two_instants_by_the_agents_clock(serve: Serve, run: Run) -> None:
    harness = serve(HOME, answer=accept)

    assert (
        run("reserve", "storm", "80", "--from", "2026-10-18T16:00+00:00", "--until", "2026-10-18T18:30+00:00")[0] == 0
    )
    begin, end = harness.verbs[0].start_ms, harness.verbs[0].end_ms
    assert (begin // 1000, end - begin) == (1_792_339_200, 9_000_000)
    assert run("reserve", "storm", "80", "--until", "23:59")[0] == 0
    asked = harness.verbs[1]
    assert asked.start_ms == HOME.clock.wall_ms
    assert 0 < asked.end_ms - asked.start_ms <= 86_400_000


def test_a_storm_off_needs_the_homeowner(serve: Serve, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = serve(HOME, uid=1000, answer=accept)
    monkeypatch.setattr(sys, "stdin", io.StringIO("4711\n"))

    assert run("reserve", "storm", "off", "--pin-stdin")[0] == 0
    assert [(v.verb, v.role, v.value) for v in harness.verbs] == [("storm", "homeowner", 0)]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("30", "--for", "2h"), "times and a second percentage belong to a storm"),
        (("30", "40"), "times and a second percentage belong to a storm"),
        (("storm",), "what reserve for the storm?"),
        (("storm", "80"), "until when? --for 12h, or --until 18:30"),
        (("storm", "80", "--for", "2h", "--until", "18:00"), "give either --for, or --until"),
        (("storm", "80", "--until", "tomorrow"), "'tomorrow' is not a time"),
        (("storm", "80", "--from", "2026-10-20T10:00", "--until", "2026-10-20T09:00"), "before it begins at"),
    ],
)
def test_a_storm_that_is_no_window(serve: Serve, run: Run, argv: tuple[str, ...], said: str) -> None:
    harness = serve(HOME, answer=accept)

    code, out, err = run("reserve", *argv)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert harness.verbs == []


def test_a_raise_is_shown_with_its_dates(serve: Serve, run: Run) -> None:
    begun = RaiseValue("storm", "storm", 800, "homeowner", "ann", "snow", 1_792_339_200_000, 0, 3600, True)
    serve(decided(raises=(begun,)))

    assert "STORM    --  80.0 %, 2026-10-18 16:00, in force; ann: snow\n" in run("reserve")[1]


def test_a_clock_beyond_the_year_9999_breaks_nothing(serve: Serve, run: Run) -> None:
    far_ms = 253_402_300_800_000 + 366 * 86_400_000
    begun = RaiseValue("storm", "storm", 800, "homeowner", "ann", "snow", far_ms, 2**53 - 1, 3600, True)
    state = decided(raises=(begun,))
    harness = serve(replace(state, clock=replace(state.clock, wall_ms=far_ms)), answer=accept)

    code, out, _ = run("reserve")
    assert code == 0
    assert "STORM    --  80.0 %, 10001-01-01" in out
    code, _, err = run("reserve", "storm", "80", "--until", "23:59")
    assert code == 2
    assert "the gateway's clock says 10001-01-01" in " ".join(err.split())
    assert run("reserve", "storm", "80", "--until", "9999-12-31T23:59-14:00")[0] == 2
    assert run("reserve", "storm", "80", "--for", "12h")[0] == 0
    assert [verb.for_s for verb in harness.verbs] == [43_200]


# --- stop, resume, device ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["stop", "resume"])
def test_stop_and_resume(verb: str, serve: Serve, run: Run) -> None:
    harness = serve(HOME, answer=accept)

    assert run(verb) == (0, f"ok  {verb} done\n", "")
    assert [(v.verb, v.role) for v in harness.verbs] == [(verb, "technician")]


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (("optout",), ("optout", 0, "", 0)),
        (("optout", "--for", "12h"), ("optout", 0, "", 43_200)),
        (("optin",), ("optin", 0, "", 0)),
        (("override", "3000", "--for", "15min"), ("override", 3000, "", 900)),
        (("override", "-1500", "--for", "1h"), ("override", -1500, "", 3600)),
        (("override", "off"), ("override", 0, "off", 0)),
    ],
)
def test_people_at_home(argv: tuple[str, ...], asked: tuple[object, ...], serve: Serve, run: Run) -> None:
    harness = serve(HOME, answer=accept)

    assert run(*argv)[::2] == (0, "")
    assert [(v.verb, v.value, v.text, v.for_s) for v in harness.verbs] == [asked]


@pytest.mark.parametrize(
    "argv", [("override", "3000"), ("override", "off", "--for", "1h"), ("override", "x"), ("override", "1000001")]
)
def test_an_override_without_a_power_or_an_end_is_usage(argv: tuple[str, ...], serve: Serve, run: Run) -> None:
    harness = serve(HOME, answer=accept)

    code, _, err = run(*argv)
    assert code == 2
    assert "such as 3000" in err or "override off" in err
    assert harness.verbs == []


def test_a_viewer_is_told_how_to_become_more(serve: Serve, run: Run) -> None:
    serve(HOME, uid=1000)

    code, out, err = run("stop")
    assert (code, out) == (4, "")
    assert (
        err
        == """\
xx stop needs a technician or the homeowner, and user1000 may only look
   limit    role = technician, or the homeowner's PIN
   present  viewer (user1000)
   set by   site, [local] technician_gids
   next     sudo batteryctl stop ...
"""
    )


def test_a_device_that_does_not_answer_is_code_5(serve: Serve, run: Run) -> None:
    serve(HOME, answer=lambda verb: VerbDone(verb.conn, 5, "the inverter did not confirm", {}))

    assert run("stop") == (5, "", "xx the inverter did not confirm\n")


def test_device_list_states_when_the_setpoint_ends(serve: Serve, run: Run) -> None:
    serve(home(buses=()))

    code, out, _ = run("device", "list")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "ok  pack: battery, rs485 unit 1, Seplos V3 1.4, serial SP0012345"
    assert all(len(line) <= 80 for line in lines)
    assert "    if we fall silent its own timer ends the setpoint after 60 s (measured at" in lines
    assert "If anything dies, our setpoint ends within 67 s." in lines


def test_device_list_is_unhealthy_with_a_swapped_inverter(serve: Serve, run: Run) -> None:
    serve(troubled())

    code, out, _ = run("device")
    assert code == 1
    assert "xx  hybrid" in out
    assert "    mismatch          serial H-78 answers, H-77 was commissioned: reads only" in out.splitlines()
    assert "nothing: it is not the device that was commissioned" in out


@pytest.mark.parametrize(
    ("can", "said"),
    [
        ({"signed_setpoint": False, "why_not": ("control x is not confirmed",)}, "nothing: control x is not confirmed"),
        ({"reversion": "none"}, "nothing: it has no reversion timer"),
        ({"reversion": "unreliable"}, "nothing: it has no reversion timer that can be relied on"),
        ({}, "charge 11400 W to discharge 11400 W, in % of WChaMax, in"),
    ],
)
def test_device_list_says_why_no_setpoint_may_be_used(serve: Serve, run: Run, can: dict[str, Any], said: str) -> None:
    inverter = replace(HOME.devices[2], capability=replace(CAPABILITY, **can))
    serve(home(devices=(*HOME.devices[:2], inverter)))

    lines = run("device", "list")[1].splitlines()
    assert f"    can be told       {said}" in lines
    assert ("    rated             charge 11400 W to discharge 11400 W" in lines) == bool(can)


def test_device_adopt(serve: Serve, run: Run) -> None:
    harness = serve(troubled(), answer=accept)

    assert run("device", "adopt", "hybrid") == (0, "ok  adopt done\n", "")
    assert [(v.verb, v.text) for v in harness.verbs] == [("adopt", "hybrid")]
    assert run("device", "adopt")[0] == 2
