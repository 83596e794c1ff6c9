"""Sends messages that a home must refuse, a thousand a second: the other side of `bench flood`, in a process apart.

Lines on stdin say to whom: the id of a device, or nothing for a pause. One line of JSON on stdout for each: how many
were sent since the last one.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from hil.aggregator.keys import Keyring, load_keyring
from hil.aggregator.token import encode, header_of, sign

RATE = 1000  # a second
BURST = 10
LEAVES = ("command", "time", "receipt", "homeowner", "trust", "nothing")


def garbage(ring: Keyring, seed: int) -> list[tuple[str, bytes]]:
    """(leaf, payload): noise, half tokens, tokens with a known key's name and a wrong signature, too long ones."""
    draw = random.Random(seed)
    key = ring.roles["dispatch"]
    whole = sign(key.key, encode(header_of(key.kid, "battery-command+jws")), encode({"kind": "stop", "v": 1}))
    found: list[tuple[str, bytes]] = []
    for n in range(400):
        leaf = draw.choice(LEAVES)
        body = (
            draw.randbytes(draw.randrange(600)),
            whole[: draw.randrange(len(whole))],
            whole[:-86] + draw.choice([b"A", b"B", b"Q"]) * 86,
            b"." * draw.randrange(2000),
            json.dumps({"kind": "stop", "n": n}).encode(),
            b"[" * draw.randrange(4000),
            whole + b"A" * 5000,
        )
        found.append((leaf, draw.choice(body)))
    return found


def main(argv: Sequence[str]) -> None:
    """Arguments: host, port, directory of the aggregator's keys."""
    host, port, directory = argv[0], int(argv[1]), Path(argv[2])
    ring = load_keyring(directory)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="aggregator-garbage")
    client.tls_set(str(directory / "ca.crt"), str(directory / "tls.crt"), str(directory / "tls.key"))
    client.max_inflight_messages_set(200)
    client.connect(host, port)
    client.loop_start()
    messages = garbage(ring, 1)
    device, sent, due = "", 0, time.monotonic()
    while True:
        due = max(due + BURST / RATE, time.monotonic() - 0.1)
        ready, _, _ = select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))
        if ready:
            line = sys.stdin.readline()
            if not line:
                break
            print(json.dumps({"sent": sent}), flush=True)
            device, sent, due = line.strip(), 0, time.monotonic()
        for _ in range(BURST if device else 0):
            leaf, payload = messages[sent % len(messages)]
            client.publish(f"battery/v1/{ring.fleet}/{device}/down/{leaf}", payload, qos=1)
            sent += 1
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main(sys.argv[1:])
