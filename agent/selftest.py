"""Gathers what `agent.core.selftest` judges: a second copy of the safety parameters, clocks, files on the disk.

Class-B-inspired and no more than that: registers and memory of the processor cannot be tested from here.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

from agent.core.params import Params
from agent.core.selftest import Looked
from agent.runtime.part import Now

WINDOW_NS = 600_000_000_000  # of the comparison of two clocks; one step of the wall clock spoils one window
WINDOWS = 2  # in a row
RATIO_PERMILLE = 10
PACKAGE = "battery_agent"  # of pyproject.toml, as an installer writes it
TWIN_CYCLES = 30  # from one comparison of the safety parameters with their second copy to the next
NO_CLOCK = "the clock against the inverter's, no device of this home tells the time"


@dataclass(frozen=True, slots=True)
class FilesLooked:
    """To "control": what on the disk is not what runs, and what could not be looked at. Sentences."""

    changed: tuple[str, ...]
    skipped: tuple[str, ...]


class SelfTest:
    """All of it, as control keeps it."""

    def __init__(self, params: Params) -> None:
        self._twin, self._clocks = Twin(params), Clocks()
        self._looked = Looked(skipped=(NO_CLOCK,))
        self._cycles = 0

    def renew(self, params: Params) -> None:
        """Other parameters hold from now on."""
        self._twin = Twin(params)

    def cycle(self, params: Params) -> Looked:
        """The last look at everything; the parameters that this cycle goes by are looked at now and then."""
        if self._cycles % TWIN_CYCLES == 0:
            told = self._twin.differs(params)
            if told != self._looked.memory:
                self._looked = replace(self._looked, memory=told)
        self._cycles += 1
        return self._looked

    def clock(self, now: Now, synced: bool) -> None:
        """The kernel has said how it stands with network time."""
        told = self._clocks.look(now, synced)
        if told is not None:
            self._looked = replace(self._looked, clock=told)

    def files(self, found: FilesLooked, now: Now) -> None:
        """The files were looked at."""
        skipped = (NO_CLOCK, *found.skipped)
        self._looked = replace(self._looked, at_ns=now.mono_ns, changed=found.changed, skipped=skipped)


class Twin:
    """The safety parameters once more, every number as its complement: a bit that falls over does so in one of them."""

    def __init__(self, params: Params) -> None:
        self._held = tuple(~number for number in _numbers(params))

    def differs(self, params: Params) -> str:
        """ "" = both copies agree."""
        now = tuple(_numbers(params))
        if len(now) == len(self._held) and all(a == ~b for a, b in zip(now, self._held, strict=True)):
            return ""
        return "the safety parameters in memory are not those that were read"


def _numbers(value: object) -> Iterator[int]:
    if isinstance(value, tuple):
        yield len(value)
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int):
        yield int(value)
    elif isinstance(value, str):
        yield int.from_bytes(value.encode(), "big")
    elif is_dataclass(value):
        for field in fields(value):
            yield from _numbers(getattr(value, field.name))


class Clocks:
    """Monotonic time against the wall clock, while network time keeps that."""

    def __init__(self) -> None:
        self._begun: Now | None = None
        self._bad = 0

    def look(self, now: Now, synced: bool) -> str | None:
        """A sentence when they ran apart by more than 1 % in each of the last windows, "" when they did not, None when
        there is nothing new or nothing to compare with. Call it every few seconds."""
        if not synced or self._begun is None:
            self._begun = now if synced else None
            self._bad = 0
            return None
        passed_ns = now.mono_ns - self._begun.mono_ns
        if passed_ns < WINDOW_NS:
            return None
        wall_ns = (now.wall_ms - self._begun.wall_ms) * 1_000_000
        self._begun = now
        self._bad = self._bad + 1 if abs(wall_ns - passed_ns) * 1000 > passed_ns * RATIO_PERMILLE else 0
        if self._bad < WINDOWS:
            return "" if not self._bad else None
        return f"the clock that all deadlines are counted by took {passed_ns / 1e9:.0f} s for {wall_ns / 1e9:.0f} s"


class Files:
    """The files that this process was made of, as they were when it started. `named`: what each is, for people."""

    def __init__(self, named: Mapping[Path, str], packages: Path | None = None) -> None:
        """`packages`: where the package is installed; None = beside this file."""
        self._named = dict(named)
        self._known = {path: _digest(path) for path in named}
        self._packages = Path(__file__).parents[1] if packages is None else packages

    def look(self) -> FilesLooked:
        """Read all of them again: some milliseconds, at most some tens for the package."""
        changed = [
            f"{self._named[path]} {path} {'is gone' if _digest(path) is None else 'was changed'} since the start; "
            f"a restart would use it"
            for path, known in self._known.items()
            if _digest(path) != known
        ]
        wrong, skipped = self._package()
        return FilesLooked(tuple(changed + wrong), tuple(skipped))

    def _package(self) -> tuple[list[str], list[str]]:
        record = next(iter(self._packages.glob(f"{PACKAGE}-*.dist-info/RECORD")), None)
        if record is None:
            return [], ["the program's files, it does not run from an installed package"]
        try:
            rows = record.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            return [f"the list of the program's files cannot be read: {error}"], []
        wrong = [name for name, digest in map(_row, rows) if digest and _digest(self._packages / name) != digest]
        if not wrong:
            return [], []
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return [f"{wrong[0]}{more} of the installed program is not as it was shipped"], []


def _row(line: str) -> tuple[str, str]:
    """Name and digest of a line of RECORD; "" = it has none that we know."""
    name, _, rest = line.strip('"').rpartition(",")[0].rpartition(",")
    return name.strip('"'), rest.removeprefix("sha256=") if rest.startswith("sha256=") else ""


def _digest(path: Path) -> str | None:
    """As RECORD writes it; None = it cannot be read."""
    try:
        return urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
    except OSError:
        return None
