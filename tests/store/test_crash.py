"""A real process that commits is killed; a real disk refuses bytes. What was answered must be there."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import mail
from agent.core.inputs import CommitFailed, Committed
from agent.runtime.part import Stop, Wake
from agent.store.store import Store
from tests.store.home import CLOCK, at, config, durable, posted, record, request, rows, started

CHILD = """
import itertools, sys
from pathlib import Path
from tests.store.home import at, request, rows, started
from agent.runtime.part import Wake
store = started(Path(sys.argv[1]))
for n in itertools.count(int(sys.argv[2])):
    for row in rows(store.handle(request(n), at(n))):
        print(n, row.seq, flush=True)
    if n % 7 == 0:
        list(store.handle(Wake(), at(n + 1)))
"""


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_answered_and_reuses_no_number(tmp_path: Path) -> None:
    answered: list[tuple[int, int]] = []
    for kill in range(6):
        first = max((n for n, _ in answered), default=0) + 2  # the one under way at the kill may be there too
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), str(first)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for _ in range(20 + 13 * kill):
            n, seq = child.stdout.readline().split()
            answered.append((int(n), int(seq)))
        child.send_signal(signal.SIGKILL)
        answered += [(int(n), int(seq)) for n, seq in (line.split() for line in child.stdout.read().splitlines())]
        child.wait()
        child.stdout.close()
        store = started(tmp_path)
        held: dict[int, bytes] = {}
        while True:
            (backlog,) = posted(store.handle(mail.LoadBacklog(max(held, default=0), 100), at(0)), mail.Backlog)
            held |= {row.seq: row.payload for row in backlog.rows}
            if len(backlog.rows) < 100:
                break
        assert {seq for _, seq in answered} <= set(held)
        seqs = [seq for _, seq in answered]
        assert len(seqs) == len(set(seqs))
        assert all(f"{n:032x}".encode() in held[seq] for n, seq in answered)
        last = answered[-1][0]
        assert store._vault.durable in (durable(last), durable(last + 1))
        list(store.handle(Stop(), at(0)))


@contextmanager
def files_may_have(size: int) -> Iterator[None]:
    """The kernel refuses every byte beyond `size`, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_bytes_fails_commits_and_recovers_without_loss(tmp_path: Path) -> None:
    store = started(tmp_path)
    for n in range(1, 20):
        assert posted(store.handle(request(n), at(n)), Committed)
    with files_may_have((tmp_path / "state.db-wal").stat().st_size):
        effects = list(store.handle(request(20), at(20)))
        assert posted(effects, CommitFailed)
        (state,) = posted(effects, mail.DiskState)
        assert not state.ok
        assert rows(store.handle(mail.AppendBatch(b"x" * 3000, CLOCK, 0, 60), at(21))) == []
        assert not any(state.ok for state in posted(store.handle(Wake(), at(30)), mail.DiskState))
    recovered = list(store.handle(Wake(), at(120)))
    assert posted(recovered, mail.DiskState)[0].ok
    assert [row.seq for row in rows(store.handle(request(21), at(121)))] == [20]
    list(store.handle(Stop(), at(122)))
    again = Store(config(tmp_path))
    assert again.load() == durable(21)


def test_a_second_process_is_told_that_the_store_is_taken(tmp_path: Path) -> None:
    first = started(tmp_path)
    assert posted(first.handle(request(1), at(1)), Committed)
    second = started(tmp_path)
    assert posted(second.handle(mail.CommitRequest(1, durable(5), (record(1),), CLOCK, 0), at(2)), CommitFailed)
    assert second._bad is not None
    assert "locked" in second._bad
    assert posted(first.handle(request(2), at(3)), Committed)
    list(first.handle(Stop(), at(4)))
    list(second.handle(Wake(), at(60)))
    assert [row.seq for row in rows(second.handle(request(9), at(61)))] == [3]
