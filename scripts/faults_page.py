#!/usr/bin/env python3
"""Prints docs/faults.md from the table of faults, with the default times.

usage: python scripts/faults_page.py > docs/faults.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.core.fault import Severity
from agent.core.faults import FAULTS
from agent.core.params import Params, Site, Timers
from agent.local.fault import DOES, does, ends, remedy

HEAD = """\
# Faults
Made from the table in `agent/core/faults.py` by `python scripts/faults_page.py > docs/faults.md`; a test holds it to
that. `batteryctl faults` shows the same on a gateway, with its own times, and what stands there now;
`batteryctl faults ID` explains one. The ids are the codes of `fault_raised` and `fault_cleared` on the
wire, of `health` in the [local API](local-api.md) and of `fault("ID")` in [scenarios](scenarios.md); an id never
changes its meaning.

The worst one that stands decides the mode. A check that cannot be evaluated stands as a `fault` under its own id,
whatever its row says, and the others are still looked at. Which hazard each one answers: [hazards](hazards.md).
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    params = Params(Site(0, 0, 0, 0, 0), Timers())
    yield HEAD
    for severity in sorted(Severity, reverse=True):
        rows = [row for row in FAULTS if row.severity is severity]
        what = does(rows[0], params) if severity is Severity.DEGRADED else DOES[severity]
        yield f"## {severity.name.lower()}"
        yield f"{what[0].upper()}{what[1:]}.\n"
        yield "| id | checks | ends | what to do |"
        yield "|---|---|---|---|"
        for row in rows:
            also = does(row, params).removeprefix(what)
            cells = (f"`{row.id}`", row.what + also, ends(row, params), remedy(row.remedy))
            yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
        yield ""


if __name__ == "__main__":
    print(page().rstrip("\n"))
