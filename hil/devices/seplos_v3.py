"""Seplos (XZH) BMS V3 as a Modbus slave: registers by FC4, status bits by FC1, nothing to write.

Transcribed by hand from the maker's "XZH BMS Modbus RTU Protocol" (blocks PIA 0x1000, PIB 0x1100, PIC 0x1200,
SPA 0x1300, VIA 0x1700). Current is + = charge here; temperatures are 0.1 K. One bit is not the
maker's: `ASKS`, by which it asks to be charged as other makers' do, read by the bench's own profile (`hil.site`).
"""

from __future__ import annotations

import struct

from hil.devices.slave import Image, Slave
from hil.plant.bms import BmsSample
from hil.plant.home import Home

PIA, PIB, PIC, SPA, VIA = 0x1000, 0x1100, 0x1200, 0x1300, 0x1700
MAX_COUNT = 106

# Bit of block PIC -> alarm of hil.plant.bms. 0x48: voltage (TB02), 0x50: cell temperature (TB03).
ALARM_BITS = {
    0x48: "cell_high_voltage",
    0x49: "cell_over_voltage",
    0x4A: "cell_low_voltage",
    0x4B: "cell_under_voltage",
    0x50: "charge_high_temperature",
    0x51: "charge_over_temperature",
    0x52: "charge_low_temperature",
    0x53: "charge_under_temperature",
    0x54: "discharge_high_temperature",
    0x55: "discharge_over_temperature",
    0x56: "discharge_low_temperature",
    0x57: "discharge_under_temperature",
}
DISCHARGING, CHARGING, STANDBY = 0x40, 0x41, 0x44  # TB09
DISCHARGE_FET, CHARGE_FET = 0x78, 0x79  # TB07
ASKS = 0x47  # the bench's own; no profile of this maker's reads it


def _deci_kelvin(celsius: float) -> int:
    return round((celsius + 273.1) * 10)


def _i16(value: float) -> int:
    return max(-32_768, min(32_767, round(value)))


def _u16(value: float) -> int:
    return max(0, min(65_535, round(value)))


def encode_pia(sample: BmsSample) -> bytes:
    """17 registers from 0x1000."""
    cells, temps = sample.cells_v, sample.temps_c
    return struct.pack(
        ">Hh15H",
        _u16(sample.pack_v * 100),
        _i16(-sample.current_a * 100),
        _u16(sample.remain_ah * 100),
        _u16(sample.total_ah * 100),
        _u16(sample.throughput_ah / 10),
        _u16(sample.soc * 1000),
        1000,
        _u16(sample.cycles),
        _u16(sum(cells) / len(cells) * 1000),
        _deci_kelvin(sum(temps) / len(temps)),
        _u16(max(cells) * 1000),
        _u16(min(cells) * 1000),
        _deci_kelvin(max(temps)),
        _deci_kelvin(min(temps)),
        0,
        int(sample.dcl_a),
        int(sample.ccl_a),
    )


def encode_pib(sample: BmsSample) -> bytes:
    """26 registers from 0x1100."""
    cells = [_u16(volts * 1000) for volts in sample.cells_v]
    temps = [_deci_kelvin(celsius) for celsius in sample.temps_c]
    return struct.pack(">26H", *cells, *temps, 0, 0, 0, 0, _deci_kelvin(sample.ambient_c), _deci_kelvin(sample.mos_c))


def encode_pic(sample: BmsSample) -> bytes:
    """0x90 bits from 0x1200, LSB first."""
    bits = 0
    for bit, name in ALARM_BITS.items():
        if name in sample.alarms:
            bits |= 1 << bit
    state = DISCHARGING if sample.current_a > 0.5 else CHARGING if sample.current_a < -0.5 else STANDBY
    bits |= 1 << state
    bits |= sample.discharge_fet << DISCHARGE_FET | sample.charge_fet << CHARGE_FET | sample.asks << ASKS
    return bits.to_bytes(18, "little")


def _text(value: str, registers: int) -> bytes:
    return value.encode("ascii").ljust(2 * registers, b"\0")[: 2 * registers]


def encode_via(serial: str) -> bytes:
    """51 registers from 0x1700: factory, device, firmware, BMS serial, pack serial."""
    factory, device = _text("XZH-ElecTech Co.,Ltd", 10), _text("1101-SP76 ", 10)
    return factory + device + b"15" + _text(serial, 15) + _text("PACK-" + serial, 15)


def seplos_v3(home: Home, unit: int = 1, serial: str = "SIM-BMS-0001", pack: int = 0) -> Slave:
    """The BMS of the home's pack number `pack` at `unit`."""
    bms = home.bmss[pack]

    def pia(data: bytearray) -> None:
        data[: 17 * 2] = encode_pia(bms.sample())

    def pib(data: bytearray) -> None:
        data[:] = encode_pib(bms.sample())

    def pic(data: bytearray) -> None:
        data[:] = encode_pic(bms.sample())

    def spa(data: bytearray) -> None:
        sample = bms.sample()
        struct.pack_into(">2H", data, 0, 4, len(sample.cells_v))
        struct.pack_into(">3H", data, 2 * 0x65, 5760, int(sample.ccl_a), int(sample.dcl_a))

    def via(data: bytearray) -> None:
        data[:] = encode_via(serial)

    registers = [
        Image(PIA, 18, [(PIA, 18, pia)]),
        Image(PIB, 26, [(PIB, 26, pib)]),
        Image(SPA, 0x6A, [(SPA, 0x6A, spa)]),
        Image(VIA, 51, [(VIA, 51, via)]),
    ]
    bits = [Image(PIC, 9, [(PIC, 9, pic)])]
    return Slave(unit, home, {4: registers, 1: bits}, MAX_COUNT, silent=lambda: bms.asleep)
