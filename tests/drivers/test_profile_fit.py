"""What pydantic lets through and a device cannot be: refused with file, key and reason, at once, whatever it is."""

from __future__ import annotations

import struct

import pytest

from drivers import identify
from drivers.binding import Binding, DeviceSpec
from drivers.plan import Reach
from drivers.port import Port, Timing
from drivers.profile import PROFILES, ProfileError, parse

BMS = (PROFILES / "pace_modbus.toml").read_text("utf-8")
INVERTER = (PROFILES / "foxess_kh.toml").read_text("utf-8")
SETPOINT = 'value = "setpoint", min = -30000, max = 30000'

POINTS = [
    ("an exponent without end", 'scale = "10" # 0.01 A', 'scale = "1e400000000"', "point[0].scale", "no exact number"),
    ("digits without end", "schema = 1", "schema = " + "9" * 5000, "toml", "digits"),
    ("lists without end", "schema = 1", "schema = " + "[" * 5000, "toml", "recursion"),
    ("a bit without end", "[point.bits]", "[point.bits]\n" + "9" * 5000 + ' = "x"', "bits", "not the number of a bit"),
    ("no baud", "baud = 9600", "baud = 0", "line.baud", "greater than"),
    ("an empty range", "valid = [8000, 100000]", "valid = [100000, 8000]", "point pack_mv.valid", "is empty"),
    ("a bit beyond", "[point.bits]", '[point.bits]\n99 = "x"', "point alarms.bits", "is not among its 16 bits"),
    ("beyond the last", "at = 0\ntype", "at = 65535\ncount = 5\ntype", "point pack_ma.at", "over the last register"),
    ("a wide mask", "at = 0\ntype", "at = 0\nmask = 0x10000\ntype", "point pack_ma.mask", "is wider than i16"),
    ("a sentinel unsigned", "[-32768, 32767]", "[0x8000]", "point pack_ma.sentinels", "as i16 it is -32768"),
    ("a text", 'type = "i16"', 'type = "string"\ncount = 1', "point pack_ma.type", "a text is no value"),
    ("read too rarely", "every_ms = 1000", "every_ms = 60000", "blocks.pack.every_ms", "longer than timing.stale_s"),
    (
        "lost at once",
        "every_ms = 1000",
        "every_ms = 1000, stale_ms = 50",
        "blocks.pack.every_ms",
        "its values are lost",
    ),
    ("a text too long", "max_registers = 125", "max_registers = 8", "identify.text.model.count", "brings 8 registers"),
    ("nothing fits", "min = 800\nmax = 10000", "min = 800\nmax = 10", "identify.expect", "nothing fits"),
]
WRITES = [
    ("no zero", SETPOINT, SETPOINT.replace("-30000", "100"), "power[2].write[0].min", "no range around 0"),
    ("no range", SETPOINT, SETPOINT.replace("30000", "0"), "power[2].write[0].min", "no range around 0"),
    ("too wide", SETPOINT, SETPOINT.replace("30000", "40000"), "power[2].write[0].min", "cannot hold"),
    ("unsigned", 'type = "i16", ' + SETPOINT, 'type = "u16", ' + SETPOINT, "power[2].write[0].min", "cannot hold"),
    ("a literal", 'type = "u16", value = 1', 'type = "u16", value = 70000', "power[1].write[0].value", "cannot hold"),
    ("active still", 'type = "u16", value = 0', 'type = "u16", value = 1', "clear", "that is no release"),
    ("another's", 'at = 44000, type = "u16", value = 0', 'at = 44005, type = "u16", value = 0', "clear", "stay remote"),
    ("a command", 'type = "i16", value = 0', 'type = "i16", ' + SETPOINT, "clear", "not release it"),
    ("any step", "max_step = 1", "max_step = 100000", "control[0].max_step", "less than or equal"),
    ("five times full", "min = 0, max = 100 }", "min = 0, max = 500 }", "floor.write.max", "SoC in percent"),
]


def refused(text: str, key: str, reason: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse(text, "own.toml")
    assert key in caught.value.key
    assert reason in caught.value.reason
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("old", "new", "key", "reason"), [row[1:] for row in POINTS], ids=[row[0] for row in POINTS])
def test_a_value_that_cannot_be(old: str, new: str, key: str, reason: str) -> None:
    assert old in BMS
    refused(BMS.replace(old, new, 1), key, reason)


@pytest.mark.parametrize(("old", "new", "key", "reason"), [row[1:] for row in WRITES], ids=[row[0] for row in WRITES])
def test_a_write_that_cannot_be(old: str, new: str, key: str, reason: str) -> None:
    assert old in INVERTER
    refused(INVERTER.replace(old, new, 1), key, reason)


def test_a_device_that_is_told_from_none() -> None:
    refused(INVERTER.replace('expect_model = ["KH"]\n', ""), "identify", "nothing tells this device from another")


@pytest.mark.parametrize("key", ["expect_model", "expect_model_end"])
def test_a_name_that_every_device_has(key: str) -> None:
    """Every text begins and ends with nothing."""
    refused(INVERTER.replace('expect_model = ["KH"]', f'{key} = [""]'), f"identify.{key}[0]", "at least 1 character")


SERIAL = (PROFILES / "solis_hybrid.toml").read_text("utf-8")


@pytest.mark.parametrize(("registers", "ours"), [((0x4131,) * 16, True), ((0,) * 16, False), (None, False)])
def test_a_device_without_a_name_needs_its_serial_number(registers: tuple[int, ...] | None, ours: bool) -> None:
    """Whatever else answers at that address is not taken for it, and never written to."""
    profile = parse(SERIAL, "own.toml")
    spec = DeviceSpec("inverter", profile.role, 1, profile)
    steps = identify.steps(spec, Port(Timing(0, 0, 0), False), Reach(125, 125))
    request, found = next(steps), None
    while found is None:
        known = registers is not None and request.address == profile.texts[3].at
        try:
            request = steps.send(b"\4\x20" + struct.pack(">16H", *(registers or ())) if known else 2)
        except StopIteration as end:
            found = end.value
    assert isinstance(found, Binding) == ours
    assert ours or "has no serial number at register 33004" in str(found)
