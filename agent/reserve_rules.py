"""Who may set the reserve to what. Pure."""

from __future__ import annotations

from agent.link.roles import may_ask


def may_set(wanted: int, present: int, role: str, least: int) -> str | None:
    """None if allowed, else the sentence that refuses. All in permille; roles: viewer, technician, homeowner."""
    if not least <= wanted <= 1000:
        return f"refused: a reserve of {wanted / 10:.1f} % is outside {least / 10:.0f}..100 %"
    if not may_ask(role, "reserve"):
        return "refused: setting the reserve needs a technician (to raise it) or the homeowner; try with sudo"
    if wanted < present and not may_ask(role, "reserve_lower"):
        return (
            f"refused: the reserve is {present / 10:.1f} % and only the homeowner lowers it; "
            f"repeat with --pin to enter the homeowner's PIN"
        )
    return None
