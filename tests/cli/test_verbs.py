"""Every verb against a served home, in this process: what it prints, where, and its exit code."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.cli.verbs import VERBS
from agent.core.decision import LimitValue, RaiseValue, Side
from agent.mail import Verb, VerbDone
from drivers.readings import GridState
from tests.cli.conftest import Serve
from tests.core.home import Home as CoreHome
from tests.core.home import arriving, command
from tests.local.home import HOME, decided, home, idle, line, troubled

Run = Any


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def runner(*argv: str) -> tuple[int, str, str]:
        try:
            code = main(list(argv))
        except SystemExit as left:
            code = int(str(left.code or 0))
        out, err = capsys.readouterr()
        return code, out, err

    return runner


def accept(verb: Verb) -> VerbDone:
    return VerbDone(verb.conn, 0, f"{verb.verb} done", {"value": verb.value})


# --- status -----------------------------------------------------------------------------------------------------------
def test_status_of_a_healthy_home(serve: Serve, run: Run) -> None:
    serve(HOME)

    assert run("status") == (
        0,
        """\
LINK     ok  up, 0 records wait for a receipt; 3 messages refused
CONTROL  ok  dispatched; discharge 3200 W of 5000 W asked by dispatch 3f2a91c0,
             held by reserve
GRID     ok  connected, import 1240 W, 59.98 Hz
BATTERY  ok  SoC 31.2 %, discharge 3200 W, cells 3.249..3.261 V, 18.1..21.4 C
RESERVE  ok  30.0 %, set by the homeowner; the inverter's own floor is 30.0 %
COMMAND  !!  3f2a91c0 limited by reserve, ends in 9 min 50 s

# Health check: ok
""",
        "",
    )


def test_status_of_a_home_in_trouble(serve: Serve, run: Run) -> None:
    serve(troubled())

    assert run("status") == (
        1,
        """\
LINK     !!  down: connection refused by localhost:8883; 3 records wait for a
             receipt
CONTROL  !!  stopped by anna (technician); degraded, no power until the readings
             are good again; held at 0 W
GRID     ok  connected, import 1240 W, 59.98 Hz
BATTERY  xx  no reading for 12 s (SoC was 31.2 %); discharge 3200 W
RESERVE  !!  30.0 %, set by the homeowner; the inverter's own floor is 30.0 %;
             SoC is not known, so no power is moved either way: no good reading
             of the battery for more than 5.0 s
COMMAND  --  none

# Health check:
  xx  no good reading of the battery for more than 5.0 s: unit 1 does not answer
      next: check its power, wiring, unit number and baud rate
  xx  inverter hybrid: serial H-78 answers, H-77 was commissioned: reads only
      next: if it was replaced on purpose: batteryctl device adopt hybrid
  !!  stopped by anna (technician): dispatch is refused and the inverter runs in
      its own mode
      next: batteryctl resume
  !!  the aggregator cannot be reached: connection refused by localhost:8883
      next: the home is safe without it; check the network: ip -br addr
""",
        "",
    )


def test_status_before_the_first_cycle(serve: Serve, run: Run) -> None:
    serve(None)

    assert run("status") == (
        1,
        "",
        "xx batteryd is up, its first cycle is not finished yet\n   next     batteryctl wait\n",
    )


# --- why --------------------------------------------------------------------------------------------------------------
def test_why_marks_the_binding_limit(serve: Serve, run: Run) -> None:
    serve(HOME)

    code, out, _ = run("why", "--all")
    assert code == 0
    assert (
        out
        == """\
GIVEN    discharge 3200 W of 5000 W asked by dispatch 3f2a91c0, held by reserve
BECAUSE  reserve, set by homeowner: SoC 31.2 % is 1.2 % above the reserve of
         30.0 %, power tapers to 0 W there

DISCHARGE  at most 3200 W of 11400 W
> !!  reserve               3200 W  homeowner  binds, as said above
      next: the homeowner may lower it: batteryctl reserve PCT
  !!  dcl                   7800 W  bms        the BMS allows 150.0 A at 52.0 V
  ok  nameplate_discharge  11400 W  site       the inverter is rated 11400 W
  ok  temperature              all  agent
      cells 18.1..21.4 C, full power from 10 to 40 C

