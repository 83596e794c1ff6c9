"""`bench publish`: how many signed records a second the product's own sender brings to a broker, beside mosquitto_pub.

The sender is store, outbox, signature, link and MQTT thread as shipped, at most 20 without a PUBACK, in a process of
its own (`hil.bench.publish_sender`); receipts come back as in life, or it would stop after 256 records. The peer sends
lines of the same length at the same QoS, with the same certificate, to the same broker and the same subscriber. Its
rate is that of the second half of its lines, by two runs of which one has twice as many: it cannot tell when it has
connected, and it pauses before it ends.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.runtime.part import MqttMessage
from hil import site
from hil.aggregator.aggregator import Aggregator
from hil.aggregator.keys import load_keyring
from hil.aggregator.live import now
from hil.backends.process import ROOT
from hil.broker import Broker
from hil.figures import Figure, Report
from hil.pki import Pki, make_pki
from hil.progress import Progress
from hil.rounds import MIN_ROUNDS, median
from hil.stall import unstalled
from hil.talk import say

REACH = 0.5
BODY = 500
RECEIPT_EVERY = 64
WAIT_S = 120.0
MISSING = "mosquitto_pub is not installed: install it with `apt-get install --no-install-recommends mosquitto-clients`"
TOPIC = f"battery/v1/{site.FLEET}/{site.DEVICE}"


@dataclass(slots=True)
class Sides:
    """Messages a second of each round; what else is worth printing."""

    rates: dict[str, list[float]] = field(default_factory=lambda: {"agent": [], "mosquitto_pub": []})
    token_bytes: int = 0
    cpu_us: list[float] = field(default_factory=list)  # of the sender's process, a record
    repeated: int = 0


def run(args: argparse.Namespace) -> Report:
    """The ratio of the medians has a reach."""
    sides, void = unstalled(lambda: measure(max(1, args.records), max(MIN_ROUNDS, args.rounds)), say=say)
    agent, peer = (median(sides.rates[name]) for name in ("agent", "mosquitto_pub"))
    beside: Mapping[str, float | int] = {
        "agent /s": round(agent),
        "mosquitto_pub /s": round(peer),
        "token bytes": sides.token_bytes,
    }
    figures = [
        Figure("signed publish rate / mosquitto_pub, QoS 1, TLS", round(agent / peer, 3), "", f">= {REACH}", beside),
        Figure("CPU a record", round(median(sides.cpu_us)), "us", None, {"of": "store, signature, link, MQTT"}),
        Figure("records sent again", sides.repeated, "", None, {"rounds": len(sides.cpu_us)}),
    ]
    return Report("publishing what was stored", figures, void=void)


def measure(records: int, rounds: int) -> Sides:
    """Both sides, in turn."""
    program = find_peer()
    sides = Sides()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        Progress("publish", 2 * rounds, unit="rounds") as bar,
    ):
        directory = Path(name)
        pki = make_pki(directory / "pki", site.FLEET, [site.DEVICE])
        with Broker(directory / "broker", pki) as broker, Subscriber(pki, broker) as subscriber:
            for number in range(rounds):
                own = directory / f"agent{number}"
                own.mkdir()
                _agent(own, pki, broker, subscriber, records, sides)
                bar.step("agent")
                sides.rates["mosquitto_pub"].append(_peer(program, pki, broker, records, sides.token_bytes))
                bar.step("mosquitto_pub")
    return sides


def find_peer() -> str:
    """Path of mosquitto_pub. One sentence and exit 2 if there is none."""
    found = shutil.which("mosquitto_pub")
    if found is None:
        print(MISSING, file=sys.stderr)
        raise SystemExit(2)
    return found


class Subscriber:
    """The aggregator's side of both: hears all, and gives the agent the signed receipts that it needs."""

    def __init__(self, pki: Pki, broker: Broker) -> None:
        self._aggregator = Aggregator(load_keyring(pki.devices_file.parent), os.urandom)
        self._heard = 0
        self._seen: set[int] = set()
        self._ready = threading.Event()
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="aggregator-bench")
        client.tls_set(str(pki.aggregator.ca), str(pki.aggregator.cert), str(pki.aggregator.key))
        client.on_connect = lambda *args: self._subscribe()
        client.on_subscribe = lambda *args: self._ready.set()
        client.on_message = lambda client, userdata, message: self._message(message)
        client.connect(broker.host, broker.port)

    def __enter__(self) -> Subscriber:
        self._client.loop_start()
        if not self._ready.wait(WAIT_S):
            raise OSError("the subscriber did not reach mosquitto")
        return self

    def __exit__(self, *of: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def begin(self) -> None:
        """A new store: its numbers begin at 1."""
        self._seen, self._heard = set(), 0

    def _subscribe(self) -> None:
        self._client.subscribe([(f"{TOPIC}/up/event", 1), (f"{TOPIC}/up/birth", 1)])

    def _message(self, message: mqtt.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if message.topic.endswith("/birth"):
            _, answers = self._aggregator.receive(MqttMessage(message.topic, payload, 1, message.retain), now())
            for answer in answers:
                self._client.publish(answer.topic, answer.payload, 1)
            return
        self._heard += 1
        if self._heard % RECEIPT_EVERY or payload.count(b".") != 2:
            return
        body = payload.split(b".")[1]
        seq = json.loads(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)))["seq"]
        signed = self._aggregator._service("receipt", site.DEVICE, {"upto": seq, "also": []}, now(), 3_600_000)
        self._client.publish(signed.topic, signed.token, 1)


def _agent(own: Path, pki: Pki, broker: Broker, subscriber: Subscriber, records: int, sides: Sides) -> None:
    path = site.write_config(
        own,
        line={"port": str(own / "nowhere")},
        brokers=(f"{broker.host}:{broker.port}",),
        device=pki.devices[site.DEVICE].tls.ca.parent,
    )
    subscriber.begin()
    command = [sys.executable, "-m", "hil.bench.publish_sender", str(path), str(records), str(BODY)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        timer = threading.Timer(WAIT_S, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        process.communicate()
    if not line:
        raise OSError(f"the agent's sender did not bring {records} records to the broker in {WAIT_S:g} s")
    sent, first_ns, last_ns, longest, spent_ns = map(int, line.split())
    sides.rates["agent"].append(sent / ((last_ns - first_ns) / 1e9))
    sides.token_bytes = longest
    sides.cpu_us.append(spent_ns / 1e3 / sent)
    sides.repeated += sent - records


def _peer(program: str, pki: Pki, broker: Broker, records: int, size: int) -> float:
    """Messages a second of mosquitto_pub: what `records` lines more cost it."""
    tls = pki.devices[site.DEVICE].tls
    command = [program, "-h", broker.host, "-p", str(broker.port), "-q", "1", "-l", "-t", f"{TOPIC}/up/event"]
    command += ["-i", site.DEVICE, "--cafile", str(tls.ca), "--cert", str(tls.cert), "--key", str(tls.key)]
    line = b"x" * size + b"\n"
    once, twice = (min(_seconds(command, line * (count * records)) for _ in range(2)) for count in (1, 2))
    return records / max(1e-6, twice - once)


def _seconds(command: Sequence[str], lines: bytes) -> float:
    began = time.monotonic()
    subprocess.run(command, input=lines, check=True, timeout=WAIT_S)
    return time.monotonic() - began
