"""Only the homeowner lowers the reserve."""

from __future__ import annotations

import pytest

from agent.reserve_rules import may_set


@pytest.mark.parametrize(
    ("wanted", "present", "role", "allowed"),
    [
        (300, 200, "technician", True),
        (200, 200, "technician", True),
        (199, 200, "technician", False),
        (199, 200, "homeowner", True),
        (99, 200, "homeowner", False),
        (1001, 200, "homeowner", False),
        (1000, 200, "technician", True),
        (300, 200, "viewer", False),
        (200, 1000, "technician", False),
    ],
)
def test_who_may_set_what(wanted: int, present: int, role: str, allowed: bool) -> None:
    assert (may_set(wanted, present, role, least=100) is None) is allowed
