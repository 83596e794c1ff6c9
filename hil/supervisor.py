"""Runs a program as systemd would: Type=notify, Restart=always, WatchdogSec, ExecStopPost. Ill-treats it on request.

The command lines are given, so that tests can run any program. `withhold` keeps the restart and the clean-up back: then
nobody but the inverter's own timer ends what a killed daemon was doing.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from hil.kin import kin

_STOP_S = 15.0  # TimeoutStopSec
_ABORT_S = 5.0  # TimeoutAbortSec
_POST_S = 30.0
_PATH_MAX = 100  # sun_path has 108 bytes
SO_TIMESTAMPNS = 35  # Linux: the kernel stamps each datagram as it is sent, so that who listens may be late


def stamp_ns(told: Sequence[tuple[int, int, bytes]]) -> int:
    """Wall clock, ns, at which a datagram was sent, from its control messages; now when the kernel gave none."""
    for level, kind, data in told:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, ns = struct.unpack("@ll", data[:16])
            return int(seconds * 1_000_000_000 + ns)
    return time.time_ns()


@dataclass(frozen=True, slots=True)
class Ended:
    """One run: `code` as Popen tells it (negative = signal), `clean_up` = exit code of ExecStopPost, if it ran."""

    pid: int
    code: int
    ready: bool
    seconds: float
    died_ns: int  # monotonic
    clean_up: int | None


@dataclass(slots=True)
class Notified:
    """What the running program told us by NOTIFY_SOCKET since it started."""

    ready: bool = False
    stopping: bool = False
    status: str = ""
    watchdogs: int = 0
    states: list[str] = field(default_factory=list)


class Supervisor:
    """One supervised program. All methods may be called from any thread; waiting is by events, never by polling."""

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        *,
        stop_post: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        restart_s: float = 0.2,
        watchdog_s: float | None = None,
        abort_s: float = _ABORT_S,
    ) -> None:
        """`stop_post`: ExecStopPost. `watchdog_s`: who was ready and falls silent gets SIGABRT, `abort_s` later
        SIGKILL."""
        self.argv = list(argv)
        self.stderr = directory / "stderr.log"
        self.stdout = directory / "stdout.log"
        self.ended: list[Ended] = []
        self.notified = Notified()
        self.heard: Callable[[str, int], None] | None = None  # each notification, and the kernel's wall ns of it
        self.starts = 0
        self._stop_post = list(stop_post) if stop_post else None
        self._env, self._cwd = dict(os.environ if env is None else env), cwd
        self._restart_s, self._watchdog_s, self._abort_s = restart_s, watchdog_s, abort_s
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()
        self._wanted = False
        self._withheld = False
        self._closed = False
        self._last_sign_s = 0.0
        self._socket: socket.socket | None = None
        self._socket_path = Path()
        self._threads: list[threading.Thread] = []

    # --- life ---------------------------------------------------------------------------------------------------------
    def start(self) -> Supervisor:
        """Start the program (does not wait for READY)."""
        with self._changed:
            self._wanted = True
            if not self._threads:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._open_socket()
                self._threads = [
                    threading.Thread(target=target, name=f"supervisor-{target.__name__}", daemon=True)
                    for target in (self._listen, self._run, self._watch)
                ]
                for thread in self._threads:
                    thread.start()
                atexit.register(self.close)
            self._changed.notify_all()
        return self

    def stop(self, timeout_s: float = _STOP_S) -> Ended | None:
        """`systemctl stop`: SIGTERM, SIGKILL if it takes longer, ExecStopPost, no restart. The run that ended."""
        with self._changed:
            self._wanted = False
            running, runs = self._process, len(self.ended)
            self._changed.notify_all()
        if running is None:
            return None
        self.signal(signal.SIGTERM)
        if not self.wait_for(lambda: len(self.ended) > runs, timeout_s):
            self.signal(signal.SIGKILL)
            self.wait_for(lambda: len(self.ended) > runs, _POST_S)
        return self.ended[runs] if len(self.ended) > runs else None

    def close(self) -> None:
        """Stop, and end the threads. A second call does nothing."""
        if self._closed:
            return
        self.thaw()
        self.stop()
        self._closed = True
        with self._changed:
            self._changed.notify_all()
        if self._socket is not None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", str(self._socket_path))  # wakes the listener
        for thread in self._threads:
            thread.join()
        if self._socket is not None:
            self._socket.close()
            self._socket_path.unlink(missing_ok=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Supervisor:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # --- what homes do to it ------------------------------------------------------------------------------------------
    def signal(self, number: int) -> None:
        """Send a signal to the running program; nothing if there is none."""
        process = self._process
        if process is not None:
            process.send_signal(number)

    def kill(self) -> int | None:
        """kill -9; returns the pid when it is dead. Then systemd's rules apply: clean-up, pause, start."""
        process = self._process
        if process is None:
            return None
        process.kill()
        self.wait_for(lambda: self._process is not process, _POST_S)
        return process.pid

    def freeze(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def withhold(self, yes: bool = True) -> None:
        """While withheld, an end of the program is followed by nothing: no ExecStopPost, no restart."""
        with self._changed:
            self._withheld = yes
            self._changed.notify_all()

    # --- looking ------------------------------------------------------------------------------------------------------
    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        process = self._process
        return None if process is None else process.pid

    @property
    def stopped(self) -> bool:
        """Whether the kernel lets nothing of the program run (SIGSTOP), from /proc."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "T"

    def wait_ready(self, timeout_s: float) -> bool:
        """Whether the running program said READY=1 within the time."""
        return self.wait_for(lambda: self.notified.ready and self._process is not None, timeout_s)

    def wait_for(self, predicate: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `predicate()` holds; it is asked after every start, end and notification."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout_s)

    def rss_kib(self) -> int | None:
        """Resident set of the running program, KiB, from /proc; None if it does not run."""
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), None)

    # --- threads ------------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while True:
            with self.stdout.open("ab") as out, self.stderr.open("ab") as err:
                with self._changed:  # held from the look to the start, so that a stop cannot fall between
                    if not self._await_start():
                        return
                    process = self._spawn(out, err)
                began_ns = time.monotonic_ns()
                code = process.wait() if process is not None else 127
                died_ns = time.monotonic_ns()
                with self._changed:
                    ready, self._process = self.notified.ready, None
                    withheld = self._withheld
                    self._changed.notify_all()
                clean_up = None if withheld else self._clean_up(code, out, err)
            pid = process.pid if process is not None else 0
            with self._changed:
                self.ended.append(Ended(pid, code, ready, (died_ns - began_ns) / 1e9, died_ns, clean_up))
                self._changed.notify_all()
                # RestartSec, cut short by stop and close
                self._changed.wait_for(lambda: self._closed or not self._wanted, self._restart_s)

    def _await_start(self) -> bool:
        """Wait (under the lock) until a start is wanted and allowed; False when closed."""
        self._changed.wait_for(lambda: self._closed or (self._wanted and not (self._withheld and self.ended)))
        return not self._closed

    def _spawn(self, out: BinaryIO, err: BinaryIO) -> subprocess.Popen[bytes] | None:
        env = self._env | {"NOTIFY_SOCKET": str(self._socket_path)}
        if self._watchdog_s is not None:
            env["WATCHDOG_USEC"] = str(round(self._watchdog_s * 1e6))
        self.notified = Notified()
        self.starts += 1
        try:
            if shutil.which(self.argv[0], path=env.get("PATH")) is None:  # else `setpriv` would say so, in its words
                raise FileNotFoundError("there is no such program")
            # Its own session: a Ctrl-C at the terminal is for the bench, which then stops everything in order.
            process = subprocess.Popen(
                kin(self.argv, "TERM"), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, cwd=self._cwd,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            err.write(f"supervisor: cannot start {self.argv[0]}: {error}\n".encode())
            err.flush()
            return None
        self._process, self._last_sign_s = process, time.monotonic()
        self._changed.notify_all()
        return process

    def _clean_up(self, code: int, out: BinaryIO, err: BinaryIO) -> int | None:
        if self._stop_post is None:
            return None
        env = self._env | {"EXIT_STATUS": str(abs(code)), "EXIT_CODE": "killed" if code < 0 else "exited"}
        try:
            done = subprocess.run(
                self._stop_post, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, cwd=self._cwd,
                start_new_session=True, timeout=_POST_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            err.write(f"supervisor: ExecStopPost {self._stop_post[0]}: {error}\n".encode())
            return 127
        return done.returncode

    def _listen(self) -> None:
        assert self._socket is not None
        while True:
            data, told, _, _ = self._socket.recvmsg(4096, 64)
            if self._closed:
                return
            with self._changed:
                for state in data.decode(errors="replace").splitlines():
                    self._note(state)
                    if self.heard is not None:
                        self.heard(state, stamp_ns(told))
                self._changed.notify_all()

    def _note(self, state: str) -> None:
        seen = self.notified
        name, _, value = state.partition("=")
        if name == "WATCHDOG":
            seen.watchdogs += 1
        else:
            seen.states.append(state)
        if name == "READY":
            seen.ready = value == "1"
        elif name == "STOPPING":
            seen.stopping = True
        elif name == "STATUS":
            seen.status = value
        if name in ("READY", "WATCHDOG"):
            self._last_sign_s = time.monotonic()

    def _watch(self) -> None:
        """WatchdogSec: counts from READY, is off once STOPPING was said."""
        if self._watchdog_s is None:
            return
        with self._changed:
            while not self._closed:
                armed = self._process is not None and self.notified.ready and not self.notified.stopping
                left = self._last_sign_s + self._watchdog_s - time.monotonic()
                if not armed or left > 0:
                    self._changed.wait(left if armed else None)
                    continue
                self._end_silent(self._process)

    def _end_silent(self, silent: subprocess.Popen[bytes] | None) -> None:
        self.signal(signal.SIGABRT)
        if not self._changed.wait_for(lambda: self._process is not silent, self._abort_s):
            self.signal(signal.SIGKILL)  # a frozen process does not see SIGABRT; systemd thaws it first, and we do not
        self._changed.wait_for(lambda: self._process is not silent or self._closed)

    def _open_socket(self) -> None:
        path = (self._directory / "notify").resolve()
        if len(os.fsencode(path)) > _PATH_MAX:
            path = Path(tempfile.mkdtemp(prefix="bench-")) / "notify"
        path.unlink(missing_ok=True)
        self._socket_path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(str(path))
