"""Real processes in real time: the daemon as installed, a paced RS-485 line, mosquitto with mutual TLS, an aggregator.

Nothing is shared with the daemon but its line, its broker, its local socket and its files. The truth comes from the
home's own process, the register trace from its slaves, scores from an aggregator that verifies with another library.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent import config as configuration
from agent.local.client import Client
from agent.runtime.part import Now
from hil import site
from hil.aggregator.aggregator import Aggregator, Publish, Verdict
from hil.aggregator.keys import load_keyring
from hil.aggregator.live import LiveAggregator
from hil.aggregator.live import now as clocks
from hil.backends.backend import Ending
from hil.backends.gateway import Gateway, answers, of_unit
from hil.backends.timers import timers_of
from hil.broker import AnyBroker, Broker
from hil.ceremony import Ceremony
from hil.commission import commission
from hil.desk import Desk, ack_fields, aggregator_signals, local_fields, uplink_fields
from hil.devices.client import HomeClient
from hil.expr import Value
from hil.faults.shown import became, grew
from hil.heard import Heard
from hil.kin import kin
from hil.pki import Pki, make_pki
from hil.program import batteryd
from hil.scenario import RESERVE, Scenario
from hil.signals import SIGNALS, Happening
from hil.supervisor import Supervisor
from hil.told import decided, decision_key, from_status
from hil.watching import Watching
from hil.writes import WriteLog

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
RESTART_S = 2.0  # RestartSec of the unit
START_S = 20.0
GARBAGE = b'{"v": 1, "verb": [[[[\xff\x00\n'


class ProcessBackend:
    """See the module. `directory` holds every log and trace of the run; one that is given stays."""

    name = "process"
    baud = site.BAUD
    others: Sequence[str] = ()  # devices that the broker knows besides the daemon
    polls: Mapping[str, Mapping[str, int]] | None = None  # block periods in ms in the place of the profiles', by role

    def __init__(self, directory: Path | None = None, restart_s: float = RESTART_S) -> None:
        self._keep = directory is not None
        self.directory = Path(tempfile.mkdtemp(prefix="bench-")) if directory is None else directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._records: list[Happening] = []
        self._stack = contextlib.ExitStack()
        self._writes = WriteLog()
        self._t0 = time.monotonic_ns()
        self._decided: tuple[Value, ...] = ()
        self._seen_starts = self._seen_ends = 0
        self._told: Mapping[str, Any] | None = None
        self._stopper: threading.Thread | None = None
        self._refused = 0
        self._heard = Heard()
        self._home_faults = ""
        self._restart_s = restart_s

    # --- life --------------------------------------------------------------------------------------------------------
    def start(self, scenario: Scenario, seed: int) -> None:
        """Home, broker and aggregator; then the daemon, at scenario time 0."""
        directory, stack = self.directory, self._stack
        self.pki = make_pki(directory / "pki", site.FLEET, [site.DEVICE, *self.others], over=True)
        self.home_client = self._start_home(scenario, seed)
        self.mosquitto = self._start_broker()
        self.live = stack.enter_context(self._start_aggregator(directory / "pki" / "aggregator"))
        if not self.live.wait_connected(START_S):
            raise OSError(f"the aggregator did not reach the broker: {self.live.last_error}")
        self._desk = Desk(self, site.DEVICE, self._take_over, Ceremony(self.pki.draft, self.pki.offline_keys))
        path = self._write_config(scenario)
        self.config = configuration.load(path)
        self._gateway = gateway = Gateway(directory, scenario, seed)
        stack.callback(gateway.close)
        commission(self.config, gateway.state, scenario, self.pki.devices_file.parent)
        options = ["--config", str(path)]
        self.supervisor = gateway.supervisor = Supervisor(
            gateway.command(self._program(), options),
            directory / "daemon",
            stop_post=[*(gateway.disk.enter if gateway.disk else ()), *batteryd(), *options, "--release"],
            cwd=directory if "-m" not in gateway.command(self._program(), ()) else ROOT,
            restart_s=self._restart_s,
            watchdog_s=gateway.watchdog_s,
            abort_s=float(of_unit("TimeoutAbortSec")),
        )
        gateway.unplug = lambda on: self._plug(not on)
        gateway.reconfigure = lambda keys: self._reconfigure(scenario, keys)
        self.watching = Watching(self.config.resolve(self.config.file.agent.socket), self._line)
        stack.callback(self.watching.close)
        stack.callback(self.supervisor.close)
        self._t0 = time.monotonic_ns()
        self.supervisor.start()
        self.watching.start()

    def now_ns(self) -> int:
        return time.monotonic_ns() - self._t0

    def wall_ms(self) -> int:
        return (time.time_ns() - self.now_ns()) // 1_000_000

    @property
    def t0_ns(self) -> int:
        """Monotonic time at scenario time 0."""
        return self._t0

    def run_until(self, at_ns: int) -> None:
        rest_s = (at_ns - self.now_ns()) / 1e9
        if rest_s > 0:
            time.sleep(rest_s)

    def finish(self) -> Ending:
        self.release_hold()
        if self._stopper is not None:
            self._stopper.join(20.0)
        self._stack.close()
        return Ending(None, self._errors(), self.directory)

    def discard(self) -> None:
        if not self._keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def release_hold(self) -> None:
        """Whatever was withheld from the supervisor is its own again."""
        if hasattr(self, "supervisor"):
            self.supervisor.thaw()

    def _errors(self) -> tuple[str, ...]:
        log = self.directory / "daemon" / "stderr.log"
        if not log.is_file():
            return ()
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return tuple(line for line in lines if line.startswith(("error", "Traceback", "supervisor:")))[:20]

    def _program(self) -> list[str]:
        """The daemon, without its arguments."""
        return batteryd()

    def _start_broker(self) -> AnyBroker:
        return self._stack.enter_context(Broker(self.directory / "broker", self.pki))

    def _start_aggregator(self, directory: Path) -> LiveAggregator:
        aggregator = Aggregator(load_keyring(directory), os.urandom, receipt_every_ns=2_000_000_000)
        return LiveAggregator(aggregator, directory, *self.mosquitto.addresses[0], on_verdict=self._verdict)

    def _addresses(self) -> tuple[tuple[str, int], ...]:
        """Of the broker, in the order in which the daemon is to try them."""
        return self.mosquitto.addresses

    def _start_home(self, scenario: Scenario, seed: int) -> HomeClient:
        directory = self.directory
        settings = {key: value for key, value in scenario.home.items() if key != RESERVE}
        command = [sys.executable, "-m", "hil.devices.process", "--link", str(directory / "bus")]
        command += ["--control", str(directory / "home.sock"), "--out", str(directory / "home"), "--seed", str(seed)]
        command += ["--baud", str(self.baud), "--home", json.dumps({"load_w": 900, "pv_w": 0, **settings})]
        log = self._stack.enter_context((directory / "home.log").open("wb"))
        process = subprocess.Popen(
            kin(command),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # a Ctrl-C at the terminal is for the bench, which stops all in order
        )
        self._stack.callback(_end, process)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_S)
        line = process.stdout.readline() if ready else b""
        if not line:
            raise OSError(f"the simulated home did not start: {(directory / 'home.log').read_text()[-800:]}")
        client = HomeClient(directory / "home.sock")
        self._stack.callback(client.close)
        return client

    def _plug(self, on: bool) -> None:
        self.home_client.do("wire", command={"do": "plug", "on": on})

    def _reconfigure(self, scenario: Scenario, keys: Mapping[str, Value]) -> None:
        """The daemon's file, with other values in [site]."""
        section = {**scenario.config.get("site", {}), **keys}
        self._write_config(dataclasses.replace(scenario, config={**scenario.config, "site": section}))

    def _write_config(self, scenario: Scenario) -> Path:
        return site.write_config(
            self.directory,
            line={"port": str(self.directory / "bus"), "baud": self.baud},
            brokers=tuple(f"{host}:{port}" for host, port in self._addresses()),
            device=self.directory / "pki" / "device" / site.DEVICE,
            overrides=scenario.config,
            polls=self.polls,
            home=scenario.home,
        )

    # --- what happens, on other threads ------------------------------------------------------------------------------
    def _verdict(self, verdict: Verdict, at: Now) -> None:
        heard = verdict.message
        if heard is None:
            return
        self._gateway.heard()
        self._record("uplink", at.mono_ns, **uplink_fields(verdict))
        if heard.kind == "ack" and verdict.fate is not None and verdict.fate.value == "new":
            self._record("ack", at.mono_ns, **ack_fields(heard.claims, self._desk, self._t0))

    def _line(self, status: Mapping[str, Any]) -> None:
        told = from_status(status)
        key = decision_key(told)
        if key != self._decided:
            self._decided = key
            self._record("decision", time.monotonic_ns(), **decided(told))

    def _record(self, stream: str, mono_ns: int, **fields: Value) -> None:
        with self._lock:
            self._records.append(Happening(stream, mono_ns - self._t0, fields))

    # --- what the runner looks at ------------------------------------------------------------------------------------
    def signals(self) -> Mapping[str, Value]:
        self._drain()
        self._gateway.watch()
        status = self.watching.status
        self._told = status if self.supervisor.pid is not None else None
        ended = self.supervisor.ended
        home = self.home_client.signals()
        self._home_faults = str(home["bench.faults"])
        return {
            **dict.fromkeys(SIGNALS),
            **home,
            **self._writes.signals(),
            **self.live.look(lambda aggregator: aggregator_signals(aggregator, site.DEVICE)),
            **self.live.look(lambda a: self._heard.look(clocks().wall_ms, home, a.books[site.DEVICE])),
            **({} if self._told is None else from_status(self._told)),
            "bench.faults": self._on(),
            "local.refused": self._refused,
            "proc.alive": self.supervisor.pid is not None,
            "proc.starts": self.supervisor.starts,
            "proc.exit": ended[-1].code if ended else None,
        }

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        told = self._told
        faults = () if told is None else tuple(item["id"] for item in told["health"] if "since_s" in item)
        return {
            **self._desk.functions(),
            "refused": lambda reason: 0 if told is None else told["link"].get("refused", {}).get(reason, 0),
            "fault": lambda name: None if told is None else name in faults,
            "on": lambda name: name in self._on().split(),
        }

    def happenings(self) -> Sequence[Happening]:
        self._drain()
        with self._lock:
            records, self._records = sorted(self._records, key=lambda r: r.at_ns), []
        return records

    def timers(self) -> Mapping[str, tuple[float, float]]:
        return timers_of(self.config)

    def _drain(self) -> None:
        """Register writes and starts and ends of the daemon since the last look."""
        for raw in self.home_client.new_writes():
            written = SimpleNamespace(**{**raw, "words": tuple(raw["words"])})
            record = self._writes.take(written, raw["at_ns"] - self._t0)
            with self._lock:
                self._records.append(record)
        now = time.monotonic_ns()
        while self._seen_starts < self.supervisor.starts:
            self._seen_starts += 1
            self._record("process", now, what="start", status=None)
        while self._seen_ends < len(self.supervisor.ended):
            self._record("process", now, what="exit", status=self.supervisor.ended[self._seen_ends].code)
            self._seen_ends += 1

    # --- what the verbs do -------------------------------------------------------------------------------------------
    def home(self, op: str, **args: Value) -> None:
        self.home_client.do(op, **args)

    def aggregator(self, op: str, label: str, **args: Value) -> None:
        self._desk.do(op, label, args)

    def broker(self, up: bool) -> None:
        if up:
            self.mosquitto.start()
            self._gateway.shown.end("broker")
        else:
            probe = became(lambda: not answers(self._addresses()[0]))
            self.mosquitto.kill()
            self._gateway.shown.ask("broker", probe)

    def process(self, op: str) -> None:
        if op in ("hold", "unhold"):
            self.supervisor.withhold(op == "hold")
        elif op == "kill9":
            probe = grew(lambda: sum(each.code == -9 for each in self.supervisor.ended))
            self.supervisor.signal(9)
            self._gateway.shown.ask("killed", probe)
        elif op == "stop":
            probe = became(lambda: self.supervisor.stopped)
            self.supervisor.freeze()
            self._gateway.shown.ask("frozen", probe)
        elif op == "cont":
            self.supervisor.thaw()
            self._gateway.shown.end("frozen")
        elif op == "start":
            self.supervisor.start()
        elif op == "term":
            # the run goes on meanwhile: what the stop does is what we want to see
            self._stopper = threading.Thread(target=self.supervisor.stop, name="stopper", daemon=True)
            self._stopper.start()

    def gateway(self, op: str, **args: Value) -> None:
        self._gateway.do(op, args)

    def local(self, verb: str, **args: Value) -> None:
        path = str(self.config.resolve(self.config.file.agent.socket))
        if verb == "garbage":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                peer.settimeout(START_S)
                peer.connect(path)
                peer.sendall(GARBAGE)
                self._refused += not json.loads(peer.makefile("rb").readline())["ok"]
            return
        with Client(path) as client:
            told = next(client.ask(verb, **args))
            self._refused += not told["ok"]
            self._record("local", time.monotonic_ns(), **local_fields(verb, args.get("permille"), told))

    def _on(self) -> str:
        return " ".join(sorted({*self._gateway.shown.names(), *self._home_faults.split()}))

    # --- for the desk ------------------------------------------------------------------------------------------------
    def build(self, build: Callable[[Aggregator, Now], T]) -> T:
        """Look or sign while nobody else does."""
        return self.live.look(lambda aggregator: build(aggregator, clocks()))

    def publish(self, message: Publish) -> None:
        """Send."""
        self.live.publish(message)

    def _take_over(self, then: Callable[[], None]) -> None:
        """Connect with the device's own id and certificate: the broker ends its session. `then` before it is back."""
        take_over(self.pki, self.mosquitto, then)


def take_over(pki: Pki, broker: AnyBroker, then: Callable[[], None]) -> None:
    """End the session of the device, do `then`, and go."""
    tls = pki.devices[site.DEVICE].tls
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=site.DEVICE, clean_session=True)
    client.tls_set(str(tls.ca), str(tls.cert), str(tls.key))
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect(broker.host, broker.port, keepalive=10)
    client.loop_start()
    try:
        if not connected.wait(START_S):
            raise OSError("the broker did not accept the device's own certificate")
        then()
    finally:
        client.disconnect()
        client.loop_stop()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
