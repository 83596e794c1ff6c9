"""Who only read the files is gone before the first thread starts, and can be had again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agent.compose
import hil.backends.virtual
from agent.core.params import S, Timers
from agent.ready import ready
from hil import site
from tests.blackbox.agent import Run

CODE = """
import gc, sys
from pathlib import Path
import agent.daemon
from agent.ready import READERS, forget_readers, ready
made = ready(Path(sys.argv[1]), lambda state_dir: None)
assert not isinstance(made, str), made
read = {name for name in READERS if name in sys.modules}
assert {"agent.config", "drivers.profile_schema", "agent.compose"} <= read, read
forget_readers()
types = [o for o in gc.get_objects() if isinstance(o, type) and o.__module__ in READERS]
left = sorted(f"{o.__module__}.{o.__qualname__}" for o in types)
assert not left, left
assert sorted(made.parts) == ["control", "local", "store"] and list(made.buses) == ["rs485"]
import agent.config
assert agent.config.load(Path(sys.argv[1])).file.agent.id
"""


def test_the_readers_are_let_go(tmp_path: Path) -> None:
    path = site.write_config(tmp_path, line={"port": str(tmp_path / "tty")})
    done = subprocess.run([sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _composed(monkeypatch: pytest.MonkeyPatch, module: Any, start: Callable[[], object]) -> Callable[[], int]:
    """The draw that `start` gives the agent it composes."""
    drawn: list[Callable[[], int]] = []
    compose = module.compose

    def seen(config: Any, **given: Any) -> Any:
        drawn.append(given["draw"])
        return compose(config, **given)

    monkeypatch.setattr(module, "compose", seen)
    start()
    return drawn[0]


def _daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    path = site.write_config(tmp_path, line={"port": str(tmp_path / "tty")})
    return _composed(monkeypatch, agent.compose, lambda: ready(path, lambda state_dir: None))


def _bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    def start() -> None:
        with Run(seed=1) as run:
            run.to(1)

    return _composed(monkeypatch, hil.backends.virtual, start)


@pytest.mark.parametrize("of", [_daemon, _bench])
def test_what_is_drawn_spreads_homes_over_the_whole_jitter(
    of: Callable[[Path, pytest.MonkeyPatch], Callable[[], int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As standing takes it. A thousand homes leave a tenth of the window empty once in 10**45 runs."""
    jitter_ns = Timers().grid_jitter_ns
    draw = of(tmp_path, monkeypatch)
    tenths = {draw() % (jitter_ns + 1) * 10 // (jitter_ns + 1) for _ in range(1000)}
    assert jitter_ns == 300 * S
    assert tenths == set(range(10))
