"""`bench command`: from paho's on_message to the first byte of the register write, on an idle bus, the commit included.

The daemon as shipped, with stamps (`hil.bench.stamped`), against a process that does the same parts bare: paho, one
FULL commit of as many bytes on the same disk, one write to a pty (`hil.bench.bare_command`). Each command goes to one
and then to the other, through the same broker. What came while a poll was on the wire is the business of `bench wire`
and counted apart.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hil import site
from hil.aggregator.aggregator import Publish
from hil.backends.process import ROOT, ProcessBackend
from hil.bench.dispatch import HIGHEST_W, SETTLE_S, STEP_W, STEPS, rate_of, write_of
from hil.bench.rig import NotReady, ending, scenario, wait
from hil.bench.virtual import SLOW_POLLS
from hil.figures import Figure, Report
from hil.progress import Progress
from hil.rounds import percentile
from hil.stall import unstalled
from hil.talk import say

TIMES = 1.5
COUNT = 1_000
ROUNDS = 3
PAUSE_S = (0.11, 0.17)  # each of the two; the link takes five commands a second
BARE = "bare-0001"
POSTED = ("CommandIn", "CommitRequest", "Committed", "Execute")  # a command's way from part to part
PARTS = ("link", "core, until its commit", "disk", "core, until its order", "port")
POLLS = {**SLOW_POLLS, "inverter": {"fast": 1000, "slow": 3000, "control": 3000}}  # one may be lost


@dataclass(frozen=True, slots=True)
class Span:
    """One command: published, heard by paho, first byte of its write (monotonic ns). `idle`: no poll was in the way.
    `posted_ns`: when each part handed it on (POSTED)."""

    sent_ns: int
    heard_ns: int
    wrote_ns: int
    idle: bool = True
    posted_ns: tuple[int, ...] = ()

    @property
    def hop_ms(self) -> float:
        """What broker and paho took."""
        return (self.heard_ns - self.sent_ns) / 1e6

    @property
    def inside_ms(self) -> float:
        """From on_message to the write."""
        return (self.wrote_ns - self.heard_ns) / 1e6

    @property
    def parts_ms(self) -> list[float]:
        """From on_message to the write, part by part (PARTS)."""
        stamps = (self.heard_ns, *self.posted_ns, self.wrote_ns)
        return [(b - a) / 1e6 for a, b in pairwise(stamps)]

    @property
    def all_ms(self) -> float:
        """From publishing to the write."""
        return (self.wrote_ns - self.sent_ns) / 1e6


Sides = Mapping[str, list[Span]]


class StampedBackend(ProcessBackend):
    """A daemon with stamps on a line that is quick and polled at leisure; another client beside it at the broker."""

    baud = 115_200
    polls = POLLS
    others = (BARE,)

    @property
    def stamps(self) -> Path:
        """Where the daemon writes them."""
        return self.directory / "stamps"

    def _program(self) -> list[str]:
        return [sys.executable, "-m", "hil.bench.stamped", str(self.stamps), ",".join(POSTED)]


def run(args: argparse.Namespace) -> Report:
    """Both percentiles have a reach: the bare parts of the same run."""
    count = max(1, args.commands)
    sides, void = unstalled(lambda: measure(count, max(ROUNDS, args.rounds), args.seed), say=say)
    return Report("a command, inside the agent", figures(sides, count), seed=args.seed, void=void)


def figures(sides: Sides, count: int) -> list[Figure]:
    """`count` commands were sent to each side."""
    agent, bare = [span for span in sides["agent"] if span.idle], sides["bare"]
    found = []
    for name, permille in (("p50", 500), ("p99", 990)):
        ours, theirs = (percentile([span.all_ms for span in spans], permille) for spans in (agent, bare))
        inside, parts = (percentile([span.inside_ms for span in spans], permille) for spans in (agent, bare))
        hop = percentile([span.hop_ms for span in bare], permille)
        beside = {"agent ms": round(ours, 2), "bare paho + commit + write ms": round(theirs, 2)}
        title = f"paho + commit + write, agent / bare, {name}"
        found.append(Figure(title, round(ours / theirs, 3), "", f"<= {TIMES}", beside))
        beside = {"bare commit + write": round(parts, 2), "paho's hop": round(hop, 2)}
        found.append(Figure(f"on_message -> first write, {name}", round(inside, 2), "ms", None, beside))
    whole = [span.parts_ms for span in agent if len(span.posted_ns) == len(POSTED)]
    if whole:
        middle = {
            part: round(percentile(times, 500), 2) for part, times in zip(PARTS, zip(*whole, strict=True), strict=True)
        }
        found.append(Figure("of it in each part, p50", round(sum(middle.values()), 2), "ms", None, middle))
    behind = len(sides["agent"]) - len(agent)
    found.append(Figure("commands on an idle bus", len(agent), "", None, {"behind a poll, not counted": behind}))
    found.append(Figure("commands answered, each side", min(map(len, sides.values())), "", f">= {count}"))
    return found


def measure(count: int, rounds: int, seed: int) -> Sides:
    """`count` commands to each side, in turn. The daemon starts anew for each round."""
    sides: dict[str, list[Span]] = {"agent": [], "bare": []}
    with Progress("command", count, unit="commands") as bar:
        for number in range(rounds):
            share = count * (number + 1) // rounds - count * number // rounds
            backend = StampedBackend()
            with ending(backend):
                backend.start(scenario(), seed + number)
                wait(backend, lambda s: s["agent.devices_ok"] == 3 and s["agent.fresh"] is True)
                _round(backend, share, random.Random(seed + number), sides, bar)
    return sides


def _round(backend: StampedBackend, count: int, rng: random.Random, sides: Sides, bar: Progress) -> None:
    _dispatch(backend, HIGHEST_W)  # the bare side looks at what it left in the database
    wait(backend, lambda s: s["agent.given_w"] == HIGHEST_W, SETTLE_S)
    sent: dict[str, list[tuple[int, int]]] = {"agent": [], "bare": []}
    with bare(backend) as (process, topic):
        for index in range(count):
            if index and index % STEPS == 0:  # upward is by a ramp: it starts anew from the highest
                _dispatch(backend, HIGHEST_W)
                wait(backend, lambda s: s["agent.given_w"] == HIGHEST_W, SETTLE_S)
            time.sleep(rng.uniform(*PAUSE_S))
            power = HIGHEST_W - STEP_W * (index % STEPS + 1)
            at_ns, size = _dispatch(backend, power)
            sent["agent"].append((at_ns, rate_of(power)))
            time.sleep(rng.uniform(*PAUSE_S))
            sent["bare"].append((time.monotonic_ns(), 0))
            backend.publish(Publish(topic, b"x" * size))
            bar.step()
        time.sleep(1.0)
        process.kill()
        assert process.stdout is not None
        told = process.stdout.read()
    sides["bare"].extend(bare_spans([at for at, _ in sent["bare"]], told))
    sides["agent"].extend(agent_spans(sent["agent"], backend.stamps.read_text(encoding="ascii")))


def _dispatch(backend: ProcessBackend, power_w: int) -> tuple[int, int]:
    """When it was published, and of how many bytes."""
    message = backend.build(lambda aggregator, now: aggregator.dispatch(site.DEVICE, power_w, 600, now))
    at_ns = time.monotonic_ns()
    backend.publish(message.publish)
    return at_ns, len(message.token)


@contextlib.contextmanager
def bare(backend: StampedBackend) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The other side, and the topic that it hears. It writes what the agent's own database shows of a command."""
    files = backend.pki.devices[BARE]
    topic = f"battery/v1/{site.FLEET}/{BARE}/down/command"
    state, row = sizes(backend.config.state_dir / "store.db")
    command = [sys.executable, "-m", "hil.bench.bare_command", backend.mosquitto.host, str(backend.mosquitto.port)]
    command += [str(files.tls.ca.parent), topic, str(backend.directory / "bare.db"), str(state), str(row)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise NotReady("the bare side did not subscribe")
        yield process, topic
    finally:
        process.kill()
        process.communicate()


def sizes(database: Path) -> tuple[int, int]:
    """Bytes of the state and of a row of the agent's database, from a copy: the daemon holds the file alone."""
    copy = database.with_name("looked.db")
    for end in ("", "-wal"):
        copy.with_name(copy.name + end).write_bytes(database.with_name(database.name + end).read_bytes())
    with contextlib.closing(sqlite3.connect(copy)) as db:
        state = db.execute("SELECT length(json) FROM state").fetchone()
        row = db.execute("SELECT avg(length(payload)) FROM outbox WHERE kind = 'ack'").fetchone()
    if state is None or row[0] is None:
        raise NotReady(f"{database} shows no committed command")
    return int(state[0]), int(row[0])


def bare_spans(sent: Sequence[int], told: str) -> list[Span]:
    """What the bare process said, against what was sent: in order, each once."""
    lines = [line.split() for line in told.splitlines() if " " in line]
    return [Span(at, int(heard), int(wrote)) for at, (heard, wrote) in zip(sent, lines, strict=True)]


def agent_spans(sent: Sequence[tuple[int, int]], stamps: str) -> list[Span]:
    """From the daemon's stamps: each command's message, and the first write of the sequence that sets its rate.

    One without a write is left out; whoever counts will see it.
    """
    heard, events, posts = [], [], []
    for line in stamps.splitlines():
        what, at, *rest = line.split()
        if what == "m":
            heard.append(int(at))
        elif what == "p":
            posts.append((int(at), rest[0]))
        else:
            events.append((int(at), what, bytes.fromhex(rest[0]) if rest else b""))
    events.sort()
    posts.sort()
    spans = []
    for at_ns, rate in sent:
        message = next((at for at in heard if at >= at_ns), None)
        found = None if message is None else _first_write(events, message, rate)
        if message is not None and found is not None:
            spans.append(Span(at_ns, message, *found, _handed_on(posts, message, found[0])))
    return spans


def _handed_on(posts: Sequence[tuple[int, str]], since_ns: int, until_ns: int) -> tuple[int, ...]:
    """When each of POSTED was posted first, one after the other; fewer where one is missing."""
    times: list[int] = []
    for at_ns, what in posts:
        if since_ns <= at_ns <= until_ns and len(times) < len(POSTED) and what == POSTED[len(times)]:
            times.append(at_ns)
    return tuple(times)


def _first_write(events: Sequence[tuple[int, str, bytes]], since_ns: int, rate: int) -> tuple[int, bool] | None:
    """(time, whether the bus was idle) of the first byte that answers a command heard at `since_ns`. The reversion time
    goes before the rate."""
    first, idle = None, True
    for at, what, data in events:
        if at < since_ns:
            idle = what == "r"
        elif what == "w":
            written = write_of(data, at)
            if written is None:
                first, idle = None, False  # a poll went first
            elif written.rate == rate:
                return first or at, idle
            else:
                first = at if written.rate is None else None
    return None
