"""A device's key follows another only by the old one's word, once, and for as long as that one counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from agent.runtime.part import MqttMessage
from hil.aggregator.aggregator import Aggregator
from hil.aggregator.keys import load_keyring
from hil.aggregator.registry import OVERLAP_MS, NotRotatedError, Registry
from tests.hil.tokens import BOOT, HandDevice, at, b64, counting, keyring

OLD, NEW, EVIL = (HandDevice(seed=bytes([n]) * 32) for n in (1, 2, 3))
DAYS = OVERLAP_MS / 1000


def announcement(
    old: HandDevice, new: HandDevice, by: tuple[HandDevice, ...] = (), typ: str = "rotate", **change: Any
) -> dict[str, Any]:
    body = {
        "v": 1,
        "fleet": "demo",
        "device": "home-1",
        "old": old.kid,
        "kid": new.kid,
        "x": new.x,
        "iat": 1,
        "overlap_s": 604_800,
    }
    payload = json.dumps(body | change).encode()
    parts = [signer.token(signer.header(typ), payload).split(b".") for signer in by or (old, new)]
    return {"payload": parts[0][1].decode(),
            "signatures": [{"protected": p.decode(), "signature": s.decode()} for p, _, s in parts]}  # fmt: skip


@pytest.fixture
def aggregator() -> Aggregator:
    return Aggregator(keyring(OLD), counting())


def birth(by: HandDevice, *rotations: Any, boot: str = BOOT, seq: int = 1) -> MqttMessage:
    return by.message("birth", seq, retain=True, boot=boot, rotations=list(rotations))


def believed(aggregator: Aggregator, message: MqttMessage, second: float = 0) -> bool:
    return aggregator.receive(message, at(second))[0].refused is None


def test_a_birth_that_brings_the_old_keys_word_is_believed_and_so_is_all_that_follows(aggregator: Aggregator) -> None:
    assert not believed(aggregator, NEW.message("ack", 1))
    assert believed(aggregator, birth(NEW, announcement(OLD, NEW)))
    assert believed(aggregator, NEW.message("ack", 1))
    assert believed(aggregator, OLD.message("event", 2)), "a row that was under way"


def test_the_old_key_counts_for_the_overlap_and_no_longer(aggregator: Aggregator) -> None:
    assert believed(aggregator, birth(NEW, announcement(OLD, NEW)))
    assert believed(aggregator, OLD.message("ack", 1), DAYS)
    assert not believed(aggregator, OLD.message("ack", 2), DAYS + 1)
    assert believed(aggregator, NEW.message("ack", 2), DAYS + 1)


def test_who_missed_a_rotation_walks_through_both(aggregator: Aggregator) -> None:
    last = HandDevice(seed=bytes([9]) * 32)
    assert believed(aggregator, birth(last, announcement(OLD, NEW), announcement(NEW, last)))
    assert believed(aggregator, last.message("ack", 1))


def _posing(device: HandDevice, as_: HandDevice) -> HandDevice:
    """Signs with its own key, under the other's kid."""
    poser = HandDevice(seed=bytes([3]) * 32)
    assert poser.x == device.x
    poser.kid = as_.kid
    return poser


def _signature_of_another(old: HandDevice, new: HandDevice) -> dict[str, Any]:
    made = announcement(old, new)
    made["signatures"][0]["signature"] = announcement(old, new, iat=2)["signatures"][0]["signature"]
    return made


