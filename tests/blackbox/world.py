"""The truth of a home of a few lines: energy, a load, an inverter that obeys a window with a reversion timer, and in
its own mode follows the load down to its own floor."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.decision import Intent, Write
from agent.core.params import S, Site

SITE = Site(11_400, 11_400, 25_000, 20_000, 20_000)


class Broken(AssertionError):
    """A promise did not hold."""


def demand(holds: bool, promise: str, *seen: object) -> None:
    """Raise Broken with what was seen."""
    if not holds:
        raise Broken(f"{promise}: {', '.join(map(str, seen))}")


@dataclass
class World:
    """The truth. Powers + = toward the house."""

    wh: float = 15_000.0
    load_w: int = 900
    pv_w: int = 0
    grid: bool = True
    battery_w: int = 0
    remote_w: int | None = None
    revert_ns: int = 0
    floor: int = 200
    obeys: bool = True

    @property
    def permille(self) -> float:
        return self.wh / SITE.capacity_wh * 1000

    def live(self, from_ns: int, to_ns: int) -> None:
        """Let time pass, in steps of a quarter of a second."""
        at = from_ns
        while at < to_ns:
            dt = min(S // 4, to_ns - at)
            at += dt
            if self.remote_w is not None and at >= self.revert_ns:
                self.remote_w = None
            self.battery_w = self._power()
            self.wh = min(SITE.capacity_wh, max(0.0, self.wh - self.battery_w * dt / 3600 / S))

    def _power(self) -> int:
        need = self.load_w - self.pv_w
        if self.grid and self.remote_w is not None:
            want = self.remote_w if self.obeys else 0
        elif self.grid and need > 0 and self.permille <= self.floor:
            want = 0
        else:
            want = max(-11_400, min(11_400, need))
        if (want > 0 and self.wh <= 0) or (want < 0 and self.wh >= SITE.capacity_wh):
            return 0
        return want

    def take(self, write: Write, now_ns: int, reversion_s: int) -> None:
        if write.intent is Intent.CLEAR:
            self.remote_w = None
        elif write.intent is Intent.FLOOR:
            self.floor = write.value
        else:
            self.remote_w = write.value if write.intent is Intent.POWER else 0
            self.revert_ns = now_ns + reversion_s * S
