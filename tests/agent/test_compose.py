"""What is put together: parts that share a file must mean the same file."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import mail
from agent.compose import Agent, compose
from agent.config import EXAMPLE, load
from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust
from agent.runtime.part import Now, Post
from drivers.events import Identity

KNOWN = Identity("Maker", "Model", "1.0", "SN-1")
CLOCK = Clock(1_760_000_000_000, ClockTrust.SYNCED, "k", "b")
NOW = Now(10**9, 1_760_000_000_000)


def composed(tmp_path: Path, state_dir: Path) -> Agent:
    path = tmp_path / "batteryd.toml"
    path.write_text(EXAMPLE.replace("[site]", f'state_dir = "{state_dir}"\n\n[site]', 1), "utf-8")
    return compose(load(path), boot="0" * 32, kernel_boot="k", draw=lambda: 0, random=bytes)


def test_who_a_device_was_is_still_known_after_a_restart(tmp_path: Path) -> None:
    first = composed(tmp_path, tmp_path / "state")
    list(first.parts["store"].handle(mail.WritePins({"inverter": KNOWN}), NOW))

    again = composed(tmp_path, tmp_path / "state")

    assert again.buses["rs485"]._by_name["inverter"].spec.pinned == KNOWN


@pytest.mark.parametrize("what", ["a file", "below a file"])
def test_a_state_directory_that_cannot_be_used_stops_new_dispatch_and_nothing_else(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("in the way")
    agent = composed(tmp_path, tmp_path / "file" / ("" if what == "a file" else "state"))

    effects = list(agent.parts["store"].handle(mail.CommitRequest(1, Durable(), (), CLOCK, 1), NOW))

    states = [e.event for e in effects if isinstance(e, Post) and isinstance(e.event, mail.DiskState)]
    assert [state.ok for state in states] == [False]
