"""docs/vectors/link.json: what joserfc says of every signature, and what the product and the aggregator make of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws as jose
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.registry import HeaderParameter
from pydantic import BaseModel

from agent.core.inputs import CommandIn, FreshTime
from agent.link import anchor, documents, homeowner, jws, trust
from agent.link.messages import KINDS, parse_command, parse_receipt, parse_time
from agent.mail import Document, Receipted, Resend, WriteTrust
from agent.runtime.part import MqttMessage, Now
from hil.aggregator.aggregator import Aggregator
from hil.aggregator.keys import Keyring, SigningKey
from hil.protocol import vectors
from tests.link.home import WALL, Home, posted, published

FILE = Path(__file__).parents[2] / "docs" / "vectors" / "link.json"
DATA: dict[str, Any] = json.loads(FILE.read_text())
DOWN: dict[str, dict[str, Any]] = {row["name"]: row for row in DATA["down"]}
UP: dict[str, dict[str, Any]] = {row["name"]: row for row in DATA["up"]}


def unb64(part: bytes | str) -> bytes:
    """As lax as Python's library is."""
    data = part.encode() if isinstance(part, str) else part
    return base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))


BUNDLE: dict[str, Any] = json.loads(unb64(DATA["home"]["trust"]["payload"]))
PUBLIC = {entry["kid"]: entry["x"] for role in BUNDLE["roles"].values() for entry in role["keys"]}
PUBLIC |= {entry["kid"]: entry["x"] for entry in (*DATA["home"]["homeowner"], DATA["keys"]["device"])}
EVERY: list[dict[str, Any]] = [*DATA["down"], *DATA["up"]]
SINGLE = [row for row in EVERY if "holds" not in row]
ED25519 = jose.JWSRegistry.algorithms["Ed25519"]
REGISTRY = jose.JWSRegistry(header_registry={"zip": HeaderParameter("compression", "str")}, algorithms=["Ed25519"])


def token_of(row: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(row["token_hex"]) if "token_hex" in row else str(row["token"]).encode()


def message_of(row: Mapping[str, Any]) -> MqttMessage:
    return MqttMessage(row["topic"], token_of(row), 1, row.get("retained", False))


def okp(x: str) -> OKPKey:
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})


def signature_of(token: bytes) -> bool | None:
    """What joserfc's Ed25519 says of it under the key of its kid; None: it cannot be asked."""
    parts = token.split(b".")
    if len(parts) != 3 or not parts[2] or b"".join(parts).strip(ALPHABET):
        return None
    try:
        header = json.loads(unb64(parts[0]))
        signature = unb64(parts[2])
    except ValueError:
        return None
    x = PUBLIC.get(header.get("kid", ""))
    if x is None or base64.urlsafe_b64encode(signature).rstrip(b"=") != parts[2]:
        return None
    return bool(ED25519.verify(parts[0] + b"." + parts[1], signature, okp(x)))


ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_the_file_is_what_the_source_makes() -> None:
    assert FILE.read_text() == vectors.text(), "python scripts/protocol.py"


def test_its_keys_say_that_they_are_test_keys() -> None:
    assert "TEST KEYS" in DATA["about"]
    assert all("TEST KEY" in each["use"] for each in DATA["keys"].values())


def test_names_are_unique_and_all_befores_are_there() -> None:
    assert len(DOWN) == len(DATA["down"])
    assert len(UP) == len(DATA["up"])
    assert {name for row in DATA["down"] for name in row.get("before", ())} <= DOWN.keys()


@pytest.mark.parametrize("row", SINGLE, ids=lambda row: str(row["name"]))
def test_joserfc_says_the_same_of_the_signature(row: dict[str, Any]) -> None:
    assert signature_of(token_of(row)) is row["signature"]


