"""Part "link": the aggregator's side of this home, over MQTT. Sans-IO; never raises for anything from outside.

Safety needs nothing of this part: it hands verified commands to control, and rows of the store to the aggregator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto

from agent import mail
from agent.core.decision import Record
from agent.core.durable import Window
from agent.core.inputs import Clock, CommandIn, FreshTime, Outdated
from agent.link import jws, upward
from agent.link.comeback import Comeback
from agent.link.config import LinkConfig
from agent.link.inbound import Heard, Inbound
from agent.link.messages import Receipt, Resend, Time
from agent.link.presence import STOPPED_TOKEN, Presence
from agent.link.refusal import Refusal
from agent.link.relayed import Relayed, stop_for
from agent.link.rows import Rows
from agent.link.telling import Telling
from agent.link.timekeeping import Timekeeper
from agent.link.trusting import Changed, Spoken
from agent.resend import ack
from agent.runtime import part
from agent.runtime.part import Effect, Log, MqttConnect, MqttDisconnect, MqttSubscribe, Now, Post, WakeAt

S = 1_000_000_000
CONNECT_NS = 60 * S  # neither up nor down for so long: try again


class _Phase(Enum):
    NEW = auto()
    WAITING = auto()
    CONNECTING = auto()
    UP = auto()
    DONE = auto()


class Session:
    """One MQTT session after the other. `random(n)`: n random bytes; `known`: id and digest of earlier commands;
    `first`: lowest row that cannot have gone out before this start, None while the store does not know."""

    def __init__(
        self,
        config: LinkConfig,
        boot: str,
        random: Callable[[int], bytes],
        windows: Iterable[tuple[str, Window]] = (),
        known: Iterable[tuple[str, str]] = (),
        first: int | None = None,
    ) -> None:
        self._config = config
        self._boot = boot
        self._sender = upward.Sender(config.device, config.fleet, jws.signer(config.seed))
        self._relayed = Relayed()
        self._inbound = Inbound(config, boot, windows, known, random, self._relayed.room)
        self._rows = Rows(config, self._sender)
        self._random = random
        self._comeback = Comeback(config.backoff_floor_ns, config.backoff_cap_ns, config.brokers, random)
        self._block = upward.Block(config.settings.batch_s or config.block_s)
        self._trial = False  # a configuration is on probation: control wants to hear of the service
        self._phase = _Phase.NEW
        self._detail = "not connected yet"
        self._due_ns = 0  # WAITING: connect then; CONNECTING: give up then
        self._up_ns = 0
        self._profile: mail.Profile | None = None
        self._sample: mail.Sample | None = None
        self._presence = Presence(config, boot, self._sender, random)
        self._time = Timekeeper(self._presence, self._inbound, first)
        self._clock = self._time.clock
        self._asked_until_ns = -1
        self._telling = Telling()
        self._counters = self._telling.counters
        self._wake_ns: int | None = None
        self._stop_ns: int | None = None  # stopping: no later than then
        self._block_pending = False
        self._farewell = False

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        """Every event of this part; anything unknown is ignored."""
        out: list[Effect] = []
        if self._phase is _Phase.DONE:
            return out
        match event:
            case part.MqttMessage():
                self._message(event, now, out)
            case mail.Sample():
                self._sampled(event, now, out)
            case mail.Profile():
                self._profile = event
                self._presence.changed()
            case mail.LinkSettings():
                self._settle(event, out)
            case _ if not self._from_store(event, now, out):
                self._connection(event, now, out)
        if out or not self._telling_later(event, now):
            self._pump(now, out)
        return out

    def _telling_later(self, event: object, now: Now) -> bool:
        """A message that moved nothing, and a wake-up that will tell of it is set: a flood costs no more than this."""
        due_ns = self._inbound.lot.due_ns
        if self._wake_ns is None or (due_ns is not None and due_ns < self._wake_ns):
            return False
        return now.mono_ns < self._wake_ns <= self._telling.next_ns and isinstance(event, part.MqttMessage)

    # --- what is due, whatever happened ------------------------------------------------------------------------------
    def _pump(self, now: Now, out: list[Effect]) -> None:
        if self._phase is _Phase.WAITING and self._stop_ns is None and now.mono_ns >= self._due_ns:
            self._connect(now, out)
        elif self._phase is _Phase.CONNECTING and now.mono_ns >= self._due_ns:
            out.append(MqttDisconnect())
            self._went_down("no answer from the broker", now, out)
        if self._phase is _Phase.UP:
            self._present(now, out)
        again_ns = self._inbound.lasting.again_ns(self._clock)
        if again_ns is not None and now.mono_ns >= again_ns:
            for each in self._inbound.again(self._clock, now.mono_ns):
                self._judged(each, now, out)
        for got, token in self._inbound.drawn(self._clock, self._time.fresh, now.mono_ns):
            self._heard(got, token, now, out)
        self._publish_rows(now, out)
        if self._stop_ns is not None:
            self._stop_step(now, out)
        self._tell(now, out)
        self._ask_wake(out)

    def _publish_rows(self, now: Now, out: list[Effect]) -> None:
        done = self._rows.due(now.mono_ns, self._stop_ns is not None, out)
        if done is not None:
            said = ack(done.command, "completed", None, now.wall_ms, f"{done.sent} rows were sent again")
            out.append(self._append(said, now))

    def _append(self, record: Record, now: Now) -> Post:
        return Post("store", mail.Append((record,), self._kept_clock(now), now.mono_ns // 1_000_000))

    def _ask_wake(self, out: list[Effect]) -> None:
        times = [self._rows.wake_ns, self._stop_ns]
        if self._phase in (_Phase.WAITING, _Phase.CONNECTING):
            times.append(self._due_ns)
        if self._phase is _Phase.UP:
            times.append(self._presence.wake_ns)
        times += [self._telling.wake_ns, self._inbound.lasting.again_ns(self._clock), self._inbound.lot.due_ns]
        due = min((at for at in times if at is not None), default=None)
        if self._phase is not _Phase.DONE and due is not None and due != self._wake_ns:
            self._wake_ns = due
            out.append(WakeAt(due))

    def _tell(self, now: Now, out: list[Effect]) -> None:
        fresh = self._time.fresh and self._clock.known
        state = (self._phase is _Phase.UP, self._detail, fresh, self._rows.outbox.unsent)
        out.extend(self._telling.tell(*state, self._clock, now))

    # --- the connection ----------------------------------------------------------------------------------------------
    def _connection(self, event: object, now: Now, out: list[Effect]) -> None:
        match event:
            case part.MqttAcked():
                for token in event.tokens:
                    self._acked(token, now)
            case part.MqttUp():
                self._went_up(now, out)
            case part.MqttDown():
                self._went_down(event.reason, now, out, event.taken)
            case part.Start():
                self._phase = _Phase.WAITING
                self._due_ns = now.mono_ns
                self._rotated(now, out)
                self._begun_with(now, out)
            case part.Stop():
                self._stopping(now, out)
            case part.Wake():
                self._wake_ns = None

    def _begun_with(self, now: Now, out: list[Effect]) -> None:
        """A revocation may have come by file while nobody ran: it ends what it would have ended over the link."""
        anchor = self._config.anchor
        if anchor is not None and anchor.bundle.revoked:
            out.append(Post("control", mail.KeysRevoked(anchor.bundle.revoked)))
            self._end_work(anchor.bundle.revoked, anchor.bundle.version, now, out)

    def _end_work(self, revoked: Iterable[str], version: int, now: Now, out: list[Effect]) -> None:
        kids = self._inbound.unended(revoked)
        if kids:
            out.append(Log("warning", f"link: dispatch ends, since {', '.join(kids)} is revoked"))
            out.append(Post("control", stop_for(kids, version, now.wall_ms, self._random(16))))

    def _rotated(self, now: Now, out: list[Effect]) -> None:
        """Another key signs for this home since the last start: an event, once."""
        if self._config.rotations:
            kid = self._sender.signer.kid
            state = self._inbound.rotated(kid)
            if state is not None:
                event = {"event": "rotate", "kid": kid, "rotation": self._config.rotations[-1]}
                out.extend(self._relayed.noted(state, event, self._kept_clock(now), now))

    def _connect(self, now: Now, out: list[Effect]) -> None:
        self._phase = _Phase.CONNECTING
        self._due_ns = now.mono_ns + CONNECT_NS
        will = self._presence.state("lost")
        out.append(MqttConnect(self._comeback.broker, self._config.device, will.topic, will.payload))

    def _went_up(self, now: Now, out: list[Effect]) -> None:
        if self._phase not in (_Phase.CONNECTING, _Phase.WAITING):
            return
        self._phase = _Phase.UP
        self._up_ns = now.mono_ns
        self._detail = "connected"
        self._rows.connected()
        topics = [(f"{self._config.root}/down/#", 1)]
        topics += [(self._config.group_topic(group), 1) for group in self._inbound.groups]
        out.append(MqttSubscribe(tuple(topics)))
        out.append(self._presence.state("ready"))
        out.append(Log("info", "link: connected to the broker"))
        first = self._presence.born_ns is None
        self._presence.connected(now.mono_ns if first else self._comeback.birth_ns(now.mono_ns))

    def _went_down(self, reason: str, now: Now, out: list[Effect], taken: bool = False) -> None:
        if self._phase not in (_Phase.CONNECTING, _Phase.UP):
            return
        lasted_ns = now.mono_ns - self._up_ns if self._phase is _Phase.UP else None
        if lasted_ns is not None:
            self._rows.disconnected()
        if lasted_ns is not None or self._detail != reason:
            out.append(Log("warning", f"link: {reason}"))
        self._phase = _Phase.WAITING
        self._detail = reason
        self._due_ns = self._comeback.ended(lasted_ns, now.mono_ns, taken)
        self._suspect(now, out)

    def _suspect(self, now: Now, out: list[Effect]) -> None:
        seen = self._comeback.suspicion(now.mono_ns)
        if seen is not None:
            text = "another gateway seems to use this home's keys and name: was its disk copied?"
            out.append(Log("warning", f"link: {text} ({seen['evidence']})"))
            out.append(self._append(Record("event", seen), now))

    def _present(self, now: Now, out: list[Effect]) -> None:
        """Birth at connect and when the home's profile changed; live at connect."""
        if self._presence.birth_due(now.mono_ns):
            first, last = self._rows.outbox.span
            facts: dict[str, object] = {"trust_version": self._inbound.trust.version}
            if self._config.rotations:
                facts["rotations"] = list(self._config.rotations)
            facts |= {"outbox": {"first": first, "last": last}} | dict(self._profile.body if self._profile else {})
            self._presence.birth(facts, self._stamp(now), now, out)
        self._presence.first_live(self._sample, now, out)

    def _stamp(self, now: Now) -> upward.Stamp:
        wall_ms = self._clock.read(now.mono_ns) if self._clock.known else None
        trust = "synced" if self._time.fresh else str(self._clock.trust)
        return upward.Stamp(self._boot, now.wall_ms if wall_ms is None else wall_ms, now.mono_ns // 1_000_000, trust)

    # --- from control and store --------------------------------------------------------------------------------------
    def _sampled(self, sample: mail.Sample, now: Now, out: list[Effect]) -> None:
        if self._stop_ns is not None:
            return
        self._sample = sample
        self._clock.kernel(sample.clock, sample.mono_ms * 1_000_000)
        if self._clock.apart:
            self._contradicted(now, out)
        self._time.look(now.mono_ns)
        warning = self._inbound.warning(sample.clock.wall_ms) if self._clock.known else None
        if warning is not None:
            out.append(Log("warning", f"link: {warning.sentence}"))
            out.extend(self._relayed.noted(warning.state, warning.event, self._kept_clock(now), now))
        if self._block.breaks(sample):
            self._close_block(out)
        if self._block.add(sample):
            self._close_block(out)
        asked = sample.dispatched or now.mono_ns <= self._asked_until_ns
        if asked and self._phase is _Phase.UP:
            self._presence.live(sample, now, out)

    def _close_block(self, out: list[Effect]) -> bool:
        closed = self._block.close(self._counters)
        if closed is not None:
            out.append(Post("store", closed))
        return closed is not None

    def _from_store(self, event: object, now: Now, out: list[Effect]) -> bool:
        """Whether it was one of the store's."""
        match event:
            case mail.Stored():
                if self._rows.stored(event):
                    self._block_pending = False
            case mail.TrustStored():
                out.extend(self._relayed.stored(event))
            case mail.Backlog():
                self._rows.loaded(event)
            case mail.Anchored():
                self._rows.anchored(event)
                if event.shift:
                    self._presence.changed()
                    self._outdated(self._time.late_ms(now.mono_ns), out)
            case mail.Resending():
                self._rows.asked(event)
            case _:
                return False
        return True

    # --- from the broker ---------------------------------------------------------------------------------------------
    def _acked(self, token: int, now: Now) -> None:
        if token == STOPPED_TOKEN and self._stop_ns is not None:
            self._stop_ns = now.mono_ns
        self._rows.acked(token, now.mono_ns)

    def _message(self, message: part.MqttMessage, now: Now, out: list[Effect]) -> None:
        got = self._inbound.receive(
            message.topic, message.payload, message.retain, self._clock, self._time.fresh, now.mono_ns
        )
        self._heard(got, message.payload, now, out)

    def _heard(self, got: Heard, token: bytes, now: Now, out: list[Effect]) -> None:
        if self._trial and isinstance(got, Time | Receipt):
            out.append(Post("control", mail.ServiceHeard()))
        if isinstance(got, Refusal | mail.Document | Changed):
            self._judged(got, now, out)
        elif isinstance(got, CommandIn):
            if self._stop_ns is None:
                out.append(Post("control", got))
        elif isinstance(got, Resend):
            self._resend(got, now, out)
        elif isinstance(got, Receipt):
            told, heard = self._rows.receipted(got, token, now.mono_ns)
            out.append(Post("store", told))
            if not heard:
                self._refuse(Refusal("flood", "more receipts over the chain an hour than this home keeps"), now, out)
        elif isinstance(got, Spoken):
            out.extend(self._relayed.spoken(got, self._kept_clock(now), now))
        elif got is not None:
            self._timed(got, now, out)

    def _judged(self, got: Refusal | mail.Document | Changed, now: Now, out: list[Effect]) -> None:
        """What may also be looked at later than it came."""
        if isinstance(got, Refusal):
            self._refuse(got, now, out)
        elif isinstance(got, Changed):
            self._retrusted(got, now, out)
        else:
            out.append(Post("control", got))

    def _settle(self, told: mail.LinkSettings, out: list[Effect]) -> None:
        """What the operator set of the link. A group that was left is not heard, and subscribed until we reconnect."""
        self._join(told.groups, out)
        before = self._inbound.documents.floors
        self._inbound.documents.floors = dict(told.floors)
        lapsed = any(told.floors.get(kind, (0, ""))[0] < known for kind, (known, _) in before.items())
        if lapsed and self._phase is _Phase.UP:  # the broker tells anew what it keeps
            out.append(MqttSubscribe(((f"{self._config.root}/down/#", 1),)))
        self._trial = told.trial
        self._block.samples = told.batch_s or self._config.block_s
        self._presence.every(told.live_s)

    def _join(self, groups: tuple[str, ...] | None, out: list[Effect]) -> None:
        before = self._inbound.groups
        self._inbound.join(groups)
        new = [(self._config.group_topic(group), 1) for group in self._inbound.groups if group not in before]
        if new and self._phase is _Phase.UP:
            out.append(MqttSubscribe(tuple(new)))

    def _retrusted(self, changed: Changed, now: Now, out: list[Effect]) -> None:
        """In force at once: a revocation waits for no disk. What a revoked key has begun ends."""
        out.append(Log("info", f"link: {changed.sentence}"))
        out.extend(self._relayed.changed(changed, self._kept_clock(now), now))
        self._join(self._inbound.asked, out)
        if changed.gone:
            out.append(Post("control", mail.KeysRevoked(changed.gone)))
        self._end_work(changed.revoked, changed.trust.version, now, out)
        self._time.retrusted(changed.trust.keys)
        self._presence.changed()

    def _resend(self, got: Resend, now: Now, out: list[Effect]) -> None:
        if self._rows.full or self._stop_ns is not None:
            self._refuse(Refusal("flood", "more resends than this home answers"), now, out)
            return
        asked = mail.Resend(got.id, got.first, got.last, self._kept_clock(now), now.mono_ns // 1_000_000)
        out.append(Post("store", asked))

    def _kept_clock(self, now: Now) -> Clock:
        return Clock(now.wall_ms, self._clock.trust, "kernel", self._boot)

    def _timed(self, time: Time, now: Now, out: list[Effect]) -> None:
        self._asked_until_ns = now.mono_ns + time.live_s * S if time.live_s else -1
        if not self._time.heard(time, now.mono_ns):
            self._refuse(Refusal("clock_conflict", "a signed time contradicts what is known of the time"), now, out)
            self._contradicted(now, out, time.wall_ms)
            return
        if not self._clock.known:
            return
        for waited in self._inbound.lasting.timely(self._clock, now.mono_ns):
            self._judged(waited, now, out)
        if not self._time.fresh:
            self._time.fresh = True
            self._tell(now, out)  # the clock goes ahead of the permission that rests on it
            after_ms = self._outdated(self._time.after_ms(time), out)
            out.append(Post("control", FreshTime()))
            out.append(Post("store", mail.Anchor(time.last, after_ms)))
            out.append(Log("info", "link: the aggregator's signed time echoes this start; dispatch is accepted"))

    def _outdated(self, after_ms: int, out: list[Effect]) -> int:
        if after_ms:
            self._inbound.outdated(after_ms)
            out.append(Post("control", Outdated(after_ms)))
            text = "the aggregator has more of this home than its disk: what that remembers as running ends"
            out.append(Log("error", f"link: {text}, and what was signed up to {after_ms} is not taken"))
        return after_ms

    def _contradicted(self, now: Now, out: list[Effect], signed_ms: int | None = None) -> None:
        event = self._time.contradiction(now, signed_ms)
        if event is not None:
            text = "the signed time contradicts what is known of the time: nothing that rests on it is taken"
            facts = f"signed {event['signed_ms']}, this gateway's clock {event['gateway_ms']}, UTC ms"
            out.append(Log("warning", f"link: {text} ({facts})"))
            out.append(self._append(Record("event", event), now))

    def _refuse(self, refusal: Refusal, now: Now, out: list[Effect]) -> None:
        self._telling.refused(refusal.reason, refusal.detail, now, out)
        if refusal.other_ms is not None:
            self._other_boot(refusal.other_ms, now, out)
        if refusal.repeat_of is not None:
            self._repeat_ack(refusal.repeat_of, now, out)

    def _other_boot(self, iat_ms: int, now: Now, out: list[Effect]) -> None:
        now_ms = self._clock.read(now.mono_ns)
        born_ns = self._presence.born_ns
        if self._time.fresh and now_ms is not None and born_ns is not None:
            self._comeback.other(iat_ms, now_ms - (now.mono_ns - born_ns) // 1_000_000)
            self._suspect(now, out)

    def _repeat_ack(self, command: str, now: Now, out: list[Effect]) -> None:
        if self._phase is _Phase.UP:
            self._rows.repeat(command, now.mono_ns, out)

    # --- the clean stop ----------------------------------------------------------------------------------------------
    def _stopping(self, now: Now, out: list[Effect]) -> None:
        if self._stop_ns is None:
            self._stop_ns = now.mono_ns + self._config.stop_ns
            self._block_pending = self._close_block(out)

    def _stop_step(self, now: Now, out: list[Effect]) -> None:
        """Last block to the disk, last rows to the broker, "stopped", and away; within `stop_ns` and a second."""
        assert self._stop_ns is not None
        late = now.mono_ns >= self._stop_ns
        up = self._phase is _Phase.UP
        if not self._farewell and (late or not (self._block_pending or (up and not self._rows.outbox.idle))):
            self._farewell = True
            if up:
                out.append(self._presence.state("stopped"))
                self._stop_ns = now.mono_ns + S
                return
            late = True
        if self._farewell and (late or not up):
            out.append(MqttDisconnect())
            self._phase = _Phase.DONE
            self._detail = "stopped"
            out.append(Post("runtime", part.Stopped("link")))
