"""The aggregator against tokens made by hand: what it believes, what it refuses, how it counts, what it answers."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.core.command import TERMINAL as CORE_TERMINAL
from agent.core.command import CommandState
from agent.runtime.part import MqttMessage
from hil.aggregator import claims, show
from hil.aggregator.aggregator import Aggregator, Publish, Signed
from hil.aggregator.ledger import Fate, Ledger
from tests.hil.tokens import HandDevice, at, b64, counting, keyring, unb64

DEVICE = HandDevice()


@pytest.fixture
def aggregator() -> Aggregator:
    return Aggregator(keyring(DEVICE), counting())


def test_wire_words_are_those_of_the_core() -> None:
    assert frozenset(CommandState) == claims.STATES
    assert claims.TERMINAL == CORE_TERMINAL


@pytest.mark.parametrize("kind", claims.KINDS)
def test_every_kind_of_hand_made_message_is_believed(aggregator: Aggregator, kind: str) -> None:
    verdict, _ = aggregator.receive(DEVICE.message(kind, 1), at())

    assert verdict.refused is None
    assert verdict.fate is Fate.NEW
    assert aggregator.books["home-1"].verified == {kind: 1}


def _changed(**changes: Any) -> Callable[[], MqttMessage]:
    body = DEVICE.claims("ack", 1) | changes
    return lambda: MqttMessage(DEVICE.topic("ack"), DEVICE.token(DEVICE.header("ack"), body), 1, False)


def _passing(kind: str, **changes: Any) -> MqttMessage:
    token = DEVICE.token(DEVICE.header(kind), DEVICE.claims(kind, 1) | changes)
    return MqttMessage(DEVICE.topic(kind), token, 1, False)


def _with_header(kind: str = "ack", **changes: Any) -> Callable[[], MqttMessage]:
    header = DEVICE.header(kind) | changes
    return lambda: MqttMessage(DEVICE.topic(kind), DEVICE.token(header, DEVICE.claims(kind, 1)), 1, False)


def _with_payload(payload: bytes, kind: str = "ack") -> Callable[[], MqttMessage]:
    return lambda: MqttMessage(DEVICE.topic(kind), DEVICE.token(DEVICE.header(kind), payload), 1, False)


def _edited(edit: Callable[[bytes], bytes]) -> Callable[[], MqttMessage]:
    good = DEVICE.message("ack", 1)
    return lambda: MqttMessage(good.topic, edit(good.payload), 1, False)


def _json(**changes: Any) -> bytes:
    return json.dumps(DEVICE.claims("ack", 1, **changes)).encode()


def _deflated(body: dict[str, Any]) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(json.dumps(body).encode()) + packer.flush()


REFUSED: dict[str, tuple[str, Callable[[], MqttMessage]]] = {
    "another key": ("unknown_key", lambda: HandDevice(seed=b"\x02" * 32).message("ack", 1)),
    "another key under the kid": (
        "bad_signature",
        lambda: MqttMessage(
            DEVICE.topic("ack"),
            HandDevice(seed=b"\x02" * 32).token(DEVICE.header("ack"), DEVICE.claims("ack", 1)),
            1,
            False,
        ),
    ),
    "unknown device": ("unknown_device", lambda: HandDevice("home-2").message("ack", 1)),
    "unknown topic": ("bad_topic", lambda: MqttMessage(DEVICE.topic("gossip"), b"", 1, False)),
    "typ of another topic": ("bad_typ", _with_header(typ="battery-event+jws")),
    "retained ack": ("retained", lambda: DEVICE.message("ack", 1, retain=True)),
    "alg none": ("bad_format", _with_header(alg="none")),
    "alg EdDSA": ("bad_format", _with_header(alg="EdDSA")),
    "extra header": ("bad_format", _with_header(jku="http://x")),
    "zip on an ack": ("bad_format", _with_header(zip="DEF")),
    "character of the signature": ("bad_signature", _edited(lambda t: t[:-5] + (b"BA"[t[-5] == 66 :])[:1] + t[-4:])),
    "junk in base64": ("bad_format", _edited(lambda t: t[:-5] + b"!!!!" + t[-5:])),
    "padding": ("bad_format", _edited(lambda t: t + b"==")),
    "newline": ("bad_format", _edited(lambda t: t + b"\n")),
    "unused bits": ("bad_format", _edited(lambda t: t[:-1] + bytes([t[-1] + 1]))),
    "two parts": ("bad_format", _edited(lambda t: t.rpartition(b".")[0])),
    "oversized": ("oversized", _with_payload(_json()[:-1] + b" " * 20_000 + b"}")),
    "duplicate key": ("bad_body", _with_payload(_json()[:-1] + b',"seq":2}')),
    "NaN": ("bad_body", _with_payload(_json(asked_w=0.0).replace(b'"asked_w": 0.0', b'"asked_w": NaN'))),
    "infinity": ("bad_body", _with_payload(_json(asked_w=0.0).replace(b'"asked_w": 0.0', b'"asked_w": 1e999'))),
    "not deflated": ("bad_body", _with_payload(b"{}", "batch")),
    "deflated, and more": ("bad_body", _with_payload(_deflated(DEVICE.claims("batch", 1)) + b"x", "batch")),
    "deflated, and cut": ("bad_body", _with_payload(_deflated(DEVICE.claims("batch", 1))[:-1], "batch")),
    "a bomb": ("bad_body", _with_payload(_deflated(DEVICE.claims("batch", 1) | {"x": " " * 300_000}), "batch")),
    "another zip": ("bad_format", _with_header("batch", zip="GZIP")),
    "another fleet": ("bad_audience", _changed(aud="agg:other")),
    "another issuer": ("bad_body", _changed(iss="dev:home-2")),
    "seq 0": ("bad_body", lambda: DEVICE.message("ack", 0)),
    "seq true": ("bad_body", _changed(seq=True)),
    "version": ("bad_body", _changed(v=2)),
    "id": ("bad_body", _changed(id="xyz")),
    "clock": ("bad_body", _changed(clock="fine")),
    "unknown state": ("bad_body", _changed(state="done")),
    "command id": ("bad_body", _changed(command_id="7")),
    "short row": ("bad_body", lambda: DEVICE.message("batch", 1, rows=[[1, 2]])),
    "no row": ("bad_body", lambda: DEVICE.message("batch", 1, rows=[])),
    "rows out of order": ("bad_body", lambda: DEVICE.message("batch", 1, rows=[[5, 0, 0, 0], [5, 0, 0, 0]])),
    "a column twice": ("bad_body", lambda: DEVICE.message("batch", 1, cols=["dt_ms", "pv_w", "pv_w", "grid_w"])),
    "a column without a name": ("bad_body", lambda: DEVICE.message("batch", 1, cols=["dt_ms", 7, "pv_w", "grid_w"])),
    "no dt_ms": ("bad_body", lambda: DEVICE.message("batch", 1, cols=["pv_w", "dt_ms", "soc_permille", "grid_w"])),
    "no exp": ("bad_body", _changed(exp=None)),
    "an old live": ("expired", lambda: _passing("live", exp=at(-1).wall_ms)),
    "an old birth": ("expired", lambda: _passing("birth", exp=at(-1).wall_ms)),
    "no nonce": ("bad_body", lambda: DEVICE.message("birth", 1, nonce=None)),
    "live says true": ("bad_body", lambda: DEVICE.message("live", 1, soc_permille=True)),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_and_not_counted(aggregator: Aggregator, case: str) -> None:
    reason, make = REFUSED[case]

    verdict, answers = aggregator.receive(make(), at())

    assert verdict.refused is not None
    assert verdict.refused.reason == reason, verdict.refused.sentence
    assert answers == ()
    assert aggregator.score()["rows"] == 0
    assert aggregator.refused == [verdict]


def test_a_live_record_must_have_every_agreed_name(aggregator: Aggregator) -> None:
    body = DEVICE.claims("live", 1)
    del body["frequency_mhz"]
    token = DEVICE.token(DEVICE.header("live"), body)
    verdict, _ = aggregator.receive(MqttMessage(DEVICE.topic("live"), token, 0, False), at())
    assert verdict.refused is not None
    assert "frequency_mhz" in verdict.refused.sentence


def test_every_single_byte_counts(aggregator: Aggregator) -> None:
    """Whatever byte of a token is another one, it is refused."""
    good = DEVICE.message("ack", 1)
    for index in range(len(good.payload)):
        other = b"B" if good.payload[index : index + 1] == b"A" else b"A"
        payload = good.payload[:index] + other + good.payload[index + 1 :]
        verdict, _ = aggregator.receive(MqttMessage(good.topic, payload, 1, False), at())
        assert verdict.refused is not None, f"byte {index}"


def test_birth_is_answered_with_a_signed_time_that_echoes_the_nonce(aggregator: Aggregator) -> None:
    _, answers = aggregator.receive(DEVICE.message("birth", 1, retain=True, nonce="ab" * 16), at(5))

    assert len(answers) == 1
    assert answers[0].topic == "battery/v1/demo/home-1/down/time"
    header, body = verify_by_hand(aggregator, "service", answers[0].payload)
    assert header["typ"] == "battery-time+jws"
    assert (body["nonce"], body["wall_ms"], body["aud"]) == ("ab" * 16, at(5).wall_ms, "dev:home-1")


def test_who_does_not_know_what_the_fleets_aggregator_has_claims_no_last_row() -> None:
    """`last: 0` in the first time of a start would tell a home that its disk was not put back."""
    ring = keyring(DEVICE)

    def answer(had: dict[str, int] | None, rows: tuple[int, ...]) -> dict[str, Any]:
        made = Aggregator(ring, counting(), had=had)
        for seq in rows:
            made.receive(DEVICE.message("event", seq), at())
        _, (time,) = made.receive(DEVICE.message("birth", 1, outbox={"first": 290, "last": 303}), at())
        return verify_by_hand(made, "service", time.payload)[1]

    assert "last" not in answer({}, ())
    assert answer({}, (300,))["last"] == 300, "what was heard, not what the home says is gone"
    assert answer({"home-1": 500}, (300,))["last"] == 500
    assert answer({"home-1": 500}, ())["last"] == 500
    assert answer(None, ())["last"] == 289, "who hears all that ever comes counts what never will"


def test_who_does_not_answer_births_still_repeats_documents(aggregator: Aggregator) -> None:
    aggregator.answer_births = False
    document = aggregator.keep(Publish("battery/v1/demo/home-1/down/config", b"x", True))
    assert aggregator.receive(DEVICE.message("birth", 1), at())[1] == (document,)


def test_durable_rows_count_once_and_duplicates_apart(aggregator: Aggregator) -> None:
    for seq in (1, 2, 2, 4, 1):
        aggregator.receive(DEVICE.message("event", seq), at())

    book = aggregator.books["home-1"]
    assert (len(book.ledger), book.ledger.duplicates, book.ledger.missing()) == (3, 2, (3,))
    assert [message.seq for message in book.events] == [1, 2, 4]


def test_a_row_signed_again_is_a_duplicate_but_other_content_is_a_conflict(aggregator: Aggregator) -> None:
    aggregator.receive(DEVICE.message("event", 1), at())
    again, _ = aggregator.receive(DEVICE.message("event", 1, id="ee" * 16, iat=1_700_000_009_999), at())
    other, _ = aggregator.receive(DEVICE.message("event", 1, event="other"), at())
    kind, _ = aggregator.receive(DEVICE.message("settlement", 1), at())

    assert (again.fate, other.fate, kind.fate) == (Fate.DUPLICATE, Fate.CONFLICT, Fate.CONFLICT)
    assert aggregator.score()["conflicts"] == 2


def test_receipts_say_what_is_counted_and_come_again_after_a_duplicate(aggregator: Aggregator) -> None:
    for seq in (1, 2, 4, 6):
        aggregator.receive(DEVICE.message("event", seq), at(10))

    first = aggregator.tick(at(10))
    assert [p.topic for p in first] == ["battery/v1/demo/home-1/down/receipt"]
    header, body = verify_by_hand(aggregator, "service", first[0].payload)
    assert header["typ"] == "battery-receipt+jws"
    assert (body["upto"], body["also"]) == (2, [4, 6])

    assert aggregator.tick(at(30)) == ()  # nothing new
    aggregator.receive(DEVICE.message("event", 4), at(31))
    assert len(aggregator.tick(at(31))) == 1


def test_receipts_keep_their_distance(aggregator: Aggregator) -> None:
    aggregator.receive(DEVICE.message("event", 1), at(10))
    assert len(aggregator.tick(at(10))) == 1
    aggregator.receive(DEVICE.message("event", 2), at(11))
    assert aggregator.tick(at(14.9)) == ()
    assert len(aggregator.tick(at(15))) == 1


def test_what_contradicts_a_counted_row_gets_no_receipt(aggregator: Aggregator) -> None:
    aggregator.receive(DEVICE.message("event", 3), at(10))
    aggregator.tick(at(10))
    aggregator.receive(DEVICE.message("event", 3, event="other"), at(20))
    assert aggregator.tick(at(20)) == ()


def test_an_onlooker_sends_no_receipts() -> None:
    onlooker = Aggregator(keyring(DEVICE), counting(), receipts=False)
    onlooker.receive(DEVICE.message("event", 1), at())
    assert onlooker.tick(at(100)) == ()


def test_birth_and_live_have_a_seq_of_their_own(aggregator: Aggregator) -> None:
    fates = [aggregator.receive(DEVICE.message(*m), at())[0].fate for m in (("live", 1), ("birth", 1), ("live", 1))]

    assert fates == [Fate.NEW, Fate.NEW, Fate.DUPLICATE]
    assert aggregator.books["home-1"].stale == 1
    assert len(aggregator.books["home-1"].ledger) == 0


def test_rows_of_a_start_that_had_no_line_are_no_clone(aggregator: Aggregator) -> None:
    """Boot c1 wrote a row and never connected; c2 delivers it after its own birth. Two that live are still seen."""
    book = aggregator.books["home-1"]
    said = [("birth", 1, "b0"), ("live", 1, "b0"), ("birth", 1, "c2"), ("event", 1, "b0"), ("event", 2, "c1"),
            ("live", 1, "c2"), ("event", 3, "c2"), ("live", 2, "c2")]  # fmt: skip
    for kind, seq, boot in said:
        aggregator.receive(DEVICE.message(kind, seq, boot=boot * 16), at())
    assert (book.back_from, aggregator.score()["two_boots"]) == (0, 0)
    assert book.boots == ["b0" * 16, "c2" * 16]
    for seq, counted in ((2, 1), (3, 2)):
        aggregator.receive(DEVICE.message("live", seq, boot="b0" * 16), at())
        assert aggregator.score()["two_boots"] == counted
    aggregator.receive(DEVICE.message("birth", 2, boot="c1" * 16), at())
    aggregator.receive(DEVICE.message("birth", 2, boot="c2" * 16), at())
    assert aggregator.score()["two_boots"] == 3, "a birth of one counts as well"


BAD: list[Any] = [None, True, -1, 2**63, 2**200, 1.5, "x", [], {}, [1], "z" * 64, "\u0663" * 64, {"a": []}]
ODD: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "prev": ("settlement", lambda x: {"record": "interval", "n": 0, "prev": x}),
    "n": ("settlement", lambda x: {"record": "interval", "n": x, "prev": "0" * 64}),
    "record": ("settlement", lambda x: {"record": x, "n": 5, "prev": "0" * 64, "why": "restored", "known_n": 4}),
    "why": ("settlement", lambda x: {"record": "chain", "n": 5, "prev": "0" * 64, "why": x, "known_n": 4}),
    "known": ("settlement", lambda x: {"record": "chain", "n": 5, "prev": "0" * 64, "why": "restored", "known_n": x,
                                       "known_head": x}),
    "gap first": ("event", lambda x: {"event": "gap", "first": x, "last": 9}),
    "gap last": ("event", lambda x: {"event": "gap", "first": 2, "last": x}),
    "fault": ("event", lambda x: {"event": "fault_raised", "fault": x}),
    "ack": ("ack", lambda x: {"energy_wh": x, "given_w": x, "asked_w": x, "reason": x, "sentence": x}),
    "birth": ("birth", lambda x: {"outbox": x, "protocols": x, "rotations": x, "reserve_permille": x}),
    "birth's lists": ("birth", lambda x: {"outbox": {"first": x, "last": x}, "protocols": [x], "rotations": [x]}),
    "rotation": ("birth", lambda x: {"rotations": [{"payload": x, "signatures": [x, x]}]}),
    "counters": ("batch", lambda x: {"counters": x}),
    "counts": ("batch", lambda x: {"counters": {"a": x}}),
    "t0_ms": ("batch", lambda x: {"t0_ms": x}),
    "column": ("batch", lambda x: {"cols": ["dt_ms", x], "rows": [[0, x]]}),
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_nothing_that_a_home_may_sign_raises(odd: str) -> None:
    """By its own key, and of a shape that no honest home has: judged, answered, counted and shown like anything."""
    kind, body = ODD[odd]
    for value in [*BAD, 2**63 - 1]:
        made = Aggregator(keyring(DEVICE), counting())
        made.receive(DEVICE.message("birth", 1, retain=True), at())
        for seq in (2, 3):
            verdict, _ = made.receive(DEVICE.message(kind, seq, **body(value)), at())
            assert show.verdict(verdict, at().wall_ms)
        made.tick(at(100))
        made.resends(at(100))
        assert made.score()["rows"] >= 0
        made.books["home-1"].samples()
        made.books["home-1"].faults()


def test_a_column_that_came_with_a_later_version_is_a_row_like_any(aggregator: Aggregator) -> None:
    message = DEVICE.message("batch", 1, cols=["dt_ms", "soc_permille", "new_w"], rows=[[0, 500, 7]])
    verdict, _ = aggregator.receive(message, at())
    assert verdict.refused is None
    assert aggregator.books["home-1"].samples()[0]["new_w"] == 7
    assert [p.topic.rpartition("/")[2] for p in aggregator.tick(at(100))] == ["receipt"], "or it would come for ever"


def test_acks_are_kept_by_command_in_order_with_times(aggregator: Aggregator) -> None:
    aggregator.receive(DEVICE.message("ack", 2, state="limited", reason="reserve"), at(2))
    aggregator.receive(DEVICE.message("ack", 1, state="started"), at(3))

    acks = aggregator.books["home-1"].acks["c0" * 16]
    assert [(a.state, a.reason, a.heard) for a in acks] == [("started", None, at(3)), ("limited", "reserve", at(2))]
    assert aggregator.books["home-1"].last_state("c0" * 16) == "limited"


def test_counters_of_the_device_rise_within_a_boot_and_add_up_over_boots(aggregator: Aggregator) -> None:
    for seq, boot, counters in (
        (2, "b0" * 16, {"replay": 5, "expired": 1}),
        (1, "b0" * 16, {"replay": 3}),
        (3, "b1" * 16, {"replay": 2, "expired": "many"}),
    ):
        aggregator.receive(DEVICE.message("batch", seq, boot=boot, counters=counters), at())
    assert aggregator.books["home-1"].counters == {"replay": 7, "expired": 1}


def test_samples_of_batches_in_order_of_time(aggregator: Aggregator) -> None:
    aggregator.receive(DEVICE.message("batch", 2, t0_ms=2000, rows=[[0, 1, 2, 3]]), at())
    aggregator.receive(DEVICE.message("batch", 1, t0_ms=0, rows=[[0, 4, 5, 6], [999, 7, 8, 9]]), at())
    rows = aggregator.books["home-1"].samples()
    assert [(row["wall_ms"], row["soc_permille"]) for row in rows] == [(0, 4), (999, 7), (2000, 1)]


def test_what_a_device_without_a_clock_says_is_not_too_old(aggregator: Aggregator) -> None:
    live = _passing("live", iat=0, exp=60_000, clock="untrusted")
    assert aggregator.receive(live, at())[0].fate is Fate.NEW


def test_a_durable_row_is_never_too_old(aggregator: Aggregator) -> None:
    row = _passing("settlement", exp=at(-1).wall_ms)
    assert aggregator.receive(row, at())[0].fate is Fate.NEW


def test_faults_stay_until_they_are_cleared(aggregator: Aggregator) -> None:
    words = [(1, "fault_raised", "bms_silent"), (2, "fault_raised", "meter_stale"), (4, "fault_raised", "bms_silent")]
    for seq, event, fault in [*words, (3, "fault_cleared", "bms_silent"), (5, "fault_cleared", "meter_stale")]:
        aggregator.receive(DEVICE.message("event", seq, event=event, fault=fault), at())
    assert {name: m.seq for name, m in aggregator.books["home-1"].faults().items()} == {"bms_silent": 4}


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"[" * 100_000, b"nothing"])
def test_presence_is_only_a_hint_and_never_raises(aggregator: Aggregator, payload: bytes) -> None:
    verdict, _ = aggregator.receive(MqttMessage(DEVICE.topic("state"), payload, 1, True), at())
    assert verdict.presence == {"state": "unreadable"}


def test_commands_are_what_the_wire_says(aggregator: Aggregator) -> None:
    signed = aggregator.dispatch("home-1", -3000, 900, at(1), start_ms=9, primacy=2, ramp="urgent")

    header, body = verify_by_hand(aggregator, "dispatch", signed.token)
    assert signed.topic == "battery/v1/demo/home-1/down/command"
    assert header == {"alg": "Ed25519", "kid": aggregator.keyring.roles["dispatch"].kid, "typ": "battery-command+jws"}
    assert body == {
        "v": 1, "id": signed.id, "iss": "agg:demo", "aud": "dev:home-1", "seq": at(1).wall_ms, "iat": at(1).wall_ms,
        "exp": at(1).wall_ms + 60_000, "kind": "dispatch", "power_w": -3000, "duration_s": 900, "start": 9,
        "primacy": 2, "ramp": "urgent",
    }  # fmt: skip


def test_cancel_stop_and_groups(aggregator: Aggregator) -> None:
    cancel = aggregator.cancel("home-1", "aa" * 16, at())
    stop = aggregator.stop("grp:south", at())

    assert (cancel.claims["kind"], cancel.claims["target"]) == ("cancel", "aa" * 16)
    assert (stop.claims["kind"], stop.claims["aud"]) == ("stop", "grp:south")
    assert stop.topic == "battery/v1/demo/group/south/command"
    assert stop.claims["seq"] == cancel.claims["seq"] + 1


def test_a_role_key_that_is_not_there_is_not_used() -> None:
    ring = keyring(DEVICE)
    looker = Aggregator(type(ring)(ring.fleet, ring.groups, {}, ring.devices), counting())
    assert looker.receive(DEVICE.message("birth", 1), at())[1] == ()
    with pytest.raises(KeyError, match="dispatch"):
        looker.dispatch("home-1", 1, 1, at())


def test_ledger_never_claims_what_it_has_not_seen() -> None:
    ledger = Ledger()
    for seq in (57, 58, 60):
        ledger.count(seq, b"x")
    assert (ledger.upto, ledger.highest, len(ledger.missing())) == (0, 60, 57)


def test_ledger_gives_up_what_the_device_no_longer_has() -> None:
    ledger = Ledger()
    for seq in (1, 57, 58, 60):
        ledger.count(seq, b"x")
    ledger.begin(57)
    assert (ledger.upto, ledger.gone, ledger.missing()) == (58, 55, (59,))
    ledger.begin(3)  # an older birth changes nothing
    assert ledger.upto == 58
    assert ledger.count(30, b"x") is Fate.NEW  # and if one of them comes after all, it counts
    assert (ledger.gone, ledger.upto, len(ledger)) == (54, 58, 5)


def test_a_seq_of_any_size_costs_nothing() -> None:
    ledger = Ledger()
    ledger.count(2**62, b"x")
    assert len(ledger.missing(5)) == 5
    ledger.begin(2**61)
    assert (ledger.upto, ledger.gone) == (2**61 - 1, 2**61 - 1)


def test_an_aggregator_that_lost_its_ledger_begins_where_the_device_does(aggregator: Aggregator) -> None:
    """Else its receipts could only name rows one by one, and the device would wait for the rest for ever."""
    aggregator.receive(DEVICE.message("birth", 1, outbox={"first": 501, "last": 900}), at())
    for seq in range(501, 901):
        aggregator.receive(DEVICE.message("event", seq), at())
    receipt = aggregator.receipt("home-1", at())
    assert (receipt.claims["upto"], receipt.claims["also"]) == (900, [])


def test_what_a_replaced_store_has_lost_is_gone_and_not_waited_for(aggregator: Aggregator) -> None:
    for seq in (1, 2):
        aggregator.receive(DEVICE.message("event", seq), at())
    gap = DEVICE.message("event", 10, event="gap", reason="store_replaced", first=None, last=9)
    aggregator.receive(gap, at())
    ledger = aggregator.books["home-1"].ledger
    assert (ledger.upto, ledger.gone, ledger.missing()) == (10, 7, ())


@pytest.mark.parametrize("outbox", [None, 7, {}, {"first": None}, {"first": True}, {"first": "9"}])
def test_a_birth_that_does_not_say_where_it_begins(aggregator: Aggregator, outbox: object) -> None:
    aggregator.receive(DEVICE.message("birth", 1, outbox=outbox), at())
    assert aggregator.books["home-1"].ledger.upto == 0


def test_more_rows_beyond_a_gap_than_a_receipt_can_name_come_with_the_next(aggregator: Aggregator) -> None:
    for seq in range(2, 402):
        aggregator.receive(DEVICE.message("event", seq), at(10))
    named = [aggregator.receipt("home-1", at(10)).claims["also"] for _ in range(3)]
    assert [len(also) for also in named] == [256, 144, 0]
    assert named[0] + named[1] == list(range(2, 402))


def verify_by_hand(aggregator: Aggregator, role: str, token: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and body of a token, its signature checked by `cryptography` alone."""
    header, payload, signature = token.split(b".")
    x = str(aggregator.keyring.roles[role].key.as_dict(private=False)["x"]).encode()
    try:
        Ed25519PublicKey.from_public_bytes(unb64(x)).verify(unb64(signature), header + b"." + payload)
    except InvalidSignature:
        pytest.fail(f"not signed by {role}")
    assert b64(unb64(payload)) == payload
    return json.loads(unb64(header)), json.loads(unb64(payload))


