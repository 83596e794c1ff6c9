"""The configuration is refused whole, with file, key, reason and an example that works."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import EXAMPLE, Config, ConfigError, load
from agent.core.params import NO_LIMIT_W, S

DEMO = EXAMPLE.replace('fleet = "example"', 'fleet = "example"\ndemo = true')
PORT = 'port = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0"'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "batteryd.toml"
    path.write_text(text, "utf-8")
    return path


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    return str(caught.value)


def test_the_example_in_every_error_message_works(tmp_path: Path) -> None:
    config: Config = load(write(tmp_path, EXAMPLE))
    assert config.params.site.nameplate_discharge_w == 11_400
    assert config.params.timers.reversion_s == 60
    assert {name: str(role) for name, role in config.roles().items()} == {
        "bms": "battery",
        "meter": "meter",
        "inverter": "inverter",
    }


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ("capacity_wh = 25000", "capacity_kwh = 25", "site.capacity_kwh", "unknown key"),
        ("capacity_wh = 25000", "", "site.capacity_wh", "is missing"),
        ("baud = 19200", "baud = 19201", "bus[0].baud", "19201"),
        ("unit = 2", "unit = 1", "file", "share one unit"),
        ("unit = 2", "unit = 300", "device[1].unit", "300"),
        ('bus = "rs485"\nunit = 2', 'bus = "rs232"\nunit = 2', "file", "rs232"),
        ('role = "meter"', 'role = "toaster"', "device[1].role", "toaster"),
        ("import_limit_w = 24000", 'import_limit_w = "24 kW"', "site.import_limit_w", "24 kW"),
        ("import_limit_w = 24000", "import_limit_w = 24000.5", "site.import_limit_w", "24000.5"),
        ("[[bus]]", "[battery]\nmax_discharge_w = 12000\n\n[[bus]]", "file", "looser than site.nameplate_discharge_w"),
        ("[[bus]]", "[battery]\nreserve_min_pct = 5\nsoc_floor_pct = 8\n\n[[bus]]", "", "reserve under the floor"),
        ("[[bus]]", "[timers]\nhold_s = 5\n\n[[bus]]", "timers.hold_s", "only a file with agent.demo = true"),
        *(
            ("[[bus]]", f"[timers]\n{key} = {value}\n\n[[bus]]", f"timers.{key} = {value}", "only a file with")
            for key, value in (
                ("reversion_s", 59),
                ("release_delay_s", 0),
                ("backoff_min_s", 0.5),
                ("backoff_max_s", 100),
                ("block_s", 59),
            )
        ),
        ("[[bus]]", "[timers]\nbackoff_min_s = 150\n\n[[bus]]", "timers.backoff_max_s", "timers.backoff_min_s"),
        ("unit = 3", "unit = 0", "device inverter", "broadcast"),
        ("[[bus]]", f'[[bus]]\nname = "two"\n{PORT}\n\n[[bus]]', "two buses on /dev/serial", "one line"),
        (PORT, 'tcp = "inverter:99999"', "bus[0]", "between 1 and 65535"),
        ("[agent]", "deep = " + "[" * 5000 + "\n[agent]", "", "is not TOML"),
        ("[[bus]]", "[timers]\nrefresh_s = 30\n\n[[bus]]", "timers.refresh_s", "a quarter"),
        ("[[bus]]", "[timers\n[[bus]]", "", "is not TOML"),
    ],
)
def test_a_wrong_file_names_itself_the_key_and_the_reason(
    tmp_path: Path, old: str, new: str, key: str, reason: str
) -> None:
    assert old in EXAMPLE
    text = refused(tmp_path, EXAMPLE.replace(old, new, 1))
    head = text.partition("\n\n")[0]
    assert "batteryd.toml" in head
    assert key in head
    assert reason in head
    assert EXAMPLE in text


def test_a_battery_that_is_a_real_unit_0_is_taken_and_an_inverter_is_not(tmp_path: Path) -> None:
    assert load(write(tmp_path, EXAMPLE.replace("unit = 1", "unit = 0", 1))).file.device[0].unit == 0
    assert "goes to all of them" in refused(tmp_path, EXAMPLE.replace("unit = 3", "unit = 0", 1))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_only_a_demo_file_may_shorten_timers(tmp_path: Path) -> None:
    text = "[timers]\nhold_s = 2\ngrid_dwell_s = 4.5\nreversion_s = 6\nrefresh_s = 1.5\nblock_s = 5\n\n[[bus]]"
    config = load(write(tmp_path, DEMO.replace("[[bus]]", text, 1)))
    assert config.params.demo
    assert config.params.timers.hold_ns == 2 * S
    assert config.params.timers.grid_dwell_ns == 4.5 * S
    assert config.params.timers.reversion_s == 6
    assert config.link_timers.block_s == 5


def test_an_owner_limit_of_zero_means_zero(tmp_path: Path) -> None:
    text = EXAMPLE.replace("[[bus]]", "[battery]\nmax_discharge_w = 0\n\n[[bus]]", 1)
    assert load(write(tmp_path, text)).params.site.owner_discharge_w == 0


def test_limits_of_the_site_are_all_of_them_or_none(tmp_path: Path) -> None:
    plain = load(write(tmp_path, EXAMPLE)).params
    assert (plain.site.fuse_a, plain.site.legs, plain.site.pv_only) == (0, 1, False)
    assert (plain.site.owner_charge_w, plain.site.utility_charge_w) == (NO_LIMIT_W, NO_LIMIT_W)
    assert (plain.daily_permille, plain.restore_w) == (1500, 0)
    site = 'fuse_a = 35\nphases = "three"\nutility_charge_w = 4200\nutility_discharge_w = 0\npv_only = true\n\n'
    more = "[battery]\nmax_charge_w = 4000\ndaily_cycles = 1\nrestore_w = 1000\n\n"
    full = load(write(tmp_path, EXAMPLE.replace("[[bus]]", site + more + "[[bus]]", 1))).params
    assert (full.site.fuse_a, full.site.legs, full.site.pv_only) == (35, 3, True)
    assert (full.site.utility_charge_w, full.site.utility_discharge_w) == (4200, 0)
    assert (full.site.owner_charge_w, full.site.owner_discharge_w) == (4000, NO_LIMIT_W)
    assert (full.daily_permille, full.restore_w) == (1000, 1000)
    assert full.site.nameplate_charge_w == 11_400
