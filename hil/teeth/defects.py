"""The defects that the bench must find: `defects.toml`, checked, and how one is planted in a copy of the source."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.strict import FileError, Table

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("defects.toml")
CASES = Path(__file__).with_name("cases")
COPIED = ("agent", "drivers", "hil", "tests", "docs", "pyproject.toml")  # pages too: some tests read them
CHECKS = {"scenario": 1, "case": 1, "powercut": 1, "fuzz": 2, "test": 1}  # word -> how many words follow


@dataclass(frozen=True, slots=True)
class Edit:
    """`old` stands exactly once in `file` and becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Defect:
    """One mistake, and the checks of which at least one must find it."""

    id: str
    about: str
    checks: tuple[str, ...]
    edits: tuple[Edit, ...]


def load(path: Path = FILE) -> Sequence[Defect]:
    """All of them. FileError names key and reason."""
    top = Table(path.name, "file", tomllib.loads(path.read_text(encoding="utf-8")))
    defects = [_defect(table) for table in top.tables("defect")]
    top.done()
    ids = [defect.id for defect in defects]
    if len(set(ids)) != len(ids):
        raise FileError(f"{path.name}: an id is there twice")
    return defects


def _defect(table: Table) -> Defect:
    defect = Defect(
        table.text("id"),
        table.text("about"),
        table.texts("checks"),
        tuple(_edit(edit) for edit in table.tables("edit")),
    )
    table.done()
    if not defect.checks or not defect.edits:
        raise table.fail("checks", "a defect needs an edit, and a check that finds it")
    for check in defect.checks:
        word, *rest = check.split()
        if CHECKS.get(word) != len(rest):
            raise table.fail("checks", f"{check!r} is not one of {', '.join(CHECKS)} with its arguments")
    return defect


def _edit(table: Table) -> Edit:
    edit = Edit(table.text("file"), table.text("old"), table.text("new"))
    table.done()
    return edit


def copy(to: Path) -> None:
    """The source, without anything that was built from it."""
    to.mkdir(exist_ok=True)
    for name in COPIED:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, to / name)
        else:
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))


def plant(defect: Defect, tree: Path) -> None:
    """Into a copy. FileError when a text is not there exactly once: then the source has moved on, and so must we."""
    for edit in defect.edits:
        path = tree / edit.file
        text = path.read_text(encoding="utf-8")
        count = text.count(edit.old)
        if count != 1:
            raise FileError(
                f"defect {defect.id}: its text stands {count} times in {edit.file}, expected once; look at what the "
                f"source does there now and write the defect anew: {edit.old.strip()[:80]!r}"
            )
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
