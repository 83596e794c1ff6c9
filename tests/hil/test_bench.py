"""The benches' own arithmetic: what counts as an answer on the wire, what a program costs, which program is started."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import pytest

from hil import coverage_cli, program
from hil.backends.backend import Ending
from hil.backends.process import ProcessBackend
from hil.bench import cli, virtual
from hil.bench.dispatch import Sent, Write, latency_ms, writes_of
from hil.bench.footprint import _start
from hil.bench.rig import NotReady, ending
from hil.bench.step import measure
from hil.crash import cli as crash
from hil.devices import sunspec_hybrid as model
from hil.devices.slave import seal
from hil.figures import Figure, Report
from hil.program import batteryctl, batteryd, installed_from
from hil.strict import FileError


def _frame(sender: str, t0: int, body: bytes) -> str:
    return json.dumps({"from": sender, "t0": t0, "t1": t0 + 1, "hex": seal(body).hex()})


def _fc16(address: int, *words: int) -> bytes:
    values = b"".join(word.to_bytes(2, "big") for word in words)
    head = bytes((3, 16)) + address.to_bytes(2, "big") + len(words).to_bytes(2, "big")
    return head + bytes((len(values),)) + values


def test_writes_are_read_from_the_wire_log(tmp_path: Path) -> None:
    log = tmp_path / "wire.jsonl"
    lines = [
        _frame("master", 10, bytes((3, 3, 0x9C, 0x40, 0, 10))),  # a read
        _frame("master", 20, _fc16(model.RVRT_TMS, 60)),
        _frame("slave", 25, _fc16(model.RVRT_TMS, 60)),
        _frame("master", 30, _fc16(model.OUT_W_RTE, 877, 64_659)),
        _frame("master", 40, bytes((1, 16)) + _fc16(model.OUT_W_RTE, 5, 5)[2:]),  # another unit
    ]
    log.write_text("\n".join(lines) + "\n", encoding="ascii")

    assert list(writes_of(log)) == [Write(20, None), Write(30, 877)]


MS = 1_000_000


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ([Write(110 * MS, None), Write(130 * MS, 500)], 10.0),  # the reversion time is the first byte
        ([Write(130 * MS, 500)], 30.0),
        ([Write(90 * MS, None), Write(130 * MS, 500)], 30.0),  # that one was on its way already
        ([Write(90 * MS, 500), Write(120 * MS, 700)], 3_600_000.0),  # never answered
        ([Write(105 * MS, 400), Write(110 * MS, None), Write(150 * MS, 500)], 10.0),  # a lease renewed in between
    ],
)
def test_latency_runs_to_the_first_byte_of_the_answer(writes: list[Write], expected: float) -> None:
    assert latency_ms(Sent(100 * MS, 500), writes) == expected


def test_a_program_that_fails_is_not_measured() -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        _start([sys.executable, "-c", "raise SystemExit(3)"])


def test_memory_of_a_short_program_is_its_own() -> None:
    small = _start([sys.executable, "-c", "pass"])[1]
    large = _start([sys.executable, "-c", "x = b'x' * (64 << 20); import time; time.sleep(0.1)"])[1]
    assert large - small > 60 * 1024


def test_the_started_program_is_named() -> None:
    assert installed_from() == "source" or "site-packages" in installed_from()
    assert (len(batteryd()) == 1) == (len(batteryctl()) == 1)


def test_a_started_daemon_of_another_source_is_refused_and_pythonpath_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("agent", "drivers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(program, "batteryd", lambda: ["batteryd"])
    installed_from.cache_clear()
    try:
        assert installed_from() == str(tmp_path / "agent" / "__init__.py")
    finally:
        installed_from.cache_clear()
    with pytest.raises(FileError, match="is not of this source"):
        program.of_this_source()
    assert crash.main(["--kills", "1"]) == 2
    assert coverage_cli.main(["--backend", "process", "--only", "proc_death"]) == 2
    assert capsys.readouterr().err.count("make env") == 2
    monkeypatch.setenv("PYTHONPATH", str(program.CLONE))
    program.of_this_source()


def test_bench_ends_with_1_when_a_reach_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hil.bench import wire

    monkeypatch.setattr(wire, "run", lambda args: Report("wire", [Figure("x", 4.0, "%", "<= 3")]))
    assert cli.main(["wire", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.slow
def test_step_is_measured_where_the_shell_calls_it() -> None:
    from agent import control

    before = vars(control)["step"]
    times = measure()
    assert len(times) >= 120
    assert vars(control)["step"] is before


def test_a_home_that_does_not_work_is_not_timed() -> None:
    """Polls so slow that the inverter counts as lost: the agent is at fault, and quick."""
    polls = {**virtual.SLOW_POLLS, "inverter": {"fast": 2000, "slow": 3000, "control": 6000}}
    with pytest.raises(RuntimeError, match="nothing was measured"):
        virtual._measure(polls, 40)
    speed, rate = virtual._measure(virtual.SLOW_POLLS, 40)
    assert speed > 0 and rate >= 5


class Backend(ProcessBackend):
    """Nothing of it runs."""

    def __init__(self) -> None:
        self.directory = Path("/traces")
        self.told: list[str] = []

    def finish(self) -> Ending:
        self.told.append("finish")
        return Ending(None, (), self.directory)

    def discard(self) -> None:
        self.told.append("discard")


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), ValueError("broken")])
def test_a_bench_leaves_nothing_behind(error: BaseException | None) -> None:
    backend = Backend()
    with contextlib.nullcontext() if error is None else pytest.raises(type(error)), ending(backend):
        if error is not None:
            raise error
    assert backend.told == ["finish", "discard"]


def test_a_system_that_never_became_ready_leaves_its_traces() -> None:
    backend = Backend()
    with pytest.raises(NotReady, match="no daemon; logs and traces: /traces"), ending(backend):
        raise NotReady("no daemon")
    assert backend.told == ["finish"]


def test_every_bench_that_there_is_can_be_asked_for() -> None:
    files = {
        f"hil.bench.{file.stem}" for file in Path(cli.__file__).parent.glob("*.py") if "\ndef run(" in file.read_text()
    }
    assert files - {"hil.bench.libmodbus"} == {module for module, _ in cli.BENCHES.values()}
