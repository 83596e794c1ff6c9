"""`batteryctl bus` and `device` on a line of simulated devices, no daemon running: real processes, a real pty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import EXAMPLE
from drivers.line import SerialLine
from hil.devices.serve import LIVE
from hil.devices.still import still_device
from hil.devices.world import params_of
from hil.plant.home import Home
from tests.cli.ptys import PtyLine

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
WRITES = (5, 6, 15, 16, 22, 23)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[PtyLine]:
    """The demo's three devices at 19200 baud, and a Deye at unit 5."""
    home = Home(1, params_of({}), time.monotonic_ns())
    slaves = [make(home, unit) for make, unit in LIVE.values()]
    with PtyLine(tmp_path / "line", [*slaves, still_device("deye_1p", 5)], 19200) as served:
        yield served
    sent = {frame[1] for frame in served.asked}
    assert sent
    assert sent.isdisjoint(WRITES)
    assert all(frame[0] != 0 for frame in served.asked)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "batteryd.toml"
    text = EXAMPLE.replace("/dev/serial/by-id/usb-FTDI_FT232R-if00-port0", str(tmp_path / "line"))
    path.write_text(text.replace('fleet = "example"', f'fleet = "example"\nstate_dir = "{tmp_path}/state"'))
    return path


def run(config: Path, *argv: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "agent.cli",
            *argv,
            "--config",
            str(config),
            "--socket",
            str(config.parent / "none.sock"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        timeout=100,
        check=False,
    )
    assert "Traceback" not in done.stderr
    rows = done.stdout.replace(str(config.parent), "/dev").splitlines()
    assert [row for row in rows if len(row) > 80 and not row.startswith(("{", "profile ="))] == []
    return done.returncode, done.stdout, done.stderr


def asked(config: Path, *argv: str) -> Any:
    return json.loads(run(config, *argv, "--json")[1])


def test_device_list_is_a_table_that_an_aggregator_can_rely_on(line: PtyLine, config: Path) -> None:
    code, out, _ = run(config, "device", "list")
    assert code == 0
    assert "ok  inverter: inverter, rs485 unit 3, Hearth Hybrid 11.4" in out
    for label in ("can be told", "control point", "if we fall silent", "read-back", "PV curtailment", "wears out"):
        assert f"    {label} " in out
    rows = {row["name"]: row for row in asked(config, "device", "list")["devices"]}
    assert rows["inverter"]["capability"]["setpoint_unit"] == "pct_of_wchamax"
    assert rows["inverter"]["capability"]["reversion_s"] > 0
    assert rows["bms"]["capability"]["setpoint"] is False


def test_device_list_says_why_an_inverter_takes_no_setpoint(line: PtyLine, config: Path) -> None:
    """Beside it, what the home was rated for: of a home with two inverters, both together."""
    deye = '[[device]]\nname = "deye"\nrole = "inverter"\nbus = "rs485"\nunit = 5\nprofile = "deye_1p"\n'
    text = config.read_text("utf-8").replace("nameplate_charge_w = 11400", "nameplate_charge_w = 5000")
    config.write_text(f"{text}\n{deye}", "utf-8")
    code, out, _ = run(config, "device", "list")
    assert code == 0
    assert "    can be told       charge 11400 W to discharge 11400 W, in % of WChaMax, in" in out
    assert "    can be told       nothing: its profile knows no setpoint\n" in out
    assert out.count("    home is rated     charge 5000 W to discharge 11400 W, by its configuration\n") == 2
    assert "!!  floor_permille " in run(config, "device", "show", "deye")[1]  # no row of it is longer than a screen
    shown = asked(config, "device", "show", "deye")
    assert shown["device"]["capability"]["why_not"] == ["its profile knows no setpoint"]
    assert (shown["nameplate_charge_w"], shown["nameplate_discharge_w"]) == (5000, 11400)


def test_device_show_has_every_point_with_its_age(line: PtyLine, config: Path) -> None:
    code, out, _ = run(config, "device", "show", "bms")
    assert code == 0
    assert "POINT                              VALUE      AGE  HOW SURE" in out
    device = asked(config, "device", "show", "bms")["device"]
    points = {point["name"]: point for point in device["points"]}
    assert 590 <= points["soc_permille"]["value"] <= 600
    assert points["soc_permille"]["age_ms"] < 10_000
    assert device["profile"] == "seplos_v3"


def test_bus_read_shows_registers_and_what_they_mean(line: PtyLine, config: Path) -> None:
    code, out, _ = run(config, "bus", "read", "bms", "0x1000", "6")
    assert code == 0
    row = next(row.split() for row in out.splitlines() if "0x1005" in row)
    assert row[0] == "4101"
    assert int(row[2], 16) == int(row[3]) == int(row[4])
    assert ["4101", "soc_permille", row[3]] in [each.split() for each in out.splitlines()]
    reply = asked(config, "bus", "read", "--unit", "2", "70", "2", "--fc", "4", "--as", "f32")
    assert len(reply["words"]) == 2


def test_bus_read_of_nobody_times_out_and_a_refusal_is_the_devices(line: PtyLine, config: Path) -> None:
    assert run(config, "bus", "read", "--unit", "77", "0", "1")[0] == 6
    code, _, err = run(config, "bus", "read", "bms", "1", "2")
    assert code == 5
    assert "illegal address (exception 2)" in err
    assert run(config, "bus", "read", "--unit", "0", "0", "1")[0] == 2
    assert run(config, "bus", "read", "bms", "x", "1")[0] == 2


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (("bms", "0x1000", "126"), "126 are more than one read with function 4 brings, 125"),
        (("--unit", "1", "0", "1", "--fc", "6"), "function 6 is no Modbus read"),
    ],
)
def test_a_read_that_modbus_does_not_have_is_refused(
    line: PtyLine, config: Path, words: tuple[str, ...], seen: str
) -> None:
    code, out, err = run(config, "bus", "read", *words)
    assert (code, out) == (2, "")
    assert seen in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (("--units", "5-2"), "counts down"),
        (("--units", "1-99999999999"), "unit 99999999999 is not an address"),
        (("--units", "\u00b2"), "expected addresses such as"),
        (("--units", "1", "--baud", "14400"), "--baud 14400 is none that a scan tries"),
    ],
)
def test_a_scan_that_would_ask_nobody_is_refused(tmp_path: Path, words: tuple[str, ...], seen: str) -> None:
    code, out, err = run(tmp_path / "no.toml", "bus", "scan", "--port", str(tmp_path / "no"), *words)
    assert (code, out) == (2, "")
    assert seen in " ".join(err.split())


