"""What the whole agent sends, and the aggregator answers, fits the published schemas, and has nothing besides."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter

from agent.runtime.part import MqttPublish, Now
from hil.aggregator.aggregator import Publish
from hil.aggregator.virtual import VirtualAggregator
from hil.backends.virtual import VirtualBackend
from hil.protocol.schema import documents
from hil.protocol.table import BY_NAME, Row
from hil.runner import Runner
from hil.scenario import find, load

pytestmark = pytest.mark.slow

SCENARIOS = ("dispatch", "outage", "meter_gone", "several", "restore")
VALID = {name: Draft202012Validator(schema) for name, schema in documents().items()}


class Listening(VirtualBackend):
    """Keeps what goes up."""

    heard: list[tuple[str, bytes]]

    def _published(self, now: Now, publish: MqttPublish) -> None:
        self.heard.append((publish.topic, publish.payload))
        super()._published(now, publish)


@cache
def heard(scenario: str) -> tuple[tuple[str, bytes], ...]:
    """Topic and payload of everything that went over the broker in that scenario."""
    script = load(find(scenario))
    backend = Listening()
    backend.heard = []
    publish = VirtualAggregator.publish

    def listen(self: VirtualAggregator, message: Publish) -> None:
        backend.heard.append((message.topic, message.payload))
        publish(self, message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VirtualAggregator, "publish", listen)
        Runner(script, backend, script.seed).run()
    return tuple(backend.heard)


def row_of(topic: str) -> Row:
    leaf = "down/command" if "/group/" in topic else "/".join(topic.split("/")[-2:])
    return BY_NAME[leaf]


def body_of(row: Row, payload: bytes) -> Any:
    """The signed body; that it is signed well is for other tests to say."""
    if row.form == "unsigned":
        return json.loads(payload)
    part = payload.split(b".")[1]
    data = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    return json.loads(zlib.decompress(data, -15) if row.form == "deflated" else data)


def strangers(model: type[BaseModel], value: Any) -> Iterator[str]:
    """Members of `value` that its model does not have, at any depth."""
    if not isinstance(value, dict):
        return
    known = TypeAdapter(model).validate_json(json.dumps(value)).model_dump()
    yield from beyond("", value, known)


def beyond(path: str, value: Any, known: Any) -> Iterator[str]:
    if isinstance(value, dict) and isinstance(known, dict):
        for name, each in value.items():
            if name not in known:
                yield f"{path}.{name}"
            else:
                yield from beyond(f"{path}.{name}", each, known[name])
    elif isinstance(value, list) and isinstance(known, list | tuple):
        for i, each in enumerate(value):
            yield from beyond(f"{path}[{i}]", each, known[i])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_everything_that_travels_fits_its_schema_and_its_model(scenario: str) -> None:
    for topic, payload in heard(scenario):
        row = row_of(topic)
        body = body_of(row, payload)
        assert len(payload) <= row.limit
        assert [error.message for error in VALID[row.schema].iter_errors(body)] == [], body
        fitting = [model for model in row.models if fits(model, body)]
        assert len(fitting) == 1, (topic, body, fitting)
        assert list(strangers(fitting[0], body)) == [], topic


def fits(model: type[BaseModel], body: Any) -> bool:
    try:
        TypeAdapter(model).validate_json(json.dumps(body))
    except ValueError:
        return False
    return True


def test_what_was_heard_is_most_of_what_there_is() -> None:
    """Else the test above would pass on silence."""
    topics = {row_of(topic).name for scenario in SCENARIOS for topic, _ in heard(scenario)}
    rare = {f"down/{name}" for name in ("trust", "homeowner", "config", "default", "firmware")}  # in golden vectors
    assert topics >= {row.name for row in BY_NAME.values() if row.here} - rare
    events = {
        body_of(row_of(topic), payload)["event"]
        for scenario in SCENARIOS
        for topic, payload in heard(scenario)
        if topic.endswith("/up/event")
    }
    assert events >= {"start", "fault_raised", "fault_cleared", "floor"}
