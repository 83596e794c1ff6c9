"""A case: a scenario file without assertions, judged by the observer. Drawn from a seed: pairs first."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from hil.campaign.menu import Dish, dishes
from hil.expr import Value
from hil.faults.catalog import VERBS
from hil.scenario import Scenario, parse

Section = Mapping[str, Value]
SHORT_S, LONG_S = 330, 600
QUIET_S = 20  # first the home comes up
SHORT_TIMERS: Section = {
    "refresh_s": 2,
    "release_delay_s": 4,
    "hold_s": 2,
    "recover_good_s": 3,
    "fault_clear_s": 4,
    "grid_dwell_s": 5,
    "grid_jitter_s": 5,
}
REVERSIONS_S = (10, 30)  # what is sold ahead in the time of the first is little more than the SoC's own step can hide


@dataclass(frozen=True, slots=True)
class Act:
    """One event."""

    at_s: float
    do: str
    args: Section = field(default_factory=dict)
    for_s: float | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a run depends on."""

    name: str
    seed: int
    length_s: int
    home: Section
    config: Mapping[str, Section]
    acts: Sequence[Act]

    def toml(self, about: Sequence[str] = ()) -> str:
        """The file, with `about` as comments on top."""
        lines = [f"# {line}" for line in about]
        lines += ["[scenario]", f"name = {json.dumps(self.name)}", "hazards = []", f"seed = {self.seed}"]
        lines += [f'duration = "{self.length_s}s"', 'sample = "1s"', "", "[home]", *_rows(self.home)]
        for name, section in self.config.items():
            lines += ["", f"[config.{name}]", *_rows(section)]
        for act in sorted(self.acts, key=lambda a: a.at_s):
            lines += ["", "[[event]]"] + ([f'id = "{act.id}"'] if act.id else [])
            lines += [f'at = "{act.at_s:.6g}s"', f'do = "{act.do}"']
            lines += [f"args = {{ {', '.join(_rows(act.args))} }}"] if act.args else []
            lines += [f'for = "{act.for_s:.6g}s"'] if act.for_s is not None else []
        return "\n".join(lines) + "\n"

    def scenario(self) -> Scenario:
        """As the runner takes it."""
        return parse(self.toml(), self.name)


def _rows(section: Section) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in section.items()]


