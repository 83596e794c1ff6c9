"""JSON Schema (2020-12) of every message, from its models, with each member in words."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from pydantic import BaseModel, TypeAdapter

from hil.protocol.table import TABLE, Row
from hil.protocol.trusted import Chain, General
from hil.protocol.words import word

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PREFIX = "urn:batteryd:v1:"


MODES = ("power_w", "import_limit_w", "export_limit_w")
# what the models cannot say by themselves: model -> more rules
MORE: dict[str, dict[str, Any]] = {
    "Dispatch": {"anyOf": [{"required": [name], "properties": {name: {"type": "integer"}}} for name in MODES]}
}


def documents() -> dict[str, dict[str, Any]]:
    """Every schema by name."""
    found = {row.schema: of_message(row) for row in TABLE}
    found["jws-header"] = _whole("jws-header", "The protected header of every token: exactly these members", HEADER)
    envelope = of_models((General, Chain))
    found["jws-general"] = _whole("jws-general", "How a payload travels that several keys sign", envelope)
    return found


def of_message(row: Row) -> dict[str, Any]:
    """The schema of a row's signed body (or of the bare payload, where it is unsigned)."""
    return _whole(row.schema, f"{row.name}: {row.sentence}", of_models(row.models))


def of_models(models: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    """One of these models. Members carry their words; titles that repeat names are dropped."""
    schema = TypeAdapter(reduce(or_, models)).json_schema()
    ancestors = _ancestors(models)
    own = [(models[0].__name__, schema)] if len(models) == 1 else []
    for name, part in [*schema.get("$defs", {}).items(), *own]:
        _say(name, ancestors.get(name, ()), part)
    if len(models) > 1:
        schema["oneOf"] = schema.pop("anyOf")
    _plain(schema)
    return schema


def _whole(name: str, title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": PREFIX + name, "title": title} | schema


def _ancestors(models: tuple[type[BaseModel], ...]) -> dict[str, tuple[str, ...]]:
    """Class names of what each model and what is in it inherits from."""
    found: dict[str, tuple[str, ...]] = {}
    waiting: list[Any] = list(models)
    while waiting:
        each = waiting.pop()
        if isinstance(each, type) and issubclass(each, BaseModel):
            if each.__name__ in found:
                continue
            found[each.__name__] = tuple(base.__name__ for base in each.__mro__[1:])
            waiting += [info.annotation for info in each.model_fields.values()]
        else:
            waiting += getattr(each, "__args__", ())
    return found


def _say(model: str, ancestors: tuple[str, ...], schema: dict[str, Any]) -> None:
    for member, rule in schema.get("properties", {}).items():
        said = word(model, ancestors, member)
        if said is None:
            raise KeyError(f"hil.protocol.words has no words for {model}.{member}")
        rule["description"] = said
    schema |= MORE.get(model, {})


def _plain(value: Any) -> None:
    """Titles made from member names say nothing; a model's docstring is one line of text."""
    if isinstance(value, dict):
        if isinstance(value.get("title"), str):
            del value["title"]
        if isinstance(value.get("description"), str):
            value["description"] = " ".join(value["description"].split())
        for each in value.values():
            _plain(each)
    elif isinstance(value, list):
        for each in value:
            _plain(each)


HEADER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "alg": {"const": "Ed25519", "description": word("", (), "alg")},
        "kid": {"type": "string", "pattern": "^[A-Za-z0-9_-]{16}$", "description": word("", (), "kid")},
        "typ": {"enum": sorted(row.typ for row in TABLE if row.typ), "description": word("", (), "typ")},
        "zip": {"const": "DEF", "description": word("", (), "zip")},
    },
    "required": ["alg", "kid", "typ"],
    "additionalProperties": False,
    "if": {"properties": {"typ": {"const": "battery-batch+jws"}}},
    "then": {"required": ["zip"]},
    "else": {"not": {"required": ["zip"]}},
}
