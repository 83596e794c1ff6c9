"""Two slots and the reserve in them: every torn write, every damaged byte, and what may be believed after each."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.core.inputs import Reserve
from agent.store.reserve import ReserveFile
from agent.store.slots import Slots

SIZE = 4096


def image(path: Path, *values: int) -> bytes:
    """The file after these writes."""
    path.unlink(missing_ok=True)
    reserve = ReserveFile(path)
    for value in values:
        assert reserve.write(value, "owner") is None
    return path.read_bytes()


def read(path: Path, data: bytes) -> Reserve:
    path.write_bytes(data)
    return ReserveFile(path).read()


def test_a_new_gateway_holds_everything_back(tmp_path: Path) -> None:
    assert ReserveFile(tmp_path / "reserve").read() == Reserve(1000, "new")
    assert read(tmp_path / "reserve", b"") == Reserve(1000, "new")
    assert read(tmp_path / "reserve", bytes(2 * SIZE)) == Reserve(1000, "new")


def test_what_was_written_is_read_and_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    for values in ((200,), (200, 500), (200, 500, 0), (1000, 1, 999, 2)):
        image(path, *values)
        assert ReserveFile(path).read() == Reserve(values[-1], "file")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("values", [(200,), (200, 500), (500, 200, 800)])
def test_any_one_damaged_byte_leaves_the_value(tmp_path: Path, values: tuple[int, ...]) -> None:
    """Acknowledged, then one byte rots, in either slot: never the value before, never 100 %."""
    path = tmp_path / "reserve"
    data = image(path, *values)
    used = [at for at in range(len(data)) if data[at] or at % SIZE < 80]
    for at in used:
        for flip in (0x01, 0xFF):
            damaged = bytearray(data)
            damaged[at] ^= flip
            assert read(path, bytes(damaged)) == Reserve(values[-1], "file"), at


@pytest.mark.parametrize("slot", [0, 1])
def test_one_slot_gone_leaves_the_value(tmp_path: Path, slot: int) -> None:
    path = tmp_path / "reserve"
    data = bytearray(image(path, 200, 500))
    for junk in (bytes(SIZE), b"\xff" * SIZE, os.urandom(SIZE)):
        data[slot * SIZE : (slot + 1) * SIZE] = junk
        assert read(path, bytes(data)) == Reserve(500, "file")


@pytest.mark.parametrize(("before", "after"), [(200, 500), (500, 200)])
def test_a_write_torn_at_any_byte_leaves_the_old_value_or_the_new_one(tmp_path: Path, before: int, after: int) -> None:
    path = tmp_path / "reserve"
    old, new = image(path, 100, before), image(path, 100, before, after)
    changed = [at for at in range(len(new)) if old[at] != new[at]]
    seen = set()
    for first in (0, 1):  # whichever slot the disk gets to first
        sequence = sorted(changed, key=lambda at: (at // SIZE != first, at))
        for cut in range(len(sequence) + 1):
            torn = bytearray(old)
            for at in sequence[:cut]:
                torn[at] = new[at]
            found = read(path, bytes(torn))
            assert found in (Reserve(before, "file"), Reserve(after, "file")), (first, cut)
            seen.add(found.permille)
    assert seen == {before, after}


def test_both_slots_damaged_is_full_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    data = bytearray(image(path, 200))
    data[10] ^= 1
    data[SIZE + 10] ^= 1
    assert read(path, bytes(data)) == Reserve(1000, "unreadable")
    assert read(path, b"rubbish" * 2000) == Reserve(1000, "unreadable")


@pytest.mark.parametrize("length", [1, 19, 20, 21, 50, SIZE - 1, SIZE, SIZE + 1, SIZE + 30, 2 * SIZE - 1])
def test_a_file_cut_short_is_the_value_or_full(tmp_path: Path, length: int) -> None:
    path = tmp_path / "reserve"
    found = read(path, image(path, 200)[:length])
    assert found in (Reserve(200, "file"), Reserve(1000, "unreadable"))
    assert (found.source == "file") == (length >= SIZE or length > 60)


def test_a_value_that_is_no_reserve_is_unreadable(tmp_path: Path) -> None:
    for payload in (
        b"{}",
        b"5",
        b'{"permille":-1}',
        b'{"permille":1001}',
        b'{"permille":true}',
        b'{"permille":"5"}',
        b"\xff",
    ):
        path = tmp_path / "reserve"
        path.unlink(missing_ok=True)
        Slots(path, mirror=True).write(payload)
        assert ReserveFile(path).read() == Reserve(1000, "unreadable")


def test_a_directory_in_its_place_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "reserve").mkdir()
    assert ReserveFile(tmp_path / "reserve").read() == Reserve(1000, "unreadable")
    assert ReserveFile(tmp_path / "reserve").write(200, "owner") is not None


@pytest.mark.parametrize("value", [-1, 1001, 10**9])
def test_a_reserve_out_of_range_is_refused_and_nothing_changes(tmp_path: Path, value: int) -> None:
    path = tmp_path / "reserve"
    image(path, 300)
    assert "permille" in str(ReserveFile(path).write(value, "owner"))
    assert ReserveFile(path).read() == Reserve(300, "file")


def test_a_disk_that_refuses_is_a_sentence_and_the_value_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "reserve"
    image(path, 300)

    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    assert "No space left" in str(ReserveFile(path).write(500, "owner"))
    monkeypatch.undo()
    assert ReserveFile(path).read() == Reserve(300, "file")


def test_a_copy_that_fails_is_told_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of the two writes fails: the new value holds, the error says so, `heal` makes it two again."""
    path = tmp_path / "reserve"
    image(path, 300)
    real, calls = os.pwrite, []

    def second_fails(fd: int, data: bytes, offset: int) -> int:
        calls.append(offset)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", second_fails)
    reserve = ReserveFile(path)
    assert reserve.write(500, "owner") is not None
    monkeypatch.undo()
    assert reserve.read() == Reserve(500, "file")
    reserve.heal()
    data = bytearray(path.read_bytes())
    newest = ReserveFile(path)._slots.read().slot
    data[newest * SIZE : (newest + 1) * SIZE] = bytes(SIZE)
    assert read(path, bytes(data)) == Reserve(500, "file")


