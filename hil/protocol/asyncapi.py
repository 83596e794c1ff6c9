"""The AsyncAPI 3 document: the link as its tools read it, from the device's side."""

from __future__ import annotations

from typing import Any

from hil.protocol.table import GROUP, TABLE, Row

VERSION = "3.0.0"
_TEXT = (
    "The link between a home battery's gateway and its aggregator. `payload` is the body and `headers` the protected"
    " header of the JWS that goes over the wire (`x-form`: compact, deflated = compact with raw DEFLATE inside,"
    " general = JSON with several signatures, unsigned = the JSON itself). docs/protocol.md says the rest."
)


def document() -> dict[str, Any]:
    """The whole document, ready for JSON."""
    channels: dict[str, Any] = {}
    for row in TABLE:
        channels[row.schema] = _channel(row, f"battery/v1/{{fleet}}/{{device}}/{row.name}", ("fleet", "device"))
    command = next(row for row in TABLE if row.name == "down/command")
    channels["group-command"] = _channel(command, GROUP, ("fleet", "group"))
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "batteryd link",
            "version": "1",
            "description": _TEXT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/jose",
        "servers": {
            "broker": {
                "host": "broker.example:8883",
                "protocol": "secure-mqtt",
                "protocolVersion": "3.1.1",
                "description": "Any MQTT 3.1.1 or 5 broker with mutual TLS. It is not trusted.",
            }
        },
        "channels": channels,
        "operations": {name: _operation(name, channel) for name, channel in channels.items()},
        "components": {"messages": {row.schema: _message(row) for row in TABLE}},
    }


def _channel(row: Row, address: str, parameters: tuple[str, ...]) -> dict[str, Any]:
    words = {"fleet": "id of the fleet", "device": "id of the gateway", "group": "name of a group of homes"}
    return {
        "address": address,
        "description": row.sentence,
        "parameters": {name: {"description": words[name]} for name in parameters},
        "messages": {row.schema: {"$ref": f"#/components/messages/{row.schema}"}},
    }


def _operation(name: str, channel: dict[str, Any]) -> dict[str, Any]:
    (message,) = channel["messages"]
    row = next(row for row in TABLE if row.schema == message)
    return {
        "action": "send" if row.upward else "receive",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": row.sentence,
        "bindings": {"mqtt": {"qos": row.qos, "retain": row.retained, "bindingVersion": "0.2.0"}},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"}],
    }


def _message(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": row.schema,
        "title": row.name,
        "summary": row.sentence,
        "contentType": {"unsigned": "application/json", "general": "application/jose+json"}.get(
            row.form, "application/jose"
        ),
        "payload": {"$ref": f"./schema/{row.schema}.json"},
        "x-form": row.form,
        "x-signed-by": row.signer,
        "x-max-bytes": row.limit,
    }
    if row.typ:
        found |= {"headers": {"$ref": "./schema/jws-header.json"}, "x-typ": row.typ}
    return found
