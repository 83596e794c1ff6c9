"""`python -m hil serve` as a client of another make sees it, and the other verbs of the command line."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from pymodbus.client import ModbusTcpClient

from hil.__main__ import VERBS, main
from hil.devices.serve import Server
from hil.devices.slave import seal
from hil.devices.still import PROFILES

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


def test_serve_leaves_a_file_alone_that_is_no_name_of_a_pty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").write_text("mine", "utf-8")
    assert main(["serve", "pace_modbus", "--pty", str(tmp_path / "notes")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "notes").read_text("utf-8") == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pace_modbus", "--tcp", "127.0.0.1:99999"], "is not HOST:PORT"),
        (["pace_modbus", "--tcp", "127.0.0.1:0", "--unit", "256"], "one byte"),
        (["nobody", "--tcp", "127.0.0.1:0"], "there is no profile 'nobody'"),
        (["nowhere/own.toml", "--tcp", "127.0.0.1:0"], "No such file"),
    ],
)
def test_serve_refuses_in_a_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_profile_of_ones_own_is_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = (PROFILES / "pace_modbus.toml").read_text("utf-8")
    own = tmp_path / "own.toml"
    own.write_text(shipped.replace('id = "pace_modbus"', 'id = "own"', 1), "utf-8")
    server = Server(str(own), tcp="127.0.0.1:0", unit=4)
    server.close()
    assert list(server.slaves.by_unit) == [4]
    own.write_text(shipped + "[colour]\n", "utf-8")
    assert main(["serve", str(own), "--tcp", "127.0.0.1:0"]) == 2
    assert "own.toml: colour: " in capsys.readouterr().err


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


def test_a_served_pty_is_free_again_when_its_client_was_killed(tmp_path: Path) -> None:
    """TIOCEXCL does not bind root, so the flag itself is looked at."""
    server = Server("seplos_v3", pty=str(tmp_path / "line"))
    thread = Thread(target=server.run)
    thread.start()
    take = (
        "import fcntl, os, sys, termios; fd = os.open(sys.argv[1], 2 | os.O_NOCTTY); fcntl.ioctl(fd, termios.TIOCEXCL)"
    )
    request = seal(bytes((server.unit, 4, 0x10, 0, 0, 1)))
    try:
        killed = [sys.executable, "-c", f"{take}; os.kill(os.getpid(), 9)", str(tmp_path / "line")]
        assert subprocess.run(killed, check=False).returncode == -9, "it took the line before it was killed"
        fd = os.open(tmp_path / "line", os.O_RDWR | os.O_NOCTTY)
        for _ in range(2):  # the first is answered in the turn that learns of the death, or in a later one
            os.write(fd, request)
            reply = b""
            while len(reply) < 7:
                assert select.select([fd], [], [], 5)[0], f"it answers; so far {reply.hex()}"
                reply += os.read(fd, 7 - len(reply))
        assert not exclusive(fd)
        os.close(fd)
    finally:
        server.stopped = True
        thread.join()
        server.close()


def exclusive(fd: int) -> bool:
    """TIOCGEXCL."""
    return fcntl.ioctl(fd, 0x80045440, b"\0\0\0\0") != b"\0\0\0\0"
