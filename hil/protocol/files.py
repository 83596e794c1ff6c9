"""Every file of docs/ that is made from the source: path -> text."""

from __future__ import annotations

import json
from pathlib import Path

from hil.protocol import asyncapi, page, schema, vectors

DOCS = Path(__file__).parents[2] / "docs"


def files() -> dict[Path, str]:
    """What scripts/protocol.py writes, and what a test compares."""
    found = {DOCS / "schema" / f"{name}.json": text(value) for name, value in schema.documents().items()}
    found[DOCS / "asyncapi.json"] = text(asyncapi.document())
    found[DOCS / "protocol.md"] = page.page()
    found[DOCS / "vectors" / "link.json"] = vectors.text()
    return found


def stale() -> list[Path]:
    """Files in docs/ that are not what the source says now, or that it no longer makes."""
    made = files()
    left = [path for path in sorted((DOCS / "schema").glob("*.json")) if path not in made]
    return left + [path for path, said in made.items() if not path.is_file() or path.read_text("utf-8") != said]


def text(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
