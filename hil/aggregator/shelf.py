"""The bundles and documents that were sent last, by topic: `documents.json` beside the keys.

A broker keeps a retained message, but not each for every node and every pattern of topics; so whoever listens sends
them again after each birth.
"""

from __future__ import annotations

import json
from pathlib import Path

from hil.aggregator.aggregator import Aggregator, Publish

NAME = "documents.json"


def fill(aggregator: Aggregator, directory: Path) -> None:
    """The aggregator repeats what lies in `directory`. ValueError for a file that is none of ours."""
    for topic, text in _read(directory).items():
        aggregator.keep(Publish(topic, text.encode(), True))


def put(directory: Path, message: Publish) -> None:
    """The latest for its topic. ValueError, OSError if the file is none of ours or cannot be written."""
    path = directory / NAME
    known = _read(directory) | {message.topic: message.payload.decode()}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def _read(directory: Path) -> dict[str, str]:
    path = directory / NAME
    if not path.exists():
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        known = None
    if not isinstance(known, dict) or not all(isinstance(text, str) for text in known.values()):
        raise ValueError(f"{path}: expected one object of topics with tokens; move it away to begin anew")
    return known
