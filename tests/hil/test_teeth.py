"""The bench has teeth: each defect fits the source as it is, and the checks find it. All of them: `make teeth`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hil import scenario
from hil.fuzz.cli import TARGETS
from hil.strict import FileError
from hil.teeth.cli import teeth
from hil.teeth.defects import CASES, ROOT, Defect, Edit, copy, load, plant

FEW = ("reserve_ignored", "no_release", "signature_not_checked", "slots_not_synced", "charged_in_frost")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("whole")
    copy(to)
    return to


@pytest.mark.parametrize("defect", load(), ids=lambda defect: defect.id)
def test_each_defect_fits_the_source_and_is_another_program(defect: Defect, tree: Path) -> None:
    before = {edit.file: (tree / edit.file).read_text() for edit in defect.edits}
    plant(defect, tree)
    for file, text in before.items():
        after = (tree / file).read_text()
        assert after != text
        compile(after, file, "exec")
        (tree / file).write_text(text)


def test_each_check_is_there() -> None:
    for defect in load():
        for check in defect.checks:
            word, *rest = check.split()
            if word == "scenario":
                assert "virtual" in scenario.load(scenario.find(rest[0])).backends
            elif word == "case":
                assert (CASES / f"{rest[0]}.toml").is_file()
            elif word == "fuzz":
                assert rest[0] in TARGETS
            elif word == "test":
                assert _is_a_test(rest[0])


def _is_a_test(name: str) -> bool:
    file, _, function = name.partition("::")
    return f"def {function or 'test_'}" in (ROOT / file).read_text(encoding="utf-8")


def test_a_text_that_is_gone_is_an_error(tree: Path) -> None:
    gone = Defect("gone", "x", ("scenario stop",), (Edit("agent/gate.py", "nobody ever wrote this", ""),))
    with pytest.raises(FileError, match=r"stands 0 times in agent/gate\.py"):
        plant(gone, tree)
    often = dataclasses.replace(gone, edits=(Edit("agent/gate.py", "return", ""),))
    with pytest.raises(FileError, match="expected once"):
        plant(often, tree)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_some_defects_are_found() -> None:
    report = teeth([defect for defect in load() if defect.id in FEW], jobs=2)
    assert report.ok, report.table()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_changes_nothing_is_not_found() -> None:
    harmless = Defect(
        "harmless",
        "x",
        ("case frost",),
        (Edit("agent/gate.py", '"""Gives every order its id;', '"""Gives each order its id;'),),
    )
    report = teeth([harmless])
    assert not report.ok
    assert [f.value for f in report.figures if f.name == "harmless"] == ["not found"]
