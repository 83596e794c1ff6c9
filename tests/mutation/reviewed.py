"""Mutants that z3 cannot show to be equivalent and a person did: (file, lines that differ) and why.

They stand in `reviewed.txt`: `file: why`, below it the lines as `make mutation` prints them, then an empty line.
"""

from __future__ import annotations

from pathlib import Path


def _read() -> dict[tuple[str, str], str]:
    found = {}
    for entry in Path(__file__).with_suffix(".txt").read_text("utf-8").strip("\n").split("\n\n"):
        head, _, diff = entry.partition("\n")
        file, _, why = head.partition(": ")
        found[file, diff] = why
    return found


REVIEWED = _read()
