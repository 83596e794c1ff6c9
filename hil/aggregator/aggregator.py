"""The aggregator as one sans-IO object: messages and the time in, messages out, and a score of all it heard.

Two drivers run it: `hil.aggregator.live` over a real broker, `hil.aggregator.virtual` in virtual time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.runtime.part import MqttMessage, Now
from hil.aggregator.alarms import Versions, of_row
from hil.aggregator.book import DeviceBook, Message
from hil.aggregator.claims import DURABLE, KINDS, ROOT, problem_of, typ_of
from hil.aggregator.keys import Keyring, SigningKey
from hil.aggregator.ledger import Fate
from hil.aggregator.registry import Registry
from hil.aggregator.sessions import Sessions
from hil.aggregator.token import MAX_BATCH, MAX_TOKEN, Refused, open_token, seal

COMMAND_LIFE_MS = 60_000  # a command is accepted for this long after it was signed
TIME_LIFE_MS = 60_000
RECEIPT_LIFE_MS = 3_600_000
RECEIPT_ALSO = 256  # rows beyond a gap that one receipt may name
_REFUSALS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Publish:
    """A message to send, QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """A message that was built: what is inside, and how it goes out."""

    id: str
    role: str
    typ: str
    claims: Mapping[str, Any]
    topic: str
    token: bytes

    @property
    def publish(self) -> Publish:
        """As it should be sent."""
        return Publish(self.topic, self.token)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the aggregator made of one message: `message` and `fate`, or `refused`, or an unsigned `presence`."""

    topic: str
    device: str | None
    message: Message | None = None
    fate: Fate | None = None
    refused: Refused | None = None
    presence: Mapping[str, Any] | None = None
    alarms: tuple[str, ...] = ()  # sentences


class Aggregator:
    """Signs with the role keys it has, verifies every byte of what devices send, counts durable rows exactly once.

    `random(n)` gives n bytes for ids. `receipts`: answer durable rows with receipts, at most one a device in
    `receipt_every_ns`; an aggregator that only looks on must not. `repeat_ns`: a command to a device that has not
    acknowledged it is sent again this often, the same bytes, until it expires (0: never). Sequence numbers are UTC ms
    or the last one + 1, so they rise over restarts without a file. `had`: the highest row of each home that was ever
    had, as far as that is known; None: this one hears all that ever comes. `answer_births`: who does not know what the
    fleet's aggregator has must not answer, since `last` of a home's first time says whether its disk was put back.
    """

    def __init__(
        self,
        keyring: Keyring,
        random: Callable[[int], bytes],
        *,
        receipts: bool = True,
        receipt_every_ns: int = 5_000_000_000,
        live_s: int = 0,
        repeat_ns: int = 0,
        had: Mapping[str, int] | None = None,
    ) -> None:
        self.keyring = keyring
        self.registry = Registry(keyring)
        self.versions = Versions(keyring.protocols)
        self.books = {device: DeviceBook(device) for device in keyring.devices}
        self.refused: list[Verdict] = []
        self.refused_count = self.expired_count = 0
        self.sent: dict[str, tuple[Signed, Now]] = {}  # commands by id
        self.answer_births = "service" in keyring.roles
        self._receipts = receipts and "service" in keyring.roles
        self._receipt_every_ns = receipt_every_ns
        self._live_s = live_s
        self._had = had
        self._repeat_ns = repeat_ns
        self._unheard: dict[str, int] = {}  # commands that no device has acknowledged: when they were sent last
        self._documents: dict[str, Publish] = {}  # by topic
        self._random = random
        self.sessions = Sessions()
        self._seq: dict[str, int] = {}  # the last to each device; one to a group is above those of all
        self._seq_to_all = 0
        self._root = f"{ROOT}/{keyring.fleet}"

    # --- what comes up ------------------------------------------------------------------------------------------------
    def subscriptions(self) -> tuple[tuple[str, int], ...]:
        """Topics to subscribe to."""
        return ((f"{self._root}/+/up/#", 1),)

    def receive(self, message: MqttMessage, now: Now) -> tuple[Verdict, tuple[Publish, ...]]:
        """Judge one message and answer it. Never raises for anything that a sender can do."""
        verdict = self._judge(message, now)
        if verdict.refused is not None:
            self.refused_count += 1
            self.expired_count += verdict.refused.reason == "expired"
            if len(self.refused) < _REFUSALS_KEPT:
                self.refused.append(verdict)
            return verdict, ()
        heard = verdict.message
        if heard is None or heard.kind != "birth" or not self.versions.speaks(heard.device):
            return verdict, ()
        time = (self.time(heard.device, heard.claims["nonce"], now).publish,) if self.answer_births else ()
        return verdict, (*time, *self._documents_of(heard.device))

    def keep(self, document: Publish) -> Publish:
        """The latest bundle or configuration for its topic: sent now, and again after each birth of its device.

        A retained message is for brokers that keep one for every node and every pattern; not all do.
        """
        self._documents[document.topic] = document
        return document

    def tick(self, now: Now) -> tuple[Publish, ...]:
        """Call about once a second: receipts that are due, and commands that nobody has acknowledged."""
        due = [
            book
            for book in self.books.values()
            if self._receipts
            and book.unreceipted
            and self.versions.speaks(book.device)
            and now.mono_ns - book.receipt_sent_ns >= self._receipt_every_ns
        ]
        return (*(self.receipt(book.device, now).publish for book in due), *self._repeats(now))

    # --- what goes down -----------------------------------------------------------------------------------------------
    def dispatch(
        self,
        target: str,
        power_w: int,
        duration_s: int,
        now: Now,
        *,
        start_ms: int | None = None,
        primacy: int | None = None,
        ramp: str | None = None,
    ) -> Signed:
        """Hold `power_w` (AC at the battery, + discharge) for `duration_s`, from acceptance or from `start_ms` on.

        `target` is a device, or a group written "grp:NAME".
        """
        body: dict[str, Any] = {"kind": "dispatch", "power_w": power_w, "duration_s": duration_s}
        options = {"start": start_ms, "primacy": primacy, "ramp": ramp}
        body |= {name: value for name, value in options.items() if value is not None}
        return self.command(target, body, now)

    def cancel(self, target: str, command_id: str, now: Now) -> Signed:
        """End one command."""
        return self.command(target, {"kind": "cancel", "target": command_id}, now)

    def stop(self, target: str, now: Now) -> Signed:
        """End all dispatch and release."""
        return self.command(target, {"kind": "stop"}, now)

    def command(self, target: str, body: Mapping[str, Any], now: Now, life_ms: int = COMMAND_LIFE_MS) -> Signed:
        """Any command, signed with the dispatch key; remembered in `sent`."""
        return self.say(target, "command", body, now, self.keyring.roles["dispatch"], "dispatch", life_ms)

    def say(
        self, target: str, leaf: str, body: Mapping[str, Any], now: Now, key: SigningKey, role: str, life_ms: int
    ) -> Signed:
        """Any message that goes down, signed with `key`; commands are remembered in `sent`."""
        group = target.removeprefix("grp:") if target.startswith("grp:") else None
        topic = f"{self._root}/group/{group}/{leaf}" if group else f"{self._root}/{target}/down/{leaf}"
        signed = self._sign(key, role, leaf, topic, target if group else f"dev:{target}", body, now, life_ms)
        if leaf == "command":
            self.sent[signed.id] = (signed, now)
            if self._repeat_ns and group is None:
                self._unheard[signed.id] = now.mono_ns
        return signed

    def time(self, device: str, nonce: str, now: Now) -> Signed:
        """The time, echoing the nonce of a boot: what lets that boot accept dispatch."""
        body: dict[str, Any] = {"nonce": nonce, "wall_ms": now.wall_ms}
        last = self.highest(device)
        if last is not None:
            body["last"] = last
        if self._live_s:
            body["live_s"] = self._live_s
        return self._service("time", device, body, now, TIME_LIFE_MS)

    def highest(self, device: str) -> int | None:
        """The highest row of it that was ever had; None: that is not known here."""
        ledger = self.books[device].ledger
        if self._had is None:
            return ledger.highest
        return max(ledger.heard, self._had.get(device, 0)) if ledger.heard or device in self._had else None

    def receipt(self, device: str, now: Now) -> Signed:
        """What of this device's rows is counted: all up to `upto`, and of those beyond a gap the ones heard lately."""
        book = self.books[device]
        book.receipt_sent_ns = now.mono_ns
        upto, also = book.next_receipt(RECEIPT_ALSO)
        body: dict[str, Any] = {"upto": upto, "also": list(also)}
        checkpoint = book.chain.receipt()
        if checkpoint is not None:
            body["checkpoint"] = checkpoint
        return self._service("receipt", device, body, now, RECEIPT_LIFE_MS)

    def resends(self, now: Now, most: int = 256) -> tuple[Signed, ...]:
        """For each device with a gap below its highest row: ask for what is missing, as one range."""
        found = []
        for device, book in self.books.items():
            missing = book.ledger.missing(most)
            if missing and self.versions.speaks(device):
                body = {"kind": "resend", "first": missing[0], "last": missing[-1]}
                key = self.keyring.roles["service"]
                found.append(self.say(device, "command", body, now, key, "service", COMMAND_LIFE_MS))
        return tuple(found)

    def build(
        self, role: str, kind: str, topic: str, audience: str, body: Mapping[str, Any], now: Now, life_ms: int
    ) -> Signed:
        """Sign any message with the key of `role`. Raises KeyError if this operator does not hold that key."""
        return self._sign(self.keyring.roles[role], role, kind, topic, audience, body, now, life_ms)

    def number(self, audience: str, now: Now, count: int = 1) -> int:
        """The first of so many new numbers: above every one that whoever hears this has heard, blocks of sessions
        included; what one home is sent does not show in another's."""
        of_group = audience.startswith("grp:")
        heard = max(self._seq.values(), default=0) if of_group else self._seq.get(audience, 0)
        seq = self.sessions.number(audience, max(heard + 1, self._seq_to_all + 1, now.wall_ms), count)
        if of_group:
            self._seq_to_all = seq + count - 1
        else:
            self._seq[audience] = seq + count - 1
        return seq

    # --- inside -------------------------------------------------------------------------------------------------------
    def _sign(
        self, key: SigningKey, role: str, kind: str, topic: str, audience: str, body: Mapping[str, Any], now: Now,
        life_ms: int,
    ) -> Signed:  # fmt: skip
        devices = tuple(self.books) if audience.startswith("grp:") else (audience.removeprefix("dev:"),)
        seq = body["seq"] if "seq" in body else self.number(audience, now)
        claims = {
            "v": self.versions.choose(devices),
            "id": self._random(16).hex(),
            "iss": f"agg:{self.keyring.fleet}",
            "aud": audience,
            "seq": seq,
            "iat": now.wall_ms,
            "exp": now.wall_ms + life_ms,
            **body,
        }
        typ = typ_of(kind)
        return Signed(claims["id"], role, typ, claims, topic, seal(key, typ, claims))

    def _repeats(self, now: Now) -> list[Publish]:
        due = []
        for command, sent_ns in [*self._unheard.items()]:
            signed, _ = self.sent[command]
            book = self.books.get(signed.claims["aud"].removeprefix("dev:"))
            if book is None or command in book.acks or now.wall_ms > signed.claims["exp"]:
                del self._unheard[command]
            elif now.mono_ns - sent_ns >= self._repeat_ns:
                self._unheard[command] = now.mono_ns
                due.append(signed.publish)
        return due

    def _documents_of(self, device: str) -> tuple[Publish, ...]:
        root = f"{self._root}/{device}/down/"
        return tuple(document for topic, document in self._documents.items() if topic.startswith(root))

    def _service(self, kind: str, device: str, body: Mapping[str, Any], now: Now, life_ms: int) -> Signed:
        topic = f"{self._root}/{device}/down/{kind}"
        return self.build("service", kind, topic, f"dev:{device}", body, now, life_ms)

    def _judge(self, message: MqttMessage, now: Now) -> Verdict:
        device, kind = self._address(message.topic)
        book = self.books.get(device)
        if book is None:
            return Verdict(message.topic, None, refused=Refused("unknown_device", f"no device for {message.topic!r}"))
        if kind == "state":
            book.presence = _presence(message.payload)
            return Verdict(message.topic, device, presence=book.presence)
        refused = self._verify(device, kind, message, now)
        if isinstance(refused, Refused):
            return Verdict(message.topic, device, refused=refused)
        fate = book.enter(refused)
        alarms = of_row(kind, refused.claims, fate)
        if kind == "birth" and fate is Fate.NEW:
            alarms += self.versions.heard(device, refused.claims)
        return Verdict(message.topic, device, message=refused, fate=fate, alarms=alarms)

    def _verify(self, device: str, kind: str, message: MqttMessage, now: Now) -> Message | Refused:
        if kind not in KINDS:
            return Refused("bad_topic", f"{kind!r} is not among {', '.join(KINDS)}")
        if message.retain and kind != "birth":
            return Refused("retained", f"a retained {kind}: only birth and state may be")
        limit = MAX_BATCH if kind == "batch" else MAX_TOKEN
        opened = open_token(message.payload, typ_of(kind), self.registry.keys(device, now.wall_ms), limit)
        stranger = isinstance(opened, Refused) and opened.reason == "unknown_key" and kind == "birth"
        if stranger and self.registry.learn(device, message.payload, now.wall_ms):  # the birth itself is still to prove
            opened = open_token(message.payload, typ_of(kind), self.registry.keys(device, now.wall_ms), limit)
        if isinstance(opened, Refused):
            return opened
        problem = problem_of(kind, opened.claims, device, self.keyring.fleet, now.wall_ms)
        if problem is not None:
            return Refused(*problem)
        digest = hashlib.sha256(opened.payload).hexdigest()
        return Message(device, kind, opened.claims, now, len(message.payload), digest)

    def _address(self, topic: str) -> tuple[str, str]:
        """(device, kind) of an upward topic, or ("", "")."""
        words = topic.split("/")
        if len(words) != 6 or "/".join(words[:3]) != self._root or words[4] != "up":
            return "", ""
        return words[3], words[5]

    def score(self) -> dict[str, Any]:
        """Numbers of all devices together, for a report."""
        books = self.books.values()
        return {
            "rows": sum(len(book.ledger) for book in books),
            "duplicates": sum(book.ledger.duplicates for book in books),
            "conflicts": sum(len(book.ledger.conflicts) for book in books),
            "gone": sum(book.ledger.gone for book in books),
            "missing": sum(len(book.ledger.missing()) for book in books),
            "refused": self.refused_count,
            "two_boots": sum(book.back_from for book in books),
            "verified": {kind: sum(book.verified.get(kind, 0) for book in books) for kind in KINDS},
            "durable_kinds": sorted(DURABLE),
        }


def _presence(payload: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"state": "unreadable"}
