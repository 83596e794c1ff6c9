"""Default control: what is wished when nothing is asked. The lowest of all wishes.

Self-consumption is the inverter's own mode, or ours where no floor keeps the reserve. Idle is neither way: 0 W, on grid
alone, as every wish; an outage, a stop or a fault lets go of it like of any other. Below the reserve it gives way, so
that the sun fills up what is the home's. Where the register wears out when it is written, or the inverter would not end
the 0 W by itself, idle is not held: those writes are the reserve's.
"""

from __future__ import annotations

from agent.core.arbiter import Proposal, Rank
from agent.core.oblige import RESTORE_BELOW_PERMILLE, below
from agent.core.params import IDLE, Params
from agent.core.snapshot import Snapshot
from agent.core.strategies.self_consumption import drivable

AT_REST = Proposal(Rank.DEFAULT, "default:idle", 0)


def propose(own: Proposal, s: Snapshot, params: Params, ruling_w: int | None) -> Proposal:
    """`own`: the wish of self-consumption, which stands where idle is not asked for, or cannot be held. `ruling_w`: the
    setpoint of now, None = released."""
    if params.default.mode != IDLE or not drivable(s) or (s.capability is not None and s.capability.wearing):
        return own
    if below(s, params, 0 if ruling_w is None else RESTORE_BELOW_PERMILLE):
        return own
    return AT_REST
