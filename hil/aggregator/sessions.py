"""Which numbers the sessions of this operator have to themselves: `sessions.json` beside the keys, for all runs there.

All other messages are numbered by UTC ms, without a file. A session's block lies above its own number, and all of it
counts as used from acceptance on: what is sent soon after must begin above it, and each setpoint, though every one is a
run of its own, needs the next number of it. So blocks are short, a few numbers a second of the session: who uses UTC ms
and does not know this file is heard again some seconds later.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME = "sessions.json"
PER_S = 4  # setpoints a second
LEAST = 64
_MEMBERS = {"aud": str, "next": int, "seq_to": int, "end_ms": int}
_Known = dict[str, dict[str, Any]]


def numbers(duration_s: int) -> int:
    """How many a session of that length has."""
    return max(LEAST, PER_S * duration_s)


class Sessions:
    """Of one directory; without one, of this object alone. ValueError for a file that is none of ours."""

    def __init__(self, directory: Path | None = None) -> None:
        self._path = None if directory is None else directory / NAME
        self._kept: _Known = {"last": {}, "sessions": {}}

    def number(self, audience: str, least: int, count: int = 1) -> int:
        """The first of so many new numbers, `least` where no session has used that. Where one has, those that are given
        now are kept too: UTC ms would give them to the next run again."""
        if _above(self._known(), audience) < least:
            return least
        with self._changing() as known:
            first = max(least, _above(known, audience) + 1)
            known["last"][audience] = first + count - 1
            return first

    def opened(self, session: str, audience: str, seq_from: int, seq_to: int, end_ms: int, now_ms: int) -> None:
        """A session was signed. What is over, and has no number that UTC ms has not passed, is forgotten."""
        with self._changing() as known:
            last, blocks = known["last"], known["sessions"]
            for old in [s for s, block in blocks.items() if max(block["end_ms"], block["seq_to"]) < now_ms]:
                del blocks[old]
            for old in [other for other, number in last.items() if number < now_ms]:
                del last[old]
            blocks[session] = {"aud": audience, "next": seq_from, "seq_to": seq_to, "end_ms": end_ms}
            last[audience] = max(seq_to, last.get(audience, 0))

    def take(self, session: str, audience: str) -> int:
        """The number of its next setpoint. ValueError: not known here, of another audience, or all are used."""
        with self._changing() as known:
            block = known["sessions"].get(session)
            if block is None:
                where = "by this run" if self._path is None else f"by a run with this {self._path}"
                raise ValueError(f"session {session} was not opened {where}, and its numbers are not known")
            if block["aud"] != audience:
                raise ValueError(f"session {session} is of {block['aud']}: send its setpoints there")
            if block["next"] > block["seq_to"]:
                raise ValueError(f"session {session} has no number left: open another")
            block["next"] += 1
            return int(block["next"]) - 1

    @contextmanager
    def _changing(self) -> Iterator[_Known]:
        """One run at a time; written only if nothing was raised."""
        if self._path is None:
            yield self._kept
            return
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = self._known()
            yield known
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
            new.replace(self._path)

    def _known(self) -> _Known:
        if self._path is None:
            return self._kept
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"last": {}, "sessions": {}}
        except (ValueError, RecursionError):
            known = None
        if not _good(known):
            raise ValueError(f"{self._path}: expected the numbers of sessions; move it away to begin anew")
        return dict(known)


def _above(known: _Known, audience: str) -> int:
    """The highest number that whoever hears this audience counts as used by sessions; 0: none."""
    group = audience.startswith("grp:")
    last = known["last"].items()
    return max((n for other, n in last if group or other == audience or other.startswith("grp:")), default=0)


def _good(known: object) -> bool:
    if not isinstance(known, dict) or set(known) != {"last", "sessions"}:
        return False
    last, blocks = known["last"], known["sessions"]
    if not isinstance(last, dict) or not isinstance(blocks, dict):
        return False
    whole = all(type(number) is int for number in last.values())
    return whole and all(_block(block) for block in blocks.values())


def _block(block: object) -> bool:
    return isinstance(block, dict) and all(type(block.get(name)) is kind for name, kind in _MEMBERS.items())
