"""What the self-test gathers: a second copy, clocks, files."""

from __future__ import annotations

import hashlib
import tomllib
from base64 import urlsafe_b64encode
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from agent.core.params import Bank, Params, Site, Timers, Wiring
from agent.runtime.part import Now
from agent.selftest import PACKAGE, TWIN_CYCLES, WINDOW_NS, Clocks, Files, FilesLooked, SelfTest, Twin
from tests.agent.rig import PARAMS

S = 1_000_000_000
WIRED = replace(PARAMS, wiring=Wiring((Bank(("a",), ("b",)),), ("c",), (("a", 5000),), (("m", "pv"),)))


# --- parameters held twice --------------------------------------------------------------------------------------------
def changed(params: Params, name: str) -> Params:
    """The same with one field a bit off."""
    value: Any = getattr(params, name)
    other: dict[str, Any]
    if name == "site":
        return replace(params, site=replace(value, import_limit_w=value.import_limit_w ^ 1))
    if name == "timers":
        return replace(params, timers=replace(value, reversion_s=value.reversion_s ^ 64))
    if name == "default":
        return replace(params, default=replace(value, version=value.version ^ 1))
    if name == "wiring":
        return replace(params, wiring=replace(value, places=(("m", "pw"),)))
    if value is None:  # not set
        other = {name: 1}
    elif isinstance(value, tuple):
        other = {name: ((value[0][0] ^ 1, value[0][1]), *value[1:])}
    else:
        other = {name: not value if isinstance(value, bool) else value ^ 1}
    return replace(params, **other)


@pytest.mark.parametrize("name", [field.name for field in fields(Params)])
def test_a_bit_of_any_parameter_is_found(name: str) -> None:
    twin = Twin(WIRED)
    assert twin.differs(WIRED) == ""
    assert "safety parameters" in twin.differs(changed(WIRED, name))


@pytest.mark.parametrize("name", [field.name for field in fields(Timers)])
def test_a_bit_of_any_timer_is_found(name: str) -> None:
    value = getattr(PARAMS.timers, name)
    assert Twin(PARAMS).differs(replace(PARAMS, timers=replace(PARAMS.timers, **{name: value ^ 1})))


@pytest.mark.parametrize("name", [field.name for field in fields(Site)])
def test_a_bit_of_any_site_limit_is_found(name: str) -> None:
    value = getattr(PARAMS.site, name)
    assert Twin(PARAMS).differs(replace(PARAMS, site=replace(PARAMS.site, **{name: value ^ 1})))


def test_a_table_that_lost_a_row_is_found() -> None:
    assert Twin(PARAMS).differs(replace(PARAMS, charge_v_mv=PARAMS.charge_v_mv[:-1]))


def test_the_loop_finds_it_within_its_cycles() -> None:
    test = SelfTest(PARAMS)
    assert test.cycle(PARAMS).memory == ""
    wrong = replace(PARAMS, soc_floor_permille=0)
    found = [bool(test.cycle(wrong).memory) for _ in range(TWIN_CYCLES + 1)]
    assert found.index(True) < TWIN_CYCLES
    assert all(found[found.index(True) :])


def test_what_was_looked_at_is_kept_together() -> None:
    test = SelfTest(PARAMS)
    test.files(FilesLooked(("a",), ("b",)), at(5, 5))
    test.clock(at(10, 10), True)
    test.clock(at(610, 610), True)
    looked = test.cycle(PARAMS)
    assert (looked.at_ns, looked.memory, looked.clock, looked.changed) == (5 * S, "", "", ("a",))
    assert looked.skipped[1:] == ("b",)


# --- clocks -----------------------------------------------------------------------------------------------------------
def at(mono_s: float, wall_s: float) -> Now:
    return Now(round(mono_s * S), round(wall_s * 1000))


def windows(*ends: tuple[float, float], synced: bool = True) -> list[str | None]:
    clocks = Clocks()
    clocks.look(at(0, 0), True)
    return [clocks.look(at(*end), synced) for end in ends]


def test_clocks_that_agree() -> None:
    assert windows((300, 300), (600, 600), (1200, 1205.9)) == [None, "", ""]


def test_clocks_that_run_apart_are_told_in_the_second_window() -> None:
    first, second = windows((600, 607), (1200, 1214))
    assert first is None
    assert second == "the clock that all deadlines are counted by took 600 s for 607 s"
    assert windows((600, 593), (1200, 1186))[1] is not None


def test_one_step_of_the_wall_clock_is_no_failure() -> None:
    assert windows((600, 4200), (1200, 4800), (1800, 5400)) == [None, "", ""]


def test_without_network_time_there_is_nothing_to_compare_with() -> None:
    assert windows((600, 900), (1200, 1800), (1800, 2700), synced=False) == [None] * 3
    clocks = Clocks()
    assert clocks.look(at(0, 0), False) is None
    assert clocks.look(at(700, 1400), True) is None  # begins only here
    assert clocks.look(at(1300, 2000), True) == ""
    assert WINDOW_NS == 600 * S


# --- files ------------------------------------------------------------------------------------------------------------
def digest(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def test_a_file_that_was_changed_or_is_gone(tmp_path: Path) -> None:
    one, two = tmp_path / "batteryd.toml", tmp_path / "own.toml"
    one.write_text("a = 1")
    two.write_text("b = 1")
    files = Files({one: "the configuration", two: "the profile own"}, tmp_path)
    assert files.look().changed == ()
    one.write_text("a = 2")
    two.unlink()
    told = files.look().changed
    assert told == (
        f"the configuration {one} was changed since the start; a restart would use it",
        f"the profile own {two} is gone since the start; a restart would use it",
    )
    one.write_text("a = 1")
    two.write_text("b = 1")
    assert files.look().changed == ()


def test_not_installed_is_said(tmp_path: Path) -> None:
    assert Files({}, tmp_path).look().skipped == ("the program's files, it does not run from an installed package",)


def test_the_package_is_looked_for_by_the_name_that_it_has() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert tomllib.loads(text)["project"]["name"].replace("-", "_") == PACKAGE


def test_the_installed_package_is_held_against_its_record(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "gate.py").write_bytes(b"gate")
    (tmp_path / "agent" / "a,b.py").write_bytes(b"comma")
    info = tmp_path / "battery_agent-1.0.dist-info"
    info.mkdir()
    rows = [
        f"agent/gate.py,sha256={digest(b'gate')},4",
        f'"agent/a,b.py",sha256={digest(b"comma")},5',
        "agent/__pycache__/gate.cpython-311.pyc,,",
        "battery_agent-1.0.dist-info/RECORD,,",
    ]
    (info / "RECORD").write_text("\n".join(rows))
    files = Files({}, tmp_path)
    assert files.look() == type(files.look())((), ())
    (tmp_path / "agent" / "gate.py").write_bytes(b"gait")
    assert files.look().changed == ("agent/gate.py of the installed program is not as it was shipped",)
    (tmp_path / "agent" / "a,b.py").unlink()
    assert "agent/gate.py and 1 more" in files.look().changed[0]
    (info / "RECORD").write_bytes(b"\xff\xfe")
    assert "cannot be read" in files.look().changed[0]
