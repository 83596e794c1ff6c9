"""Other people's clients against our served SunSpec devices, over real sockets and ptys: pysunspec2's own, and mbpoll.

What they read is compared with the simulated home that the device stands for, or with the still picture's values.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sunspec2.modbus.client as client

from hil.devices.serve import Server
from hil.devices.still import VALUES
from hil.devices.sunspec_hybrid import M103, M124

pytestmark = pytest.mark.slow
HOME = {"soc_permille": 500, "load_w": 1500, "pv_w": 500}
MBPOLL = shutil.which("mbpoll")
NO_MBPOLL = "mbpoll is not installed: apt-get install mbpoll"
# Profile -> models that it is served with. What the profile gives as alternatives is there once.
STILL = {
    "sunspec_meter": [1, 203],
    "sunspec_battery": [1, 802, 803, 804],
    "fronius_gen24": [1, 101, 102, 103, 122, 124, 160],
    "solaredge_storedge": [1, 101, 103],
}


@contextmanager
def served(profile: str, tmp_path: Path, **home: Any) -> Iterator[Server]:
    """The device on a free TCP port and on a pty, in a thread of its own."""
    server = Server(profile, tcp="127.0.0.1:0", pty=str(tmp_path / "line"), home=home)
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stopped = True
        thread.join()
        server.close()


@contextmanager
def scanned(server: Server, link: str) -> Iterator[Any]:
    """pysunspec2's view of the device, after its own scan."""
    device: Any
    if link == "tcp":
        assert server.address is not None
        host, port = server.address
        device = client.SunSpecModbusClientDeviceTCP(server.unit, host, port, timeout=5)
    else:
        device = client.SunSpecModbusClientDeviceRTU(server.unit, server.link, 19200, timeout=5)
    try:
        if link == "rtu":
            device.open()
        device.scan()
        yield device
    finally:
        device.close()


def numbers(device: Any) -> list[int]:
    return sorted(key for key in device.models if isinstance(key, int))


@pytest.mark.parametrize("link", ["tcp", "rtu"])
def test_pysunspec2_finds_every_model_and_reads_what_the_home_does(link: str, tmp_path: Path) -> None:
    with served("sunspec_hybrid", tmp_path, **HOME) as server, scanned(server, link) as device:
        assert numbers(device) == [1, 103, 120, 122, 124, 160]
        assert not [m.error_info for models in device.models.values() for m in models if m.error_info]
        home = server.home
        assert home is not None
        ac, storage, modules = device.models[103][0], device.models[124][0], device.models[160][0].module
        assert ac.W.cvalue == pytest.approx(home.pv_w + home.inverter.battery_w, abs=5)
        assert ac.Hz.cvalue == pytest.approx(home.grid.frequency_hz, abs=0.2)
        assert storage.ChaState.cvalue == pytest.approx(100 * home.bms.soc, abs=0.5)
        assert storage.WChaMax.cvalue == home.inverter.params.rated_w
        assert storage.MinRsvPct.cvalue == home.inverter.floor_pct
        assert modules[0].DCW.cvalue + modules[1].DCW.cvalue == pytest.approx(home.pv_w, abs=2)
        assert modules[3].DCW.cvalue - modules[2].DCW.cvalue == pytest.approx(home.inverter.battery_w, abs=5)
        storage.MinRsvPct.cvalue = 20.0
        storage.write()
        assert home.inverter.floor_pct == 20.0


@pytest.mark.parametrize("link", ["tcp", "rtu"])
@pytest.mark.parametrize("profile", sorted(STILL))
def test_pysunspec2_finds_every_model_of_a_still_picture(profile: str, link: str, tmp_path: Path) -> None:
    with served(profile, tmp_path) as server, scanned(server, link) as device:
        assert numbers(device) == STILL[profile]
        assert not [m.error_info for models in device.models.values() for m in models if m.error_info]
        assert device.common[0].Mn.value in ("Still", "Fronius", "SolarEdge")


def test_pysunspec2_reads_the_values_of_a_bank_and_a_meter(tmp_path: Path) -> None:
    with served("sunspec_battery", tmp_path) as server, scanned(server, "tcp") as device:
        bank, lithium = device.models[802][0], device.models[803][0]
        assert bank.SoC.cvalue * 10 == pytest.approx(VALUES["soc_permille"], abs=5)
        assert bank.V.cvalue * 1000 == VALUES["pack_mv"]
        assert bank.A.cvalue * 1000 == VALUES["pack_ma"]
        assert bank.State.value == 3
        assert {s.StrCellVMax.cvalue * 1000 for s in lithium.string} == {VALUES["cell_max_mv"]}
        assert lithium.ModTmpMax.cvalue * 10 == VALUES["temp_max_dc"]
    with served("sunspec_meter", tmp_path) as server, scanned(server, "rtu") as device:
        meter = device.models[203][0]
        assert meter.W.cvalue == VALUES["grid_w"]
        assert meter.PhVphA.cvalue * 1000 == VALUES["l1_mv"]
        assert meter.TotWhImp.cvalue == VALUES["import_wh"]
        assert meter.AphB.cvalue == 0


def mbpoll(server: Server, link: str, first: int, count: int) -> list[int]:
    """The holding registers from `first` on, as mbpoll prints them."""
    assert MBPOLL is not None
    assert server.address is not None
    host, port = server.address
    where = ["-m", "tcp", "-p", str(port), host]
    if link == "rtu":
        where = ["-m", "rtu", "-b", "19200", "-P", "none", str(server.link)]
    *options, target = where
    command = [MBPOLL, *options, "-a", str(server.unit), "-0", "-r", str(first), "-c", str(count), "-t", "4:hex"]
    done = subprocess.run([*command, "-1", "-o", "5", target], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\[(\d+)\]:\s+0x([0-9A-F]{4})", done.stdout, re.MULTILINE)
    found = {int(at): int(word, 16) for at, word in rows}
    return [found[first + n] for n in range(count)]


@pytest.mark.skipif(MBPOLL is None, reason=NO_MBPOLL)
@pytest.mark.parametrize("link", ["tcp", "rtu"])
def test_mbpoll_reads_the_served_inverter(link: str, tmp_path: Path) -> None:
    with served("sunspec_hybrid", tmp_path, **HOME) as server:
        home = server.home
        assert home is not None
        assert mbpoll(server, link, 40_000, 4) == [0x5375, 0x6E53, 1, 66]
        assert mbpoll(server, link, M103, 2) == [103, 50]
        watts = mbpoll(server, link, M103 + 14, 2)
        assert watts[0] == pytest.approx(home.pv_w + home.inverter.battery_w, abs=5)
        assert watts[1] == 0  # its scale factor
        assert mbpoll(server, link, M124 + 8, 1)[0] == pytest.approx(10_000 * home.bms.soc, abs=50)


@pytest.mark.skipif(MBPOLL is None, reason=NO_MBPOLL)
@pytest.mark.parametrize("link", ["tcp", "rtu"])
def test_mbpoll_reads_a_still_meter(link: str, tmp_path: Path) -> None:
    with served("sunspec_meter", tmp_path) as server:
        assert mbpoll(server, link, 40_070, 2) == [203, 105]
        assert mbpoll(server, link, 40_070 + 18, 1) == [VALUES["grid_w"]]
