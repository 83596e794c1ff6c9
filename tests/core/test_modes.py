"""The transition table, searched whole: every mode, every sign, every severity."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from agent.core.decision import Mode
from agent.core.fault import Severity
from agent.core.modes import ACTING, TABLE, ZEROING, Signs, following

SEVERITIES = (0, *Severity)
FLAGS = tuple(product((False, True), repeat=6))
ALL = [(mode, Signs(worst, *flags)) for mode in Mode for worst in SEVERITIES for flags in FLAGS]
GOOD = Signs(0, True, True, True, False, True, False)


def signs(**changes: Any) -> Signs:
    return GOOD._replace(**changes)


def test_every_mode_has_a_successor_under_every_sign() -> None:
    for mode, s in ALL:
        assert following(mode, s) in Mode


def test_a_fault_reaches_a_safe_mode_in_one_cycle() -> None:
    for mode, s in ALL:
        to = following(mode, s)
        if s.worst >= Severity.DEGRADED:
            assert to not in ACTING, (mode, s)
        if s.worst >= Severity.FAULT:
            assert to not in ZEROING, (mode, s)
        if s.worst == Severity.LOCKOUT:
            assert to is Mode.LOCKOUT


def test_only_a_due_command_dispatches() -> None:
    for mode, s in ALL:
        if following(mode, s) is Mode.DISPATCHED:
            assert s.dispatched, (mode, s)
            assert not s.stopped
            assert s.worst < Severity.DEGRADED


def test_no_mode_acts_that_was_not_tested() -> None:
    """Acting is reached through STANDBY alone: after a passed self-test, an outage or a degradation."""
    for mode, s in ALL:
        if following(mode, s) in ACTING:
            assert mode in {Mode.STANDBY, Mode.LOCAL, Mode.DISPATCHED}, (mode, s)


def test_self_test_is_left_upward_only_when_passed() -> None:
    for mode, s in ALL:
        if mode is Mode.SELF_TEST and following(mode, s) is Mode.STANDBY:
            assert s.tested


def test_lockout_ends_in_self_test_only() -> None:
    for mode, s in ALL:
        if mode is Mode.LOCKOUT and s.worst < Severity.FAULT:
            assert following(mode, s) is Mode.SELF_TEST


def test_good_signs_lead_every_mode_to_dispatch_within_three_cycles() -> None:
    for mode in Mode:
        seen = [mode]
        while seen[-1] is not Mode.DISPATCHED and len(seen) < 9:
            seen.append(following(seen[-1], GOOD))
        assert len(seen) <= 4, seen


def test_every_row_is_taken_by_some_signs() -> None:
    taken = {next(i for i, r in enumerate(TABLE) if (not r.frm or m in r.frm) and r.when(s)) for m, s in ALL}
    assert taken == set(range(len(TABLE)))


@pytest.mark.parametrize(
    ("mode", "changes", "to"),
    [
        (Mode.INIT, {"first_readings": False, "grace_over": False}, Mode.INIT),
        (Mode.INIT, {"first_readings": False}, Mode.SELF_TEST),
        (Mode.INIT, {"grace_over": False}, Mode.SELF_TEST),
        (Mode.INIT, {"worst": Severity.FAULT, "first_readings": False, "grace_over": False}, Mode.INIT),
        (Mode.INIT, {"worst": Severity.LOCKOUT}, Mode.LOCKOUT),
        (Mode.SELF_TEST, {"tested": False}, Mode.SELF_TEST),
        (Mode.SELF_TEST, {}, Mode.STANDBY),
        (Mode.STANDBY, {}, Mode.DISPATCHED),
        (Mode.STANDBY, {"stopped": True}, Mode.STANDBY),
        (Mode.STANDBY, {"dispatched": False}, Mode.LOCAL),
        (Mode.DISPATCHED, {"dispatched": False}, Mode.LOCAL),
        (Mode.DISPATCHED, {"curing": True}, Mode.LOCAL),
        (Mode.DISPATCHED, {"worst": Severity.DERATE}, Mode.DISPATCHED),
        (Mode.DISPATCHED, {"worst": Severity.DEGRADED}, Mode.DEGRADED),
        (Mode.DISPATCHED, {"worst": Severity.BACKUP}, Mode.BACKUP),
        (Mode.BACKUP, {"worst": Severity.FAULT}, Mode.FAULT),
        (Mode.BACKUP, {}, Mode.STANDBY),
        (Mode.DEGRADED, {}, Mode.STANDBY),
        (Mode.FAULT, {}, Mode.SELF_TEST),
        (Mode.LOCKOUT, {"worst": Severity.FAULT}, Mode.FAULT),
        (Mode.LOCAL, {"stopped": True}, Mode.STANDBY),
        (Mode.LOCAL, {"stopped": True, "curing": True}, Mode.LOCAL),
    ],
)
def test_examples(mode: Mode, changes: dict[str, Any], to: Mode) -> None:
    assert following(mode, signs(**changes)) is to
