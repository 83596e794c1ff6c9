"""Configuration, default control and releases over a session: what waits for the time, and what the link does of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent import mail
from agent.link.trust import of_bundle
from agent.runtime.part import Effect, MqttMessage, MqttSubscribe
from hil.bundles import DAY_MS, chain, entry
from hil.protocol.vectors_documents import CONFIG, DEFAULT, FIRMWARE
from tests.link.home import WALL, Home, down, jose_sign, posted, published, seed_of
from tests.link.roots import anchored, draft, key, kid, listed, signed
from tests.link.test_trust_link import counted, home_of

LATER = draft().next(keys=listed(operations=("later",)), revoked=[kid("operations")])


def said(home: Home, kind: str, body: dict[str, Any], role: str = "operations", **changes: Any) -> MqttMessage:
    claims = home.agg.claims(home.now, **(body | {"exp": home.now.wall_ms + 30 * DAY_MS} | changes))
    return down(kind, jose_sign(seed_of(role), f"battery-{kind}+jws", json.dumps(claims).encode()), retain=True)


def manifest(home: Home, *names: str, **changes: Any) -> MqttMessage:
    claims = home.agg.claims(home.now, **(FIRMWARE | {"exp": home.now.wall_ms + 30 * DAY_MS} | changes))
    found = [jose_sign(seed_of(n), "battery-firmware+jws", json.dumps(claims).encode()).split(b".") for n in names]
    parts = [{"protected": head.decode(), "signature": tail.decode()} for head, _, tail in found]
    return down("firmware", json.dumps({"payload": found[0][1].decode(), "signatures": parts}).encode(), retain=True)


def taken(effects: list[Effect]) -> list[tuple[str, int]]:
    return [(doc.kind, doc.version) for doc in posted(effects, mail.Document)]


def unsynced(**changes: Any) -> Home:
    """Connected; nobody has told the time."""
    held = anchored(draft(**changes))
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held, synced=False)
    home.up()
    return home


def test_what_the_broker_kept_waits_for_the_time_and_the_latest_of_each_is_taken() -> None:
    home = unsynced()
    for message in (
        said(home, "config", CONFIG | {"version": 5}), said(home, "config", CONFIG), said(home, "default", DEFAULT),
        manifest(home, "firmware1", "firmware2"),
    ):  # fmt: skip
        assert taken(home.send(message)) == []
    assert home.session._counters == {}
    assert taken(home.send(home.agg.time(home.now))) == [("config", 5), ("default", 2), ("firmware", 7000)]
    assert taken(home.send(home.agg.time(home.now))) == []
    assert counted(home, said(home, "config", CONFIG)) == "version_rollback"


@pytest.mark.parametrize(
    ("changes", "counter"),
    [({"iat": 0, "exp": DAY_MS}, "expired"), ({"iat": WALL + 60_000, "exp": WALL + 60_001}, "future")],
)
def test_what_turns_out_to_be_out_of_time_is_refused_then(changes: Any, counter: str) -> None:
    home = unsynced()
    home.send(said(home, "config", CONFIG, **changes))
    assert taken(home.send(home.agg.time(home.now))) == []
    assert home.session._counters == {counter: 1}
    home.ready()
    assert taken(home.send(said(home, "config", CONFIG))) == [("config", 4)]


def test_a_key_that_is_revoked_while_its_word_waits_says_nothing() -> None:
    home = unsynced()
    home.send(said(home, "config", CONFIG))
    home.send(manifest(home, "firmware1", "firmware2"))
    gone = dict(LATER.keys) | {"firmware": [entry(key(n)) for n in ("firmware1", "firmware3")]}
    home.send(
        down("trust", chain([signed(draft()), signed(draft().next(keys=gone, revoked=[kid("operations")]))]), True)
    )
    assert taken(home.send(home.agg.time(home.now))) == []
    assert home.session._counters == {"key_time": 2}


def test_an_expired_bundle_and_a_key_outside_its_time_set_nothing() -> None:
    home = home_of(draft(life_ms=DAY_MS + 60_000))
    home.later(61)
    home.send(home.agg.time(home.now))
    assert counted(home, said(home, "config", CONFIG)) == "trust_expired"
    assert counted(home, manifest(home, "firmware1", "firmware2")) == "trust_expired"
    old: dict[str, object] = {**entry(key("operations")), "exp": home.now.wall_ms - 1}
    other = home_of(draft(keys={**listed(), "operations": [old]}))
    other.later(62)
    assert counted(other, said(other, "default", DEFAULT)) == "key_time"


def test_a_plain_trust_file_takes_configuration_and_no_release() -> None:
    home = Home()
    home.ready()
    assert taken(home.send(said(home, "config", CONFIG))) == [("config", 4)]
    assert counted(home, manifest(home, "firmware1", "firmware2")) == "trust_root"


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b"x" * 20_000, b'{"bundles":[]}'])
def test_a_manifest_that_is_none(payload: bytes) -> None:
    assert counted(home_of(), down("firmware", payload)) in ("bad_format", "oversized")


def test_a_payload_that_is_no_json_under_two_good_signatures() -> None:
    parts = [jose_sign(seed_of(n), "battery-firmware+jws", b"[1]").split(b".") for n in ("firmware1", "firmware2")]
    signatures = [{"protected": head.decode(), "signature": tail.decode()} for head, _, tail in parts]
    body = {"payload": parts[0][1].decode(), "signatures": signatures}
    assert counted(home_of(), down("firmware", json.dumps(body).encode())) == "trust_threshold"


def test_a_flood_of_manifests_costs_four_looks() -> None:
    home = home_of()
    for _ in range(50):
        home.send(down("firmware", b"{}"))
    assert home.session._counters == {"bad_format": 4, "flood": 46}


# --- what control makes of it -----------------------------------------------------------------------------------------
def test_groups_length_of_batches_and_pace_of_live_follow_at_once() -> None:
    home = home_of()
    south = MqttMessage(
        "battery/v1/fleet/group/south/command", home.agg.command(home.now, aud="grp:south").payload, 1, False
    )
    assert counted(home, south) == "bad_typ"
    assert posted(home.send(group(home, "north")), object)
    effects = home.send(mail.LinkSettings(groups=("south", "north"), batch_s=3, live_s=10))
    assert not [e for e in effects if isinstance(e, MqttSubscribe)], "the bundle does not list south"
    lists = [signed(draft()), signed(draft().next(groups=["north", "south"]))]
    [subscribed] = [e for e in home.send(down("trust", chain(lists), True)) if isinstance(e, MqttSubscribe)]
    assert subscribed.topics == (("battery/v1/fleet/group/south/command", 1),)
    home.send(mail.LinkSettings(groups=("south", "south"), batch_s=3, live_s=10))
    assert counted(home, group(home, "north")) == "bad_typ"
    batches = [b for _ in range(7) for b in posted(second(home), mail.AppendBatch)]
    assert [batch.samples for batch in batches] == [3, 3]
    lives = [p for _ in range(20) for p in published(second(home, dispatched=True), "live")]
    assert len(lives) == 3, "after nine tenths of 10 s"
    home.send(mail.LinkSettings())
    assert posted(home.send(group(home, "north")), object)


def group(home: Home, name: str) -> MqttMessage:
    token = home.agg.token(home.now, "dispatch", "command", aud=f"grp:{name}", kind="dispatch", power_w=1, duration_s=5)
    return MqttMessage(f"battery/v1/fleet/group/{name}/command", token, 1, False)


def second(home: Home, dispatched: bool = False) -> list[Effect]:
    home.later(1)
    return home.sample(dispatched)


def test_a_start_goes_on_with_what_was_set() -> None:
    from agent.remote import Settings

    home = Home(floors={"config": (4, "x")}, settings=Settings(batch_s=2, live_s=10, groups=("north",)))
    home.ready()
    assert counted(home, said(home, "config", CONFIG)) == "version_fork"
    assert len(posted([*second(home), *second(home), *second(home)], mail.AppendBatch)) == 2, (
        "with that of the connection"
    )


def test_control_hears_of_the_service_while_it_asks() -> None:
    home = home_of()
    assert not posted(home.send(home.agg.receipt(home.now, 0)), mail.ServiceHeard)
    home.send(mail.LinkSettings(trial=True))
    assert len(posted(home.send(home.agg.receipt(home.now, 0)), mail.ServiceHeard)) == 1
    assert len(posted(home.send(home.agg.time(home.now)), mail.ServiceHeard)) == 1
    assert not posted(home.send(home.agg.command(home.now)), mail.ServiceHeard)
    home.send(mail.LinkSettings(trial=False))
    assert not posted(home.send(home.agg.receipt(home.now, 0)), mail.ServiceHeard)


def test_a_version_may_not_jump_far() -> None:
    for kind, body in (("config", CONFIG), ("default", DEFAULT)):
        home = home_of()
        assert counted(home, said(home, kind, body | {"version": (1 << 30) + 1})) == "version_jump"
        assert taken(home.send(said(home, kind, body | {"version": 7}))) == [(kind, 7)]
        assert counted(home, said(home, kind, body | {"version": 1_000_008})) == "version_jump"
        assert taken(home.send(said(home, kind, body | {"version": 1_000_007}))) == [(kind, 1_000_007)]


def test_a_revoked_key_is_told_of_and_what_the_broker_keeps_is_asked_for_again() -> None:
    home = home_of()
    [doc] = posted(home.send(said(home, "config", CONFIG | {"version": 9})), mail.Document)
    assert doc.kid == kid("operations")
    effects = home.send(down("trust", chain([signed(draft()), signed(LATER)]), retain=True))
    assert posted(effects, mail.KeysRevoked) == [mail.KeysRevoked(frozenset({kid("operations")}))]
    effects = home.send(mail.LinkSettings({}))
    assert [topic for e in effects if isinstance(e, MqttSubscribe) for topic, _ in e.topics] == [
        "battery/v1/fleet/home1/down/#"
    ]
    assert taken(home.send(said(home, "config", CONFIG | {"version": 1}, role="later"))) == [("config", 1)]
    held = anchored(LATER)
    again = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held)
    again.up()
    assert posted(again.effects, mail.KeysRevoked) == [mail.KeysRevoked(frozenset({kid("operations")}))]
