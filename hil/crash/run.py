"""The real daemon on a paced line and a real broker, killed again and again while commands are in flight.

A kill falls into the start, into the milliseconds after a command was sent, or into its run. Then either the service
manager does as the unit says (release, start again), or nobody does anything for a while. Old commands are sent again,
byte for byte, after every start: a recording must not be worth anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hil import scenario, site
from hil.aggregator.aggregator import Signed
from hil.backends.process import ProcessBackend
from hil.crash.story import NS, Order, Said, Sample, Story, setpoints
from hil.stated import stated_end_s

HOME = Path(__file__).with_name("home.toml")
TICK_S = 0.03
GONE_S = 1.0  # a look that takes longer, of some milliseconds: the bench itself was held up, or stopped by a person
RESTART_S = 0.1
CLEAN_AFTER = 3  # kills; a fourth would make a safe boot, and that takes no commands
READY_S = 15.0
DRAIN_S = 30.0
RATED_W = 6_000  # of commands: the home can give all of it, so that each shows its own number of watts
STEP_W = 7
COMMON_W = (0, 1_140)  # what any command may ask for: nothing, and the first second of its ramp from there
DURATIONS = (3, 8, 20, 40)
ACTS_S = 6.0  # from accepted to read back, at most, unless something stands in the way
HELD = 0.4  # share of kills after which nobody releases or starts anything for a while


@dataclass(slots=True)
class Kills:
    """What was done: how many kills, and what they met."""

    done: int = 0
    in_start: int = 0  # before the daemon said that it is ready
    remote: int = 0  # while a setpoint of ours was in force
    unsettled: int = 0  # while a command was accepted and not over
    commands: int = 0
    acted: int = 0
    replays: int = 0
    story: Story = field(default_factory=Story)


class Run:
    """One home, `kills` kills. `step` after each. What it leaves in `directory` is the caller's."""

    def __init__(self, seed: str, directory: Path, step: Callable[[], None] = lambda: None) -> None:
        self._rng = Random(seed)
        self._step = step
        self._backend = ProcessBackend(directory, restart_s=RESTART_S)
        self.kills = Kills()
        self._sent: list[tuple[Signed, Order]] = []
        watts = [w for w in range(-RATED_W, RATED_W, STEP_W) if all(abs(abs(w) - c) > STEP_W for c in COMMON_W)]
        self._powers = self._rng.sample(watts, len(watts))

    def run(self, kills: int) -> Kills:
        """Kill that often, let everything come to an end, and collect what was seen."""
        try:
            home = scenario.load(HOME)
            self.kills.story.stated_end_ns = round(stated_end_s(home.config) * NS)
            self._backend.start(home, self._rng.randrange(1 << 30))
            self._await(self._ready, READY_S)
            for number in range(kills):
                self._one()
                self._step()
                if number % CLEAN_AFTER == CLEAN_AFTER - 1:
                    self._clean_stop()
            self._drain()
            self._collect()
        finally:
            self._backend.finish()
        return self.kills

    # --- one kill ----------------------------------------------------------------------------------------------------
    def _one(self) -> None:
        rng, supervisor = self._rng, self._backend.supervisor
        phase = rng.choices(("start", "accept", "act", "end"), (2, 3, 4, 1))[0]
        if phase == "start":
            self._live(rng.uniform(0.0, 1.2))
        else:
            self._await(self._ready, READY_S)
            for _ in range(rng.choice((0, 1, 3))):
                self._replay()
            self._in_work(phase)
        self._await(lambda: supervisor.pid is not None, READY_S)
        held = rng.random() < HELD
        supervisor.withhold(held)
        self._count()
        supervisor.kill()
        if held:
            late = rng.random() < 0.25
            self._live(rng.uniform(0.0, self._stated_s() + 2.0 if late else 0.5))
            supervisor.withhold(False)

    def _in_work(self, phase: str) -> None:
        """To an instant of that phase of a command's life."""
        rng = self._rng
        if phase == "accept":
            for _ in range(rng.choice((1, 1, 2))):
                self._dispatch(rng.choice(DURATIONS))
            self._live(rng.choice((rng.uniform(0.0, 0.03), rng.uniform(0.0, 0.3))))
            return
        duration_s = rng.choice(DURATIONS) if phase == "act" else 2
        if phase == "end" or not self._open_commands() or rng.random() < 0.3:
            self._dispatch(duration_s)
        self._await(lambda: self._look().remote, ACTS_S)
        self._live(rng.uniform(0.0, 1.5) if phase == "act" else rng.uniform(1.0, 3.0))

    def _count(self) -> None:
        kills, sample = self.kills, self._look()
        kills.done += 1
        kills.in_start += not self._backend.supervisor.notified.ready
        kills.remote += sample.remote
        kills.unsettled += self._open_commands()

    def _open_commands(self) -> bool:
        """A command was accepted, as far as anybody heard, and is not over."""
        return self._backend.live.look(
            lambda a: any(not any(x.terminal for x in acks) for acks in a.books[site.DEVICE].acks.values())
        )

    def _dispatch(self, duration_s: int) -> None:
        rng, power_w = self._rng, self._powers.pop()
        delay_s = rng.choice((0, 0, 0, 2))
        first_ns = time.monotonic_ns()
        signed = self._backend.live.send(
            lambda a, now: a.dispatch(
                site.DEVICE,
                power_w,
                duration_s,
                now,
                start_ms=now.wall_ms + 1000 * delay_s if delay_s else None,
                ramp="urgent",
            )
        )
        order = Order(signed.id, power_w, first_ns, (delay_s + duration_s) * NS)
        self._sent.append((signed, order))
        self.kills.commands += 1

    def _replay(self) -> None:
        """A recording is played: the same bytes once more."""
        if self._sent:
            signed, _ = self._rng.choice(self._sent)
            self._backend.live.publish(signed.publish)
            self.kills.replays += 1

    def _clean_stop(self) -> None:
        """What a person does between crashes; after it the starts are counted from one."""
        self._await(self._ready, READY_S)
        self._backend.supervisor.stop()
        self._look()
        self._backend.supervisor.start()

    # --- looking -----------------------------------------------------------------------------------------------------
    def _ready(self) -> bool:
        return bool(self._backend.signals()["agent.fresh"])

    def _stated_s(self) -> float:
        return self.kills.story.stated_end_ns / NS

    def _look(self) -> Sample:
        began_ns = time.monotonic_ns()
        signals = self._backend.signals()
        story = self.kills.story
        sample = Sample(time.monotonic_ns(), bool(signals["truth.remote"]), bool(signals["proc.alive"]))
        if sample.at_ns - began_ns < GONE_S * NS:  # else nobody knows of which moment it tells
            story.samples.append(sample)
        return sample

    def _live(self, seconds: float) -> None:
        """Time goes by, looked at."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            self._look()
            time.sleep(min(TICK_S, max(0.0, rest)))

    def _await(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """Whether it comes to be so. Time in which the bench was gone is not waited: others may not have gone on."""
        waited, before = 0.0, time.monotonic()
        while not predicate():
            if waited > seconds:
                return False
            self._live(TICK_S)
            now = time.monotonic()
            waited, before = waited + min(GONE_S, now - before), now
        return True

    # --- the end -----------------------------------------------------------------------------------------------------
    def _drain(self) -> None:
        """Nobody kills any more: every command ends, every row arrives."""
        self._await(self._ready, READY_S)
        self._backend.live.send(lambda a, now: a.stop(site.DEVICE, now))
        self._await(lambda: not self._open(), DRAIN_S)
        self._live(self._stated_s() + 1.0)

    def _open(self) -> bool:
        signals = self._backend.signals()
        if signals["agent.unsent"] != 0 or signals["agg.missing"]:
            return True
        return self._open_commands()

    def _collect(self) -> None:
        story, backend = self.kills.story, self._backend
        story.writes = setpoints(
            (record.at_ns + backend.t0_ns, str(record.fields["kind"]), int(str(record.fields["value"])))
            for record in backend.happenings()
            if record.stream == "write" and record.fields["device"] == "inverter"
        )
        book, story.refused = backend.live.look(lambda a: (a.books[site.DEVICE], a.refused_count))
        for _, order in self._sent:
            order.said = [
                Said(
                    ack.state,
                    ack.seq,
                    ack.heard.mono_ns,
                    str(ack.claims.get("sentence", "")).startswith("repeated"),
                    ack.terminal,
                )
                for ack in book.acks.get(order.id, ())
            ]
            self.kills.acted += any(said.state == "started" for said in order.said)
            story.orders.append(order)
        story.missing, story.given_up = book.ledger.missing(), book.ledger.gone
        story.conflicts = tuple(book.ledger.conflicts)