CHARGE  at most 6240 W of 11400 W
  !!  ccl                6240 W  bms    the BMS allows 120.0 A at 52.0 V
      next: the BMS decides; its own display or app says why
  !!  import_limit       8760 W  site   import 1240 W of 10000 W
  ok  nameplate_charge  11400 W  site   the inverter is rated 11400 W
  ok  temperature           all  agent
      cells 18.1..21.4 C, full power from 10 to 40 C
"""
    )


def test_why_of_one_side_where_nothing_is_permitted(serve: Serve, run: Run) -> None:
    serve(troubled())

    _, out, _ = run("why", "charge")
    assert out.splitlines()[:4] == [
        "GIVEN    held at 0 W",
        "BECAUSE  battery_stale: no good reading of the battery for more than 5.0 s",
        "",
        "CHARGE  at most 0 W of 11400 W",
    ]
    assert "  xx  stale_battery      0 W  bms   the battery's reading is 12.0 s old\n" in out
    assert "DISCHARGE" not in out


def test_why_names_what_leaves_everything_by_who_set_it(serve: Serve, run: Run) -> None:
    serve(HOME)

    assert run("why", "discharge")[1].endswith("""
  !!  dcl       7800 W  bms        the BMS allows 150.0 A at 52.0 V
  ok  2 more leave all of it; with their values: batteryctl why --all
      site: nameplate_discharge; agent: temperature
