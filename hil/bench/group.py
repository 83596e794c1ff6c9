"""`bench group`: one signed command to a group of a thousand homes through a real broker.

Each home is the whole agent (link, control, gate, port and store on an SQLite file of its own, commits FULL) with a
simulated home behind it, some hundred to a process (`hil.group`). What they share is what a home has alone: the
processor and the disk. So the time of each home is printed beside the CPU that verify, commit and act take in it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.runtime.part import MqttMessage, Now
from hil import site
from hil.aggregator.aggregator import Aggregator, Publish, Verdict
from hil.aggregator.keys import load_keyring
from hil.aggregator.live import LiveAggregator
from hil.backends.process import ROOT
from hil.bench.tick import unit_nice
from hil.broker import Broker
from hil.figures import Figure, Report
from hil.group.home import GROUP, Stamps
from hil.group.worker import nice
from hil.pki import Pki, make_pki
from hil.progress import Progress
from hil.rounds import median, percentile
from hil.stall import unstalled
from hil.talk import say

REACH_S = 1.0
SHARE = 990
PROCESSES = 4
POWERS_W = (-3000, 3000)  # in turn: each command moves every home
LASTS_S = 600
READY_S = 900.0
ACKS_S = 60.0
STATES = ("received", "started")
SETTLE_S = 5.0
TIMES_S = 3.0


@dataclass(frozen=True, slots=True)
class Round:
    """One command: when it was published (monotonic ns), each home's stamps, and what the aggregator heard of it."""

    sent_ns: int
    stamps: Mapping[str, Stamps]
    acks: Mapping[str, Sequence[str]]

    def late_s(self, step: str) -> list[float]:
        """Seconds from publishing until a home had come to `step`; an hour for one that never did."""
        times = [getattr(stamps, step) for stamps in self.stamps.values()]
        return [(at - self.sent_ns) / 1e9 if at else 3600.0 for at in times]


@dataclass(frozen=True, slots=True)
class Measured:
    """All rounds, and what the fleet was like meanwhile."""

    rounds: Sequence[Round]
    score: Mapping[str, Any]
    agent_kib: float
    broker_kib: int
    broker_cpu_ms: float  # of one command and its acks
    idle_cores: float  # what the homes cost when nothing happens
    verifier_us: float  # CPU of the aggregator, a message


def run(args: argparse.Namespace) -> Report:
    """The worst round's 99th percentile has a reach, and so have the acks."""
    agents = args.agents
    found, void = unstalled(lambda: measure(agents, max(1, args.rounds)), say=say, fine=_fine)
    return Report(f"a command to a group of {agents}", figures(found, agents), void=void)


def _fine(found: Measured) -> bool:
    return all(percentile(each.late_s("gate"), SHARE) <= REACH_S for each in found.rounds)


def figures(found: Measured, agents: int) -> list[Figure]:
    """Of the worst round, since a fleet is promised each one."""
    worst = max(found.rounds, key=lambda each: percentile(each.late_s("gate"), SHARE))
    steps = [
        ("heard", "read from its socket", None),
        ("verified", "signature verified", None),
        ("committed", "committed", None),
        ("gate", "passed the gate", f"<= {REACH_S:g}"),
    ]
    shown = []
    for step, words, reach in steps:
        late = worst.late_s(step)
        beside = {"p50": round(median(late), 3), "last": round(max(late), 3)}
        shown.append(
            Figure(f"publish -> {words}, 99 % of homes", round(percentile(late, SHARE), 3), "s", reach, beside)
        )
    stamps = [each for turn in found.rounds for each in turn.stamps.values()]
    for name, words in (("verify_ns", "verify"), ("commit_ns", "commit"), ("control_ns", "decide and act")):
        value = round(median([getattr(each, name) for each in stamps]) / 1e3)
        shown.append(Figure(f"CPU of a home, {words}", value, "us"))
    full = sum(turn.acks.get(home, ()) == STATES for turn in found.rounds for home in turn.stamps)
    beside = {"duplicates": found.score["duplicates"], "conflicts": found.score["conflicts"]}
    shown.append(Figure("homes whose acks came, each once", full, "", f"== {agents * len(found.rounds)}", beside))
    shown.append(Figure("rows missing", found.score["missing"], "", "== 0", {"refused": found.score["refused"]}))
    shown.append(
        Figure("homes at rest", round(found.idle_cores, 2), "cores", None, {"KiB a home": round(found.agent_kib)})
    )
    beside = {"RSS KiB": found.broker_kib}
    shown.append(Figure("broker, a command and its acks", round(found.broker_cpu_ms), "ms CPU", None, beside))
    shown.append(Figure("verifier, a message", round(found.verifier_us), "us CPU"))
    return shown


