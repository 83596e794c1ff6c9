"""The supervisor does to a tiny program what systemd would, and what homes do."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from hil.supervisor import Supervisor

pytestmark = pytest.mark.slow
WAIT_S = 20.0

TINY = """
import os, signal, socket, sys
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
out.connect(os.environ["NOTIFY_SOCKET"])
def end(number, frame):
    out.send(b"STOPPING=1")
    print("ending", file=sys.stderr)
    raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
print("began", os.environ.get("WATCHDOG_USEC"), file=sys.stderr, flush=True)
out.send(b"READY=1\\nSTATUS=all well")
out.send(b"WATCHDOG=1")
while True:
    signal.pause()
"""
STUBBORN = TINY.replace("    raise SystemExit(0)\n", "")
CLEAN_UP = "import os, sys; print('released after', os.environ['EXIT_CODE'], os.environ['EXIT_STATUS']); sys.exit(5)"


def _make(tmp_path: Path, program: str = TINY, **options: float) -> Supervisor:
    return Supervisor(
        [sys.executable, "-c", program],
        tmp_path / "run",
        stop_post=[sys.executable, "-c", CLEAN_UP],
        restart_s=0.01,
        **options,  # type: ignore[arg-type]  # only watchdog_s is passed
    )


def test_ready_status_and_watchdog_are_seen(tmp_path: Path) -> None:
    with _make(tmp_path, watchdog_s=60) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        assert supervisor.wait_for(lambda: supervisor.notified.watchdogs == 1, WAIT_S)
        assert supervisor.notified.status == "all well"
        assert supervisor.stderr.read_text() == "began 60000000\n"
        rss = supervisor.rss_kib()
        assert rss is not None
        assert 1_000 < rss < 200_000
    assert supervisor.rss_kib() is None


def test_a_clean_stop_cleans_up_and_does_not_come_back(tmp_path: Path) -> None:
    with _make(tmp_path) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        ended = supervisor.stop()
        assert ended is not None
        assert (ended.code, ended.ready, ended.clean_up) == (0, True, 5)
        assert supervisor.notified.stopping
        assert supervisor.pid is None
        assert supervisor.stop() is None
    assert supervisor.starts == 1
    assert supervisor.stdout.read_text() == "released after exited 0\n"


def test_killed_it_is_cleaned_up_after_and_started_again(tmp_path: Path) -> None:
    with _make(tmp_path) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        first = supervisor.pid
        assert supervisor.kill() == first
        assert supervisor.wait_for(lambda: supervisor.starts == 2, WAIT_S)
        ended = supervisor.ended[0]
        assert (ended.pid, ended.code, ended.clean_up) == (first, -signal.SIGKILL, 5)
        assert supervisor.wait_ready(WAIT_S)
        assert supervisor.pid != first
    assert supervisor.stdout.read_text().splitlines()[0] == "released after killed 9"


def test_sigterm_by_a_stranger_is_followed_by_a_restart(tmp_path: Path) -> None:
    with _make(tmp_path) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        supervisor.signal(signal.SIGTERM)
        assert supervisor.wait_for(lambda: supervisor.starts == 2, WAIT_S)


def test_withheld_nothing_follows_until_it_is_allowed_again(tmp_path: Path) -> None:
    with _make(tmp_path) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        supervisor.withhold()
        supervisor.kill()
        assert supervisor.wait_for(lambda: bool(supervisor.ended), WAIT_S)
        assert (supervisor.ended[0].code, supervisor.ended[0].clean_up) == (-signal.SIGKILL, None)
        assert supervisor.kill() is None
        # Longer than the restart delay by far: if it were to come back, it would.
        assert not supervisor.wait_for(lambda: supervisor.starts > 1, 0.3)
        assert supervisor.stdout.read_text() == ""

        supervisor.withhold(False)
        assert supervisor.wait_for(lambda: supervisor.starts == 2, WAIT_S)
        assert supervisor.wait_ready(WAIT_S)


def test_withheld_from_the_start_it_still_starts_once(tmp_path: Path) -> None:
    supervisor = _make(tmp_path)
    supervisor.withhold()
    with supervisor:
        assert supervisor.wait_ready(WAIT_S)


def test_who_does_not_end_is_ended(tmp_path: Path) -> None:
    with _make(tmp_path, STUBBORN) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        ended = supervisor.stop(timeout_s=0.2)
        assert ended is not None
        assert (ended.code, ended.clean_up) == (-signal.SIGKILL, 5)


def test_who_falls_silent_is_aborted_and_started_again(tmp_path: Path) -> None:
    with _make(tmp_path, watchdog_s=0.3) as supervisor:
        assert supervisor.wait_for(lambda: bool(supervisor.ended), WAIT_S)
        assert supervisor.ended[0].code == -signal.SIGABRT
        assert supervisor.wait_for(lambda: supervisor.starts >= 2, WAIT_S)


def test_who_is_frozen_is_killed_by_the_watchdog(tmp_path: Path) -> None:
    with _make(tmp_path, watchdog_s=0.5, abort_s=0.1) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        supervisor.freeze()
        assert supervisor.wait_for(lambda: bool(supervisor.ended), WAIT_S)
        assert supervisor.ended[0].code == -signal.SIGKILL


def test_frozen_and_thawed_without_a_watchdog_it_goes_on(tmp_path: Path) -> None:
    with _make(tmp_path) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        supervisor.freeze()
        supervisor.signal(signal.SIGTERM)
        assert not supervisor.wait_for(lambda: bool(supervisor.ended), 0.3)  # it cannot even hear that
        supervisor.thaw()
        assert supervisor.wait_for(lambda: bool(supervisor.ended), WAIT_S)
        assert supervisor.ended[0].code == 0


def test_a_program_that_is_not_there_says_so_and_is_tried_again(tmp_path: Path) -> None:
    supervisor = Supervisor([str(tmp_path / "missing")], tmp_path / "run", restart_s=0.01)
    with supervisor:
        assert supervisor.wait_for(lambda: len(supervisor.ended) >= 2, WAIT_S)
    assert supervisor.ended[0].code == 127
    assert f"cannot start {tmp_path / 'missing'}" in supervisor.stderr.read_text()


def test_a_long_directory_does_not_break_the_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    with _make(deep) as supervisor:
        assert supervisor.wait_ready(WAIT_S)


def test_closed_twice_is_closed(tmp_path: Path) -> None:
    supervisor = _make(tmp_path).start()
    assert supervisor.wait_ready(WAIT_S)
    supervisor.close()
    supervisor.close()
    assert supervisor.pid is None
