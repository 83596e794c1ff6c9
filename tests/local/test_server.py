"""The part "local": roles, PIN, streams, time-outs, bad input. Sans-IO: events in, effects out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.params import Params, Site, Timers
from agent.local.pin import PinHash
from agent.local.server import MAX_STREAMS, STALL_NS, LocalConfig, Server
from agent.mail import Verb, VerbDone
from agent.remote import InForce, Remote
from agent.runtime.part import (
    Effect,
    LocalClosed,
    LocalReply,
    LocalRequest,
    Log,
    Now,
    Post,
    Start,
    Stop,
    Stopped,
    Wake,
    WakeAt,
)
from tests.local.home import HOME, NOW, S, home, line

VIEWER, TECHNICIAN, ROOT, DAEMON = 1000, 1001, 0, 990
TECH_GID = 50
PIN = PinHash.of("4711", bytes(16))
NAMES = {VIEWER: "bob", TECHNICIAN: "anna", ROOT: "root", DAEMON: "batteryd"}
CONFIG = LocalConfig("0.1.0", DAEMON, frozenset({TECH_GID}), PIN, name_of=NAMES.__getitem__)


def later(seconds: float) -> Now:
    return Now(NOW.mono_ns + int(seconds * S), NOW.wall_ms + int(seconds * 1000))


class Desk:
    """A Server with a View, and short words to talk to it."""

    def __init__(self, config: LocalConfig = CONFIG, view: object = HOME) -> None:
        self.server = Server(config)
        self.effects: list[Effect] = []
        self.do(Start())
        if view is not None:
            self.do(view)

    def do(self, event: object, now: Now = NOW) -> list[Effect]:
        self.effects = list(self.server.handle(event, now))
        return self.effects

    def ask(self, conn: int, uid: int = VIEWER, /, now: Now = NOW, **keys: Any) -> dict[str, object] | None:
        gids = (TECH_GID, 100) if uid == TECHNICIAN else (100,)
        self.do(LocalRequest(conn, uid, gids, json.dumps({"v": 1, **keys}).encode()), now)
        return self.reply(conn)

    def reply(self, conn: int) -> dict[str, object] | None:
        found = [json.loads(e.data) for e in self.effects if isinstance(e, LocalReply) and e.conn == conn]
        assert len(found) <= 1
        return found[0] if found else None

    def verbs(self) -> list[Verb]:
        return [
            e.event for e in self.effects if isinstance(e, Post) and e.to == "control" and isinstance(e.event, Verb)
        ]

    def closed(self, conn: int) -> bool:
        return any(isinstance(e, LocalReply) and e.conn == conn and e.close for e in self.effects)

    def wakes(self) -> list[int]:
        return [e.at_ns for e in self.effects if isinstance(e, WakeAt)]


def refusal(reply: dict[str, object] | None) -> dict[str, object]:
    assert reply is not None
    assert (reply["v"], reply["ok"]) == (1, False)
    error = reply["error"]
    assert isinstance(error, dict)
    return {"code": reply["code"], **error}


# --- reads ------------------------------------------------------------------------------------------------------------
def test_reads_answer_anyone_and_close() -> None:
    desk = Desk()
    for verb, key in (
        ("status", "control"),
        ("why", "sides"),
        ("faults", "faults"),
        ("reserve", "reserve"),
        ("log", "lines"),
    ):
        reply = desk.ask(1, VIEWER, verb=verb)
        assert reply is not None
        assert key in reply
        assert (reply["v"], reply["ok"], reply["code"]) == (1, True, 0)
        assert desk.closed(1)
        assert desk.wakes() == []


def test_config_tells_what_was_set_from_afar_to_anyone() -> None:
    site = Params(Site(11_400, 11_400, 25_000, 24_000, 11_400), Timers())
    desk = Desk(view=replace(HOME, in_force=InForce(site, site, Remote())))
    reply = desk.ask(1, VIEWER, verb="config")
    assert reply is not None
    assert {"settings", "config", "default", "last", "known"} < set(reply)
    assert reply["code"] == 0
    assert desk.closed(1)


def test_a_reply_is_one_line() -> None:
    desk = Desk()
    desk.do(line(1))
    for verb in ("status", "why", "reserve", "log", "nonsense"):
        desk.ask(1, verb=verb)
        assert all(b"\n" not in e.data for e in desk.effects if isinstance(e, LocalReply))


def test_before_the_first_cycle_it_says_so() -> None:
    desk = Desk(view=None)

    for verb in ("status", "why", "watch", "faults", "reserve"):
        error = refusal(desk.ask(1, verb=verb))
        assert (error["code"], error["next"]) == (1, "batteryctl wait")
        assert desk.closed(1)
    assert desk.ask(2, verb="log") == {"v": 1, "ok": True, "code": 0, "lines": []}


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b'{"v":1,"verb":"fly"}', b"{" * 9999])
def test_bad_input_is_answered_with_usage(data: bytes) -> None:
    desk = Desk()
    desk.do(LocalRequest(1, ROOT, (), data))

    assert refusal(desk.reply(1))["code"] == 2
    assert desk.closed(1)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1000]), st.binary(max_size=40)), max_size=8))
def test_nothing_that_a_client_sends_raises(requests: list[tuple[int, int, bytes]]) -> None:
    desk = Desk()
    for conn, uid, data in requests:
        desk.do(LocalRequest(conn, uid, (), data))
        assert desk.reply(conn) is not None


# --- roles ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("uid", "by"), [(ROOT, "root (technician)"), (DAEMON, "batteryd (technician)"), (TECHNICIAN, "anna (technician)")]
)
@pytest.mark.parametrize("verb", ["stop", "resume", "optout", "optin"])
def test_technicians_may_stop_and_resume(uid: int, by: str, verb: str) -> None:
    desk = Desk()

    assert desk.ask(1, uid, verb=verb) is None
    assert desk.verbs() == [Verb(1, verb, by, "technician")]


def test_an_override_carries_its_power_and_its_length() -> None:
    desk = Desk()
    desk.ask(1, ROOT, verb="override", watts=-500, for_s=60)
    assert [(v.value, v.for_s, v.text) for v in desk.verbs()] == [(-500, 60, "")]
    desk.ask(2, ROOT, verb="override")
    assert [(v.value, v.for_s, v.text) for v in desk.verbs()] == [(0, 0, "off")]
    desk.ask(3, ROOT, verb="override", watts=5)
    assert desk.verbs() == []


def test_adopt_carries_the_device() -> None:
    desk = Desk()
    desk.ask(1, ROOT, verb="adopt", device="hybrid")

    assert desk.verbs() == [Verb(1, "adopt", "root (technician)", "technician", text="hybrid")]


@pytest.mark.parametrize("keys", [{"verb": "stop"}, {"verb": "resume"}, {"verb": "adopt", "device": "hybrid"}])
def test_a_viewer_is_refused_with_every_fact(keys: dict[str, Any]) -> None:
    desk = Desk()
    error = refusal(desk.ask(1, VIEWER, **keys))

    assert error["code"] == 4
    assert (error["limit"], error["present"], error["set_by"]) == (
        "role",
        "viewer (bob)",
        "site, [local] technician_gids",
    )
    assert str(error["next"]).startswith("sudo batteryctl ")
    assert desk.verbs() == []


def test_the_homeowners_pin_stops_without_a_role_on_the_gateway() -> None:
    desk = Desk()
    desk.ask(1, VIEWER, verb="stop", pin="4711")

    assert desk.verbs() == [Verb(1, "stop", "bob (homeowner)", "homeowner")]


# --- the reserve ------------------------------------------------------------------------------------------------------
def test_a_technician_raises_the_reserve() -> None:
    desk = Desk()
    desk.ask(1, TECHNICIAN, verb="reserve", permille=400)

    assert desk.verbs() == [Verb(1, "reserve", "anna (technician)", "technician", 400)]


def test_a_viewer_does_not_raise_it() -> None:
    desk = Desk()

    assert refusal(desk.ask(1, VIEWER, verb="reserve", permille=400))["limit"] == "role"
    assert desk.verbs() == []


@pytest.mark.parametrize("uid", [VIEWER, TECHNICIAN, ROOT, DAEMON])
def test_only_the_homeowner_lowers_it(uid: int) -> None:
    desk = Desk()

    error = refusal(desk.ask(1, uid, verb="reserve", permille=299))

    assert (error["code"], error["limit"], error["value"], error["present"], error["set_by"]) == (
        4,
        "reserve",
        "30.0 %",
        "29.9 % asked",
        "homeowner",
    )
    assert error["pin_helps"] is True
    assert desk.verbs() == []

    desk.ask(2, uid, verb="reserve", permille=299, pin="4711")
    assert [(v.role, v.value) for v in desk.verbs()] == [("homeowner", 299)]


def test_a_storm_is_asked_for_by_a_technician_and_ended_by_the_homeowner() -> None:
    desk = Desk()
    assert refusal(desk.ask(1, VIEWER, verb="storm", permille=800, for_s=60))["limit"] == "role"
    desk.ask(2, TECHNICIAN, verb="storm", permille=800, from_ms=1, until_ms=2, reason="snow")
    assert desk.verbs() == [Verb(2, "storm", "anna (technician)", "technician", 800, "snow", 1, 2, 0)]
    desk.ask(3, VIEWER, verb="storm", permille=0, pin="4711")
    assert desk.verbs() == [Verb(3, "storm", "bob (homeowner)", "homeowner", 0)]
    desk.ask(4, VIEWER, verb="storm", permille=0, pin="0815")
    desk.do(VerbDone(2, 4, "refused", {"pin_helps": True}))
    assert refusal(desk.reply(2)) == {"code": 4, "text": "refused", "pin_helps": True}


def test_while_the_reserve_is_not_known_every_change_may_lower_it() -> None:
    desk = Desk(view=None)

    assert refusal(desk.ask(1, ROOT, verb="reserve", permille=1000))["limit"] == "reserve"


def test_without_a_pin_on_the_gateway_nobody_lowers_it() -> None:
    desk = Desk(LocalConfig("0.1.0", DAEMON))

    pins: list[dict[str, Any]] = [{}, {"pin": "4711"}]
    for keys in pins:
        error = refusal(desk.ask(1, ROOT, verb="reserve", permille=100, **keys))
        assert error["code"] == 4
        assert "python -m agent.tools.pin" in str(error["next"])
    assert desk.verbs() == []


def test_wrong_pins_slow_down_and_are_logged_without_the_pin() -> None:
    desk = Desk()
    logs = []
    for conn in range(3):
        error = refusal(desk.ask(conn, VIEWER, verb="reserve", permille=100, pin="0815"))
        assert (error["code"], error["text"]) == (4, "that is not the homeowner's PIN")
        logs += [e for e in desk.effects if isinstance(e, Log)]

    error = refusal(desk.ask(9, VIEWER, verb="reserve", permille=100, pin="4711"))
    assert (error["code"], error["retry_after_s"], error["next"]) == (4, 5, "wait 5 s")
    assert logs == [Log("warning", "wrong homeowner PIN from bob for reserve")] * 3

    assert desk.ask(10, VIEWER, now=later(5), verb="reserve", permille=100, pin="4711") is None
    assert [v.role for v in desk.verbs()] == ["homeowner"]
    told = json.dumps([e.text for e in desk.effects if isinstance(e, Log)])
    assert "4711" not in told
    assert "4711" not in repr(desk.verbs())


# --- answers to changes -----------------------------------------------------------------------------------------------
def test_the_answer_of_control_is_the_reply() -> None:
    desk = Desk()
    desk.ask(1, ROOT, verb="stop")
    desk.do(VerbDone(1, 0, "stopped", {"released": True}))

    assert desk.reply(1) == {"v": 1, "ok": True, "code": 0, "text": "stopped", "body": {"released": True}}
    assert desk.closed(1)


def test_a_refusal_of_control_keeps_its_facts() -> None:
    desk = Desk()
    desk.ask(1, ROOT, verb="reserve", permille=990)
    desk.do(VerbDone(1, 4, "too much", {"limit": "reserve_max", "value": "95 %", "other": 1}))

    assert refusal(desk.reply(1)) == {"code": 4, "text": "too much", "limit": "reserve_max", "value": "95 %"}


def test_time_is_up_after_ten_seconds_and_a_late_answer_goes_nowhere() -> None:
    desk = Desk()
    desk.ask(1, ROOT, verb="stop")
    assert desk.wakes() == [NOW.mono_ns + 10 * S]

    desk.do(Wake(), later(9.999))
    assert desk.reply(1) is None
    assert desk.wakes() == [NOW.mono_ns + 10 * S]

    desk.do(Wake(), later(10))
    error = refusal(desk.reply(1))
    assert (error["code"], error["text"]) == (6, "stop: no answer within 10 s; it may still take effect")
    assert desk.closed(1)
    assert desk.wakes() == []

    assert desk.do(VerbDone(1, 0, "stopped", {}), later(11)) == []


def test_a_client_that_vanished_is_forgotten() -> None:
    desk = Desk()
    desk.ask(1, ROOT, verb="stop")
    desk.ask(2, VIEWER, verb="watch")
    desk.ask(3, VIEWER, verb="log", follow=True)
    for conn in (1, 2, 3):
        desk.do(LocalClosed(conn))

    assert desk.do(VerbDone(1, 0, "stopped", {})) == []
    assert desk.do(HOME) == []
    assert desk.do(line(1)) == []


def test_a_second_request_on_a_connection_that_waits_ends_it() -> None:
    desk = Desk()
    waiting: list[dict[str, Any]] = [{"verb": "stop"}, {"verb": "watch"}, {"verb": "log", "follow": True}]
    for conn, keys in enumerate(waiting):
        desk.ask(conn, ROOT, **keys)
        assert refusal(desk.ask(conn, ROOT, verb="status"))["code"] == 2
        assert desk.closed(conn)
    assert desk.do(HOME) == []


# --- streams ----------------------------------------------------------------------------------------------------------
def test_watch_gives_one_status_a_cycle() -> None:
    desk = Desk()
    first = desk.ask(1, verb="watch")
    assert first is not None
    assert first["battery"] == desk.ask(2, verb="status")["battery"]  # type: ignore[index]  # a None fails here

    desk.do(home(stopped_by="anna (technician)"), later(1))
    second = desk.reply(1)
    assert second is not None
    assert second["control"]["stopped_by"] == "anna (technician)"  # type: ignore[index]  # as above
    assert not desk.closed(1)


def test_watchers_are_told_when_control_falls_silent() -> None:
    desk = Desk()
    desk.ask(1, verb="watch")
    assert desk.wakes() == [NOW.mono_ns + STALL_NS]

    desk.do(Wake(), later(4))
    reply = desk.reply(1)
    assert reply is not None
    assert [item["id"] for item in reply["health"]] == ["control_stalled"]  # type: ignore[attr-defined]  # a list
    assert desk.wakes() == [NOW.mono_ns + 2 * STALL_NS]


def test_log_begins_with_the_last_lines_and_follows() -> None:
    desk = Desk()
    for number in range(600):
        desk.do(line(number))

    def texts(reply: dict[str, object] | None) -> list[str]:
        assert reply is not None
        assert isinstance(reply["lines"], list)
        return [told["text"] for told in reply["lines"]]

    assert texts(desk.ask(1, verb="log")) == [f"line {n}" for n in range(550, 600)]
    assert texts(desk.ask(1, verb="log", lines=500)) == [f"line {n}" for n in range(100, 600)]
    assert texts(desk.ask(1, verb="log", lines=0)) == []
    assert texts(desk.ask(2, verb="log", lines=2, follow=True)) == ["line 598", "line 599"]
    assert not desk.closed(2)

    desk.do(line(600, "warning"))
    reply = desk.reply(2)
    assert texts(reply) == ["line 600"]
    assert not desk.closed(2)


def test_what_people_asked_is_in_the_log() -> None:
    desk = Desk()
    desk.ask(1, ROOT, verb="reserve", permille=400)
    assert Log("info", "root (technician) asks: reserve 40.0 %") in desk.effects

    reply = desk.ask(2, verb="log", lines=1)
    assert reply is not None
    assert reply["lines"] == [
        {"wall_ms": NOW.wall_ms, "level": "info", "text": "root (technician) asks: reserve 40.0 %"}
    ]


def test_viewers_cannot_crowd_out_technicians() -> None:
    desk = Desk()
    for conn in range(MAX_STREAMS):
        desk.ask(conn, VIEWER, verb="watch")

    error = refusal(desk.ask(100, VIEWER, verb="watch"))
    assert (error["code"], error["limit"], error["value"], error["present"]) == (4, "live streams", "16", "16")
    assert refusal(desk.ask(101, VIEWER, verb="log", follow=True))["code"] == 4
    assert desk.closed(101)
    desk.ask(102, TECHNICIAN, verb="watch")
    assert not desk.closed(102)
    desk.ask(103, ROOT, verb="stop")
    assert len(desk.verbs()) == 1


# --- the end ----------------------------------------------------------------------------------------------------------
def test_at_a_stop_it_goes_on_answering() -> None:
    desk = Desk()

    assert desk.do(Stop()) == [Post("runtime", Stopped("local"))]
    assert desk.ask(1, verb="status") is not None
