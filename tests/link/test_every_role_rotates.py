"""Every role of the bundle changes its keys over the link in the same three steps: the old one, both, the new one.

Bundle 2 lists both: each is heard. Bundle 3 lists the new one and revokes the old: nobody listens to that one any more,
whatever it signed before, and no later bundle can bring it back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from agent import mail
from agent.core.command import CommandKind
from agent.core.inputs import CommandIn, FreshTime
from agent.runtime.part import Effect, MqttMessage
from hil.bundles import Draft, chain
from hil.protocol.vectors_documents import CONFIG, FIRMWARE
from tests.link.home import Home, down, jose_sign, posted, seed_of
from tests.link.roots import draft, kid, listed, signed
from tests.link.test_documents_link import manifest
from tests.link.test_trust_link import counted, home_of, trust_message

Say = Callable[[Home, str, int], MqttMessage]  # home, signer's name, a number that rises
Heard = Callable[[list[Effect]], bool]


@dataclass(frozen=True, slots=True)
class Role:
    """What only that role can say, how it shows that it was heard, and what counts a word of a stranger."""

    old: tuple[str, ...]
    both: tuple[str, ...]
    new: tuple[str, ...]
    say: Say
    heard: Heard
    refused: str = "unknown_key"
    gone: str = ""  # who is revoked; "" = the first of `old`


def _config(home: Home, name: str, n: int) -> MqttMessage:
    claims = home.agg.claims(home.now, **(CONFIG | {"exp": home.now.wall_ms + 60_000, "version": 10 + n}))
    return down("config", jose_sign(seed_of(name), "battery-config+jws", json.dumps(claims).encode()), True)


def _release(home: Home, name: str, n: int) -> MqttMessage:
    return manifest(home, name, "firmware2", version=FIRMWARE["version"] + n)


def _commands(effects: list[Effect]) -> bool:
    return any(e.command.kind is CommandKind.DISPATCH for e in posted(effects, CommandIn))


ROLES: dict[str, Role] = {
    "dispatch": Role(("dispatch",), ("dispatch", "later"), ("later",), lambda h, by, n: h.agg.command(h.now, by),
                     _commands),
    "service": Role(("service",), ("service", "later"), ("later",),
                    lambda h, by, n: down("receipt", h.agg.token(h.now, by, "receipt", upto=n, also=[])),
                    lambda effects: bool(posted(effects, mail.Receipted))),
    "operations": Role(("operations",), ("operations", "later"), ("later",), _config,
                       lambda effects: bool(posted(effects, mail.Document))),
    "firmware": Role(("firmware1", "firmware2"), ("firmware1", "firmware2", "later"), ("later", "firmware2"), _release,
                     lambda effects: bool(posted(effects, mail.Document)), "trust_threshold", "firmware1"),
}  # fmt: skip


def turned(role: str) -> tuple[Draft, Draft]:
    """Bundle 2 with both, bundle 3 with the new one alone."""
    row = ROLES[role]
    both = draft().next(keys=listed(**{role: row.both}))
    return both, both.next(keys=listed(**{role: row.new}), revoked=[kid(row.gone or row.old[0])])


@pytest.mark.parametrize("role", ROLES)
def test_old_both_new(role: str) -> None:
    row, home = ROLES[role], home_of()
    both, new = turned(role)
    old_name = row.gone or row.old[0]
    assert row.heard(home.send(row.say(home, old_name, 1)))
    assert counted(home, row.say(home, "later", 2)) == row.refused
    home.send(trust_message(signed(both)))
    home.later(5)
    assert row.heard(home.send(row.say(home, "later", 3)))
    assert row.heard(home.send(row.say(home, old_name, 4)))
    withheld = row.say(home, old_name, 5)
    home.send(trust_message(signed(new)))
    home.later(5)
    assert counted(home, withheld) == row.refused, "signed before the revocation, heard after it"
    assert counted(home, row.say(home, old_name, 6)) == row.refused
    assert row.heard(home.send(row.say(home, "later", 7)))


@pytest.mark.parametrize("role", ROLES)
def test_who_was_revoked_never_comes_back(role: str) -> None:
    both, new = turned(role)
    home = home_of()
    home.send(trust_message(signed(both), signed(new)))
    again: Any = new.next(keys=listed(**{role: ROLES[role].both}))
    assert counted(home, trust_message(signed(again))) == "bad_body"
    assert counted(home, trust_message(signed(new.next(keys=both.keys, revoked=[])))) == "trust_revoked"


def test_root_itself_one_key_at_a_time() -> None:
    home = home_of()
    new_root = listed(root=("root1", "root2", "later"))
    home.send(trust_message(signed(draft().next(keys=new_root, revoked=[kid("root3")]))))
    third = draft(version=3, keys=new_root, revoked=[kid("root3")])
    assert counted(home, trust_message(signed(third, "root1", "root3"))) == "trust_threshold"
    assert home.send(trust_message(signed(third, "root1", "later")))
    assert home.session._inbound.trust.version == 3


def test_a_revoked_dispatch_key_ends_what_it_began_whoever_follows() -> None:
    home = home_of()
    both, new = turned("dispatch")
    home.send(trust_message(signed(both)))
    assert _commands(home.send(home.agg.command(home.now, "dispatch")))
    effects = home.send(trust_message(signed(new)))
    [stop] = posted(effects, CommandIn)
    assert stop.command.kind is CommandKind.STOP
    assert stop.command.issuer == "root"


def test_a_time_signed_by_a_key_that_was_revoked_gives_no_permission() -> None:
    home = home_of()
    both, new = turned("service")
    home = Home(trust=home.session._inbound.trust, anchor=home.session._inbound._keeper.anchor)
    home.up()
    home.send(down("trust", chain([signed(both), signed(new)]), True))
    assert not posted(home.send(home.agg.time(home.now, role="service")), FreshTime)
    assert posted(home.send(home.agg.time(home.now, role="later")), FreshTime)
