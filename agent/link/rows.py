"""Rows of the store on their way up: those that are due, those asked for again, and repeated acks. Sans-IO.

When each goes is the outbox's and `again`'s to say; here they become publications and requests to the store.
"""

from __future__ import annotations

from dataclasses import replace

from agent import mail
from agent.link import upward
from agent.link.again import Again, Asked, token_of
from agent.link.answers import Answers
from agent.link.budgets import CHECKPOINTS_AT_ONCE, CHECKPOINTS_PER_H, Bucket
from agent.link.config import LinkConfig
from agent.link.messages import Receipt
from agent.link.outbox import Outbox
from agent.runtime.part import Effect, MqttPublish, Post


class Rows:
    """Of one start of the daemon."""

    def __init__(self, config: LinkConfig, sender: upward.Sender) -> None:
        self._root = config.root
        self._sender = sender
        self.outbox = Outbox(config.resend_ns, config.resend_cap_ns)
        self._again = Again()
        self._answers = Answers(config.repeat_ack_ns)
        self._words = Bucket(CHECKPOINTS_PER_H, CHECKPOINTS_AT_ONCE, per_s=3600)
        self._word: tuple[int, str] | None = None  # the last that was heard over the settlement chain

    # --- the connection ----------------------------------------------------------------------------------------------
    def connected(self) -> None:
        """They may go."""
        self.outbox.connected()
        self._again.connected(True)

    def disconnected(self) -> None:
        """What was on its way comes again."""
        self.outbox.disconnected()
        self._again.connected(False)

    def acked(self, token: int, now_ns: int) -> None:
        """PUBACK of a publication of ours, or of somebody else's."""
        self.outbox.acked(token, now_ns)
        self._again.acked(token, now_ns)

    # --- what is due -------------------------------------------------------------------------------------------------
    def due(self, now_ns: int, stopping: bool, out: list[Effect]) -> Asked | None:
        """Publishes and loads what is due. `stopping`: nothing is loaded any more. A request that is done."""
        rows, load = self.outbox.due(now_ns)
        out.extend(self._publish(row, row.seq) for row in rows)
        if stopping:
            return None
        if load is not None:
            out.append(Post("store", mail.LoadBacklog(load.after, load.limit, load.batches)))
        row, wanted, done = self._again.due(now_ns)
        if row is not None:
            out.append(self._publish(row, token_of(row.seq)))
        if wanted is not None:
            out.append(Post("store", wanted))
        return done

    @property
    def wake_ns(self) -> int | None:
        """When `due` has something by time alone."""
        return min((at for at in (self.outbox.wake_ns, self._again.wake_ns) if at is not None), default=None)

    def repeat(self, command: str, now_ns: int, out: list[Effect]) -> None:
        """A command came again: its ack does too, if it is time."""
        row = None if self.outbox.holds else self._answers.repeat(command, now_ns)
        if row is not None:
            out.append(self._publish(row, row.seq))

    # --- from the store, and for it ----------------------------------------------------------------------------------
    def stored(self, stored: mail.Stored) -> bool:
        """Rows are on the disk. Whether a batch is among them."""
        self.outbox.stored(stored.rows)
        for row in stored.rows:
            if row.kind == "ack":
                self._answers.keep(row)
        return any(row.kind == "batch" for row in stored.rows)

    def loaded(self, event: mail.Backlog) -> None:
        """What the store was asked for."""
        if event.again:
            self._again.loaded(event.rows)
        else:
            self.outbox.backlog(event.rows, event.last, event.first, event.held)

    def anchored(self, event: mail.Anchored) -> None:
        """From which number on rows of this start go."""
        self.outbox.anchored(event.last, event.first)
        if event.shift:
            self._answers.shifted(event)

    def asked(self, event: mail.Resending) -> None:
        """The store keeps these rows until they went once more."""
        self._again.ask(event.command, event.first, event.last)

    @property
    def full(self) -> bool:
        """Whether there is no room for another request."""
        return self._again.full

    def receipted(self, got: Receipt, token: bytes, now_ns: int) -> tuple[mail.Receipted, bool]:
        """The aggregator has these; the store lets go of them. And whether its word over the chain, if there is one,
        is heard: what waits for the store, and what that keeps for years, is bounded whoever has the key."""
        self.outbox.receipted(got.upto, got.also)
        plain = mail.Receipted(got.upto, tuple(got.also))
        word = (got.checkpoint.n, got.checkpoint.head) if got.checkpoint is not None else None
        if word is None or word == self._word:
            return plain, True
        if not self._words.take(now_ns):
            return plain, False
        self._word = word
        return replace(plain, checkpoint=word, token=token), True

    def _publish(self, row: mail.OutboxRow, token: int) -> MqttPublish:
        return MqttPublish(token, f"{self._root}/up/{row.kind}", upward.row_token(self._sender, row), 1, False)
