"""What a record costs at the least in this language: one Ed25519 signature and one paho publish, nothing else.

    python -m hil.bench.publish_bare HOST PORT CA CERT KEY TOPIC COUNT SIZE

No store, no JSON, no number, no receipt. At most 20 without a PUBACK, as the product. One line to stdout: first
publication, last PUBACK (monotonic ns).
"""

from __future__ import annotations

import base64
import sys
import threading
import time

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion

from agent.runtime.mqtt import IN_FLIGHT
from hil.talk import data

SIGNATURE = 86  # characters of base64url


def main(host: str, port: int, tls: tuple[str, str, str], topic: str, count: int, size: int) -> None:
    """Until all have their PUBACK."""
    key, body = Ed25519PrivateKey.generate(), b"x" * (size - SIGNATURE - 1)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=topic.split("/")[3])
    client.max_inflight_messages_set(IN_FLIGHT)
    client.tls_set(*tls)
    up, done, room = threading.Event(), threading.Event(), threading.Semaphore(IN_FLIGHT)
    left = count

    def published(*of: object) -> None:
        nonlocal left
        left -= 1
        room.release()
        if not left:
            done.set()

    client.on_connect = lambda *of: up.set()
    client.on_publish = published
    client.connect(host, port)
    client.loop_start()
    up.wait()
    first_ns = time.monotonic_ns()
    for _ in range(count):
        room.acquire()
        client.publish(topic, body + b"." + base64.urlsafe_b64encode(key.sign(body)).rstrip(b"="), 1)
    done.wait()
    data(f"{first_ns} {time.monotonic_ns()}")
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    where, port, ca, cert, own, topic, count, size = sys.argv[1:]
    main(where, int(port), (ca, cert, own), topic, int(count), int(size))
