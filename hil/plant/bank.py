"""Packs in parallel behind one or more inverters: who carries the current, and what the inverters are told together.

Packs whose switches let a current through share it by their size. What the inverters see of the bank over their own
link is the sum of what those packs allow; each of several inverters keeps to its part of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.plant.battery import Battery
from hil.plant.bms import Bms


class Bank:
    """`share`: the part of the limits that one inverter may use. Watts are DC, + = discharge."""

    def __init__(self, batteries: Sequence[Battery], bmss: Sequence[Bms], share: float) -> None:
        self.batteries, self.bmss = batteries, bmss
        self._share = share

    @property
    def charge_w(self) -> float:
        """What one inverter may charge with, W >= 0."""
        return sum(bms.charge_w for bms in self.bmss) * self._share

    @property
    def discharge_w(self) -> float:
        """What one inverter may discharge with, W >= 0."""
        return sum(bms.discharge_w for bms in self.bmss) * self._share

    @property
    def soc(self) -> float:
        """Of the packs that carry, as their BMSs believe; of all, where none does."""
        up = [bms for bms in self.bmss if bms.charge_fet or bms.discharge_fet] or self.bmss
        return sum(bms.soc for bms in up) / len(up)

    def drain(self, dc_w: float, dt_s: float) -> None:
        """`dc_w` from all packs together for `dt_s`."""
        carry = [bms.discharge_fet if dc_w > 0.0 else bms.charge_fet for bms in self.bmss]
        whole = sum(b.params.capacity_ah for b, on in zip(self.batteries, carry, strict=True) if on)
        for battery, on in zip(self.batteries, carry, strict=True):
            battery.drain(dc_w * battery.params.capacity_ah / whole if on else 0.0, dt_s)
