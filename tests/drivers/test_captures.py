"""Frames and registers recorded from real devices. They are not in the repository: see `CAPTURES`."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from drivers.binding import DeviceSpec
from drivers.codec import BlockDecoder, Field, RawType, Scale, WordOrder
from drivers.events import Presence
from drivers.port import Fate, Port, Timing
from drivers.profile import load
from drivers.readings import DeviceRole, InverterReading
from tests.drivers.home import home, specs
from tests.drivers.vector import Zeros
from tests.drivers.wire import MS, S, Slave

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


def test_a_deye_counts_energy_with_the_low_word_first() -> None:
    block = capture("deye_sg04lp3")
    tenths = Scale(1)
    fields = [
        Field(0, 0, RawType.U16, scale=tenths),
        Field(1, 2, RawType.U32, 2, WordOrder.LITTLE, tenths),
        Field(2, 4, RawType.U32, 2, WordOrder.LITTLE, tenths),
        Field(3, 8, RawType.U32, 2, WordOrder.LITTLE, tenths),
        Field(4, 10, RawType.U32, 2, WordOrder.LITTLE, tenths),
    ]
    values: list[int | None] = [None] * len(fields)
    BlockDecoder(fields).decode(struct.pack(f">{len(block['words'])}H", *block["words"]), 0, values)
    names = ("day_battery_charge", "total_battery_charge", "total_battery_discharge", "total_grid_import")
    wanted = [round(block["expected"][f"{name}_kwh"] * 10) for name in (*names, "total_grid_export")]
    assert values == wanted


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
