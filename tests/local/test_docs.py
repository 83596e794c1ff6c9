"""docs/local-api.md names every key that the API sends and takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agent.local import request
from agent.local.fault import faults_json
from agent.local.inspect import buses_json, device_json, devices_json, looked_json
from agent.local.reason import why_json
from agent.local.view import status_json
from drivers.events import BusStats, Looked, UnitStats
from tests.core.home import PARAMS
from tests.local.home import HOME, INSTALLED, NOW, troubled

FATES = ("data", "exception", "timeout", "garbled", "lost")

PAGE = (Path(__file__).parents[2] / "docs" / "local-api.md").read_text("utf-8")
NAMED = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key != "refused":  # its keys are reasons
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_every_key_of_a_reply_is_documented() -> None:
    sent = {
        key for view in (HOME, troubled()) for key in keys([status_json(view, "1", NOW), why_json(view, None, NOW)])
    }

    assert sent - NAMED == set()


def test_every_key_of_devices_and_lines_is_documented() -> None:
    stats = BusStats("rs485", 1, 0, 0, 0, 0, 0, units=(UnitStats(1, 1, 0, 0, 0, (0, 1)),))
    status = replace(HOME.devices[0], binding=None)
    replies = [
        devices_json(HOME, INSTALLED, NOW),
        device_json("pack", HOME, INSTALLED, NOW),
        buses_json([stats], INSTALLED),
        *(looked_json(Looked(1, fate, b"\0\1", 2), 1, 3, 0, status) for fate in FATES),
        looked_json(Looked(1, "data", b"\1"), 1, 1, 0, status),
        faults_json(troubled(), PARAMS, NOW),
    ]
    assert set(keys(replies)) - NAMED == set()


def test_every_key_of_a_request_is_documented() -> None:
    assert set(request._KEYS) - NAMED == set()
    assert set(request._CHECKS) - NAMED == set()


def test_what_is_named_as_a_quantity_names_its_unit() -> None:
    numbers = {
        "v",
        "code",
        "permille",
        "unsent",
        "transactions",
        "crc_errors",
        "timeouts",
        "exceptions",
        "foreign",
        "retries",
        "late",
        "requests",
        "noise",
    }
    units = ("_w", "_wh", "_mv", "_ma", "_mhz", "_permille", "_dc", "_s", "_ms")

    def unnamed(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if type(inner) in (int, float) and not key.endswith(units) and key not in numbers:
                    yield key
                if key != "refused":
                    yield from unnamed(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from unnamed(inner)

    assert list(unnamed([status_json(HOME, "1", NOW), why_json(HOME, None, NOW)])) == []
