"""Eastron SDM630 as a Modbus slave: 32-bit floats, high word first, by FC4; identity by FC3; nothing to write.

Transcribed by hand from the register tables that mbmd and SDM_Energy_Meter publish. W + = import.
"""

from __future__ import annotations

import struct

from hil.devices.slave import Image, Slave
from hil.plant.home import Home

MAX_COUNT = 80
FIRST_BLOCK, ENERGY_BLOCK, IDENTITY = 0x0000, 0x0156, 0xFC00


def encode_first(
    total_w: float,
    watts: tuple[float, float, float],
    volts: float,
    hertz: float,
    counters: tuple[float, float],
    legs: int = 3,
) -> bytes:
    """80 registers from 0: phases, totals, frequency, energy in kWh. A phase that is not connected reads zero."""
    amps = [abs(w) / volts if volts else 0.0 for w in watts]
    apparent = [abs(w) for w in watts]
    factor = [1.0 if w >= 0.0 else -1.0 for w in watts]
    words = [0.0] * 40
    words[0:3] = [volts] * legs + [0.0] * (3 - legs)
    words[3:6] = amps
    words[6:9] = watts
    words[9:12] = apparent
    words[15:18] = factor
    words[21] = volts  # average line to neutral, 0x2A
    words[23] = sum(amps) / 3.0  # average current, 0x2E
    words[24] = sum(amps)  # sum of currents, 0x30
    words[26] = total_w  # 0x34
    words[28] = abs(total_w)  # 0x38
    words[31] = 1.0 if total_w >= 0.0 else -1.0  # 0x3E
    words[35] = hertz  # 0x46
    words[36], words[37] = counters  # 0x48 import, 0x4A export, kWh
    return struct.pack(">40f", *words)


def encode_energy(
    import_kwh: float, export_kwh: float, imports: tuple[float, ...], exports: tuple[float, ...]
) -> bytes:
    """16 registers from 0x156: total kWh and kvarh, import by phase, export by phase."""
    return struct.pack(">8f", import_kwh + export_kwh, 0.0, *imports, *exports)


def sdm630(home: Home, unit: int = 2, serial: int = 12_345_678) -> Slave:
    """The home's grid meter at `unit`."""
    meter = home.meter

    def first(data: bytearray) -> None:
        counters = (meter.import_wh / 1000.0, meter.export_wh / 1000.0)
        data[:] = encode_first(meter.total_w, meter.leg_w, meter.volts, meter.frequency_hz, counters, meter.legs)

    def energy(data: bytearray) -> None:
        legs = [tuple(wh / 1000.0 for wh in each) for each in (meter.leg_import_wh, meter.leg_export_wh)]
        data[:] = encode_energy(meter.import_wh / 1000.0, meter.export_wh / 1000.0, legs[0], legs[1])

    def identity(data: bytearray) -> None:
        data[:] = struct.pack(">IHH", serial, 0x0070, 0x0108)  # serial, meter code of an SDM630, software 1.08

    inputs = [
        Image(FIRST_BLOCK, 80, [(FIRST_BLOCK, 80, first)]),
        Image(ENERGY_BLOCK, 16, [(ENERGY_BLOCK, 16, energy)]),
    ]
    holding = [Image(IDENTITY, 4, [(IDENTITY, 4, identity)])]
    return Slave(unit, home, {4: inputs, 3: holding}, MAX_COUNT, silent=lambda: meter.dead)
