"""Bytes on the wire, worked out by hand; then the same devices as other people's code reads them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import sunspec2.modbus.client as sunspec
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from hil.devices import sunspec_hybrid as hybrid
from hil.devices.demo import demo_devices
from hil.devices.sdm630 import encode_first
from hil.devices.seplos_v3 import encode_pia, encode_pib, encode_pic, encode_via
from hil.devices.slave import Slaves, crc16, request_length, seal
from hil.devices.sunspec_der import M704
from hil.plant.bms import BmsSample
from hil.plant.home import Home, HomeParams

SAMPLE = BmsSample(
    soc=0.500,
    pack_v=52.80,
    current_a=20.5,
    cells_v=(3.290, *[3.300] * 14, 3.310),
    temps_c=(24.6, 24.1, 23.8, 23.5),
    ambient_c=20.9,
    mos_c=31.9,
    ccl_a=100.0,
    dcl_a=200.0,
    charge_fet=True,
    discharge_fet=True,
    remain_ah=244.0,
    total_ah=488.0,
    throughput_ah=12_340.0,
    cycles=25,
    alarms=frozenset(),
)


@pytest.fixture
def home() -> Home:
    return Home(1, HomeParams(soc=0.5, load_w=1500.0, pv_w=500.0))


@pytest.fixture
def slaves(home: Home) -> Slaves:
    return demo_devices(home)


def ask(slaves: Slaves, text: str, now_ns: int = 0) -> str:
    """Request without CRC in hex -> reply without CRC in hex; "" = silence."""
    reply = slaves.rtu(seal(bytes.fromhex(text)), now_ns)
    if reply is None:
        return ""
    assert crc16(reply) == 0
    return reply[:-2].hex(" ")


# --- framing ----------------------------------------------------------------------------------------------------------
def test_crc_of_the_published_check_string_and_of_a_known_request() -> None:
    assert crc16(b"123456789") == 0x4B37
    assert seal(bytes.fromhex("01 03 00 00 00 0a")).hex(" ") == "01 03 00 00 00 0a c5 cd"


def test_request_length() -> None:
    assert request_length(bytes.fromhex("01 03 00 00 00 0a c5 cd")) == 8
    assert request_length(bytes.fromhex("03 10 9c a5 00 02 04")) == 13
    assert request_length(bytes.fromhex("03 10 9c a5 00 02")) == 0


# --- Seplos V3 --------------------------------------------------------------------------------------------------------
def test_seplos_pia_by_hand() -> None:
    """52.80 V; 20.5 A discharge = -2050; 24.0 C mean = 2971 tenths of a kelvin, as the maker counts them."""
    assert encode_pia(SAMPLE).hex(" ", 2) == (
        "14a0 f7fe 5f50 bea0 04d2 01f4 03e8 0019 0ce4 0b9b 0cee 0cda 0ba1 0b96 0000 00c8 0064"
    )


def test_seplos_pib_by_hand() -> None:
    """raw 2940 = 20.9 C."""
    words = struct.unpack(">26H", encode_pib(SAMPLE))
    assert words[:2] == (3290, 3300)
    assert words[15] == 3310
    assert words[16:20] == (2977, 2972, 2969, 2966)
    assert words[24:] == (2940, 3050)


def test_seplos_status_bits_by_hand() -> None:
    """0x40 discharging; 0x78 and 0x79 both FETs on."""
    assert encode_pic(SAMPLE).hex(" ") == "00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 03 00 00"


def test_seplos_on_the_wire(slaves: Slaves) -> None:
    assert encode_via("SN1")[:22] == b"XZH-ElecTech Co.,Ltd11"
    assert ask(slaves, "01 04 17 00 00 0a") == "01 04 14 " + b"XZH-ElecTech Co.,Ltd".hex(" ")
    assert ask(slaves, "01 04 10 0f 00 02") == "01 04 04 00 fa 00 fa"  # 250 A both ways
    assert ask(slaves, "01 01 12 78 00 02") == "01 01 01 03"
    assert ask(slaves, "01 04 30 00 00 01") == "01 84 02"
    assert ask(slaves, "01 01 30 00 00 01") == "01 81 02"
    assert ask(slaves, "01 04 10 00 00 6b") == "01 84 03"  # 107 registers; it gives at most 106
    assert ask(slaves, "01 06 10 00 00 01") == "01 86 01"
    assert ask(slaves, "09 04 10 00 00 01") == ""


def test_a_silent_device_answers_nothing(home: Home, slaves: Slaves) -> None:
    slaves.by_unit[1].muted = True
    assert ask(slaves, "01 04 10 00 00 01") == ""
    home.inverter.reboot(0)
    assert ask(slaves, "03 03 9c 40 00 02") == ""


def test_a_frozen_bms_repeats_itself(home: Home, slaves: Slaves) -> None:
    slaves.by_unit[1].freeze(True)
    before = ask(slaves, "01 04 10 00 00 11")
    home.inverter.command(0, mode=3, out_share=0.5, in_share=-0.5)
    assert ask(slaves, "01 04 10 00 00 11", 120_000_000_000) == before
    slaves.by_unit[1].freeze(False)
    assert ask(slaves, "01 04 10 00 00 11", 121_000_000_000) != before


# --- SDM630 -----------------------------------------------------------------------------------------------------------
def test_sdm630_block_by_hand() -> None:
    """230 V = 43660000, 50 Hz = 42480000, -1000 W = c47a0000, 1.5 kWh = 3fc00000."""
    words = encode_first(-1000.0, (-500.0, -250.0, -250.0), 230.0, 50.0, (1.5, 0.0)).hex()
    at = {register: words[4 * register : 4 * register + 8] for register in range(0, 80, 2)}
    assert (at[0], at[2], at[4]) == ("43660000",) * 3
    assert (at[12], at[14], at[16]) == ("c3fa0000", "c37a0000", "c37a0000")
    assert (at[52], at[70], at[72], at[74]) == ("c47a0000", "42480000", "3fc00000", "00000000")


def test_sdm630_on_the_wire(home: Home, slaves: Slaves) -> None:
    home.meter.total_w = 1000.0
    assert ask(slaves, "02 04 00 34 00 02") == "02 04 04 44 7a 00 00"
    assert ask(slaves, "02 03 fc 00 00 02") == "02 03 04 00 bc 61 4e"
    assert ask(slaves, "02 04 00 00 00 51") == "02 84 03"
    assert ask(slaves, "02 10 00 14 00 02 04 00 00 00 00") == "02 90 01"


# --- SunSpec hybrid ---------------------------------------------------------------------------------------------------
def test_sunspec_chain_by_hand(slaves: Slaves) -> None:
    assert ask(slaves, "03 03 9c 40 00 04") == "03 03 08 53 75 6e 53 00 01 00 42"
    address, seen = 40_002, []
    while True:
        words = ask(slaves, f"03 03 {address:04x} 0002")
        model, length = struct.unpack(">HH", bytes.fromhex(words)[3:])
        seen.append((model, length))
        if model == 0xFFFF:
            break
        address += 2 + length
    assert seen == [(1, 66), (103, 50), (120, 26), (122, 44), (124, 24), (160, 88), (0xFFFF, 0)]


def test_sunspec_ac_power_and_grid_state_by_hand(home: Home, slaves: Slaves) -> None:
    """500 W PV + 1000 W battery = 1500 = 05dc; 60.00 Hz; ECPConn 1, and 0 in an island."""
    home.grid.forced_hz = 60.0
    now = 5_000_000_000
    assert ask(slaves, f"03 03 {hybrid.M103 + 14:04x} 0004", now) == "03 03 08 05 dc 00 00 17 70 ff fe"
    assert ask(slaves, f"03 03 {hybrid.M122 + 4:04x} 0001", now) == "03 03 02 00 01"
    home.grid.outage()
    assert ask(slaves, f"03 03 {hybrid.M122 + 4:04x} 0001", 2 * now) == "03 03 02 00 00"


def test_sunspec_battery_modules_by_hand(home: Home, slaves: Slaves) -> None:
    """Module 4 discharges with 1000 W; module 3 charges with 2000 W once the sun gives 3500."""
    third, fourth = hybrid.M160 + 10 + 40 + 11, hybrid.M160 + 10 + 60 + 11
    assert ask(slaves, f"03 03 {fourth:04x} 0001", 0) == "03 03 02 03 e8"
    assert ask(slaves, f"03 03 {third:04x} 0001", 0) == "03 03 02 00 00"
    home.pv.forced_w = 3500.0
    assert ask(slaves, f"03 03 {third:04x} 0001", 9_000_000_000) == "03 03 02 07 d0"


def test_a_setpoint_by_model_124(home: Home, slaves: Slaves) -> None:
    """5 kW of 11.4 kW = 43.86 % = 1122h; minus that = eedeh; reversion 60 s = 3ch; mode last."""
    m124 = hybrid.M124
    now = 1_000_000_000
    reply = ask(slaves, f"03 10 {m124 + 12:04x} 0004 08 1122 eede 0000 003c", now)
    assert reply.replace(" ", "") == f"0310{m124 + 12:04x}0004"
    assert home.inverter.mode == 0
    ask(slaves, f"03 06 {m124 + 5:04x} 0003", now)
    home.sync(6_000_000_000)
    assert home.inverter.battery_w == pytest.approx(5000.0, abs=1.0)
    assert home.truth().revert_at_ns == now + 60_000_000_000
    assert [(w.unit, w.address - m124, w.words, w.exception, w.kind, w.value) for w in slaves.trace] == [
        (3, 12, (0x1122, 0xEEDE, 0, 60), 0, "power", 5000),
        (3, 5, (3,), 0, "power", 5000),
    ]
    ask(slaves, f"03 06 {m124 + 5:04x} 0000", 7_000_000_000)
    ask(slaves, f"03 10 {m124 + 12:04x} 0002 04 2710 2710", 7_000_000_000)
    ask(slaves, f"03 06 {m124 + 7:04x} 07d0", 7_000_000_000)
    ask(slaves, f"03 06 {m124 + 15:04x} 003c", 7_000_000_000)
    assert [(w.kind, w.value) for w in slaves.trace[2:]] == [
        ("clear", None),
        ("clear", None),
        ("floor", 200),
        ("other", None),
    ]


def test_the_floor_is_written_and_read_back_and_illegal_writes_change_nothing(home: Home, slaves: Slaves) -> None:
    m124 = hybrid.M124
    ask(slaves, f"03 06 {m124 + 7:04x} 0bb8")
    assert home.inverter.floor_pct == 30.0
    assert ask(slaves, f"03 03 {m124 + 7:04x} 0001") == "03 03 02 0b b8"
    assert ask(slaves, f"03 06 {m124 + 2:04x} 0001").endswith("86 02")  # WChaMax is not for us
    assert ask(slaves, f"03 06 {m124 + 5:04x} 0004").endswith("86 03")
    assert ask(slaves, f"03 10 {m124 + 11:04x} 0002 04 0001 1122").endswith("90 02")  # one word of it is read-only
    assert (home.inverter.mode, home.inverter.out_share) == (0, 1.0)


# --- other people's code ----------------------------------------------------------------------------------------------
def test_pymodbus_decodes_our_frames(slaves: Slaves) -> None:
    framer = FramerRTU(DecodePDU(False))
    reply = slaves.rtu(seal(bytes.fromhex("01 04 10 05 00 01")), 0)
    assert reply is not None
    used, unit, _, pdu = framer.decode(reply)
    assert (used, unit, pdu.hex(" ")) == (len(reply), 1, "04 02 01 f4")


class SunSpecOver(sunspec.SunSpecModbusClientDevice):  # type: ignore[misc]  # pysunspec2 has no types
    """pysunspec2's own device class with our slave as its line."""

    def __init__(self, slaves: Slaves) -> None:
        super().__init__()
        self.slaves = slaves

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def is_connected(self) -> bool:
        return True

    def read(self, addr: float, count: float) -> bytes:
        addr, count, out = int(addr), int(count), b""  # for repeated groups pysunspec2 divides with /
        while count:
            step = min(count, 120)
            reply = self.slaves.rtu(seal(struct.pack(">BBHH", 3, 3, addr, step)), 0)
            assert reply is not None
            assert reply[1] == 3
            out, addr, count = out + reply[3:-2], addr + step, count - step
        return out

    def write(self, addr: int, data: bytes) -> None:
        body = struct.pack(">BBHHB", 3, 16, addr, len(data) // 2, len(data)) + data
        reply = self.slaves.rtu(seal(body), 0)
        assert reply is not None
        assert reply[1] == 16


def test_pysunspec2_walks_reads_and_writes_the_inverter(home: Home, slaves: Slaves) -> None:
    device: Any = SunSpecOver(slaves)
    device.scan(connect=False)
    assert sorted(key for key in device.models if isinstance(key, int)) == [1, 103, 120, 122, 124, 160]
    for model_id in (1, 103, 120, 122, 124, 160):
        assert not device.models[model_id][0].error_info
    assert device.common[0].Mn.value == "Hearth"
    ac = device.models[103][0]
    assert ac.W.cvalue == 1500
    assert ac.Hz.cvalue == pytest.approx(home.grid.frequency_hz, abs=0.006)
    assert ac.PhVphA.cvalue == pytest.approx(230.0, abs=0.1)
    assert ac.St.value == 4
    ratings = device.models[120][0]
    assert (ratings.DERTyp.value, ratings.WRtg.cvalue, ratings.MaxDisChaRte.cvalue) == (82, 11_400, 11_400)
    assert device.models[122][0].ECPConn.value == 1
    storage = device.models[124][0]
    assert (storage.WChaMax.cvalue, storage.ChaState.cvalue, storage.MinRsvPct.cvalue) == (11_400, 50.0, 5.0)
    assert (storage.ChaSt.value, storage.OutWRte.cvalue, storage.InOutWRte_RvrtTms.value) == (3, 100.0, 0)
    modules = device.models[160][0].module
    assert [m.DCW.cvalue for m in modules] == [275, 225, 0, 1000]
    assert [m.IDStr.value for m in modules] == ["String 1", "String 2", "StCha 3", "StDisCha 4"]
    storage.OutWRte.cvalue = -25.0
    storage.write()
    assert home.inverter.out_share == -0.25


# --- the second variant -----------------------------------------------------------------------------------------------
@pytest.fixture
def der_home() -> Home:
    return Home(1, HomeParams(soc=0.5, load_w=1500.0, pv_w=500.0))


def test_pysunspec2_walks_and_commands_the_704_variant(der_home: Home) -> None:
    slaves = demo_devices(der_home, "704")
    device: Any = SunSpecOver(slaves)
    device.scan(connect=False)
    models = (1, 701, 702, 704, 713, 714, 715)
    assert sorted(key for key in device.models if isinstance(key, int)) == list(models)
    for model_id in models:
        assert not device.models[model_id][0].error_info
    ac, ratings = device.models[701][0], device.models[702][0]
    assert (ac.W.cvalue, ac.ConnSt.value, ac.InvSt.value) == (1500, 1, 3)
    assert ac.Hz.cvalue == pytest.approx(der_home.grid.frequency_hz, abs=0.001)
    assert (ratings.WMaxRtg.cvalue, ratings.WChaRteMaxRtg.cvalue, ratings.WMax.cvalue) == (11_400, 11_400, 11_400)
    assert [(p.PrtTyp.value, p.DCW.cvalue) for p in device.models[714][0].Prt] == [(0, 275), (0, 225), (1, 1000)]
    storage, beat = device.models[713][0], device.models[715][0]
    assert (storage.SoC.cvalue, storage.SoH.value) == (50.0, None)
    assert storage.WHAvail.cvalue == pytest.approx(storage.WHRtg.cvalue / 2, abs=10)
    assert (beat.LocRemCtl.value, beat.ControllerHb.value) == (0, 0)
    beat.ControllerHb.value = 70_000
    beat.write()
    beat.read()
    assert beat.ControllerHb.value == 70_000
    control = device.models[704][0]
    assert (control.WSetEna.value, control.WSetMod.value, control.WSetRvrtRem.value) == (0, 1, 0)
    control.WSet.cvalue, control.WSetRvrtTms.cvalue, control.WSetEna.value = 4000, 60, 1
    control.write()
    control.read()
    assert (control.WSetEna.value, control.WSet.cvalue, control.WSetRvrtRem.value) == (1, 4000, 60)
    der_home.step(5.0)
    assert der_home.inverter.battery_w == pytest.approx(3500.0, abs=1.0)  # 4 kW at the AC terminals, 500 W of it PV
    der_home.step(56.0)
    assert der_home.inverter.mode == 0


def test_the_704_setpoint_group_by_hand(der_home: Home) -> None:
    """-3000 W = fffff448h; 90 s = 5ah."""
    slaves = demo_devices(der_home, "704")
    group = "0001 fffff448 00000000 0000 0000 0000 0000005a"
    ask(slaves, f"03 10 {M704 + 23:04x} 000a 14 {group}")
    assert [(w.exception, w.kind, w.value) for w in slaves.trace] == [(0, "other", None)]
    ask(slaves, f"03 10 {M704 + 22:04x} 0001 02 0001")
    assert der_home.inverter.mode == 3
    assert [(w.exception, w.kind, w.value) for w in slaves.trace] == [(0, "other", None), (0, "power", -3000)]
    assert ask(slaves, f"03 03 {M704 + 31:04x} 0004") == "03 03 08 00 00 00 5a 00 00 00 5a"
    assert ask(slaves, f"03 10 {M704 + 30:04x} 0001 02 0001").endswith("90 03")  # it reverts to off and nothing else
    assert ask(slaves, f"03 10 {M704 + 21:04x} 0001 02 0001").endswith("90 02")
    ask(slaves, f"03 10 {M704 + 22:04x} 0001 02 0000")
    assert slaves.trace[-1].kind == "clear"
