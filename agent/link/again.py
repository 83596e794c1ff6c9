"""Rows that the aggregator asked for once more (`resend`), receipted or not. Pure, like the outbox beside it.

One row at a time, and after each a pause as long as its way took, so that what is said now hardly notices. The request
is done when its last row has a PUBACK; a lost connection sends the row that was on its way again, a restart forgets the
request, and its `completed` never comes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from agent.link.outbox import LOAD_ROWS, PACE_MAX_NS, PACE_NS
from agent.mail import LoadBacklog, OutboxRow

MOST = 4  # requests at a time


@dataclass(slots=True)
class Asked:
    """A request: rows up to `last`, of which those up to `cursor` were taken from the store; `sent` have a PUBACK."""

    command: str
    cursor: int
    last: int
    sent: int = 0


class Again:
    """`due` says what to publish or load now; tokens of its publications are `token(seq)`."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque()
        self._rows: deque[OutboxRow] = deque()
        self._flying: tuple[OutboxRow, int] | None = None
        self._loading = False
        self._up = False
        self._pace_ns = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for another request."""
        return len(self._asked) >= MOST

    def ask(self, command: str, first: int, last: int) -> None:
        """The store keeps rows `first` to `last`, as far as they are there."""
        self._asked.append(Asked(command, first - 1, last))

    def connected(self, up: bool) -> None:
        """A new connection, or none: what was on its way comes again."""
        self._up = up
        if self._flying is not None:
            self._rows.appendleft(self._flying[0])
            self._flying = None

    def loaded(self, rows: tuple[OutboxRow, ...]) -> None:
        """The store's answer: the next rows of the first request."""
        self._loading = False
        if self._asked:
            asked = self._asked[0]
            self._rows.extend(rows)
            asked.cursor = rows[-1].seq if len(rows) == LOAD_ROWS else asked.last

    def acked(self, token: int, now_ns: int) -> None:
        """PUBACK of one of ours, or of somebody else's."""
        if self._flying is not None and token == token_of(self._flying[0].seq):
            since_ns, self._flying = self._flying[1], None
            self._asked[0].sent += 1
            self._pace_ns = now_ns + max(PACE_NS, min(now_ns - since_ns, PACE_MAX_NS))

    def due(self, now_ns: int) -> tuple[OutboxRow | None, LoadBacklog | None, Asked | None]:
        """A row to publish; what to ask the store for; a request that is done."""
        row = load = done = None
        if self._up and self._rows and self._flying is None and now_ns >= self._pace_ns:
            row = self._rows.popleft()
            self._flying = (row, now_ns)
        if self._asked and not self._rows and self._flying is None and not self._loading:
            if self._asked[0].cursor >= self._asked[0].last:
                done = self._asked.popleft()
            elif self._up:
                load = LoadBacklog(self._asked[0].cursor, LOAD_ROWS, upto=self._asked[0].last)
                self._loading = True
        return row, load, done

    @property
    def wake_ns(self) -> int | None:
        """When `due` has something new to say by time alone."""
        return self._pace_ns if self._up and self._rows and self._flying is None else None


def token_of(seq: int) -> int:
    """The token of a row that goes out again, apart from that of its first way."""
    return (1 << 62) + seq
