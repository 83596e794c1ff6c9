"""Real daemon, real broker with mutual TLS: a configuration from the operator's tool, a kill, and the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agent.local.client import Client
from hil.aggregator.aggregator import Aggregator
from hil.aggregator.cli import main
from hil.aggregator.live import LiveAggregator
from hil.bench.rig import live
from hil.site import DEVICE

pytestmark = pytest.mark.slow
WAIT_S = 40.0


def told(*words: str) -> Callable[[Aggregator], bool]:
    """The last that was said of documents."""

    def are_there(aggregator: Aggregator) -> bool:
        events = [e.claims["event"] for e in aggregator.books[DEVICE].events if "version" in e.claims]
        return tuple(events[-len(words) :]) == words

    return are_there


def born(version: int) -> Callable[[Aggregator], bool]:
    def is_there(aggregator: Aggregator) -> bool:
        birth = aggregator.books[DEVICE].birth
        return birth is not None and birth.claims.get("config_version") == version

    return is_there


def shown(socket: str) -> dict[str, Any]:
    with Client(socket) as client:
        rows = next(client.ask("config"))["settings"]
        return {row["name"]: row["value"] for row in rows}


def test_the_tool_sets_a_limit_and_a_killed_daemon_takes_it_back(capsys: pytest.CaptureFixture[str]) -> None:
    with live() as backend:
        aggregator: LiveAggregator = backend.live
        where = f"{backend.mosquitto.host}:{backend.mosquitto.port}"
        socket = str(backend.config.resolve(backend.config.file.agent.socket))
        argv = ["config", DEVICE, "--version", "7", "--export-limit-w", "5000", "--wait-s", "30"]
        argv += ["--pki", str(backend.directory / "pki" / "aggregator"), "--broker", where]
        codes: list[int] = []
        tool = threading.Thread(target=lambda: codes.append(main(argv)))
        tool.start()
        assert aggregator.wait_for(told("config_applied"), WAIT_S)
        assert aggregator.wait_for(born(7), WAIT_S)
        tool.join(WAIT_S)
        assert codes == [0]
        said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert said[-1]["claims"]["event"] == "config_applied"
        assert shown(socket)["export_limit_w"] == 5000

        backend.supervisor.kill()
        assert aggregator.wait_for(told("config_applied", "config_rolled_back"), WAIT_S)
        assert aggregator.wait_for(born(0), WAIT_S)
        assert shown(socket)["export_limit_w"] == backend.config.params.site.export_limit_w
        # the broker kept it, and gave it to the new start: it is no news, and no offence
        assert not aggregator.look(lambda a: "version_rollback" in a.books[DEVICE].counters)
