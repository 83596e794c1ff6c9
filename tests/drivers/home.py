"""The demo home's three devices as register banks, addresses and encodings written out by hand from the facts."""

from __future__ import annotations

import struct

from drivers.bus import Bus, BusSpec, DeviceSpec
from drivers.profile import load
from drivers.readings import DeviceRole
from tests.drivers.wire import Slave, Wire

# chain of the demo inverter: 1, 103, 120, 122, 124, 160, end
COMMON, AC, NAMEPLATE, STATUS, STORAGE, MPPT, END = 40002, 40070, 40122, 40150, 40196, 40222, 40312


def text(words: int, value: str) -> list[int]:
    data = value.encode().ljust(2 * words, b"\0")
    return list(struct.unpack(f">{words}H", data))


def floats(value: float) -> list[int]:
    return list(struct.unpack(">HH", struct.pack(">f", value)))


def bms(unit: int = 1) -> Slave:
    """52.00 V, -10.00 A on the wire (discharging), 70.0 %, 98.5 %, 3.350 / 3.340 V, 294.0 / 293.5 K, 150 / 120 A."""
    slave = Slave(unit)
    slave.put(4, 0x1000, 5200, -1000, 34160, 48800, 12, 700, 985, 42, 3345, 2940, 3350, 3340, 2940, 2935, 0, 150, 120)
    slave.put(4, 0x1700, *text(10, "XZH-ElecTech Co.,Ltd"), *text(10, "1101-SP75"), *text(1, "11"), *text(15, "S123"))
    for bit in range(0x90):
        slave.regs[1, 0x1200 + bit] = 0
    slave.regs[1, 0x1278] = slave.regs[1, 0x1279] = 1
    return slave


def meter(unit: int = 2) -> Slave:
    """-1234.6 W (export), 50.01 Hz, 230.1 V on L1, 12.5 / 3.25 kWh."""
    slave = Slave(unit)
    for address in range(0, 80, 2):
        slave.put(4, address, *floats(0.0))
    for address, value in ((0, 230.1), (6, 5.5), (12, -1234.6), (52, -1234.6), (70, 50.01), (72, 12.5), (74, 3.25)):
        slave.put(4, address, *floats(value))
    slave.put(3, 0xFC00, 0x0001, 0xE240, 0, 0x0102)
    return slave


def inverter(unit: int = 3) -> Slave:
    """11.4 kW hybrid: charging 800 W (module 3), PV 1500 + 500 W, AC 1200 W, 50.00 Hz, SoC 70 %, floor 5 %."""
    slave = Slave(unit)
    put = slave.put
    put(3, 40000, 0x5375, 0x6E53)
    put(
        3,
        COMMON,
        1,
        66,
        *text(16, "Fronius"),
        *text(16, "GEN24"),
        *text(8, ""),
        *text(8, "1.34"),
        *text(16, "SN42"),
        1,
        0,
    )
    for base, model, length in (
        (AC, 103, 50),
        (NAMEPLATE, 120, 26),
        (STATUS, 122, 44),
        (STORAGE, 124, 24),
        (MPPT, 160, 88),
    ):
        put(3, base, model, length, *[0xFFFF] * length)
    put(3, END, 0xFFFF, 0)
    put(3, AC + 14, 120, 1, 5000, -2)  # W sf 1, Hz sf -2
    put(3, AC + 38, 4)
    put(3, AC + 40, 0, 0)
    put(3, NAMEPLATE + 3, 11400, 0)
    put(3, STATUS + 4, 1)
    put(3, STORAGE + 2, 11400, 100, 100, 0, 0xFFFF, 500, 7000, 0xFFFF, 0xFFFF, 4, 10000, 10000, 0, 0, 0, 1)
    put(3, STORAGE + 18, 0, 0, 0, -2, -2, 0, 0, -2)
    put(3, MPPT + 4, 0)
    put(3, MPPT + 8, 4)
    for module, watts in enumerate((1500, 500, 800, 0)):
        put(3, MPPT + 10 + 20 * module + 11, watts)
    return slave


def specs() -> list[DeviceSpec]:
    return [
        DeviceSpec("bms", DeviceRole.BATTERY, 1, load("seplos_v3")),
        DeviceSpec("meter", DeviceRole.METER, 2, load("eastron_sdm630")),
        DeviceSpec("inverter", DeviceRole.INVERTER, 3, load("sunspec_hybrid")),
    ]


def home(devices: list[DeviceSpec] | None = None, slaves: list[Slave] | None = None) -> Wire:
    """A wire with the three devices, open."""
    bus = Bus(BusSpec("rs485"), specs() if devices is None else devices)
    wire = Wire(bus, [bms(), meter(), inverter()] if slaves is None else slaves)
    wire.open()
    return wire
