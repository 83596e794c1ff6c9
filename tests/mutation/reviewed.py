"""Mutants that z3 cannot show to be equivalent and a person did: (file, lines that differ) and why."""

from __future__ import annotations

REVIEWED: dict[tuple[str, str], str] = {}
