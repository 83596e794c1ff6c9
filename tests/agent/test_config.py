"""The configuration is refused whole, with file, key, reason and an example that works."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import EXAMPLE, Config, ConfigError, TimersSection, load
from agent.core.params import NO_LIMIT_W, S
from hil.backends.timers import timers_of

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
        (
            "[[bus]]",
            "[timers]\nbackoff_min_s = 150\nbackoff_max_s = 140\n\n[[bus]]",
            "timers.backoff_max_s",
            "timers.backoff_min_s",
        ),
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


RANGES = {  # seconds, both ends possible in a demo file
    "cycle_s": (0.1, 1),
    "reversion_s": (2, 300),
    "refresh_s": (0.5, 75),
    "release_delay_s": (0, 30),
    "hold_s": (1, 3600),
    "recover_good_s": (1, 3600),
    "fault_clear_s": (1, 3600),
    "grid_dwell_s": (1, 3600),
    "grid_jitter_s": (0, 3600),
    "backoff_min_s": (0.1, 300),
    "backoff_max_s": (0.1, 300),
    "block_s": (2, 60),
}
BESIDE = {  # what else must be said where one alone contradicts another
    ("reversion_s", 2): "refresh_s = 0.5",
    ("refresh_s", 75): "reversion_s = 300",
    ("backoff_min_s", 300): "backoff_max_s = 300",
    ("backoff_max_s", 0.1): "backoff_min_s = 0.1",
}


def timed(text: str, *lines: str) -> str:
    return text.replace("[[bus]]", "\n".join(["[timers]", *lines, "", "[[bus]]"]), 1)


def test_every_timer_has_its_range_here() -> None:
    assert set(TimersSection.model_fields) == set(RANGES)


@pytest.mark.parametrize("demo", [True, False])
@pytest.mark.parametrize("key", RANGES)
def test_a_timer_outside_its_range_is_refused_with_key_and_range(tmp_path: Path, key: str, demo: bool) -> None:
    low, high = RANGES[key]
    whole = key in ("reversion_s", "block_s")
    beyond: tuple[object, ...] = (low - 1, high + 1, -(10**9), 10**30)
    for value in beyond if whole else (*beyond, low - 1e-6, high + 1e-6, 1e-10 if low else -1e-10):
        text = refused(tmp_path, timed(DEMO if demo else EXAMPLE, f"{key} = {value}")).partition("\n\n")[0]
        assert f"timers.{key}: " in text, value
        assert f"outside {low:g} to {high:g} s" in text, value


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("key", RANGES)
def test_both_ends_of_a_timers_range_are_taken_in_a_demo_file(tmp_path: Path, key: str, end: int) -> None:
    value = RANGES[key][end]
    beside = BESIDE.get((key, value), "")
    config = load(write(tmp_path, timed(DEMO, f"{key} = {value}", beside)))
    assert timers_of(config)[key][0] == value


@pytest.mark.parametrize("value", ["true", '"1"', "[1]", "nan", "inf", "-inf"])
@pytest.mark.parametrize("key", RANGES)
def test_a_timer_is_a_number(tmp_path: Path, key: str, value: str) -> None:
    assert f"timers.{key}: " in refused(tmp_path, timed(DEMO, f"{key} = {value}"))


def test_no_number_of_the_file_is_infinite(tmp_path: Path) -> None:
    for value in ("nan", "inf"):
        text = EXAMPLE.replace("[[bus]]", f"[battery]\nsoc_floor_pct = {value}\n\n[[bus]]", 1)
        assert "battery.soc_floor_pct: " in refused(tmp_path, text)


def test_an_owner_limit_of_zero_means_zero(tmp_path: Path) -> None:
    text = EXAMPLE.replace("[[bus]]", "[battery]\nmax_discharge_w = 0\n\n[[bus]]", 1)
    assert load(write(tmp_path, text)).params.site.owner_discharge_w == 0


def test_the_marks_of_prices_are_of_the_list_or_of_the_file(tmp_path: Path) -> None:
    def read(text: str) -> tuple[int | None, ...]:
        p = load(write(tmp_path, EXAMPLE.replace("[[bus]]", f"[battery]\n{text}\n\n[[bus]]", 1))).params
        return p.price_low_micro, p.price_high_micro, p.price_wear_micro, p.price_efficiency_permille

    assert read("") == (None, None, 50_000, 850)
    text = "price_low = -0.015\nprice_high = 0.31\nprice_wear = 0\nefficiency_pct = 92.5"
    assert read(text) == (-15_000, 310_000, 0, 925)
    assert read("price_high = 1")[:2] == (None, 1_000_000)
    for wrong, word in (("price_low = 0.3\nprice_high = 0.3", "price_low"), ("price_low = inf", "price_low")):
        with pytest.raises(ConfigError, match=word):
            read(wrong)


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
