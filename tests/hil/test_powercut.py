"""Power cuts of the shipped store: none loses what was told; a store that cuts a corner is found out at once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from agent.core import durable as durables
from agent.core.durable import Durable
from agent.store import database, floor, slots, vault
from hil.campaign.resume import Resume
from hil.powercut import cli, engine
from hil.powercut.cuts import CUTS_A_LIFE, cuts, live
from hil.powercut.disk import Disk, Kind, Platter
from hil.powercut.tally import CHAIN, DAMAGED, LOST, NUMBERS, RESERVE, TWICE
from hil.strict import FileError

CUTS = 2_000


@pytest.mark.slow
def test_nothing_told_is_lost_by_a_power_cut() -> None:
    tally = cuts(CUTS, 11)
    assert (tally.cuts, tally.wrong.total(), tally.first) == (CUTS, 0, "")
    assert tally.unfinished > CUTS // 2  # most cuts fall where the store is at work


def test_the_same_life_is_the_same() -> None:
    one, two = live(3, 5, 30), live(3, 5, 30)
    assert one == two
    assert one.wrong.total() == 0


def pragmas(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    swapped = tuple(p.replace("synchronous = FULL", f"synchronous = {word}") for p in database._PRAGMAS)
    assert swapped != database._PRAGMAS
    monkeypatch.setattr(database, "_PRAGMAS", swapped)


def test_a_database_that_does_not_sync_each_commit_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pragmas(monkeypatch, "NORMAL")
    wrong = cuts(200, 1).wrong
    assert wrong[LOST] > 20
    assert wrong[RESERVE] == 0  # it has a file of its own


def test_a_database_that_never_syncs_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pragmas(monkeypatch, "OFF")
    wrong = cuts(200, 1).wrong
    assert wrong[LOST] > 20
    assert wrong[DAMAGED] > 0


def test_slots_that_do_not_sync_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine._Os, "fsync", lambda self, fd: None)
    wrong = cuts(200, 1).wrong
    assert wrong[RESERVE] > 20
    assert wrong[NUMBERS] > 0


def in_place(self: slots.Slots, payload: bytes) -> None:
    """A defect: the slot that is current is written over."""
    now, fd, system = self.read(), self._open(), vars(slots)["os"]  # the recording one
    system.pwrite(fd, self._pack(now.generation + 1, payload), now.slot * self._size)
    system.fsync(fd)
    system.close(fd)


def test_a_slot_that_is_written_over_itself_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the cuts fall on a slot's write, so some ten of these come upon a torn one with any seed."""
    monkeypatch.setattr(slots.Slots, "write", in_place)
    assert cuts(600, 1).wrong.total() > 3


@pytest.mark.parametrize(("write", "sound"), [(slots.Slots.write, True), (in_place, False)])
def test_a_slot_torn_at_any_of_its_writes(
    write: Callable[[slots.Slots, bytes], None], sound: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write of the file, a hundred ways each: what is found is the value before or the new one, or it is not."""
    disk, file = Disk(), slots.Slots(tmp_path / "slot")
    values = [bytes([65 + n]) * 40 for n in range(5)]
    with monkeypatch.context() as m:
        m.setattr(slots, "os", engine._Os(disk))
        for value in values:
            write(file, value)
            disk.mark(value)
    places = [n + 1 for n, op in enumerate(disk.ops) if op.kind is Kind.WRITE]
    assert len(places) == len(values)
    platter, lost = Platter(disk), [0] * len(values)
    told: list[object] = [b""]
    for n, place in enumerate(places):
        told += platter.run(place)
        for seed in range(100):
            (tmp_path / "found").write_bytes(platter.cut(Random(seed)).get("slot", b""))
            found = slots.Slots(tmp_path / "found").read().payload or b""
            lost[n] += found not in (told[-1], values[n])
    assert lost[0] == 0, "before the first there is nothing to lose"
    assert all((count == 0) is sound for count in lost[1:]), lost


def test_a_replay_window_in_memory_only_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = durables.to_json

    def without(value: Durable) -> str:
        return real(dataclasses.replace(value, windows=(), commands=()))

    monkeypatch.setattr(vault, "to_json", without)
    monkeypatch.setattr(floor, "to_json", without)
    assert cuts(100, 1).wrong[TWICE] > 20


def test_numbers_that_are_not_reserved_before_use_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "BLOCK", -1_000_000)
    assert cuts(100, 1).wrong[NUMBERS] > 0


# --- the disk itself --------------------------------------------------------------------------------------------------
def test_synced_bytes_stay_and_unsynced_ones_may_go_in_any_combination() -> None:
    disk = Disk({"a": b"....".ljust(2048, b".")})
    inode = disk.opened("a", True)
    disk.write(inode, 0, b"safe")
    disk.sync(inode)
    disk.write(inode, 512, b"x" * 1024)
    disk.write(inode, 4, b"y")
    platter = Platter(disk)
    assert list(platter.run(len(disk.ops))) == []
    seen = {platter.cut(Random(n))["a"] for n in range(300)}
    assert all(image[:4] == b"safe" for image in seen)
    middles = {image[512:1536] for image in seen}
    assert {b"." * 1024, b"x" * 1024, b"x" * 512 + b"." * 512, b"." * 512 + b"x" * 512} <= middles
    assert {image[4:5] for image in seen} == {b".", b"y"}


def test_a_name_is_safe_once_its_directory_was_synced() -> None:
    disk = Disk()
    disk.sync(disk.opened("new", False))
    platter = Platter(disk)
    list(platter.run(len(disk.ops)))
    assert {"new" in platter.cut(Random(n)) for n in range(50)} == {True, False}
    disk.sync_names()
    list(platter.run(len(disk.ops)))
    assert all("new" in platter.cut(Random(n)) for n in range(50))


# --- the command ------------------------------------------------------------------------------------------------------
def test_the_command_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(tmp_path / "run.json")
    assert cli.main(["--cuts", str(CUTS_A_LIFE), "--seed", "5", "--state", state]) == 0
    capsys.readouterr()
    assert cli.main(["--cuts", str(CUTS_A_LIFE + 20), "--seed", "5", "--state", state, "--json"]) == 0
    shown = capsys.readouterr()
    assert f"going on after {CUTS_A_LIFE} cuts" in shown.err
    figures = {figure["name"]: figure["value"] for figure in json.loads(shown.out)["figures"]}
    assert figures["power cuts"] == CUTS_A_LIFE + 20
    assert cli.main(["--cuts", "300", "--seed", "6", "--state", state]) == 2
    assert "seed 5" in capsys.readouterr().err


def test_a_state_file_that_is_not_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("[]")
    with pytest.raises(FileError, match="not the state of a run"):
        Resume(path, "powercut", 1).load()


def test_an_archive_that_does_not_sync_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipted settlement rows leave the database; what is then only in the page cache goes with the power."""
    real = engine._Os.fsync

    def lazy(self: engine._Os, fd: int) -> None:
        inode = self._files[fd]
        names = {n: name for name, n in self._disk.names.items()}
        if inode is None or not names[inode].startswith("ledger"):
            real(self, fd)

    monkeypatch.setattr(engine._Os, "fsync", lazy)
    assert cuts(300, 1).wrong[CHAIN] > 0
