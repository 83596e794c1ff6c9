#!/usr/bin/env python3
"""Runs all tests in two halves side by side, one a core: most tests of real processes wait for a paced line.

usage: python scripts/tests.py [pytest's options]

Each line of output is marked with its half; the last one adds up, in pytest's own words. Exit 0 only if both passed; a
half in which no test was selected does not count, unless that is so in both.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HALVES = {"bench": ["tests/hil"], "agent": ["tests", "--ignore=tests/hil"]}
WORDS = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warnings", "errors")
COUNTED = re.compile(rf"(\d+) ({'|'.join(WORDS)}|warning|error)\b")
NOTHING = 5  # pytest's exit code when no test was selected


def main(options: Sequence[str]) -> int:
    """The exit code: 0, or the first half's that failed."""
    codes: dict[str, int] = {}
    totals: Counter[str] = Counter()
    began = time.monotonic()  # noqa: TID251  # a tool of people, no part of the agent
    lock = threading.Lock()

    def half(name: str) -> None:
        command = [sys.executable, "-m", "pytest", *HALVES[name], *options]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
        ) as run:
            assert run.stdout is not None
            line = ""
            for line in run.stdout:
                with lock:
                    print(f"{name} | {line}", end="", flush=True)
        codes[name] = run.returncode
        with lock:
            totals.update({word if word in WORDS else f"{word}s": int(count) for count, word in COUNTED.findall(line)})

    threads = [threading.Thread(target=half, args=(name,)) for name in HALVES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = ", ".join(f"{totals[word]} {word}" for word in WORDS if totals[word])
    spent = time.monotonic() - began  # noqa: TID251  # the same
    print(f"{told or 'no tests ran'} in {spent:.2f}s")
    if all(code == NOTHING for code in codes.values()):
        return NOTHING
    return next((code for code in codes.values() if code not in (0, NOTHING)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
