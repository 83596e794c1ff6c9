"""What is put together: parts that share a file must mean the same file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent import mail
from agent.compose import Agent, compose
from agent.config import EXAMPLE, ConfigError, load
from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust
from agent.runtime.part import Now, Post
from drivers.events import Identity
from tests.drivers.test_own_profile import OWN

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


def test_who_was_adopted_stays_until_another_serial_number_is_written_into_the_file(tmp_path: Path) -> None:
    line = 'profile = "sunspec_hybrid"'

    def pinned(serial: str) -> Identity | None:
        agent = configured(tmp_path, EXAMPLE.replace(line, f'{line}\nserial = "{serial}"'))
        return agent.buses["rs485"]._by_name["inverter"].spec.pinned

    assert pinned("OLD") == Identity("", "", "", "OLD")
    store = configured(tmp_path, EXAMPLE).parts["store"]
    list(store.handle(mail.WritePins({"inverter": KNOWN}, {"inverter": "OLD"}), NOW))  # SN-1 was adopted in its place
    assert pinned("OLD") == KNOWN
    assert pinned("NEW") == Identity("", "", "", "NEW")


@pytest.mark.parametrize("what", ["a file", "below a file"])
def test_a_state_directory_that_cannot_be_used_stops_new_dispatch_and_nothing_else(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("in the way")
    agent = composed(tmp_path, tmp_path / "file" / ("" if what == "a file" else "state"))

    effects = list(agent.parts["store"].handle(mail.CommitRequest(1, Durable(), (), CLOCK, 1), NOW))

    states = [e.event for e in effects if isinstance(e, Post) and isinstance(e.event, mail.DiskState)]
    assert [state.ok for state in states] == [False]


def configured(tmp_path: Path, text: str) -> Agent:
    path = tmp_path / "batteryd.toml"
    path.write_text(text.replace("[site]", f'state_dir = "{tmp_path / "state"}"\n\n[site]', 1), "utf-8")
    return compose(load(path), boot="0" * 32, kernel_boot="k", draw=lambda: 0, random=bytes)


def test_a_profile_of_the_sites_own_is_driven_with_the_limits_of_the_data_sheet(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "corner_shop_bms.toml").write_text(OWN)
    text = EXAMPLE.replace("[site]", 'profiles = "own"\n\n[site]', 1)
    text = text.replace(
        'profile = "seplos_v3"', 'profile = "corner_shop_bms"\ncharge_limit_a = 80\ndischarge_limit_a = 100'
    )

    spec = configured(tmp_path, text).buses["rs485"]._by_name["bms"].spec

    assert spec.profile.title == "Corner shop BMS"
    assert (spec.ccl_ma, spec.dcl_ma) == (80_000, 100_000)


def test_a_serial_dialect_is_refused_on_a_tcp_bus(tmp_path: Path) -> None:
    text = EXAMPLE.replace('profile = "seplos_v3"', 'profile = "jbd"')
    text = re.sub(r"(?m)^port = .*$", 'tcp = "10.0.0.9:502"', text)

    with pytest.raises(ConfigError, match=r"device bms: JBD BMS needs a serial line"):
        configured(tmp_path, text)
