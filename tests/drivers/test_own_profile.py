"""A profile in a directory of the site, without a line of Python: loaded, refused with a reason, read end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.bus import Bus, BusSpec, DeviceSpec
from drivers.events import Identity, Presence
from drivers.profile import ProfileError, load
from tests.drivers.wire import S, Slave, Wire

OWN = """
schema = 1
id = "corner_shop_bms"
title = "Corner shop BMS"
role = "battery"
confidence = "low"
[line]
links = ["rtu"]
baud = 9600
function = 4
max_registers = 8
response_ms = 200
gap_ms = 60
word_order = "little"
[identify]
kind = "registers"
[identify.text]
maker = { text = "Corner shop" }
model = { at = 200, type = "string", count = 3 }
version = { text = "" }
serial = { at = 203, type = "u32" }
[[identify.expect]]
at = 0
type = "u16"
min = 4000
max = 6000
means = "pack voltage in 10 mV"
[timing]
refresh_s = 2
stale_s = 5
[blocks]
pack = { every_ms = 1000, ages = true }
[[point]]
name = "pack_mv"
block = "pack"
at = 0
type = "u16"
scale = "10"
[[point]]
name = "pack_ma"
block = "pack"
at = 1
type = "i32"
sign = -1
[[point]]
name = "soc_permille"
block = "pack"
at = 3
type = "u16"
scale = "1/2"
sentinels = [65535]
[[point]]
name = "cell_max_mv"
block = "pack"
at = 10
type = "u16"
repeat = 4
step = 2
combine = "max"
sentinels = [0]
[[point]]
name = "cell_min_mv"
block = "pack"
at = 10
type = "u16"
repeat = 4
step = 2
combine = "min"
sentinels = [0]
"""


def write(directory: Path, text: str = OWN, name: str = "corner_shop_bms") -> Path:
    (directory / f"{name}.toml").write_text(text)
    return directory


def test_it_is_read_end_to_end(tmp_path: Path) -> None:
    profile = load("corner_shop_bms", write(tmp_path))
    slave = Slave(7)
    slave.put(4, 0, 5200, 0x1388, 0xFFFF, 1555)  # -60 536 mA, low word first
    slave.put(4, 10, 3301, 9, 3299, 9, 0, 9, 3300, 9)
    slave.put(4, 200, 0x4142, 0x4300, 0, 0x1234, 0)
    wire = Wire(Bus(BusSpec("line", 9600), [DeviceSpec("x", profile.role, 7, profile)]), [slave], 9600)
    wire.open()
    wire.run(10 * S)
    status, reading = wire.statuses("x")[-1], wire.batteries()[-1]
    assert status.presence is Presence.OK
    assert status.identity == Identity("Corner shop", "ABC", "", str(0x12340000))
    assert (reading.pack_mv, reading.pack_ma, reading.soc_permille) == (52_000, 60_536, 778)
    assert (reading.cell_max_mv, reading.cell_min_mv) == (3301, 3299)
    assert wire.violations == 0
    assert "0 A holds until charge_limit_a is configured" in status.detail


def test_the_shipped_ones_are_still_there(tmp_path: Path) -> None:
    assert load("seplos_v3", write(tmp_path)) == load("seplos_v3")


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (OWN, "seplos_v3", "seplos_v3.toml: profile: seplos_v3 is a shipped profile; give yours a name of its own"),
        (OWN, "other", 'other.toml: id: "corner_shop_bms" is not the name of the file'),
        (OWN.replace("at = 3\n", "at = 2\n"), "corner_shop_bms", "register 2 is already part of point pack_ma"),
        (OWN.replace("repeat = 4", "repeat = 400"), "corner_shop_bms", "less than or equal to 64"),
        (OWN.replace("max = 6000\n", "").replace("min = 4000\n", ""), "corner_shop_bms", "says nothing; give values"),
        (
            OWN.replace("function = 4", "function = 44"),
            "corner_shop_bms",
            "44 does not read anything; known are 1, 2, 3",
        ),
        (OWN.replace('"rtu"]', '"tcp"]\ndialect = "jbd"'), "corner_shop_bms", "jbd is read over a serial line"),
    ],
)
def test_what_is_wrong_is_said_with_file_key_and_reason(tmp_path: Path, text: str, name: str, reason: str) -> None:
    with pytest.raises(ProfileError) as error:
        load(name, write(tmp_path, text, name))
    assert reason in str(error.value)


def test_a_name_that_nobody_has_lists_both_places(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"known are .*corner_shop_bms.*seplos_v3"):
        load("nobody", write(tmp_path))
