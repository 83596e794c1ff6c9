"""Lives of a store, each several boots with a power cut at the end, and many more cuts tried along the way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from hil.powercut.disk import Disk, Kind, Platter
from hil.powercut.engine import recording
from hil.powercut.judge import judge, lived_on, look
from hil.powercut.ledger import Ledger
from hil.powercut.life import Life
from hil.powercut.tally import Tally

BOOTS = 4
CUTS_A_BOOT = 25
CUTS_A_LIFE = BOOTS * CUTS_A_BOOT
EVENTS = 60  # in a boot
EARLY_CHECKPOINT = 120  # pages; the shipped 8,000 would take hours of telemetry to reach
CLEAN_STOPS = 0.3
_MEMORY = Path("/dev/shm")


def live(seed: int, number: int, most: int = CUTS_A_LIFE) -> Tally:
    """Life `number` of `seed`, up to `most` cuts: the same ones each time."""
    rng = Random(f"{seed}/powercut/{number}")
    tally = Tally(lives=1)
    ledger = Ledger()
    files: dict[str, bytes] = {}
    early = EARLY_CHECKPOINT if number % 3 else None
    place = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="powercut-", dir=place) as name:
        directory = Path(name)
        for boot in range(BOOTS):
            if tally.cuts >= most:
                break
            base = ledger.copy()
            disk = Disk(files)
            home = _laid_out(directory / "home", files)
            with recording(disk, rng, early):
                life = Life(home, disk, rng, ledger, boot)
                life.start()
                life.work(EVENTS)
                if rng.random() < CLEAN_STOPS:
                    life.stop()
                life.end()
            base.sent = ledger.sent
            count = min(CUTS_A_BOOT, most - tally.cuts)
            ledger, files = _cut(disk, base, rng, count, directory / "found", tally, f"life {number}, boot {boot}")
    return tally


def _cut(
    disk: Disk, ledger: Ledger, rng: Random, count: int, place: Path, tally: Tally, name: str
) -> tuple[Ledger, dict[str, bytes]]:
    """Cut at `count` points; from one of them the home lives on."""
    points = _points(disk, rng, count)
    chosen = rng.randrange(count)
    tally.writes += sum(1 for op in disk.ops if op.data)
    tally.syncs += sum(1 for op in disk.ops if op.kind.name.startswith("SYNC"))
    platter = Platter(disk)
    after: tuple[Ledger, dict[str, bytes]] = (ledger, {})
    for number, point in enumerate(points):
        for note in platter.run(point):
            ledger.note(note)
        files = platter.cut(rng)
        found = look(_laid_out(place, files))
        tally.cuts += 1
        tally.unfinished += ledger.asking is not None
        for kind, sentence in judge(ledger, found):
            tally.wrong[kind] += 1
            tally.first = tally.first or f"{name}, cut {number} after op {point} of {len(disk.ops)}: {sentence}"
        if number == chosen:
            after = lived_on(ledger, found), files
    return after


def _points(disk: Disk, rng: Random, count: int) -> list[int]:
    """A third anywhere, a third within an event drawn first, a third just after a write outside of the database: a
    slot is a few bytes beside it, and only there can it be torn."""
    marks = [0, *(place for place, op in enumerate(disk.ops) if op.kind is Kind.MARK), len(disk.ops)]
    slots = {inode for name, inode in disk.names.items() if ".db" not in name}
    on_its_way = [place + 1 for place, op in enumerate(disk.ops) if op.kind is Kind.WRITE and op.inode in slots]
    points = []
    for number in range(count):
        place = rng.randrange(2 * len(marks))
        if number % 3 == 0 and on_its_way:
            points.append(rng.choice(on_its_way))
        elif place < len(marks) - 1:
            points.append(rng.randint(marks[place], marks[place + 1]))
        else:
            points.append(rng.randrange(len(disk.ops) + 1))
    return sorted(points)


def _laid_out(directory: Path, files: dict[str, bytes]) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory


def cuts(
    number: int, seed: int, tally: Tally | None = None, step: Callable[[Tally], None] = lambda tally: None
) -> Tally:
    """As many cuts, going on from `tally`; `step` after each life."""
    tally = tally or Tally()
    while tally.cuts < number:
        tally.add(live(seed, tally.lives, number - tally.cuts))
        step(tally)
    return tally
