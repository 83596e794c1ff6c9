"""One key of the homeowner, stolen or of an app in a loop: what it costs the disk, and the homeowner's other words."""

from __future__ import annotations

from typing import Any

import pytest

from agent import mail
from agent.link import relayed
from agent.link.budgets import SAID_AT_ONCE, SAID_PER_DAY, Budgets
from agent.runtime.part import Effect
from tests.link.home import Home, S, posted
from tests.link.roots import digest
from tests.link.test_trust_link import counted, home_of, kept, said

DAY_S = 86_400
WORDS: dict[str, dict[str, Any]] = {
    "reserve": {"permille": 900},
    "storm": {"permille": 900, "for_s": 3600},
    "opt_out": {},
    "opt_in": {},
    "consent": {"to": "terms", "sha256": digest("the terms")},
}


@pytest.fixture
def home() -> Home:
    return home_of()


def word(home: Home, kind: str) -> list[Effect]:
    """Said, and on the disk at once where it is taken."""
    effects = home.send(said(home, kind, **WORDS[kind]))
    return [*effects, *[each for _ in kept(effects) for each in home.send(mail.TrustStored(None))]]


@pytest.mark.parametrize("looped", WORDS)
def test_a_loop_of_one_word_writes_little_and_leaves_room_for_every_other(home: Home, looped: str) -> None:
    taken = 0
    for _ in range(400):
        home.later(0.01)
        taken += len(kept(word(home, looped)))
    assert taken == SAID_AT_ONCE
    assert home.session._counters == {"flood": 400 - SAID_AT_ONCE}
    for other in WORDS:
        assert bool(kept(word(home, other))) is (other != looped), other
    home.later(DAY_S / SAID_PER_DAY)
    assert kept(word(home, looped)), "and for itself a little later"


@pytest.mark.parametrize("kind", WORDS)
def test_a_day_of_it_is_bounded_and_each_key_has_its_own(kind: str) -> None:
    budgets = Budgets()
    assert sum(budgets.said("phone", kind, s * S) for s in range(0, 2 * DAY_S, 60)) <= SAID_AT_ONCE + 2 * SAID_PER_DAY
    assert not budgets.said("phone", kind, 2 * DAY_S * S - 60 * S)
    assert budgets.said("tablet", kind, 2 * DAY_S * S)
    budgets.keys(frozenset({"tablet"}))
    assert len(budgets._said) == 1, "what was counted of a key that is gone is forgotten"


def test_what_is_played_again_uses_nothing_up(home: Home) -> None:
    message = said(home, "reserve", permille=900)
    assert kept(home.send(message))
    for _ in range(2 * SAID_AT_ONCE):
        assert counted(home, message) == "replay"
    assert kept(word(home, "reserve"))


def test_what_found_no_room_may_come_again(home: Home) -> None:
    for _ in range(SAID_AT_ONCE):
        word(home, "reserve")
    message = said(home, "reserve", permille=900, exp=home.now.wall_ms + DAY_S * 1000)
    assert counted(home, message) == "flood"
    home.later(DAY_S / SAID_PER_DAY)
    assert kept(home.send(message))


def test_a_disk_that_does_not_answer_makes_no_queue_without_end_and_an_opt_out_acts(home: Home) -> None:
    taken = sum(len(kept(home.send(said(home, kind, **WORDS[kind])))) for kind in [*WORDS] * 40 if kind != "opt_out")
    assert taken == relayed.WAIT
    acting = [posted(home.send(said(home, "opt_out")), mail.Verb) for _ in range(SAID_AT_ONCE)]
    assert [len(verbs) for verbs in acting].count(1) == relayed.MOST - relayed.WAIT
    assert acting[0][0].verb == "optout"
    assert len(home.session._relayed._waiting) == relayed.MOST
    for _ in range(relayed.MOST):
        home.send(mail.TrustStored(None))
    assert kept(word(home, "storm"))
