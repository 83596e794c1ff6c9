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
from drivers.events import DeviceStatus, Identity, Presence
from drivers.readings import DeviceRole
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


@pytest.mark.parametrize(("presence", "kept"), [(Presence.OK, True), (Presence.MISMATCH, False)])
def test_only_who_is_taken_for_a_device_is_remembered_as_it(tmp_path: Path, presence: Presence, kept: bool) -> None:
    control = composed(tmp_path, tmp_path / "state").parts["control"]
    status = DeviceStatus("inverter", DeviceRole.INVERTER, presence, NOW.mono_ns, "", KNOWN)

    effects = list(control.handle(status, NOW))

    pins = [e.event for e in effects if isinstance(e, Post) and isinstance(e.event, mail.WritePins)]
    assert [written.pins for written in pins] == ([{"inverter": KNOWN}] if kept else [])


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


GX = EXAMPLE.replace('profile = "sunspec_hybrid"', 'profile = "victron_gx"').replace(
    'port = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0"\nbaud = 19200', 'tcp = "gx.local:502"'
)


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        ("vebus = 3", "device inverter: units.vebus = 3 is the device's own unit"),
        ("vebus = 1", "device inverter: units.vebus = 1 is bms on the same bus"),
        ("vbus = 228", "device inverter: units: no unit 'vbus'; there are: vebus"),
    ],
)
def test_a_second_name_for_a_unit_that_is_known_is_refused(tmp_path: Path, units: str, reason: str) -> None:
    configured(tmp_path, GX)
    configured(tmp_path, GX + "units = { vebus = 228 }\n")
    with pytest.raises(ConfigError, match=re.escape(reason)):
        configured(tmp_path, GX + f"units = {{ {units} }}\n")


def test_a_unit_that_the_profile_names_is_held_against_the_bus_too(tmp_path: Path) -> None:
    for unit, reason in (("unit = 3", "is the device's own unit"), ("unit = 2", "is meter on the same bus")):
        with pytest.raises(ConfigError, match=f"profile victron_gx: device inverter: units.vebus = 227 {reason}"):
            configured(tmp_path, GX.replace(unit, "unit = 227", 1))


def test_a_named_unit_is_not_broadcast_on_a_serial_line(tmp_path: Path) -> None:
    text = EXAMPLE + "units = { twin = 0 }\n"
    with pytest.raises(ConfigError, match="broadcast"):
        configured(tmp_path, text)
    assert load_units(tmp_path, text.replace('port = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0"', 'tcp = "h:502"'))


def load_units(tmp_path: Path, text: str) -> dict[str, int]:
    path = tmp_path / "tcp.toml"
    path.write_text(text, "utf-8")
    return load(path).file.device[2].units
