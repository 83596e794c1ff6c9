"""The integrator's tool, against a real broker and a gateway made by hand."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.link import bundle
from hil.aggregator import cli, verbs
from hil.aggregator.cli import main
from hil.aggregator.forge import FORGERIES
from hil.broker import Broker
from hil.pki import Pki, Tls, make_pki
from tests.hil.clients import RealClient
from tests.hil.tokens import HandDevice, unb64

DOWN = "battery/v1/demo/home-1/down"
DISPATCH = ["dispatch", "home-1", "--power-w", "1", "--duration-s", "60"]


class Bench:
    """A broker, a hand-made gateway on it, and the tool on a thread."""

    def __init__(self, directory: Path) -> None:
        self.pki: Pki = make_pki(directory / "pki", "demo", ["home-1"])
        self.broker = Broker(directory / "broker", self.pki)
        self.broker.start()
        self.directory = str(directory / "pki" / "aggregator")
        key = load_pem_private_key(self.pki.devices["home-1"].sign_key.read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        self.hand = HandDevice(seed=key.private_bytes_raw())
        self.device = RealClient("home-1", self.pki.devices["home-1"].tls, self.broker.port)
        self.device.connect()
        self.device.subscribe(f"{DOWN}/#")
        self.seq = 0
        birth = self.hand.message("birth", 1, exp=9_999_999_999_999)
        self.device.publish(birth.topic, birth.payload, retain=True)

    def run(self, *argv: str, meanwhile: Callable[[], None] = lambda: None) -> int:
        """The tool's exit code; `meanwhile` is what the gateway does."""
        codes: list[int] = []
        arguments = [*argv, "--pki", self.directory, "--broker", f"localhost:{self.broker.port}"]
        thread = threading.Thread(target=lambda: codes.append(main(arguments)))
        thread.start()
        meanwhile()
        thread.join()
        return codes[0]

    def next(self, leaf: str) -> dict[str, Any]:
        """Body of the next message to the gateway on that topic."""
        while True:
            message = self.device.next()
            if message.topic == f"{DOWN}/{leaf}":
                body = json.loads(unb64(message.payload.split(b".")[1]))
                assert isinstance(body, dict)
                return body

    def time_told(self) -> dict[str, Any] | None:
        """Body of the last time that came up to now; all else that came is forgotten."""
        found = None
        while (message := self.device.next_or_none()) is not None:
            if message.topic == f"{DOWN}/time":
                found = json.loads(unb64(message.payload.split(b".")[1]))
        return found

    def ack(self, command_id: str, *states: str) -> None:
        for state in states:
            self.seq += 1
            message = self.hand.message("ack", self.seq, command_id=command_id, state=state)
            self.device.publish(message.topic, message.payload)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("bench"))
    yield made
    made.device.disconnect()
    made.broker.stop()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_dispatch_gives_the_time_first_and_follows_the_acks(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    def gateway() -> None:
        assert bench.next("time")["nonce"] == "0f" * 16
        command = bench.next("command")
        assert (command["power_w"], command["duration_s"], command["ramp"]) == (-3000, 60, "urgent")
        bench.ack(command["id"], "received", "started")

    argv = ["dispatch", "home-1", "--power-w", "-3000", "--duration-s", "60", "--ramp", "urgent", "--answer-births"]
    assert bench.run(*argv, "--until", "started", meanwhile=gateway) == 0
    lines = _lines(capsys)
    assert lines[0]["sent"]["kind"] == "dispatch"
    assert [line["ack"]["state"] for line in lines[1:]] == ["received", "started"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "body", "states", "code"),
    [
        (["cancel", "home-1", "ab" * 16], {"kind": "cancel", "target": "ab" * 16}, ["received"], 0),
        (["stop", "home-1", "--until", "completed"], {"kind": "stop"}, ["received", "completed"], 0),
        (["quote", "home-1", "--power-w", "1", "--duration-s", "2"], {"power_w": 1}, ["rejected_not_applicable"], 4),
        (["quote", "home-1", "--power-w", "1", "--duration-s", "2"], {"power_w": 1}, ["completed"], 0),
        (["stop", "home-1", "--until", "started"], {"kind": "stop"}, ["completed"], 5),
        ([*DISPATCH, "--until", "started"], {"power_w": 1}, ["no_participation"], 5),
        (DISPATCH, {"power_w": 1}, ["no_participation"], 5),
        ([*DISPATCH, "--until", "started"], {"power_w": 1}, ["received", "superseded"], 5),
        ([*DISPATCH, "--until", "started"], {"power_w": 1}, ["received", "completed"], 0),
        ([*DISPATCH, "--until", "completed"], {"power_w": 1}, ["received", "started", "failed"], 4),
        ([*DISPATCH, "--until", "failed"], {"power_w": 1}, ["received", "failed"], 0),
        (
            ["price", "home-1", "--interval-s", "900", "--currency", "USD", "--price", "1", "--price", "-2"],
            {"prices_micro_per_kwh": [1, -2], "currency": "USD", "interval_s": 900},
            ["rejected_not_applicable"],
            4,
        ),
    ],
)
def test_other_commands(bench: Bench, argv: list[str], body: dict[str, Any], states: list[str], code: int) -> None:
    def gateway() -> None:
        command = bench.next("command")
        assert {name: command[name] for name in body} == body
        bench.ack(command["id"], *states)

    assert bench.run(*argv, meanwhile=gateway) == code


