"""What holds for every test."""

from __future__ import annotations

import signal

import pytest

from hil.broker import Broker
from hil.cluster import Cluster

# A run in the background of a shell inherits an ignored Ctrl-C, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

BrokerKind = type[Broker] | type[Cluster]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--brokers cluster` runs what needs a real broker on three nodes of RabbitMQ; `make cluster` does."""
    parser.addoption("--brokers", choices=["mosquitto", "cluster"], default="mosquitto")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What only one kind of broker can show is left out where the other is asked for."""
    other = "mosquitto" if config.getoption("brokers") == "cluster" else "cluster"
    out = [item for item in items if item.get_closest_marker(other)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


@pytest.fixture(scope="session")
def a_broker(request: pytest.FixtureRequest) -> BrokerKind:
    """The kind of broker that was asked for; both are made and used in the same way."""
    return Cluster if request.config.getoption("brokers") == "cluster" else Broker
