"""Frames and registers recorded from real devices. They are not in the repository: see `CAPTURES`."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from drivers import sunspec
from drivers.bus import Bus, BusSpec, DeviceSpec
from drivers.codec import BlockDecoder, Field, RawType, Scale, WordOrder
from drivers.dialect import Kind
from drivers.dialects import DIALECTS
from drivers.events import Presence
from drivers.port import Fate, Port, Timing
from drivers.profile import load
from drivers.readings import BatteryReading, DeviceRole, InverterReading
from tests.drivers.home import home, specs
from tests.drivers.sunspec_image import values
from tests.drivers.vector import Zeros
from tests.drivers.wire import MS, S, Slave, Wire, crc

CAPTURES = Path(os.environ.get("BATTERY_CAPTURES", Path(__file__).parents[3] / "shared" / "captures"))
pytestmark = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason=f"no recordings at {CAPTURES}; set BATTERY_CAPTURES to where they are"
)


def blocks() -> list[Any]:
    found = []
    for path in sorted(CAPTURES.glob("*.json")):
        for n, block in enumerate(json.loads(path.read_text()).get("blocks", [])):
            found.append(pytest.param(block, id=f"{path.stem}-{n}"))
    return found


def capture(name: str, block: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CAPTURES / f"{name}.json").read_text())["blocks"][block]
    return found


def receive(block: dict[str, Any], frame: bytes) -> bytes | None:
    """What a port that asked for the block makes of the frame."""
    tcp = "raw_mbap" in block
    port = Port(Timing(0, 0, 0) if tcp else Timing.serial(9600, 10, 0), tcp)
    request = port.read(block["unit"], block["function"], block["base"], len(block["words"]), 300 * MS)
    for _ in range(int.from_bytes(frame[:2], "big") if tcp else 1):  # count up to the recorded transaction id
        port.send(request, S)
    outcome = port.feed(frame, S + 500 * MS)
    return outcome.data if outcome is not None and outcome.fate is Fate.DATA else None


@pytest.mark.parametrize("block", blocks())
def test_a_recorded_reply_is_taken_and_its_spoiled_copies_are_not(block: dict[str, Any]) -> None:
    raw = block.get("raw_rtu") or block.get("raw_mbap")
    if raw is None:
        pytest.skip("only the registers of this block were recorded, not its frame")
    frame = bytes.fromhex(raw)
    count = len(block["words"])
    assert receive(block, frame) == bytes((block["function"], 2 * count)) + struct.pack(f">{count}H", *block["words"])
    assert receive(block, frame[:-1]) is None
    if "raw_rtu" in block:
        for place in range(len(frame)):
            assert receive(block, frame[:place] + bytes((frame[place] ^ 0x10,)) + frame[place + 1 :]) is None


def test_a_kostal_says_who_it_is_in_spite_of_its_odd_pad() -> None:
    block = capture("kostal_plenticore_sunspec_common")
    slave = Slave(block["unit"])
    slave.put(3, 40000, 0x5375, 0x6E53, 1, 66, *block["words"], 0xFFFF, 0)
    spec = specs()[2]
    wire = home([type(spec)(spec.name, spec.role, block["unit"], spec.profile)], [slave])
    wire.run(2 * S)
    status = wire.statuses("inverter")[-1]
    expected = block["expected"]
    assert status.presence is Presence.OK
    assert status.identity is not None
    assert (status.identity.maker, status.identity.model) == (expected["Mn"], expected["Md"])
    assert (status.identity.version, status.identity.serial) == (expected["Vr"], expected["SN"])
    assert "no register that takes a setpoint" in status.detail


def test_a_kostals_common_model_is_read_point_by_point() -> None:
    block = capture("kostal_plenticore_sunspec_common")
    points = {value.path: value.value for value in values(sunspec.model(1), [1, 66, *block["words"]])}
    assert {name: points[name] or "" for name in block["expected"]} == {
        name: text.strip() if isinstance(text, str) else text for name, text in block["expected"].items()
    }


# The words of the recordings for a value -> type, registers' unit in thousandths, and what is "not there".
GOODWE = {
    "Voltage": ("u16", 100, 0xFFFF), "Current": ("u16", 100, 0xFFFF), "CurrentS": ("i16", 100, None),
    "Frequency": ("u16", 10, 0xFFFF), "Power4": ("u32", 1000, 0xFFFFFFFF), "Power4S": ("i32", 1000, None),
    "PowerS": ("i16", 1000, 0x7FFF), "Energy": ("u16", 100, 0xFFFF), "Energy4": ("u32", 100, 0xFFFFFFFF),
    "Temp": ("i16", 100, 0x7FFF), "Integer": ("u16", 1000, 0xFFFF), "Long": ("u32", 1000, 0xFFFFFFFF),
    "Reactive": ("i16", 1000, 0x7FFF), "Apparent": ("i16", 1000, 0x7FFF), "Reactive4": ("i32", 1000, 0x7FFFFFFF),
    "Apparent4": ("i32", 1000, 0x7FFFFFFF), "Decimal": ("i16", 1, 0x7FFF), "CellVoltage": ("u16", 1, 0xFFFF),
}  # fmt: skip


@pytest.mark.parametrize("name", ["goodwe_gw10k_et", "goodwe_gw6000_eh"])
def test_every_value_of_a_goodwe_recording_is_decoded(name: str) -> None:
    """Through the codec, by the recorder's own address and kind of each value, in thousandths of its unit."""
    seen = 0
    for block in json.loads((CAPTURES / f"{name}.json").read_text())["blocks"]:
        wanted = [value for value in block["expected"].values() if value["codec"] in GOODWE]
        fields = []
        for slot, value in enumerate(wanted):
            kind, thousandths, absent = GOODWE[value["codec"]]
            words = 2 if kind in ("u32", "i32") else 1
            offset, sentinels = value["address"] - block["base"], () if absent is None else (absent,)
            fields.append(Field(slot, offset, RawType(kind), words, scale=Scale(thousandths), sentinels=sentinels))
        found: list[int | None] = [None] * len(fields)
        BlockDecoder(fields).decode(struct.pack(f">{len(block['words'])}H", *block["words"]), 0, found)
        for value, ours in zip(wanted, found, strict=True):
            if ours is None:  # the recorder's library calls what is not there nothing, or 0, or -1
                assert value["value"] in (None, 0, -1), value
            else:
                assert ours == round(value["value"] * 1000), value
                seen += 1
    assert seen > 40


