"""`device`, `bus` and `look` at the local part: who may, what goes to the line, what comes back, and deadlines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from agent.local.asking import MOST_LOOKS, WAIT_NS
from agent.local.server import LocalConfig, Server
from agent.runtime.part import Effect, LocalReply, LocalRequest, Now, Post, Wake
from drivers.events import BusStats, Look, Looked, Tell, Told, UnitStats
from tests.local.home import HOME, INSTALLED, NOW

LATER = Now(NOW.mono_ns + WAIT_NS, NOW.wall_ms)


@pytest.fixture
def server() -> Server:
    found = Server(LocalConfig("1", own_uid=990, installed=INSTALLED))
    found.handle(HOME, NOW)
    return found


def request(server: Server, conn: int = 1, uid: int = 0, **body: Any) -> list[Effect]:
    data = json.dumps({"v": 1, **body}).encode()
    return [*server.handle(LocalRequest(conn, uid, (), data), NOW)]


def reply(effects: Iterable[Effect]) -> Any:
    (found,) = [effect for effect in effects if isinstance(effect, LocalReply)]
    assert found.close
    return json.loads(found.data)


def posted(effects: Iterable[Effect]) -> list[Post]:
    return [effect for effect in effects if isinstance(effect, Post)]


LOOK: dict[str, Any] = {"verb": "look", "device": "pack", "address": 0x1000, "count": 2}


def test_a_look_at_a_device_goes_to_its_line_as_its_profile_wants(server: Server) -> None:
    (post,) = posted(request(server, **LOOK))
    assert post.to == "bus:rs485"
    assert post.event == Look(1, 1, 4, 0x1000, 2, 400_000_000, "")
    body = reply(server.handle(Looked(1, "data", bytes.fromhex("14617260")), NOW))
    assert (body["code"], body["words"], body["points"]) == (0, [0x1461, 0x7260], [])


def test_a_viewer_may_not_look_and_may_see_devices(server: Server) -> None:
    refused = reply(request(server, uid=1000, **LOOK))
    assert refused["code"] == 4
    assert "look needs a technician" in refused["error"]["text"]
    assert reply(request(server, 2, uid=1000, verb="device"))["code"] == 0


def test_silence_is_6_and_a_refusal_5(server: Server) -> None:
    for fate, code in (("timeout", 6), ("exception", 5), ("garbled", 5), ("lost", 5)):
        request(server, **LOOK)
        body = reply(server.handle(Looked(1, fate, b"", 2), NOW))
        assert (body["code"], body["fate"], body["ok"]) == (code, fate, False)
        assert body["error"]["next"]


@pytest.mark.parametrize(
    "body",
    [
        {**LOOK, "device": "nobody"},
        {**LOOK, "unit": 0},
        {"verb": "look", "device": "pack", "address": 1},
        {"verb": "look", "bus": "rs485", "address": 1, "count": 1},
        {"verb": "look", "bus": "none", "unit": 3, "address": 1, "count": 1},
        {"verb": "bus", "bus": "none"},
        {"verb": "device", "device": "none"},
    ],
)
def test_what_is_not_there_is_usage(server: Server, body: dict[str, Any]) -> None:
    effects = request(server, **body)
    assert posted(effects) == []
    assert reply(effects)["code"] == 2


def test_so_many_looks_at_once_and_no_more(server: Server) -> None:
    for conn in range(MOST_LOOKS):
        assert posted(request(server, conn, **LOOK))
    assert reply(request(server, 99, **LOOK))["code"] == 4


def test_a_line_that_never_answers_is_6_and_its_late_answer_is_nobodys(server: Server) -> None:
    request(server, **LOOK)
    assert reply(server.handle(Wake(), LATER))["code"] == 6
    assert [e for e in server.handle(Looked(1, "data", b""), LATER) if isinstance(e, LocalReply)] == []


def test_counters_come_fresh_from_the_line(server: Server) -> None:
    (post,) = posted(request(server, verb="bus"))
    assert (post.to, post.event) == ("bus:rs485", Tell(1))
    stats = BusStats("rs485", 5, 0, 1, 0, 0, 0, units=(UnitStats(3, 4, 0, 0, 1, (4,)),))
    body = reply(server.handle(Told(1, stats), NOW))
    assert body["buses"][0]["units"][0] == {
        "unit": 3,
        "device": "hybrid",
        "answers": 4,
        "exceptions": 0,
        "crc_errors": 0,
        "timeouts": 1,
        "waits": [4],
    }
    assert len(body["bounds_us"]) == 48
