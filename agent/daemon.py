"""`batteryd`: read the configuration, build the parts, run them until told to stop.

`--check` only reads the configuration. `--release` is what runs after a crash: it hands the inverter back and exits.
"""

from __future__ import annotations

import agent.runtime.lean  # isort: skip  # noqa: F401  # acts when imported, before whatever imports pydantic

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from pathlib import Path

from agent.ready import Ready, forget_readers, ready
from agent.runtime import lean, part
from agent.runtime.claim import Claim
from agent.runtime.journal import Journal
from agent.runtime.real import RealRuntime, now, ntp_synced
from agent.runtime.sd_notify import SdNotifier
from agent.runtime.watchdog import Watchdog
from agent.selftest import Files

STOP_NS = 14_000_000_000  # systemd's TimeoutStopSec is 15 s
LAST_NS = 2_000_000_000
KERNEL_S = 16.0
FILES_TURNS = 86_400 // 16  # a day
CHORE_NICE = 10
OK, USAGE, DEVICE, BUG = 0, 2, 5, 70


def main(argv: list[str] | None = None) -> int:
    """Exit codes as batteryctl's: 0 ok, 2 usage or configuration, 5 device, 70 bug."""
    path, check, release = _arguments(argv)
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}  # HUP: the terminal it was started from went away
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before any thread: only `sigwait` below takes them
    if check:
        return _check(path)
    if release:
        return _release(path, signals)
    return _start(path, signals)


def _arguments(argv: list[str] | None) -> tuple[Path, bool, bool]:
    """The configuration, `--check`, `--release`. Whoever read them is let go for what the daemon then imports."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="batteryd",
        description="The edge agent of a home battery.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),  # else it imports shutil for a width
    )
    parser.add_argument("--config", type=Path, default=Path("/etc/batteryd/batteryd.toml"), metavar="FILE")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="check the configuration and exit")
    mode.add_argument("--release", action="store_true", help="hand the inverter back to itself and exit")
    args = parser.parse_args(argv)
    lean.let_go("argparse", "gettext", "locale")
    return args.config, args.check, args.release


def _check(path: Path) -> int:
    from agent import config as configuration
    from agent.compose import compose
    from agent.ports import unstable

    try:
        config = configuration.load(path)
        agent = compose(config, boot="0" * 32, kernel_boot="check", draw=lambda: 0, random=bytes, dry=True)
    except (configuration.ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE
    buses = ", ".join(sorted(agent.buses))
    print(f"ok  {config.path}: {len(config.file.device)} devices on {buses}")
    for sentence in unstable(config):
        print(f"!!  {sentence}")
    if config.params.demo:
        print("!!  demo = true: timers may be shorter than is safe; never on a real home")
    return OK


def _release(path: Path, signals: set[signal.Signals]) -> int:
    from agent import config as configuration
    from agent.tools.release_now import release_now

    try:
        config = configuration.load(path)
    except configuration.ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE
    return release_now(config, signals)


def _start(path: Path, signals: set[signal.Signals]) -> int:
    """The lock and what the files say; then whoever read them is let go."""
    held: list[Claim] = []  # for as long as this process lives

    def claim(state_dir: Path) -> None:
        held.append(Claim(state_dir))
        if held[0].refusal is not None:
            raise BlockingIOError(held[0].refusal)

    log = Journal(prefixed="JOURNAL_STREAM" in os.environ)
    faulthandler.enable()  # where every thread stood when systemd's watchdog ended us
    try:
        made = ready(path, claim)
    except OSError as error:  # may be another one next time: the service is started again, as it is not for USAGE
        print(error, file=sys.stderr)
        return DEVICE
    if isinstance(made, str):
        print(made, file=sys.stderr)
        return USAGE
    forget_readers()
    return _run(made, log, signals)


def _run(made: Ready, log: Journal, signals: set[signal.Signals]) -> int:
    runtime = RealRuntime(log)
    watchdog = Watchdog(runtime.tokens, SdNotifier(), log, lambda: now().mono_ns)
    runtime.notify = watchdog.notify
    for name, (bus, line) in made.buses.items():
        runtime.add_bus(name, bus, line)
    for name, agent_part in made.parts.items():
        runtime.add(name, agent_part)
    _attach(runtime, made, log)
    runtime.start()
    watchdog.start()
    ticker = threading.Event()
    files = Files(made.files)
    threading.Thread(target=_kernel_clock, args=(runtime, ticker, files), name="kernel", daemon=True).start()
    signal.sigwait(signals)
    ticker.set()
    until_ns = now().mono_ns + STOP_NS
    runtime.post("control", part.Stop())  # first the inverter, then what tells of it
    late = runtime.wait_stopped({"control"}, until_ns)
    for name in ("link", "local", "store"):  # the store last: the link's last block goes through it
        if name in made.parts:
            runtime.post(name, part.Stop())
            least_ns = now().mono_ns + LAST_NS if name == "store" else 0
            late |= runtime.wait_stopped({name}, max(until_ns, least_ns))
    for name in sorted(late):
        log(part.Log("error", f"{name} did not end its part of the stop as it should, or not in time"))
    log.flush()
    os._exit(DEVICE if "control" in late else OK)  # threads that wait for a wire or a broker must not hold us


def _attach(runtime: RealRuntime, made: Ready, log: Journal) -> None:
    from agent.runtime.unix_socket import UnixSocket

    server = UnixSocket(made.socket, lambda event: runtime.post("local", event))
    try:
        server.start()
        runtime.local = server.reply
    except OSError as error:
        log(part.Log("error", f"the local socket cannot be opened: {error}; batteryctl will not reach this daemon"))
    link = made.link
    if link is not None:
        from agent.runtime.mqtt import MqttAdapter, Tls

        tls = Tls(link.ca, link.cert, link.key)
        post, waiting = (lambda event: runtime.post("link", event)), (lambda: runtime.waiting("link"))
        runtime.mqtt = MqttAdapter(link.brokers, tls, post, link.kept_session, waiting, link.five).handle


def _kernel_clock(runtime: RealRuntime, stopping: threading.Event, files: Files) -> None:
    """The chores that need no hurry: what the kernel says of its clock, and the self-test's look at the files."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), CHORE_NICE)  # of this thread alone, on Linux
    turn = 0
    while True:
        runtime.post("control", part.Kernel(ntp_synced()))
        if turn % FILES_TURNS == 1:  # not while everything else starts
            runtime.post("control", files.look())
        turn += 1
        if stopping.wait(KERNEL_S):
            return


if __name__ == "__main__":
    sys.exit(main())