def decoded(block: dict[str, Any], *fields: tuple[int, RawType, Scale]) -> list[int | None]:
    """Values of single registers of a block, by address, type and scale."""
    found: list[int | None] = [None] * len(fields)
    layout = [Field(n, at - block["base"], kind, scale=scale) for n, (at, kind, scale) in enumerate(fields)]
    BlockDecoder(layout).decode(struct.pack(f">{len(block['words'])}H", *block["words"]), 0, found)
    return found


def test_a_deyes_battery_block_is_decoded() -> None:
    block = capture("deye_sg04lp3", 1)
    expected = block["expected"]
    assert decoded(
        block,
        (586, RawType.U16, Scale(100, 1, -100_000)),
        (587, RawType.U16, Scale(10)),
        (588, RawType.U16, Scale()),
        (590, RawType.I16, Scale()),
        (591, RawType.I16, Scale(10)),
    ) == [
        round(expected["battery_temperature_c"] * 1000),
        round(expected["battery_voltage_v"] * 1000),
        expected["battery_soc_pct"],
        expected["battery_power_w_discharge_pos"],
        round(expected["battery_current_a_discharge_pos"] * 1000),
    ]


def test_a_deye_counts_energy_with_the_low_word_first() -> None:
    block = capture("deye_sg04lp3")
    tenths = Scale(1)
    fields = [
        Field(5, 1, RawType.U16, scale=tenths),
        Field(6, 6, RawType.U16, scale=tenths),
        Field(7, 7, RawType.U16, scale=tenths),
        Field(0, 0, RawType.U16, scale=tenths),
        Field(1, 2, RawType.U32, 2, WordOrder.LITTLE, tenths),
        Field(2, 4, RawType.U32, 2, WordOrder.LITTLE, tenths),
        Field(3, 8, RawType.U32, 2, WordOrder.LITTLE, tenths),
        Field(4, 10, RawType.U32, 2, WordOrder.LITTLE, tenths),
    ]
    found: list[int | None] = [None] * len(fields)
    BlockDecoder(fields).decode(struct.pack(f">{len(block['words'])}H", *block["words"]), 0, found)
    names = [
        "day_battery_charge", "total_battery_charge", "total_battery_discharge", "total_grid_import",
        "total_grid_export", "day_battery_discharge", "day_grid_import", "day_grid_export",
    ]  # fmt: skip
    assert found == [round(block["expected"][f"{name}_kwh"] * 10) for name in names]


def bms_frames(name: str) -> list[dict[str, Any]]:
    """Recorded frames that are not Modbus."""
    path = CAPTURES / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"there is no {path.name} in {CAPTURES}")
    found: list[dict[str, Any]] = json.loads(path.read_text())["frames"]
    return found


