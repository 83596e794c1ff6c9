"""Requests: strict, and never an exception."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.local.request import MAX_BYTES, Request, parse_request


def parsed(**keys: object) -> Request | str:
    return parse_request(json.dumps({"v": 1, **keys}).encode())


def test_every_verb() -> None:
    assert parsed(verb="status") == Request("status")
    assert parsed(verb="watch") == Request("watch")
    assert parsed(verb="why", side="charge") == Request("why", side="charge")
    assert parsed(verb="faults") == Request("faults")
    assert parsed(verb="faults", fault="disk") == Request("faults", fault="disk")
    assert parsed(verb="log", lines=0, follow=True) == Request("log", lines=0, follow=True)
    assert parsed(verb="reserve") == Request("reserve")
    assert parsed(verb="reserve", permille=300, pin="4711") == Request("reserve", permille=300, pin="4711")
    assert parsed(verb="stop") == Request("stop")
    assert parsed(verb="resume", pin="4711") == Request("resume", pin="4711")
    assert parsed(verb="adopt", device="hybrid") == Request("adopt", device="hybrid")


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "not one JSON object"),
        (b"\xff{}", "UTF-8"),
        (b"[]", "a JSON list"),
        (b"{}", '"v" must be 1'),
        (b'{"v":true,"verb":"status"}', '"v" must be 1'),
        (b'{"v":1.0,"verb":"status"}', '"v" must be 1'),
        (b'{"v":2,"verb":"status"}', '"v" must be 1'),
        (b'{"v":1}', '"verb" must be one of: adopt, bus, config, device, faults, log, look, optin'),
        (b'{"v":1,"verb":[]}', '"verb" must be one of'),
        (b'{"v":1,"verb":"status","verb":"stop"}', "a key stands in it twice"),
        (b'{"v":1,"verb":"log","lines":NaN}', "NaN is not JSON"),
        (b'{"v":1,"verb":"status"} {}', "Extra data"),
        (b'{"v":1,"verb":"status","x":1}', "status has no key 'x'; its keys: none"),
        (b'{"v":1,"verb":"log","lines":501}', '"lines" must be a whole number, 0 to 500'),
        (b'{"v":1,"verb":"log","lines":true}', '"lines" must be'),
        (b'{"v":1,"verb":"log","follow":1}', '"follow" must be true or false'),
        (b'{"v":1,"verb":"faults","fault":"rain"}', 'faults: "fault" must be an id of the table: batteryctl faults'),
        (b'{"v":1,"verb":"why","side":"left"}', '"side" must be "charge" or "discharge"'),
        (b'{"v":1,"verb":"why","side":[]}', '"side" must be'),
        (b'{"v":1,"verb":"reserve","permille":1001}', '"permille" must be a whole number, 0 to 1000'),
        (b'{"v":1,"verb":"reserve","permille":-1}', '"permille" must be'),
        (b'{"v":1,"verb":"reserve","permille":300.0}', '"permille" must be'),
        (b'{"v":1,"verb":"reserve","permille":300,"pin":4711}', '"pin" must be text'),
        (b'{"v":1,"verb":"adopt"}', '"device" is missing'),
        (b'{"v":1,"verb":"adopt","device":"a\\nb"}', '"device" must be a name'),
        (b"[" * MAX_BYTES, "nested too deeply"),
        (b" " * (MAX_BYTES + 1), f"at most {MAX_BYTES} are read"),
    ],
)
def test_malformed_requests_are_refused_with_a_reason(data: bytes, part: str) -> None:
    answer = parse_request(data)

    assert isinstance(answer, str)
    assert part in answer


def test_a_pin_is_in_no_message() -> None:
    assert "4711" not in repr(parsed(verb="stop", pin="4711"))
    for data in (
        b'{"v":1,"verb":"stop","pin":"4711",}',
        b'{"v":1,"verb":"stop","pin":"4711","pin":"4711"}',
        b'{"pin":"4711',
    ):
        answer = parse_request(data)
        assert isinstance(answer, str)
        assert "4711" not in answer


WORDS = st.text(alphabet="a\n\0\xe9", max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=3,
)
KEYS = st.sampled_from(["v", "verb", "side", "lines", "follow", "permille", "device", "pin", "x"])
VALUES = JSON | st.sampled_from([1, "status", "why", "log", "reserve", "stop", "adopt", "charge", 300, True])


@given(st.binary(max_size=64) | st.dictionaries(KEYS, VALUES).map(lambda d: json.dumps(d).encode()))
def test_no_input_raises(data: bytes) -> None:
    answer = parse_request(data)

    assert isinstance(answer, Request | str)
    if isinstance(answer, Request):
        assert answer.permille is None or 0 <= answer.permille <= 1000
        assert 0 <= answer.lines <= 500
