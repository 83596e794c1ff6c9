"""Packet ids come round after 65,535 messages: what an old one left behind must not speak for a new one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.runtime import part
from agent.runtime.mqtt import MqttAdapter, Tls

NOWHERE = Path("/nonexistent")


@pytest.mark.parametrize("callback_first", [True, False])
def test_an_unacknowledged_live_message_does_not_acknowledge_a_record(callback_first: bool) -> None:
    heard: list[object] = []
    adapter = MqttAdapter((("localhost", 1),), Tls(NOWHERE, NOWHERE, NOWHERE), heard.append)

    def sent(client: Any, mid: int) -> None:
        adapter._published(client, None, mid, None, None)
        adapter._flush()

    def publish(topic: str, payload: bytes, qos: int, retain: bool) -> SimpleNamespace:
        if qos == 0 and callback_first:
            sent(None, 5)
        return SimpleNamespace(mid=5)

    adapter._client = SimpleNamespace(publish=publish)  # type: ignore[assignment]
    adapter.handle(part.MqttPublish(0, "up/live", b"x", 0, False))
    if not callback_first:
        sent(None, 5)

    adapter.handle(part.MqttPublish(7, "up/batch", b"x", 1, False))
    assert heard == []
    sent(None, 5)
    assert heard == [part.MqttAcked((7,))]