FORGED: dict[str, Callable[[], Any]] = {
    "by_nobody": lambda: announcement(OLD, EVIL) | {"signatures": []},
    "by_the_new_alone": lambda: announcement(OLD, EVIL, by=(EVIL,)),
    "by_the_new_twice": lambda: announcement(OLD, EVIL, by=(EVIL, EVIL)),
    "by_the_new_in_the_olds_name": lambda: announcement(OLD, EVIL, by=(_posing(EVIL, OLD), EVIL)),
    "by_the_old_alone": lambda: announcement(OLD, EVIL, by=(OLD,)),
    "by_the_old_twice": lambda: announcement(OLD, EVIL, by=(OLD, OLD)),
    "after_a_stranger": lambda: announcement(NEW, EVIL),
    "to_itself": lambda: announcement(OLD, OLD),
    "of_another_device": lambda: announcement(OLD, EVIL, device="home-2"),
    "of_another_fleet": lambda: announcement(OLD, EVIL, fleet="other"),
    "of_another_typ": lambda: announcement(OLD, EVIL, typ="event"),
    "of_another_version": lambda: announcement(OLD, EVIL, v=2),
    "kid_of_another": lambda: announcement(OLD, EVIL, x=NEW.x),
    "another_signature": lambda: _signature_of_another(OLD, EVIL),
    "three": lambda: announcement(OLD, EVIL, by=(OLD, EVIL, EVIL)),
    "text": lambda: "x", "nothing": lambda: None, "empty": dict, "deep": lambda: {"payload": [[]], "signatures": 1},
    "no_json": lambda: announcement(OLD, EVIL) | {"payload": b64(b"[").decode()},
    "not_b64": lambda: announcement(OLD, EVIL) | {"payload": "!"},
}  # fmt: skip


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED)
def test_what_the_old_key_did_not_say_changes_nothing(aggregator: Aggregator, make: Callable[[], Any]) -> None:
    before = aggregator.registry.dump()
    assert not believed(aggregator, birth(EVIL, make()))
    assert aggregator.registry.dump() == before
    with pytest.raises(NotRotatedError):
        aggregator.registry.adopt("home-1", make(), at().wall_ms)
    assert believed(aggregator, OLD.message("ack", 1))


def test_a_key_has_one_successor(aggregator: Aggregator) -> None:
    """Who steals the old key while it still counts cannot name a key of their own."""
    assert believed(aggregator, birth(NEW, announcement(OLD, NEW)))
    assert not believed(aggregator, birth(EVIL, announcement(OLD, EVIL)), 5)
    assert believed(aggregator, birth(NEW, announcement(OLD, NEW), seq=2), 6), "told again"


def test_a_retired_or_revoked_key_announces_nobody(aggregator: Aggregator) -> None:
    registry = aggregator.registry
    assert registry.adopt("home-1", announcement(OLD, NEW), at().wall_ms) == NEW.kid
    with pytest.raises(NotRotatedError):
        registry.adopt("home-1", announcement(OLD, EVIL), at(DAYS + 1).wall_ms)
    assert registry.revoke("home-1", NEW.kid)
    assert not registry.revoke("home-1", NEW.kid)
    assert not believed(aggregator, birth(EVIL, announcement(NEW, EVIL)))


def test_a_rotation_in_anything_but_a_birth_is_not_looked_at(aggregator: Aggregator) -> None:
    assert not believed(aggregator, NEW.message("event", 1, rotations=[announcement(OLD, NEW)]))


def test_a_birth_is_believed_by_its_own_signature_alone(aggregator: Aggregator) -> None:
    """A true announcement in a birth that somebody else signed."""
    assert not believed(aggregator, birth(EVIL, announcement(OLD, NEW)))
    forged = birth(NEW, announcement(OLD, NEW))
    assert not believed(aggregator, MqttMessage(forged.topic, forged.payload[:-8] + b"AAAAAAAA", 1, True))


def test_what_was_learnt_is_kept_in_devices_json(aggregator: Aggregator, tmp_path: Any) -> None:
    assert believed(aggregator, birth(NEW, announcement(OLD, NEW)))
    known = {"version": 1, "fleet": "demo", "groups": [], "devices": aggregator.registry.dump()}
    (tmp_path / "devices.json").write_text(json.dumps(known))
    again = Registry(load_keyring(tmp_path))
    assert again.dump() == aggregator.registry.dump()
    assert set(again.keys("home-1", at(DAYS + 1).wall_ms)) == {NEW.kid}
