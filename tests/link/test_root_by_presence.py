"""Over the link alone nobody hands this home to another root: not at once, not key by key, not with every old key.

The rule (docs/trust.md): the root keys that this home was enrolled with, with presence and consent, are its anchor; a
bundle that comes over the link, or as a file without a claim, never lets other keys reach the threshold by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.link import anchor as anchors
from agent.link.anchor import Anchor
from agent.link.jws import Refused
from hil.bundles import Envelope, chain
from tests.link.home import WALL
from tests.link.roots import anchored, draft, kid, listed, parsed, reason, signed
from tests.link.test_trust_link import counted, home_of, kept, trust_message

OLD = ("root1", "root2", "root3")
EVERYBODY = (*OLD, "new1", "new2", "new3")


def version(n: int, *root: str, by: Sequence[str] = EVERYBODY, threshold: int = 2) -> Envelope:
    """Bundle `n` with that root, signed by whoever is named: by default by every key that there is."""
    return signed(draft(version=n, keys=listed(root=root), thresholds={"root": threshold}), *by)


TAKEN_OVER: dict[str, list[list[Envelope]]] = {  # messages one after the other; the last is refused
    "at_once": [[version(2, "new1", "new2", "new3")]],
    "as_many_new_as_sign": [[version(2, "root1", "root2", "new1", "new2")]],
    "key_by_key": [[version(2, "root1", "root2", "new1")], [version(3, "root1", "new1", "new2")]],
    "in_one_message": [[version(2, "root1", "root2", "new1"), version(3, "root2", "new1", "new2")]],
    "there_and_back": [[version(2, *OLD, "new1", "new2"), version(3, *OLD)]],
    "behind_a_higher_threshold": [[version(2, *OLD, "new1", threshold=4)], [version(3, "root1", "new1", "new2")]],
}


@pytest.mark.parametrize("messages", TAKEN_OVER.values(), ids=TAKEN_OVER)
def test_no_bundle_takes_a_home_over_however_well_signed(messages: list[list[Envelope]]) -> None:
    home = home_of()
    *allowed, last = messages
    for each in allowed:
        assert kept(home.send(trust_message(*each)))
    before = home.session._inbound.trust
    assert counted(home, trust_message(*last)) == "trust_root"
    assert home.session._inbound.trust == before


def test_one_lost_key_is_replaced_over_the_link_and_the_next_one_too_if_it_was_not_of_the_first() -> None:
    home = home_of()
    assert kept(home.send(trust_message(version(2, "root1", "root2", "new1", by=("root1", "root2")))))
    assert kept(home.send(trust_message(version(3, "root1", "root2", "new2", by=("root1", "root2")))))
    assert counted(home, trust_message(version(4, "root1", "new1", "new2"))) == "trust_root"


def test_the_anchor_outlives_a_restart_and_bundles_in_between() -> None:
    held = anchors.carry(anchored(), parsed(version(2, "root1", "root2", "new1")), WALL)
    assert isinstance(held, Anchor)
    again = anchors.parse(held.dump())
    assert again == held
    assert isinstance(again, Anchor)
    assert again.rooted == frozenset(map(kid, OLD))
    assert reason(anchors.carry(again, parsed(version(3, "root1", "new1", "new2")), WALL)) == "trust_root"


def test_a_file_without_a_claim_does_no_more_than_the_link() -> None:
    held = anchors.enter(chain([version(2, "new1", "new2", "new3")]), anchored().dump(), None, "fleet")
    assert isinstance(held, Anchor)
    assert held.bundle == anchored().bundle


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.lists(st.sampled_from(EVERYBODY), min_size=2, max_size=5, unique=True), st.integers(2, 4)),
                min_size=1, max_size=5))  # fmt: skip
def test_whatever_roots_come_the_first_ones_are_always_needed(steps: list[tuple[list[str], int]]) -> None:
    """Everybody signs everything: only the rule stands between."""
    held = anchored()
    for root, threshold in steps:
        n = held.bundle.version + 1
        after = anchors.carry(held, parsed(version(n, *root, threshold=min(threshold, len(root)))), WALL)
        if isinstance(after, Refused):
            assert after.reason == "trust_root"
            continue
        now = after.bundle.roots
        assert len(now.keys.keys() - set(map(kid, OLD))) < now.threshold
        held = after
