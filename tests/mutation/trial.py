"""One mutant on trial: the fast tests of its module, then the theorems, in a process forked from one that is warm.

The parent has imported what is slow and does not change (pytest, hypothesis, z3, drivers); the child imports the
product with the mutant in it. A limit on processor time ends a mutant that loops, however busy the machine is.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.mutation.operators import Mutant
from tests.proof.sources import ROOT, Replaced, belongs

CPU_S = 90  # the slowest survivor needs a third of it
CHANGING = ("agent", "tests")  # imported anew in each child, and whatever imports them
WARM = (
    "pytest hypothesis z3 hypothesis.strategies pydantic drivers.profile drivers.bus drivers.writer "
    "hil.devices.demo hil.plant.home hil.wire.virtual"
).split()
PERMIT = (
    "tests/core/test_table.py",
    "tests/core/test_limits.py",
    "tests/core/test_permit.py",
    "tests/core/test_hold.py",
)
CYCLES = ("tests/core/test_step.py", "tests/core/test_setpoint.py")
RAISES = ("tests/core/test_overlay.py", "tests/core/test_overlay_clocks.py")
TESTS: dict[str, tuple[str, ...]] = {
    "agent.core.limits": (*PERMIT, "tests/core/test_sentences.py", *CYCLES),
    "agent.core.caps": PERMIT,
    "agent.core.bounds": (*PERMIT, *CYCLES, *RAISES),
    "agent.core.permit": (*PERMIT, *CYCLES),
    "agent.core.hold": (PERMIT[3], PERMIT[1]),
    "agent.core.oblige": ("tests/core/test_oblige.py",),
    "agent.core.modes": ("tests/core/test_modes.py", "tests/core/test_search.py"),
    "agent.gate": tuple(f"tests/agent/test_{name}.py" for name in ("gate", "gate_edges", "release")),
    "agent.fence": ("tests/agent/test_fence.py", "tests/agent/test_gate.py"),
    "agent.core.alarms": ("tests/core/test_faults.py", "tests/core/test_permit.py"),
    "agent.core.arbiter": ("tests/core/test_setpoint.py", "tests/core/test_step_laws.py"),
    "agent.core.actuation": ("tests/core/test_actuation.py", "tests/core/test_several.py"),
    "agent.core.crew": ("tests/core/test_several.py",),
    "agent.core.lifting": ("tests/core/test_lifting.py",),
    "agent.core.overlay": RAISES,
    "agent.core.recent": ("tests/core/test_recent.py",),
    "agent.core.setpoint": ("tests/core/test_setpoint.py", "tests/core/test_step_laws.py"),
    "agent.core.share": ("tests/core/test_share.py",),
    "agent.core.standing": ("tests/core/test_standing.py", "tests/core/test_faults.py", "tests/core/test_search.py"),
    "agent.core.strategies.dispatch": ("tests/core/test_setpoint.py", "tests/core/test_step_laws.py"),
    "agent.core.strategies.storm": RAISES,
    "agent.core.throughput": ("tests/core/test_throughput.py",),
}
THEOREMS = {  # families of theorems that can see a mistake in the module
    "agent.core.limits": "IM",
    "agent.core.caps": "IM",
    "agent.core.permit": "IPM",
    "agent.core.hold": "H",
    "agent.core.oblige": "O",
    "agent.core.setpoint": "QR",
    "agent.core.share": "S",
    "agent.core.crew": "S",
    "agent.gate": "G",
}
HELD = (  # to the reach, each of them
    *(f"agent.core.{name}" for name in ("limits", "caps", "bounds", "permit", "hold", "oblige", "modes")),
    "agent.gate",
    "agent.fence",
)
KILLED, SURVIVED, EQUAL, BROKEN = "killed", "survived", "equivalent", "broken"
PYTEST = "-x -q --assert=plain -p no:cacheprovider --no-header -W ignore::pytest.PytestAssertRewriteWarning".split()
FAST = [*PYTEST, "-m", "not slow", "--timeout", "0"]  # not by the clock: what a busy machine makes late is not killed


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by`: the test, theorem, limit or proof of equivalence that decided."""

    mutant: Mutant
    word: str
    by: str
    seconds: float


