"""The process bench on three nodes of RabbitMQ: daemon and aggregator each begin at a node of their own."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from hil.aggregator.aggregator import Aggregator
from hil.aggregator.keys import load_keyring
from hil.aggregator.live import LiveAggregator
from hil.backends.process import ProcessBackend
from hil.cluster import Cluster
from hil.scenario import Scenario

AGGREGATOR_AT, DEVICE_AT = 0, 1
REPEAT_NS = 1_000_000_000


class ClusterBackend(ProcessBackend):
    """The aggregator keeps its session, and repeats a command that the device has not acknowledged."""

    @property
    def cluster(self) -> Cluster:
        """The broker."""
        assert isinstance(self.mosquitto, Cluster)
        return self.mosquitto

    def _write_config(self, scenario: Scenario) -> Path:
        link = {**scenario.config.get("link", {}), "kept_session": True}
        return super()._write_config(dataclasses.replace(scenario, config={**scenario.config, "link": link}))

    def _start_broker(self) -> Cluster:
        return self._stack.enter_context(Cluster(self.directory / "broker", self.pki))

    def _start_aggregator(self, directory: Path) -> LiveAggregator:
        ring = load_keyring(directory)
        aggregator = Aggregator(ring, os.urandom, receipt_every_ns=2_000_000_000, repeat_ns=REPEAT_NS)
        first, *others = turned(self.cluster.addresses, AGGREGATOR_AT)
        return LiveAggregator(
            aggregator, directory, *first, others=others, client_id="aggregator", kept=True, on_verdict=self._verdict
        )

    def _addresses(self) -> tuple[tuple[str, int], ...]:
        return turned(self.cluster.addresses, DEVICE_AT)


def turned(addresses: tuple[tuple[str, int], ...], first: int) -> tuple[tuple[str, int], ...]:
    """The same, another one first."""
    return addresses[first:] + addresses[:first]