""")


@pytest.mark.parametrize("state", ["good", "islanded", "silent", "low", "hot"])
@pytest.mark.parametrize("side", ["charge", "discharge"])
def test_why_of_a_side_fits_a_screen_with_every_limit_in_it(serve: Serve, run: Run, state: str, side: str) -> None:
    core = CoreHome().ready()
    core.tick(arriving(command()))
    core.run(12)
    core.inverter.update({"islanded": {"grid_state": GridState.ISLANDED}}.get(state, {}))
    core.battery.update({"low": {"soc_permille": 150}, "hot": {"temp_max_dc": 610}}.get(state, {}))
    core.mute.update({"silent": {"battery", "meter"}}.get(state, ()))
    core.run(8)
    serve(home(decision=core.decision))

    out = run("why", side)[1]
    shown = out.splitlines()
    assert len(shown) < 24
    assert max(map(len, shown)) <= 80
    sides = (Side.BOTH, Side(side))
    assert {limit.id for limit in core.decision.limits if limit.side in sides} <= set(re.split(r"[ :;\n]+", out))
    assert ("\n      next: " in out) is any(
        limit.cap_w < 11400 for limit in core.decision.limits if limit.side in sides
    )


def test_why_with_no_limits_evaluated(serve: Serve, run: Run) -> None:
    serve(decided(limits=(), binding=None, lo_w=0, hi_w=0))

    assert "no limit was evaluated, so nothing is given" in run("why")[1]


def test_a_long_sentence_never_leaves_the_terminal(serve: Serve, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = LimitValue("x" * 24, Side.BOTH, 0, "word " * 60 + "w" * 200, "homeowner")
    serve(decided(limits=(limit,), binding=limit))
    for columns in (60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert max(len(shown) for shown in run("why")[1].splitlines()) <= columns


# --- log --------------------------------------------------------------------------------------------------------------
def test_log(serve: Serve, run: Run) -> None:
    serve(HOME, line(1), line(2, "warning"), line(3, "error"))

    assert run("log", "-n", "2") == (
        0,
        "2026-10-18 14:02:24 +00:00  !!  line 2\n2026-10-18 14:02:25 +00:00  xx  line 3\n",
        "",
    )


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


# --- stop, resume, device ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["stop", "resume"])
def test_stop_and_resume(verb: str, serve: Serve, run: Run) -> None:
    harness = serve(HOME, answer=accept)

    assert run(verb) == (0, f"ok  {verb} done\n", "")
    assert [(v.verb, v.role) for v in harness.verbs] == [(verb, "technician")]


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


def test_device_adopt(serve: Serve, run: Run) -> None:
    harness = serve(troubled(), answer=accept)

    assert run("device", "adopt", "hybrid") == (0, "ok  adopt done\n", "")
    assert [(v.verb, v.text) for v in harness.verbs] == [("adopt", "hybrid")]
    assert run("device", "adopt")[0] == 2


# --- wait, version ----------------------------------------------------------------------------------------------------
def test_wait_until_up(serve: Serve, run: Run) -> None:
    serve(HOME)

    assert run("wait") == (0, "ok  batteryd is up\n", "")
    assert run("wait", "--for", "healthy") == (0, "ok  batteryd is healthy\n", "")
    assert run("wait", "--for", "link")[0] == 0


def test_wait_gives_up_with_what_it_saw(serve: Serve, run: Run) -> None:
    serve(troubled())

    code, out, err = run("wait", "--for", "healthy", "--timeout", "0.01")
    assert (code, out) == (6, "")
    assert err.startswith("xx not healthy within 0.01 s: no good reading of the battery")


def test_version_needs_no_daemon(serve: Serve, run: Run) -> None:
    code, out, _ = run("version")
    assert code == 0
    assert out.endswith("batteryd    not running\n")

    serve(HOME)
    assert run("version")[1].endswith("batteryd    0.1.0\n")


# --- without a daemon, with bad usage ---------------------------------------------------------------------------------
FILES = {"keys", "net", "replace"}  # these become a tool that works on files, whoever listens
TALKING = sorted(set(VERBS) - {"version", "wait", "bus"} - FILES)  # bus needs to be told what to do


@pytest.mark.parametrize("verb", TALKING)
def test_a_daemon_that_does_not_run_is_code_3_with_the_next_step(verb: str, path: Path, run: Run) -> None:
    code, out, err = run(verb, "--socket", str(path))

    assert (code, out) == (3, "")
    assert err.startswith("xx batteryd is not running")
    assert "next     sudo systemctl start batteryd; " in err


def test_a_socket_that_nobody_serves(serve: Serve, run: Run, path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))

    code, _, err = run("status", "--socket", str(path))
    assert code == 3
    assert "nobody listens at" in err


def test_something_else_at_the_path(run: Run, tmp_path: Path) -> None:
    assert run("status", "--socket", str(tmp_path))[0] in (2, 3)
    assert run("status", "--socket", "/" + "x" * 200)[0] == 2


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("stauts",),
        ("status", "extra"),
        ("why", "left"),
        ("reserve", "101"),
        ("reserve", "-1"),
        ("reserve", "30.55"),
        ("reserve", "nan"),
        ("reserve", "٣"),
        ("log", "-n", "501"),
        ("wait", "--timeout", "0"),
        ("wait", "--timeout", "inf"),
    ],
)
def test_bad_usage_is_code_2_on_stderr(argv: tuple[str, ...], run: Run) -> None:
    code, out, err = run(*argv)

    assert (code, out) == (2, "")
    assert err.startswith("xx batteryctl")
    assert "   next     batteryctl" in err


def test_a_typing_slip_gets_the_verb(run: Run) -> None:
    assert run("stauts")[2].endswith("   next     batteryctl status\n")


def test_help_lists_every_verb_and_exit_code(run: Run) -> None:
    code, out, _ = run("--help")

    assert code == 0
    assert all(f"\n    {verb} " in out for verb in VERBS)
    assert "130 interrupted" in out


def test_a_bug_is_code_70_and_says_so(serve: Serve, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(HOME)
    monkeypatch.setattr("agent.cli.talk.ask", lambda *_: {"v": 1})

    code, out, err = run("status")
    assert (code, out) == (70, "")
    assert "that is a bug in batteryctl" in err


# --- --json -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("view", [HOME, troubled(), idle(), None])
@pytest.mark.parametrize("argv", [("status",), ("why",), ("log",), ("reserve",), ("device",), ("version",), ("stop",)])
def test_json_is_one_object_with_its_exit_code(view: Any, argv: tuple[str, ...], serve: Serve, run: Run) -> None:
    serve(view, answer=accept)

    code, out, err = run(*argv, "--json")
    reply = json.loads(out)
    assert out.count("\n") == 1
    assert err == ""
    assert (reply["v"], reply["code"], reply["ok"]) == (1, code, code == 0)


def test_json_of_a_refusal_and_of_no_daemon(serve: Serve, run: Run, path: Path) -> None:
    code, out, err = run("--json", "--socket", str(path), "status")
    assert (code, err) == (3, "")
    assert json.loads(out)["error"]["next"] == "sudo systemctl start batteryd; batteryctl wait"

    serve(HOME, uid=1000)
    assert json.loads(run("stop", "--json")[1])["error"]["limit"] == "role"
