"""Eras of the accounts: whatever clock, trust and restarts do, within one no time is in two records."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core import accounts
from agent.core.flows import Stand
from agent.core.inputs import ClockTrust
from tests.core.test_accounts import Tally

TRUST = list(ClockTrust)
QUARTER_S = 900


def run(tally: Tally, seconds: int) -> None:
    for _ in range(0, seconds, 5):
        tally.put(1000, s=5)


def step_of(tally: Tally, what: str, number: int) -> None:
    if what == "run":
        run(tally, number)
    elif what == "slips":  # a second at a time, less than a step each
        for _ in range(5):
            tally.offset_ms += number
            tally.put(1000)
    elif what == "clock":
        tally.offset_ms += number
    elif what == "trust":
        tally.trust = TRUST[number]
    elif what == "stall":
        tally.put(1000, s=number)
    else:
        tally.restart(number)
        tally.kernel_boot += "x" if what == "reboot" else ""
        tally.put(1000)


STEP = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 700)),
    st.tuples(st.just("slips"), st.sampled_from([-1900, -700, 1, 1900])),
    st.tuples(st.just("clock"), st.sampled_from([-9_000_000, -90_000, -3000, -1900, -400, 1900, 60_000, 3_000_000])),
    st.tuples(st.just("trust"), st.sampled_from([0, 1, 2])),
    st.tuples(st.sampled_from(["restart", "reboot"]), st.integers(0, 2000)),
    st.tuples(st.just("stall"), st.integers(11, 3000)),
)
BEHIND = [("run", 700), ("clock", -9_000_000), ("trust", TRUST.index(ClockTrust.UNTRUSTED)), ("reboot", 10)]
SLIPPED = [("run", QUARTER_S), ("slips", -1900), ("trust", TRUST.index(ClockTrust.UNTRUSTED)), ("run", 10)]


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=12))
@example([*BEHIND, ("run", 1800)])
@example([*BEHIND[:1], *BEHIND[2:3], ("run", 700), ("clock", -90_000), ("restart", 10)])
@example(SLIPPED)
@example([*SLIPPED[:2], ("reboot", 0), ("run", 5)])
def test_within_one_era_no_time_is_in_two_records(steps: list[Any]) -> None:
    tally = Tally()
    tally.put(0)
    for what, number in steps:
        step_of(tally, what, number)
    run(tally, 2 * QUARTER_S)
    assert not tally.of("lost"), tally.notices
    spans = [r for r in tally.records if r["record"] in ("interval", "gap") and r["t1_ms"] is not None]
    assert all(r["t0_ms"] <= r["t1_ms"] for r in spans)
    for one, two in pairwise(spans):
        assert one["era"] <= two["era"]
        assert one["era"] < two["era"] or one["t1_ms"] <= two["t0_ms"]
    begun = [r["era"] for r in tally.of("clock") if r["why"] != "untrusted"]
    assert begun == list(range(1, tally.ledger.kept.era + 1)), "each era by one record"


@pytest.mark.parametrize("before", TRUST)
@pytest.mark.parametrize("after", TRUST)
@pytest.mark.parametrize("boot", ["kernel", "another"])
def test_a_start_with_a_clock_that_is_back_begins_an_era_believed_or_not(
    before: ClockTrust, after: ClockTrust, boot: str
) -> None:
    tally = Tally()
    tally.trust = before
    tally.put(0)
    run(tally, 300)
    tally.restart(off_s=100)
    from_ms = tally.wall_ms
    tally.offset_ms -= 3_000_000
    tally.trust, tally.kernel_boot = after, boot
    tally.put(0)
    (clock,), (gap,) = tally.of("clock"), tally.of("gap")
    assert (clock["why"], clock["era"], gap["era"], gap["t1_ms"]) == ("step", 1, 1, None)
    off_ms = 101_000 if boot != "kernel" else 0  # where no clock tells how long it was
    assert (clock["from_ms"], clock["to_ms"]) == (from_ms + 1000 - off_ms, tally.wall_ms)


def test_a_start_with_a_clock_that_is_not_back_begins_none() -> None:
    for after in TRUST:
        tally = Tally()
        tally.put(0)
        run(tally, 300)
        tally.restart(off_s=100)
        tally.trust = after
        tally.put(0)
        assert not tally.of("clock")
        assert tally.of("gap")[0]["era"] == 0


def test_a_clock_that_is_put_back_while_the_process_stands_still_is_told_once() -> None:
    tally = Tally()
    tally.put(0)
    run(tally, 300)
    tally.offset_ms -= 3_000_000
    tally.put(0, s=60)
    (clock,), (gap,) = tally.of("clock"), tally.of("gap")
    assert clock["from_ms"] - clock["to_ms"] == 3_000_000
    assert (clock["era"], gap["era"], gap["t1_ms"]) == (1, 1, None)


def test_accounts_that_were_lost_begin_anew_in_another_era(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    tally.put(0)
    tally.offset_ms -= 3_000_000
    run(tally, 300)
    assert tally.ledger.kept.era == 1
    with monkeypatch.context() as broken:
        broken.setattr(accounts, "_follow", lambda ledger, now: 1 // 0)
        tally.put(0)
    assert (tally.ledger.kept.era, tally.ledger.kept.stand) == (2, Stand())
    tally.restart()
    run(tally, 2 * QUARTER_S)
    assert tally.of("interval")[-1]["era"] == 2
