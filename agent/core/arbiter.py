"""Wishes by precedence: the first that is there wins. All of them live inside the permit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from agent.core.command import RampClass
from agent.core.decision import LimitValue


class Rank(IntEnum):
    """Smaller wins."""

    CELL_CURE = 0
    REQUEST = 1
    SITE = 2
    RESTORE = 3
    STORM = 4
    TECHNICIAN = 5
    DISPATCH = 6
    SCHEDULE = 7
    PRICE = 8
    SELF_CONSUMPTION = 9
    DEFAULT = 10
    NONE = 11


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one strategy wants. `power_w` None = released: the inverter runs in its own mode. `within_w`: the most that
    it takes of the permit, W >= 0; None = all of it. `rate_permille`: slower than `ramp`, of nameplate a second. `cut`:
    what somebody else's limit on the grid has made of it, and `meant_w` what it was before. `because`: why, for people,
    where that is not plain."""

    rank: Rank
    source: str
    power_w: int | None
    ramp: RampClass = RampClass.DIRECT
    command_id: str | None = None
    within_w: int | None = None
    rate_permille: int | None = None
    cut: LimitValue | None = None
    meant_w: int | None = None
    because: str = ""


NOTHING = Proposal(Rank.NONE, "none", None)


def choose(proposals: Iterable[Proposal | None]) -> Proposal:
    """The proposal of the smallest rank; `NOTHING` without any."""
    best = NOTHING
    for proposal in proposals:
        if proposal is not None and proposal.rank < best.rank:
            best = proposal
    return best
