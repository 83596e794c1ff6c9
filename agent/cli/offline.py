"""What batteryctl does when no daemon runs: the tools of `agent.tools`, each a process of its own.

A verb that only asks gets somebody to ask: a process that reads the configured lines and answers like the daemon. It
owns the ports as the daemon would, writes nothing to any device, and ends with the verb.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from agent.cli import talk


def run_tool(name: str, arguments: list[str]) -> int:
    """Become the tool: its exit code, its Ctrl-C and its terminal are ours."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"agent.tools.{name}", *arguments])
    raise AssertionError("execv does not return")


def is_running(args: Namespace) -> bool:
    """Whether a daemon listens, or something that looks like one: then the lines are not ours."""
    client = talk.connect(args.socket)
    if isinstance(client, dict):
        return bool(client["code"] != 3)
    client.close()
    return True


class Reached:
    """`with Reached(args) as there:` somebody to ask, `there.failure` if there is nobody."""

    def __init__(self, args: Namespace) -> None:
        self._args = args
        self._process: object = None
        self._directory: object = None
        self.socket = str(args.socket)
        self.offline = False
        self.failure: talk.Reply | None = None

    def __enter__(self) -> Reached:
        if is_running(self._args):
            return self
        if not os.path.isfile(self._args.config):  # noqa: PTH113  # pathlib is slow to load
            text = f"batteryd is not running, and there is no configuration {self._args.config} to read the devices by"
            self.failure = talk.failure(3, text, "sudo systemctl start batteryd; or name one with --config FILE")
            return self
        self._begin()
        return self

    def _begin(self) -> None:
        import subprocess
        import tempfile

        self.offline = True
        if sys.stderr.isatty():
            print("--  batteryd is not running: reading the devices without it", file=sys.stderr)
        directory = tempfile.TemporaryDirectory(prefix="batteryctl-")
        self._directory = directory
        self.socket = f"{directory.name}/look.sock"
        command = [sys.executable, "-m", "agent.tools.look", "--config", self._args.config, "--socket", self.socket]
        pipe = subprocess.PIPE  # on its stdin too: it ends when we do, however that comes
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, stdin=pipe)
        self._process = process
        assert process.stdout is not None and process.stderr is not None
        if process.stdout.readline() == b"ready\n":
            return
        said = process.stderr.read().decode("utf-8", "replace").partition("\n\n")[0].strip()
        code = process.wait()
        text = said or f"the reader of the lines ended with {code}"
        self.failure = talk.failure(code or 70, text, "batteryd --check --config FILE shows what is wrong with it")

    def ask(self, verb: str, **wish: object) -> talk.Reply:
        """One request to whoever there is."""
        return self.failure or talk.ask(self.socket, verb, **wish)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()  # type: ignore[attr-defined]  # a Popen: its class is not loaded while a daemon runs
            self._process.communicate()  # type: ignore[attr-defined]  # as above
        if self._directory is not None:
            self._directory.cleanup()  # type: ignore[attr-defined]  # as above
