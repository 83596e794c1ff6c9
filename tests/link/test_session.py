from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import mail
from agent.core.command import CommandKind
from agent.core.inputs import CommandIn, FreshTime
from agent.link import jws
from agent.runtime import part
from agent.runtime.part import (
    Effect,
    MqttConnect,
    MqttDisconnect,
    MqttDown,
    MqttSubscribe,
    MqttUp,
    Start,
    Stop,
    Stopped,
    Wake,
    WakeAt,
)
from tests.link.home import BOOT, ROOT, WALL, Home, S, down, jose_open, posted, published


def test_start_connects_with_a_will_and_asks_the_store_what_is_left() -> None:
    home = Home()
    effects = home.send(Start())
    (connect,) = [e for e in effects if isinstance(e, MqttConnect)]
    assert (connect.broker, connect.client_id, connect.will_topic) == (0, "home1", f"{ROOT}/up/state")
    assert connect.will_payload == b'{"state":"lost","boot":"%s"}' % BOOT.encode()
    assert posted(effects, mail.LoadBacklog) == [mail.LoadBacklog(0, 64, batches=False)]


def test_each_connection_begins_with_subscription_ready_birth_and_one_live_record() -> None:
    home = Home()
    effects = home.up()
    (subscribe,) = [e for e in effects if isinstance(e, MqttSubscribe)]
    assert subscribe.topics == ((f"{ROOT}/down/#", 1), ("battery/v1/fleet/group/north/command", 1))
    state, birth, live = published(effects)
    assert (state.topic, state.payload, state.qos, state.retain) == (
        f"{ROOT}/up/state", b'{"state":"ready","boot":"%s"}' % BOOT.encode(), 1, True,
    )  # fmt: skip
    assert (birth.topic, birth.qos, birth.retain) == (f"{ROOT}/up/birth", 1, True)
    claims = jose_open(birth.payload)
    assert (claims["nonce"], claims["iss"], claims["aud"], claims["seq"]) == (BOOT, "dev:home1", "agg:fleet", 1)
    assert (claims["v"], claims["iat"], claims["exp"] - claims["iat"]) == (1, WALL, 90 * 86_400_000)
    assert len(claims["id"]) == 32
    assert (live.topic, live.qos, live.retain) == (f"{ROOT}/up/live", 0, False)
    claims = jose_open(live.payload)
    assert (claims["soc_permille"], claims["exp"] - claims["iat"]) == (500, 60_000)


def test_a_dispatch_after_a_signed_time_goes_to_control_with_its_window() -> None:
    home = Home()
    home.up()
    effects = home.send(home.agg.time(home.now))
    assert len(posted(effects, FreshTime)) == 1
    assert posted(effects, mail.LinkState)[0].fresh
    (command,) = posted(home.send(home.agg.command(home.now)), CommandIn)
    assert (command.command.kind, command.command.power_w) == (CommandKind.DISPATCH, 5000)
    ((stream, window),) = command.windows
    assert stream.startswith("agg:fleet|")
    assert stream.endswith("|dev:home1")
    assert (window.high, window.bitmap) == (2, 1)


def test_a_lost_connection_is_tried_again_with_jitter_on_the_next_broker() -> None:
    home = Home(backoff_floor_ns=S, backoff_cap_ns=120 * S)
    home.up()
    pauses = []
    for attempt in range(12):
        effects = home.send(MqttDown("gone"))
        (wake,) = [e.at_ns for e in effects if isinstance(e, WakeAt)]
        pauses.append((wake - home.now.mono_ns) / S)
        home.later(pauses[-1] + 1e-6)
        (connect,) = [e for e in home.send(Wake()) if isinstance(e, MqttConnect)]
        assert connect.broker == (attempt + 1) % 2
    assert all(1 <= pause <= 120 for pause in pauses)
    assert len(set(pauses)) > 8
    assert max(pauses) > 30
    assert home.send(MqttUp())


