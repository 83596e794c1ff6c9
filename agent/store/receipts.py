"""What the aggregator says that it has: what may be forgotten, and what it cannot have of us."""

from __future__ import annotations

from collections.abc import Iterable

from agent import mail
from agent.runtime.part import Effect, Log, Now
from agent.store.config import StoreConfig
from agent.store.database import Change
from agent.store.vault import Vault

S = 1_000_000_000
MOST_AHEAD = 1_000_000_000  # more rows than a home has in centuries are none of ours: by all receipts of a start
MOST_ALSO = 4_096  # rows beyond `upto` that are remembered until they are forgotten; others stay until `upto` is there
KEEP_NS = 900 * S  # rows of a resend stay so long after the last look at them
TOLD_NS = 60 * S  # a complaint about receipts, at most this often: of rows, and of the chain


class Receipts:
    """Of this start; nothing of it is kept."""

    def __init__(self, config: StoreConfig) -> None:
        self._config = config
        self._upto = 0
        self._ahead = MOST_AHEAD  # numbers that may still be passed over for a receipt
        self.also: set[int] = set()
        self._forgot_ns = 0
        self._keep_ns = 0  # nothing is forgotten before
        self._told_ns: dict[str, int] = {}

    def hear(self, receipt: mail.Receipted, vault: Vault, now: Now) -> list[Effect]:
        """One for numbers that this store never gave was earned by a later state of it: the card was put back to an
        older one, or another gateway has this home's keys. Numbers go on above; what was sent under them since then is
        lost to the aggregator. While rows are held nothing was sent under them, and `Anchor` settles it. Without a
        database nobody knows which rows there are: a later receipt says it again."""
        last = vault.last
        ahead = receipt.upto - vault.sent
        if not vault.open:
            return []
        if ahead > 0:
            if ahead > self._ahead or vault.held is not None:
                return []
            self._ahead -= ahead
            vault.skip(receipt.upto)
            what = f"the aggregator has rows up to {receipt.upto}, this store ends at {last}"
            advice = "was an old image restored, or does another gateway use its keys? Its rows go on above"
            return self._complaint("rows", f"{self._config.path}: {what}; {advice}", now)
        if receipt.upto > self._upto:
            self._upto = receipt.upto
            self.also = {seq for seq in self.also if seq > receipt.upto}
        return []

    def note(self, also: Iterable[int], vault: Vault) -> None:
        """Rows beyond `upto` that the aggregator has. A number without a row is worth nothing: it is used up, or not
        yet given. sqlite3.Error."""
        room = MOST_ALSO - len(self.also)
        new = {seq for seq in also if self._upto < seq <= vault.sent} - self.also
        if room and new:
            self.also.update(vault.kept(new)[:room])

    def countersigned(self, receipt: mail.Receipted, vault: Vault, now: Now) -> list[Effect]:
        """Its word over the settlement chain, if it says any. OSError."""
        assert receipt.checkpoint is not None
        n, digest = receipt.checkpoint
        found = vault.receipted(n, digest, receipt.token, now.wall_ms)
        return [] if found is None else self._complaint("chain", f"settlement: {found}", now)

    def _complaint(self, about: str, text: str, now: Now) -> list[Effect]:
        told_ns = self._told_ns.get(about)
        if told_ns is not None and now.mono_ns - told_ns < TOLD_NS:
            return []
        self._told_ns[about] = now.mono_ns
        return [Log("error", text)]

    def missing(self, ask: mail.LoadBacklog, vault: Vault) -> list[mail.OutboxRow]:
        """The rows asked for that have no receipt yet."""
        rows: list[mail.OutboxRow] = []
        after = max(ask.after, self._upto)
        while len(rows) < ask.limit:
            found = vault.after(after, ask.limit, ask.batches)
            rows += [row for row in found if row.seq not in self.also]
            if len(found) < ask.limit:
                break
            after = found[-1].seq
        return rows[: ask.limit]

    # --- forgetting --------------------------------------------------------------------------------------------------
    def keep(self, now: Now) -> None:
        """Somebody reads rows that have a receipt: nothing is forgotten for a while."""
        self._keep_ns = max(self._keep_ns, now.mono_ns + KEEP_NS)

    def forget(self, now: Now, evict: int = 0, at_once: bool = False) -> Change:
        """What may be deleted with the next telemetry: so that it costs no transaction of its own."""
        due = now.mono_ns - self._forgot_ns >= self._config.forget_ns and now.mono_ns >= self._keep_ns
        if at_once or due:
            return Change(receipted_to=self._upto, also=tuple(sorted(self.also)), evict_to=evict)
        return Change(evict_to=evict)

    def forgot(self, change: Change, now: Now) -> None:
        """It was deleted."""
        if change.receipted_to or change.also:
            self._forgot_ns = now.mono_ns
            self.also.clear()
