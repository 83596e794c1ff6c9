"""The bill of materials is a valid CycloneDX document that says what the lock says, and the same twice."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LOCK = (ROOT / "requirements" / "run.txt").read_text("utf-8")


def run(path: Path, epoch: str = "1700000000") -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "scripts" / "sbom.py"), "--output", str(path)]
    done = subprocess.run(
        command, env={**os.environ, "SOURCE_DATE_EPOCH": epoch}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return made


def validator() -> Draft7Validator:
    schemas = [json.loads(path.read_text("utf-8")) for path in HERE.glob("*.schema.json")]
    resources = [(schema["$id"], DRAFT7.create_resource(schema)) for schema in schemas]
    (own,) = [schema for schema in schemas if schema["$id"].endswith("/bom-1.6.schema.json")]
    return Draft7Validator(own, registry=Registry().with_resources(resources))


@pytest.fixture(scope="module")
def bom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("sbom") / "one.json")


def test_it_is_valid_cyclonedx(bom: dict[str, Any]) -> None:
    assert [error.message for error in validator().iter_errors(bom)] == []


def test_the_schema_refuses_what_is_wrong(bom: dict[str, Any]) -> None:
    first = bom["components"][0]
    reference = first["externalReferences"][0]
    for wrong in (
        bom | {"specVersion": 1.6},
        bom | {"components": [first, first]},
        bom | {"components": [first | {"licenses": [{"license": {"id": "no such licence"}}]}]},
        bom | {"components": [first | {"externalReferences": [reference | {"hashes": [{"alg": "X", "content": ""}]}]}]},
    ):
        assert not validator().is_valid(wrong)


def test_each_package_of_the_lock_is_there_with_version_hashes_url_and_licence(bom: dict[str, Any]) -> None:
    entries = {entry.partition("==")[0]: entry for entry in re.split(r"\n(?=[a-z0-9])", LOCK)[1:]}
    parts = {part["name"]: part for part in bom["components"]}
    assert set(parts) == set(entries)
    for name, entry in entries.items():
        part = parts[name]
        assert entry.startswith(f"{name}=={part['version']}")
        assert part["purl"] == f"pkg:pypi/{name}@{part['version']}"
        told = [row["content"] for row in part["externalReferences"][0]["hashes"]]
        assert told == re.findall(r"sha256:([0-9a-f]{64})", entry)
        assert told
        assert part["licenses"][0]["expression"]
    assert [name for name, part in parts.items() if part["scope"] == "excluded"] == ["setuptools"]


def test_who_brings_what(bom: dict[str, Any]) -> None:
    wanted = {row["ref"].partition("@")[0]: row["dependsOn"] for row in bom["dependencies"]}
    assert {name.partition("@")[0] for name in wanted["battery-agent"]} == {
        f"pkg:pypi/{name}" for name in ("cryptography", "paho-mqtt", "pydantic", "pymodbus", "pyserial", "setuptools")
    }
    assert [name.partition("@")[0] for name in wanted["pkg:pypi/cryptography"]] == ["pkg:pypi/cffi"]
    reached, new = set[str](), {"battery-agent"}
    while new:
        reached |= new
        new = {name.partition("@")[0] for ref in new for name in wanted[ref]} - reached
    assert reached == set(wanted)


def test_the_same_commit_gives_the_same_bytes(bom: dict[str, Any], tmp_path: Path) -> None:
    run(tmp_path / "two.json")
    assert json.loads((tmp_path / "two.json").read_text("utf-8")) == bom
    again = (tmp_path / "two.json").read_bytes()
    run(tmp_path / "three.json")
    assert (tmp_path / "three.json").read_bytes() == again
    assert run(tmp_path / "four.json", "1700000001")["serialNumber"] != bom["serialNumber"]