def test_rows_of_the_disk_are_published_once_and_kept_until_the_receipt() -> None:
    home = Home()
    home.ready()
    effects = home.store("ack", command_id="0" * 32, state="received")
    (row,) = published(effects, "/up/ack")
    assert jose_open(row.payload)["state"] == "received"
    home.ack(row)
    effects = home.send(home.agg.receipt(home.now, 1))
    assert posted(effects, mail.Receipted) == [mail.Receipted(1, ())]


def test_a_changed_profile_is_a_new_birth_but_at_most_one_in_two_seconds() -> None:
    home = Home()
    home.up()
    home.later(2)
    (birth,) = published(home.send(mail.Profile({"reserve_permille": 300})), "/birth")
    assert jose_open(birth.payload)["reserve_permille"] == 300
    effects = []
    for reserve in (400, 500, 600):
        home.later(0.1)
        effects += home.send(mail.Profile({"reserve_permille": reserve}))
    assert published(effects, "/birth") == []
    wakes = [e.at_ns for e in effects if isinstance(e, WakeAt)]
    home.later(2)
    assert wakes[0] <= home.now.mono_ns
    (birth,) = published(home.send(Wake()), "/birth")
    assert (jose_open(birth.payload)["reserve_permille"], jose_open(birth.payload)["seq"]) == (600, 3)


def test_birth_tells_where_the_outbox_stands_and_a_profile_cannot_overwrite_a_claim() -> None:
    home = Home()
    home.send(Start())
    rows = tuple(home.row("batch") for _ in range(20))[6:16]
    home.send(mail.Backlog(rows, 20))
    home.send(mail.Profile({"seq": 99, "iss": "dev:other", "stated_end_s": 75}))
    (birth,) = published(home.send(MqttUp()), "/birth")
    claims = jose_open(birth.payload)
    assert claims["outbox"] == {"first": 7, "last": 20}
    assert (claims["iss"], claims["seq"], claims["stated_end_s"]) == ("dev:home1", 1, 75)


def test_live_runs_while_dispatched_or_asked_and_not_otherwise() -> None:
    home = Home(live_ns=1 * S)
    home.ready()

    def lives(seconds: int, dispatched: bool) -> int:
        count = 0
        for _ in range(seconds):
            home.later(1)
            count += len(published(home.sample(dispatched), "/live"))
        return count

    assert lives(5, dispatched=False) == 0
    assert lives(5, dispatched=True) == 5
    home.send(home.agg.time(home.now, live_s=10))
    assert lives(20, dispatched=False) == 10


def test_the_live_record_of_a_connection_waits_for_the_first_sample() -> None:
    home = Home()
    assert published([*home.send(Start()), *home.send(MqttUp())], "/live") == []
    (live,) = published(home.sample(battery_w=1234), "/live")
    claims = jose_open(live.payload)
    assert (claims["battery_w"], claims["clock"], claims["boot"], claims["seq"]) == (1234, "synced", BOOT, 1)


def blocks(effects: list[Effect]) -> list[dict[str, Any]]:
    return [json.loads(zlib.decompress(batch.payload, -15)) for batch in posted(effects, mail.AppendBatch)]


def test_a_block_of_samples_goes_to_the_store_and_from_there_to_the_broker_as_one_batch() -> None:
    home = Home(block_s=5)
    home.ready()
    home.effects.clear()
    for n in range(12):
        home.later(1)
        home.sample(battery_w=n)
    first, second = blocks(home.effects)
    assert first["cols"] == ["dt_ms", "soc_permille", "battery_w"]
    assert [row[2] for row in second["rows"]] == [4, 5, 6, 7, 8]  # one sample was there before
    assert [row[0] for row in second["rows"]] == [0, 1000, 2000, 3000, 4000]
    assert posted(home.effects, mail.AppendBatch)[0].samples == 5
    assert first["counters"] == {}
    assert published(home.effects, "/batch") == [], "telemetry is never sent before it is stored"
    payload = posted(home.effects, mail.AppendBatch)[1].payload
    row = mail.OutboxRow(1, "batch", BOOT, home.now.wall_ms, 7, "synced", payload)
    (batch,) = published(home.send(mail.Stored((row,))), "/batch")
    claims = jose_open(batch.payload)
    assert (claims["rows"], claims["seq"], claims["mono_ms"]) == (second["rows"], 1, 7)
    assert len(batch.payload) < jws.BATCH_MAX


