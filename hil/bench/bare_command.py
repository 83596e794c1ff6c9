"""The parts of a command and nothing else: paho hears it, one FULL commit of as many bytes, one write to a pty.

    python -m hil.bench.bare_command HOST PORT DIRECTORY TOPIC DATABASE STATE ROW

DIRECTORY holds ca.crt, tls.crt, tls.key. The commit replaces a text of STATE bytes and adds a row of ROW bytes, in a
database with the pragmas of the shipped one. A line to stdout when it has subscribed, then one for each message:
when on_message was called, and when the write began (monotonic ns).
"""

from __future__ import annotations

import os
import sqlite3
import ssl
import sys
import time
import tty
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.store.database import _PRAGMAS
from hil.talk import data

WRITE = bytes(29)  # two registers more than the longest write of the profile


def main(host: str, port: str, directory: str, topic: str, database: str, state: str, row: str) -> None:
    """Until it is killed."""
    db = _database(database)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    text, payload = "x" * int(state), os.urandom(int(row))
    context = ssl.create_default_context(cafile=str(Path(directory) / "ca.crt"))
    context.load_cert_chain(Path(directory) / "tls.crt", Path(directory) / "tls.key")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=Path(directory).name)
    client.tls_set_context(context)

    def message(client: mqtt.Client, userdata: Any, heard: mqtt.MQTTMessage) -> None:
        at_ns = time.monotonic_ns()
        bytes(heard.payload)
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (text,))
        db.execute("INSERT INTO outbox (payload) VALUES (?)", (payload,))
        db.execute("COMMIT")
        wrote_ns = time.monotonic_ns()
        os.write(theirs, WRITE)
        data(f"{at_ns} {wrote_ns}")
        os.read(ours, 4096)

    client.on_message = message
    client.on_connect = lambda *args: _subscribe(client, topic)
    client.on_subscribe = lambda *args: data("ready")
    client.connect(host, int(port), keepalive=30)
    client.loop_forever()


def _subscribe(client: mqtt.Client, topic: str) -> None:
    client.subscribe(topic, 1)


def _database(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in _PRAGMAS:
        db.execute(pragma)
    db.execute("CREATE TABLE state (id INTEGER PRIMARY KEY, json TEXT NOT NULL)")
    db.execute("CREATE TABLE outbox (seq INTEGER PRIMARY KEY, payload BLOB NOT NULL)")
    return db


if __name__ == "__main__":
    main(*sys.argv[1:])
