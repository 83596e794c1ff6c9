"""Whose time we keep, and how far it may be believed (docs/design.md 2). Pure: events in, `Clock` out."""

from __future__ import annotations

from agent.core.inputs import Clock, ClockTrust
from agent.runtime.part import Now


class ClockKeeper:
    """Kernel NTP wins; else a signed time of this boot sets an offset; else what once was good is held over."""

    def __init__(self, kernel_boot: str, boot: str) -> None:
        self._kernel_boot = kernel_boot
        self._boot = boot
        self._ntp = False
        self._was_synced = False
        self._offset_ms: int | None = None

    def ntp(self, synced: bool) -> None:
        """What the kernel says of its own clock."""
        self._ntp = synced
        self._was_synced = self._was_synced or synced

    def signed(self, offset_ms: int) -> None:
        """A signed time that echoed this boot's nonce, minus our wall clock then."""
        self._offset_ms = offset_ms
        self._was_synced = True

    def read(self, now: Now) -> Clock:
        """The clock of this moment."""
        if self._ntp:
            return Clock(now.wall_ms, ClockTrust.SYNCED, self._kernel_boot, self._boot)
        if self._offset_ms is not None:
            return Clock(now.wall_ms + self._offset_ms, ClockTrust.SYNCED, self._kernel_boot, self._boot)
        trust = ClockTrust.HOLDOVER if self._was_synced else ClockTrust.UNTRUSTED
        return Clock(now.wall_ms, trust, self._kernel_boot, self._boot)
