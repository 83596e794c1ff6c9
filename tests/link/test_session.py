from __future__ import annotations

from agent import mail
from agent.core.command import CommandKind
from agent.core.inputs import CommandIn, FreshTime
from agent.runtime.part import MqttConnect, MqttDown, MqttSubscribe, MqttUp, Start, Wake, WakeAt
from tests.link.home import BOOT, ROOT, Home, S, jose_open, posted, published


def test_start_connects_with_a_will_and_asks_the_store_what_is_left() -> None:
    home = Home()
    effects = home.send(Start())
    (connect,) = [e for e in effects if isinstance(e, MqttConnect)]
    assert (connect.broker, connect.client_id, connect.will_topic) == (0, "home1", f"{ROOT}/up/state")
    assert connect.will_payload == b'{"state":"lost","boot":"%s"}' % BOOT.encode()
    assert posted(effects, mail.LoadBacklog) == [mail.LoadBacklog(0, 16)]


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
    assert (live.topic, live.qos, live.retain) == (f"{ROOT}/up/live", 0, False)
    assert jose_open(live.payload)["soc_permille"] == 500


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