@pytest.mark.slow
def test_silence_is_exit_6(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("stop", "home-1", "--wait-s", "0.1") == 6
    assert "--answer-births" in capsys.readouterr().err
    assert bench.run("stop", "home-1", "--wait-s", "0.1", "--answer-births") == 6
    assert "--answer-births" not in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["watch", "stop", "config", "forge"])
def test_a_run_beside_the_fleets_aggregator_answers_no_birth(bench: Bench, verb: str) -> None:
    """Its answer would be the first that a home hears after a start, and it does not know what is had of that home."""
    argv = {
        "watch": ["watch", "--seconds", "0.5"],
        "stop": ["stop", "home-1", "--wait-s", "0.5"],
        "config": ["config", "home-1", "--version", "1", "--wait-s", "0.5"],
        "forge": ["forge", "wrong_audience", "home-1", "--wait-s", "0.5"],
    }[verb]
    bench.time_told()
    bench.run(*argv)
    assert bench.time_told() is None
    bench.run("watch", "--seconds", "0.5", "--answer-births")
    told = bench.time_told()
    assert told is not None
    assert "last" not in told


@pytest.mark.slow
def test_the_highest_row_that_was_heard_is_kept_for_the_next_answer(bench: Bench) -> None:
    row = bench.hand.message("event", 4711)

    def gateway() -> None:
        time.sleep(0.5)
        bench.device.publish(row.topic, row.payload)

    devices = Path(bench.directory) / "devices.json"
    before = devices.read_bytes()
    bench.time_told()
    try:
        bench.run("watch", "--seconds", "1.5", meanwhile=gateway)
        bench.run("stop", "home-1", "--until", "none", "--answer-births")
        told = bench.time_told()
        assert told is not None
        assert told["last"] == 4711
    finally:
        devices.write_bytes(before)


@pytest.mark.slow
def test_a_forged_command_goes_out_and_silence_is_good(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("forge", "wrong_audience", "home-1", "--wait-s", "0.1") == 0
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[0])["counters"] == ["bad_audience"]
    assert "--answer-births" in said.err, "a home that takes nothing at all is silent too"
    while bench.next("command")["aud"] != "dev:home-1-other":
        pass


@pytest.mark.slow
def test_an_answer_to_a_forged_command_is_exit_1(bench: Bench) -> None:
    def gullible() -> None:
        while True:
            command = bench.next("command")
            if command.get("power_w") == 777:
                return bench.ack(command["id"], "received")

    assert bench.run("forge", "extra_claim", "home-1", "--power-w", "777", meanwhile=gullible) == 1


