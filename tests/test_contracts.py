"""Each import rule of pyproject.toml is seen to break when somebody breaks it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = [
    contract["id"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
]

BREAKS = [
    ("layers", "drivers/codec.py", "import agent.mail"),
    ("layers", "agent/gate.py", "import hil.plant"),
    ("core-is-pure", "agent/core/step.py", "import time"),
    ("core-is-pure", "agent/core/step.py", "import agent.mail"),
    ("core-is-pure", "agent/core/step.py", "import drivers.codec"),
    ("core-is-pure", "agent/core/strategies/new.py", "import pydantic"),
    ("readings-are-plain", "drivers/readings.py", "import drivers.events"),
    ("cli-is-light", "agent/cli/main.py", "import asyncio"),
    ("cli-is-light", "agent/cli/status.py", "import agent.config"),  # which imports pydantic
    ("cli-is-light", "agent/local/client.py", "import cryptography"),
    ("one-writer", "agent/control.py", "from drivers.writer import compile_write"),
    ("one-writer", "hil/backends/virtual.py", "import drivers.writer"),
    ("devices-encode-alone", "hil/devices/new.py", "import drivers.codec"),
    ("aggregator-signs-alone", "hil/aggregator/new.py", "from agent.link import jws"),
    ("parts-are-sans-io", "agent/control.py", "import socket"),
    ("parts-are-sans-io", "drivers/port.py", "import time"),
    ("parts-are-sans-io", "agent/link/new.py", "import paho.mqtt.client"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is linted, to break."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("agent", "drivers", "hil", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def lint(source: Path, contract: str) -> subprocess.CompletedProcess[str]:
    """Check one contract of the copy, without a cache."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    options = ["--no-logo", "--no-cache", "--contract", contract]
    return subprocess.run([*command, *options], cwd=source, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("contract", "file", "line"), BREAKS, ids=[" ".join(case) for case in BREAKS])
def test_contract_sees(source: Path, contract: str, file: str, line: str) -> None:
    path = source / file
    before = path.read_text("utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", "utf-8")
    try:
        run = lint(source, contract)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, "utf-8")

    assert run.returncode == 1, run.stdout + run.stderr
    assert "0 kept, 1 broken" in run.stdout


def test_every_contract_is_seen_to_break() -> None:
    assert {contract for contract, _, _ in BREAKS} == set(CONTRACTS)
