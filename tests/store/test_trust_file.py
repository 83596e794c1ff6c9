"""The trust on the disk: two slots, and what a message of the homeowner leaves before it acts."""

from __future__ import annotations

from pathlib import Path

from agent import mail
from agent.store.trust import FORMER, TrustFile, former, former_path
from tests.store.home import CLOCK, at, posted, started

STATE = b'{"v":1}'


def test_nothing_yet_then_what_was_written(tmp_path: Path) -> None:
    file = TrustFile(tmp_path / "trust")
    assert file.read() is None
    assert file.write(STATE) is None
    assert TrustFile(tmp_path / "trust").read() == STATE
    assert (tmp_path / "trust").stat().st_mode & 0o777 == 0o600


def test_rot_in_one_slot_brings_back_no_older_bundle(tmp_path: Path) -> None:
    path = tmp_path / "trust"
    file = TrustFile(path)
    assert file.write(b"version 1") is None
    assert file.write(b"version 2, which revokes") is None
    whole = path.read_bytes()
    half = len(whole) // 2
    for start in (0, half):
        path.write_bytes(whole[:start] + bytes(half) + whole[start + half :])
        assert file.read() == b"version 2, which revokes"


def test_a_file_that_is_damaged_or_cannot_be_read_is_a_sentence_and_not_none(tmp_path: Path) -> None:
    path = tmp_path / "trust"
    file = TrustFile(path)
    assert file.write(STATE) is None
    path.write_bytes(b"\xff" * path.stat().st_size)
    assert "damaged" in str(file.read())
    path.unlink()
    path.mkdir()
    assert isinstance(file.read(), str)
    assert isinstance(file.write(STATE), str)


def test_what_does_not_fit_is_a_sentence(tmp_path: Path) -> None:
    file = TrustFile(tmp_path / "trust")
    assert file.write(STATE) is None
    assert isinstance(file.write(bytes(40_000)), str)
    assert file.read() == STATE


def test_record_and_state_then_the_answer(tmp_path: Path) -> None:
    store = started(tmp_path)
    effects = list(store.handle(mail.WriteTrust(STATE, {"event": "homeowner", "kind": "consent"}, CLOCK, 5), at(1)))
    [stored] = posted(effects, mail.Stored)
    assert stored.rows[0].kind == "event"
    assert posted(effects, mail.TrustStored) == [mail.TrustStored(None)]
    assert TrustFile(tmp_path / "trust").read() == STATE


def test_without_the_record_nothing_is_kept_and_the_answer_says_so(tmp_path: Path) -> None:
    store = started(tmp_path)
    store._vault.abandon(damaged=False)
    [answer] = posted(store.handle(mail.WriteTrust(STATE, {"event": "homeowner"}, CLOCK, 5), at(1)), mail.TrustStored)
    assert answer.error is not None
    assert TrustFile(tmp_path / "trust").read() is None


def test_a_bundle_is_kept_also_while_the_database_is_not_there(tmp_path: Path) -> None:
    """A revocation must outlive a restart whatever the records do."""
    store = started(tmp_path)
    store._vault.abandon(damaged=False)
    assert posted(store.handle(mail.WriteTrust(STATE, None, CLOCK, 5), at(1)), mail.TrustStored) == [
        mail.TrustStored(None)
    ]
    assert TrustFile(tmp_path / "trust").read() == STATE


def test_the_bundles_of_before_are_kept_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "trust"
    file = TrustFile(path)
    for number in (1, 1, 2, *range(3, FORMER + 4)):
        assert file.write(b'{"bundle":{"payload":"%d"},"heard":{}}' % number) is None
        assert file.write(b'{"bundle":{"payload":"%d"},"heard":{"k":1}}' % number) is None  # the same bundle
    kept = former(path)
    assert kept[-1] == b'{"payload":"%d"}' % (FORMER + 2)
    assert (len(kept), len(set(kept))) == (FORMER, FORMER)
    assert former_path(path).stat().st_mode & 0o777 == 0o600
