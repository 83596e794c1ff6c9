"""The trust file, and the matrix of who may say what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.link import jws, trust
from agent.link.messages import KINDS
from tests.link.home import kid_of, seed_of, trust_file

GOOD: dict[str, Any] = json.loads(trust_file())


def parsed(**changes: object) -> trust.Trust | str:
    return trust.parse(json.dumps(GOOD | changes).encode())


def test_the_file_gives_keys_by_kid_and_their_one_role() -> None:
    found = parsed()
    assert isinstance(found, trust.Trust)
    assert (found.version, found.fleet, found.groups) == (3, "fleet", ("north",))
    assert found.role_of[kid_of(seed_of("service"))] == "service"
    assert set(found.keys) == {kid_of(seed_of(role)) for role in trust.ROLES}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "1"}, "version"), ({"version": 0}, "version"), ({"version": True}, "version"),
        ({"fleet": "a b"}, "fleet"), ({"fleet": 1}, "fleet"), ({"groups": "north"}, "groups"),
        ({"groups": ["a/b"]}, "groups"), ({"roles": []}, "roles"),
        ({"extra": 1}, "extra"), ({"roles": {"root": []}}, "unknown"), ({"roles": {"dispatch": {}}}, "list"),
        ({"roles": {"dispatch": [{"kid": "a", "x": "b", "d": "c"}]}}, "exactly"),
        ({"roles": {"dispatch": [{"kid": "a", "x": "AAAA"}]}}, "32 bytes"),
        ({"roles": {"dispatch": [{"kid": "a", "x": GOOD["roles"]["service"][0]["x"]}]}}, "does not belong"),
        ({"roles": {"dispatch": GOOD["roles"]["service"], "service": GOOD["roles"]["service"]}}, "one role"),
        ({"roles": {"dispatch": GOOD["roles"]["dispatch"] * 2}}, "one role"),
        ({"roles": {"dispatch": GOOD["roles"]["dispatch"] * 3}}, "at most 2"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_wrong_file_is_a_sentence(change: dict[str, object], says: str) -> None:
    found = parsed(**change)
    assert isinstance(found, str)
    assert says in found


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"version":1,"version":2}', b"\xff", trust_file() + b" " * 65_536]
)
def test_a_file_that_is_no_trust_file_is_a_sentence(data: bytes) -> None:
    assert isinstance(trust.parse(data), str)


def test_load_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    missing = trust.load(path)
    assert isinstance(missing, str)
    assert str(path) in missing
    path.write_bytes(trust_file())
    assert isinstance(trust.load(path), trust.Trust)


def test_a_dispatch_key_can_do_nothing_but_dispatch() -> None:
    found = parsed()
    assert isinstance(found, trust.Trust)
    kid = kid_of(seed_of("dispatch"))
    kinds = {kind for kind in KINDS if found.may(kid, "battery-command+jws", kind)}
    assert kinds == set(KINDS)
    typs = ("time", "receipt", "config", "default", "trust", "firmware", "homeowner")
    assert not any(found.may(kid, f"battery-{typ}+jws") for typ in typs)


def test_every_role_and_kind_of_the_matrix() -> None:
    found = parsed()
    assert isinstance(found, trust.Trust)
    allowed = {
        role: sorted(k for k in KINDS if found.may(kid_of(seed_of(role)), "battery-command+jws", k))
        for role in trust.ROLES
    }
    assert allowed == {
        "dispatch": sorted(KINDS), "service": ["resend"], "operations": ["cancel", "resend", "stop"], "homeowner": [],
    }  # fmt: skip
    assert not found.may("unknown-kid-0000", "battery-command+jws", "stop")


def test_entry_is_what_the_file_lists() -> None:
    public = jws.signer(seed_of("dispatch")).key.public_key().public_bytes_raw()
    assert trust.entry(public) == GOOD["roles"]["dispatch"][0]
