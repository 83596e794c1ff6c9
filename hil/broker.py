"""A real mosquitto for the bench: own configuration, own port, mutual TLS, and an access list.

It never touches the machine's own broker: the port is chosen below the kernel's ephemeral range (so that no client's
outgoing connection can take it while the broker is down) and is never 1883; the configuration is the only one read.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from hil.kin import kin
from hil.pki import AGGREGATOR, Pki, Tls

MISSING = "mosquitto is not installed: install it with `apt-get install --no-install-recommends mosquitto`"
SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin")  # Debian's place for it, which is not on every user's path
_PORTS = range(20000, 29999)  # below net.ipv4.ip_local_port_range (32768 by default), above what services use
_START_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 10.0


class BrokerError(Exception):
    """The broker could not be started; the text says what it printed."""


def find_mosquitto() -> str:
    """Path of the mosquitto program. One sentence and exit 2 if there is none."""
    places = os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_PATHS))
    found = shutil.which("mosquitto", path=places)
    if found is None:
        print(MISSING, file=sys.stderr)
        raise SystemExit(2)
    return found


def access_list(fleet: str, devices: Mapping[str, Sequence[str]]) -> str:
    """The broker's ACL: each device (with its groups) publishes only its up/#, receives only its down/# and its groups;
    the aggregator the other way round, for the whole fleet."""
    root = f"battery/v1/{fleet}"
    lines = [f"user {AGGREGATOR}", f"topic read {root}/+/up/#", f"topic write {root}/+/down/#"]
    lines.append(f"topic write {root}/group/+/command")
    for device, groups in devices.items():
        lines += ["", f"user {device}", f"topic write {root}/{device}/up/#", f"topic read {root}/{device}/down/#"]
        lines += [f"topic read {root}/group/{group}/command" for group in groups]
    return "\n".join(lines) + "\n"


class AnyBroker(Protocol):
    """What the bench needs of a broker: one mosquitto here, three nodes in `hil.cluster`."""

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where a client finds it, each a host and a port."""
        ...

    @property
    def host(self) -> str:
        """Of the first address."""
        ...

    @property
    def port(self) -> int:
        """Of the first address."""
        ...

    def start(self) -> None:
        """Start what does not run, and wait until it listens. BrokerError with its own words if it does not."""
        ...

    def stop(self) -> None:
        """End it in order."""
        ...

    def kill(self) -> None:
        """SIGKILL to all of it."""
        ...


class Broker:
    """One mosquitto process. `start` returns when it listens; after `kill` or `stop`, `start` uses the same port again.

    Persistence is off: a killed broker forgets sessions, queues and retained messages, which is the worst case.
    """

    def __init__(self, directory: Path, pki: Pki, tls: Tls | None = None, port: int | None = None) -> None:
        self.directory = directory.resolve()
        self.host: str = "localhost"
        self.port: int = port or free_ports(1)[0]
        self.log = self.directory / "mosquitto.log"
        self._fixed_port = port is not None
        self._program = find_mosquitto()
        self._tls = tls or pki.broker
        self._acl = access_list(pki.fleet, dict.fromkeys(pki.devices, pki.groups))
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where a client finds it: one host and port."""
        return ((self.host, self.port),)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start and wait until it listens. Raises BrokerError with its own words if it does not."""
        if self.pid is not None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        said = self._launch()
        for _ in range(4):
            if said is None or self._fixed_port or "in use" not in said:
                break
            self.port = free_ports(1)[0]  # somebody took it between our look and mosquitto's
            said = self._launch()
        if said is None:
            self._fixed_port = True
            return
        raise BrokerError(f"mosquitto did not start on port {self.port}: {said.strip() or 'it said nothing'}")

    def stop(self) -> None:
        """Clean end (SIGTERM), waited for; SIGKILL if it does not come."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._reap()

    def kill(self) -> None:
        """SIGKILL: connections drop, nothing is saved."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def restart(self) -> None:
        """Kill and start again on the same port."""
        self.kill()
        self.start()

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _launch(self) -> str | None:
        """Start the process; None when it listens, else what it printed before it ended."""
        config = self.directory / "mosquitto.conf"
        (self.directory / "acl").write_text(self._acl)
        (self.directory / "acl").chmod(0o600)  # newer mosquitto warns about (and will refuse) a readable one
        config.write_text(self._config())
        self._process = subprocess.Popen(
            kin([self._program, "-c", str(config)]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C at the terminal is for the bench, which then stops the broker in order
        )
        said: list[str] = []
        listening = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process, said, listening), daemon=True)
        self._reader.start()
        listening.wait(_START_TIMEOUT_S)
        if self.pid is not None and _accepts(self.port):
            return None
        self.kill()
        return " ".join(said)

    def _read(self, process: subprocess.Popen[bytes], said: list[str], listening: threading.Event) -> None:
        """Copy its log into the file; its "running" line, or its end, is the event that `start` waits for."""
        assert process.stderr is not None
        with process.stderr as stderr, self.log.open("ab", buffering=0) as log:
            for line in stderr:
                log.write(line)
                if not listening.is_set():
                    said.append(line.decode(errors="replace").strip())
                    if line.rstrip().endswith(b" running"):
                        listening.set()
        process.wait()
        listening.set()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
        if self._reader is not None:
            self._reader.join()
        self._process = self._reader = None

    def _config(self) -> str:
        # A root mosquitto drops to `user`; the keys are 0600 and made by us, so it stays who we are.
        user = ["user root"] if os.geteuid() == 0 else []
        return "\n".join(
            [
                *user,
                "per_listener_settings false",
                "allow_anonymous false",
                f"acl_file {self.directory / 'acl'}",
                "persistence false",
                "log_dest stderr",
                "log_type error",
                "log_type warning",
                "log_type notice",
                "log_type information",
                "max_inflight_messages 20",
                "max_queued_messages 10000",
                "max_packet_size 262144",  # above every limit of the link: the agent must refuse, not the broker
                f"listener {self.port} 127.0.0.1",
                f"cafile {self._tls.ca}",
                f"certfile {self._tls.cert}",
                f"keyfile {self._tls.key}",
                "tls_version tlsv1.2",  # the minimum
                "require_certificate true",
                "use_identity_as_username true",
                "",
            ]
        )


def free_ports(count: int) -> list[int]:
    """That many ports on the loopback that nobody holds now, all different."""
    found: list[int] = []
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise BrokerError(f"too few free ports between {_PORTS.start} and {_PORTS.stop} on 127.0.0.1")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