def talking(profile: str, unit: int, frames: dict[bytes, bytes], baud: int) -> Wire:
    """A battery of which these frames were recorded, after 20 s."""
    spec = DeviceSpec("bms", DeviceRole.BATTERY, unit, load(profile))
    wire = Wire(Bus(BusSpec("line", baud), [spec]), [], baud)
    wire.frames = frames
    wire.open()
    wire.run(20 * S)
    return wire


def talk(profile: str, unit: int, frames: dict[bytes, bytes], baud: int) -> BatteryReading:
    """Its last reading."""
    wire = talking(profile, unit, frames, baud)
    assert wire.statuses("bms")[-1].presence is Presence.OK, wire.statuses("bms")[-1].detail
    return wire.batteries()[-1]


def jk_frames(status: dict[str, Any], settings: dict[str, Any]) -> dict[bytes, bytes]:
    """Trigger -> reply of a JK that answers with these two captured frames."""
    codec = DIALECTS["jk_pb"]
    frames = {}
    about = bytearray(300)
    about[:14] = bytes((0x55, 0xAA, 0xEB, 0x90, 3, 0)) + b"JK_B2A8S"
    about[299] = sum(about) & 0xFF
    recorded = (0x20, bytes.fromhex(status["hex"])), (0x1E, bytes.fromhex(settings["hex"])), (0x1C, bytes(about))
    for function, frame in recorded:
        ack = bytes((1, 0x10, 0x16, function, 0, 1))
        frames[codec.request(1, function)] = frame + b"\0" + ack + crc(ack) + b"\0"
    return frames


def test_a_jk_pack_of_the_older_layout_is_not_taken_for_one_of_ours() -> None:
    _, settings, older = bms_frames("jk_frames")
    wire = talking("jk_pb", 1, jk_frames(older, settings), 115200)
    status = wire.statuses("bms")[-1]
    assert status.presence is Presence.MISMATCH
    assert "layout for 32 cells" in status.detail
    assert wire.batteries() == []


def test_a_jk_pack_is_read_as_its_recorder_saw_it() -> None:
    status, settings = bms_frames("jk_frames")[:2]
    frames = jk_frames(status, settings)
    reading, expected = talk("jk_pb", 1, frames, 115200), status["expected"]
    assert reading.pack_mv == round(expected["voltage"] * 1000)
    assert reading.pack_ma == round(expected["current"] * 1000)  # the recorder turned the sign: charging is negative
    assert reading.soc_permille == round(expected["soc"]) * 10
    assert (reading.cell_max_mv, reading.cell_min_mv) == (3357, 3341)
    full_ah = expected["charge"] / (expected["soc"] / 100)  # by its own count; it was sold with expected["capacity"]
    assert reading.capacity_mah == pytest.approx(full_ah * 1000, abs=50)
    assert reading.alarms == ()
    assert (reading.charge_enabled, reading.discharge_enabled) == (True, True)


def test_a_jbd_pack_is_read_as_documented() -> None:
    frame = bms_frames("jbd_frame")[0]
    codec, expected = DIALECTS["jbd"], frame["expected"]
    cells = bytes((0, 8)) + struct.pack(">4H", 3890, 3900, 3901, 3899)
    name = bytes((0, 4)) + b"JBD4"
    frames = {codec.request(1, 3): bytes.fromhex(frame["hex"])}
    for command, body in ((4, cells), (5, name)):
        checksum = (0x10000 - sum(body)).to_bytes(2, "big")
        frames[codec.request(1, command)] = bytes((0xDD, command)) + body + checksum + b"\x77"
    reading = talk("jbd", 1, frames, 9600)
    assert reading.pack_mv == round(expected["voltage_v"] * 1000)
    assert reading.pack_ma == 0
    assert reading.soc_permille == expected["soc_pct"] * 10
    assert reading.capacity_mah == round(expected["nominal_ah"] * 1000)
    assert (reading.charge_enabled, reading.discharge_enabled) == (True, True)  # expected["mos_bits"] is 3
    assert reading.temp_max_dc == round(max(expected["ntc_c"]) * 10)
    assert reading.temp_min_dc == round(min(expected["ntc_c"]) * 10)


