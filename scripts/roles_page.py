#!/usr/bin/env python3
"""Prints docs/roles.md from the table of roles and verbs.

usage: python scripts/roles_page.py > docs/roles.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.link.roles import BUNDLED, CONSENT, LINK, LOCAL, ROLES

HEAD = """\
# Who may do what
Made from the table in `agent/link/roles.py` by `python scripts/roles_page.py > docs/roles.md`; a test holds it to that,
and the link, the local socket and batteryctl ask that same table. What is not in it is nobody's. How keys come, change
and go is told in [trust](trust.md).

## Roles"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD
    yield ""
    yield "| role | keys that must sign | who | lives | named by |"
    yield "|---|---|---|---|---|"
    for role, (threshold, who, life) in ROLES.items():
        keyed = role not in ("technician", "viewer")
        by = "the signed bundle" if role in BUNDLED else "the gateway" if keyed else "the kernel's peer credentials"
        yield f"| `{role}` | {threshold if keyed else 'none'} | {who} | {life} | {by} |"
    yield ""
    yield "## What comes over the link"
    yield ""
    yield "Signed by a key of the role, addressed to this home (commands also to its groups), never seen before."
    yield ""
    yield from _table(
        ("typ", "kind", "does"), [((f"`{t}`", f"`{k}`" if k else "", d), r) for (t, k), (r, d) in LINK.items()]
    )
    yield ""
    yield "## What is asked at the gateway"
    yield ""
    yield "The homeowner is who types the PIN, or signs a consent; a technician is root, or of a technicians' group."
    yield "Rows with a * need the homeowner besides, whoever asks."
    yield ""
    rows = [((f"`{verb}`{' *' if verb in CONSENT else ''}", does), roles) for verb, (roles, does) in LOCAL.items()]
    yield from _table(("verb", "does"), rows)


def _table(heads: tuple[str, ...], rows: list[tuple[tuple[str, ...], frozenset[str]]]) -> Iterator[str]:
    columns = [role for role in ROLES if any(role in roles for _, roles in rows)]
    yield f"| {' | '.join((*heads, *columns))} |"
    yield f"|{'---|' * (len(heads) + len(columns))}"
    for cells, roles in rows:
        yield f"| {' | '.join((*cells, *('yes' if role in roles else '' for role in columns)))} |"


if __name__ == "__main__":
    print(page().rstrip("\n"))
