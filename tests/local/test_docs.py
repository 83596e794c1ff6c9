"""docs/local-api.md names every key that the API sends and takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from agent.local import request
from agent.local.reason import why_json
from agent.local.view import status_json
from tests.local.home import HOME, NOW, troubled

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
