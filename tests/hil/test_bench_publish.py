"""`bench publish` at its smallest: both sides bring what they were given, and the agent's is signed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil.bench.listener import MISSING
from hil.bench.publish import measure


@pytest.mark.slow
def test_each_side_brings_all() -> None:
    sides = measure(100, 1)
    assert {name: len(rates) for name, rates in sides.rates.items()} == {"agent": 1, "mosquitto_pub": 1, "bare": 1}
    assert min(rate for rates in sides.rates.values() for rate in rates) > 0
    assert sides.token_bytes > 500


def test_no_peer_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    code = "from hil.bench.listener import find; find('mosquitto_pub')"
    env = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (2, MISSING.format("mosquitto_pub"))
