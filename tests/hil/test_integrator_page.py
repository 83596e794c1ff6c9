"""docs/integrator.md is true: its code runs, its vector verifies everywhere, its tables hold every word of the wire."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.link import jws, trust
from agent.link.messages import Dispatch, parse_command
from agent.link.trust import MAY_SIGN
from hil.aggregator import claims
from hil.aggregator.forge import FORGERIES
from hil.aggregator.keys import public_key
from hil.aggregator.token import Opened, open_token
from hil.pki import make_pki
from tests.hil.tokens import HandDevice
from tests.link.roots import of_pki

PAGE = (Path(__file__).parents[2] / "docs" / "integrator.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def _rows(heading: str) -> list[list[str]]:
    """Cells of the tables of one section."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip() for line in section.splitlines() if line.strip().startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_its_signing_example_makes_a_command_that_the_link_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki = make_pki(tmp_path, "demo", ["home-1"])
    monkeypatch.chdir(pki.devices_file.parent)
    scope: dict[str, Any] = {}
    exec(_blocks("python")[0], scope)  # our own page

    trusted = of_pki(pki.devices["home-1"])
    assert isinstance(trusted, trust.Trust)
    found = jws.verify(scope["token"].encode(), trusted.keys, "battery-command+jws", jws.COMMAND_MAX)
    assert isinstance(found, jws.Verified)
    command = parse_command(found.claims)
    assert isinstance(command, Dispatch)
    assert (command.power_w, scope["topic"]) == (5000, "battery/v1/demo/home-1/down/command")


@pytest.mark.parametrize("kind", claims.KINDS)
def test_its_verifying_example_believes_every_kind(kind: str) -> None:
    device = HandDevice()
    scope: dict[str, Any] = {}
    exec(_blocks("python")[1], scope)  # our own page
    message = device.message(kind, 7)
    found = scope["verify"](message.topic, message.payload, {"home-1": {device.kid: device.x}})
    assert found["seq"] == 7


@pytest.mark.parametrize("case", ["other key", "other topic", "other audience"])
def test_its_verifying_example_refuses(case: str) -> None:
    device, known = HandDevice(), HandDevice()
    message = device.message("ack", 7)
    topic, payload = message.topic, message.payload
    if case == "other key":
        stranger = HandDevice(seed=b"\x05" * 32)
        payload = stranger.token(device.header("ack"), device.claims("ack", 7))
    elif case == "other topic":
        topic = device.topic("event")
    else:
        payload = device.token(device.header("ack"), device.claims("ack", 7) | {"aud": "agg:other"})
    scope: dict[str, Any] = {}
    exec(_blocks("python")[1], scope)  # our own page
    with pytest.raises(ValueError, match=r"bad signature|another topic|somebody else"):
        scope["verify"](topic, payload, {"home-1": {known.kid: known.x}})


def test_its_vector_verifies_on_both_sides_and_is_what_the_key_gives() -> None:
    trust_file, _, body = (json.loads(block) for block in _blocks("json"))
    token = _blocks("text")[0].strip().encode()
    entry = trust_file["roles"]["dispatch"][0]
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # RFC 8032 7.1, test 1

    opened = open_token(token, "battery-command+jws", dict([public_key(entry)]))
    trusted = trust.parse(json.dumps(trust_file).encode())
    assert isinstance(trusted, trust.Trust)
    verified = jws.verify(token, trusted.keys, "battery-command+jws", jws.COMMAND_MAX)

    assert isinstance(opened, Opened)
    assert isinstance(verified, jws.Verified)
    assert opened.claims == verified.claims == body
    assert isinstance(parse_command(verified.claims), Dispatch)
    assert jws.sign(jws.signer(seed), "battery-command+jws", _blocks("json")[2].strip().encode()) == token


def test_its_states_are_those_of_the_wire() -> None:
    rows = [row for row in _rows("Commands and their lives") if len(row) == 4 and _words(row[0])]
    states = {_words(row[0])[0]: row[2] == "yes" for row in rows}
    assert states == {state: state in claims.TERMINAL for state in claims.STATES}


def test_its_columns_are_those_of_a_live_record() -> None:
    listed = [word for row in _rows("Telemetry") for word in _words(row[0])]
    assert sorted(listed) == sorted(claims.COLUMNS)


def test_its_reasons_cover_every_forgery() -> None:
    listed = {word for row in _rows("What is refused") for word in _words(row[0])}
    assert listed >= {reason for row in FORGERIES.values() for reason in row.reasons}
    assert f"one of {len(FORGERIES)} ways" in PAGE


def test_its_topics_are_those_that_the_aggregator_knows() -> None:
    topics = {word: _words(row[1]) for row in _rows("Topics") for word in _words(row[0])}
    upward = {name.removeprefix("up/"): typ for name, typ in topics.items() if name.startswith("up/")}
    assert upward == {kind: [claims.typ_of(kind)] for kind in claims.KINDS} | {"state": []}
    assert {typ for typ, _ in MAY_SIGN} <= {typ[0] for typ in topics.values() if typ}
