"""`batteryctl net check` against a real broker: each step that can fail, with what was seen, expected, and next."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.tools import netcheck
from hil.broker import Broker
from hil.pki import Authority, Pki, make_pki
from hil.site import write_config

pytestmark = pytest.mark.slow
DEVICE = "home-0001"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"), "bench", [DEVICE])


@pytest.fixture(scope="module")
def broker(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), pki) as running:
        yield running


def config(tmp_path: Path, pki: Pki, broker: str, **changes: object) -> Path:
    path = write_config(
        tmp_path, line={"port": "/dev/null"}, brokers=(broker,), device=pki.devices[DEVICE].tls.ca.parent
    )
    text = path.read_text()
    for key, value in changes.items():
        if f"\n{key} = " in text.partition("[link]")[2]:
            lines = [
                f"{key} = {json.dumps(value)}" if line.startswith(f"{key} = ") else line for line in text.splitlines()
            ]
            text = "\n".join(lines) + "\n"
        else:
            text += f"{key} = {json.dumps(value)}\n"
    path.write_text(text)
    return path


def rows(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    code = netcheck.main(["--config", str(path), "--json"])
    body = json.loads(capsys.readouterr().out)
    assert body["code"] == code
    return code, {row["name"]: row for row in body["rows"]}


def fails(found: tuple[int, dict[str, dict[str, Any]]], step: str, *says: str) -> None:
    code, by = found
    assert code == 1
    assert by[step]["level"] == "fault", by
    assert by[step]["expected"]
    assert by[step]["next"]
    for word in says:
        assert word in by[step]["seen"], by[step]
    order = ["resolve", "tcp", "tls", "mqtt", "subscribe"]
    assert {by[name]["level"] for name in order[order.index(step) + 1 :]} <= {"none"}


@contextmanager
def refusing(pki: Pki, *answers: bytes) -> Iterator[int]:
    """A broker of our own CA that gives these answers, one a packet. Yields its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.broker.cert, pki.broker.key)

    def serve(server: socket.socket) -> None:
        raw, _ = server.accept()
        with raw, context.wrap_socket(raw, server_side=True) as peer:
            for answer in answers:
                peer.recv(1000)
                peer.sendall(answer)
            peer.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve, args=(server,))
        serving.start()
        yield server.getsockname()[1]
        serving.join()


@pytest.mark.parametrize("code", [1, 2, 4, 5])
def test_a_connect_that_is_refused(code: int, pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with refusing(pki, bytes([0x20, 2, 0, code])) as port:
        fails(rows(config(tmp_path, pki, f"localhost:{port}"), capsys), "mqtt", f"refused with {code}")


def test_topics_that_are_not_ours(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with refusing(pki, b"\x20\x02\x00\x00", b"\x90\x04\x00\x01\x01\x80") as port:
        found = rows(config(tmp_path, pki, f"localhost:{port}", groups=["elsewhere"]), capsys)
    fails(found, "subscribe", "refused: battery/v1/bench/group/elsewhere/command")


def test_something_else_that_speaks_tls(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with refusing(pki, b"HTTP/1.1 400 Bad Request\r\n" + b" " * 80) as port:
        fails(rows(config(tmp_path, pki, f"localhost:{port}"), capsys), "mqtt", "packet type 4")


def test_all_is_well(broker: Broker, pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, by = rows(config(tmp_path, pki, f"localhost:{broker.port}"), capsys)
    assert code == 0, by
    assert [by[name]["level"] for name in ("own", "resolve", "tcp", "tls", "mqtt", "subscribe")] == ["ok"] * 6
    assert "TLSv1.3" in by["tls"]["seen"]
    assert by["subscribe"]["seen"] == f"battery/v1/bench/{DEVICE}/down/#"


def test_the_screen_is_eighty_columns_wide(
    pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with refusing(pki, b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x80") as port:
        assert netcheck.main(["--config", str(config(tmp_path, pki, f"localhost:{port}"))]) == 1
    out = capsys.readouterr().out.splitlines()
    assert len(out) <= 24
    assert all(len(line) <= 80 for line in out)
    assert any("expected" in line for line in out)


def test_a_name_that_does_not_exist(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fails(rows(config(tmp_path, pki, "broker.invalid:8883"), capsys), "resolve", "broker.invalid")


def test_nobody_listens(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    fails(rows(config(tmp_path, pki, f"127.0.0.1:{port}"), capsys), "tcp", "refused")


def test_a_port_without_tls(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(100)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        fails(rows(config(tmp_path, pki, f"127.0.0.1:{server.getsockname()[1]}"), capsys), "tls", "handshake failed")
        answering.join()


def test_another_ca(broker: Broker, pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ca = tmp_path / "other.crt"
    ca.write_bytes(Authority("other").certificate)
    fails(
        rows(config(tmp_path, pki, f"localhost:{broker.port}", ca=str(ca)), capsys), "tls", "localhost", "certificate"
    )


def test_a_certificate_of_another_name(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = Authority()
    made = make_pki(tmp_path / "pki", "bench", [DEVICE], authority=authority, server_names=["broker.example"])
    (tmp_path / "b").mkdir()
    with Broker(tmp_path / "b", made) as running:
        found = rows(config(tmp_path, made, f"localhost:{running.port}"), capsys)
    fails(found, "tls", "broker.example")


def test_an_expired_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = Authority()
    made = make_pki(tmp_path / "pki", "bench", [DEVICE], authority=authority)
    authority._life = timedelta(hours=-1)
    late = authority.issue(tmp_path / "late", "broker", ("localhost",))
    (tmp_path / "b").mkdir()
    with Broker(tmp_path / "b", made, tls=late) as running:
        found = rows(config(tmp_path, made, f"localhost:{running.port}"), capsys)
    fails(found, "tls", "valid until", "expired")
    assert "clock" in found[1]["tls"]["next"]


def test_a_broker_that_does_not_know_us(
    broker: Broker, pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Authority("other").issue(tmp_path / "own", DEVICE)
    path = config(tmp_path, pki, f"localhost:{broker.port}", cert=str(other.cert), key=str(other.key))
    fails(rows(path, capsys), "mqtt", "hung up")


def test_own_files_that_are_missing(
    pki: Pki, broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rows(config(tmp_path, pki, f"localhost:{broker.port}", cert=str(tmp_path / "none")), capsys)
    fails(found, "tls", "No such file")
    assert found[1]["own"]["level"] == "fault"


def test_no_link_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path, line={"port": "/dev/null"})
    assert netcheck.main(["--config", str(path)]) == 2
    assert "next" in capsys.readouterr().err


def test_the_pages_for_whoever_runs_a_broker_name_it_as_it_comes() -> None:
    for page in ("trust", "scale"):
        text = (Path(__file__).parents[2] / f"docs/{page}.md").read_text("utf-8")
        assert f"as `DEVICE{netcheck.CHECK}`" in text
