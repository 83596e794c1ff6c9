"""Who has stolen the dispatch key, and how far that leads: into the permit, and by ramps. Nothing here is refused."""

from __future__ import annotations

import random

import pytest

from tests.blackbox.agent import Run

pytestmark = pytest.mark.slow
RATED_W = 11_400
IMPORT_W, EXPORT_W = 6_000, 3_000
SETTLE_S = 15.0  # in which the connection's limits hold again, as everywhere on the bench
MINUTES = 3
RAMPS = ("direct", "scheduled", "urgent", "regulation", "droop")
FASTEST = 0.25  # of the rating a second: what a session may; a dispatch is refused anything faster


class Thief:
    """Signs what contradicts itself, every two seconds, at the highest rank, and looks what comes of it."""

    def __init__(self, run: Run, seed: int) -> None:
        self.run = run
        self.rng = random.Random(seed)
        self.seen: list[tuple[float, int]] = []  # when, the setpoint
        self.since = {"import": 0.0, "export": 0.0}  # inside the limit until then

    def attack(self) -> None:
        run, rng = self.run, self.rng
        run.to(12)
        until = run.t + MINUTES * 60
        while run.t < until:
            power = rng.choice((RATED_W, -RATED_W, rng.randrange(-RATED_W, RATED_W), 0))
            run.dispatch(power, f"c{len(run.dispatches)}", rng.choice((30, 600)), primacy=0, ramp=rng.choice(RAMPS))
            for _ in range(4):
                run.wait(0.5)
                self.look()

    def look(self) -> None:
        """What no key may change."""
        run = self.run
        setpoint = run["truth.setpoint_w"] or 0
        self.seen.append((run.t, setpoint))
        assert abs(setpoint) <= RATED_W, run.story()
        assert run["agent.reserve_permille"] == 200, "a command lowers no reserve"
        grid = run["truth.grid_w"]
        for name, beyond in (("import", grid > IMPORT_W * 1.02 + 100), ("export", -grid > EXPORT_W * 1.02 + 100)):
            self.since[name] = self.since[name] if beyond else run.t
            assert run.t - self.since[name] <= SETTLE_S, f"{name} beyond its limit: {run.story()}"

    def fastest(self) -> float:
        """How much farther from zero a setpoint got, in the same direction, a second; parts of the rating."""
        found = [0.0]
        for (then, before), (now, after) in zip(self.seen, self.seen[4:], strict=False):
            if before * after >= 0:
                found.append((abs(after) - abs(before)) / RATED_W / (now - then + 1))  # a cycle is a second
        return max(found)


@pytest.mark.parametrize("soc_permille", [206, 600, 985])
def test_a_stolen_dispatch_key_stays_inside_the_permit(soc_permille: int) -> None:
    """Rig: no discharge of ours below the reserve, nothing started twice, all that is published verifies."""
    site = {"import_limit_w": IMPORT_W, "export_limit_w": EXPORT_W}
    with Run(seed=31, config={"site": site}, soc_permille=soc_permille, load_w=1_500) as run:
        thief = Thief(run, soc_permille)
        thief.attack()
        assert len(run.dispatches) >= MINUTES * 60 // 3
        assert run.writes("power"), "the thief must be shown to move something"
        assert run["truth.soc_permille"] >= 200 - run.slack
        assert 0 < thief.fastest() <= FASTEST, "faster than any ramp"
        run.do("aggregator.stop", "end").within(
            3, run.zero_or_released, "the real aggregator's stop, in the midst of it"
        )
