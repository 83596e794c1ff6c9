"""All theorems, in the order in which they are printed."""

from __future__ import annotations

import importlib

from tests.proof.theorem import THEOREMS, Theorem

FAMILIES = ("envelope", "configured", "promise", "monotone", "memory", "acting", "sharing", "driven")


def theorems() -> list[Theorem]:
    """I1 to I18, N, P, M, H, O, D, Q, R, S, W, G."""
    for family in FAMILIES:
        importlib.import_module(f"tests.proof.{family}")
    return sorted(THEOREMS.values(), key=lambda one: "INPMHODQRSWG".index(one.id[0]))
