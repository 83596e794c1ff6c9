"""The protocol's pages are those of the source, its schemas are sound, and what really travels fits them, both ways."""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent import remote
from agent.core.command import CommandState
from agent.core.decision import Mode
from agent.core.fault import Severity
from agent.core.inputs import ClockTrust
from agent.link import documents, messages
from agent.link.homeowner import KINDS
from agent.mail import WriteTrust
from drivers.events import Presence
from drivers.readings import DeviceRole, GridState
from hil.aggregator import claims
from hil.protocol import files, schema, up
from hil.protocol.states import REASONS, STATES
from hil.protocol.table import BY_NAME, TABLE
from hil.protocol.words import WORDS
from tests.link.home import WALL, posted
from tests.link.test_vectors import DATA, DOWN, UP, message_of, the_home

ROOT = Path(__file__).parents[2]
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "docs" / "schema").glob("*.json")}
ASYNCAPI: dict[str, Any] = json.loads((ROOT / "docs" / "asyncapi.json").read_text())
VALID = {name: Draft202012Validator(each) for name, each in SCHEMAS.items()}


def errors(name: str, value: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALID[name].iter_errors(value)]


# --- the files --------------------------------------------------------------------------------------------------------
def test_what_is_committed_is_what_the_source_makes() -> None:
    assert [str(path.relative_to(ROOT)) for path in files.stale()] == [], "python scripts/protocol.py"


def test_a_changed_and_a_left_over_file_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "down-old.json").write_text("{}")
    monkeypatch.setattr(files, "DOCS", tmp_path)
    found = files.stale()
    assert tmp_path / "schema" / "down-old.json" in found
    assert tmp_path / "schema" / "up-ack.json" in found


# --- the schemas ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schema_is_of_its_dialect(name: str) -> None:
    assert SCHEMAS[name]["$schema"] == schema.DIALECT
    assert SCHEMAS[name]["$id"] == schema.PREFIX + name
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_topic_has_a_schema_and_every_schema_a_topic() -> None:
    assert set(SCHEMAS) == {row.schema for row in TABLE} | {"jws-header", "jws-general"}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from parts(each)
    elif isinstance(value, list):
        for each in value:
            yield from parts(each)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_downward_members_are_closed_and_upward_ones_open(row: Any) -> None:
    objects = [part for part in parts(SCHEMAS[row.schema]) if part.get("type") == "object" and "properties" in part]
    assert objects
    assert {part.get("additionalProperties", True) for part in objects} == {row.upward}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_member_has_words(name: str) -> None:
    for part in parts(SCHEMAS[name]):
        for member, rule in part.get("properties", {}).items() if part.get("type") == "object" else ():
            assert rule.get("description"), member


def test_no_words_are_left_over() -> None:
    used = {d for each in SCHEMAS.values() for p in parts(each) for r in p.get("properties", {}).values()
            if isinstance(d := r.get("description"), str)}  # fmt: skip
    assert [name for name, said in WORDS.items() if said not in used] == []


UNITS = re.compile(r"_(w|wh|wh|va|v|mv|ma|hz|mhz|pct|permille|c|dc|s|ms|ns|day|kwh)$")


def test_every_integer_says_its_unit() -> None:
    """By its name; counts, numbers and versions have none."""
    bare = set(
        "v seq iat exp n upto first last protocol protocols trust_version version min_version primacy start seq_from"
        " seq_to effective_start samples setpoints missed avg min max size threshold nbf counters also trace rows own_n"
        " permille era more_commands quarters_told known_n config_version default_version firmware_version"
        " short_connections other_times blocks records".split()
    )
    for name, each in SCHEMAS.items():
        for part in parts(each):
            for member, rule in part.get("properties", {}).items():
                if '"integer"' in json.dumps(rule) and not UNITS.search(member) and '"string"' not in json.dumps(rule):
                    assert member in bare, f"{name}: {member}"


