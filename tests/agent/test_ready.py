"""Who only read the files is gone before the first thread starts, and can be had again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import agent.compose
import agent.link.messages
import hil.backends.virtual
from agent.core.params import S, Timers
from agent.link import homeowner
from agent.ready import ready
from agent.runtime import lean
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
assert [name for name in sys.modules if name.startswith("pydantic")] == ["pydantic_core._pydantic_core"]
import agent.config
assert agent.config.load(Path(sys.argv[1])).file.agent.id
"""


MODELS = """
import agent.daemon
from agent.ready import _forget_model_makers
_forget_model_makers(linked=True)
from agent.link import messages
import json
from tests.agent.test_ready import asked
told = asked(messages)
import pydantic
assert pydantic.create_model("Late", a=(int, 0))(a=4).a == 4
print(json.dumps(told))
"""
BODY = {"v": 1, "id": "0" * 32, "iss": "agg", "aud": "dev:a", "seq": 1, "iat": 5, "exp": 10}
KINDS: list[dict[str, object]] = [
    {"kind": "dispatch", "power_w": 1, "duration_s": 4},
    {"kind": "dispatch", "power_w": "1", "duration_s": 4},
    {"kind": "dispatch", "power_w": 1, "duration_s": 4, "ramp": "slow"},
    {"kind": "cancel", "target": "1" * 32},
    {"kind": "cancel", "target": "X"},
    {"kind": "stop", "more": 1},
    {"kind": "schedule", "start": 1, "interval_s": 60, "powers_w": [4, None]},
    {"kind": "schedule", "start": 1, "interval_s": 60, "powers_w": []},
    {"kind": "session", "start": 1, "duration_s": 1, "lo_w": 1, "hi_w": 2, "seq_from": 1, "seq_to": 2},
    {"kind": "price", "start": 1, "interval_s": 60, "prices_micro_per_kwh": [1], "currency": "EUR"},
    {"kind": "price", "start": 1, "interval_s": 60, "prices_micro_per_kwh": [1.5], "currency": "EUR"},
    {"kind": "quote", "power_w": 1, "duration_s": 4},
    {"kind": "resend", "first": 1, "last": 2},
    {"kind": "none of them"},
    {},
]
SAID: list[dict[str, object]] = [
    {"kind": "reserve", "permille": 300},
    {"kind": "reserve", "permille": "300"},
    {"kind": "storm", "permille": 900, "for_s": 60},
    {"kind": "opt_out"},
    {"kind": "opt_in", "more": 1},
    {"kind": "consent", "to": "terms", "sha256": "0" * 64},
    {"kind": "consent", "to": "all", "sha256": "0" * 64},
]


def asked(messages: ModuleType) -> list[str]:
    """What the models make of every kind, and of what is wrong with one."""
    commands = [messages.parse_command({**BODY, **kind}) for kind in KINDS]
    times = [messages.parse_time({**BODY, **more}) for more in ({"nonce": "2" * 32, "wall_ms": 3}, {"nonce": 2})]
    receipts = [messages.parse_receipt({**BODY, **more}) for more in ({"upto": 3}, {"upto": 3, "also": ["a"]})]
    # the homeowner's too: they are of a module of their own, and their makers are let go at the same moment
    said = [homeowner.parse_homeowner({**BODY, **kind}) for kind in SAID]
    core = [messages.to_core(found, "0" * 64) for found in commands if not isinstance(found, str)]
    return [repr(found) for found in (*commands, *times, *receipts, *core, *said)]


def test_models_go_on_validating_without_whoever_made_them() -> None:
    """In a process that let go of it, every answer is that of this one, which did not."""
    answers = asked(agent.link.messages)
    assert sum("Dispatch(" in answer for answer in answers) == 1
    done = subprocess.run([sys.executable, "-c", MODELS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == answers


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
    monkeypatch.setattr(lean, "forget_model_makers", lambda: None)  # other tests of this process make models yet
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
