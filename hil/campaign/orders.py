"""What the aggregator ordered, and what the home says that it did with it."""

from __future__ import annotations

from collections.abc import Iterator

from hil.expr import Value
from hil.scenario import Event
from hil.signals import Happening

NS = 1_000_000_000
ENDS_S = 5  # what a cancel or a stop named may be told as started or completed so long
EARLY_S = 1  # a clock that was set by a signed time

FORGED, TWICE, CANCELLED, EARLY = "forged message", "started twice", "cancelled", "started early"


class Orders:
    """Of one run. Feed it what is sent and what is acknowledged, in order; `ack` yields (promise, sentence)."""

    def __init__(self) -> None:
        self._sent: set[str] = set()
        self._due_ns: dict[str, int] = {}  # those of a later start: when that is
        self._started: dict[str, int] = {}
        self._called_off: dict[str, int] = {}  # commands that a cancel or a stop named: when it was sent
        self._stepped_by_ns = 0  # the aggregator's too: virtual time has one wall clock
        self._stop_ns = -1 << 62  # the latest date of a stop

    def clock(self, step_ns: int) -> None:
        """The wall clock was moved by so much, or (0) its trust: whatever waits for its start may come at another."""
        self._stepped_by_ns += step_ns
        self._due_ns.clear()

    def sign(self, at_ns: int, event: Event) -> None:
        """The aggregator sends something."""
        if event.verb == "aggregator.cancel":
            self._called_off.setdefault(str(event.args["target"]), at_ns)
        start_in = event.args.get("start_in")
        if event.verb == "aggregator.dispatch" and start_in is not None:
            self._due_ns[event.id] = at_ns + round(_number(start_in) * NS)
        signed_ns = at_ns + self._stepped_by_ns
        if event.verb == "aggregator.stop" and signed_ns > self._stop_ns:  # of stops the latest by its own date counts
            self._stop_ns = signed_ns
            self._called_off = {**dict.fromkeys(self._sent, at_ns), **self._called_off}
        self._sent.add(event.id)

    def unheard(self, at_ns: int) -> None:
        """Nobody hears the aggregator now: what it just called off may not have come."""
        late = at_ns - ENDS_S * NS  # the session was down when it was sent, or soon after
        self._called_off = {name: sent for name, sent in self._called_off.items() if sent < late}

    def ack(self, record: Happening) -> Iterator[tuple[str, str]]:
        """What it breaks."""
        label, state, made_s = str(record.fields["command"]), record.fields["state"], _number(record.fields["made_s"])
        if label not in self._sent:
            yield FORGED, f"command {label}, which nobody sent, was {state}"
        if record.fields["repeated"]:
            return
        sent = self._called_off.get(label)
        if sent is not None and state in ("started", "completed") and made_s > sent / NS + ENDS_S:
            yield CANCELLED, f"{label} was {state} {made_s - sent / NS:.1f} s after it was called off"
        if state != "started":
            return
        due_ns = self._due_ns.get(label)
        if due_ns is not None and made_s < due_ns / NS - EARLY_S:
            yield EARLY, f"{label} was started {due_ns / NS - made_s:.1f} s before its start"
        self._started[label] = self._started.get(label, 0) + 1
        if self._started[label] > 1:
            yield TWICE, f"{label} was started {self._started[label]} times"


def _number(value: Value) -> float:
    assert isinstance(value, int | float), f"a number, not {value!r}"
    return float(value)
