"""What was set from afar on the disk: the record first, then both slots; torn at any byte it is one or the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import mail
from agent.store.documents import DocumentsFile
from agent.store.mirrored import SIZE
from tests.store.home import CLOCK, at, posted, started

EVENT = {"event": "config_applied", "version": 4, "reason": None, "sentence": "on probation"}


def image(path: Path, *states: bytes) -> bytes:
    path.unlink(missing_ok=True)
    for state in states:
        assert DocumentsFile(path).write(state) is None
    return path.read_bytes()


@pytest.mark.parametrize("first", [0, 1])
def test_a_write_torn_at_any_byte_leaves_the_state_before_or_after(tmp_path: Path, first: int) -> None:
    """`first`: the slot that the disk gets to first."""
    path = tmp_path / "documents"
    before, after = b'{"settled":3}', b'{"settled":3,"trial":4}'
    old, new = image(path, b"{}", before), image(path, b"{}", before, after)
    changed = sorted((n for n in range(len(new)) if old[n] != new[n]), key=lambda n: (n // SIZE != first, n))
    seen = set()
    for cut in range(len(changed) + 1):
        torn = bytearray(old)
        for n in changed[:cut]:
            torn[n] = new[n]
        path.write_bytes(torn)
        seen.add(DocumentsFile(path).read())
    assert seen == {before, after}


def test_a_damaged_file_is_a_sentence_and_can_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "documents"
    image(path, b"{}")
    path.write_bytes(b"\xff" * 2 * SIZE)
    assert "both copies are damaged" in str(DocumentsFile(path).read())
    assert DocumentsFile(path).write(b"{}") is None
    assert DocumentsFile(path).read() == b"{}"
    path.unlink()
    path.mkdir()
    assert isinstance(DocumentsFile(path).read(), str)
    assert isinstance(DocumentsFile(path).write(b"{}"), str)


def test_the_record_then_the_state_then_the_answer(tmp_path: Path) -> None:
    store = started(tmp_path)
    effects = list(store.handle(mail.WriteDocuments(b"{}", (EVENT, EVENT), CLOCK, 5), at(1)))
    [stored] = posted(effects, mail.Stored)
    assert [row.kind for row in stored.rows] == ["event", "event"]
    assert posted(effects, mail.DocumentsStored) == [mail.DocumentsStored(None)]
    assert DocumentsFile(tmp_path / "documents").read() == b"{}"


def test_without_its_record_nothing_is_kept_and_without_news_no_database_is_needed(tmp_path: Path) -> None:
    store = started(tmp_path)
    store._vault.abandon(damaged=False)
    [answer] = posted(store.handle(mail.WriteDocuments(b"{}", (EVENT,), CLOCK, 5), at(1)), mail.DocumentsStored)
    assert answer.error is not None
    assert DocumentsFile(tmp_path / "documents").read() is None
    [answer] = posted(store.handle(mail.WriteDocuments(b"{}", (), CLOCK, 5), at(1)), mail.DocumentsStored)
    assert answer.error is None
    assert DocumentsFile(tmp_path / "documents").read() == b"{}"