@pytest.mark.slow
def test_a_retained_command_is_not_sent_to_a_gateway_that_is_there(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.device.publish(bench.hand.topic("state"), b'{"state":"ready"}', retain=True)
    assert bench.run("forge", "retained", "home-1") == 4
    assert "would be a valid command" in capsys.readouterr().err


@pytest.mark.slow
def test_watch_prints_what_it_judged_and_the_score(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("watch", "--seconds", "0.5") == 0
    lines = _lines(capsys)
    assert [line["fate"] for line in lines if line.get("topic", "").endswith("birth")] == ["new"]
    assert lines[-1]["score"]["refused"] == 0


@pytest.mark.slow
def test_verify_offline(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = bench.hand.message("event", 1)
    bad = HandDevice(seed=b"\x09" * 32).message("event", 2)
    rows = [json.dumps({"topic": m.topic, "payload": m.payload.decode()}) for m in (good, bad)]
    (tmp_path / "rows").write_text("\n".join(rows) + "\n")
    (tmp_path / "token").write_bytes(good.payload)

    assert main(["verify", str(tmp_path / "rows"), "--pki", bench.directory]) == 1
    lines = _lines(capsys)
    assert (lines[0]["fate"], lines[1]["refused"]) == ("new", "unknown_key")
    assert main(["verify", str(tmp_path / "token"), "--topic", good.topic, "--pki", bench.directory]) == 0


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{}", "x"])
def test_a_line_or_a_bundle_of_another_form_is_a_sentence(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected"):
        cli._entry(text)
    (tmp_path / "bundle").write_text(text)
    with pytest.raises(ValueError, match="expected signed bundles"):
        verbs.bundle(tmp_path / "bundle", "demo", ("home-1",))


@pytest.mark.parametrize("more", [0, 1])
def test_bundles_that_no_home_would_read_are_not_handed_out(more: int, tmp_path: Path) -> None:
    text = json.dumps({"bundles": [{"payload": "x", "signatures": []}]})
    (tmp_path / "bundle").write_text(text.ljust(bundle.MAX_BYTES + more))
    with pytest.raises(ValueError, match="61441 bytes") if more else contextlib.nullcontext():
        verbs.bundle(tmp_path / "bundle", "demo", ("home-1",))


def test_the_kinds_of_forgery_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forge", "--list"]) == 0
    assert [line["kind"] for line in _lines(capsys)] == list(FORGERIES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["stop", "home-1", "--broker", "nowhere"], "HOST:PORT"),
        (["stop", "home-1", "--broker", "localhost:1"], "no connection to localhost:1"),
        (["forge"], "--list"),
        (["forge", "--list", "retained"], "give it alone"),
        (["forge", "--list", "--wait-s", "1"], "give it alone"),
        (["forge", "retained", "home-1", "--wait-s", "1"], "--wait-s has no use"),
        (["stop", "home-1", "--until", "none", "--wait-s", "1"], "--wait-s has no use"),
        (["homeowner", "home-1", "opt_in", "--for-s", "1"], "no use for --for-s"),
        (["verify", "/no/such/file"], "/no/such/file"),
    ],
)
def test_usage_is_one_sentence_and_exit_2(
    bench: Bench, argv: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.aggregator.reach.CONNECT_S", 0.2)
    assert main([*argv, "--pki", bench.directory]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_an_unknown_device_is_named_with_those_that_are_known(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("stop", "home-7") == 2
    assert "it knows home-1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_lab_runs_until_it_is_interrupted(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "hil.aggregator", "lab", str(tmp_path / "lab"), "--device", "home-9"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as lab:
        assert lab.stdout is not None
        told = json.loads(lab.stdout.readline())
        own = Path(told["devices"]["home-9"])
        tls = Tls(own / "ca.crt", own / "tls.crt", own / "tls.key")
        client = RealClient("home-9", tls, int(told["broker"].rpartition(":")[2]))
        client.connect()
        client.disconnect()
        lab.send_signal(signal.SIGINT)
        assert lab.wait(20) == 130
    assert (Path(told["pki"]) / "devices.json").exists()


@pytest.mark.slow
def test_it_speaks_mqtt_5_too(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("watch", "--mqtt", "5", "--seconds", "0.5") == 0
    assert [line["fate"] for line in _lines(capsys) if line.get("topic", "").endswith("birth")] == ["new"]


@pytest.mark.slow
def test_a_password_does_where_a_broker_asks_for_no_certificate(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a wrong one is a sentence. The password stands in a file, never among the arguments."""
    from hil.broker import find_mosquitto, free_ports

    (tmp_path / "passwords").write_text("operator:word\n")
    (tmp_path / "passwords").chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(tmp_path / "passwords")], check=True, capture_output=True)
    [port] = free_ports(1)
    told = f"user root\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {tmp_path}/passwords\n"
    (tmp_path / "broker.conf").write_text(told)
    (tmp_path / "good").write_text("word\n")
    (tmp_path / "bad").write_text("guess\n")
    command = [find_mosquitto(), "-c", str(tmp_path / "broker.conf")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as broker:
        try:
            assert broker.stderr is not None
            for line in broker.stderr:
                if "running" in line:
                    break
            common = ["watch", "--seconds", "0.2", "--plain", "--user", "operator", "--pki", bench.directory]
            common += ["--broker", f"127.0.0.1:{port}", "--password-file"]
            assert main([*common, str(tmp_path / "good")]) == 0
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("hil.aggregator.reach.CONNECT_S", 1.0)
                assert main([*common, str(tmp_path / "bad")]) == 2
        finally:
            broker.terminate()
    assert "no connection" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--password-file", "/no/such"], "--user"),
        (["--plain", "--broker", "broker.example:1883"], "this machine"),
        (["--plain", "--ca", "/no/such"], "--ca has no use"),
    ],
)
def test_how_a_broker_is_reached(bench: Bench, argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--pki", bench.directory, *argv]) == 2
    assert says in capsys.readouterr().err


def test_no_directory_of_keys_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["registry", "--pki", str(tmp_path)]) == 2
    assert "lab DIR" in capsys.readouterr().err


def test_a_key_is_struck_off_the_registry(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["registry", "--pki", bench.directory, "--revoke", "home-1/nobody"]) == 2
    assert main(["registry", "--pki", bench.directory]) == 0
    assert _lines(capsys)[0]["kid"] == bench.hand.kid
