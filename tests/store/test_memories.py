"""What is remembered of a device over crashes of the daemon, reboots, and disks that lie."""

from __future__ import annotations

from pathlib import Path

from agent import mail
from agent.runtime.part import Log, Post
from agent.store.memories import Memories
from drivers.events import Remember, Remembered
from drivers.memory import Kept, Memory
from tests.store.home import at, config, started

OWNER = (Kept(None, 43110, (33,)), Kept(227, 2902, (1,)))
MEMORY = Memory(((5_000, 3), (9_000, 1)), 12, OWNER)


def test_it_reads_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "memories"
    assert Memories(file, "boot").read() == {}
    assert Memories(file, "boot").write("hybrid", MEMORY) is None
    assert Memories(file, "boot").write("other", Memory()) is None
    assert Memories(file, "boot").read() == {"hybrid": MEMORY, "other": Memory()}


def test_after_a_reboot_all_that_was_spent_counts_from_the_start(tmp_path: Path) -> None:
    file = tmp_path / "memories"
    Memories(file, "boot").write("hybrid", MEMORY)
    assert Memories(file, "another").read() == {"hybrid": Memory((), 12 + 4, OWNER)}


def test_a_file_that_lies_counts_as_none(tmp_path: Path) -> None:
    file = tmp_path / "memories"
    Memories(file, "boot").write("hybrid", MEMORY)
    file.write_bytes(file.read_bytes().replace(b"hybrid", b"hybrxd"))
    assert Memories(file, "boot").read() == {}


def test_the_bus_hears_only_of_what_is_on_the_disk(tmp_path: Path) -> None:
    store = started(tmp_path, kernel_boot="boot")
    ask = mail.WriteMemory("rs485", Remember("hybrid", 7, MEMORY))
    assert Post("bus:rs485", Remembered("hybrid", 7)) in list(store.handle(ask, at(1)))
    assert Memories(config(tmp_path).memories_path, "boot").read() == {"hybrid": MEMORY}
    config(tmp_path).memories_path.unlink()
    config(tmp_path).memories_path.mkdir()
    effects = list(store.handle(ask, at(2)))
    assert not any(isinstance(effect, Post) and isinstance(effect.event, Remembered) for effect in effects)
    assert any(isinstance(effect, Log) and "could not be stored" in effect.text for effect in effects)
