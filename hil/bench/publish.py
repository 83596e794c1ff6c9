"""`bench publish`: how many signed records a second the product's own sender brings to a broker, beside mosquitto_pub.

The sender is store, outbox, signature, link and MQTT thread as shipped, at most 20 without a PUBACK, in a process of
its own (`hil.bench.publish_sender`); receipts come back as in life, or it would stop after 256 records. The peer sends
lines of the same length at the same QoS, with the same certificate, to the same broker. Both are heard by the same
mosquitto_sub, which keeps up with them, so that the broker lets nothing fall. The peer's rate is that of its lines as
they come out there: it tells neither when it has connected nor when its last was taken. A third side signs and
publishes in Python and does nothing else (`hil.bench.publish_bare`): what there is to reach without another language.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
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
from hil.bench.listener import Heard, Listener, find, reach
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
TOPIC = f"battery/v1/{site.FLEET}/{site.DEVICE}"


SIDES = ("agent", "mosquitto_pub", "bare")


@dataclass(slots=True)
class Sides:
    """Messages a second of each round; what else is worth printing."""

    rates: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in SIDES})
    token_bytes: int = 0
    cpu_us: list[float] = field(default_factory=list)  # of the sender's process, a record
    repeated: int = 0


def run(args: argparse.Namespace) -> Report:
    """The ratio of the medians has a reach."""
    sides, void = unstalled(lambda: measure(max(1, args.records), max(MIN_ROUNDS, args.rounds)), say=say)
    agent, peer, bare = (median(sides.rates[name]) for name in SIDES)
    beside: Mapping[str, float | int] = {
        "agent /s": round(agent),
        "mosquitto_pub /s": round(peer),
        "token bytes": sides.token_bytes,
    }
    figures = [
        Figure("signed publish rate / mosquitto_pub, QoS 1, TLS", round(agent / peer, 3), "", f">= {REACH}", beside),
        Figure("the same / signing and paho alone", round(agent / bare, 3), "", None, {"bare /s": round(bare)}),
        Figure(
            "signing and paho alone / mosquitto_pub", round(bare / peer, 3), "", None, {"what Python can": "at most"}
        ),
        Figure("CPU a record", round(median(sides.cpu_us)), "us", None, {"of": "store, signature, link, MQTT"}),
        Figure("records sent again", sides.repeated, "", None, {"rounds": len(sides.cpu_us)}),
    ]
    return Report("publishing what was stored", figures, void=void)


def measure(records: int, rounds: int) -> Sides:
    """Both sides, in turn."""
    sides = Sides()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        Progress("publish", len(SIDES) * rounds, unit="rounds") as bar,
    ):
        directory = Path(name)
        pki = make_pki(directory / "pki", site.FLEET, [site.DEVICE])
        with Broker(directory / "broker", pki) as broker, Subscriber(pki, broker) as subscriber:
            for number in range(rounds):
                own = directory / f"agent{number}"
                own.mkdir()
                _agent(own, pki, broker, subscriber, records, sides)
                bar.step("agent")
                sides.rates["mosquitto_pub"].append(_peer(pki, broker, subscriber, records, sides.token_bytes))
                bar.step("mosquitto_pub")
                sides.rates["bare"].append(_bare(pki, broker, records, sides.token_bytes))
                bar.step("bare")
    return sides


class Subscriber:
    """The aggregator's side of both: hears all, and gives the agent the signed receipts that it needs."""

    def __init__(self, pki: Pki, broker: Broker) -> None:
        self._aggregator = Aggregator(load_keyring(pki.devices_file.parent), os.urandom)
        self._pki, self._broker = pki, broker
        self._listener = Listener(broker, pki.aggregator, f"{TOPIC}/up/event", RECEIPT_EVERY, self._line)
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="aggregator-bench")
        client.tls_set(str(pki.aggregator.ca), str(pki.aggregator.cert), str(pki.aggregator.key))
        client.on_connect = lambda *args: self._subscribe()
        client.on_message = lambda client, userdata, message: self._birth(message)
        client.connect(broker.host, broker.port)

    def __enter__(self) -> Subscriber:
        self._client.loop_start()
        self._listener.start(lambda: publish_lines(self._pki, self._broker, b"ready\n"))
        return self

    def __exit__(self, *of: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._listener.stop()

    def begin(self, count: int) -> Heard:
        """What is heard from now on."""
        return self._listener.begin(count)

    def _subscribe(self) -> None:
        self._client.subscribe(f"{TOPIC}/up/birth", 1)

    def _birth(self, message: mqtt.MQTTMessage) -> None:
        payload = bytes(message.payload)
        _, answers = self._aggregator.receive(MqttMessage(message.topic, payload, 1, message.retain), now())
        for answer in answers:
            self._client.publish(answer.topic, answer.payload, 1)

    def _line(self, line: bytes) -> None:
        if line.count(b".") != 2:
            return  # one of the peer's
        body = line.split(b".")[1]
        seq = json.loads(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)))["seq"]
        signed = self._aggregator._service("receipt", site.DEVICE, {"upto": seq, "also": []}, now(), 3_600_000)
        self._client.publish(signed.topic, signed.token, 1)


def publish_lines(pki: Pki, broker: Broker, lines: bytes) -> None:
    """Each line a message, by mosquitto_pub, with the device's certificate."""
    command = [find("mosquitto_pub"), *reach(broker, pki.devices[site.DEVICE].tls), "-q", "1", "-l"]
    command += ["-t", f"{TOPIC}/up/event", "-i", site.DEVICE]
    subprocess.run(command, input=lines, check=True, timeout=WAIT_S)


def _agent(own: Path, pki: Pki, broker: Broker, subscriber: Subscriber, records: int, sides: Sides) -> None:
    path = site.write_config(
        own,
        line={"port": str(own / "nowhere")},
        brokers=(f"{broker.host}:{broker.port}",),
        device=pki.devices[site.DEVICE].tls.ca.parent,
    )
    heard = subscriber.begin(records)
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
    if not heard.whole.wait(WAIT_S):
        raise OSError(f"{heard.lines} of {records} records came out of the broker")
    sides.rates["agent"].append(sent / ((last_ns - first_ns) / 1e9))
    sides.token_bytes = longest
    sides.cpu_us.append(spent_ns / 1e3 / sent)
    sides.repeated += sent - records


def _peer(pki: Pki, broker: Broker, subscriber: Subscriber, records: int, size: int) -> float:
    """Messages a second of mosquitto_pub, as they come out of the broker."""
    heard = subscriber.begin(records)
    publish_lines(pki, broker, (b"x" * size + b"\n") * records)
    if not heard.whole.wait(WAIT_S):
        raise OSError(f"{heard.lines} of {records} lines of mosquitto_pub came out of the broker")
    return heard.rate


def _bare(pki: Pki, broker: Broker, records: int, size: int) -> float:
    """Messages a second of a loop that signs and publishes."""
    tls = pki.devices[site.DEVICE].tls
    what = (broker.host, broker.port, tls.ca, tls.cert, tls.key, f"{TOPIC}/up/event", records, size)
    command = [sys.executable, "-m", "hil.bench.publish_bare", *map(str, what)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=WAIT_S)
    first_ns, last_ns = map(int, done.stdout.split())
    return records / ((last_ns - first_ns) / 1e9)
