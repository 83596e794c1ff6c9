"""One RabbitMQ node with its MQTT plugin: own name, ports, data, cookie, port mapper; never the machine's service."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.broker import BrokerError
from hil.kin import kin
from hil.pki import AGGREGATOR, Tls

MISSING = "RabbitMQ is not installed: install it as root with `apt-get install --no-install-recommends rabbitmq-server`"
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in /usr/sbin changes user and directory
PLUGINS = "[rabbitmq_mqtt,rabbitmq_auth_mechanism_ssl]."
START_S = 120.0
STOP_S = 30.0
_LOOK_S = 0.1
_UP = "Server startup complete"


def find_rabbitmq() -> tuple[str, str]:
    """Paths of the server and of Erlang's port mapper. One sentence and exit 2 if they are not there."""
    mapper = shutil.which("epmd")
    if mapper is None or not SERVER.exists():
        print(MISSING, file=sys.stderr)
        raise SystemExit(2)
    return str(SERVER), mapper


@dataclass(frozen=True, slots=True)
class Ports:
    """Of one node, all on the loopback: MQTT over TLS, and Erlang's distribution."""

    mqtt: int
    nodes: int


class Node:
    """`start` returns when it listens; after `kill`, `start` takes up its data again."""

    def __init__(
        self, directory: Path, name: str, ports: Ports, mapper_port: int, tls: Tls, peers: Sequence[str], access: Path
    ) -> None:
        self.name, self.ports = name, ports
        self.log = directory / "rabbit.log"
        self._directory = directory
        self._server, _ = find_rabbitmq()
        self._mapper_port = mapper_port
        self._config = _config(ports, tls, peers, access)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def launch(self) -> None:
        """Start; does not wait (`wait` does)."""
        directory = self._directory
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "rabbitmq.conf").write_text(self._config)
        (directory / "plugins").write_text(PLUGINS)
        (directory / "env.conf").touch()  # in the place of /etc/rabbitmq/rabbitmq-env.conf
        self.log.write_bytes(b"")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                kin([self._server], "TERM"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=self._environment(),
                start_new_session=True,  # a Ctrl-C at the terminal is for the bench
            )

    def wait(self) -> None:
        """Until it listens. BrokerError with its own words if it does not."""
        end = time.monotonic() + START_S
        while self.pid is not None and time.monotonic() < end:
            if _UP in self.log.read_text(errors="replace"):
                return
            time.sleep(_LOOK_S)
        said = self.log.read_text(errors="replace").strip()[-1500:]
        self.kill()
        raise BrokerError(f"{self.name} did not start within {START_S:g} s: {said or 'it said nothing'}")

    def stop(self) -> None:
        """Clean end, waited for; SIGKILL if it does not come."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """SIGKILL: connections drop, its disk stays as it is."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _environment(self) -> dict[str, str]:
        directory = str(self._directory)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return inherited | {
            "HOME": str(self._directory.parent),  # where Erlang looks for the cookie, one for all nodes
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node, which can then be killed by its id
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self.ports.nodes),
            "RABBITMQ_CONFIG_FILE": f"{directory}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{directory}/none.config",
            "RABBITMQ_CONF_ENV_FILE": f"{directory}/env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{directory}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{directory}/data",
            "RABBITMQ_LOG_BASE": f"{directory}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{directory}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }


def access(fleet: str, devices: Mapping[str, Sequence[str]]) -> str:
    """The definitions that every node loads: what `hil.broker.access_list` says, in RabbitMQ's words.

    The name of an MQTT session is in the name of its queue, so that a client can only use its own.
    """
    root = f"battery.v1.{_key(fleet)}"
    users = [AGGREGATOR, *devices]
    up, down = rf"^{root}\.[^.]+\.up\.", rf"^{root}\.([^.]+\.down\.|group\.[^.]+\.command$)"
    topics = [_topics(AGGREGATOR, write=down, read=up.replace("[^.]+", r"([^.]+|\*)"))]
    for device, groups in devices.items():
        own = rf"{root}\.{_key(device)}"
        heard = [rf"{own}\.down\.", *(rf"{root}\.group\.{_key(group)}\.command$" for group in groups)]
        topics.append(_topics(device, write=rf"^{own}\.up\.", read=f"^({'|'.join(heard)})"))
    body = {
        "vhosts": [{"name": "/"}],
        "users": [{"name": name, "password_hash": "", "tags": ""} for name in users],
        "permissions": [_permission(name) for name in users],
        "topic_permissions": topics,
    }
    return json.dumps(body, indent=1) + "\n"


CHECK = ":check"  # as whom `batteryctl net check` comes, besides the link


def _permission(user: str) -> dict[str, str]:
    client = rf"{_escaped(user)}({CHECK})?" if user != AGGREGATOR else rf"{AGGREGATOR}[-0-9a-z]*"
    queue = rf"mqtt-subscription-{client}qos[01]"
    both = rf"^(amq\.topic|{queue})$"
    return {"user": user, "vhost": "/", "configure": rf"^{queue}$", "write": both, "read": both}


def _topics(user: str, *, write: str, read: str) -> dict[str, str]:
    return {"user": user, "vhost": "/", "exchange": "amq.topic", "write": write, "read": read}


def _key(word: str) -> str:
    """A word of a topic as the plugin's routing key has it (it swaps "/" and "."), for a pattern."""
    return _escaped(word.replace(".", "/"))


def _escaped(word: str) -> str:
    return word.replace(".", r"\.")


def _config(ports: Ports, tls: Tls, peers: Sequence[str], definitions: Path) -> str:
    nodes = [f"cluster_formation.classic_config.nodes.{i} = {peer}" for i, peer in enumerate(peers, 1)]
    return "\n".join(
        [
            "listeners.tcp = none",  # no AMQP: MQTT is all there is
            f"load_definitions = {definitions}",
            "cluster_name = batteries",
            "cluster_partition_handling = pause_minority",
            "cluster_formation.peer_discovery_backend = classic_config",
            "cluster_formation.discovery_retry_limit = 1",  # the first finds nobody and need not wait
            *nodes,
            "mqtt.listeners.tcp = none",
            f"mqtt.listeners.ssl.1 = 127.0.0.1:{ports.mqtt}",
            "mqtt.allow_anonymous = false",
            "mqtt.ssl_cert_login = true",
            "mqtt.durable_queue_type = quorum",  # before the first session: it is no policy and cannot be changed later
            "mqtt.subscription_ttl = 3600000",
            "mqtt.prefetch = 20",
            "ssl_cert_login_from = common_name",
            f"ssl_options.cacertfile = {tls.ca}",
            f"ssl_options.certfile = {tls.cert}",
            f"ssl_options.keyfile = {tls.key}",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = true",
            "ssl_options.versions.1 = tlsv1.3",
            "ssl_options.versions.2 = tlsv1.2",
            "log.console = true",
            "log.console.level = info",
            "",
        ]
    )


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
