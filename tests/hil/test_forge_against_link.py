"""Every attack, by the link's own judgement: nothing gets through, and the counter that rises is one that was named.

Here alone both sides meet in one process; each was written without the other's code.
"""

from __future__ import annotations

import pytest

from agent.core.inputs import Clock, ClockTrust, CommandIn
from agent.link import trust, upward
from agent.link.clock import LinkClock
from agent.link.config import LinkConfig
from agent.link.inbound import Inbound
from agent.link.jws import signer
from agent.link.messages import Receipt, Time
from agent.link.refusal import Refusal
from agent.mail import OutboxRow, Sample
from agent.runtime.part import MqttMessage
from hil.aggregator import claims
from hil.aggregator.aggregator import Aggregator, Signed
from hil.aggregator.forge import FORGERIES, forge
from hil.aggregator.keys import load_keyring
from hil.aggregator.ledger import Fate
from hil.pki import Pki, make_pki
from tests.hil.tokens import BODIES, BOOT, HandDevice, at, counting, keyring
from tests.link.roots import of_pki

SEED = HandDevice().key.private_bytes_raw()


class Meeting:
    """An aggregator and a link that trust each other by the files of one PKI."""

    def __init__(self, pki: Pki) -> None:
        trusted = of_pki(pki.devices["home-1"])
        assert isinstance(trusted, trust.Trust)
        self.config = LinkConfig("home-1", "demo", ("south",), 1, SEED, trusted)
        self.aggregator = Aggregator(load_keyring(pki.devices_file.parent), counting())
        self.inbound = Inbound(self.config, BOOT, (), (), bytes)
        self.clock = LinkClock()
        self.clock.kernel(Clock(at().wall_ms, ClockTrust.SYNCED, "k", BOOT), at().mono_ns)

    def hear(self, topic: str, payload: bytes, retain: bool = False) -> object:
        return self.inbound.receive(topic, payload, retain, self.clock, True, at().mono_ns)

    def valid(self, target: str = "home-1") -> Signed:
        return self.aggregator.dispatch(target, 5000, 60, at())


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(
        tmp_path_factory.mktemp("pki"), "demo", ["home-1"], ["south"], issued_ms=at().wall_ms - 1, over=True
    )


@pytest.fixture
def meeting(pki: Pki) -> Meeting:
    return Meeting(pki)


@pytest.mark.parametrize("target", ["home-1", "grp:south"])
def test_the_valid_command_gets_through(meeting: Meeting, target: str) -> None:
    signed = meeting.valid(target)
    heard = meeting.hear(signed.topic, signed.token)
    assert isinstance(heard, CommandIn)
    assert (heard.command.id, heard.command.power_w, heard.command.duration_s) == (signed.id, 5000, 60)


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize("target", ["home-1", "grp:south"])
def test_the_same_command_changed_in_one_way_does_not(meeting: Meeting, kind: str, target: str) -> None:
    earlier, signed = meeting.valid(target), meeting.valid(target)
    assert isinstance(meeting.hear(earlier.topic, earlier.token), CommandIn)  # the stream has begun
    if kind == "replayed":
        assert isinstance(meeting.hear(signed.topic, signed.token), CommandIn)

    forged = forge(kind, signed, meeting.aggregator.keyring)
    heard = meeting.hear(forged.topic, forged.payload, forged.retain)

    assert isinstance(heard, Refusal), kind
    assert heard.reason in forged.reasons, f"{kind}: {heard}"
    if kind != "replayed":  # and nothing was spoilt by it: what it was made of still works
        assert isinstance(meeting.hear(signed.topic, signed.token), CommandIn)


def test_cancel_stop_time_and_receipt_get_through(meeting: Meeting) -> None:
    a = meeting.aggregator
    cancel, stop = a.cancel("home-1", "ab" * 16, at()), a.stop("home-1", at())
    time = a.time("home-1", BOOT, at())
    for seq in (1, 2, 4):
        a.books["home-1"].ledger.count(seq, b"x")
        a.books["home-1"].unreceipted.add(seq)
    receipt = a.receipt("home-1", at())

    heard = [meeting.hear(s.topic, s.token) for s in (cancel, stop, time, receipt)]

    assert isinstance(heard[0], CommandIn)
    assert heard[0].command.target == "ab" * 16
    assert isinstance(heard[1], CommandIn)
    assert isinstance(heard[2], Time)
    assert heard[2].wall_ms == at().wall_ms
    assert isinstance(heard[3], Receipt)
    assert (heard[3].upto, heard[3].also) == (2, [4])


def test_the_longest_receipt_gets_through(meeting: Meeting) -> None:
    for seq in range(10**15, 10**15 + 2000, 2):
        meeting.aggregator.books["home-1"].unreceipted.add(seq)
    receipt = meeting.aggregator.receipt("home-1", at())
    heard = meeting.hear(receipt.topic, receipt.token)
    assert isinstance(heard, Receipt)
    assert len(heard.also) == 256


@pytest.mark.parametrize("kind", sorted(claims.DURABLE - {"batch"}))
def test_rows_of_the_link_are_believed(kind: str) -> None:
    device = HandDevice()
    aggregator = _believer(device)
    body = upward.compact(BODIES[kind])
    row = OutboxRow(7, kind, BOOT, at().wall_ms, 5, "synced", body)
    token = upward.row_token(upward.Sender("home-1", "demo", signer(SEED)), row)
    verdict, _ = aggregator.receive(MqttMessage(device.topic(kind), token, 1, False), at())
    assert verdict.fate is Fate.NEW, verdict.refused


def test_a_block_of_the_link_is_believed_second_by_second() -> None:
    device = HandDevice()
    aggregator = _believer(device)
    block = upward.Block(3)
    for index in range(3):
        clock = Clock(at().wall_ms + 1000 * index, ClockTrust.SYNCED, "k", BOOT)
        block.add(Sample(clock, 1000 * index, BODIES["live"] | {"battery_w": index}, dispatched=False))
    closed = block.close({"replay": 4})
    assert closed is not None
    row = OutboxRow(1, "batch", BOOT, at().wall_ms, 0, "synced", closed.payload)
    token = upward.row_token(upward.Sender("home-1", "demo", signer(SEED)), row)
    verdict, _ = aggregator.receive(MqttMessage(device.topic("batch"), token, 1, False), at())
    assert verdict.fate is Fate.NEW, verdict.refused
    samples = aggregator.books["home-1"].samples()
    assert aggregator.books["home-1"].counters == {"replay": 4}
    assert [(s["wall_ms"] - at().wall_ms, s["battery_w"]) for s in samples] == [(0, 0), (1000, 1), (2000, 2)]


def _believer(device: HandDevice) -> Aggregator:

    return Aggregator(keyring(device), counting())