def test_what_was_refused_goes_up_in_the_next_block_by_its_reason() -> None:
    home = Home(block_s=5)
    home.ready()
    home.send(down("command", b"no token"))
    home.send(down("command", b"no token either"))
    home.send(down("command", b"x" * 5000))
    home.effects.clear()
    for _ in range(6):
        home.later(1)
        home.sample(battery_w=0)
    assert blocks(home.effects)[0]["counters"] == {"bad_format": 2, "oversized": 1}


def test_a_step_of_the_clock_or_of_its_trust_closes_the_block() -> None:
    home = Home(block_s=60)
    home.ready()
    for n in range(10):
        home.later(1)
        if n == 5:
            home.now = home.now._replace(wall_ms=home.now.wall_ms + 3_600_000)
        home.synced = n < 8
        home.sample()
    home.send(Stop())
    assert [len(block["rows"]) for block in blocks(home.effects)] == [6, 3, 2]
    assert [b.clock.trust for b in posted(home.effects, mail.AppendBatch)] == ["synced", "synced", "untrusted"]


def test_a_missing_value_is_null_and_a_late_name_gets_its_column() -> None:
    home = Home(block_s=2)
    home.send(Start())
    home.sample(pv_w=None)
    home.later(1)
    home.sample(extra=1)
    (block,) = blocks(home.effects)
    assert block["cols"] == ["dt_ms", "soc_permille", "battery_w", "pv_w", "extra"]
    assert block["rows"] == [[0, 500, 0, None, None], [1000, 500, 0, None, 1]]


@pytest.mark.parametrize("kind", ["ack", "batch", "event", "settlement"])
def test_a_row_published_again_is_the_same_byte_for_byte(kind: str) -> None:
    home = Home()
    home.ready()
    (once,) = published(home.store(kind, command_id="1" * 32), f"/{kind}")
    home.send(MqttDown("gone"))
    home.later(200)
    home.send(Wake())
    effects = [*home.send(MqttUp()), *home.send(mail.Backlog(tuple(home.disk), len(home.disk)))]
    (again,) = published(effects, f"/{kind}")
    assert (again.payload, again.token) == (once.payload, once.token)


def test_another_boot_signs_a_stored_row_to_the_same_bytes() -> None:
    first, second = Home(), Home()
    first.ready()
    (once,) = published(first.store("ack", command_id="1" * 32), "/ack")
    second.later(5000)
    second.ready()
    (again,) = published(second.send(mail.Stored(tuple(first.disk))), "/ack")
    assert again.payload == once.payload


def test_a_repeated_command_gets_its_stored_ack_at_most_once_in_ten_seconds() -> None:
    home = Home()
    home.ready()
    message = home.agg.command(home.now, id="a" * 32)
    home.send(message)
    (received,) = published(home.store("ack", command_id="a" * 32, state="received"), "/ack")
    (started,) = published(home.store("ack", command_id="a" * 32, state="started"), "/ack")
    home.ack(received, started)
    assert [p.payload for p in published(home.send(message))] == [started.payload]
    assert published(home.send(message)) == []
    home.later(9.9)
    assert published(home.send(message)) == []
    home.later(0.2)
    assert [p.payload for p in published(home.send(message))] == [started.payload]
    assert home.session._counters == {"duplicate": 4}


def test_a_repeated_command_without_an_ack_yet_is_silence() -> None:
    home = Home()
    home.ready()
    message = home.agg.command(home.now)
    home.send(message)
    assert published(home.send(message)) == []


