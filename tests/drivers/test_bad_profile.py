"""The four mistakes that could hurt a home, made in a copy of every shipped profile that can have them.

Each copy is a file in a directory of the site, as a technician would write it; it is refused with file, key and reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from drivers.profile import PROFILES, ProfileError, load
from hil import site

SYMBOL = r'value = "(?:-?setpoint|charge|discharge|magnitude)"'
TEXTS = {path.stem: path.read_text("utf-8") for path in sorted(PROFILES.glob("*.toml"))}
COMMANDED = [name for name, text in TEXTS.items() if "[[control]]" in text]
REGISTERS = [name for name, text in TEXTS.items() if 'kind = "registers"' in text]


def refused(directory: Path, name: str, text: str) -> ProfileError:
    """The copy as a file `own.toml`, loaded as the daemon does it."""
    text = re.sub(rf'^id = "{name}"', 'id = "own"', text, count=1, flags=re.MULTILINE)
    (directory / "own.toml").write_text(text, "utf-8")
    with pytest.raises(ProfileError) as caught:
        load("own", directory)
    assert caught.value.file == "own.toml"
    assert str(caught.value).startswith(f"own.toml: {caught.value.key}: ")
    return caught.value


@pytest.mark.parametrize("name", list(TEXTS))
def test_the_copy_itself_is_accepted(tmp_path: Path, name: str) -> None:
    text = re.sub(rf'^id = "{name}"', 'id = "own"', TEXTS[name], count=1, flags=re.MULTILINE)
    (tmp_path / "own.toml").write_text(text, "utf-8")
    assert load("own", tmp_path).id == "own"


@pytest.mark.parametrize("name", COMMANDED)
def test_a_setpoint_without_bounds(tmp_path: Path, name: str) -> None:
    text, count = re.subn(rf"({SYMBOL}[^}}\n]*?), min = -?\d+, max = -?\d+", r"\1", TEXTS[name], count=1)
    if not count:  # a section of its own, a key a line
        text, count = re.subn(rf"({SYMBOL}\n(?:.+\n)*?)min = -?\d+\n", r"\1", TEXTS[name], count=1)
    assert count, "this profile writes its setpoint in a way that this test does not know"
    error = refused(tmp_path, name, text)
    assert error.key.startswith("control[0]")
    assert "is written without bounds; give min and max" in error.reason


@pytest.mark.parametrize("name", COMMANDED)
def test_a_setpoint_without_release(tmp_path: Path, name: str) -> None:
    text = re.sub(r"^\[\[control\.clear\]\]\n(?:(?!\[).*\n?)*", "", TEXTS[name], flags=re.MULTILINE)
    error = refused(tmp_path, name, text)
    assert re.fullmatch(r"control\[\d+\] \(\w+\)\.clear", error.key)
    assert "a setpoint without a release is refused" in error.reason


@pytest.mark.parametrize("name", [name for name in COMMANDED if name in REGISTERS])
def test_a_scale_that_loses_the_setpoints_resolution(tmp_path: Path, name: str) -> None:
    plain = re.sub(r"multiple = \d+, ", "", TEXTS[name])
    text, count = re.subn(SYMBOL, r"multiple = 1000000, \g<0>", plain, count=1)
    assert count
    error = refused(tmp_path, name, text)
    assert re.fullmatch(r"control\[0\] \(\w+\)\.\w+\[\d+\]\.write\[\d+\]\.scale", error.key)
    assert "lose the setpoint's resolution of" in error.reason


@pytest.mark.parametrize("name", REGISTERS)
def test_a_register_that_two_points_take(tmp_path: Path, name: str) -> None:
    profile = tomllib.loads(TEXTS[name])
    plain = (p for p in profile["point"] if isinstance(p.get("at"), int) and p["name"] not in ("grid", "alarms"))
    point = next(p for p in plain if p["type"] not in ("bit", "bits"))
    lines = [f'name = "{point["name"]}"', f'block = "{point["block"]}"', f"at = {point['at']}", 'type = "bits64"']
    lines += [f"{key} = {point[key]}" for key in ("function",) if key in point]
    lines += [f'unit = "{point["unit"]}"'] if "unit" in point else []
    error = refused(tmp_path, name, TEXTS[name] + "\n[[point]]\n" + "\n".join(lines) + "\n")
    assert error.key.startswith("point ")
    assert error.key.endswith(".at")
    assert re.search(r"register \d+ is already part of point \w+ \(\d+\.\.\d+\)", error.reason)


def test_check_refuses_the_home_that_uses_it(tmp_path: Path) -> None:
    path = site.write_config(tmp_path, line={"port": str(tmp_path / "bus")})
    broken = re.sub(r"^\[\[control\.clear\]\]\n(?:(?!\[).*\n?)*", "", TEXTS["growatt_vpp"], flags=re.MULTILINE)
    (tmp_path / "own.toml").write_text(broken.replace('id = "growatt_vpp"', 'id = "own"'), "utf-8")
    text = path.read_text("utf-8").replace('"sunspec_hybrid"', '"own"')
    path.write_text(text.replace("[agent]", f'[agent]\nprofiles = "{tmp_path}"', 1), "utf-8")
    command = [sys.executable, "-m", "agent.daemon", "--config", str(path), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "own.toml: control[0] (" in done.stderr
    assert "a setpoint without a release is refused" in done.stderr


def test_a_profile_that_writes_what_it_calls_protection(tmp_path: Path) -> None:
    text = TEXTS["sma_storage"] + "\n[protection]\ndeny = [[1, 5], [40149, 40149]]\n"
    error = refused(tmp_path, "sma_storage", text)
    assert error.key == "protection.deny"
    assert "register 40149 is protection by this file's own word" in error.reason


def test_protection_of_nothing(tmp_path: Path) -> None:
    error = refused(tmp_path, "sma_storage", TEXTS["sma_storage"] + "\n[protection]\ndeny = [[9, 5]]\n")
    assert error.key == "protection.deny[0]"


def test_protection_is_kept(tmp_path: Path) -> None:
    text = TEXTS["sma_storage"] + "\n[protection]\ndeny = [[1, 5]]\n"
    (tmp_path / "own.toml").write_text(re.sub('^id = "sma_storage"', 'id = "own"', text, flags=re.MULTILINE), "utf-8")
    assert load("own", tmp_path).protection == ((1, 5),)