# --- the words of the wire, told twice, are the same ------------------------------------------------------------------
def test_words_are_those_of_the_agent() -> None:
    def words(alias: Any) -> set[str]:
        return set(alias.__args__)

    assert words(up.StateWord) == {state.value for state in CommandState} == claims.STATES
    assert words(up.ModeWord) == {mode.value for mode in Mode}
    assert words(up.Grid) == {grid.value for grid in GridState}
    assert words(up.Up.model_fields["clock"].annotation) == {trust.value for trust in ClockTrust}
    assert words(up.Device.model_fields["presence"].annotation) == {each.value for each in Presence}
    assert words(up.Device.model_fields["role"].annotation) == {each.value for each in DeviceRole}
    assert words(up.Fault.model_fields["severity"].annotation) == {each.name.lower() for each in Severity}
    assert set(up.COLUMNS) == claims.COLUMNS


def test_every_event_of_the_source_is_modelled() -> None:
    """Words that the source gives to "event", found by reading it."""
    told = set()
    for path in [path for part in ("", "core", "store", "link") for path in (ROOT / "agent" / part).glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                told |= {
                    value.value
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and key.value == "event" and isinstance(value, ast.Constant)
                }
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_tell":
                told |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_event":
                told |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    told |= {"fault_raised", "fault_cleared", *remote.WORDS}  # chosen by a condition, or by name
    known = {word for model in up.EVENTS for word in model.model_fields["event"].annotation.__args__}  # type: ignore[union-attr]
    assert {word for word in told if isinstance(word, str)} == known


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the tables of one section."""
    section = (ROOT / "docs" / page).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"]


def test_states_and_their_codes_are_the_same_on_every_page() -> None:
    told = {state: "" if code is None else str(code) for state, (code, _) in STATES.items()}
    assert set(STATES) == {state.value for state in CommandState}
    lives = [row for row in rows("integrator.md", "Commands and their lives") if len(row) == 4]
    assert {row[0].strip("`"): row[1] for row in lives} == told
    mapped: dict[str, str] = {}
    for state, codes, _ in rows("protocol-map.md", "Its life")[1:]:  # the first is the head
        words = re.findall(r"`(\w+)`", state)
        mapped |= dict(zip(words, re.findall(r"^\d+|(?<=, )\d+", codes) or [""] * len(words), strict=True))
    assert mapped == told


def test_reasons_are_the_same_on_both_pages_and_in_the_vectors() -> None:
    integrator = {word for row in rows("integrator.md", "What is refused") for word in re.findall(r"`(\w+)`", row[0])}
    assert set(REASONS) == integrator
    assert {row["verdict"] for row in DATA["down"]} - {"accepted"} == set(REASONS) - {"flood"}


def test_reasons_are_those_that_the_link_gives() -> None:
    """Read from the source: the first word of each refusal."""
    told = {
        node.args[0].value
        for path in (ROOT / "agent" / "link").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("Refusal", "Refused")
        and isinstance(node.args[0], ast.Constant)
    }
    assert told == set(REASONS)


# --- what travels -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "row", [r for r in [*DATA["down"], *DATA["up"]] if "claims" in r], ids=lambda r: str(r["name"])
)
def test_golden_bodies_fit_their_schemas(row: dict[str, Any]) -> None:
    direction, leaf = ("down", "command") if "/group/" in row["topic"] else row["topic"].split("/")[-2:]
    assert errors(f"{direction}-{leaf}", row["claims"]) == []


DOCUMENTS: dict[str, dict[str, Any]] = {n: DOWN[n]["claims"] for n in documents.DOCUMENTS}


@pytest.mark.parametrize("name", documents.DOCUMENTS)
def test_documents_fit_and_are_read(name: str) -> None:
    body = DOCUMENTS[name]
    assert errors(f"down-{name}", body) == []
    found = documents.parse_document(name, body)
    assert not isinstance(found, str), found
    assert found.model_dump(exclude_unset=True) == body


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("config", {"version": 0}), ("config", {"settings": {"reserve_permille": 0}}), ("config", {"probation_s": 59}),
        ("config", {"settings": {"raise_permille": 400}}), ("config", {"settings": {"raise_s": 1}}),
        ("config", {"settings": {"raise_permille": 400, "raise_s": 72 * 3600 + 1}}),
        ("config", {"settings": {"soc_floor_permille": 501}}),
        ("config", {"exp": WALL + documents.DOCUMENT_MS + 1}), ("default", {"mode": "discharge"}),
        ("default", {"power_w": 5}), ("firmware", {"min_version": 7000}), ("firmware", {"packages": []}),
        ("firmware", {"packages": DOCUMENTS["firmware"]["packages"] * 2}),
        ("firmware", {"packages": [DOCUMENTS["firmware"]["packages"][0] | {"url": "http://x.example/b.deb"}]}),
    ],
    ids=str,
)  # fmt: skip
def test_documents_that_are_not_read(name: str, changes: dict[str, Any]) -> None:
    assert isinstance(documents.parse_document(name, {**DOCUMENTS[name], **changes}), str)


def unb64(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def bad_bodies() -> list[Any]:
    """Of all vectors that a home refuses for their body."""
    rows = [row for row in DATA["down"] if row["verdict"] in ("bad_body", "bad_version") and "holds" not in row]
    return [pytest.param(row, unb64(row["token"].split(".")[1]), id=row["name"]) for row in rows]


# 5000.0 is an integer to JSON Schema, and no member knows of another
BEYOND_A_SCHEMA = {"power_float", "long_life", "exp_before_iat", "config_long", "config_raise"}


@pytest.mark.parametrize(("row", "body"), bad_bodies())
def test_the_schema_refuses_what_a_home_refuses(row: dict[str, Any], body: dict[str, Any]) -> None:
    leaf = row["topic"].rpartition("/")[2]
    assert bool(errors(f"down-{leaf}", body)) is (row["name"] not in BEYOND_A_SCHEMA)


BUNDLES = [r for r in DATA["down"] if r["topic"].endswith("/trust") and "holds" in r and r["verdict"] != "bad_format"]


@pytest.mark.parametrize("row", BUNDLES, ids=lambda row: str(row["name"]))
def test_bundles_fit_their_schemas(row: dict[str, Any]) -> None:
    """The envelope always; the payload where only its signatures, its place or its numbers are wrong."""
    envelope = json.loads(row["token"])
    assert errors("jws-general", envelope) == []
    for each in envelope.get("bundles", [envelope]):
        found = errors("down-trust", unb64(each["payload"]))
        assert bool(found) is (row["name"] == "trust_unknown"), found


@pytest.mark.parametrize("name", [row["name"] for row in DATA["down"] if row.get("claims", {}).get("kind") in KINDS])
def test_what_the_homeowner_said_goes_up_as_an_event_of_the_schema(name: str) -> None:
    home = the_home()
    home.up()
    effects = [e for n in ("time", name) for e in home.send(message_of(DOWN[n]))]
    (write,) = posted(effects, WriteTrust)
    assert write.event is not None
    assert errors("up-event", UP["event"]["claims"] | write.event) == []


# --- AsyncAPI ---------------------------------------------------------------------------------------------------------
def resolve(reference: str) -> object:
    """What a reference leads to, in this document or in a file beside it."""
    if reference.startswith("./"):
        return json.loads((ROOT / "docs" / reference).read_text())
    value: Any = ASYNCAPI
    for key in reference.removeprefix("#/").split("/"):
        value = value[key]
    return value


def test_asyncapi_is_of_version_3_and_its_references_lead_somewhere() -> None:
    """Rules of the specification, 3.0.0; the document as a whole was judged by its published schema besides."""
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= ASYNCAPI["info"].keys()
    references = [part["$ref"] for part in parts(ASYNCAPI) if "$ref" in part]
    assert references
    for reference in references:
        assert isinstance(resolve(reference), dict), reference


def test_asyncapi_channels_hold_every_topic_with_its_parameters() -> None:
    addresses = {channel["address"] for channel in ASYNCAPI["channels"].values()}
    assert addresses == {f"battery/v1/{{fleet}}/{{device}}/{row.name}" for row in TABLE} | {
        "battery/v1/{fleet}/group/{group}/command"
    }
    for channel in ASYNCAPI["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == channel["parameters"].keys()


def test_asyncapi_operations_are_seen_from_the_device() -> None:
    for operation in ASYNCAPI["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = resolve(operation["channel"]["$ref"])
        assert isinstance(channel, dict)
        up_or_down = "/up/" in channel["address"]
        assert (operation["action"] == "send") is up_or_down
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")
    bindings = {o["bindings"]["mqtt"]["retain"] for n, o in ASYNCAPI["operations"].items() if n.endswith("command")}
    assert bindings == {False}


def test_the_links_own_numbers_are_in_the_table() -> None:
    assert set(messages.KINDS.values()) == set(BY_NAME["down/command"].models)
