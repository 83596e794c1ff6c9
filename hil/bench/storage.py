"""`bench storage`: bytes that the agent's store gives to the disk, beside a store that commits a row every second.

The whole agent lives through some hours in virtual time with its files on a real disk: blocks of telemetry, a hundred
commands a day with their records, receipts from the aggregator, settlement, and the clean stop. The peer commits one
row of 300 bytes a second, less than a sample's JSON, in SQLite as it comes, WAL and FULL. Both are processes of their
own; the bytes are those of /proc/PID/io, which counts what became dirty and had to be written.

    python -m hil.bench.storage agent|naive HOURS SEED

What the home and its aggregator said to each other meanwhile is counted too: it is what a broker carries.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from hil.backends.process import ROOT
from hil.backends.virtual import VirtualBackend
from hil.figures import Figure, Report
from hil.rounds import interleave, median
from hil.scenario import find, load
from hil.talk import data

REACH = 0.035
COMMANDS_A_DAY = 100
POWER_W, LASTS_S = 2_000, 300
ROW = 300
WARM_S = 30
S = 1_000_000_000
Told = dict[str, Any]


def run(args: argparse.Namespace) -> Report:
    """The ratio has a reach; megabytes a day beside."""
    told: list[Told] = []
    sides = {name: partial(measure, name, args.hours, args.seed, told) for name in ("agent", "naive")}
    spent = interleave(sides, max(3, args.rounds), title="storage")
    agent, naive = (median(spent[name]) for name in ("agent", "naive"))
    days = args.hours / 24
    beside = {
        "agent MB a day": round(agent / days / 1e6, 1),
        "a row a second MB a day": round(naive / days / 1e6),
        "hours": args.hours,
        "commands": commands(args.hours),
    }
    figure = Figure("bytes written / a row a second", round(agent / naive, 4), "", f"<= {REACH}", beside)
    figures = [figure]
    for way, words in (("up", "a home says"), ("down", "a home is told")):
        count, size = next(each[way] for each in told if way in each)
        beside = {"KB a day": round(size / days / 1e3), "bytes each": round(size / count)}
        figures.append(Figure(words, round(count / days), "messages a day", None, beside))
    return Report("what the store writes", figures, seed=args.seed)


def commands(hours: float) -> int:
    """How many fall into that time, at least one."""
    return max(1, round(COMMANDS_A_DAY * hours / 24))


def measure(name: str, hours: float, seed: int, told: list[Told]) -> float:
    """Bytes that a process of its own wrote; all that it told goes to `told`. OSError when it wrote to no disk."""
    command = [sys.executable, "-m", "hil.bench.storage", name, str(hours), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-800:]}")
    found = json.loads(done.stdout)
    if not found["written"]:
        raise OSError(f"{tempfile.gettempdir()} is on no disk: set TMPDIR to a directory that is")
    told.append(found)
    return float(found["written"])


class Overheard(VirtualBackend):
    """Counts what goes over its broker: messages and bytes of payload, each way."""

    said: dict[str, list[int]]

    def _reach(self, ring: Path, seed: int) -> None:
        super()._reach(ring, seed)
        self.said = {"up": [0, 0], "down": [0, 0]}
        publish = self._broker.publish

        def overheard(client: str, token: int, topic: str, payload: bytes, qos: int, retain: bool) -> None:
            count = self.said["up" if "/up/" in topic else "down"]
            count[0] += 1
            count[1] += len(payload)
            publish(client, token, topic, payload, qos, retain)

        self._broker.publish = overheard  # type: ignore[method-assign, assignment]  # both sides call it


def agent(hours: float, seed: int) -> Told:
    """Of so many hours of a home's life; RuntimeError if its commands were not done."""
    backend = Overheard(observed=False)
    backend.start(load(find("dispatch")), seed)
    backend.run_until(WARM_S * S)
    before, count = written(), commands(hours)
    backend.said |= {"up": [0, 0], "down": [0, 0]}
    for index in range(count):
        backend.run_until((WARM_S + round(index * 3600 * hours / count)) * S)
        power = POWER_W if index % 2 else -POWER_W
        backend.aggregator("dispatch", f"c{index}", power_w=power, duration=LASTS_S, primacy=1, ramp="direct")
    backend.run_until((WARM_S + round(3600 * hours)) * S)
    ended = [backend.functions()["ack_state"](f"c{index}") for index in range(count - 1)]
    said = dict(backend.said)
    backend.process("term")
    backend.run_until((WARM_S + round(3600 * hours) + 20) * S)
    spent = written() - before
    backend.finish()
    if any(state not in ("completed", "limited") for state in ended):
        raise RuntimeError(f"the home did not do the bench's commands: {sorted({str(state) for state in ended})}")
    return {"written": spent, **said}


def naive(hours: float) -> Told:
    """Of a row a second, each committed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        before = written()
        with contextlib.closing(sqlite3.connect(Path(directory) / "rows.db", isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("CREATE TABLE rows (at INTEGER PRIMARY KEY, body BLOB NOT NULL)")
            for second in range(round(3600 * hours)):
                db.execute("INSERT INTO rows VALUES (?, ?)", (second, os.urandom(ROW)))
        return {"written": written() - before}


def written() -> int:
    """Bytes that this process has given to disks so far."""
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("write_bytes:"))


if __name__ == "__main__":
    which, span, number = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    data(json.dumps(agent(span, number) if which == "agent" else naive(span)))
