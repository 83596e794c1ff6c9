"""Three RabbitMQ nodes on the loopback as one broker: what a fleet runs, small enough for one machine."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from hil.broker import BrokerError, free_ports
from hil.kin import kin
from hil.pki import Pki
from hil.rabbit import Node, Ports, accepts, access, find_rabbitmq

SIZE = 3
_MAPPER_S = 10.0


class Cluster:
    """`start` returns when all nodes are one cluster. Node 0 is the first; each has an address of its own."""

    def __init__(self, directory: Path, pki: Pki, size: int = SIZE) -> None:
        self.directory = directory.resolve()
        _, self._mapper_program = find_rabbitmq()
        self._mapper: subprocess.Popen[bytes] | None = None
        self._pki = pki
        self._formed = False
        ports = free_ports(2 * size + 1)
        self._mapper_port = ports.pop()
        names = [f"batteries{i}@localhost" for i in range(1, size + 1)]
        self.nodes: Sequence[Node] = [
            Node(
                self.directory / f"node{i}",
                name,
                Ports(ports.pop(), ports.pop()),
                self._mapper_port,
                pki.broker,
                names,
                self.directory / "definitions.json",
            )
            for i, name in enumerate(names, 1)
        ]

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Host and port of every node, in order."""
        return tuple(("localhost", node.ports.mqtt) for node in self.nodes)

    @property
    def host(self) -> str:
        """Of the first node."""
        return self.addresses[0][0]

    @property
    def port(self) -> int:
        """Of the first node."""
        return self.addresses[0][1]

    def start(self) -> None:
        """Start whatever does not run. The first time one after the other: two that form a cluster at once may form
        two. Later all together: of nodes that all went down, each waits for the others."""
        self._prepare()
        if self._formed:
            for node in self.nodes:
                if node.pid is None:
                    node.launch()
            for node in self.nodes:
                node.wait()
            return
        for node in self.nodes:
            self.start_node(node)
        self._formed = True

    def start_node(self, node: Node) -> None:
        """Start one, and wait until it listens and is in the cluster."""
        if node.pid is None:
            node.launch()
            node.wait()

    def kill(self) -> None:
        """SIGKILL every node."""
        for node in self.nodes:
            node.kill()

    def stop(self) -> None:
        """End every process that this started. Killed: nobody needs the data, and a clean end takes each its time."""
        self.kill()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
            self._mapper = None

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        cookie = self.directory / ".erlang.cookie"
        if not cookie.exists():
            with os.fdopen(os.open(cookie, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
                file.write(secrets.token_hex(16))
        devices = dict.fromkeys(self._pki.devices, self._pki.groups)
        (self.directory / "definitions.json").write_text(access(self._pki.fleet, devices))
        if self._mapper is None:
            self._start_mapper()

    def _start_mapper(self) -> None:
        """Erlang's port mapper, ours: the nodes would start one that outlives them."""
        command = [self._mapper_program, "-port", str(self._mapper_port), "-address", "127.0.0.1"]
        self._mapper = subprocess.Popen(
            kin(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + _MAPPER_S
        while not accepts(self._mapper_port):
            if time.monotonic() > end:
                raise BrokerError(f"epmd did not start on port {self._mapper_port}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._mapper.wait(0.05)
