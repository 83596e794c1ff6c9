"""The definitions that the nodes load say what mosquitto's access list says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from agent.tools import netcheck
from hil.rabbit import access

TOLD: dict[str, Any] = json.loads(access("demo", {"home-1": ["south"], "home.2": []}))
ROOT = "battery.v1.demo"


def _may(user: str, what: str, topic: str) -> bool:
    row = next(row for row in TOLD["topic_permissions"] if row["user"] == user)
    return re.search(row[what], topic) is not None


@pytest.mark.parametrize(
    ("user", "what", "topic", "expected"),
    [
        ("home-1", "write", "home-1.up.event", True),
        ("home-1", "write", "home-2.up.event", False),
        ("home-1", "write", "home-1.down.command", False),
        ("home-1", "write", "group.south.command", False),
        ("home-1", "read", "home-1.down.#", True),
        ("home-1", "read", "group.south.command", True),
        ("home-1", "read", "group.north.command", False),
        ("home-1", "read", "*.down.#", False),
        ("home.2", "read", "home/2.down.#", True),  # the plugin swaps "." and "/"
        ("home.2", "read", "homex2.down.#", False),
        ("aggregator", "read", "*.up.#", True),
        ("aggregator", "write", "home-1.down.command", True),
        ("aggregator", "write", "group.south.command", True),
        ("aggregator", "write", "home-1.up.event", False),
    ],
)
def test_topics(user: str, what: str, topic: str, expected: bool) -> None:
    assert _may(user, what, f"{ROOT}.{topic}") is expected


@pytest.mark.parametrize(
    ("user", "queue", "expected"),
    [
        ("home-1", "mqtt-subscription-home-1qos1", True),
        ("home-1", f"mqtt-subscription-home-1{netcheck.CHECK}qos1", True),  # net check joins beside the link
        ("home-1", f"mqtt-subscription-home-10{netcheck.CHECK}qos1", False),
        ("home-1", "mqtt-subscription-home-1-checkqos1", False),  # that is another home's name
        ("home.2", f"mqtt-subscription-home.2{netcheck.CHECK}qos1", True),
        ("home-1", "mqtt-subscription-aggregatorqos1", False),
        ("home-1", "mqtt-subscription-home-10qos1", False),
        ("aggregator", "mqtt-subscription-aggregator-0a1bqos0", True),
    ],
)
def test_a_client_has_its_own_session_and_no_other(user: str, queue: str, expected: bool) -> None:
    row = next(row for row in TOLD["permissions"] if row["user"] == user)
    assert [re.search(row[what], queue) is not None for what in ("configure", "write", "read")] == [expected] * 3
