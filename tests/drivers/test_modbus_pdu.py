"""The stand-in for asyncio is there for the import only."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import drivers.modbus_pdu as ours
assert "asyncio" not in sys.modules, "the daemon would carry an event loop"
import asyncio
assert asyncio.run(asyncio.sleep(0, "real")) == "real"
from pymodbus.framer import FramerRTU
assert FramerRTU is ours.FramerRTU
"""


def test_pymodbus_comes_without_asyncio_and_leaves_the_real_one_alone() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
