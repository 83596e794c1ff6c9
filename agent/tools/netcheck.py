"""`batteryctl net check`: every step between this gateway and its brokers, one after the other, as the link takes them.

Each row says what was seen, what was expected, and what to do next. Nothing is published; the broker sees one more
client, which leaves at once. A mosquitto with an acl_file grants every subscription and withholds the messages later:
there the last row proves less than it says.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from agent import config as configuration
from agent.cli import text
from agent.config import Config, LinkSection
from agent.local.client import Client
from agent.tools import keyfiles
from agent.tools.keys import _wall_ms
from agent.tools.lines import Refused, guarded

CHECK = ":check"  # not the link's own id: that would throw a running daemon off; nor another gateway's: none has a ":"
PATIENCE_S = 8.0
SOON_DAYS = 14
CONNACK = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not accept this client id",
    3: "it is not available",
    4: "user name or password are wrong",
    5: "this gateway is not authorised",
}
OFFSET_MS = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """One step. `level`: "ok" | "warn" | "fault" | "none" (not tried: an earlier step failed)."""

    name: str
    level: str
    seen: str
    expected: str = ""
    next: str = ""


class Failed(Exception):
    """A step that the following ones cannot do without."""

    def __init__(self, name: str, seen: str, expected: str, next_: str) -> None:
        super().__init__(seen)
        self.row = Row(name, "fault", seen, expected, next_)


def check(config: Config, section: LinkSection, broker: str) -> Iterator[Row]:
    """The rows of one broker."""
    host, _, port = broker.rpartition(":")
    steps = ["resolve", "tcp", "tls", "mqtt", "subscribe"]
    try:
        for row in _steps(config, section, host.strip("[]"), int(port)):
            steps.remove(row.name)
            yield row
    except Failed as failed:
        steps.remove(failed.row.name)
        yield failed.row
        for name in steps:
            yield Row(name, "none", "not tried")


def _steps(config: Config, section: LinkSection, host: str, port: int) -> Iterator[Row]:
    found = _resolve(host, port)
    yield Row("resolve", "ok", f"{host} is {', '.join(found)}")
    try:
        raw = socket.create_connection((host, port), PATIENCE_S)
    except OSError as error:
        expected = f"a broker that listens on port {port}"
        next_ = "is the port right, is the broker up, does the router or a firewall let this gateway out?"
        raise Failed("tcp", f"{host}:{port}: {error.strerror or error}", expected, next_) from error
    with raw:
        yield Row("tcp", "ok", f"connected to {raw.getpeername()[0]} port {port}")
        secure, row = _tls(config, section, raw, host, port)
        yield row
        with secure:
            yield _mqtt(config, section, secure, host)
            yield _subscribe(config, section, secure)


def _resolve(host: str, port: int) -> list[str]:
    answers: list[Any] = []

    def ask() -> None:
        try:
            answers.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.append(error)

    asking = threading.Thread(target=ask, daemon=True)  # the resolver has no time limit of its own
    asking.start()
    asking.join(PATIENCE_S)
    failed = next((str(a.strerror or a) for a in answers if isinstance(a, OSError)), None)
    if failed or not answers:
        seen = f"{host}: {failed or f'no answer within {PATIENCE_S:g} s'}"
        raise Failed("resolve", seen, "an address", "is the name right? resolvectl query NAME; is there a way out?")
    return sorted({str(answer[4][0]) for answer in answers})


# --- TLS --------------------------------------------------------------------------------------------------------------
def _tls(config: Config, section: LinkSection, raw: socket.socket, host: str, port: int) -> tuple[ssl.SSLSocket, Row]:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(config.resolve(section.ca)))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(str(config.resolve(section.cert)), str(config.resolve(section.key)))
    except (OSError, ssl.SSLError) as error:
        seen = f"{section.ca}, {section.cert} or {section.key}: {_reason(error)}"
        next_ = "batteryctl keys show; batteryctl keys enrol --certificate FILE --ca FILE"
        raise Failed("tls", seen, "a CA, a certificate and its key, readable", next_) from error
    try:
        secure = context.wrap_socket(raw, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise _not_believed(error, host, port, section) from error
    except (ssl.SSLError, OSError) as error:
        raise Failed(
            "tls", f"the handshake failed: {_reason(error)}", "TLS 1.2 or newer", "is that port the TLS one?"
        ) from error
    cert = secure.getpeercert(binary_form=True)
    days = _days(cert)
    seen = f"{secure.version()}, certificate of {_names(cert)}, {days} days left"
    if days < SOON_DAYS:
        return secure, Row("tls", "warn", seen, f"{SOON_DAYS} days or more", "tell whoever runs the broker")
    return secure, Row("tls", "ok", seen)


def _not_believed(error: ssl.SSLCertVerificationError, host: str, port: int, section: LinkSection) -> Failed:
    der = _shown(host, port)
    seen = f"certificate of {_names(der)}, {_until(der)}: {error.verify_message}"
    if error.verify_code in (62, 64):
        return Failed(
            "tls", seen, f"a certificate for {host}", "name the broker as its certificate does, in [link] brokers"
        )
    if error.verify_code in (9, 10):
        next_ = "is this gateway's clock right (date)? If so, whoever runs the broker must renew it"
        return Failed("tls", seen, "a certificate that is valid now", next_)
    next_ = "is [link] ca the file that the aggregator gave, and is that the aggregator's broker?"
    return Failed("tls", seen, f"a certificate signed by {section.ca}", next_)


def _shown(host: str, port: int) -> bytes | None:
    """The broker's certificate, unbelieved, to tell what it is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), PATIENCE_S) as raw, context.wrap_socket(raw) as secure:
            return secure.getpeercert(binary_form=True)
    except OSError:
        return None


