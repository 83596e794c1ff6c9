"""The hazard table as the bench counts it: number, name, and the bound that a test must show.

The rows and their reactions are docs/hazards.md's. A bound is from the fault to the safe write, or to the state that
the row asks for; `seconds` None = the row asks for a fact and not for a time (`asks` says which). `process`: only a
real process can show it, so a scenario that runs on `process` is a must.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Hazard:
    """One row. `asks` is the required bound in words."""

    number: int
    name: str
    asks: str
    seconds: float | None = None
    process: bool = False
    variants: Mapping[str, float] = field(
        default_factory=dict
    )  # a kind of it that takes longer to know: scenario -> seconds

    def bound(self, scenario: str) -> float | None:
        """What a scenario must show, in seconds."""
        return self.variants.get(scenario, self.seconds)

    def asked(self, scenario: str) -> str:
        """The same in words."""
        return f"{self.variants[scenario]:g} s" if scenario in self.variants else self.asks


def _within(number: int, name: str, seconds: float, asks: str = "", process: bool = False) -> Hazard:
    return Hazard(number, name, asks or f"{seconds:g} s", seconds, process)


_STILL = {"meter_still": 62, "clamp_off": 62}  # a minute of the same, or of exactly nothing, while the battery moves
_ROWS = (
    _within(1, "BMS does not answer", 7),
    _within(2, "BMS values frozen in the inverter's cache, or the inverter's own in a gateway's", 62),
    _within(3, "NaN, sentinels, cleared blocks", 2),
    _within(4, "wrong unit or scale", 4),
    _within(5, "sign flipped", 12),
    _within(6, "meter clamp swapped or reversed", 15, "15 s from the third step that shows it"),
    Hazard(7, "meter silent, or its clamp off", "5 s; 62 s where it stands still or sees nothing", 5, variants=_STILL),
    _within(8, "SoC against voltage and counted charge", 2),
    _within(9, "SoC jumps", 2),
    _within(10, "BMS alarm and protection bits", 2),
    _within(11, "BMS allows no current, or switches a side off", 2),
    _within(12, "BMS asks to be charged", 5),
    _within(13, "cells drift apart", 2),
    _within(14, "too hot, too cold", 2),
    _within(15, "charging below freezing", 2),
    _within(16, "cell too full or too empty", 2),
    _within(17, "inverter does not answer", 65, "5 s + its own timer of 60 s"),
    _within(18, "inverter ignores its setpoint", 15),
    _within(19, "inverter reboots and forgets", 2, "2 s from its first answer"),
    Hazard(20, "no reversion timer, or one that is off", "at start: no dispatch"),
    _within(21, "agent dies in mid-command", 60, "60 s, the inverter's own timer", process=True),
    _within(22, "a thread or the loop hangs", 20, "10 s + clean-up and restart", process=True),
    Hazard(23, "crash loop", "at start: released", process=True),
    Hazard(24, "memory leak", "ends and comes back", process=True),
    _within(25, "noise on RS-485", 5),
    _within(26, "two masters on a line", 5),
    _within(27, "wrong unit answers, or too late", 1),
    Hazard(28, "adapter that hears itself", "at start: understood"),
    _within(29, "USB unplugged or renumbered", 5),
    Hazard(30, "cables swapped", "at start: nothing is written to it"),
    _within(31, "outage in mid-dispatch", 2),
    _within(32, "reserve reached in dispatch", 1, "1 cycle"),
    Hazard(33, "below the reserve when the grid returns", "restored, never discharged"),
    Hazard(34, "broker or network lost", "to the signed end and no longer"),
    Hazard(35, "clock not known", "no new dispatch; stop passes"),
    _within(36, "clock jumps", 1, "1 s"),
    Hazard(37, "replayed, doubled command", "0: nothing moves"),
    Hazard(38, "reordered, expired, future command", "0: nothing moves"),
    Hazard(39, "forged or misaddressed", "0: nothing moves"),
    Hazard(40, "malformed, oversized, flood", "0: nothing moves"),
    Hazard(41, "valid commands that harm", "1 cycle: inside the permit"),
    Hazard(42, "disk full", "control goes on", process=True),
    Hazard(43, "disk read-only or failing", "control goes on", process=True),
    Hazard(44, "database corrupt", "at start: no number twice", process=True),
    Hazard(45, "power cut in mid-write", "nothing acknowledged is lost", process=True),
    Hazard(46, "wrong configuration", "0: nothing moves"),
    Hazard(47, "other firmware or model", "at start: read and not written"),
    _within(48, "a car starts, the main fuse", 2),
    Hazard(49, "the whole fleet steps at once", "homes differ in when"),
    Hazard(50, "misuse at the gateway", "nothing widens"),
    Hazard(51, "trust bundle expires", "no new dispatch; all else goes on"),
)

HAZARDS: Mapping[int, Hazard] = {row.number: row for row in _ROWS}
