"""Every row of the fault table that stops power, forced under a running dispatch: the shipped step reacts to each as
its severity says, whatever would have to happen for the row to be raised."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core import standing
from agent.core.decision import Intent, Mode
from agent.core.fault import Fault, Severity
from agent.core.faults import CRITICAL, FAULTS
from agent.core.inputs import LocalResume
from tests.core.home import Home
from tests.core.test_search import lived, running

STOPPING = [row for row in FAULTS if row.severity >= Severity.DEGRADED]
REACTION = {
    Severity.DEGRADED: Mode.DEGRADED,
    Severity.BACKUP: Mode.BACKUP,
    Severity.FAULT: Mode.FAULT,
    Severity.LOCKOUT: Mode.LOCKOUT,
}


def forced(row: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    there = replace(row, check=lambda world: "forced by a test", grace=False)
    monkeypatch.setattr(standing, "FAULTS", tuple(there if one is row else one for one in FAULTS))


@pytest.mark.parametrize("row", STOPPING, ids=lambda row: row.id)
def test_a_row_that_stops_power_stops_it_in_its_cycle(row: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    home: Home = running()
    assert home.remote_w == 5000
    forced(row, monkeypatch)
    written = len(home.writes)
    lived(home, 1)
    assert home.mode() is REACTION[row.severity]
    assert home.given() in (None, 0)
    lived(home, 40)
    after = [write for _, write in home.writes[written:]]
    assert all(write.value == 0 for write in after if write.intent is Intent.POWER)
    stopped = (None, 0) if row.id in CRITICAL else (None,)  # a cell beyond its limits: STOP, as long as power flows
    assert home.remote_w in stopped  # released, or at zero for its delay and then released
    assert {Intent.CLEAR, Intent.STOP} & {write.intent for write in after}
    if row.severity is not Severity.DEGRADED:
        assert Intent.POWER not in {write.intent for write in after}


@pytest.mark.parametrize("row", STOPPING, ids=lambda row: row.id)
def test_it_acts_again_only_when_the_row_is_gone(row: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that a technician clears, and every lockout, stays until one resumes."""
    home: Home = running()
    with monkeypatch.context() as only:
        forced(row, only)
        lived(home, 20)
        home.tick(LocalResume("ada"))
        assert home.given() in (None, 0)
        lived(home, 5)
        assert home.mode() is REACTION[row.severity] or home.mode() is Mode.LOCKOUT
    lived(home, 1)
    if row.severity is Severity.LOCKOUT:
        lived(home, 700)
        assert home.mode() is Mode.LOCKOUT