def _parsed(der: bytes | None) -> x509.Certificate | None:
    try:
        return None if der is None else x509.load_der_x509_certificate(der)
    except ValueError:
        return None


def _names(der: bytes | None) -> str:
    cert = _parsed(der)
    if cert is None:
        return "nobody"
    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return cert.subject.rfc4514_string() or "nobody"
    names = [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    return ", ".join(names[:4]) or "nobody"


def _until(der: bytes | None) -> str:
    cert = _parsed(der)
    return "not readable" if cert is None else f"valid until {cert.not_valid_after_utc:%Y-%m-%d}"


def _days(der: bytes | None) -> int:
    cert = _parsed(der)
    return 0 if cert is None else int((cert.not_valid_after_utc.timestamp() * 1000 - _wall_ms()) // 86_400_000)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(getattr(error, "strerror", None) or error)


# --- MQTT 3.1.1 -------------------------------------------------------------------------------------------------------
def _mqtt(config: Config, section: LinkSection, secure: ssl.SSLSocket, host: str) -> Row:
    device = config.file.agent.id
    client = device + CHECK
    body = _word("MQTT") + bytes([4, 2]) + struct.pack(">H", 30) + _word(client)
    try:
        secure.settimeout(PATIENCE_S)
        secure.sendall(_packet(0x10, body))
        kind, answer = _receive(secure)
    except OSError as error:
        seen = f"it hung up instead of answering: {_reason(error)}"
        next_ = f"does the broker know this gateway's CA, and is {section.cert} current? batteryctl keys show"
        raise Failed("mqtt", seen, "a CONNACK", next_) from error
    if kind != 0x20 or len(answer) != 2:
        raise Failed("mqtt", f"{host} answered with packet type {kind >> 4}", "a CONNACK", "is that an MQTT broker?")
    if answer[1]:
        seen = f"refused with {answer[1]}: {CONNACK.get(answer[1], 'unknown')}"
        raise Failed("mqtt", seen, "0, accepted", f"the broker must take user {device} by its certificate")
    return Row("mqtt", "ok", f"accepted as {client}")


def _subscribe(config: Config, section: LinkSection, secure: ssl.SSLSocket) -> Row:
    agent = config.file.agent
    topics = [f"battery/v1/{agent.fleet}/{agent.id}/down/#"]
    topics += [f"battery/v1/{agent.fleet}/group/{group}/command" for group in section.groups]
    try:
        secure.sendall(_packet(0x82, struct.pack(">H", 1) + b"".join(_word(topic) + b"\x01" for topic in topics)))
        codes = _suback(secure)
        secure.sendall(_packet(0xE0, b""))
    except OSError as error:
        next_ = "does the broker's access list let this gateway read its own topics?"
        raise Failed("subscribe", f"it hung up: {_reason(error)}", "a SUBACK", next_) from error
    denied = [topic for topic, code in zip(topics, codes, strict=False) if code > 2]
    if denied or len(codes) != len(topics):
        seen = f"refused: {', '.join(denied) or 'some'}"
        next_ = "give this gateway the right to read them in the broker's access list; docs/integrator.md"
        return Row("subscribe", "fault", seen, "permission for " + ", ".join(topics), next_)
    return Row("subscribe", "ok", ", ".join(topics))


def _suback(secure: ssl.SSLSocket) -> bytes:
    for _ in range(16):  # what is retained may come first
        kind, answer = _receive(secure)
        if kind == 0x90:
            return answer[2:]
    raise OSError("no SUBACK")


def _word(words: str) -> bytes:
    data = words.encode("utf-8")
    return struct.pack(">H", len(data)) + data


def _packet(kind: int, body: bytes) -> bytes:
    length, left = b"", len(body)
    while True:
        left, byte = left >> 7, left & 0x7F
        length += bytes([byte | (0x80 if left else 0)])
        if not left:
            return bytes([kind]) + length + body


def _receive(secure: ssl.SSLSocket) -> tuple[int, bytes]:
    kind = _exactly(secure, 1)[0]
    length = 0
    for shift in range(0, 28, 7):
        byte = _exactly(secure, 1)[0]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    if length > 1 << 20:
        raise OSError("a packet that is too long")
    return kind, _exactly(secure, length)


def _exactly(secure: ssl.SSLSocket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = secure.recv(count - len(data))
        if not more:
            raise OSError("connection closed")
        data += more
    return data


# --- what is ours -----------------------------------------------------------------------------------------------------
def _own(config: Config, section: LinkSection) -> Row:
    path = config.resolve(section.cert)
    cert = keyfiles.certificate(path.read_bytes()) if path.is_file() else None
    if cert is None:
        next_ = "batteryctl keys enrol --certificate FILE --ca FILE"
        return Row("own", "fault", f"{path}: no certificate", "this gateway's own, in PEM", next_)
    days = int((cert.not_valid_after_utc.timestamp() * 1000 - _wall_ms()) // 86_400_000)
    seen = (
        f"own certificate, {cert.subject.rfc4514_string()}, until {cert.not_valid_after_utc:%Y-%m-%d}, {days} days left"
    )
    if f"CN={config.file.agent.id}" != cert.subject.rfc4514_string():
        return Row("own", "fault", seen, f"CN={config.file.agent.id}", "batteryctl keys rotate tls")
    level = "fault" if days < 0 else "warn" if days < SOON_DAYS else "ok"
    return Row("own", level, seen, f"{SOON_DAYS} days or more", "batteryctl keys rotate tls")


def _clock(through: str | None) -> Row:
    """Against the aggregator's signed time, if batteryd has heard one; else what the kernel says of itself."""
    status: dict[str, Any] = {}
    if through:
        try:
            with Client(through, PATIENCE_S) as client:
                status = next(iter(client.ask("status")), {})
        except (OSError, ValueError):
            status = {}
    offset = (status.get("link") or {}).get("wall_offset_ms")
    if isinstance(offset, int):
        seen = f"{abs(offset)} ms {'behind' if offset > 0 else 'ahead of'} the aggregator's signed time"
        level = "ok" if abs(offset) <= OFFSET_MS else "warn"
        return Row("clock", level, seen, f"at most {OFFSET_MS} ms", "timedatectl; is NTP let through?")
    synced = _kernel_synced()
    seen = f"the kernel's clock is {'' if synced else 'not '}synchronised by NTP; no signed time to compare with"
    next_ = "timedatectl; is NTP let through? batteryctl wait --for link gives a signed time"
    return Row("clock", "ok" if synced else "warn", seen, "synchronised", next_)


def _kernel_synced() -> bool:
    from agent.runtime.real import ntp_synced

    return ntp_synced()


def main(argv: list[str] | None = None) -> int:
    """0 all well, 1 something is not, 2 the configuration."""
    parser = argparse.ArgumentParser(prog="batteryctl net check", description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--through")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        rows = _rows(args)
    except Refused as error:
        body = {"v": 1, "ok": False, "code": error.code, "error": {"text": str(error), "next": error.next_}}
        if args.json:
            print(json.dumps(body))
        else:
            print(f"xx {error}\n   next     {error.next_}", file=sys.stderr)
        return error.code
    code = int(any(row.level in ("fault", "none") for _, row in rows))
    if args.json:
        listed = [{"broker": broker, **{key: getattr(row, key) for key in Row.__slots__}} for broker, row in rows]
        print(json.dumps({"v": 1, "ok": code == 0, "code": code, "rows": listed}))
    else:
        _print(rows)
    return code


def _rows(args: argparse.Namespace) -> list[tuple[str, Row]]:
    try:
        config = configuration.load(Path(args.config))
    except configuration.ConfigError as error:
        raise Refused(2, error.reason, "batteryd --check --config FILE") from error
    section = config.file.link
    if section is None:
        raise Refused(2, f"{config.path} has no [link]: this gateway runs alone", "name brokers there; docs/trust.md")
    rows = [("", _own(config, section)), ("", _clock(args.through))]
    for broker in section.brokers:
        rows += [(broker, row) for row in check(config, section, broker)]
    return rows


def _print(rows: list[tuple[str, Row]]) -> None:
    for at, (broker, row) in enumerate(rows):
        if broker and (at == 0 or rows[at - 1][0] != broker):
            print(f"\nBROKER    {broker}")
        for line in text.hang(f"{row.name.upper():10}{text.symbol(row.level)}  ", row.seen, 14):
            print(line)
        if row.level in ("warn", "fault"):
            for name, words in (("expected", row.expected), ("next", row.next)):
                for line in text.hang(f"          {name:8}  ", words, 20):
                    print(line)


if __name__ == "__main__":
    sys.exit(guarded(main))
