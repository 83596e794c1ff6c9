"""The verbs that ask, against a served home, in this process: what it prints, where, and its exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.cli.verbs import VERBS
from agent.core.decision import LimitValue, Side
from agent.mail import Verb, VerbDone
from drivers.readings import GridState
from tests.cli.conftest import Run, Serve
from tests.core.home import Home as CoreHome
from tests.core.home import arriving, command
from tests.local.home import HOME, decided, home, idle, line, troubled


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
# these become a tool that works on files, whoever listens
FILES = {"keys", "net", "replace", "statement", "update", "verify-chain"}
# bus and override need to be told what to do; config reads the file
ELSE = {"version", "wait", "bus", "config", "override"}
TALKING = sorted(set(VERBS) - ELSE - FILES)


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
    assert all(f"\n    {verb}{end}" in out for verb, end in ((v, "\n" if len(v) > 11 else " ") for v in VERBS))
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
