"""Profiles that must be refused, with the file, the key and the reason; and the shipped ones, which must not be."""

from __future__ import annotations

import re

import pytest

from drivers.profile import PROFILES, ProfileError, load, parse
from drivers.readings import DeviceRole

SHIPPED = sorted(path.stem for path in PROFILES.glob("*.toml"))

PLAIN = """
schema = 1
id = "x"
title = "X"
role = "inverter"
[line]
links = ["rtu"]
response_ms = 200
[identify]
kind = "registers"
[identify.text]
maker = { text = "X" }
model = { text = "Y" }
version = { text = "" }
serial = { at = 100, count = 4 }
[timing]
refresh_s = 1
stale_s = 5
[blocks]
main = { every_ms = 1000, ages = true }
[[point]]
name = "battery_w"
block = "main"
at = 10
type = "i16"
[[point]]
name = "grid"
block = "main"
at = 12
type = "u16"
map = { 0 = "islanded", 1 = "connected" }
"""
CONTROL = """
[[control]]
id = "c"
unit = "w"
control_point = "battery"
max_step = 100
active_mode = 1
min_refresh_s = 1
read_back = true
reversion = { kind = "device_s", verified = false, default_s = 60, min_s = 1, max_s = 600 }
[control.rated]
charge = [{ at = 20, type = "u16" }]
discharge = [{ at = 21, type = "u16" }]
[[control.power]]
write = [{ at = 30, type = "i16", scale = "10", value = "setpoint", min = -9000, max = 9000 }]
[[control.power]]
write = [{ at = 40, type = "u16", value = "reversion", min = 1, max = 600 }]
[[control.clear]]
write = [{ at = 40, type = "u16", value = 0 }]
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_profile_is_accepted(name: str) -> None:
    assert load(name).id == name


def test_the_plain_one_that_the_others_spoil_is_accepted() -> None:
    profile = parse(PLAIN + CONTROL, "x.toml")
    assert profile.role is DeviceRole.INVERTER
    assert profile.controls[0].stop == profile.controls[0].power  # without a STOP of its own: a setpoint of 0


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ("[[control.clear]]\nwrite = [{ at = 40, type = \"u16\", value = 0 }]", "", "control[0] (c).clear",
         "without a release"),
        (', min = -9000, max = 9000', "", "control[0] (c).power[0].write[0]", "without bounds"),
        ("min = -9000, max = 9000", "min = 9000, max = -9000", "control[0] (c).power[0].write[0]", "without bounds"),
        ('scale = "10"', 'scale = "1000"', "control[0] (c).power[0].write[0].scale", "lose the setpoint's resolution"),
        ('[[control.power]]\nwrite = [{ at = 40, type = "u16", value = "reversion", min = 1, max = 600 }]', "",
         "control[0] (c).power", "reversion time must be written"),
        ("at = 12", "at = 10", "point grid.at", "register 10 is already part of point battery_w"),
        ('type = "i16"\n[[point]]',
         'type = "i32"\n[[point]]\nname = "pv_w"\nblock = "main"\nat = 11\ntype = "u16"\n[[point]]',
         "point pv_w.at", "register 11 is already part of point battery_w (10..11)"),
        ('name = "battery_w"', 'name = "batery_w"', "point[0] (batery_w).name", "has no batery_w"),
        ('block = "main"\nat = 10', 'block = "mian"\nat = 10', "point[0] (battery_w).block", 'no block "mian"'),
        ('name = "grid"', 'name = "battery_w"', "point battery_w", "is there twice"),
        ("at = 10\n", "", "point[0] (battery_w)", "needs either at"),
        ('1 = "connected"', '1 = "yes"', "point[1] (grid).map", "connected and islanded"),
        ('role = "inverter"', 'role = "meter"', "point[0] (battery_w).name", "a meter has no battery_w"),
        ("stale_s = 5", "stale_s = 20", "timing.stale_s", "less than or equal to 15"),
        ("ages = true", "ages = false", "blocks", "how old a reading is"),
        ("default_s = 60", "default_s = 900", "control[0] (c).reversion.default_s", "outside 1..600 s"),
        ("response_ms = 200", "respons_ms = 200", "line.response_ms", "required"),
        ('refresh_s = 1\n', 'refresh_s = 1\nfoo = 2\n', "timing.foo", "Extra inputs"),
        ('kind = "registers"', 'kind = "sunspec"', "control[0] (c).power[0].write[0]", "a SunSpec write is model"),
        ("count = 4", "count = 0", "identify.text.serial", "needs count"),
        ('type = "i16"\n[[point]]', 'type = "bit"\n[[point]]', "point[0] (battery_w).type", "function 3"),
        ('at = 30, type = "i16", scale = "10"', 'at = 30, type = "i16", scale = "0"',
         "control[0].power[0].write[0].scale", "loses the value"),
        ("[line]", "[line", "toml", ""),
    ],
)  # fmt: skip
def test_a_spoiled_profile_is_refused(old: str, new: str, key: str, reason: str) -> None:
    text = PLAIN + CONTROL
    assert old in text
    with pytest.raises(ProfileError) as caught:
        parse(text.replace(old, new, 1), "x.toml")
    assert (caught.value.file, caught.value.key) == ("x.toml", key)
    assert re.search(re.escape(reason), str(caught.value))


def test_neighbours_of_one_write_must_be_neighbours() -> None:
    text = PLAIN + CONTROL.replace(
        "max = 9000 }]", 'max = 9000 }, { at = 32, type = "u16", value = "reversion", min = 1, max = 9 }]'
    )
    with pytest.raises(ProfileError, match=r"power\[0\].write\[1\].at: .*neighbours"):
        parse(text, "x.toml")


def test_a_battery_is_never_written_to() -> None:
    text = (PLAIN + CONTROL).replace('role = "inverter"', 'role = "battery"').replace('"battery_w"', '"pack_ma"')
    text = text.replace('name = "grid"', 'name = "pack_mv"')
    with pytest.raises(ProfileError, match="a battery is never written to"):
        parse(text, "x.toml")


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"known are .*seplos_v3"):
        load("nobody")


def test_an_unknown_sunspec_point_is_named() -> None:
    text = (PROFILES / "sunspec_hybrid.toml").read_text().replace('at = "ECPConn"', 'at = "ECPCon"')
    with pytest.raises(ProfileError, match='model 122 has no point "ECPCon"'):
        parse(text, "sunspec_hybrid.toml")


WORD = """
[[control]]
id = "w"
unit = "w"
control_point = "battery"
max_step = 10
active_mode = [1, 2]
min_refresh_s = 1
read_back = true
through_zero_ms = 100
wearing = ["cmd"]
wear = { daily = 9 }
reversion = { kind = "device_min", verified = false, granularity_s = 60, default_s = 120, min_s = 60, max_s = 600 }
codes = { charge = 1, discharge = 2, zero = 0 }
[control.state]
remote_code = { at = 50, type = "u16" }
[[control.power]]
function = 6
on_change = true
wears = true
write = [{ at = 50, type = "u16", value = { charge = 1, discharge = 2, zero = 0 } }]
[[control.power]]
write = [{ at = 51, type = "u16", multiple = 10, value = "magnitude", min = 0, max = 9000 }]
[[control.power]]
write = [{ at = 52, type = "u16", scale = "60", value = "reversion", min = 60, max = 600 }]
[[control.clear]]
function = 6
write = [{ at = 50, type = "u16", value = 0 }]
"""


def test_a_direction_word_with_its_power_is_accepted() -> None:
    control = parse(PLAIN + WORD, "x.toml").controls[0]
    assert control.active_modes == (1, 2)
    assert control.daily_writes == 9


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ("through_zero_ms = 100\n", "", "control[0] (w).through_zero_ms", "run the old power the other way"),
        ("wear = { daily = 9 }\n", "", "control[0] (w).wear", "wears out memory"),
        ("daily = 9", "daily = 1", "control[0] (w).wear.daily", "it would never be followed"),
        ("on_change = true\n", "", "control[0] (w).power[0].on_change", "written on change only"),
        ("value = { charge = 1, discharge = 2, zero = 0 } }", "value = 1 }", "control[0] (w).power", "no direction"),
        ('multiple = 10, value = "magnitude"', 'multiple = 11, value = "magnitude"',
         "control[0] (w).power[1].write[0].scale", "lose the setpoint's resolution"),
        ('value = "magnitude", min = 0, max = 9000', 'value = 5', "control[0] (w).power", "carries the setpoint"),
        ("default_s = 120", "default_s = 90", "control[0] (w).reversion.default_s", "no multiple of the granularity"),
        ("min_s = 60", "min_s = 0", "control[0] (w).reversion.min_s", "stays for ever"),
        ('kind = "device_min"', 'kind = "implicit"', "control[0] (w).reversion.min_s", "has one time"),
        ('kind = "device_min"', 'kind = "none"', "control[0] (w).reversion.max_s", "has no time"),
        ('value = "reversion", min = 60, max = 600', "value = 1", "control[0] (w).power", "reversion time must be"),
        ("codes = { charge = 1, discharge = 2, zero = 0 }\n", "", "control[0] (w).codes", "remote_code needs codes"),
        ("active_mode = [1, 2]", "active_mode = [0, 1]", "control[0] (w).released", "both active and released"),
        ('control_point = "battery"', 'control_point = "inverter_ac"', "control[0] (w).convert", "needs convert"),
        ("function = 6\non_change", 'function = 6\nunit = "x"\non_change', "control[0] (w).power[0].unit",
         'line.units has no "x"'),
        ('remote_code = { at = 50', 'remote_code = { unit = "x", at = 50', "control[0] (w).state.remote_code.unit",
         'line.units has no "x"'),
    ],
)  # fmt: skip
def test_a_spoiled_command_word_is_refused(old: str, new: str, key: str, reason: str) -> None:
    text = PLAIN + WORD
    assert old in text
    with pytest.raises(ProfileError) as caught:
        parse(text.replace(old, new, 1), "x.toml")
    assert (caught.value.file, caught.value.key) == ("x.toml", key)
    assert reason in str(caught.value)
