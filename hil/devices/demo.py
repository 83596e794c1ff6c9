"""The devices of the demo home on one bus: Seplos V3 at unit 1, SDM630 at 2, SunSpec hybrid at 3; further packs from
unit 11 on, further inverters from 21 on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hil.devices.sdm630 import sdm630
from hil.devices.seplos_v3 import seplos_v3
from hil.devices.slave import Slave, Slaves
from hil.devices.sunspec_der import sunspec_der
from hil.devices.sunspec_hybrid import sunspec_hybrid
from hil.plant.home import Home

VARIANTS: Mapping[str, Callable[[Home], Slave]] = {"124": sunspec_hybrid, "704": sunspec_der}


MORE_PACKS, MORE_INVERTERS = 11, 21  # units of the second one of each
METER_UNIT = 2


def units_of(packs: int = 1, inverters: int = 1) -> dict[str, int]:
    """Device name -> unit: battery, battery2, ... meter, inverter, inverter2, ..."""
    units = {"battery": 1, "meter": METER_UNIT, "inverter": 3}
    units |= {f"battery{i + 2}": MORE_PACKS + i for i in range(packs - 1)}
    return units | {f"inverter{i + 2}": MORE_INVERTERS + i for i in range(inverters - 1)}


def demo_devices(home: Home, variant: str = "124") -> Slaves:
    """BMS, meter and inverter of `home`; `variant` = the SunSpec model by which the inverter is commanded."""
    devices = [seplos_v3(home), sdm630(home), VARIANTS[variant](home)]
    for i in range(len(home.bmss) - 1):
        devices.append(seplos_v3(home, MORE_PACKS + i, f"SIM-BMS-{i + 2:04}", pack=i + 1))
    for i in range(len(home.inverters) - 1):
        devices.append(sunspec_hybrid(home, MORE_INVERTERS + i, serial=f"SIM-INV-{i + 2:04}", number=i + 1))
    return Slaves(devices)
