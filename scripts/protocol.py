#!/usr/bin/env python3
"""Writes what docs/ says of the link, from its models: schemas, AsyncAPI, the protocol page, golden vectors.

usage: python scripts/protocol.py [--check]    --check: write nothing, name what would change, exit 1 if anything would
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hil.protocol.files import DOCS, files, stale


def main() -> int:
    """Exit status."""
    late = stale()
    for path in late:
        print(path.relative_to(DOCS.parent))
    if "--check" in sys.argv[1:]:
        return 1 if late else 0
    made = files()
    for path in late:
        if path in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], "utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