@pytest.mark.parametrize("row", [r for r in EVERY if "holds" in r], ids=lambda row: str(row["name"]))
def test_joserfc_counts_the_signatures_of_a_bundle(row: dict[str, Any]) -> None:
    """One by one, under the keys of the role that signs it; the threshold is for the home to judge."""
    role = "firmware" if row["topic"].endswith("/firmware") else "root"
    kids = {entry["kid"] for entry in BUNDLE["roles"][role]["keys"]}
    try:
        found = json.loads(token_of(row))
    except ValueError:
        found = {"bundles": []}
    count = 0
    for each in found.get("bundles", [found]):
        for one in each["signatures"]:
            kid = json.loads(unb64(one["protected"]))["kid"]
            token = f"{one['protected']}.{each['payload']}.{one['signature']}".encode()
            count += kid in kids and signature_of(token) is True
    assert count == row["holds"]


@pytest.mark.parametrize("row", [r for r in SINGLE if "claims" in r], ids=lambda r: str(r["name"]))
def test_joserfc_opens_the_good_ones_by_its_front_door(row: dict[str, Any]) -> None:
    """A library that is told the algorithm and the key needs nothing of ours."""
    kid = json.loads(unb64(token_of(row).split(b".")[0]))["kid"]
    found = jose.deserialize_compact(token_of(row), okp(PUBLIC[kid]), registry=REGISTRY)
    payload = found.payload
    if found.headers().get("zip") == "DEF":
        import zlib

        payload = zlib.decompress(payload, -15)
    assert json.loads(payload) == row["claims"]


def the_home() -> Home:
    """A start of the home of the file, with its trust and the key of its homeowner."""
    told = DATA["home"]
    held = anchor.enter(json.dumps(told["trust"]).encode(), None, told["root_hash"], told["fleet"])
    assert isinstance(held, anchor.Anchor), held
    owner = {entry["kid"]: jws.verifier(unb64(entry["x"])) for entry in told["homeowner"]}
    held = held.named(owner)
    return Home(trust=trust.of_bundle(held.bundle, held.homeowner), anchor=held)


MOVES = (CommandIn, FreshTime, Receipted, Resend, WriteTrust, Document)


@pytest.mark.parametrize("row", DATA["down"], ids=lambda row: str(row["name"]))
def test_verdict_of_a_home(row: dict[str, Any]) -> None:
    assert DATA["now_ms"] == WALL
    home = the_home()
    home.up()
    for name in row.get("before", ()):
        assert DOWN[name]["verdict"] == "accepted"
        home.send(message_of(DOWN[name]))
    assert home.session._counters == {}
    effects = home.send(message_of(row))
    moved = [e for e in posted(effects, object) if isinstance(e, MOVES)]
    if row["verdict"] == "accepted":
        assert home.session._counters == {}
        assert len(moved) == 1
    else:
        assert home.session._counters == {row["verdict"]: 1}
        assert moved == []
        assert published(effects) == []


@pytest.mark.parametrize("row", [r for r in DATA["down"] if "claims" in r], ids=lambda row: str(row["name"]))
def test_accepted_bodies_are_read_as_they_stand(row: dict[str, Any]) -> None:
    leaf = row["topic"].rpartition("/")[2]
    if leaf in documents.DOCUMENTS:
        assert isinstance(document := documents.parse_document(leaf, row["claims"]), BaseModel), document
        assert document.model_dump(exclude_unset=True) == row["claims"]
        return
    parse = {"command": parse_command, "time": parse_time, "receipt": parse_receipt}.get(
        leaf, homeowner.parse_homeowner
    )
    found = parse(row["claims"])
    assert not isinstance(found, str), found
    assert found.model_dump(exclude_unset=True) == row["claims"]


def aggregator() -> Aggregator:
    device = DATA["keys"]["device"]
    roles = {name: SigningKey(vectors.kid(name), vectors.key(name)) for name in vectors.ONLINE}
    keyring = Keyring(vectors.FLEET, (vectors.GROUP,), roles, {vectors.DEVICE: {device["kid"]: okp(device["x"])}})
    return Aggregator(keyring, bytes, receipts=False)


@pytest.mark.parametrize("row", DATA["up"], ids=lambda row: str(row["name"]))
def test_verdict_of_the_aggregator(row: dict[str, Any]) -> None:
    verdict, _ = aggregator().receive(message_of(row), Now(0, DATA["now_ms"]))
    word = "accepted" if verdict.refused is None else verdict.refused.reason
    assert word == row["verdict"], verdict.refused
    if "claims" in row:
        assert verdict.message is not None
        assert verdict.message.claims == row["claims"]