def test_the_signed_time_reaches_control_ahead_of_the_permission_to_dispatch() -> None:
    home = Home(synced=False)
    home.up()
    home.later(2)
    true_ms = home.now.wall_ms + 3_600_000
    effects = home.send(home.agg.time(home.now, wall_ms=true_ms, iat=true_ms, exp=true_ms + 1000))
    kinds = [type(event) for event in posted(effects, object)]
    assert kinds == [mail.LinkState, FreshTime, mail.Anchor]
    assert posted(effects, mail.LinkState)[0].wall_offset_ms == 3_600_000
    assert posted(effects, mail.LinkState)[0].signed == (true_ms, home.now.mono_ns)
    home.later(1)
    assert posted(home.send(home.agg.time(home.now, wall_ms=true_ms + 1000)), FreshTime) == []


def test_link_state_is_told_on_change_only() -> None:
    home = Home()
    home.ready()
    home.effects.clear()
    for _ in range(30):
        home.later(1)
        home.sample()
        home.send(Wake())
    assert posted(home.effects, mail.LinkState) == []
    (state,) = posted(home.store("ack"), mail.LinkState)
    assert (state.up, state.fresh, state.unsent) == (True, True, 1)
    (state,) = posted(home.send(MqttDown("the broker said no")), mail.LinkState)
    assert (state.up, state.detail) == (False, "the broker said no")


def test_a_clean_stop_stores_the_last_block_sends_the_last_rows_and_says_stopped() -> None:
    home = Home(block_s=60)
    home.ready()
    home.later(1)
    home.sample()
    effects = home.send(Stop())
    (block,) = blocks(effects)
    assert len(block["rows"]) == 2
    assert published(effects) == []
    (batch,) = published(home.store("batch"), "/batch")
    (ack,) = published(home.store("ack", command_id="1" * 32), "/ack")
    assert home.ack(batch) == []
    (state,) = published(home.ack(ack), "/state")
    assert state.payload == b'{"state":"stopped","boot":"%s"}' % BOOT.encode()
    assert (state.retain, state.qos) == (True, 1)
    effects = home.ack(state)
    assert isinstance(effects[0], MqttDisconnect)
    assert posted(effects, Stopped) == [Stopped("link")]
    assert home.send(Start()) == []


def test_a_clean_stop_waits_for_neither_a_silent_store_nor_a_silent_broker_longer_than_it_may() -> None:
    home = Home(stop_ns=3 * S)
    home.ready()
    effects = home.send(Stop())
    assert WakeAt(home.now.mono_ns + 3 * S) in effects
    home.later(3)
    assert [p.topic for p in published(home.send(Wake()))] == [f"{ROOT}/up/state"]
    home.later(1)
    assert posted(home.send(Wake()), Stopped) == [Stopped("link")]


def test_a_clean_stop_without_a_broker_needs_only_the_store() -> None:
    home = Home()
    home.send(Start())
    home.sample()
    home.send(Stop())
    assert posted(home.store("batch"), Stopped) == [Stopped("link")]


def test_while_stopping_no_command_is_taken_but_receipts_are() -> None:
    home = Home()
    home.ready()
    home.store("ack")
    home.send(Stop())
    assert posted(home.send(home.agg.command(home.now)), CommandIn) == []
    assert posted(home.send(home.agg.receipt(home.now, 1)), mail.Receipted) == [mail.Receipted(1, ())]


def test_no_answer_from_the_broker_is_a_reason_to_try_again() -> None:
    home = Home()
    home.send(Start())
    home.later(60)
    effects = home.send(Wake())
    assert isinstance(effects[0], MqttDisconnect)
    assert posted(effects, mail.LinkState)[0].detail == "no answer from the broker"


def stored(seq: int, kind: str, payload: bytes) -> mail.Stored:
    return mail.Stored((mail.OutboxRow(seq, kind, BOOT, 1, 1, "synced", payload),))


EVENTS = st.one_of(
    st.builds(
        part.MqttMessage, st.sampled_from([f"{ROOT}/down/command", f"{ROOT}/down/time", "x"]), st.binary(max_size=99),
        st.just(1), st.booleans(),
    ),
    st.sampled_from([Start(), Wake(), MqttUp(), MqttDown("gone"), MqttDown("no"), part.MqttAcked((1, 2))]),
    st.builds(stored, st.integers(1, 9), st.sampled_from(["ack", "batch"]), st.sampled_from([b"[]", b"", b"{}"])),
    st.builds(lambda n: mail.Backlog((), n), st.integers(0, 9)),
    st.sampled_from([mail.Profile({}), object(), None]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=40), st.booleans())
