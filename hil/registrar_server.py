"""`python -m hil registrar DIR`: the aggregator's desk on loopback, behind TLS, to enrol gateways at; until Ctrl-C.

stdout has one JSON object when it serves: {"url", "claims": {device: file}}. Exit codes: 0, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from hil.pki import Authority, Tls, make_pki
from hil.registrar import Answer, Desk, pin_of
from hil.talk import data, say

BODY_MAX = 64 * 1024
_TIMEOUT_S = 20


class Serving:
    """`with Serving(desk, tls) as there:` there.url. A client without a certificate may enrol, one of the CA renew."""

    def __init__(self, desk: Desk, tls: Tls, port: int = 0) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(tls.cert, tls.key)
        context.load_verify_locations(tls.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        self._server = _Server(("127.0.0.1", port), desk, context)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://localhost:{self._server.server_address[1]}"

    def __enter__(self) -> Serving:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], desk: Desk, context: ssl.SSLContext) -> None:
        super().__init__(address, _Handler)
        self.desk, self.context = desk, context
        self.lock = threading.Lock()

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(_TIMEOUT_S)
        with self.context.wrap_socket(request, server_side=True) as secure:  # here: a slow handshake holds one thread
            _Handler(secure, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever breaks off, breaks off."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_MAX:
            self._send(Answer(413, "text/plain", b"a body of known and small length, please\n"))
            return
        self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self._send(self.server.desk.answer(self.command, self.path, headers, body, self._peer()))

    def _peer(self) -> str | None:
        """CN of the client's certificate, which TLS has verified."""
        shown: Any = self.connection.getpeercert()  # an SSLSocket, by finish_request
        names = [value for row in (shown or {}).get("subject", ()) for key, value in row if key == "commonName"]
        return str(names[0]) if names else None

    def _send(self, answer: Answer) -> None:
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.typ)
        if answer.typ == "application/pkcs7-mime":
            self.send_header("Content-Transfer-Encoding", "base64")
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """What is asked here is not for a terminal."""


def main(argv: Sequence[str]) -> int:
    """Serve; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hil registrar", description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, metavar="DIR", help="for the keys, the bundle and the claims")
    parser.add_argument("--fleet", default="demo")
    parser.add_argument("--device", action="append", help="to hand out a claim for; more than once (default home-1)")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    args = parser.parse_args(argv)
    devices = args.device or ["home-1"]
    authority = Authority("demo CA")
    try:
        pki = make_pki(args.directory, args.fleet, devices, authority=authority)
        tls = authority.issue(args.directory / "registrar", "registrar", ["localhost", "127.0.0.1"])
        bundles = pki.devices[devices[0]].trust.read_bytes()
        desk = Desk(authority, args.fleet, bundles, enrolled=into(pki.devices_file))
        claims = claims_of(desk, tls, args.directory, devices)
        with Serving(desk, tls, args.port) as there:
            data(json.dumps({"url": there.url, "claims": claims}))
            say("serving; Ctrl-C ends it")
            threading.Event().wait()
    except (OSError, ValueError) as error:
        say(f"hil registrar: {error}")
        return 2
    return 0


def into(path: Path) -> Callable[[str, Mapping[str, str]], None]:
    """Tells an aggregator of new gateways, by its devices.json. What one signed with before counts no more."""

    def enrolled(device: str, entry: Mapping[str, str]) -> None:
        known = json.loads(path.read_text())
        known["devices"][device] = [dict(entry)]
        new = path.with_suffix(".new")
        new.write_text(json.dumps(known, indent=1) + "\n")
        new.replace(path)

    return enrolled


def claims_of(desk: Desk, tls: Tls, directory: Path, devices: Sequence[str]) -> dict[str, str]:
    """A claim for each, in files that nobody else can read: device -> file."""
    files = {}
    for device in devices:
        path = directory / f"{device}.claim"
        path.touch(0o600)
        path.chmod(0o600)
        path.write_text(json.dumps(desk.issue(device, pin_of(tls.cert.read_bytes()))) + "\n")
        files[device] = str(path)
    return files