@pytest.mark.parametrize("row", DATA["up"], ids=lambda row: str(row["name"]))
def test_the_products_own_envelope_agrees_on_what_comes_up(row: dict[str, Any]) -> None:
    """Body rules apart, which are the aggregator's: no token passes one of the two envelopes alone."""
    names = ("device", "device2") if row["name"] == "rotated" else ("device",)  # whom the birth itself introduces
    known = {key.kid: key for key in (jws.verifier(unb64(DATA["keys"][name]["x"])) for name in names)}
    kind = row["topic"].rpartition("/")[2]
    found = jws.verify(token_of(row), known, f"battery-{kind}+jws", jws.BATCH_MAX)
    envelope = {"bad_format", "bad_typ", "bad_signature", "unknown_key"}
    if isinstance(found, jws.Refused):
        assert row["verdict"] in (found.reason, "bad_body")
    else:
        assert row["verdict"] not in envelope


def test_every_kind_of_command_and_every_topic_has_a_good_one() -> None:
    good = [row for row in [*DATA["down"], *DATA["up"]] if row["verdict"] == "accepted"]
    assert {row["claims"]["kind"] for row in good if "kind" in row.get("claims", ())} == {*KINDS, *homeowner.KINDS}
    leaves = {"/".join(row["topic"].split("/")[-2:]) for row in good if "/group/" not in row["topic"]}
    assert leaves == {
        f"down/{n}" for n in ("command", "time", "receipt", "homeowner", "trust", *documents.DOCUMENTS)
    } | {f"up/{n}" for n in ("birth", "live", "batch", "ack", "event", "settlement")}


def test_every_reason_of_the_pages_table_has_a_vector() -> None:
    page = (FILE.parents[1] / "integrator.md").read_text().split("\n## What is refused\n")[1].split("\n## ")[0]
    listed = {
        word for line in page.splitlines() if line.startswith("| `") for word in line.split("|")[1].split("`")[1::2]
    }
    told = {row["verdict"] for row in DATA["down"]} - {"accepted"}
    told |= {"trust_root"}  # of a home with a plain trust file, which this one has not
    assert told == listed - {"flood"}, "a flood is no single message"


def test_joserfc_alone_would_let_forgeries_through() -> None:
    """What a library does not check: the reason for the rules."""
    passed = []
    for row in DATA["down"]:
        if row["verdict"] == "accepted" or row.get("signature") is not True:
            continue
        kid = json.loads(unb64(token_of(row).split(b".")[0])).get("kid")
        try:
            jose.deserialize_compact(
                token_of(row), okp(PUBLIC.get(kid, PUBLIC[vectors.kid("dispatch")])), registry=REGISTRY
            )
        except (JoseError, ValueError):
            continue
        passed.append(row["name"])
    assert {"duplicate_key", "small_order_key", "typ_config", "aud_home"} <= set(passed)


def test_joserfc_judges_the_announcements_of_a_new_key() -> None:
    """By a key that the announcement is to follow, and by the one that it names: both, or it is none."""
    rows = {name: row for name, row in UP.items() if name.startswith("rotated")}
    assert len(rows) == 8
    for name, row in rows.items():
        [told] = json.loads(unb64(token_of(row).split(b".")[1].decode()))["rotations"]
        said = json.loads(unb64(told["payload"]))
        signers = []
        for one in told["signatures"]:
            kid = json.loads(unb64(one["protected"]))["kid"]
            key = next(entry["x"] for entry in DATA["keys"].values() if entry["kid"] == kid)
            part = f"{one['protected']}.{told['payload']}.{one['signature']}"
            jose.deserialize_compact(part, okp(key), registry=REGISTRY)  # every signature holds; not every word
            signers.append(kid)
        device = DATA["home"]
        named = (said["device"], said["fleet"]) == (device["device"], device["fleet"])
        by = sorted(signers) == sorted([DATA["keys"]["device"]["kid"], said["kid"]])
        own = said["x"] == DATA["keys"]["device2"]["x"]
        assert (row["verdict"] == "accepted") == (
            named and by and own and said["old"] == DATA["keys"]["device"]["kid"]
        ), name
