"""How much of each thing this home looks at, so that a flood of one costs nothing of another. Pure: times in.

Signatures are counted by key and topic: whoever repeats a known `kid` under forgeries uses up what that key has on that
topic. The keys that only people of the home and the control room hold have more, for what ends dispatch. Bundles and
manifests, which cost many signatures each, are counted apart, and those that the broker kept apart from the rest: who
can only publish cannot use up the look at what is handed over at each connection. The last one that found no room is
looked at again. What looks like an ending and found none has its draw besides (`lot`).
"""

from __future__ import annotations

from agent.link.roles import COMMAND, HOMEOWNER

NS = 1_000_000_000
SIGNATURES, KEPT_SIGNATURES = 50, 200  # a second, twice that at once, of each key on each topic
KEPT = frozenset({"operations", "homeowner"})
COMMANDS_PER_DAY, COMMANDS_AT_ONCE = 8640, 2000  # of each key: one every ten seconds; each is written to the disk
ENDINGS_PER_DAY, ENDINGS_AT_ONCE = 1000, 200  # of each key: cancels and stops that are recorded and acknowledged
CHECKPOINTS_PER_H, CHECKPOINTS_AT_ONCE = 1, 32  # receipts that countersign the chain: kept for years, 16 KiB each
SAID_PER_DAY, SAID_AT_ONCE = 100, 50  # of each homeowner's key, of each kind: an event and both slots of the trust each
DOCUMENTS_PER_H, DOCUMENTS_AT_ONCE = 4, 8  # of each kind: a file and an event each


class Bucket:
    """Token bucket: `rate` in `per_s` seconds, at most `burst` saved up."""

    def __init__(self, rate: int, burst: int, per_s: int = 1) -> None:
        self._step_ns = per_s * NS // rate
        self._span_ns = self._step_ns * burst
        self._spent_ns: int | None = None  # the bucket is as full as now is ahead of this

    def take(self, now_ns: int) -> bool:
        """Whether there is one left."""
        full_ns = now_ns - self._span_ns
        spent_ns = (full_ns if self._spent_ns is None else max(full_ns, self._spent_ns)) + self._step_ns
        if spent_ns > now_ns:
            return False
        self._spent_ns = spent_ns
        return True

    @property
    def ready_ns(self) -> int:
        """From when on there is one left."""
        return 0 if self._spent_ns is None else self._spent_ns + self._step_ns


class Budgets:
    """Of one start of the daemon. Each question takes one, if there is one."""

    def __init__(self) -> None:
        self._signatures: dict[tuple[str, str], Bucket] = {}
        self._bundles: dict[tuple[str, bool], Bucket] = {}
        self._held: dict[tuple[str, bool], bytes] = {}
        self._documents: dict[str, Bucket] = {}
        self._days: dict[str, Bucket] = {}
        self._endings: dict[str, Bucket] = {}
        self._said: dict[tuple[str, str], Bucket] = {}
        self._commands = Bucket(5, 20)
        self._resends = Bucket(1, 4, per_s=60)

    def signature(self, typ: str, kid: str, role: str | None, now_ns: int) -> bool:
        """Whether one more signature of that key on that topic is checked; for keys of the trust alone."""
        found = self._signatures.get((typ, kid))
        if found is None:
            rate = KEPT_SIGNATURES if role in KEPT and typ in (COMMAND, HOMEOWNER) else SIGNATURES
            found = self._signatures[typ, kid] = Bucket(rate, 2 * rate)
        return found.take(now_ns)

    def keys(self, kids: frozenset[str]) -> None:
        """These are the keys from now on: what was counted of others is forgotten."""
        self._signatures = {name: bucket for name, bucket in self._signatures.items() if name[1] in kids}
        self._days = {kid: bucket for kid, bucket in self._days.items() if kid in kids}
        self._endings = {kid: bucket for kid, bucket in self._endings.items() if kid in kids}
        self._said = {name: bucket for name, bucket in self._said.items() if name[0] in kids}

    def command(self, now_ns: int) -> bool:
        """Whether one more command that is not cancel or stop is taken."""
        return self._commands.take(now_ns)

    def day(self, kid: str, now_ns: int) -> bool:
        """Whether that key has one more of its day's commands; setpoints of sessions, which no disk sees, are none."""
        found = self._days.get(kid)
        if found is None:
            found = self._days[kid] = Bucket(COMMANDS_PER_DAY, COMMANDS_AT_ONCE, per_s=86_400)
        return found.take(now_ns)

    def ending(self, kid: str, now_ns: int) -> bool:
        """Whether one more cancel or stop of that key goes on record. Beyond, it ends what it ends, and no more."""
        found = self._endings.get(kid)
        if found is None:
            found = self._endings[kid] = Bucket(ENDINGS_PER_DAY, ENDINGS_AT_ONCE, per_s=86_400)
        return found.take(now_ns)

    def said(self, kid: str, kind: str, now_ns: int) -> bool:
        """Whether that key of the homeowner has one more message of that kind: an app in a loop of one, or a thief of
        the key, leaves room for every other, and the disk in peace."""
        found = self._said.get((kid, kind))
        if found is None:
            found = self._said[kid, kind] = Bucket(SAID_PER_DAY, SAID_AT_ONCE, per_s=86_400)
        return found.take(now_ns)

    def resend(self, now_ns: int) -> bool:
        """Whether one more `resend` is answered."""
        return self._resends.take(now_ns)

    def bundle(self, typ: str, retained: bool, payload: bytes, now_ns: int) -> bool:
        """Whether this bundle or manifest is looked at now; if not, and none comes after it, it is later (`again`)."""
        found = self._bundles.setdefault((typ, retained), Bucket(1, 4))
        if found.take(now_ns):
            self._held.pop((typ, retained), None)
            return True
        self._held[typ, retained] = payload
        return False

    def again(self, now_ns: int) -> list[tuple[str, bytes]]:
        """Bundles and manifests that found no room, and now there is some: (typ, payload)."""
        ready = [name for name in self._held if self._bundles[name].take(now_ns)]
        return [(name[0], self._held.pop(name)) for name in ready]

    def again_ns(self) -> int | None:
        """When `again` has something."""
        return min([self._bundles[name].ready_ns for name in self._held], default=None)

    def document(self, kind: str, now_ns: int) -> bool:
        """Whether one more document of that kind is taken."""
        found = self._documents.get(kind)
        if found is None:
            found = self._documents[kind] = Bucket(DOCUMENTS_PER_H, DOCUMENTS_AT_ONCE, per_s=3600)
        return found.take(now_ns)

    def document_ns(self, kind: str) -> int:
        """From when on there is room for one more of that kind."""
        found = self._documents.get(kind)
        return 0 if found is None else found.ready_ns