def test_no_order_of_events_raises_and_stop_always_ends(events: list[object], started: bool) -> None:
    home = Home()
    if started:
        home.up()
    for event in events:
        home.later(0.5)
        home.send(event)
    ends = list(home.send(Stop()))
    for _ in range(3):
        home.later(3)
        ends += home.send(Wake())
    assert posted(ends, Stopped) == [Stopped("link")]


def pause(home: Home) -> float:
    """Seconds until the next attempt after the connection broke."""
    (wake,) = [e.at_ns for e in home.send(MqttDown("gone")) if isinstance(e, WakeAt)]
    return (wake - home.now.mono_ns) / S


def test_a_connection_that_held_begins_the_backoff_afresh_and_one_that_flaps_does_not() -> None:
    for held, most in ((60.0, 8.0), (9.9, 120.0)):
        home = Home(backoff_floor_ns=S, backoff_cap_ns=120 * S)
        home.up()
        pauses = []
        for _ in range(12):
            pauses.append(pause(home))
            home.later(pauses[-1] + 1e-6)
            home.send(Wake())
            home.send(MqttUp())
            home.later(held)
        assert (max(pauses) <= 8.0) == (most == 8.0), pauses


def test_live_comes_at_most_as_often_as_configured() -> None:
    home = Home(live_ns=2 * S)
    home.ready()
    count = 0
    for _ in range(10):
        home.later(1)
        count += len(published(home.sample(dispatched=True), "/live"))
    assert count == 5


def test_the_offset_is_told_again_when_our_wall_clock_steps() -> None:
    home = Home(synced=False)
    home.up()
    (told,) = posted(home.send(home.agg.time(home.now, wall_ms=home.now.wall_ms + 60_000)), mail.LinkState)
    home.later(5)
    assert posted(home.sample(), mail.LinkState) == []
    home.now = home.now._replace(wall_ms=home.now.wall_ms + 501)
    (state,) = posted(home.sample(), mail.LinkState)
    assert state.wall_offset_ms in (60_000 - 501, 60_000 - 502)  # 200 ppm of 5 s is a millisecond
    assert state.signed == told.signed, "a step of ours moves nothing that was signed"


def test_a_slip_of_half_a_second_stays_in_the_block_and_more_does_not() -> None:
    for slip, count in ((500, 1), (501, 2), (-500, 1), (-501, 2)):
        home = Home(block_s=60)
        home.send(Start())
        home.sample()
        home.later(1)
        home.now = home.now._replace(wall_ms=home.now.wall_ms + slip)
        home.sample()
        home.send(Stop())
        assert len(posted(home.effects, mail.AppendBatch)) == count


def test_a_flood_of_words_over_the_chain_leaves_little_to_the_store() -> None:
    """Each may be 16 KiB and is kept for years; what else such a receipt says is heard all the same."""
    home = Home()
    home.ready()

    def hear(n: int) -> mail.Receipted:
        body = {"upto": n, "also": [], "checkpoint": {"n": n, "head": "0" * 64}}
        effects = home.send(down("receipt", home.agg.token(home.now, "service", "receipt", **body)))
        (told,) = posted(effects, mail.Receipted)
        return told

    heard = [hear(n) for n in range(60)]
    assert [told.upto for told in heard] == list(range(60))
    assert [told.checkpoint for told in heard if told.token] == [(n, "0" * 64) for n in range(32)]
    assert dict(home.session._counters)["flood"] == 28
    home.later(3600)
    home.send(home.agg.time(home.now))
    assert [bool(hear(n).token) for n in (60, 61)] == [True, False]
    before = dict(home.session._counters)
    assert not hear(60).token
    assert dict(home.session._counters) == before, "one that comes again is no flood"
