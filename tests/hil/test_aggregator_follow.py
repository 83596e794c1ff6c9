"""When the tool stops following a command, and what it says by its exit code."""

from __future__ import annotations

import itertools

from hil.aggregator import follow
from hil.aggregator.claims import STATES, TERMINAL


def test_only_the_state_that_is_waited_for_is_success() -> None:
    """Or one that cannot be without it; whatever else ends the command has another exit code."""
    kinds = ("dispatch", "cancel", "stop", "schedule", "session", "price", "quote", "resend")
    fine = {
        (until, state)
        for until, state, kind in itertools.product(STATES, STATES, kinds)
        if until != state and follow.code(until, state, kind) == follow.OK
    }
    passed = "scheduled started limited completed opted_in partial_opt_in user_ack".split()
    assert fine == {("received", state) for state in passed} | {("started", "completed")}
    for until, state, kind in itertools.product(STATES, TERMINAL, kinds):
        assert follow.code(until, state, kind) is not None, "nothing follows it"
        if until != state and (until, state) not in fine:
            rejected = state in follow.REJECTIONS
            assert follow.code(until, state, kind) == (follow.REJECTED if rejected else follow.ENDED)
    assert follow.code("started", "completed", "cancel") == follow.ENDED, "a cancel never starts"
    assert follow.code("started", "completed", "dispatch") == follow.OK
    assert follow.code("started", "received", "dispatch") is None
    assert follow.code("rejected_late", "rejected_late", "dispatch") == follow.OK
