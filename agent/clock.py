"""Whose time we keep, and how far it may be believed (docs/design.md 2). Pure: events in, `Clock` out."""

from __future__ import annotations

from agent.core.inputs import Clock, ClockTrust
from agent.runtime.part import Now

APART_MS = 120_000  # two clocks that are both believed may be so far apart, and by what they drift
DRIFT_PPM = 200
STEP_MS = 500  # the kernel's wall clock left the monotonic one by more between two looks: it was set, not slewed
_MS = 1_000_000


class ClockKeeper:
    """Kernel NTP wins; else a signed time of this boot; else what NTP last said. The latter two run on by the monotonic
    clock. A signed time that what NTP last said does not bear out is not taken: the aggregator's word moves no clock
    that this gateway has. Without any it is taken, and is marked as its word alone (`Clock.signed`). Whoever sets the
    kernel's clock voids its word until the kernel is asked again: every 16 s is too seldom to know of which clock it
    was."""

    def __init__(self, kernel_boot: str, boot: str) -> None:
        self._kernel_boot = kernel_boot
        self._boot = boot
        self._ntp = False
        self._signed: Now | None = None
        self._held: Now | None = None  # the last that NTP kept
        self._apart_ms: int | None = None  # the kernel's wall clock less the monotonic one, at the last look

    def ntp(self, synced: bool, now: Now | None = None) -> None:
        """What the kernel says of its own clock; `now` = None: before the first cycle."""
        if now is not None:
            self._look(now)
            if synced or self._ntp:
                self._held = now
        self._ntp = synced

    def signed(self, wall_ms: int, at_ns: int) -> None:
        """Signed times that echoed this boot's nonce say: it was `wall_ms` at monotonic `at_ns`."""
        self._signed = Now(at_ns, wall_ms)

    def read(self, now: Now) -> Clock:
        """The clock of this moment."""
        self._look(now)
        if self._ntp:
            self._held = now
            return Clock(now.wall_ms, ClockTrust.SYNCED, self._kernel_boot, self._boot)
        if self._signed is not None and self._borne_out(now):
            alone = self._held is None
            return Clock(_since(self._signed, now), ClockTrust.SYNCED, self._kernel_boot, self._boot, alone)
        if self._held is not None:
            return Clock(_since(self._held, now), ClockTrust.HOLDOVER, self._kernel_boot, self._boot)
        return Clock(now.wall_ms, ClockTrust.UNTRUSTED, self._kernel_boot, self._boot)

    def _borne_out(self, now: Now) -> bool:
        """Whether what NTP last said is about what the signed time says, if it said anything."""
        if self._signed is None or self._held is None:
            return True
        drift_ms = (now.mono_ns - self._held.mono_ns) // _MS * DRIFT_PPM // 1_000_000
        return abs(_since(self._signed, now) - _since(self._held, now)) <= APART_MS + drift_ms

    def _look(self, now: Now) -> None:
        apart_ms = now.wall_ms - now.mono_ns // _MS
        if self._apart_ms is not None and abs(apart_ms - self._apart_ms) > STEP_MS:
            self._ntp = False
        self._apart_ms = apart_ms


def _since(known: Now, now: Now) -> int:
    return known.wall_ms + (now.mono_ns - known.mono_ns) // _MS
