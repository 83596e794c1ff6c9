"""One case in virtual time under the observer, and the shortest case that still breaks the same promise."""

from __future__ import annotations

import dataclasses
import traceback
from collections import Counter
from collections.abc import Callable, Sequence

from hil.backends.virtual import VirtualBackend
from hil.campaign.case import Act, Case
from hil.campaign.observer import CRASHED, Observer, Violation
from hil.runner import Runner

PLAIN_POLLS = {  # milliseconds; no block may age beyond what makes a device stale
    "battery": {"pack": 1000, "state": 2000},
    "meter": {"fast": 1000, "phases": 2000, "energy": 60_000},
    "inverter": {"fast": 1000, "slow": 2000, "control": 2000},
}
OWN_POLLS = 4  # one case in so many polls as its profiles say; the others once a second, which is several times faster
TAIL_S = 20  # of a case that was cut behind its violation


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """Of one case. `margin_permille`: smallest distance of the truth from the reserve's bound."""

    violations: Sequence[Violation]
    cycles: int
    acting: int  # of them, with a setpoint for a command
    margin_permille: float
    trace: str | None
    crossed: int = 0  # houses that went dark by a renewal that crossed with an outage
    tried: Counter[str] = dataclasses.field(default_factory=Counter)  # faults by verb, of those that can be seen
    shown: Counter[str] = dataclasses.field(default_factory=Counter)  # those of them that the world showed


def run(case: Case, traced: bool = False) -> Result:
    """Live through it, with a trace if asked for: that takes time. Whatever is raised counts as a violation: in virtual
    time nothing outside can be the reason."""
    scenario = case.scenario()
    observer = Observer(scenario.home, scenario.config)
    tried, shown = Counter[str](), Counter[str]()
    try:
        backend = VirtualBackend(PLAIN_POLLS if scenario.seed % OWN_POLLS else None, traced=traced)
        outcome = Runner(scenario, backend, scenario.seed, observer).run()
        trace = outcome.trace
        tried.update(event.verb for event in scenario.events if event.observe is not None)
        shown.update(e.verb for e in scenario.events if e.observe is not None and e.id not in outcome.unseen)
    except Exception as error:  # noqa: BLE001 - what it is does not matter: the agent or the bench fell
        where = traceback.extract_tb(error.__traceback__)[-1]
        sentence = f"{error!r} in {where.filename.rpartition('/')[2]}:{where.lineno}"
        observer.violations.append(Violation(CRASHED, 0.0, sentence))
        trace = None
    return Result(
        observer.violations, observer.cycles, observer.acting, observer.margin_permille, trace, observer.crossed,
        tried, shown,
    )  # fmt: skip


def breaks(promise: str) -> Callable[[Case], bool]:
    """Whether a case still breaks that promise."""
    return lambda case: any(v.promise == promise for v in run(case).violations)


def shrink(case: Case, at_s: float, broken: Callable[[Case], bool], most: int = 120) -> Case:
    """A shorter case that is still broken: first the end is cut off, then acts are left out, halves first, then what
    else differs from the plainest home. At most `most` runs."""
    left = most

    def still(smaller: Case) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and broken(smaller)

    end = int(at_s) + TAIL_S
    cut = [_shortened(act, end) for act in case.acts if act.at_s < end - 2]  # room for what lasts a second
    shorter = dataclasses.replace(case, length_s=end, acts=cut)
    if end < case.length_s and still(shorter):
        case = shorter
    case = _fewer(case, still)
    for name in list(case.config):
        rest = {key: value for key, value in case.config.items() if key != name}
        if name == "agent" and "timers" in rest:
            continue  # without its leave to be a demo, the timers are refused
        case = _if(dataclasses.replace(case, config=rest), case, still)
    for key in ("packs", "temperature_dc", "pv_w", "floor_permille", "reconnect_s", "load_w"):
        if key in case.home:
            plainer = {k: v for k, v in case.home.items() if k != key}
            case = _if(dataclasses.replace(case, home=plainer), case, still)
    return case


def _fewer(case: Case, still: Callable[[Case], bool]) -> Case:
    """Delta debugging over the acts."""
    parts = 2
    while len(case.acts) >= 1:
        size = max(1, len(case.acts) // parts)
        for begin in range(0, len(case.acts), size):
            acts = _sound([*case.acts[:begin], *case.acts[begin + size :]])
            if len(acts) < len(case.acts) and still(dataclasses.replace(case, acts=acts)):
                case = dataclasses.replace(case, acts=acts)
                parts = max(2, parts - 1)
                break
        else:
            if size == 1:
                return case
            parts = min(len(case.acts), parts * 2)
    return case


def _sound(acts: Sequence[Act]) -> list[Act]:
    """Without cancels of what is not sent any more."""
    ids = {act.id for act in acts}
    return [act for act in acts if act.args.get("target") in (None, *ids)]


def _shortened(act: Act, end: int) -> Act:
    if act.for_s is None or act.at_s + act.for_s <= end:
        return act
    return dataclasses.replace(act, for_s=max(1, end - act.at_s - 1))


def _if(smaller: Case, case: Case, still: Callable[[Case], bool]) -> Case:
    return smaller if still(smaller) else case
