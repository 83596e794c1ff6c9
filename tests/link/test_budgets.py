"""What a flood of one thing costs the others: nothing."""

from __future__ import annotations

import json

import pytest

from agent import mail
from agent.core.inputs import CommandIn
from agent.link import jws
from agent.link.budgets import DOCUMENTS_AT_ONCE, KEPT_SIGNATURES, SIGNATURES, Budgets
from agent.link.roles import COMMAND, HOMEOWNER, RECEIPT
from agent.runtime.part import MqttMessage, Wake
from hil.bundles import chain
from hil.protocol.vectors_documents import CONFIG
from tests.link.home import S, down, kid_of, posted, seed_of
from tests.link.roots import draft, kid, listed, signed
from tests.link.test_documents_link import said
from tests.link.test_trust_link import home_of


def forged(name: str, leaf: str = "command") -> MqttMessage:
    """With a kid that the home knows, signed by nobody that it knows."""
    stranger = jws.Signer(kid_of(seed_of(name)), jws.signer(b"x" * 32).key)
    return down(leaf, jws.sign(stranger, f"battery-{leaf}+jws", b"{}"))


def test_forgeries_in_the_name_of_dispatch_cost_no_stop_of_operations_and_no_opt_out() -> None:
    home = home_of()
    junk = forged("dispatch")
    for _ in range(3):
        for _ in range(250):
            home.send(junk)
        assert posted(home.send(home.agg.command(home.now, "operations", kind="stop")), CommandIn)
        home.later(1)
    for _ in range(1000):
        home.send(forged("operations"))
    word = home.agg.token(home.now, "homeowner", "homeowner", kind="opt_out")
    assert posted(home.send(down("homeowner", word)), mail.Verb)
    assert posted(home.send(home.agg.command(home.now)), CommandIn), "dispatch has its own, and a second was enough"


def test_the_signatures_of_a_key_on_a_topic_are_bounded() -> None:
    for typ, role, rate in (
        (COMMAND, "dispatch", SIGNATURES),
        (COMMAND, "operations", KEPT_SIGNATURES),
        (HOMEOWNER, "homeowner", KEPT_SIGNATURES),
        (RECEIPT, "service", SIGNATURES),
    ):
        budgets = Budgets()
        assert sum(budgets.signature(typ, "kid", role, 0) for _ in range(1000)) == 2 * rate
        assert sum(budgets.signature(typ, "kid", role, S) for _ in range(1000)) == rate
        budgets.keys(frozenset({"kid"}))
        assert not budgets.signature(typ, "kid", role, S)


@pytest.mark.parametrize("leaf", ["firmware", "trust"])
def test_garbage_on_a_topic_of_bundles_keeps_no_revocation_out(leaf: str) -> None:
    home = home_of()
    for _ in range(50):
        home.send(down(leaf, b"{}"))
    gone = draft().next(keys=listed(dispatch=("later",)), revoked=[kid("dispatch")])
    home.send(down("trust", chain([signed(draft()), signed(gone)]), retain=True))
    assert kid("dispatch") not in home.session._inbound.trust.keys


def test_a_bundle_that_found_no_room_is_looked_at_as_soon_as_there_is_some() -> None:
    home = home_of()
    for _ in range(4):
        home.send(down("trust", b"{}", retain=True))
    gone = draft().next(keys=listed(dispatch=("later",)), revoked=[kid("dispatch")])
    home.send(down("trust", chain([signed(draft()), signed(gone)]), retain=True))
    assert kid("dispatch") in home.session._inbound.trust.keys
    assert home.session._counters["flood"] == 1
    due_ns = home.session._wake_ns
    assert due_ns is not None
    home.later((due_ns - home.now.mono_ns) / S)
    assert posted(home.send(Wake()), mail.WriteTrust)
    assert kid("dispatch") not in home.session._inbound.trust.keys


def test_a_manifest_that_found_no_room_is_looked_at_later() -> None:
    home = home_of()
    for _ in range(5):
        home.send(down("firmware", b"{}"))
    assert home.session._counters == {"bad_format": 4, "flood": 1}
    home.later(1)
    home.send(Wake())
    assert home.session._counters == {"bad_format": 5, "flood": 1}


def test_documents_of_a_kind_are_a_few_an_hour_and_the_latest_waits_for_its_turn() -> None:
    home = home_of()

    def config(version: int) -> list[int]:
        body = json.loads(json.dumps(CONFIG)) | {"version": version}
        return [doc.version for doc in posted(home.send(said(home, "config", body)), mail.Document)]

    taken = [n for version in range(2, 102) for n in config(version)]
    assert len(taken) == DOCUMENTS_AT_ONCE
    assert home.session._counters == {"flood": 100 - DOCUMENTS_AT_ONCE}
    due = home.session._inbound.lasting.again_ns(home.session._clock)
    assert due is not None
    home.later((due - home.now.mono_ns) / S)
    assert [doc.version for doc in posted(home.send(Wake()), mail.Document)] == [101], "the latest, though many came"
    assert home.session._inbound.lasting.again_ns(home.session._clock) is None


def test_a_group_that_a_later_bundle_does_not_name_is_heard_no_more() -> None:
    home = home_of()
    token = home.agg.token(home.now, "dispatch", "command", aud="grp:north", kind="stop")
    home.send(down("trust", chain([signed(draft()), signed(draft().next(groups=[]))]), retain=True))
    assert not posted(home.send(MqttMessage("battery/v1/fleet/group/north/command", token, 1, False)), CommandIn)
    assert home.session._counters == {"bad_typ": 1}
