"""The stand-in for importlib.metadata is there for one import only; the daemon carries neither it nor asyncio."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import agent.daemon, agent.link.session
from agent.runtime.lean import import_paho
assert import_paho().MQTTv311
carried = {"asyncio", "email", "zipfile", "http", "importlib.metadata"} & set(sys.modules)
assert not carried, carried
import importlib.metadata
assert importlib.metadata.version("pydantic")
import urllib.request
assert urllib.request.Request("http://x/")
from pydantic import BaseModel
class Model(BaseModel):
    x: int
assert Model(x=1).x == 1
"""


def test_the_daemon_is_lean_and_later_imports_get_the_real_thing() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
