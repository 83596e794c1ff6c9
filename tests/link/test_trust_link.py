"""The bundle and the homeowner over a session: what is taken, kept and done, and what moves nothing."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from agent import mail
from agent.core.command import CommandKind
from agent.core.durable import Window
from agent.core.inputs import CommandIn, Consent
from agent.link import anchor as anchors
from agent.link.timing import SKEW_MS
from agent.link.trust import of_bundle
from agent.link.trusting import STATE_MAX
from agent.runtime.part import Effect, Log, MqttMessage, Wake
from agent.store.mirrored import SIZE
from hil.bundles import DAY_MS, Draft, Envelope, chain, entry, root_hash
from tests.link.home import (
    DEVICE_SEED,
    ROOT,
    WALL,
    Home,
    down,
    jose_open,
    jose_sign,
    kid_of,
    posted,
    published,
    seed_of,
)
from tests.link.roots import anchored, digest, draft, enrolled, key, kid, listed, parsed, signed


def home_of(what: Draft | None = None) -> Home:
    held = anchored(what)
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held)
    home.ready()
    return home


@pytest.fixture
def home() -> Home:
    return home_of()


def trust_message(*envelopes: Envelope, retain: bool = True) -> MqttMessage:
    return down("trust", chain(envelopes), retain)


def said(home: Home, kind: str, role: str = "homeowner", retain: bool = False, **body: Any) -> MqttMessage:
    claims = home.agg.claims(home.now, kind=kind, **body)
    return down("homeowner", jose_sign(seed_of(role), "battery-homeowner+jws", json.dumps(claims).encode()), retain)


def kept(effects: list[Effect]) -> list[mail.WriteTrust]:
    return posted(effects, mail.WriteTrust)


def counted(home: Home, message: MqttMessage) -> str:
    """The one counter that rises; nothing is posted but states."""
    before = dict(home.session._counters)
    effects = home.send(message)
    assert not [e for e in posted(effects, object) if not isinstance(e, mail.LinkState)]
    risen = [name for name, count in home.session._counters.items() if count != before.get(name, 0)]
    assert len(risen) == 1
    return risen[0]


def test_a_new_bundle_is_in_force_at_once_kept_and_told_in_the_birth(home: Home) -> None:
    later = draft().next(keys=listed(dispatch=("dispatch", "later")))
    effects = home.send(trust_message(signed(draft()), signed(later)))
    [write] = kept(effects)
    held = anchors.parse(write.state)
    assert isinstance(held, anchors.Anchor)
    assert held.bundle.version == 2
    home.later(3)
    birth = [*effects, *home.sample(), *home.send(mail.Profile({}))]
    assert published(birth, "birth")
    home.later(1)
    assert posted(home.send(home.agg.command(home.now, "later")), CommandIn)
    assert posted(home.send(home.agg.command(home.now, "dispatch")), CommandIn)  # both, while they overlap


def test_the_bundle_in_force_again_is_no_news_and_no_offence(home: Home) -> None:
    before = dict(home.session._counters)
    assert not kept(home.send(trust_message(signed(draft()))))
    assert home.session._counters == before


@pytest.mark.parametrize(
    ("message", "counter"),
    [
        (trust_message(signed(draft().next(), "root1")), "trust_threshold"),
        (trust_message(signed(draft(version=3))), "trust_gap"),
        (trust_message(signed(draft(groups=["x"]))), "trust_fork"),
        (trust_message(signed(draft().next(life_ms=5))), "trust_expired"),
        (trust_message(signed(draft().next(fleet="other"))), "trust_fleet"),
        (down("trust", b"{}"), "bad_format"),
        (down("trust", b'{"payload":"e30","payload":"e30","signatures":[]}'), "bad_format"),
        (down("trust", b'{"bundles":[NaN]}'), "bad_format"),
        (down("trust", b"x" * 70_000), "bad_format"),
        (down("trust", jose_sign(seed_of("root1"), "battery-trust+jws", b"{}")), "bad_format"),
    ],
)
def test_a_bundle_that_does_not_follow_moves_nothing(home: Home, message: MqttMessage, counter: str) -> None:
    assert counted(home, message) == counter
    assert posted(home.send(home.agg.command(home.now)), CommandIn)


def test_a_flood_of_bundles_costs_four_looks(home: Home) -> None:
    for _ in range(50):
        home.send(down("trust", b"{}"))
    assert home.session._counters["bad_format"] == 4
    assert home.session._counters["flood"] == 46


def test_a_revoked_dispatch_key_is_deaf_and_what_it_began_ends(home: Home) -> None:
    assert posted(home.send(home.agg.command(home.now)), CommandIn)
    gone = draft().next(keys=listed(dispatch=("later",)), revoked=[kid("dispatch")])
    [stop] = posted(home.send(trust_message(signed(gone))), CommandIn)
    assert stop.command.kind is CommandKind.STOP
    guess = hashlib.sha256(f"revoked {kid('dispatch')} by bundle 2".encode()).hexdigest()
    assert stop.command.id != guess[:32], "nobody can use its id before it"
    assert counted(home, home.agg.command(home.now)) == "unknown_key"
    assert counted(home, home.agg.command(home.now, kind="stop")) == "unknown_key"
    assert posted(home.send(home.agg.command(home.now, "later")), CommandIn)


def test_a_revocation_that_came_by_file_ends_at_the_next_start_what_it_ends_over_the_link(home: Home) -> None:
    """And once: what another key begins later goes on over the starts that follow."""
    gone = draft().next(keys=listed(dispatch=("later",)), revoked=[kid("dispatch")])
    held = anchors.carry(anchored(), parsed(signed(draft()), signed(gone)), WALL)
    assert isinstance(held, anchors.Anchor)

    def start(*windows: tuple[str, Window]) -> list[CommandIn]:
        later = Home(windows, trust=of_bundle(held.bundle, held.homeowner), anchor=held)
        return posted(later.up(), CommandIn)

    [begun] = posted(home.send(home.agg.command(home.now)), CommandIn)
    [stop] = start(*begun.windows)
    assert (stop.command.kind, stop.command.issuer) == (CommandKind.STOP, "root")
    assert not start(*begun.windows, *stop.windows)
    [over_the_link] = posted(home.send(trust_message(signed(gone))), CommandIn)
    assert not start(*begun.windows, *over_the_link.windows)
    other = home_of()
    [stopped] = posted(other.send(other.agg.command(other.now, kind="stop")), CommandIn)
    assert not start(*stopped.windows), "who only ended has begun nothing"


def test_a_bundle_that_would_not_fit_where_it_is_kept_is_not_taken(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert STATE_MAX < SIZE - 100
    monkeypatch.setattr("agent.link.trusting.STATE_MAX", 1_000)
    gone = draft().next(keys=listed(dispatch=("later",)), revoked=[kid("dispatch")])
    assert counted(home, trust_message(signed(gone))) == "oversized"
    assert posted(home.send(home.agg.command(home.now)), CommandIn), "as it was kept, so it is in force"


def test_a_revoked_key_that_never_spoke_ends_nothing(home: Home) -> None:
    gone = draft().next(keys=listed(dispatch=("later",)), revoked=[kid("dispatch")])
    assert not posted(home.send(trust_message(signed(gone))), CommandIn)


def test_an_expired_bundle_refuses_new_dispatch_and_nothing_else() -> None:
    home = home_of(draft(life_ms=DAY_MS + 120_000))
    assert posted(home.send(home.agg.command(home.now)), CommandIn)
    home.later(121)
    home.send(home.agg.time(home.now))
    assert counted(home, home.agg.command(home.now)) == "trust_expired"
    assert posted(home.send(home.agg.command(home.now, kind="stop")), CommandIn)
    assert posted(home.send(home.agg.command(home.now, kind="cancel", target="0" * 32)), CommandIn)
    home.send(home.agg.receipt(home.now, 1))
    home.sample()
    home.sample()
    told = [e.text for e in home.effects if isinstance(e, Log) and "the trust bundle has expired" in e.text]
    assert len(told) == 1
    home.send(trust_message(signed(draft().next())))
    assert posted(home.send(home.agg.command(home.now)), CommandIn)


def test_a_key_outside_its_time_brings_no_new_work_and_may_still_stop() -> None:
    old: dict[str, object] = {**entry(key("dispatch")), "exp": WALL + 60_000}
    home = home_of(draft(keys={**listed(), "dispatch": [old]}))
    assert posted(home.send(home.agg.command(home.now)), CommandIn)
    home.later(61)
    home.send(home.agg.time(home.now))
    assert counted(home, home.agg.command(home.now)) == "key_time"
    assert posted(home.send(home.agg.command(home.now, kind="stop")), CommandIn)


def test_a_retired_service_key_cannot_turn_the_clock_back_into_its_time() -> None:
    old: dict[str, object] = {**entry(key("service")), "exp": WALL - 60_000}
    new: dict[str, object] = {**entry(key("later")), "nbf": WALL - 120_000}
    held = anchored(draft(keys={**listed(), "service": [old, new]}))
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held)
    home.up()
    assert counted(home, home.agg.time(home.now)) == "key_time"
    assert counted(home, home.agg.time(home.now, wall_ms=WALL - 5 * DAY_MS)) == "key_time"  # before the bundle
    home.send(home.agg.time(home.now, role="later"))
    assert posted(home.send(home.agg.command(home.now)), CommandIn)


def unclocked(life_ms: int) -> Home:
    """Without network time, under a bundle that lives so long from `WALL` on; connected."""
    held = anchored(draft(life_ms=DAY_MS + life_ms))
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held, synced=False)
    home.up()
    return home


@pytest.mark.parametrize("beyond_ms", [SKEW_MS + 1, 30 * DAY_MS, 2**53 - 10**7 - WALL - 120_000])
def test_no_signed_time_sets_a_clock_to_beyond_the_bundles_life(beyond_ms: int) -> None:
    home = unclocked(120_000)
    assert counted(home, home.agg.time(home.now, wall_ms=WALL + 120_000 + beyond_ms)) == "key_time"
    assert not home.session._clock.known
    home.send(home.agg.time(home.now, wall_ms=WALL + 120_000 + SKEW_MS))
    assert home.session._clock.read(home.now.mono_ns) == WALL + 120_000 + SKEW_MS


def test_a_home_that_was_off_until_its_bundle_had_expired_comes_back_by_a_later_one() -> None:
    home = unclocked(1)
    home.later(40 * 86_400)
    assert counted(home, home.agg.time(home.now)) == "key_time"
    assert counted(home, home.agg.command(home.now)) == "not_fresh"
    assert posted(home.send(home.agg.command(home.now, kind="stop")), CommandIn), "it may still be stopped"
    assert posted(home.send(said(home, "opt_out")), mail.Verb)
    later = draft().next(life_ms=80 * DAY_MS)
    effects = home.send(trust_message(signed(later)))
    home.later(3)
    assert published([*effects, *home.send(Wake())], "up/birth"), "which asks for the time anew"
    for _ in range(2):  # the first nonce is 40 days old
        home.send(home.agg.time(home.now, nonce=home.session._presence.nonce))
        home.later(3)
        home.send(Wake())
    assert posted(home.send(home.agg.command(home.now)), CommandIn)


def test_a_clock_that_runs_goes_on_over_the_bundles_end_and_is_set_by_nobody() -> None:
    home = unclocked(120_000)
    home.send(home.agg.time(home.now))
    home.later(300)
    home.send(home.agg.time(home.now))
    assert not home.session._counters, "it bears out what is known"
    assert kept(home.send(said(home, "reserve", permille=900))), "the homeowner goes on"
    assert counted(home, home.agg.command(home.now)) == "trust_expired"
    home.send(home.agg.time(home.now, wall_ms=home.now.wall_ms + DAY_MS))
    assert home.session._counters["clock_conflict"] == 1
    at_ms = home.session._clock.read(home.now.mono_ns)
    assert at_ms is not None
    assert home.now.wall_ms - 1_000 < at_ms <= home.now.wall_ms


def test_a_plain_trust_file_takes_no_bundle() -> None:
    home = Home()
    home.ready()
    assert counted(home, trust_message(signed(draft().next()))) == "trust_root"
    assert counted(home, said(home, "reserve", permille=100)) == "bad_role"


# --- the homeowner ----------------------------------------------------------------------------------------------------
def test_the_homeowner_lowers_the_reserve_once_it_is_on_the_disk(home: Home) -> None:
    effects = home.send(said(home, "reserve", permille=150))
    [write] = kept(effects)
    assert not posted(effects, mail.Verb)
    assert write.event is not None
    assert write.event["kind"] == "reserve"
    [verb] = posted(home.send(mail.TrustStored(None)), mail.Verb)
    assert (verb.verb, verb.value, verb.role, verb.conn) == ("reserve", 150, "homeowner", mail.LINK)


def test_what_the_disk_did_not_take_is_not_done(home: Home) -> None:
    home.send(said(home, "reserve", permille=150))
    effects = home.send(mail.TrustStored("the disk is full"))
    assert not posted(effects, mail.Verb)
    assert any(isinstance(e, Log) and "not done" in e.text for e in effects)


def test_answers_of_the_disk_belong_to_their_messages(home: Home) -> None:
    home.send(trust_message(signed(draft().next())))
    home.send(said(home, "reserve", permille=150))
    home.send(said(home, "storm", permille=900, for_s=3600))
    assert not posted(home.send(mail.TrustStored(None)), mail.Verb)
    assert [v.verb for v in posted(home.send(mail.TrustStored("full")), mail.Verb)] == []
    [verb] = posted(home.send(mail.TrustStored(None)), mail.Verb)
    assert (verb.verb, verb.value, verb.for_s) == ("storm", 900, 3600)


def test_an_opt_out_needs_neither_clock_nor_disk() -> None:
    held = anchored()
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held, synced=False)
    home.up()
    assert counted(home, said(home, "reserve", permille=900)) == "not_fresh"
    assert counted(home, said(home, "opt_in")) == "not_fresh"
    [verb] = posted(home.send(said(home, "opt_out")), mail.Verb)
    assert (verb.verb, verb.role) == ("optout", "homeowner")
    assert not posted(home.send(mail.TrustStored(None)), mail.Verb)


def test_the_length_of_an_opt_out_counts_from_when_it_was_signed(home: Home) -> None:
    def lasts(ago_s: float) -> list[int]:
        iat = home.now.wall_ms - int(ago_s * 1000)
        message = said(home, "opt_out", for_s=60, iat=iat, exp=iat + 1)
        return [verb.for_s for verb in posted(home.send(message), mail.Verb)]

    assert [lasts(ago_s) for ago_s in (0, 1.5, 59.5, 60, 40 * 86_400, -20)] == [[60], [59], [1], [], [], [60]]
    assert home.session._counters == {"expired": 2}
    timeless = home_of()
    timeless.synced = False
    assert posted(timeless.send(said(timeless, "opt_out", iat=0, exp=1)), mail.Verb)[0].for_s == 0


def test_opt_in_and_consent(home: Home) -> None:
    home.send(said(home, "opt_in"))
    [verb] = posted(home.send(mail.TrustStored(None)), mail.Verb)
    assert verb.verb == "optin"
    message = said(home, "consent", to="terms", sha256=digest("the terms"))
    [write] = kept(home.send(message))
    assert write.event is not None
    assert write.event["token"] == message.payload.decode()  # anybody can check it later
    acts = home.send(mail.TrustStored(None))
    assert not posted(acts, mail.Verb)
    [agreed] = posted(acts, Consent)
    assert (agreed.what, agreed.terms, agreed.local, agreed.withdrawn) == ("terms", digest("the terms"), False, False)
    home.send(said(home, "consent", to="data", sha256=digest("the terms"), withdrawn=True))
    [agreed] = posted(home.send(mail.TrustStored(None)), Consent)
    assert (agreed.what, agreed.withdrawn) == ("data", True)


@pytest.mark.parametrize("role", ["dispatch", "service", "operations"])
def test_the_aggregators_keys_cannot_speak_for_the_homeowner(home: Home, role: str) -> None:
    assert counted(home, said(home, "reserve", role, permille=0)) == "bad_role"


@pytest.mark.parametrize("role", ["root1", "firmware1", "stranger"])
def test_neither_can_root_or_a_stranger(home: Home, role: str) -> None:
    assert counted(home, said(home, "reserve", role, permille=0)) == "unknown_key"


def test_a_bundle_of_two_root_keys_brings_no_homeowner(home: Home) -> None:
    """The whole root of the aggregator, turned: it still cannot name who lowers the reserve."""
    home.send(trust_message(signed(draft().next(keys=listed(operations=("operations", "mine"))))))
    assert counted(home, said(home, "reserve", "mine", permille=0)) == "bad_role"


@pytest.mark.parametrize("how", ["revoked", "listed"])
def test_no_bundle_mutes_the_homeowners_key(home: Home, how: str) -> None:
    taken = {"revoked": [kid("homeowner")]} if how == "revoked" else {"keys": listed(service=("homeowner",))}
    home.send(trust_message(signed(draft()), signed(draft().next(**taken))))
    assert home.session._inbound.trust.version == 2
    assert [verb.verb for verb in posted(home.send(said(home, "opt_out")), mail.Verb)] == ["optout"]
    assert home.session._counters == {}


def test_the_homeowner_cannot_dispatch(home: Home) -> None:
    assert counted(home, home.agg.command(home.now, "homeowner")) == "bad_role"
    assert counted(home, home.agg.time(home.now, role="homeowner")) == "bad_role"


def test_a_relayed_message_works_once_also_after_a_restart(home: Home) -> None:
    message = said(home, "reserve", permille=150)
    [write] = kept(home.send(message))
    assert counted(home, message) == "replay"
    held = anchors.parse(write.state)
    assert isinstance(held, anchors.Anchor)
    again = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held)
    again.ready()
    assert counted(again, message) == "replay"


def test_an_older_message_that_was_held_back_is_too_late(home: Home) -> None:
    lower, raise_ = said(home, "reserve", permille=100), said(home, "reserve", permille=800)
    assert kept(home.send(raise_))
    assert counted(home, lower) == "replay"


def test_for_another_home_changed_retained_or_late(home: Home) -> None:
    other = said(home, "reserve", permille=100, aud="dev:home2")
    assert counted(home, other) == "bad_audience"
    assert counted(home, said(home, "reserve", permille=100, aud="grp:north")) == "bad_audience"
    good = said(home, "reserve", permille=100).payload
    assert counted(home, down("homeowner", good[:-9] + b"AAAAAAAAA")) in ("bad_signature", "bad_format")
    assert counted(home, said(home, "reserve", permille=100, retain=True)) == "retained"
    assert counted(home, MqttMessage(f"{ROOT}/down/command", good, 1, False)) == "bad_typ"
    late = said(home, "reserve", permille=100, iat=WALL - 120_000, exp=WALL - 60_000)
    assert counted(home, late) == "expired"


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "reserve"}, {"kind": "reserve", "permille": 1001}, {"kind": "reserve", "permille": -1},
        {"kind": "reserve", "permille": "1"}, {"kind": "reserve", "permille": True},
        {"kind": "reserve", "permille": 1.5},
        {"kind": "reserve", "permille": 1, "x": 1}, {"kind": "storm", "permille": 500}, {"kind": "nonsense"},
        {"kind": "consent", "to": "anything", "sha256": "0" * 64}, {"kind": "consent", "to": "terms", "sha256": "0"},
        {"kind": "opt_out", "exp": WALL + 8 * DAY_MS},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_body_moves_nothing(home: Home, body: dict[str, Any]) -> None:
    assert counted(home, said(home, body.pop("kind"), **body)) == "bad_body"


# --- what a start begins with -----------------------------------------------------------------------------------------
def test_first_trust_needs_the_hash_and_the_right_one() -> None:
    envelope = signed(draft())
    found = anchors.enter(chain([envelope]), None, root_hash(envelope), "fleet")
    assert isinstance(found, anchors.Anchor)
    assert "keys enrol" in str(anchors.enter(chain([envelope]), None, None, "fleet"))
    assert "no bundle here" in str(anchors.enter(chain([envelope]), None, digest("other"), "fleet"))
    assert "fleet" in str(anchors.enter(chain([envelope]), None, root_hash(envelope), "other"))


def test_an_older_file_never_rolls_a_start_back_and_a_newer_one_carries_it_on() -> None:
    held = anchored(draft(version=3))
    for old in ([signed(draft())], [signed(draft(version=2))], [signed(draft(version=3, groups=["x"]))]):
        found = anchors.enter(chain(old), held.dump(), None, "fleet")
        assert isinstance(found, anchors.Anchor)
        assert found.bundle == held.bundle
    found = anchors.enter(chain([signed(draft(version=4))]), held.dump(), None, "fleet")
    assert isinstance(found, anchors.Anchor)
    assert found.bundle.version == 4
    assert found.homeowner.keys() == held.homeowner.keys()


def test_another_root_hash_in_the_configuration_does_not_replace_what_is_kept() -> None:
    mine = signed(draft(keys=listed(root=("mine1", "mine2"))), "mine1", "mine2")
    found = anchors.enter(chain([mine]), anchored().dump(), root_hash(mine), "fleet")
    assert isinstance(found, anchors.Anchor)
    assert found.bundle == anchored().bundle


@pytest.mark.parametrize("change", [
    {"v": 1}, {"rooted": "x"}, {"rooted": [1]}, {"told": 1},
    {"homeowner": ["x"]}, {"heard": {"x": "1"}}, {"heard": []}, {"root_hash": 1}, {"since_ms": "1"}, {"v": 2},
    {"heard": {str(n): n for n in range(65)}}, {"extra": 1},
    {"bundle": {}}, {"bundle": signed(draft(), "root1")}, {"homeowner": [entry(key("a"))["x"]] * 5},
], ids=lambda c: str(c)[:30])  # fmt: skip
def test_a_kept_state_that_was_tampered_with_is_refused(change: dict[str, object]) -> None:
    raw = json.loads(anchored().dump()) | change
    assert isinstance(anchors.parse(json.dumps(raw).encode()), str)
    assert "keys enrol" in str(anchors.enter(chain([signed(draft())]), json.dumps(raw).encode(), None, "fleet"))


def test_what_is_kept_is_read_again() -> None:
    held = replace(anchored().spoken(kid("homeowner"), 7), since_ms=9)
    assert anchors.parse(held.dump()) == held
    assert held.named({}).heard == {kid("homeowner"): 7}, "it may be named again"
    older = {k: v for k, v in json.loads(held.dump()).items() if k != "since_ms"} | {"v": 2}
    assert anchors.parse(json.dumps(older).encode()) == replace(held, since_ms=0)


def test_numbers_of_the_homeowners_keys_have_an_end_and_those_of_the_present_ones_none() -> None:
    held = anchored().hearing({f"k{n}": n for n in range(60)}).spoken(kid("homeowner"), 7)
    again = held.hearing({kid("homeowner"): 3, "k59": 70}).named(held.homeowner)
    assert len(again.heard) <= anchors.NUMBERS
    assert (again.heard[kid("homeowner")], again.heard["k59"], "k0" in again.heard) == (7, 70, False)


def test_nothing_signed_before_the_home_began_to_trust_is_taken_but_an_opt_out() -> None:
    held = replace(anchored(), since_ms=WALL)
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held)
    home.ready()
    assert counted(home, said(home, "reserve", permille=100, iat=WALL - 1)) == "replay"
    assert posted(home.send(said(home, "opt_out", iat=WALL - 1)), mail.Verb)
    assert kept(home.send(said(home, "reserve", permille=100, iat=WALL)))


def test_another_signing_key_is_told_in_each_birth_and_once_as_an_event() -> None:
    made = [{"payload": "a", "signatures": []}, {"payload": "b", "signatures": []}]
    held = anchored()
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held, rotations=tuple(made))
    [write] = kept(home.up())
    assert write.event == {"event": "rotate", "kid": kid_of(DEVICE_SEED), "rotation": made[-1]}
    [born] = published(home.effects, "birth")
    assert jose_open(born.payload)["rotations"] == made
    after = anchors.parse(write.state)
    assert isinstance(after, anchors.Anchor)
    again = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=after, rotations=tuple(made))
    assert not kept(again.up())
    assert "rotations" in jose_open(published(again.effects, "birth")[0].payload)


def test_half_of_a_bundles_life_is_an_event_and_so_are_four_fifths_and_all() -> None:
    home = home_of(draft(life_ms=10 * DAY_MS))  # issued a day ago
    seen = []
    for _ in range(10):
        seen += [write.event for write in kept(home.sample())]
        home.later(DAY_MS / 1000)
    assert [each["used_pct"] for each in seen if each] == [50, 80, 100]
    assert all(each and each["version"] == 1 and each["sentence"] for each in seen)


def test_a_config_shows_no_seed() -> None:
    assert "seed" not in repr(enrolled())
    assert parsed(signed(draft()))


def test_every_reason_of_a_bundle_stands_on_the_integrators_page() -> None:
    from pathlib import Path

    root = Path(__file__).parents[2]
    sources = "".join(
        (root / "agent/link" / f"{name}.py").read_text("utf-8") for name in ("bundle", "trusting", "inbound")
    )
    page = (root / "docs/integrator.md").read_text("utf-8")
    reasons = set(re.findall(r'"((?:trust|key)_[a-z]+)"', sources))
    assert len(reasons) >= 8
    assert not [reason for reason in reasons if f"`{reason}`" not in page]
