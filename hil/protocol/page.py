"""docs/protocol.md: sentences from hil.protocol.prose, tables from the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from agent.core.command import TERMINAL, CommandState
from agent.link.messages import Down
from hil.protocol import prose
from hil.protocol.schema import of_models
from hil.protocol.states import REASONS, STATES
from hil.protocol.table import GROUP, TABLE, Row
from hil.protocol.up import Up

REFUSED_RETAINED = ("down/command", "down/homeowner")


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield prose.HEAD
    yield ""
    yield from _topics()
    yield prose.ENVELOPE
    yield ""
    yield from _common()
    yield prose.CHECKS
    yield from (f"| `{word}` | {said} |" for word, said in REASONS.items())
    yield ""
    yield prose.VERSIONS
    yield ""
    yield from _states()
    yield prose.SEQUENCES
    for row in TABLE:
        yield ""
        yield from _message(row)


def _topics() -> Iterator[str]:
    yield "## Topics"
    yield f"Under `battery/v1/{{fleet}}/{{device}}/`; commands to a group on `{GROUP}`."
    yield "*Later*: the form is fixed, this version neither sends nor takes it."
    yield ""
    yield "| topic | typ | signed by | QoS | retained | at most | `exp` - `iat` | |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in TABLE:
        typ = f"`{row.typ}`" if row.typ else "unsigned"
        kept = "yes" if row.retained else ("**never**" if row.name in REFUSED_RETAINED else "no")
        cells = (f"[`{row.name}`](#{row.schema})", typ, row.signer, str(row.qos), kept, _bytes(row.limit), row.life)
        yield f"| {' | '.join(cells)} | {row.sentence}{'' if row.here else ' *(later)*'} |"
    yield ""


def _bytes(limit: int) -> str:
    return f"{limit // 1024} KiB" if limit >= 1024 else f"{limit} B"


def _common() -> Iterator[str]:
    yield "| member | type | |"
    yield "|---|---|---|"
    down, up = (of_models((model,))["properties"] for model in (Down, Up))
    for name, rule in (down | {k: v for k, v in up.items() if k not in down}).items():
        where = "" if name in down else "upward: "
        yield f"| `{name}` | {_type(rule)} | {where}{rule['description']} |"
    yield ""


def _states() -> Iterator[str]:
    yield "## States of a command"
    yield "In `up/ack`, with the response code of IEEE 2030.5. No others."
    yield ""
    yield "| state | code | ends it | means |"
    yield "|---|---|---|---|"
    for state, (code, said) in STATES.items():
        ends = "yes" if CommandState(state) in TERMINAL else ""
        yield f"| `{state}` | {'' if code is None else code} | {ends} | {said} |"
    yield ""


def _message(row: Row) -> Iterator[str]:
    yield f"## {row.schema}"
    signed = "unsigned" if row.typ is None else f"`{row.typ}`, signed by {row.signer}"
    yield f"`{row.name}`: {row.sentence}. {signed[0].upper()}{signed[1:]}. [Schema](schema/{row.schema}.json)."
    if row.schema in prose.NOTES:
        yield ""
        yield prose.NOTES[row.schema]
    shown: set[str] = set()
    for model in row.models:
        yield ""
        yield from _model(model, shown)


def _model(model: type[BaseModel], shown: set[str]) -> Iterator[str]:
    schema = of_models((model,))
    yield f"**{_name(model, schema)}**: {schema['description']}"
    yield ""
    yield from _members(schema, common=True)
    for name, part in schema.get("$defs", {}).items():
        if name not in shown:
            shown.add(name)
            yield ""
            yield f"*{name}*: {part['description']}"
            yield ""
            yield from _members(part, common=False)


def _name(model: type[BaseModel], schema: dict[str, Any]) -> str:
    """What tells it apart on its topic: its kind, event or record, else its own name."""
    for member in ("kind", "event", "record"):
        words = _words(schema["properties"].get(member, {}))
        if words:
            return ", ".join(f"`{word}`" for word in words)
    return model.__name__


def _members(schema: dict[str, Any], common: bool) -> Iterator[str]:
    skipped = {*Down.model_fields, *Up.model_fields} if common and "iat" in schema["properties"] else set()
    rows = [
        f"| `{name}` | {_type(rule)} | {'' if name in schema.get('required', ()) else _default(rule)} | "
        f"{rule['description']} |"
        for name, rule in schema["properties"].items()
        if name not in skipped or (name == "exp" and "roles" in schema["properties"])
    ]
    if rows:
        yield "| member | type | if missing | |"
        yield "|---|---|---|---|"
        yield from rows
    else:
        yield "No members of its own."


def _default(rule: dict[str, Any]) -> str:
    return f"`{json.dumps(rule.get('default'))}`"


def _words(rule: dict[str, Any]) -> list[str]:
    return [str(rule["const"])] if "const" in rule else [str(word) for word in rule.get("enum", ())]


def _type(rule: dict[str, Any]) -> str:
    """A rule of a schema in few words."""
    if "anyOf" in rule:
        return " or ".join(_type(each) for each in rule["anyOf"])
    if "$ref" in rule:
        return f"*{rule['$ref'].rpartition('/')[2]}*"
    words = _words(rule)
    if words:
        return ", ".join(f"`{word}`" for word in words)
    if rule.get("type") == "array":
        return _array(rule)
    if rule.get("type") == "integer":
        return "integer" + _range(rule)
    if rule.get("type") == "string":
        return f"`{rule['pattern']}`".replace("|", "\\|") if "pattern" in rule else "text"
    if rule.get("type") == "object":
        return f"name: {_type(rule['additionalProperties'])}"
    return str(rule.get("type", "anything"))


def _array(rule: dict[str, Any]) -> str:
    if "prefixItems" in rule:
        return f"[{', '.join(_type(each) for each in rule['prefixItems'])}]"
    least, most = rule.get("minItems"), rule.get("maxItems")
    count = "" if most is None else f", {least or 0} to {most} of them"
    return f"[{_type(rule['items'])}{count}]"


_BIG = {(1 << 63) - 1: "2^63 - 1", 1 << 53: "2^53", 1 << 31: "2^31", 1 << 30: "2^30"}


def _range(rule: dict[str, Any]) -> str:
    low = rule.get("minimum")
    high = rule.get("maximum", rule.get("exclusiveMaximum"))
    below = "below " if "exclusiveMaximum" in rule else ""
    if low is not None and low == high:
        return f" {low}"
    if high is None:
        return f" from {low:,}" if low is not None else ""
    told = f"to {below}{_BIG.get(high, f'{high:,}')}"
    return f" {low:,} {told}" if low is not None else f" up {told}"
