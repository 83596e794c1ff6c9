"""Many homes in one process and one virtual time: some get a fault, and nobody else may notice."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hil.campaign.menu import Dish, dishes
from hil.expr import Value
from hil.faults.catalog import VERBS
from hil.scenario import Scenario, parse
from hil.street.home import FleetHome, Street

S = 1_000_000_000
BEFORE_S = 45  # the home is up and dispatched
FAULT_S = 40
AFTER_S = 25
LENGTH_S = BEFORE_S + FAULT_S + AFTER_S
HOME = """
[scenario]
name = "fleet"
hazards = []
duration = "1h"

[home]
soc_permille = {soc}
reserve_permille = 200
load_w = {load}
reconnect_s = 2

[config.agent]
id = "{device}"
"""


@dataclass(frozen=True, slots=True)
class Life:
    """Of one home. `trace`: hash over register writes, payloads and decisions, each with its time."""

    trace: str
    acts: int


def scenario(device: str, seed: int) -> Scenario:
    """A home of its own for each device."""
    rng = Random(f"{seed}/home/{device}")
    text = HOME.format(device=device, soc=rng.randrange(300, 900), load=rng.choice((300, 900, 2_500, 5_000)))
    return dataclasses.replace(parse(text, device), name=device)


def plan(count: int, seed: int) -> Mapping[int, Dish]:
    """Which home gets which fault: one of each kind, spread over the street; at least half of it stays well."""
    rng = Random(f"{seed}/fleet")
    rows = list(dishes())
    rng.shuffle(rows)
    rows = rows[: count // 2]
    places = rng.sample(range(count), len(rows))
    return dict(zip(places, rows, strict=True))


def live(
    count: int, seed: int, faults: Mapping[int, Dish], step: Callable[[float], None] = lambda seconds: None
) -> Mapping[str, Life]:
    """All homes from start to end. `step` is told how many virtual seconds are over."""
    with tempfile.TemporaryDirectory(prefix="fleet-", dir=_memory()) as name:
        street = Street(Path(name), seed, count)
        homes = [FleetHome(street, device) for device in street.devices]
        begins = []
        for number, home in enumerate(homes):
            home.start(scenario(home.device, seed), Random(f"{seed}/{home.device}").randrange(1 << 30))
            begins.append(home.runtime.mono_ns)
            _work(home, street, seed)
            if number in faults:
                _fault(home, street, faults[number], Random(f"{seed}/fault/{number}"))
        _run(street, homes, max(begins) + LENGTH_S * S, step)
        return {home.device: _ended(home) for home in homes}


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _work(home: FleetHome, street: Street, seed: int) -> None:
    """Every home is dispatched twice, each in its own way."""
    rng = Random(f"{seed}/dispatches/{home.device}")
    for number, at_s in enumerate((20 + rng.random(), 60 + rng.random())):
        args: dict[str, Value] = {
            "power_w": rng.randrange(-6_000, 6_000),
            "duration": rng.randrange(15, 60),
            "start_in": None,
            "primacy": 1,
            "ramp": "urgent",
        }
        _at(home, street, at_s, _dispatch(home, f"work{number}", args))


def _dispatch(home: FleetHome, label: str, args: Mapping[str, Value]) -> Callable[[], None]:
    return lambda: home.aggregator("dispatch", label, **args)


def _fault(home: FleetHome, street: Street, dish: Dish, rng: Random) -> None:
    verb = VERBS[dish.verb]
    args: dict[str, Value] = {}
    for key, (_, default) in verb.args.items():
        if default is None or isinstance(default, int | float | str):
            args[key] = default
    args |= dish.draw(rng)
    _at(home, street, BEFORE_S, lambda: verb.apply(home, "fault", args))
    revert = verb.revert
    if revert is not None and dish.lasts is not None:
        _at(home, street, BEFORE_S + FAULT_S, lambda: revert(home, "fault", args))


def _at(home: FleetHome, street: Street, at_s: float, act: Callable[[], None]) -> None:
    """Acts happen at the street: broker and aggregator are asked at the same instant as the home."""
    street.runtime.at(
        home.runtime.mono_ns + round(at_s * S), lambda: street.for_device(home.device, lambda: _now(home, street, act))
    )


def _now(home: FleetHome, street: Street, act: Callable[[], None]) -> None:
    home.runtime.run_until(street.runtime.mono_ns)
    act()
    street.touch(home)


def _run(street: Street, homes: Sequence[FleetHome], until_ns: int, step: Callable[[float], None]) -> None:
    """One time for all: the street first, then whoever has something to do at that instant."""
    runtimes = [street.runtime, *(home.runtime for home in homes)]
    planned = {number: runtime.next_ns or until_ns for number, runtime in enumerate(runtimes)}
    queue = [(at, number) for number, at in planned.items()]
    heapq.heapify(queue)
    begun, told = street.runtime.mono_ns, 0
    while queue and queue[0][0] <= until_ns:
        at, number = heapq.heappop(queue)
        if planned.get(number) != at:
            continue  # it has another appointment since
        del planned[number]
        street.runtime.run_until(at)
        runtimes[number].run_until(at)
        for changed in {0, number, *street.touched}:
            following = runtimes[changed].next_ns
            if following is not None and planned.get(changed) != following:
                planned[changed] = following
                heapq.heappush(queue, (following, changed))
        street.touched.clear()
        if at - begun > (told + 2) * S:
            told = (at - begun) // S
            step(told)


def _ended(home: FleetHome) -> Life:
    acts = len(home.happenings())
    trace = home.finish().trace
    return Life(trace or hashlib.sha256(b"").hexdigest(), acts)
