"""What each member of a command allows, and all of them together do not; versions of the protocol."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.command import Command, CommandKind
from agent.core.inputs import CommandIn
from agent.link import messages
from tests.link.home import WALL, Home, down, jose_open, posted, published

BODY = {"v": 1, "id": "0" * 32, "iss": "agg", "aud": "dev:a", "seq": 1, "iat": WALL, "exp": WALL + 1000}
DAY_S = 86_400


def parsed(**body: Any) -> messages.AnyCommand | str:
    return messages.parse_command({**BODY, **body})


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "dispatch", "duration_s": 60},
        {"kind": "dispatch", "duration_s": 60, "import_limit_w": 5, "ramp": "urgent"},
        {"kind": "dispatch", "duration_s": 60, "export_limit_w": 5, "session": "1" * 32},
        {"kind": "dispatch", "duration_s": 11, "power_w": 5, "session": "1" * 32},
        {"kind": "dispatch", "duration_s": 10, "power_w": 5, "session": "1" * 32, "exp": WALL + 10_001},
        {"kind": "dispatch", "duration_s": 60, "power_w": 5, "randomize_start_s": 5},
        {"kind": "dispatch", "duration_s": 60, "power_w": 5, "randomize_both": True},
        {"kind": "schedule", "start": WALL, "interval_s": DAY_S, "powers_w": [1] * 8},
        {"kind": "price", "start": WALL, "interval_s": DAY_S, "prices_micro_per_kwh": [1] * 8, "currency": "EUR"},
        {"kind": "price", "start": WALL, "interval_s": 900, "prices_micro_per_kwh": [1, 2], "currency": "EUR",
         "export_micro_per_kwh": [1]},
        {"kind": "session", "start": WALL, "duration_s": 60, "lo_w": 2, "hi_w": 1, "seq_from": 1, "seq_to": 2},
        {"kind": "session", "start": WALL, "duration_s": 60, "lo_w": 1, "hi_w": 2, "seq_from": 2, "seq_to": 1},
        {"kind": "resend", "first": 2, "last": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_contradiction_is_refused(body: dict[str, Any]) -> None:
    assert isinstance(parsed(**body), str)


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "dispatch", "duration_s": 60, "power_w": 0},
        {"kind": "dispatch", "duration_s": 60, "export_limit_w": 0},
        {"kind": "dispatch", "duration_s": 10, "power_w": 5, "session": "1" * 32, "exp": WALL + 10_000},
        {"kind": "dispatch", "duration_s": 60, "power_w": 5, "start": WALL, "randomize_start_s": -5},
        {"kind": "schedule", "start": WALL, "interval_s": DAY_S, "powers_w": [1, None] * 3 + [1]},
        {"kind": "price", "start": WALL, "interval_s": 900, "prices_micro_per_kwh": [1, 2], "currency": "EUR",
         "export_micro_per_kwh": [-1, 0]},
        {"kind": "session", "start": WALL, "duration_s": 60, "lo_w": 2, "hi_w": 2, "seq_from": 2, "seq_to": 2},
        {"kind": "resend", "first": 2, "last": 2},
    ],
    ids=str,
)  # fmt: skip
def test_what_just_fits_is_taken(body: dict[str, Any]) -> None:
    assert not isinstance(parsed(**body), str)


def core(**body: Any) -> Command:
    found = parsed(**body)
    assert not isinstance(found, str), found
    return messages.to_core(found, "0" * 64, draw=7)


def test_the_core_hears_every_member_of_a_dispatch() -> None:
    """Never the known half of a command."""
    asked = core(kind="dispatch", duration_s=10, import_limit_w=5, export_limit_w=6, start=WALL, randomize_start_s=-9,
                 randomize_both=True, primacy=3)  # fmt: skip
    assert (asked.power_w, asked.import_limit_w, asked.export_limit_w) == (None, 5, 6)
    assert (asked.start_ms, asked.randomize_s, asked.randomize_both, asked.draw) == (WALL, -9, True, 7)
    assert (asked.primacy, asked.beyond) == (3, None)
    setpoint = core(kind="dispatch", duration_s=10, power_w=5, session="1" * 32)
    assert (setpoint.session, setpoint.power_w) == ("1" * 32, 5)
    assert setpoint.seq > 0


def test_the_core_hears_every_member_of_the_other_kinds() -> None:
    plan = core(kind="schedule", start=WALL, interval_s=60, powers_w=[5, None, -5], primacy=2)
    assert (plan.values, plan.interval_s, plan.duration_s, plan.primacy) == ((5, None, -5), 60, 180, 2)
    session = core(kind="session", start=WALL, duration_s=60, lo_w=-5, hi_w=5, seq_from=1, seq_to=9)
    assert (session.lo_w, session.hi_w, session.seq_from, session.seq_to) == (-5, 5, 1, 9)
    price = core(kind="price", start=WALL, interval_s=60, prices_micro_per_kwh=[1], export_micro_per_kwh=[2],
                 currency="EUR")  # fmt: skip
    assert (price.values, price.exports, price.duration_s) == ((1,), (2,), 60)
    quote = core(kind="quote", power_w=5, duration_s=60)
    assert (quote.power_w, quote.duration_s, quote.start_ms) == (5, 60, None)
    assert core(kind="cancel", target="1" * 32, randomize_s=30).randomize_s == 30


@pytest.mark.parametrize(
    "body",
    [
        {"power_w": 5, "session": "1" * 32, "export_limit_w": 5},
        {"power_w": 5, "session": "1" * 32, "start": WALL},
        {"power_w": 5, "start": WALL, "randomize_both": True},
    ],
)
def test_members_that_contradict_each_other_are_refused(body: dict[str, Any]) -> None:
    assert isinstance(parsed(kind="dispatch", duration_s=10, **body), str)


# --- versions ---------------------------------------------------------------------------------------------------------
def test_birth_lists_the_versions_that_the_agent_takes() -> None:
    home = Home()
    (birth,) = published(home.up(), "/up/birth")
    claims = jose_open(birth.payload)
    assert claims["protocols"] == list(messages.PROTOCOLS)
    assert claims["v"] in messages.PROTOCOLS


@pytest.mark.parametrize("v", [0, 2, -1, 2**62])
@pytest.mark.parametrize("kind", ["dispatch", "cancel", "stop"])
def test_a_command_of_another_version_is_counted_and_never_read_as_ours(v: int, kind: str) -> None:
    home = Home()
    home.ready()
    kinds: dict[str, dict[str, Any]] = {"dispatch": {"power_w": 5, "duration_s": 60}, "cancel": {"target": "1" * 32}}
    extra = kinds.get(kind, {})
    effects = home.send(home.agg.command(home.now, kind=kind, v=v, **extra))
    assert posted(effects, CommandIn) == []
    assert published(effects) == []
    assert home.session._counters == {"bad_version": 1}
    (got,) = posted(home.send(home.agg.command(home.now, kind=kind, **extra)), CommandIn)
    assert got.command.kind is CommandKind(kind)


def test_a_time_of_another_version_makes_nothing_fresh() -> None:
    home = Home()
    home.up()
    home.send(home.agg.time(home.now, v=2))
    assert home.session._counters == {"bad_version": 1}
    home.send(home.agg.command(home.now))
    assert home.session._counters == {"bad_version": 1, "not_fresh": 1}


def test_a_receipt_of_another_version_forgets_nothing() -> None:
    home = Home()
    home.ready()
    home.ack(*home.store("ack", command_id="1" * 32))
    unsent = home.session._rows.outbox.unsent
    assert unsent == 1
    token = home.agg.token(home.now, "service", "receipt", upto=1, v=2)
    home.send(down("receipt", token))
    assert home.session._rows.outbox.unsent == unsent
    assert home.session._counters == {"bad_version": 1}
