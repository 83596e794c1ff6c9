"""No text of the product sends a person to a verb that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from agent.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(?:sudo )?batteryctl ([a-z][a-z-]*)")


def test_every_verb_that_a_text_names_exists() -> None:
    named = {
        (str(path.relative_to(ROOT)), verb)
        for folder in ("agent", "drivers", "docs", "systemd")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".toml") and path.name != "design.md"  # the design names later steps too
        for verb in NAMED.findall(path.read_text("utf-8"))
    }
    assert len(named) > 10
    assert {(path, verb) for path, verb in named if verb not in VERBS} == set()
