"""The story's chapters on the virtual backend, with the default timers: every promise of every scenario holds."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hil.aggregator.forge import FORGERIES
from hil.backends.virtual import VirtualBackend
from hil.campaign.case import Act, Case
from hil.expr import Value
from hil.runner import Quiet, Runner
from hil.scenario import DIRECTORY, Scenario, find, load
from hil.signals import Happening
from hil.writes import fingerprint

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
S = 1_000_000_000
VIRTUAL = sorted(p.stem for p in DIRECTORY.glob("*.toml") if "virtual" in load(p).backends)


@pytest.mark.parametrize("name", VIRTUAL)
def test_every_promise_holds(name: str) -> None:
    scenario = load(find(name))
    outcome = Runner(scenario, VirtualBackend(), scenario.seed).run()
    assert [f"{v.name}: {v.sentence}" for v in outcome.verdicts if not v.ok] == []


class _Writes(Quiet):
    def __init__(self) -> None:
        self.records: list[Happening] = []

    def happening(self, record: Happening) -> None:
        self.records.append(record)


def _trace(scenario: Scenario) -> list[tuple[object, ...]]:
    seen = _Writes()
    Runner(scenario, VirtualBackend(), scenario.seed, seen).run()
    return list(fingerprint(seen.records))


def test_registers_are_written_as_if_there_were_no_attack() -> None:
    attacked = load(find("attack"))
    events = tuple(e for e in attacked.events if e.verb != "aggregator.attack")
    assert len(events) == len(attacked.events) - 12
    promises = tuple(a for a in attacked.assertions if a.after is None)
    left_alone = dataclasses.replace(attacked, events=events, assertions=promises)

    trace = _trace(attacked)

    assert len(trace) > 30
    assert trace == _trace(left_alone)


def _hash(seed: int, hash_seed: str) -> str:
    command = [sys.executable, "-m", "hil", "scenario", "hour", "--backend", "virtual", "--seed", str(seed), "--json"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["seconds"] >= 3600
    return str(shown["trace"])


def test_same_seed_same_trace_in_processes_with_different_hash_seeds() -> None:
    """Over an hour with faults: register writes, payload bytes and decisions."""
    first = _hash(12, "1")
    assert first == _hash(12, "4242")
    assert first != _hash(13, "1")


class _Alive(Quiet):
    def __init__(self) -> None:
        self.at_s: set[int] = set()

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None:
        self.at_s |= {at_ns // S} if signals["proc.alive"] else set()


@pytest.mark.parametrize(("down_s", "again_s"), [(10.5, 30), (13.5, 30), (10.5, 12)])
def test_who_is_killed_while_the_restart_is_due_stays_down_as_long(down_s: float, again_s: int) -> None:
    """Ended at 10 s, it is due at 12 s; at 13.5 s it runs again."""
    acts = [Act(10, "proc.crash", id="ended"), Act(down_s, "proc.kill9", {}, again_s - down_s, "down")]
    scenario = Case("down", 1, 40, {}, {}, acts).scenario()
    seen = _Alive()
    Runner(scenario, VirtualBackend(), scenario.seed, seen).run()
    dead = {s for s in range(5, 40) if s not in seen.at_s}
    assert dead >= set(range(int(down_s) + 1, again_s)), f"dead in {sorted(dead)}"
    assert dead.isdisjoint(range(again_s + 1, 40)), f"dead in {sorted(dead)}"


def test_no_forgery_of_the_kit_moves_anything() -> None:
    attacked = load(find("attack"))
    first = next(e for e in attacked.events if e.verb == "aggregator.attack")
    quiet = tuple(e for e in attacked.events if e.verb != "aggregator.attack")
    forged = tuple(
        dataclasses.replace(first, id=way, at_ns=(60 + 3 * i) * S, args={"way": way, "power_w": 11_400})
        for i, way in enumerate(FORGERIES)
    )
    promises = tuple(a for a in attacked.assertions if a.name == "started once")

    trace = _trace(dataclasses.replace(attacked, events=(*quiet, *forged), assertions=promises))

    assert len(forged) > 40
    assert trace == _trace(dataclasses.replace(attacked, events=quiet, assertions=promises))
