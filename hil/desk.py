"""The aggregator's desk in a scenario: signs what the verbs ask for, and answers what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from agent.runtime.part import Now
from hil.aggregator.aggregator import Aggregator, Publish, Signed, Verdict
from hil.aggregator.book import Ack, DeviceBook
from hil.aggregator.claims import ROOT
from hil.aggregator.forge import forge
from hil.bundles import DAY_MS
from hil.ceremony import Ceremony
from hil.expr import Value

T = TypeVar("T")


class Bureau(Protocol):
    """An aggregator that can be driven: live or in virtual time."""

    def build(self, build: Callable[[Aggregator, Now], T]) -> T:
        """Look or sign while nobody else does."""
        ...

    def publish(self, message: Publish) -> object:
        """Send."""
        ...


class Desk:
    """Labels are the ids of the scenario's events. `take_over` ends the device's session, as a thief of its id does."""

    def __init__(
        self, bureau: Bureau, device: str, take_over: Callable[[Callable[[], None]], None], ceremony: Ceremony | None
    ) -> None:
        self._ceremony = ceremony
        self._bureau = bureau
        self._device = device
        self._take_over = take_over
        self._labels: dict[str, Signed] = {}
        self._last: Signed | None = None

    def do(self, op: str, label: str, args: Mapping[str, Value]) -> None:
        """One verb of the family `aggregator`."""
        if op == "attack":
            self._attack(str(args["way"]), int(args["power_w"] or 0))
            return
        if op == "flood":
            self._flood(int(args["count"] or 0))
            return
        if op == "trust":
            self._trust(int(args["life"] or 0))
            return
        if op == "silent":
            self._bureau.build(lambda aggregator, now: setattr(aggregator, "answer_births", not args["on"]))
            return
        if op == "homeowner":
            self._bureau.publish(self._bureau.build(lambda aggregator, now: self._home(aggregator, now, args)))
            return
        signed = self._bureau.build(lambda aggregator, now: self._build(aggregator, now, op, args))
        self._labels[label] = signed
        if op == "dispatch":
            self._last = signed
        self._bureau.publish(signed.publish)

    def label_of(self, command_id: str) -> str:
        """The scenario's name for a command, or its id."""
        return next((label for label, signed in self._labels.items() if signed.id == command_id), command_id)

    # --- functions of the scenario language --------------------------------------------------------------------------
    def functions(self) -> dict[str, Callable[..., Any]]:
        """acks, ack_state, ack_reason, ack_energy."""
        return {
            "acks": self._count,
            "ack_state": self._state,
            "ack_reason": self._reason,
            "ack_energy": self._energy,
        }

    def _acks(self, label: str) -> list[Ack]:
        signed = self._labels.get(label)
        if signed is None:
            return []
        return self._bureau.build(lambda a, now: list(a.books[self._device].acks.get(signed.id, ())))

    def _count(self, label: str, state: str) -> int:
        return sum(ack.state == state for ack in self._acks(label))

    def _state(self, label: str) -> str:
        acks = self._acks(label)
        return acks[-1].state if acks else ""

    def _reason(self, label: str, state: str) -> str:
        return next((ack.reason or "" for ack in self._acks(label) if ack.state == state), "")

    def _energy(self, label: str) -> int | None:
        acks = self._acks(label)
        energy = acks[-1].claims.get("energy_wh") if acks else None
        return energy if isinstance(energy, int) else None

    # --- inside ------------------------------------------------------------------------------------------------------
    def _build(self, aggregator: Aggregator, now: Now, op: str, args: Mapping[str, Value]) -> Signed:
        if op == "cancel":
            target = self._labels.get(str(args["target"]))
            return aggregator.cancel(self._device, target.id if target else "0" * 32, now)
        if op == "stop":
            return aggregator.stop(self._device, now)
        start_in = args.get("start_in")
        return aggregator.dispatch(
            self._device,
            int(args["power_w"] or 0),
            int(args["duration"] or 0),
            now,
            start_ms=None if start_in is None else now.wall_ms + 1000 * int(start_in),
            primacy=int(args["primacy"] or 0),
            ramp=str(args["ramp"]),
        )

    def _home(self, aggregator: Aggregator, now: Now, args: Mapping[str, Value]) -> Publish:
        """What the homeowner signs, relayed."""
        body = {key: value for key, value in args.items() if value is not None}
        key = aggregator.keyring.roles["homeowner"]
        return aggregator.say(self._device, "homeowner", body, now, key, "homeowner", DAY_MS).publish

    def _flood(self, count: int) -> None:
        """Cancels of what was never sent: each signed, valid and of no use, all at once."""
        for _ in range(count):
            signed = self._bureau.build(lambda aggregator, now: aggregator.cancel(self._device, "0" * 32, now))
            self._bureau.publish(signed.publish)

    def _trust(self, life_s: int) -> None:
        """The next bundle, retained, to this home alone."""

        ceremony = self._ceremony
        assert ceremony is not None, "a home of such a run has its bundles from elsewhere"

        def build(aggregator: Aggregator, now: Now) -> Publish:
            data = ceremony.next(now.wall_ms, 1000 * life_s)
            return Publish(f"{ROOT}/{aggregator.keyring.fleet}/{self._device}/down/trust", data, True)

        self._bureau.publish(self._bureau.build(build))

    def _attack(self, way: str, power_w: int) -> None:
        """A command that would work, changed in one way."""

        def build(aggregator: Aggregator, now: Now) -> Publish:
            valid = self._last
            if way != "replayed" or valid is None:
                valid = aggregator.dispatch(self._device, power_w, 300, now)
                del aggregator.sent[valid.id]  # it is never sent
            forged = forge(way, valid, aggregator.keyring)
            return Publish(forged.topic, forged.payload, forged.retain)

        message = self._bureau.build(build)
        if message.retain:  # a broker clears the flag for who is subscribed: it must wait for the device to come back
            self._take_over(lambda: self._publish(message))
        else:
            self._bureau.publish(message)

    def _publish(self, message: Publish) -> None:
        self._bureau.publish(message)