def test_signed_carries_what_was_signed(aggregator: Aggregator) -> None:
    signed: Signed = aggregator.stop("home-1", at())
    assert json.loads(unb64(signed.token.split(b".")[1])) == dict(signed.claims)


# --- for brokers that forget --------------------------------------------------------------------------------------
def test_a_command_that_nobody_acknowledged_is_sent_again_until_it_expires() -> None:
    aggregator = Aggregator(keyring(DEVICE), counting(), repeat_ns=2_000_000_000)
    signed = aggregator.dispatch("home-1", 1000, 60, at())
    aggregator.dispatch("grp:south", 1000, 60, at())  # of a group nobody knows who should have answered

    def repeated(seconds: int) -> list[bytes]:
        return [message.payload for message in aggregator.tick(at(seconds))]

    assert [repeated(s) for s in (1, 2, 3, 4)] == [[], [signed.token], [], [signed.token]]
    assert repeated(61) == []
    assert repeated(70) == []


def test_an_acknowledged_command_is_sent_once() -> None:
    aggregator = Aggregator(keyring(DEVICE), counting(), repeat_ns=1, receipts=False)
    signed = aggregator.dispatch("home-1", 1000, 60, at())
    token = DEVICE.token(DEVICE.header("ack"), DEVICE.claims("ack", 1) | {"command_id": signed.id})
    aggregator.receive(MqttMessage(DEVICE.topic("ack"), token, 1, False), at())
    assert aggregator.tick(at(2)) == ()


def test_documents_follow_each_birth_of_their_device() -> None:
    aggregator = Aggregator(keyring(DEVICE), counting())
    bundle = aggregator.keep(Publish("battery/v1/demo/home-1/down/trust", b"old", True))
    bundle = aggregator.keep(Publish(bundle.topic, b"new", True))
    aggregator.keep(Publish("battery/v1/demo/home-2/down/trust", b"another's", True))
    _, (time, *documents) = aggregator.receive(DEVICE.message("birth", 1), at())
    assert time.topic.endswith("/down/time")
    assert documents == [bundle]
