"""The one release: CLEAR until the inverter reads back that it is its own again, or the time is up.

Used by the clean stop and by `batteryd --release` after a crash. Handing control back is allowed in every state of the
grid; an inverter that is released already is not written to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.core.decision import Intent, Write
from agent.core.params import S
from agent.gate import Gate
from drivers.device import Binding
from drivers.events import WriteClass, WriteOutcome, WriteResult, WriteSequence
from drivers.readings import InverterReading

TIMEOUT_NS = 10 * S
RETRY_NS = 1 * S


class Releases:
    """One release for each inverter of a home, all at once. Ended when each has; confirmed if all are."""

    def __init__(self, gate: Gate, begun_ns: int, names: Sequence[str]) -> None:
        self._each = {name: Release(gate, begun_ns) for name in names}
        self.told = False

    def next(
        self, now_ns: int, inverters: Mapping[str, InverterReading], bindings: Mapping[str, Binding | None]
    ) -> list[tuple[str, WriteSequence]]:
        """The CLEARs to send now, each with the name of its inverter."""
        orders: list[tuple[str, WriteSequence]] = []
        for name, release in self._each.items():
            order = release.next(now_ns, inverters.get(name), bindings.get(name))
            if order is not None:
                orders.append((name, order))
        return orders

    def of(self, name: str) -> Release:
        """The one of that inverter."""
        return self._each[name]

    def result(self, result: WriteResult) -> None:
        """Of any write to any inverter."""
        if result.device in self._each:
            self._each[result.device].result(result)

    @property
    def ended(self) -> bool:
        """None is still at work."""
        return all(release.ended for release in self._each.values())

    @property
    def confirmed(self) -> bool:
        """Every inverter runs in its own mode, by its own word."""
        return all(release.confirmed for release in self._each.values())

    @property
    def sentence(self) -> str:
        """What became of them; by name, where they differ."""
        told = {release.sentence for release in self._each.values()}
        if len(told) == 1 or not self._each:
            return next(iter(told), "there is no inverter to release")
        return "; ".join(f"{name}: {release.sentence}" for name, release in self._each.items())


class Release:
    """Of one inverter. Sans-IO: ask `next` often; feed every write's `result`."""

    def __init__(self, gate: Gate, begun_ns: int) -> None:
        self._gate = gate
        self._begun_ns = begun_ns
        self._sent_ns: int | None = None
        self._waiting = False
        self.ended = False
        self.confirmed = False
        self.told = False
        self.sentence = ""

    def next(self, now_ns: int, inverter: InverterReading | None, binding: Binding | None) -> WriteSequence | None:
        """The CLEAR to send now, if any; sets `ended` and `confirmed`."""
        if self.ended:
            return None
        if self._shows_released(inverter):
            self._end(True, "the inverter is released: it runs in its own mode")
            return None
        if binding is not None and binding.control is None:
            self._end(True, "the inverter is only read: there is nothing to release")
            return None
        if now_ns - self._begun_ns > TIMEOUT_NS:
            self._end(False, "no proof of release in 10 s; the inverter's own timer ends what is left of a setpoint")
            return None
        if binding is None or self._waiting or (self._sent_ns is not None and now_ns - self._sent_ns < RETRY_NS):
            return None
        order = self._gate.compile(Write(Intent.CLEAR, 0, "release"), binding, now_ns)
        if isinstance(order, str):
            self._end(False, f"the release cannot be made: {order}")
            return None
        self._sent_ns, self._waiting = now_ns, True
        return order

    def result(self, result: WriteResult) -> None:
        """Of any write; only CLEARs sent from here matter."""
        if result.write_class is not WriteClass.CLEAR:
            return
        self._waiting = False
        if result.outcome is WriteOutcome.CONFIRMED:
            self._end(True, "the inverter is released: read back as its own")

    def _shows_released(self, inverter: InverterReading | None) -> bool:
        """A reading from after the stop that shows no remote control."""
        return inverter is not None and inverter.at_ns > self._begun_ns and inverter.remote_active is False

    def _end(self, confirmed: bool, sentence: str) -> None:
        self.ended, self.confirmed, self.sentence = True, confirmed, sentence
