"""The three devices of the demo home on one bus: Seplos V3 at unit 1, SDM630 at 2, SunSpec hybrid at 3."""

from __future__ import annotations

from hil.devices.sdm630 import sdm630
from hil.devices.seplos_v3 import seplos_v3
from hil.devices.slave import Slaves
from hil.devices.sunspec_hybrid import sunspec_hybrid
from hil.plant.home import Home


def demo_devices(home: Home) -> Slaves:
    """BMS, meter and inverter of `home`."""
    return Slaves([seplos_v3(home), sdm630(home), sunspec_hybrid(home)])
