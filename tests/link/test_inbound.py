"""Every reason for which a message moves nothing, each with its counter; and what passes nevertheless."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent import mail
from agent.core.command import CommandKind, RampClass
from agent.core.durable import Window
from agent.core.inputs import CommandIn, FreshTime
from agent.link.budgets import Bucket
from agent.runtime.part import Effect, Log, MqttMessage, Wake
from tests.link.home import ROOT, WALL, Home, S, down, jose_sign, kid_of, posted, published, seed_of


@pytest.fixture
def home() -> Home:
    home = Home()
    home.ready()
    return home


def refused(home: Home, message: MqttMessage) -> str:
    """The one counter that rose; nothing may have been posted but LinkState, and nothing published."""
    before = dict(home.session._counters)
    effects = home.send(message)
    assert all(isinstance(event, mail.LinkState) for event in posted(effects, object))
    assert published(effects) == []
    rose = {k: v - before.get(k, 0) for k, v in home.session._counters.items() if v != before.get(k, 0)}
    assert list(rose.values()) == [1], rose
    return next(iter(rose))


def taken(effects: list[Effect]) -> list[CommandIn]:
    return posted(effects, CommandIn)


def signed(home: Home, role: str = "dispatch", typ: str = "command", **claims: Any) -> bytes:
    body = home.agg.claims(home.now, kind="dispatch", power_w=1, duration_s=60) | claims
    return jose_sign(seed_of(role), f"battery-{typ}+jws", json.dumps(body).encode())


# --- what is refused, in the order of the checks ----------------------------------------------------------------------
def test_topic_that_is_not_served(home: Home) -> None:
    token = home.agg.command(home.now).payload
    for leaf in ("config", "default", "homeowner", "nonsense", "command/x", ""):
        assert refused(home, down(leaf, token)) == "bad_typ"
    assert refused(home, MqttMessage("battery/v1/fleet/group/south/command", token, 1, False)) == "bad_typ"
    assert refused(home, MqttMessage(f"{ROOT}/up/state", token, 1, False)) == "bad_typ"


def test_retained_command(home: Home) -> None:
    assert refused(home, down("command", home.agg.command(home.now).payload, retain=True)) == "retained"
    assert refused(home, down("command", home.agg.command(home.now, kind="stop").payload, retain=True)) == "retained"


def test_oversized_command(home: Home) -> None:
    assert refused(home, down("command", b"a" * 4097)) == "oversized"


def test_garbage(home: Home) -> None:
    assert refused(home, down("command", b"\x00\xff")) == "bad_format"


def test_unknown_key(home: Home) -> None:
    assert refused(home, down("command", signed(home, "stranger"))) == "unknown_key"


@pytest.mark.parametrize("role", ["service", "operations", "homeowner"])
def test_role_that_may_not_dispatch(home: Home, role: str) -> None:
    assert refused(home, down("command", signed(home, role))) == "bad_role"


@pytest.mark.parametrize("role", ["dispatch", "operations", "homeowner"])
def test_role_that_may_not_tell_the_time(home: Home, role: str) -> None:
    assert refused(home, home.agg.time(home.now, role=role)) == "bad_role"


def test_typ_of_another_topic(home: Home) -> None:
    assert refused(home, down("command", signed(home, typ="time"))) == "bad_typ"
    assert refused(home, down("receipt", home.agg.time(home.now).payload)) == "bad_typ"


def test_forged_signature(home: Home) -> None:
    token = jose_sign(seed_of("stranger"), "battery-command+jws", b"{}", kid=kid_of(seed_of("dispatch")))
    assert refused(home, down("command", token)) == "bad_signature"


@pytest.mark.parametrize(
    "claims",
    [
        {"v": True}, {"id": "x"}, {"id": "A" * 32}, {"id": 5}, {"iss": "a|b"}, {"iss": ""}, {"iss": "x" * 65},
        {"aud": ["dev:home1"]}, {"aud": None}, {"seq": -1}, {"seq": 2**63}, {"seq": "1"}, {"seq": 1.0}, {"iat": -1},
        {"iat": 1.5}, {"exp": "soon"}, {"exp": WALL - 1}, {"exp": WALL + 86_400_001}, {"kind": "detonate"}, {"kind": 1},
        {"power_w": 1.5}, {"power_w": "5000"}, {"power_w": True}, {"power_w": 10**7}, {"power_w": None},
        {"duration_s": 0}, {"duration_s": 86_401}, {"start": "now"}, {"start": -5}, {"primacy": 256}, {"primacy": -1},
        {"ramp": "fast"}, {"ramp": 1}, {"surprise": 1}, {"target": "0" * 32}, {"b": {}}, {"nbf": 0},
    ],
    ids=str,
)  # fmt: skip
def test_body_that_is_not_exactly_the_schema(home: Home, claims: dict[str, Any]) -> None:
    assert refused(home, down("command", signed(home, **claims))) == "bad_body"


@pytest.mark.parametrize("name", ["v", "id", "iss", "aud", "seq", "iat", "exp", "kind", "power_w", "duration_s"])
def test_body_with_a_claim_missing(home: Home, name: str) -> None:
    body = home.agg.claims(home.now, kind="dispatch", power_w=1, duration_s=60)
    del body[name]
    token = jose_sign(seed_of("dispatch"), "battery-command+jws", json.dumps(body).encode())
    assert refused(home, down("command", token)) == "bad_body"


@pytest.mark.parametrize("aud", ["dev:home2", "dev:home1x", "grp:north", "agg:fleet", "dev:HOME1", "home1"])
def test_audience_of_another_home_or_of_a_group_on_our_own_topic(home: Home, aud: str) -> None:
    assert refused(home, down("command", signed(home, aud=aud))) == "bad_audience"
    assert refused(home, down("command", signed(home, aud=aud, kind="stop"))) in ("bad_audience", "bad_body")


def test_group_command_is_for_its_group_only(home: Home) -> None:
    topic = "battery/v1/fleet/group/north/command"
    assert taken(home.send(MqttMessage(topic, signed(home, aud="grp:north"), 1, False)))
    for aud in ("dev:home1", "grp:south"):
        assert refused(home, MqttMessage(topic, signed(home, aud=aud), 1, False)) == "bad_audience"


def test_replayed_token_is_a_duplicate_and_moves_nothing(home: Home) -> None:
    message = home.agg.command(home.now)
    assert taken(home.send(message))
    assert refused(home, message) == "duplicate"


def test_same_id_with_another_content(home: Home) -> None:
    first = signed(home, id="5" * 32)
    assert taken(home.send(down("command", first)))
    assert refused(home, down("command", signed(home, id="5" * 32, power_w=2))) == "replay"


def test_used_or_old_sequence_number(home: Home) -> None:
    assert taken(home.send(down("command", signed(home, seq=1000))))
    assert refused(home, down("command", signed(home, seq=1000))) == "replay"
    assert refused(home, down("command", signed(home, seq=936))) == "replay"
    assert taken(home.send(down("command", signed(home, seq=937))))


def test_sequence_number_that_would_burn_the_number_space(home: Home) -> None:
    assert taken(home.send(down("command", signed(home, seq=1000))))
    assert refused(home, down("command", signed(home, seq=1000 + 2**32 + 1))) == "replay"
    stop = {"kind": "stop", "power_w": None, "duration_s": None}
    body = {k: v for k, v in (home.agg.claims(home.now) | stop).items() if v is not None}
    assert taken(home.send(down("command", jose("operations", body | {"seq": 5}))))
    assert taken(home.send(down("command", jose("operations", body | {"seq": 2**40, "id": "9" * 32}))))


def jose(role: str, body: dict[str, Any]) -> bytes:
    return jose_sign(seed_of(role), "battery-command+jws", json.dumps(body).encode())


def test_one_key_cannot_open_streams_without_end(home: Home) -> None:
    for n in range(4):
        assert taken(home.send(down("command", signed(home, iss=f"agg:{n}"))))
    assert refused(home, down("command", signed(home, iss="agg:more"))) == "replay"


def test_expired_command_by_our_clock_on_the_millisecond(home: Home) -> None:
    good = signed(home, exp=WALL + 1000)
    late = signed(home, exp=WALL + 1000)
    home.later(1.0)
    home.sample()
    assert taken(home.send(down("command", good)))
    home.later(0.001)
    assert refused(home, down("command", late)) == "expired"


def test_command_from_the_future(home: Home) -> None:
    assert taken(home.send(down("command", signed(home, iat=WALL + 30_000, exp=WALL + 60_000))))
    assert refused(home, down("command", signed(home, iat=WALL + 30_001, exp=WALL + 60_000))) == "future"


def test_nothing_new_before_a_signed_time_echoes_this_boot() -> None:
    home = Home()
    home.up()
    message = home.agg.command(home.now)
    assert refused(home, message) == "not_fresh"
    assert refused(home, home.agg.time(home.now, nonce="0" * 32)) == "replay"
    assert posted(home.send(home.agg.time(home.now)), FreshTime)
    assert taken(home.send(message)), "a refusal for freshness must not use the number up"


# --- what passes nevertheless -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["cancel", "stop"])
@pytest.mark.parametrize("role", ["dispatch", "operations"])
def test_cancel_and_stop_pass_without_clock_and_freshness(kind: str, role: str) -> None:
    home = Home(synced=False)
    home.up()
    extra = {"target": "7" * 32} if kind == "cancel" else {}
    (got,) = taken(home.send(home.agg.command(home.now, role, kind=kind, **extra)))
    assert got.command.kind is CommandKind(kind)
    home.later(86_400)
    old = home.agg.claims(home.now, kind=kind, iat=1, exp=2, **extra)
    assert taken(home.send(down("command", jose(role, old))))


def test_stop_still_needs_signature_audience_role_and_a_new_number(home: Home) -> None:
    stop = home.agg.command(home.now, kind="stop")
    assert taken(home.send(stop))
    assert refused(home, stop) == "duplicate"
    assert refused(home, home.agg.command(home.now, "service", kind="stop")) == "bad_role"
    assert refused(home, home.agg.command(home.now, kind="stop", aud="dev:home2")) == "bad_audience"


def test_flood_of_valid_commands_is_capped_but_stop_and_cancel_are_not(home: Home) -> None:
    results = [home.send(home.agg.command(home.now)) for _ in range(30)]
    assert sum(len(taken(r)) for r in results) == 20
    assert home.session._counters == {"flood": 10}
    assert taken(home.send(home.agg.command(home.now, kind="stop")))
    assert taken(home.send(home.agg.command(home.now, kind="cancel", target="1" * 32)))
    home.later(1)
    assert sum(len(taken(home.send(home.agg.command(home.now)))) for _ in range(10)) == 5


def test_a_command_dropped_by_flood_control_passes_when_sent_again(home: Home) -> None:
    messages = [home.agg.command(home.now) for _ in range(25)]
    for message in messages:
        home.send(message)
    home.later(10)
    home.sample()
    assert [len(taken(home.send(m))) for m in messages[20:]] == [1] * 5


def test_forged_signatures_cost_at_most_200_verifications_a_second(home: Home) -> None:
    token = jose_sign(seed_of("stranger"), "battery-command+jws", b"{}", kid=kid_of(seed_of("dispatch")))
    for _ in range(1000):
        home.send(down("command", token))
    assert home.session._counters["bad_signature"] <= 200
    assert home.session._counters["flood"] >= 800


def test_a_flood_is_told_once_a_second_and_logged_once_a_minute(home: Home) -> None:
    effects = []
    for n in range(1000):
        home.later(0.001)
        effects += home.send(down("command", b"garbage %d" % n))
    assert len([e for e in effects if isinstance(e, Log)]) == 1
    assert len(posted(effects, mail.LinkState)) <= 2
    home.later(1)
    home.send(Wake())
    assert posted(home.effects, mail.LinkState)[-1].counters == {"bad_format": 1000}


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "schedule", "start": WALL, "interval_s": 900, "powers_w": [-3000, None]},
        {
            "kind": "session",
            "start": WALL,
            "duration_s": 600,
            "lo_w": -1,
            "hi_w": 1,
            "seq_from": 100,
            "seq_to": 109,
        },
        {"kind": "price", "start": WALL, "interval_s": 900, "prices_micro_per_kwh": [1, -2], "currency": "USD"},
        {"kind": "quote", "power_w": 5000, "duration_s": 600},
    ],
    ids=lambda body: str(body["kind"]),
)
def test_kinds_that_come_later_are_parsed_strictly_and_passed_on(home: Home, body: dict[str, Any]) -> None:
    (got,) = taken(home.send(home.agg.command(home.now, **body)))
    assert got.command.kind is CommandKind(body["kind"])
    assert refused(home, home.agg.command(home.now, **body, more=1)) == "bad_body"


def test_a_dispatch_arrives_in_the_core_as_it_was_signed(home: Home) -> None:
    message = home.agg.command(
        home.now, power_w=-2500, duration_s=900, start=WALL + 5000, primacy=3, ramp="urgent", id="e" * 32
    )
    (got,) = taken(home.send(message))
    command = got.command
    assert (command.id, command.issuer, command.power_w, command.duration_s) == ("e" * 32, "agg:fleet", -2500, 900)
    assert (command.start_ms, command.primacy, command.ramp) == (WALL + 5000, 3, RampClass.URGENT)
    assert (command.created_ms, command.exp_ms) == (WALL, WALL + 60_000)
    assert len(command.digest) == 64


def test_a_dispatch_without_a_ramp_is_direct_and_one_with_a_start_is_scheduled(home: Home) -> None:
    (direct,) = taken(home.send(home.agg.command(home.now)))
    (later,) = taken(home.send(home.agg.command(home.now, start=WALL + 5000)))
    assert (direct.command.ramp, later.command.ramp) == (RampClass.DIRECT, RampClass.SCHEDULED)


def test_windows_and_ids_of_the_last_boot_still_hold() -> None:
    first = Home()
    first.ready()
    message = first.agg.command(first.now)
    (got,) = taken(first.send(message))
    again = Home(windows=got.windows, known=[(got.command.id, got.command.digest)])
    again.ready()
    assert refused(again, message) == "duplicate"
    forgotten = Home(windows=got.windows)
    forgotten.ready()
    assert refused(forgotten, message) == "replay"
    stream, window = got.windows[0]
    assert stream == f"agg:fleet|{kid_of(seed_of('dispatch'))}|dev:home1"
    assert window == Window(2, 1)


def test_bucket_refills_at_its_rate_up_to_its_burst() -> None:
    bucket = Bucket(5, 20)
    assert sum(bucket.take(0) for _ in range(100)) == 20
    assert not bucket.take(S // 5 - 1)
    assert bucket.take(S // 5)
    assert not bucket.take(S // 5)
    assert sum(bucket.take(1000 * S) for _ in range(100)) == 20


def test_memory_of_commands_is_bounded(home: Home) -> None:
    for _ in range(400):
        home.later(0.2)
        home.sample()
        assert taken(home.send(home.agg.command(home.now)))
    assert len(home.session._inbound._numbers.known) == 256
