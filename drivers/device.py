"""One device on its port: find out who it is, poll it, turn replies into readings with their ages.

Sans-IO. The bus asks what is due, sends it, and hands back how it ended. A device that stops answering goes into a
back-off slot; whatever broke the thread of its answers (silence, a reopened line, a scale factor that changed) is
followed by a new identification before anything may be written to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from drivers import identify
from drivers.assemble import Assembler
from drivers.binding import Binding, DeviceSpec
from drivers.dialects import DIALECTS
from drivers.events import BusEffect, DeviceStatus, Emit, Identity, Presence
from drivers.foreign import Foreign
from drivers.identify import difference, name_of
from drivers.keeper import Keeper
from drivers.layout import Layout
from drivers.plan import BITS_PER_REGISTER, Reach
from drivers.poll import STRIKES, Poll, Polls
from drivers.port import EXCEPTIONS, Fate, Outcome, Port, Request

__all__ = ["Binding", "Device", "DeviceSpec", "Poll"]

S = 1_000_000_000
MISSES = 3  # timeouts in a row after which a device counts as silent
REPROBE_NS = 60 * S
REPROBE_AGES_NS = 10 * S  # the same for what the age of the reading hangs on
NOT_HERE = (1, 2, 3)  # exceptions that say "never"; the others say "not now"
BOOTING_NS = 2 * S
BOOTING_TRIES = 15  # identifications that a "not now" may put off
BACKOFF_MIN_NS = S // 2
BACKOFF_MAX_NS = 8 * S
PROBE_MIN_NS = 50_000_000
WRONG_FIRST_NS, WRONG_DEVICE_NS = S, 10 * S  # when another device is asked again: soon, then ever more seldom


@dataclass(slots=True, eq=False)
class Ask:
    """One request of an identification."""

    device: Device
    request: Request
    due_ns: int
    tries: int = 0


class Device:
    """State of one device."""

    def __init__(self, spec: DeviceSpec, port: Port, cap: int) -> None:
        self.spec = spec
        self.binding: Binding | None = None
        self.polls: list[Poll] = []
        self.ask: Ask | None = None
        self.presence = Presence.ABSENT
        self._port = port
        self._dialect = DIALECTS.get(spec.profile.dialect)
        profile = spec.profile
        registers = min(cap, profile.max_registers) if self._dialect is None else self._dialect.words
        bits = min(cap * BITS_PER_REGISTER, profile.max_bits)
        self.reach = Reach(registers, bits, profile.max_gap, profile.holes)
        for unit in (spec.unit, *dict(profile.units).values(), *spec.units.values()):
            port.pace(unit, profile.period_ns)
        self._pinned = spec.pinned
        self._steps: identify.Steps | None = None
        self._wrong_ns = WRONG_FIRST_NS
        self._backoff_ns = BACKOFF_MIN_NS
        self._misses = 0
        self._heard_ns = 0
        self._put_off = 0
        self._detail = ""
        self._line = ""  # what is wrong with the line itself
        self._identity: Identity | None = None
        self._values: list[int | None] = []
        self._told_ns = 0  # when the last reading went out
        self._assembler: Assembler | None = None
        self._maker: Polls | None = None
        self._battery_polls: tuple[Poll, ...] = ()
        self._grid_polls: tuple[Poll, ...] = ()
        self.keeper = Keeper(spec.name, spec.memory)
        self.foreign = Foreign(spec.unit)

    @property
    def writable(self) -> bool:
        """Identified, and as commissioned."""
        return self.presence is Presence.OK

    # --- the line -----------------------------------------------------------------------------------------------------
    def opened(self, now_ns: int, out: list[BusEffect]) -> None:
        """The line is open: ask who is there."""
        self._backoff_ns = BACKOFF_MIN_NS
        self._begin(now_ns, self.spec.profile.response_ns)
        self._status(Presence.IDENTIFYING, f"asking unit {self.spec.unit} who it is", now_ns, out)

    def lost(self, now_ns: int, reason: str, out: list[BusEffect]) -> None:
        """The line is gone."""
        self._forget()
        self._status(Presence.ABSENT, f"its line is gone: {reason}", now_ns, out)

    def on_line(self, trouble: str, now_ns: int, out: list[BusEffect]) -> None:
        """Another master was heard on the line, or (empty) none for long enough."""
        self._line = trouble
        self._tell(now_ns, out)

    def adopt(self, now_ns: int, out: list[BusEffect]) -> None:
        """Who answers now is who was meant."""
        if self._identity is None or self.binding is None:
            return
        self._pinned = self._identity
        self._settle(now_ns, out)

    # --- identification -----------------------------------------------------------------------------------------------
    def _begin(self, at_ns: int, response_ns: int) -> None:
        self._forget()
        self._ask_again(at_ns, response_ns)

    def _ask_again(self, at_ns: int, response_ns: int) -> None:
        """Identify from `at_ns` on, beside whatever is polled."""
        self._steps = identify.steps(self.spec, self._port, self.reach)
        request = next(self._steps, None)
        if request is not None:
            self.ask = Ask(self, replace(request, response_ns=min(response_ns, request.response_ns)), at_ns)

    def _forget(self) -> None:
        self.polls = []
        self.ask = None
        self._steps = None
        self._misses = 0

    def _next_step(self, reply: identify.Reply, at_ns: int, out: list[BusEffect]) -> None:
        if self._steps is None:
            return
        try:
            self.ask = Ask(self, self._steps.send(reply), at_ns)
        except StopIteration as end:
            self._identified(end.value, at_ns, out)

    def _identified(self, found: Binding | str, at_ns: int, out: list[BusEffect]) -> None:
        self._backoff_ns = BACKOFF_MIN_NS
        self._put_off = 0
        if isinstance(found, str):
            self.binding = None
            self._begin(self._later(at_ns), self.spec.profile.response_ns)
            self._status(Presence.MISMATCH, found, at_ns, out)
            return
        self.ask = None
        self._steps = None
        self.binding = found
        self._identity = found.identity
        self._build(found, at_ns)
        self._settle(at_ns, out)

    def _settle(self, at_ns: int, out: list[BusEffect]) -> None:
        """OK or MISMATCH, by who was commissioned. Without a pin, the first that answers in this run is it."""
        identity = self._identity
        if identity is None or self.binding is None:
            return
        if self._pinned is None:
            self._pinned = identity
        wrong = difference(self._pinned, identity)
        if wrong is None:
            self.ask = self._steps = None
            self._wrong_ns = WRONG_FIRST_NS
            notes = "; ".join(self.binding.notes)
            self._status(Presence.OK, f"{name_of(identity)}{': ' + notes if notes else ''}", at_ns, out)
        else:  # it may be exchanged again without a moment of silence
            self._ask_again(self._later(at_ns), self.spec.profile.response_ns)
            self._status(
                Presence.MISMATCH,
                f"{name_of(identity)} answers at unit {self.spec.unit}, commissioned was {name_of(self._pinned)} "
                f"({wrong} differs); it is read and never written to; adopt it if it was replaced on purpose",
                at_ns,
                out,
            )

    def _later(self, at_ns: int) -> int:
        """When a device that was not the right one says who it is again: a setpoint may stand on it until then."""
        wait_ns, self._wrong_ns = self._wrong_ns, min(2 * self._wrong_ns, WRONG_DEVICE_NS)
        return at_ns + wait_ns

    # --- polling ------------------------------------------------------------------------------------------------------
    def _build(self, binding: Binding, now_ns: int) -> None:
        layout = Layout(binding)
        self._values = [None] * layout.count
        self._assembler = Assembler(self.spec, binding, layout.slots)
        self._maker = Polls(self, layout, self.reach)
        self._polled(self._maker.all(now_ns))

    def _polled(self, polls: list[Poll]) -> None:
        self.polls = polls
        self._battery_polls = self._polls_of("battery_w")
        self._grid_polls = self._polls_of("grid")

    def read(self, function: int, start: int, length: int, unit: int | None) -> Request:
        """The request for these registers of the device, or of another unit number of it."""
        profile = self.spec.profile
        asked = self.spec.unit if unit is None else unit
        if self._dialect is not None:
            return self._port.ask(self._dialect, asked, function, start, length, profile.response_ns, profile.gap_ns)
        return self._port.read(asked, function, start, length, profile.response_ns, profile.gap_ns)

    def _polls_of(self, name: str) -> tuple[Poll, ...]:
        wanted = set() if self._assembler is None else set(self._assembler.slots_of(name))
        return tuple(poll for poll in self.polls if wanted & set(poll.decoder.slots))

    def touch(self, now_ns: int) -> None:
        """Something was written: what it changes is read again at once."""
        for poll in self.polls:
            if poll.block.after_write:
                poll.due_ns = min(poll.due_ns, now_ns)
                poll.touched = True

    # --- how a transaction ended --------------------------------------------------------------------------------------
    def ended(self, job: Poll | Ask, outcome: Outcome, out: list[BusEffect]) -> None:
        """A poll or a question has its answer, or will never have one. Retries after garble are the bus' affair."""
        if outcome.fate is Fate.DATA or outcome.fate is Fate.EXCEPTION:
            self.heard(outcome.at_ns)
        if isinstance(job, Ask):
            if job is self.ask:
                self._ask_ended(job, outcome, out)
        elif job in self.polls:  # else it is of before the identification that has begun since
            self._poll_ended(job, outcome, out)

    def _poll_ended(self, poll: Poll, outcome: Outcome, out: list[BusEffect]) -> None:
        if outcome.fate is Fate.DATA:
            self._poll_data(poll, outcome, out)
            return
        if outcome.fate is Fate.EXCEPTION:
            self._poll_refused(poll, outcome, outcome.at_ns, out)
        else:
            self.missed(outcome.at_ns, out)
        if poll.emits and self.polls:
            self._emit(outcome.at_ns, out)

    def heard(self, now_ns: int) -> None:
        """A valid answer came, be it a refusal."""
        self._misses = 0
        self._heard_ns = now_ns

    def missed(self, now_ns: int, out: list[BusEffect], garbled: bool = False) -> None:
        """No valid answer came; the third silence in a row makes the device silent, and so does any trouble that lasts
        longer than its readings live: somebody else may stand there by then."""
        self._misses += not garbled
        if self._misses >= MISSES or now_ns - self._heard_ns > self.spec.profile.stale_s * S:
            self._silent(now_ns, out)

    def _silent(self, now_ns: int, out: list[BusEffect]) -> None:
        probe_ns = max(PROBE_MIN_NS, self._backoff_ns // 8)  # a dead device takes an eighth of the bus at most
        self._begin(now_ns + self._backoff_ns, probe_ns)
        self._backoff_ns = min(2 * self._backoff_ns, BACKOFF_MAX_NS)
        self._status(
            Presence.SILENT,
            f"unit {self.spec.unit} does not answer; check its power, wiring, unit number and baud rate",
            now_ns,
            out,
        )

    def _ask_ended(self, ask: Ask, outcome: Outcome, out: list[BusEffect]) -> None:
        if outcome.fate is Fate.EXCEPTION and outcome.code not in NOT_HERE and self._put_off < BOOTING_TRIES:
            self._put_off += 1
            why = EXCEPTIONS.get(outcome.code, f"exception {outcome.code}")
            self._begin(outcome.at_ns + BOOTING_NS, self.spec.profile.response_ns)
            self._status(Presence.IDENTIFYING, f"unit {self.spec.unit} is not ready: {why}", outcome.at_ns, out)
            return
        if outcome.fate is Fate.DATA or outcome.fate is Fate.EXCEPTION:
            reply: identify.Reply = outcome.data if outcome.fate is Fate.DATA else outcome.code
            if self.presence is Presence.SILENT:
                self._status(Presence.IDENTIFYING, f"unit {self.spec.unit} answers again", outcome.at_ns, out)
            self._next_step(reply, outcome.at_ns, out)
            return
        ask.tries += 1
        if self.presence is Presence.SILENT or ask.tries >= MISSES:
            self._silent(outcome.at_ns, out)
        else:
            ask.due_ns = outcome.at_ns

    def _poll_data(self, poll: Poll, outcome: Outcome, out: list[BusEffect]) -> None:
        at_ns = outcome.at_ns
        values = self._values
        poll.take(outcome.data, at_ns, values)
        self.foreign.read(poll.request, outcome.data)
        if poll.strikes:
            if poll.dropped and poll.part and self.binding is not None:
                self._build(self.binding, at_ns)  # what was refused is there now: it may be read with the rest
                return
            poll.strikes, poll.dropped = 0, False
        for slot, raw in poll.checks:
            if values[slot] != raw:
                self._changed(raw, values[slot], at_ns, out)
                return
        if poll.checks:
            for other in self.polls:
                if other.held:
                    other.confirm(poll.checks, values)
        if poll.touched:
            poll.touched = False
            self._emit(at_ns, out)
        elif poll.emits:
            told_ns = self._told_ns
            for other in self.polls:
                if other.emits and other.due_ns <= at_ns and other.read_ns <= told_ns and not other.dropped:
                    return  # the rest of this round is on its way
            self._emit(at_ns, out)

    def _poll_refused(self, poll: Poll, outcome: Outcome, now_ns: int, out: list[BusEffect]) -> None:
        poll.clear(self._values)
        poll.held.clear()
        if outcome.code not in NOT_HERE:
            return
        poll.strikes += 1
        if poll.strikes >= STRIKES:
            poll.due_ns = now_ns + (REPROBE_AGES_NS if poll.block.ages else REPROBE_NS)
        if poll.strikes == STRIKES:
            parts = [] if poll.at_ns or self._maker is None else self._maker.parts(poll, now_ns)
            if parts:  # one value that this device does not have must not take the others with it
                self._polled([other for other in self.polls if other is not poll] + parts)
                return
            poll.dropped = True
            why = EXCEPTIONS.get(outcome.code, f"exception {outcome.code}")
            self._status(
                self.presence, f"{self._detail}; it refuses register {poll.request.address}: {why}", now_ns, out
            )

    def _changed(self, was: int, now: int | None, at_ns: int, out: list[BusEffect]) -> None:
        """A scale factor or rating is not what it was: nothing is known until the device was identified anew."""
        self._values = [None] * len(self._values)
        self._emit(at_ns, out)
        self._begin(at_ns, self.spec.profile.response_ns)
        detail = f"a scale factor or rating changed from {was} to {now}: nothing is known until it was read anew"
        self._status(Presence.IDENTIFYING, detail, at_ns, out)

    def _emit(self, now_ns: int, out: list[BusEffect]) -> None:
        oldest = now_ns
        for poll in self.polls:
            if poll.dropped:
                continue
            if now_ns - poll.at_ns > poll.block.stale_ns:
                poll.clear(self._values)
            if poll.block.ages:
                if not poll.at_ns and not poll.strikes:
                    return  # not all of it was read yet
                oldest = min(oldest, poll.at_ns or now_ns)
        self._told_ns = now_ns
        if self._assembler is not None:
            self._assembler.foreign = self.foreign.names
            battery, grid = _age(self._battery_polls), _age(self._grid_polls)
            out.append(Emit(self._assembler.reading(self._values, oldest, battery, grid)))

    def _status(self, presence: Presence, detail: str, at_ns: int, out: list[BusEffect]) -> None:
        if presence is self.presence and detail == self._detail:
            return
        self.presence, self._detail = presence, detail
        self._tell(at_ns, out)

    def _tell(self, at_ns: int, out: list[BusEffect]) -> None:
        presence = self.presence
        bound = self.binding if presence in (Presence.OK, Presence.MISMATCH) else None
        out.append(
            Emit(
                DeviceStatus(
                    device=self.spec.name,
                    role=self.spec.role,
                    presence=presence,
                    at_ns=at_ns,
                    detail=self._detail,
                    identity=self._identity,
                    capability=None if bound is None else bound.capability,
                    binding=bound if presence is Presence.OK else None,
                    line=self._line,
                )
            )
        )


def _age(polls: tuple[Poll, ...]) -> int:
    return min((poll.at_ns for poll in polls), default=0)