def test_bus_test_counts_each_unit(line: PtyLine, config: Path) -> None:
    code, out, _ = run(config, "bus", "test", "--seconds", "3")
    assert code == 0
    assert "    DEVICE         UNIT  ANSWERS  REFUSED  BAD CRC  SILENT  P50 ms  P99 ms" in out
    assert "VERDICT  ok  clean: every unit answers" in out
    (bus,) = asked(config, "bus", "test", "inverter", "--seconds", "2")["buses"]
    assert [unit["device"] for unit in bus["units"]] == ["inverter"]
    assert bus["units"][0]["p99_ms"] >= bus["units"][0]["p50_ms"] > 0


def test_bus_scan_finds_speed_addresses_and_profiles(line: PtyLine, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.toml"
    code, out, err = run(nothing, "bus", "scan", "--port", str(line.path), "--units", "1,3,5", "--baud", "9600,19200")
    assert code == 0
    assert "9600 8N1: asking" in err
    assert any(row.split()[:5] == ["ok", "1", "19200", "8N1", "seplos_v3"] for row in out.splitlines())
    assert any(row.split()[:5] == ["ok", "5", "19200", "8N1", "deye_1p"] for row in out.splitlines())
    assert 'profile = "sunspec_hybrid"' in out
    assert f'port = "{line.path}"' in out


def test_what_a_scan_prints_can_be_pasted(line: PtyLine, config: Path, tmp_path: Path) -> None:
    found = asked(tmp_path / "no.toml", "bus", "scan", "--port", str(line.path), "--units", "1,3", "--baud", "19200")
    head = EXAMPLE.partition("[[bus]]")[0].replace("[agent]", f'[agent]\nstate_dir = "{tmp_path}/s"')
    meter = '\n[[device]]\nname = "meter"\nrole = "meter"\nbus = "rs485"\nunit = 2\nprofile = "eastron_sdm630"\n'
    config.write_text(head + found["lines"][0]["toml"] + meter)
    assert run(config, "device", "list")[0] == 0


def test_a_dump_is_a_recording_that_check_reads_and_redact_hides_the_serial(
    line: PtyLine, config: Path, tmp_path: Path
) -> None:
    for device, profile, serial in (
        ("bms", "seplos_v3", "SIM-BMS-0001"),
        ("inverter", "sunspec_hybrid", "SIM-INV-0001"),
    ):
        plain, clean = tmp_path / f"{device}.json", tmp_path / f"{device}-clean.json"
        assert run(config, "bus", "dump", device, "-o", str(plain))[0] == 0
        assert run(config, "bus", "dump", device, "-o", str(clean), "--redact")[0] == 0
        assert serial in texts(plain)
        assert serial not in texts(clean)
        code, out, _ = run(config, "device", "check", "--profile", profile, "--capture", str(clean))
        assert code == 0, out
        assert "VERDICT  ok" in out


def texts(path: Path) -> str:
    recording = json.loads(path.read_text())
    data = b"".join(int(word).to_bytes(2, "big") for block in recording["blocks"] for word in block.get("words", []))
    return data.decode("latin-1") + str(recording["serial"])


def test_check_says_that_it_is_another_device(line: PtyLine, config: Path) -> None:
    code, _, err = run(config, "device", "check", "inverter", "--profile", "deye_1p")
    assert code == 5
    assert "register 0 of unit 3" in err.replace("\n", " ")
    assert run(config, "device", "check", "bms")[0] == 0


def test_a_port_that_another_holds_is_not_touched(line: PtyLine, config: Path) -> None:
    held = SerialLine(str(line.path), 19200)
    held.open()
    try:
        code, _, err = run(config, "bus", "scan", "--port", str(line.path), "--units", "1", "--baud", "19200")
        assert code == 5
        assert "held by another program" in err
        assert line.asked == []
    finally:
        held.close()
    assert run(config, "bus", "read", "bms", "0x1000", "1")[0] == 0


def test_ctrl_c_ends_a_scan_with_what_was_found(line: PtyLine, tmp_path: Path) -> None:
    import signal

    command = [sys.executable, "-m", "agent.cli", "bus", "scan", "--port", str(line.path), "--baud", "19200"]
    command += ["--config", str(tmp_path / "none"), "--socket", str(tmp_path / "none.sock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stderr is not None
        assert "asking" in child.stderr.readline()
        while not any(frame[0] == 2 for frame in line.asked):  # the first was found by then
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "seplos_v3" in out


def test_the_reader_of_the_lines_ends_with_batteryctl(line: PtyLine, config: Path) -> None:
    command = [sys.executable, "-m", "agent.cli", "bus", "test", "--seconds", "60", "--config", str(config)]
    with subprocess.Popen([*command, "--socket", str(config.parent / "n")], stdout=subprocess.PIPE, cwd=ROOT) as child:
        while not line.asked:
            assert child.poll() is None
        child.kill()
    port = SerialLine(str(line.path), 19200)
    for _ in range(1000):  # its end is a matter of milliseconds; each try of ours is one
        try:
            port.open()
            break
        except OSError:
            continue
    else:
        pytest.fail("the port is still held after batteryctl was killed")
    port.close()
