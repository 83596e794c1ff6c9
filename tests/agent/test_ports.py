"""A port whose number depends on the order of plugging in is pointed out, with the name to use instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent import ports
from agent.config import EXAMPLE, Config, load
from hil import site

PORT = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0"


def configured(tmp_path: Path, port: str) -> Config:
    path = tmp_path / "batteryd.toml"
    path.write_text(EXAMPLE.replace(PORT, port), "utf-8")
    return load(path)


@pytest.mark.parametrize("port", ["/dev/ttyUSB0", "/dev/ttyACM12"])
def test_a_numbered_port_is_pointed_out(tmp_path: Path, port: str) -> None:
    (sentence,) = ports.unstable(configured(tmp_path, port), tmp_path / "udev")
    assert sentence.startswith(f"bus[0].port: {port} may be another adapter after the next start; plug it in")


@pytest.mark.parametrize("port", [PORT, "/dev/ttyAMA0", "/dev/serial0", "/tmp/bus"])
def test_a_port_that_keeps_its_name_is_not(tmp_path: Path, port: str) -> None:
    assert ports.unstable(configured(tmp_path, port), tmp_path / "udev") == []


def test_the_names_that_udev_gives_it_are_found_the_adapters_own_first(tmp_path: Path) -> None:
    device, other = tmp_path / "ttyUSB0", tmp_path / "ttyUSB1"
    device.touch()
    other.touch()
    for kind, name, target in (("by-path", "pci-1", device), ("by-id", "usb-FTDI", device), ("by-id", "usb-CH", other)):
        (tmp_path / "serial" / kind).mkdir(parents=True, exist_ok=True)
        (tmp_path / "serial" / kind / name).symlink_to(target)
    found = ports.stable_paths(str(device), tmp_path / "serial")
    assert found == [str(tmp_path / "serial/by-id/usb-FTDI"), str(tmp_path / "serial/by-path/pci-1")]


def test_check_prints_it_and_still_ends_well(tmp_path: Path) -> None:
    path = site.write_config(tmp_path, line={"port": "/dev/ttyUSB0"})
    command = [sys.executable, "-m", "agent.daemon", "--config", str(path), "--check"]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    assert "!!  bus[0].port: /dev/ttyUSB0 may be another adapter" in good.stdout