def test_a_pace_pack_is_read_as_its_recorder_saw_it() -> None:
    frame = bms_frames("pace_ascii_frame")[0]
    found = DIALECTS["pace"].scan(1, 0x42, frame["ascii"].encode())
    assert found is not None
    assert found.kind is Kind.DATA
    words, expected = struct.unpack(">64H", found.image), frame["expected"]
    assert words[0] == expected["cell_count"]
    assert list(words[10:12]) == expected["cells_mv"]
    assert (words[2] - 0x10000) / 100 == expected["current_a"]
    assert words[3] / 1000 == expected["voltage_v"]
    assert (words[5] / 100, words[7] / 100, words[8]) == (
        expected["remaining_ah"], expected["full_ah"], expected["cycles"]
    )  # fmt: skip
    assert words[9] == int(1000 * expected["remaining_ah"] / expected["full_ah"])
    assert (words[42] - 2730) / 10 == expected["temps_c_first"]


def test_a_daly_pack_is_read_as_its_recorder_saw_it() -> None:
    if not (CAPTURES / "daly_modbus_d2.json").is_file():
        pytest.skip(f"there is no daly_modbus_d2.json in {CAPTURES}")
    block = capture("daly_modbus_d2")
    slave = Slave(block["unit"])
    slave.put(3, block["base"], *block["words"])
    slave.put(3, 169, *[0] * 16)
    wire = home([DeviceSpec("bms", DeviceRole.BATTERY, block["unit"], load("daly_modbus"))], [slave])
    wire.run(10 * S)
    reading, expected = wire.batteries()[-1], block["expected"]
    cells = ((block["base"] + n, RawType.U16, Scale()) for n in range(4))
    assert decoded(block, *cells) == expected["cell_mv"]
    rest = (48, RawType.U16, Scale(100)), (51, RawType.U16, Scale())
    assert decoded(block, *rest) == [round(expected["remaining_ah"] * 1000), expected["cycles"]]
    assert reading.pack_mv == expected["voltage_v"] * 1000
    assert reading.pack_ma == -expected["current_a"] * 1000  # the recorder counts charging positive
    assert reading.soc_permille == expected["soc_pct"] * 10
    assert (reading.cell_max_mv, reading.cell_min_mv) == (max(expected["cell_mv"]), min(expected["cell_mv"]))
    assert (reading.temp_max_dc, reading.temp_min_dc) == (max(expected["temps_c"]) * 10, min(expected["temps_c"]) * 10)
    assert (reading.charge_enabled, reading.discharge_enabled) == (False, True)


def recorded(profile: str, name: str, more: dict[int, int] | None = None) -> tuple[InverterReading, Any, Any]:
    """What a profile makes of all recorded blocks of a device; what was not recorded reads 0."""
    blocks_ = json.loads((CAPTURES / f"{name}.json").read_text())["blocks"]
    slave = Slave(blocks_[0]["unit"], Zeros())
    for block in blocks_:
        slave.put(block["function"], block["base"], *block["words"])
    for address, word in (more or {}).items():
        slave.put(3, address, word)
    wire = home([DeviceSpec("inverter", DeviceRole.INVERTER, slave.unit, load(profile))], [slave])
    wire.run(12 * S)
    status = wire.statuses("inverter")[-1]
    assert status.presence is Presence.OK, status.detail
    return wire.inverters()[-1], {k: v for block in blocks_ for k, v in block["expected"].items()}, status.identity


def test_a_goodwe_reads_as_its_recording_says() -> None:
    reading, expected, identity = recorded("goodwe_et", "goodwe_gw10k_et")
    assert (identity.maker, identity.model, identity.serial) == ("GoodWe", "GW10K-ET", "9010KETU000W0000")
    assert reading.battery_w == expected["pbattery1"]["value"] == -2512
    assert reading.pv_w == expected["ppv1"]["value"] + expected["ppv2"]["value"]
    assert reading.ac_w == expected["total_inverter_power"]["value"]
    assert reading.frequency_mhz == round(expected["fgrid"]["value"] * 1000)
    assert reading.soc_permille == expected["battery_soc"]["value"] * 10
    assert (str(reading.grid_state), reading.status) == ("connected", "running")


def test_a_goodwe_without_a_battery_has_no_soc() -> None:
    reading, expected, _ = recorded("goodwe_et", "goodwe_gw6000_eh", {37007: 0xFFFF})
    assert reading.battery_w == expected["pbattery1"]["value"] == 0
    assert reading.soc_permille is None
    assert reading.pv_w == expected["ppv1"]["value"] + expected["ppv2"]["value"]
    assert reading.ac_w == expected["total_inverter_power"]["value"]


def test_a_deye_reads_as_its_recording_says() -> None:
    reading, expected, _ = recorded("deye_3p_lv", "deye_sg04lp3", {0: 5})
    assert reading.battery_w == expected["battery_power_w_discharge_pos"] == 721
    assert reading.soc_permille == expected["battery_soc_pct"] * 10