def measure(agents: int, rounds: int) -> Measured:
    """`rounds` commands to `agents` homes. RuntimeError if the fleet does not come up."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Progress("group", rounds + 2, unit="steps") as bar:
        directory = Path(name)
        devices = [f"home-{number:04}" for number in range(1, agents + 1)]
        pki = make_pki(directory / "pki", site.FLEET, devices, [GROUP])
        with (
            Broker(directory / "broker", pki) as broker,
            workers(directory, broker, agents) as fleet,
            _listening(pki, broker, verifier := Verifier()) as live,
            _desk(pki, broker) as desk,
        ):
            bar.step("built")
            if not live.wait_connected(READY_S):
                raise RuntimeError(f"the aggregator did not reach mosquitto: {live.last_error}")
            fresh = sum(told["fresh"] for told in fleet.ask("go"))
            if fresh < agents:
                raise RuntimeError(f"{fresh} of {agents} homes were told the time")
            bar.step("connected")
            idle = _idle(fleet)
            spent, turns = _cpu_ms(broker.pid), []
            assert broker.pid is not None
            nice(broker.pid, unit_nice())  # it has a machine of its own
            for number in range(rounds):
                turns.append(_command(fleet, live, desk, agents, POWERS_W[number % len(POWERS_W)]))
                bar.step("command")
            spent = (_cpu_ms(broker.pid) - spent) / rounds
            rss, score = fleet.kib(), live.look(Aggregator.score)
            each_us = median(verifier.spent_ns) / 1e3
            return Measured(turns, score, rss / agents, _kib(broker.pid), spent, idle, each_us)


def _listening(pki: Pki, broker: Broker, verifier: Verifier) -> LiveAggregator:
    directory = pki.aggregator.ca.parent
    aggregator = Aggregator(load_keyring(directory), os.urandom, receipt_every_ns=2_000_000_000)
    host, port = broker.addresses[0]
    return LiveAggregator(aggregator, directory, host, port, on_verdict=verifier.verdict, on_raw=verifier.raw)


@contextlib.contextmanager
def _desk(pki: Pki, broker: Broker) -> Iterator[mqtt.Client]:
    """A connection for commands alone: the one that hears may be busy verifying what it heard."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="aggregator-desk")
    client.tls_set(str(pki.aggregator.ca), str(pki.aggregator.cert), str(pki.aggregator.key))
    connected = threading.Event()
    client.on_connect = lambda *args: connected.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        if not connected.wait(ACKS_S):
            raise RuntimeError("the desk did not reach mosquitto")
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def _command(fleet: Fleet, live: LiveAggregator, desk: mqtt.Client, agents: int, power_w: int) -> Round:
    for message in live.build(_times):  # on a machine that is too small for all of them, homes lag behind
        live.publish(message)
    time.sleep(TIMES_S)
    fleet.ask("watch")
    signed = live.build(
        lambda aggregator, now: aggregator.dispatch(f"grp:{GROUP}", power_w, LASTS_S, now, primacy=1, ramp="direct")
    )
    sent_ns = time.monotonic_ns()
    desk.publish(signed.topic, signed.token, 1)
    live.wait_for(lambda a: _answered(a, signed.id) == agents, ACKS_S)
    time.sleep(SETTLE_S)  # what comes twice would come now
    stamps = {home: Stamps(*row) for told in fleet.ask("tell") for home, row in told["stamps"].items()}
    acks = live.look(
        lambda a: {book.device: tuple(ack.state for ack in book.acks.get(signed.id, ())) for book in a.books.values()}
    )
    return Round(sent_ns, stamps, acks)


def _times(aggregator: Aggregator, at: Now) -> list[Publish]:
    births = [book.birth for book in aggregator.books.values() if book.birth is not None]
    return [aggregator.time(birth.device, birth.claims["nonce"], at).publish for birth in births]


def _answered(aggregator: Aggregator, command: str) -> int:
    return sum(len(book.acks.get(command, ())) >= len(STATES) for book in aggregator.books.values())


def _idle(fleet: Fleet) -> float:
    """Cores that the homes take while nothing happens."""
    before, began = sum(told["cpu_s"] for told in fleet.ask("tell")), time.monotonic()
    time.sleep(SETTLE_S)
    return float(sum(told["cpu_s"] for told in fleet.ask("tell")) - before) / (time.monotonic() - began)


class Verifier:
    """What a message costs the aggregator: signature, claims, books and answer."""

    def __init__(self) -> None:
        self._began_ns = 0
        self.spent_ns: list[int] = []

    def raw(self, message: MqttMessage, at: Now) -> None:
        """It begins."""
        self._began_ns = time.thread_time_ns()

    def verdict(self, verdict: Verdict, at: Now) -> None:
        """It is done."""
        if verdict.message is not None:
            self.spent_ns.append(time.thread_time_ns() - self._began_ns)


class Fleet:
    """The processes with the homes in them."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._processes = processes
        self._base: list[int] = []

    def built(self) -> None:
        """Every home is there."""
        self._hear()

    def ask(self, word: str) -> list[Mapping[str, Any]]:
        """Say it to all, and take every answer."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(word + "\n")
            process.stdin.flush()
        return self._hear()

    def kib(self) -> int:
        """Resident memory of all."""
        return sum(told["rss_kib"] for told in self.ask("tell"))

    def _hear(self) -> list[Mapping[str, Any]]:
        answers = []
        for process in self._processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("a process of the fleet has ended; its last words are above")
            answers.append(json.loads(line))
        return answers


@contextlib.contextmanager
def workers(directory: Path, broker: Broker, agents: int) -> Iterator[Fleet]:
    """Every home built, in `PROCESSES` processes or fewer."""
    count = min(PROCESSES, agents)
    processes = []
    try:
        for number in range(count):
            first = agents * number // count + 1
            share = agents * (number + 1) // count + 1 - first
            command = [sys.executable, "-m", "hil.group.worker", str(directory / "pki")]
            command += [f"{broker.host}:{broker.port}", str(first), str(share)]
            processes.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=os.environ | {"TMPDIR": str(directory)},
                    start_new_session=True,
                )
            )
        guard = threading.Timer(READY_S, _kill, (processes,))
        guard.start()
        fleet = Fleet(processes)
        fleet.built()
        guard.cancel()
        yield fleet
    finally:
        for process in processes:
            with contextlib.suppress(OSError):
                process.communicate("end\n", timeout=60.0)
        _kill(processes)


def _kill(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def _cpu_ms(pid: int | None) -> float:
    """User and system time of a process, from /proc (its clock ticks are 10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def _kib(pid: int | None) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:"))