def test_what_is_whole_is_not_written_by_heal(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    data = image(path, 300)
    ReserveFile(path).heal()
    assert path.read_bytes() == data


def test_unmirrored_slots_keep_the_value_before_when_a_write_is_torn(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "x", size=512)
    slots.write(b"one")
    slots.write(b"two")
    data = bytearray((tmp_path / "x").read_bytes())
    data[slots.read().slot * 512 + 22] ^= 1
    (tmp_path / "x").write_bytes(bytes(data))
    assert slots.read().payload == b"one"
    slots.write(b"three")
    assert slots.read().payload == b"three"


def test_a_first_write_that_is_cut_off_was_never_one(tmp_path: Path) -> None:
    """Nobody was told that it is there. A slot that is cut short is not an empty one: such a file was damaged."""
    path = tmp_path / "file"
    whole = Slots(path, mirror=True)
    whole.write(b"a value of some length")
    data = path.read_bytes()
    for length in range(1, 38):
        path.write_bytes(data[:length].ljust(2 * SIZE, b"\0"))
        assert whole.read().payload is None
        assert whole.read().fresh
        path.write_bytes(data[:length])
        assert not whole.read().fresh
    whole.write(b"anew")
    assert whole.read().payload == b"anew"


def test_a_value_that_rots_without_a_mirror_was_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    single = Slots(path)
    single.write(b"a value")
    path.write_bytes(path.read_bytes().replace(b"value", b"valve"))
    assert not single.read().fresh


def test_a_payload_too_long_for_a_slot_is_refused(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "x", size=512)
    slots.write(b"x" * 492)
    with pytest.raises(OSError, match="fit"):
        slots.write(b"x" * 493)
    assert slots.read().payload == b"x" * 492


@pytest.mark.parametrize("mirror", [True, False])
def test_every_write_is_synced_before_the_next_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: bool
) -> None:
    steps: list[str] = []
    real_write, real_sync = os.pwrite, os.fsync
    directory = tmp_path.stat().st_ino

    def write(fd: int, data: bytes, at: int) -> int:
        steps.append("write")
        return real_write(fd, data, at)

    def sync(fd: int) -> None:
        steps.append("directory" if os.fstat(fd).st_ino == directory else "sync")
        real_sync(fd)

    monkeypatch.setattr(os, "pwrite", write)
    monkeypatch.setattr(os, "fsync", sync)
    slots = Slots(tmp_path / "x", mirror=mirror)
    slots.write(b"one")
    assert steps == ["sync", "directory", "write", "sync", *(["write", "sync"] if mirror else [])]
    steps.clear()
    slots.write(b"two")
    assert steps == ["write", "sync"] * (2 if mirror else 1)


def test_no_file_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    slots = Slots(tmp_path / "x")
    for n in range(20):
        slots.write(b"%d" % n)
        slots.read()
    (tmp_path / "y").write_bytes(b"junk")
    Slots(tmp_path / "y").read()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_its_place_is_never_followed(tmp_path: Path, there: bool) -> None:
    """Root's tools write here too, and the directory is the daemon's user's."""
    target = tmp_path / "target"
    if there:
        target.write_bytes(b"")
    (tmp_path / "value").symlink_to(target)
    slots = Slots(tmp_path / "value")
    for act in (slots.read, lambda: slots.write(b"mine")):
        with pytest.raises(OSError, match="symbolic"):
            act()
    assert target.exists() is there
    assert not there or target.read_bytes() == b""
