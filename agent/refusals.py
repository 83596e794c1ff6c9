"""Why a write did not take, as a sentence for the log, once as long as it is the same."""

from __future__ import annotations

from drivers.events import WriteOutcome, WriteResult


class Refusals:
    """Remembers the last sentence of each device."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def sentence(self, result: WriteResult) -> str | None:
        """None when it took, was overtaken by a newer one, or was said already."""
        if result.outcome in (WriteOutcome.CONFIRMED, WriteOutcome.SUPERSEDED):
            return None
        what = f"{result.write_class.name} {result.value}".removesuffix(" 0")
        text = f"{result.device}: {what} was not done ({result.outcome}): {result.detail}"
        if self._told.get(result.device) == text:
            return None
        self._told[result.device] = text
        return text