def of_scenario(scenario: Scenario) -> Case:
    """A case that was kept as a file."""
    acts = []
    for event in scenario.events:
        args = {
            k: v for k, v in event.args.items() if v is not None and not VERBS[event.verb].name.startswith("moment")
        }
        kinds = VERBS[event.verb].args
        shown = {k: f"{v}s" if kinds[k][0] == "duration" else v for k, v in args.items()}
        for_s = None if event.for_ns is None else event.for_ns / 10**9
        acts.append(Act(event.at_ns / 10**9, event.verb, shown, for_s, event.id))
    return Case(scenario.name, scenario.seed, scenario.duration_ns // 10**9, scenario.home, scenario.config, acts)


# --- drawing ----------------------------------------------------------------------------------------------------------
class Deck:
    """Cases by number. Every pair of faults comes once before any comes by chance: the cases cover pairs in an order
    of the seed's own, three faults a case."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._dishes = dishes()
        self.pairs = len(self._dishes) * (len(self._dishes) - 1) // 2
        self._hands = self._cover()

    @property
    def covering(self) -> int:
        """How many cases it takes until every pair was there."""
        return len(self._hands)

    def case(self, number: int) -> Case:
        """Case `number`; the same each time."""
        rng = Random(f"{self._seed}/case/{number}")
        if number < len(self._hands):
            hand = [self._dishes[n] for n in self._hands[number]]
        else:
            hand = rng.sample(self._dishes, rng.choice((1, 2, 2, 3, 4)))
        short = rng.random() < 0.6
        length_s = SHORT_S if short else LONG_S
        drawn = [*_work(rng, length_s), *_faults(rng, hand, length_s)]
        acts = [act for act in drawn if act.at_s < length_s - 1]  # a cancel may fall behind the end
        if number % 2:
            acts = _apart(Random(f"{self._seed}/phases/{number}"), acts)
        seed, home = rng.randrange(1 << 30), _home(rng)
        if any(dish.verb == "bms.asks" for dish in hand):
            home = {**home, "asking": 1}
        config = dict(_config(rng, short))
        if short:
            reversion_s = Random(f"{self._seed}/timers/{number}").choice(REVERSIONS_S)
            config["timers"] = {"reversion_s": reversion_s, **SHORT_TIMERS}
        return Case(f"case_{number}", seed, length_s, home, config, acts)

    def _cover(self) -> list[tuple[int, ...]]:
        """Triples so that every pair is in one: greedy, from a shuffled list."""
        rng = Random(f"{self._seed}/pairs")
        left = list(itertools.combinations(range(len(self._dishes)), 2))
        rng.shuffle(left)
        open_pairs = set(left)
        hands: list[tuple[int, ...]] = []
        for a, b in left:
            if (a, b) not in open_pairs:
                continue
            others = [n for n in range(len(self._dishes)) if n not in (a, b)]
            rng.shuffle(others)
            third = max(others, key=lambda n: (_pair(a, n) in open_pairs) + (_pair(b, n) in open_pairs))
            hand = (a, b, third)
            open_pairs -= {_pair(x, y) for x, y in itertools.combinations(hand, 2)}
            hands.append(hand)
        return hands


def _pair(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _home(rng: Random) -> Section:
    reserve = rng.choice((100, 200, 200, 350, 500))
    near = [reserve - 20, reserve + 3, reserve + 15, reserve + 60]
    home: dict[str, Value] = {
        "soc_permille": min(990, rng.choice([*near, rng.randrange(120, 990), rng.randrange(120, 990)])),
        "reserve_permille": reserve,
        "load_w": rng.choice((0, 400, 900, 2_500, 7_000)),
        "pv_w": rng.choice((0, 0, 800, 3_000, 7_000)),
        "temperature_dc": rng.choice((-60, 5, 30, 180, 240, 240, 300, 430)),
        "floor_permille": rng.choice((50, 50, 100, 200)),
        "reconnect_s": rng.choice((2, 20, 60)),
    }
    if rng.random() < 0.1:
        home["packs"] = 2
    if rng.random() < 0.3:
        home["temp_spread_dc"] = rng.choice((30, 80))
    return home


def _config(rng: Random, short: bool) -> Mapping[str, Section]:
    config: dict[str, Section] = {}
    if rng.random() < 0.4:
        limits: Section = {
            "import_limit_w": rng.choice((6_000, 12_000, 24_000)),
            "export_limit_w": rng.choice((0, 5_000, 11_400)),
        }
        config["site"] = limits
    if rng.random() < 0.15:
        fuse: Section = {"fuse_a": rng.choice((16, 25, 35)), "phases": "three"}
        config["site"] = {**config.get("site", {}), **fuse}
    if short:
        config["agent"] = {"demo": True}
    return config


def _apart(rng: Random, acts: Sequence[Act]) -> list[Act]:
    """Each somewhere within its second, at another phase of the agent's cycle than the others."""
    return [replace(act, at_s=round(act.at_s + rng.randrange(100) / 100, 2)) for act in acts]


def _work(rng: Random, length_s: int) -> list[Act]:
    """Dispatch, and now and then a cancel or a stop."""
    acts: list[Act] = []
    at = rng.randrange(15, 40)
    while at < length_s - 30:
        name = f"command{len(acts) + 1}"
        args: dict[str, Value] = {
            "power_w": rng.choice((-11_400, -6_000, -2_000, 0, 1_500, 5_000, 8_000, 11_400, 20_000)),
            "duration": f"{rng.choice((20, 60, 180, 400))}s",
            "ramp": rng.choice(("direct", "urgent", "scheduled")),
        }
        if rng.random() < 0.15:
            args["start_in"] = f"{rng.choice((5, 40))}s"
        acts.append(Act(at, "aggregator.dispatch", args, id=name))
        if rng.random() < 0.1:
            acts.append(Act(at + rng.randrange(1, 40), "aggregator.cancel", {"target": name}, id=f"cancel{len(acts)}"))
        elif rng.random() < 0.05:
            acts.append(Act(at + rng.randrange(1, 40), "aggregator.stop", id=f"stop{len(acts)}"))
        at += rng.randrange(15, 120)
    return acts


def _faults(rng: Random, hand: Sequence[Dish], length_s: int) -> list[Act]:
    """The faults of a hand, likely to meet: each begins in the middle of the case."""
    acts = []
    middle = rng.randrange(60, length_s // 2)
    for number, dish in enumerate(hand):
        at = max(QUIET_S, middle + rng.randrange(-30, 60))
        most = length_s - at - 20
        endless = dish.lasts is None or VERBS[dish.verb].revert is None
        lasts = None if endless or dish.lasts is None else min(most, rng.randrange(*dish.lasts))
        acts.append(Act(at, dish.verb, dish.draw(rng), lasts, f"fault{number + 1}"))
    return acts
