"""The buffered TLS socket over a real connection: nothing is lost or reordered, whatever the other side does."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from agent.runtime.tls_socket import CHUNK, UNSENT, BufferedTls
from hil.pki import Tls, make_pki

WAIT_S = 20.0
PATTERN = bytes(range(256)) * 64  # 16 kB, no two neighbours alike


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_pki(tmp_path_factory.mktemp("tls") / "pki", "bench", ["home-0001"]).broker


@pytest.fixture
def pair(files: Tls) -> Iterator[tuple[BufferedTls, ssl.SSLSocket]]:
    """Ours, non-blocking as paho leaves it, and a plain peer that blocks."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(str(files.cert), str(files.key))
    client = ssl.create_default_context(cafile=str(files.ca))
    client.sslsocket_class = BufferedTls
    listening = socket.create_server(("localhost", 0))
    peers: list[ssl.SSLSocket] = []

    def accept() -> None:
        peers.append(server.wrap_socket(listening.accept()[0], server_side=True))

    thread = threading.Thread(target=accept)
    thread.start()
    raw = socket.create_connection(listening.getsockname(), timeout=WAIT_S)
    ours = client.wrap_socket(raw, server_hostname="localhost")
    thread.join()
    peers[0].settimeout(WAIT_S)
    ours.setblocking(False)
    assert isinstance(ours, BufferedTls)
    yield ours, peers[0]
    ours.close()
    peers[0].close()
    listening.close()


def readable(ours: BufferedTls) -> None:
    if not ours.pending():
        assert select.select([ours], [], [], WAIT_S)[0]


def fill(ours: BufferedTls, said: bytearray) -> None:
    """Send until it raises."""
    for number in range(10_000):
        line = b"%d;" % number * 500
        assert ours.send(line) == len(line)
        said += line
        ours.flush()


def test_small_pieces_come_from_one_read_and_pending_counts_them(pair: tuple[BufferedTls, ssl.SSLSocket]) -> None:
    ours, peer = pair
    peer.sendall(b"abcdef")
    readable(ours)
    while True:
        try:
            assert ours.recv(1) == b"a"
            break
        except ssl.SSLWantReadError:  # a ticket of the session came first
            readable(ours)
    assert ours.pending() == 5
    assert (ours.recv(2), ours.recv(100)) == (b"bc", b"def")
    assert ours.pending() == 0
    with pytest.raises(ssl.SSLWantReadError):
        ours.recv(1)


@pytest.mark.parametrize("piece", [1, 7, CHUNK - 1, CHUNK, CHUNK + 1])
def test_what_comes_is_what_was_said(pair: tuple[BufferedTls, ssl.SSLSocket], piece: int) -> None:
    ours, peer = pair
    said = PATTERN * (1 if piece == 1 else 8)
    thread = threading.Thread(target=peer.sendall, args=(said,))
    thread.start()
    heard = bytearray()
    while len(heard) < len(said):
        readable(ours)
        try:
            heard += ours.recv(piece)
        except ssl.SSLWantReadError:
            continue
    thread.join()
    assert bytes(heard) == said


def test_a_peer_that_does_not_read_fills_the_buffer_and_then_gets_all(pair: tuple[BufferedTls, ssl.SSLSocket]) -> None:
    ours, peer = pair
    said = bytearray()
    with pytest.raises(ssl.SSLWantWriteError):
        fill(ours, said)
    assert UNSENT <= ours.unsent < len(said), "the kernel took what it had room for"
    heard = bytearray()
    while len(heard) < len(said):
        heard += peer.recv(CHUNK)
        ours.flush()
    assert heard == said
    assert ours.unsent == 0


def test_close_says_what_was_to_be_said(pair: tuple[BufferedTls, ssl.SSLSocket]) -> None:
    ours, peer = pair
    ours.send(b"goodbye")
    ours.close()
    assert peer.recv(CHUNK) == b"goodbye"


def test_a_message_beyond_any_of_ours_is_not_read(pair: tuple[BufferedTls, ssl.SSLSocket]) -> None:
    ours, peer = pair
    peer.sendall(b"x")
    with pytest.raises(ConnectionAbortedError, match=str(UNSENT + 1)):
        ours.recv(UNSENT + 1)


def test_a_broken_connection_is_an_error_of_flush(pair: tuple[BufferedTls, ssl.SSLSocket]) -> None:
    ours, peer = pair
    peer.shutdown(socket.SHUT_RDWR)
    peer.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)):  # as the kernel likes
        fill(ours, bytearray())
