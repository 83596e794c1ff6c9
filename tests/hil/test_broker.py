"""The real broker: who is let in, what each may publish and hear, and that it comes back on its port."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hil import broker as broker_module
from hil.broker import MISSING, Broker, BrokerError, access_list
from hil.pki import Authority, Pki, Tls, make_pki
from tests.hil.clients import RealClient

pytestmark = pytest.mark.slow
ROOT = "battery/v1/demo"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"), "demo", ["home-1", "home-2"], ["south"])


@pytest.fixture(scope="module")
def broker(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), pki) as running:
        yield running


def _connect(tls: Tls | None, ca: Path, port: int, name: str = "localhost") -> None:
    """A TLS handshake, and a byte from the broker or its refusal (TLS 1.3 tells a client's failure only then)."""
    context = ssl.create_default_context(cafile=str(ca))
    if tls is not None:
        context.load_cert_chain(tls.cert, tls.key)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=name) as secured,
    ):
        secured.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04home")
        if secured.recv(4) == b"":
            raise ConnectionError("closed")


def test_a_device_of_the_ca_is_let_in(broker: Broker, pki: Pki) -> None:
    _connect(pki.devices["home-1"].tls, pki.broker.ca, broker.port)


@pytest.mark.parametrize("case", ["no certificate", "another CA", "another CA, and expired"])
def test_clients_without_a_good_certificate_are_refused(broker: Broker, pki: Pki, tmp_path: Path, case: str) -> None:
    made = {
        "no certificate": None,
        "another CA": Authority().issue(tmp_path / "other", "home-1"),
        "another CA, and expired": Authority(life=timedelta(hours=-1)).issue(tmp_path / "old", "home-1"),
    }[case]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _connect(made, pki.broker.ca, broker.port)


def test_a_client_whose_certificate_of_the_same_ca_is_over_is_refused(tmp_path: Path) -> None:
    authority = Authority(life=timedelta(hours=-1))
    over = authority.issue(tmp_path / "over", "home-1")
    good = Authority()
    pki = make_pki(tmp_path / "pki", "demo", ["home-1"], authority=good)
    mixed = Tls(over.ca, pki.broker.cert, pki.broker.key)  # a broker that trusts the other CA
    with Broker(tmp_path / "broker", pki, tls=mixed) as running, pytest.raises((ssl.SSLError, ConnectionError)):
        _connect(over, pki.broker.ca, running.port)


def test_a_broker_of_another_ca_or_name_or_time_is_refused_by_the_client(tmp_path: Path, pki: Pki) -> None:
    device = pki.devices["home-1"].tls
    cases = {
        "CERTIFICATE_VERIFY_FAILED": Authority().issue(tmp_path / "ca", "broker", ["localhost"]),
        "Hostname mismatch": None,
        "certificate has expired": Authority(life=timedelta(hours=-1)).issue(tmp_path / "old", "broker", ["localhost"]),
    }
    elsewhere = make_pki(tmp_path / "elsewhere", "demo", ["home-1"], server_names=["broker.example"])
    for words, tls in cases.items():
        served = tls or elsewhere.broker
        ca = pki.broker.ca if words == "CERTIFICATE_VERIFY_FAILED" else served.ca
        with (
            Broker(tmp_path / words.replace(" ", ""), pki, tls=served) as running,
            pytest.raises(ssl.SSLCertVerificationError, match=words),
        ):
            _connect(device, ca, running.port)


def test_each_hears_and_says_only_its_own(broker: Broker, pki: Pki) -> None:
    broker.restart()
    one = RealClient("home-1", pki.devices["home-1"].tls, broker.port)
    two = RealClient("home-2", pki.devices["home-2"].tls, broker.port)
    aggregator = RealClient("aggregator", pki.aggregator, broker.port)
    for client in (one, two, aggregator):
        client.connect()
        client.subscribe("#")

    one.publish(f"{ROOT}/home-2/up/event", b"in another's name")
    one.publish(f"{ROOT}/home-2/down/command", b"as the aggregator")
    one.publish(f"{ROOT}/group/south/command", b"to the group")
    one.publish(f"{ROOT}/home-1/up/event", b"own")
    aggregator.publish(f"{ROOT}/home-1/up/event", b"in a device's name")
    aggregator.publish(f"{ROOT}/home-1/down/time", b"for one")
    aggregator.publish(f"{ROOT}/home-2/down/time", b"for two")
    aggregator.publish(f"{ROOT}/group/north/command", b"for others")
    aggregator.publish(f"{ROOT}/group/south/command", b"for both")

    assert aggregator.next().payload == b"own"
    assert [one.next().payload, one.next().payload] == [b"for one", b"for both"]
    assert [two.next().payload, two.next().payload] == [b"for two", b"for both"]
    one.publish(f"{ROOT}/home-1/up/event", b"last")
    assert aggregator.next().payload == b"last"


def test_the_certificate_counts_and_not_the_name_that_a_client_gives(broker: Broker, pki: Pki) -> None:
    liar = RealClient("aggregator", pki.devices["home-1"].tls, broker.port)
    two = RealClient("home-2", pki.devices["home-2"].tls, broker.port)
    aggregator = RealClient("real-aggregator", pki.aggregator, broker.port)
    for client in (liar, two, aggregator):
        client.connect()
    two.subscribe(f"{ROOT}/home-2/down/#")
    liar.publish(f"{ROOT}/home-2/down/command", b"lie")
    aggregator.publish(f"{ROOT}/home-2/down/command", b"truth")
    assert two.next().payload == b"truth"


def test_it_comes_back_on_its_port(broker: Broker) -> None:
    port, first = broker.port, broker.pid
    broker.kill()
    assert broker.pid is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    broker.start()
    assert broker.port == port
    assert port != 1883
    assert broker.pid not in (None, first)


def test_what_it_says_is_in_the_error(tmp_path: Path, pki: Pki) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port}.*in use"):
            Broker(tmp_path, pki, port=port).start()


def test_no_mosquitto_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    code = "from hil import broker; broker.SYSTEM_PATHS = (); broker.find_mosquitto()"
    env = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (2, MISSING)
    assert broker_module.find_mosquitto().endswith("mosquitto")


def test_access_list_reads_as_the_design_says() -> None:
    assert access_list("demo", {"home-1": ["south"]}).splitlines() == [
        "user aggregator",
        "topic read battery/v1/demo/+/up/#",
        "topic write battery/v1/demo/+/down/#",
        "topic write battery/v1/demo/group/+/command",
        "",
        "user home-1",
        "topic write battery/v1/demo/home-1/up/#",
        "topic read battery/v1/demo/home-1/down/#",
        "topic read battery/v1/demo/group/south/command",
    ]
