"""`bench storage` at its smallest: what is counted is written, and is most of what the peer's rows are."""

from __future__ import annotations

import subprocess
import tempfile

import pytest

from hil.bench import storage


@pytest.mark.slow
def test_the_agent_and_its_peer_are_counted_in_processes_of_their_own() -> None:
    told: list[storage.Told] = []
    agent, naive = storage.measure("agent", 0.2, 1, told), storage.measure("naive", 0.02, 1, told)
    assert naive >= 72 * storage.ROW
    assert 12 * 1_000 < agent < 12 * 100_000  # twelve blocks of some kilobytes, and two commands
    (up, up_bytes), (down, down_bytes) = told[0]["up"], told[0]["down"]
    assert up >= 12 and up_bytes > 300 * up
    assert down >= 12 and down_bytes > 300 * down


def test_a_child_that_fails_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"hil\.bench\.storage agent .* ended with"):
        storage.measure("agent", float("nan"), 1, [])


def test_memory_is_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")
    monkeypatch.setattr(
        subprocess, "run", lambda *args, **of: subprocess.CompletedProcess(args, 0, '{"written": 0}', "")
    )
    with pytest.raises(OSError, match="is on no disk: set TMPDIR"):
        storage.measure("naive", 1, 1, [])


def test_a_hundred_commands_a_day() -> None:
    assert [storage.commands(hours) for hours in (24, 6, 0.01)] == [100, 25, 1]