def warm() -> None:
    """Import what no mutant changes: nothing that has seen the product."""
    for name in [name for name in sys.modules if belongs(name, ("agent", "hil"))]:
        del sys.modules[name]
    for name in WARM:
        importlib.import_module(name)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        importlib.import_module("pytest").main([*PYTEST, "--version", "--version"])  # it loads its plugins
    assert not any(belongs(name, ("agent",)) for name in sys.modules), "what is warm has imported the product"


Trial = Callable[[Mutant], tuple[str, str]]


def judge(found: Sequence[Mutant], jobs: int, trial: Trial) -> Iterator[Verdict]:
    """Verdicts in the order in which they come."""
    waiting = list(reversed(found))
    running: dict[int, tuple[Mutant, int, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            pid, reader = _fork(mutant, trial)
            running[pid] = (mutant, reader, time.monotonic())
        pid, status = os.wait()
        if pid not in running:
            continue
        mutant, reader, began = running.pop(pid)
        with os.fdopen(reader, encoding="utf-8", errors="replace") as told:
            word, _, by = told.read().partition("\n")
        if not word:
            looped = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
            word, by = (KILLED, f"still ran after {CPU_S} s") if looped else (BROKEN, f"ended with status {status}")
        yield Verdict(mutant, word, by.strip(), time.monotonic() - began)


def _fork(mutant: Mutant, trial: Trial) -> tuple[int, int]:
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    os.close(reader)
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        _silence()
        word, by = trial(mutant)
    except BaseException:  # noqa: BLE001  # an error of the trial itself is no verdict on the mutant
        word, by = BROKEN, traceback.format_exc()
    os.write(writer, f"{word}\n{by[:2000]}".encode())
    os._exit(0)


def _silence() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


def live(mutant: Mutant) -> None:
    """From now on this process imports the mutant in place of its module."""
    for name in [name for name in sys.modules if belongs(name, CHANGING)]:
        if not belongs(name, ("tests.mutation", "tests.proof.sources", "tests.proof.symbols")) and name != "tests":
            del sys.modules[name]
    sys.meta_path.insert(0, Replaced({mutant.module: mutant.source}))


def tried(mutant: Mutant, likely: str = "") -> tuple[str, str]:
    """Tests, then theorems. `likely`: the test that found this mutant the last time; "" = not known."""
    import hypothesis

    live(mutant)
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, max_examples=40, deadline=None)
    hypothesis.settings.load_profile("mutants")
    os.chdir(ROOT)
    if "::" in likely and (ROOT / likely.partition("::")[0]).is_file():
        code, first = _tests(likely)
        if code == 1:
            return KILLED, first
        live(mutant)
    for file in TESTS[mutant.module]:
        code, first = _tests(file)
        if code != 0:
            return KILLED, first or f"pytest ended with {code}"
    every = importlib.import_module("tests.proof.every")
    sources = importlib.import_module("tests.proof.sources")
    theorem = importlib.import_module("tests.proof.theorem")
    m = sources.Modules()
    for one in every.theorems():
        if one.id[0] in THEOREMS.get(mutant.module, ""):
            proof = theorem.prove(one, m)
            if proof.against is not None:
                return KILLED, f"{one.id}: {proof.against}"
    return SURVIVED, "every test passed and every theorem held"


def _tests(what: str) -> tuple[int, str]:
    """Exit code of pytest over this file or test of the repository, and the first that failed."""
    import pytest

    seen = _Failures()
    return int(pytest.main([*FAST, what], plugins=[seen])), seen.first


class _Failures:
    """A pytest plugin that keeps the name of the first failure."""

    def __init__(self) -> None:
        self.first = ""

    def pytest_runtest_logreport(self, report: object) -> None:
        if getattr(report, "failed", False) and not self.first:
            self.first = str(getattr(report, "nodeid", ""))
