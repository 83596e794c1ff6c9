"""Who only read the files is gone before the first thread starts, and can be had again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hil import site

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