def aggregator_signals(aggregator: Aggregator, device: str) -> dict[str, Value]:
    """The `agg.*` signals."""
    book: DeviceBook = aggregator.books[device]
    verified = book.verified
    return {
        "agg.verified": sum(verified.values()),
        "agg.bad": aggregator.refused_count,
        "agg.expired": aggregator.expired_count,
        "agg.births": verified.get("birth", 0),
        "agg.lives": verified.get("live", 0),
        "agg.batches": len(book.batches),
        "agg.counted": len(book.ledger),
        "agg.duplicates": book.ledger.duplicates,
        "agg.conflicts": len(book.ledger.conflicts),
        "agg.flaws": len(book.chain.findings) - book.chain.losses,
        "agg.unlinked": len(book.chain.missing()),
        "agg.missing": len(book.ledger.missing()),
        "agg.highest": book.ledger.highest,
        "agg.session": book.presence is not None and book.presence.get("state") == "ready",
    }


def uplink_fields(verdict: Verdict) -> dict[str, Value]:
    """A record of the stream `uplink`: one verified message."""
    heard = verdict.message
    assert heard is not None, "only verified messages are records"
    duplicate = verdict.fate is not None and verdict.fate.value == "duplicate"
    return {"kind": heard.kind, "seq": heard.seq, "duplicate": duplicate}


def ack_fields(body: Mapping[str, Any], desk: Desk, t0_ns: int) -> dict[str, Value]:
    """A record of the stream `ack`, with the scenario's own name for the command; `made_s`: scenario time at which the
    agent asked for its commit, by its own stamp. `t0_ns`: the agent's monotonic clock at scenario time 0."""
    fields = {key: body.get(key) for key in ("state", "reason", "asked_w", "given_w", "limit_w")}
    made_s = round(body["mono_ms"] / 1e3 - t0_ns / 1e9, 3)
    repeated = str(body.get("sentence", "")).startswith("repeated")
    return {"command": desk.label_of(body["command_id"]), **fields, "made_s": made_s, "repeated": repeated}


def local_fields(verb: str, permille: Value, told: Mapping[str, Any]) -> dict[str, Value]:
    """A record of the stream `local`: what somebody at the gateway was answered. `code`: batteryctl's exit
    code, 0 = done. `told_permille`: the reserve that he
    was told is in force now, None = nothing of it."""
    percent = (told.get("body") or {}).get("reserve_pct")
    told_permille = round(percent * 10) if isinstance(percent, int | float) else None
    return {"verb": verb, "permille": permille, "code": told.get("code"), "told_permille": told_permille}
