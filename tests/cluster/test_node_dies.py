"""SIGKILL for one node after the other while a real daemon is dispatched: nothing is lost, nothing happens twice.

The judges are the aggregator's ledger (every durable row counted once, no number missing) and the inverter's own log of
register writes (each command's power set once, in the order of the commands).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import pytest

from hil import site
from hil.aggregator.aggregator import Aggregator
from hil.bench.dispatch import rate_of, writes_of
from hil.bench.rig import ending, scenario, wait
from tests.cluster.backend import AGGREGATOR_AT, DEVICE_AT, ClusterBackend

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]
WAIT_S = 90.0
SIDES = {"the aggregator's": AGGREGATOR_AT, "the device's": DEVICE_AT, "neither's": 3 - AGGREGATOR_AT - DEVICE_AT}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterBackend]:
    made = ClusterBackend(tmp_path_factory.mktemp("run"))
    with ending(made):
        made.start(scenario(), 1)
        wait(made, lambda s: s["agent.devices_ok"] == 3 and s["agent.fresh"] is True, WAIT_S)
        yield made


def dispatch(backend: ClusterBackend, power_w: int) -> str:
    signed = backend.build(lambda aggregator, now: aggregator.dispatch(site.DEVICE, power_w, 600, now, ramp="direct"))
    backend.publish(signed.publish)
    return signed.id


def begun(backend: ClusterBackend, command: str) -> bool:
    return backend.live.wait_ack(command, {"started"}, WAIT_S)


def test_each_node_is_killed_during_a_dispatch(backend: ClusterBackend) -> None:
    powers = iter(range(4000, 1000, -100))
    asked: list[tuple[str, int]] = []

    def send() -> str:
        power = next(powers)
        asked.append((dispatch(backend, power), power))
        return asked[-1][0]

    send()
    wait(backend, lambda s: s["agent.given_w"] == asked[0][1], WAIT_S)  # up it goes by a ramp; less comes at once
    for side, number in SIDES.items():
        node = backend.cluster.nodes[number]
        assert begun(backend, send()), f"before the kill of {side} node"
        node.kill()
        assert begun(backend, send()), f"sent as {side} node died"
        assert begun(backend, send()), f"on two nodes, after {side} died"
        backend.cluster.start_node(node)
        assert begun(backend, send()), f"with {side} node back"

    judge(backend, asked)


def judge(backend: ClusterBackend, asked: list[tuple[str, int]]) -> None:
    def whole(aggregator: Aggregator) -> bool:
        book = aggregator.books[site.DEVICE]
        return not book.ledger.missing() and len(book.ledger) == book.ledger.highest

    assert backend.live.wait_for(whole, WAIT_S), backend.live.look(Aggregator.score)
    book = backend.live.look(lambda aggregator: aggregator.books[site.DEVICE])
    assert book.ledger.conflicts == []
    for command, _ in asked:
        states = [ack.state for ack in book.acks[command]]
        assert len(set(states)) == len(states), (command, states)
        assert states[:2] == ["received", "started"]

    def rates() -> list[int]:
        return [write.rate for write in writes_of(backend.directory / "home" / "wire.jsonl") if write.rate]

    last = rate_of(asked[-1][1])
    wait(backend, lambda s: rates()[-1:] == [last], WAIT_S)  # the wire writes its log when it is quiet
    written = rates()
    reached = written[written.index(rate_of(asked[0][1])) :]
    assert [rate for rate, _ in groupby(reached)] == [rate_of(power) for _, power in asked]
