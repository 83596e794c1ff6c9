"""batteryctl as a process of its own, on pipes and on a terminal of 80x24."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest

from agent.mail import Verb, VerbDone
from tests.cli.conftest import Serve
from tests.local.home import CAPABILITY, HOME, home, line, troubled

pytestmark = pytest.mark.slow
NEEDED = {"device": ("agent.cli.offline", "agent.cli.device_table", "agent.cli.quantity")}
ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "agent.cli"]
HEAVY = {
    "pydantic",
    "paho",
    "pymodbus",
    "cryptography",
    "asyncio",
    "serial",
    "dataclasses",
    "typing",
    "rich",
    "sqlite3",
}


def run(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *argv], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **env}, timeout=30, check=False
    )


class Terminal:
    """batteryctl on a pty, and the screen that a person sees."""

    def __init__(self, *argv: str, term: str = "xterm", rows: int = 24, columns: int = 80) -> None:
        env = {**os.environ, "TERM": term}
        self.child = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *argv],
            dimensions=(rows, columns),
            env=env,
            cwd=str(ROOT),
            timeout=20,
            echo=False,
        )
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)

    def until(self, text: str) -> list[str]:
        """The screen as soon as `text` stands on it; pexpect.TIMEOUT or EOF if it never does."""
        while not any(text in shown for shown in self.screen.display):
            self._stream.feed(self.child.read_nonblocking(4096, timeout=20))
        return [shown.rstrip() for shown in self.screen.display]

    def end(self) -> int:
        """The exit code."""
        self.child.expect(pexpect.EOF)
        self._stream.feed(self.child.before or b"")
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -self.child.signalstatus)


@pytest.fixture
def terminal() -> Iterator[Any]:
    opened: list[Terminal] = []

    def begin(*argv: str, **options: Any) -> Terminal:
        opened.append(Terminal(*argv, **options))
        return opened[-1]

    yield begin
    for each in opened:
        each.child.close(force=True)


# --- pipes ------------------------------------------------------------------------------------------------------------
def test_exit_codes_of_a_real_process(serve: Serve) -> None:
    assert run("status").returncode == 3
    serve(troubled(), uid=1000)

    codes = {argv: run(*argv).returncode for argv in (("status",), ("why",), ("stop",), ("nonsense",))}
    assert codes == {("status",): 1, ("why",): 0, ("stop",): 4, ("nonsense",): 2}


def test_a_closed_stdout_leaves_the_exit_code(serve: Serve) -> None:
    serve(troubled())
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *COMMAND, "status"], stderr=subprocess.PIPE, cwd=ROOT, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("verb", ["status", "why", "log", "reserve", "stop", "device"])
def test_only_what_is_needed_is_imported(verb: str, serve: Serve) -> None:
    serve(HOME, answer=lambda asked: VerbDone(asked.conn, 0, "done", {}))
    code = (
        "import sys; from agent.cli.main import main; code = main(sys.argv[1:]);"
        "print(' '.join(sys.modules), file=sys.stderr); sys.exit(code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, verb], capture_output=True, text=True, cwd=ROOT, timeout=30, check=True
    )
    loaded = set(done.stderr.split())
    assert {name for name in loaded if name.split(".")[0] in HEAVY} == set()
    assert {name for name in loaded if name.startswith(("agent.", "drivers"))} <= {
        "agent.cli",
        "agent.cli.clock",
        "agent.cli.main",
        f"agent.cli.{verb}",
        "agent.cli.talk",
        "agent.cli.text",
        "agent.cli.verbs",
        "agent.local",
        "agent.local.client",
        "agent.local.words",
        *NEEDED.get(verb, ()),
    }


def test_a_reader_that_goes_away_is_not_an_error(serve: Serve) -> None:
    serve(HOME, *(line(number) for number in range(500)))
    done = subprocess.run(
        f"{' '.join(COMMAND)} log -n 500 | head -1", shell=True, capture_output=True, text=True, cwd=ROOT, check=True
    )

    assert done.stdout == "2026-10-18 14:02:22 +00:00  --  line 0\n"
    assert done.stderr == ""


def test_log_follows_until_the_daemon_ends(serve: Serve) -> None:
    harness = serve(HOME, line(1))
    with subprocess.Popen(
        [*COMMAND, "log", "-f"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().endswith("line 1\n")
        harness.post(line(2))
        assert child.stdout.readline().endswith("line 2\n")
        harness.__exit__(None, None, None)
        assert "batteryd closed the connection" in child.stderr.read()
        assert child.wait(20) == 3


@pytest.mark.parametrize("argv", [("watch",), ("log", "-f")])
def test_ctrl_c_is_130_without_a_word(argv: tuple[str, ...], serve: Serve) -> None:
    serve(HOME, line(1))
    with subprocess.Popen(
        [*COMMAND, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
        assert child.stderr.read() == ""


def test_watch_on_a_pipe_is_one_line_a_cycle(serve: Serve) -> None:
    harness = serve(HOME)
    with subprocess.Popen([*COMMAND, "watch"], stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("14:03:22 ok 31.2 % discharge 3200 W, ")
        harness.post(home(stopped_by="anna (technician)"))
        assert child.stdout.readline().startswith("14:03:22 !! 31.2 % discharge 3200 W, ")
        child.send_signal(signal.SIGINT)


def test_watch_json_is_one_object_a_line(serve: Serve) -> None:
    harness = serve(HOME)
    with subprocess.Popen([*COMMAND, "watch", "--json"], stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["code"] == 0
        harness.post(troubled())
        assert json.loads(child.stdout.readline())["code"] == 1
        child.send_signal(signal.SIGINT)


# --- a terminal -------------------------------------------------------------------------------------------------------
def test_the_live_screen(serve: Serve, terminal: Any) -> None:
    harness = serve(HOME)
    window = terminal("watch")

    lines = window.until("q or Ctrl-C ends")
    assert lines[0].startswith("batteryd 0.1.0   up 2 h 3 min")
    assert lines[0].endswith("2026-10-18 14:03:22 +00:00")
    assert lines[2:8] == [
        "LINK     ok  up, 0 records wait for a receipt; 3 messages refused",
        "CONTROL  ok  dispatched",
        "GRID     ok  connected, import 1240 W, 59.98 Hz",
        "BATTERY  ok  SoC 31.2 %, discharge 3200 W, cells 3.249..3.261 V, 18.1..21.4 C",
        "RESERVE  ok  30.0 %, set by the homeowner; the inverter's own floor is 30.0 %",
        "COMMAND  !!  3f2a91c0 limited by reserve, ends in 9 min 50 s",
    ]
    harness.post(troubled())
    window.until("CONTROL  !!  stopped by anna (technician)")
    window.child.send("q")
    assert window.end() == 0


@pytest.mark.parametrize(
    ("how", "arguments", "code"), [("sendintr", (), 130), ("send", ("q",), 0), ("kill", (signal.SIGTERM,), 143)]
)
def test_it_leaves_the_terminal_as_it_was(
    how: str, arguments: tuple[Any, ...], code: int, serve: Serve, terminal: Any
) -> None:
    serve(HOME)
    window = terminal("watch")
    window.child.setecho(True)
    window.until("q or Ctrl-C ends")
    assert not window.child.getecho()
    getattr(window.child, how)(*arguments)

    window.child.expect(pexpect.EOF)
    assert window.child.getecho()
    assert b"Traceback" not in window.child.before
    assert window.end() == code


def test_a_device_that_takes_no_setpoint_says_why_on_a_terminal(serve: Serve, terminal: Any) -> None:
    why = ("control model_124 is not confirmed", "no register of it proves that the grid is there")
    can = replace(CAPABILITY, signed_setpoint=False, why_not=why)
    serve(home(devices=(replace(HOME.devices[2], capability=can),)))
    window = terminal("device", "list")

    shown = window.until("If anything dies")
    told = shown.index("    can be told       nothing: control model_124 is not confirmed; no register")
    assert shown[told + 1] == " " * 22 + "of it proves that the grid is there"
    assert window.end() == 0


def test_the_screen_says_when_the_daemon_ends(serve: Serve, terminal: Any) -> None:
    harness = serve(HOME)
    window = terminal("watch")
    window.until("q or Ctrl-C ends")
    harness.__exit__(None, None, None)

    window.until("batteryd closed the connection")
    assert window.end() == 3


@pytest.mark.parametrize(("term", "rows", "columns"), [("dumb", 24, 80), ("xterm", 10, 80), ("xterm", 24, 40)])
def test_a_dumb_or_tiny_terminal_gets_lines(term: str, rows: int, columns: int, serve: Serve, terminal: Any) -> None:
    serve(HOME)
    window = terminal("watch", term=term, rows=rows, columns=columns)
    window.child.expect(r"14:03:22 ok 31\.2 %")
    window.child.sendintr()

    assert window.end() == 130


def test_a_person_types_the_pin(serve: Serve, terminal: Any) -> None:
    def accept(verb: Verb) -> VerbDone:
        return VerbDone(verb.conn, 0, f"the reserve is {verb.value / 10} %", {})

    harness = serve(HOME, uid=1000, answer=accept)
    window = terminal("reserve", "20")
    window.child.expect("only the homeowner lowers it")
    window.child.expect("homeowner's PIN")
    window.child.sendline("4711")
    window.child.expect(re.escape("the reserve is 20.0 %"))

    assert window.end() == 0
    assert [v.role for v in harness.verbs] == ["homeowner"]


def test_enter_alone_leaves_the_reserve(serve: Serve, terminal: Any) -> None:
    harness = serve(HOME)
    window = terminal("reserve", "20")
    window.child.expect("homeowner's PIN")
    window.child.sendline("")

    assert window.end() == 4
    assert harness.verbs == []


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_an_extra(env: dict[str, str], coloured: bool, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(HOME)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    window = Terminal("status")

    assert window.end() == 0
    assert (b"\033[" in (window.child.before or b"")) is coloured
    assert window.screen.display[0].startswith("LINK     ok  up, ")
    assert "\033" not in run("status").stdout


def test_the_server_forgets_a_watcher_that_was_killed(serve: Serve, terminal: Any) -> None:
    harness = serve(HOME)
    window = terminal("watch")
    window.until("q or Ctrl-C ends")
    assert len(harness._server._watchers) == 1
    window.child.kill(signal.SIGKILL)
    window.end()

    harness.until(lambda: not harness._server._watchers)


def test_a_verb_needs_at_most_half_more_memory_than_python_alone(serve: Serve) -> None:
    serve(HOME)

    def peak_kb(code: str) -> int:
        tell = "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1], file=sys.stderr)"
        command = [sys.executable, "-c", f"import sys\n{code}\n{tell}"]
        return int(subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stderr)

    bare = min(peak_kb("pass") for _ in range(3))
    assert min(peak_kb("from agent.cli.main import main; main(['status'])") for _ in range(3)) <= 1.5 * bare
