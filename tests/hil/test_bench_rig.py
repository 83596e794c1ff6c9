"""The bench backend on paced lines in the place of real ports: the cap holds, the guard ends what it does not like."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.backends.bench import BenchBackend
from hil.bench.interlock import Judge
from hil.bench.rig_file import Rig, load
from hil.runner import Outcome, Runner
from hil.scenario import find
from hil.scenario import load as load_scenario
from hil.strict import FileError

ROOT = Path(__file__).parents[2]

RIG = """
cap_w = 500
[line]
port = "/dev/a"
[site]
capacity_wh = 25000
[interlock]
port = "/dev/b"
limit_w = 800
"""


def test_a_rig_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(RIG)
    rig = load(path)
    assert (rig.cap_w, rig.limit_w, rig.port, rig.meter_port, rig.devices) == (500, 800, "/dev/a", "/dev/b", ())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("cap_w = 500", "cap_w = 9000", "at most 3000"),
        ("cap_w = 500", "cap_w = 0", "more than 0"),
        ("limit_w = 800", "limit_w = 400", "below the cap"),
        ('"/dev/b"', '"/dev/a"', "adapter of its own"),
        ("cap_w = 500", "cap_w = 500\ncap = 3", "cap"),
    ],
)
def test_a_rig_that_is_not_safe_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(RIG.replace(old, new))
    with pytest.raises(FileError, match=words):
        load(path)


def test_the_guard_wants_two_readings_over_the_limit_or_two_seconds_of_none() -> None:
    judge = Judge(800, 0.0)
    assert judge.look(900, 0.1) == ""
    assert judge.look(700, 0.2) == ""
    assert judge.look(-900, 0.3) == ""
    assert judge.look(None, 2.2) == ""
    assert "900 W" in judge.look(-900, 2.25)
    assert judge.look(0, 2.3) == judge.reason != ""
    blind = Judge(800, 0.0)
    assert blind.look(None, 2.0) == ""
    assert "no good reading" in blind.look(None, 2.1)


@contextlib.contextmanager
def ports(directory: Path) -> Iterator[tuple[Path, Path]]:
    """The daemon's line with a simulated home behind it, and a meter alone on another."""
    line, meter = directory / "a", directory / "b"
    home = [sys.executable, "-m", "hil.devices.process", "--link", str(line), "--out", str(directory / "home")]
    home += ["--control", str(directory / "home.sock"), "--home", '{"soc_permille": 600, "load_w": 3000, "pv_w": 0}']
    serve = [sys.executable, "-m", "hil", "serve", "eastron_sdm630", "--pty", str(meter), "--unit", "1"]
    with contextlib.ExitStack() as stack:
        for command in (home, serve):
            process = stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.terminate)
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())
        yield line, meter


def run(directory: Path, limit_w: int, seconds: int) -> Outcome:
    with ports(directory) as (line, meter):
        rig = Rig(str(line), 19_200, 500, {}, (), str(meter), 19_200, 1, limit_w)
        shipped = load_scenario(find("rig_dispatch"))
        events = tuple(
            dataclasses.replace(
                e, at_ns=e.at_ns // 6 if e.id == "asked" else (seconds - 8) * 10**9, args=_short(e.args)
            )
            for e in shipped.events
        )
        scenario = dataclasses.replace(shipped, events=events, duration_ns=seconds * 10**9)
        return Runner(scenario, BenchBackend(rig, directory / "run"), 1).run()


def _short(args: object) -> dict[str, int]:
    assert isinstance(args, dict)
    return {**args, "duration": 12} if "duration" in args else args


@pytest.mark.slow
def test_a_small_dispatch_on_ports_of_a_rig(tmp_path: Path) -> None:
    outcome = run(tmp_path, 60_000, 40)
    assert [f"{v.name}: {v.sentence}" for v in outcome.verdicts if not v.ok] == []
    given = next(v for v in outcome.verdicts if "inside the cap" in v.name)
    assert given.beside["max agent.given_w"] == "500 W"


@pytest.mark.slow
def test_the_guard_ends_the_daemon_and_nobody_starts_it_again(tmp_path: Path) -> None:
    outcome = run(tmp_path, 1, 20)
    broken = {v.name: v.sentence for v in outcome.verdicts if not v.ok}
    assert "the meter shows" in broken["the interlock never tripped"]
    starts = [r for r in (tmp_path / "run" / "daemon" / "stderr.log").read_text().splitlines() if "takes writes" in r]
    assert len(starts) <= 1
    assert "never happened" in broken["it starts, and is limited by the cap"]
