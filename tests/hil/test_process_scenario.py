"""The process backend: real daemon, paced line, mosquitto, aggregator; and the demo's own rules."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hil import demo
from hil.backends.process import ProcessBackend
from hil.report.plain import PlainLines
from hil.runner import Runner
from hil.scenario import find, load, parse
from hil.stall import unstalled

ROOT = Path(__file__).parents[2]

SHORT = """
[scenario]
name = "short"
duration = "90s"
backends = ["process"]
[home]
soc_permille = 600
[config.agent]
demo = true
[config.timers]
reversion_s = 6
refresh_s = 1.5
block_s = 2
backoff_min_s = 0.3
backoff_max_s = 1

[[chapter]]
id = "up"
title = "devices found, telemetry receipted"
until = "agent.devices_ok == 3 and agent.fresh and agg.batches >= 1 and agent.unsent <= 2"
limit = "30s"

[[chapter]]
id = "follow"
title = "a dispatch is followed"
until = "agent.given_w == 2000 and abs(truth.battery_w - 2000) < 100 and ack_state('go') == 'started'"
limit = "20s"
[[event]]
id = "go"
chapter = "follow"
do = "aggregator.dispatch"
args = { power_w = 2000, duration = "60s", ramp = "urgent" }

[[chapter]]
id = "attack"
title = "a retained command waits at subscription and is refused"
until = "refused('retained') >= 1 and agent.link"
limit = "20s"
[[event]]
chapter = "attack"
do = "aggregator.attack"
args = { way = "retained", power_w = 9000 }
[[assert]]
name = "nothing moves"
chapter = "attack"
always = "abs(truth.battery_w - 2000) < 100"

[[chapter]]
id = "gone"
title = "kill -9: the inverter's timer ends it; then back, and a clean stop"
until = "proc.alive and agent.devices_ok == 3"
limit = "40s"
[[event]]
id = "killed"
chapter = "gone"
do = "proc.kill9"
for = "7s"
[[assert]]
name = "the timer ends it"
chapter = "gone"
after = "killed"
within_s = "agent.stated_end_s"
that = "not truth.remote"
stays = true
to = "6900ms"

[[chapter]]
id = "stop"
title = "a clean stop"
until = "not proc.alive and proc.exit == 0 and not truth.remote and not agg.session"
limit = "20s"
[[event]]
chapter = "stop"
do = "proc.term"

[[assert]]
name = "started once"
count = "ack"
where = "command == 'go' and state == 'started'"
exactly = 1
[[assert]]
name = "frames keep their distance"
always = "wire.violations == 0"
"""


@pytest.mark.slow
def test_a_life_of_the_daemon_in_real_processes(tmp_path: Path) -> None:
    said: list[str] = []

    def once() -> list[str]:
        backend = ProcessBackend(tmp_path / f"run{len(said)}")
        outcome = Runner(parse(SHORT, "short.toml"), backend, 1, PlainLines(said.append, 5)).run()
        return [f"{v.name}: {v.sentence}" for v in outcome.verdicts if not v.ok]

    failed, _ = unstalled(once, say=said.append, fine=lambda broken: not broken)

    assert failed == [], "\n".join(said)
    assert shown(tmp_path) == []


def shown(directory: Path) -> list[str]:
    """Where a private key of the run can be read but in its own file: logs, traces, the store with its WAL, the state.
    Each is looked for raw, in hex and in base64; the key files, which it does stand in, show that this finds one."""
    hidden: dict[Path, list[bytes]] = {}
    for path in [*directory.rglob("*.pem"), *directory.rglob("tls.key")]:
        key = load_pem_private_key(path.read_bytes(), None)
        raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())[-32:]
        forms = [path.read_bytes().splitlines()[1]]
        if path.name == "sign.pem":
            forms += [raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw)[:-1]]
        hidden[path] = forms
    assert hidden
    found = set()
    for file in (path for path in directory.rglob("*") if path.is_file()):
        data = file.read_bytes()
        for path, forms in hidden.items():
            if any(form in data for form in forms):
                found.add((path, file))
    assert {(path, path) for path in hidden} <= found
    return [f"{path} in {file}" for path, file in found if path != file]


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    command = [sys.executable, "-m", "hil", "demo", "--plain", "--keep", str(keep)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "2/12" in line:
                break
        process.send_signal(2)
        process.stderr.read()

    assert process.returncode == 130
    assert not _mentioning(str(keep))


def _mentioning(text: str) -> list[str]:
    """Command lines of processes that mention `text`, once those that are ending had their time."""
    end = time.monotonic() + 5
    while True:
        found = []
        for entry in Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if entry.name.isdigit() and text in line and int(entry.name) != os.getpid():
                found.append(line)
        if not found or time.monotonic() > end:
            return found


def test_a_length_that_the_story_does_not_fit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--seconds", str(demo.SHORTEST_S - 1)]) == 2
    assert f"at least {demo.SHORTEST_S}" in capsys.readouterr().err


def test_the_story_has_every_chapter_of_the_issue_in_order() -> None:
    scenario = load(find("demo"))
    verbs = [e.verb for chapter in scenario.chapters for e in scenario.events if e.chapter == chapter.id]
    assert len(scenario.chapters) == 12
    assert [c.id for c in scenario.chapters][3:7] == ["reserve", "evening", "attack", "broker"]
    assert verbs.count("aggregator.attack") == 7
    assert sum(v.startswith("proc.") and v != "proc.term" for v in verbs) < 4  # with the first: no crash loop
    assert scenario.config["agent"] == {"demo": True}
