"""`python -m hil serve` as a client of another make sees it, and the other verbs of the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

from hil.__main__ import VERBS, main

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_stranger_reads_the_served_device() -> None:
    command = [sys.executable, "-m", "hil", "serve", "sunspec_hybrid", "--tcp", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            shown = json.loads(process.stdout.readline())
            host, _, port = shown["tcp"].rpartition(":")
            client = ModbusTcpClient(host, port=int(port))
            assert client.connect()  # type: ignore[no-untyped-call]  # pymodbus annotates only its replies
            reply = client.read_holding_registers(40_000, count=2, device_id=shown["unit"])
            client.close()  # type: ignore[no-untyped-call]  # as above
            assert reply.registers == [0x5375, 0x6E53]  # "SunS"
        finally:
            process.terminate()
        assert process.wait(10) == 0


def test_serve_says_what_it_cannot_serve(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "seplos_v3"]) == 2
    assert "say where to serve" in capsys.readouterr().err


def test_an_unknown_verb_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    assert main([]) == 2
    assert main(["--help"]) == 0
    shown = capsys.readouterr()
    assert "no verb 'fly'" in shown.err
    assert all(verb in shown.out for verb in VERBS)


def test_scenario_refuses_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[scenario]\nname = "x"\nduration = "1s"\ncolour = 1\n', encoding="utf-8")
    assert main(["scenario", "nosuch"]) == 2
    assert main(["scenario", str(bad)]) == 2
    assert main(["scenario", "demo", "--backend", "virtual"]) == 2
    err = capsys.readouterr().err
    assert "bad.toml: file.scenario.colour: is not a key here" in err
    assert "demo runs on process, not on virtual" in err
