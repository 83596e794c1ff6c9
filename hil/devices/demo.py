"""The three devices of the demo home on one bus: Seplos V3 at unit 1, SDM630 at 2, SunSpec hybrid at 3."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hil.devices.sdm630 import sdm630
from hil.devices.seplos_v3 import seplos_v3
from hil.devices.slave import Slave, Slaves
from hil.devices.sunspec_der import sunspec_der
from hil.devices.sunspec_hybrid import sunspec_hybrid
from hil.plant.home import Home

VARIANTS: Mapping[str, Callable[[Home], Slave]] = {"124": sunspec_hybrid, "704": sunspec_der}


def demo_devices(home: Home, variant: str = "124") -> Slaves:
    """BMS, meter and inverter of `home`; `variant` = the SunSpec model by which the inverter is commanded."""
    return Slaves([seplos_v3(home), sdm630(home), VARIANTS[variant](home)])
