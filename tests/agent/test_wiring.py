"""Which devices make a home, and what is said of those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config, wiring
from agent.core.params import Bank

HEAD = config.EXAMPLE[: config.EXAMPLE.index("[[device]]")]


def device(name: str, role: str, unit: int, extra: str = "", profile: str = "") -> str:
    made = profile or {"battery": "seplos_v3", "meter": "eastron_sdm630", "inverter": "sunspec_hybrid"}[role]
    return f'[[device]]\nname = "{name}"\nrole = "{role}"\nbus = "rs485"\nunit = {unit}\nprofile = "{made}"\n{extra}\n'


PACKS = device("pack1", "battery", 1) + device("pack2", "battery", 2)
INVERTERS = device("inv1", "inverter", 11) + device("inv2", "inverter", 12)
METER = device("meter", "meter", 21)


def load(tmp_path: Path, text: str) -> config.Config:
    path = tmp_path / "batteryd.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return config.load(path)


def test_the_example_of_several_devices_works(tmp_path: Path) -> None:
    wires = load(tmp_path, wiring.EXAMPLE).params.wiring
    assert wires.banks == (Bank(("pack1",), ("inverter1",)), Bank(("pack2",), ("inverter2",)))
    assert wires.capacity_wh == (("pack1", 12_500), ("pack2", 12_500))
    assert wires.places == (("roof", "pv"),)


def test_without_a_word_all_packs_are_one_bank_behind_all(tmp_path: Path) -> None:
    wires = load(tmp_path, PACKS + INVERTERS + METER).params.wiring
    assert wires == type(wires)()


def test_two_inverters_may_share_a_bank_and_a_third_be_pv_only(tmp_path: Path) -> None:
    rows = "".join(device(f"inv{i}", "inverter", 10 + i, 'packs = ["pack1", "pack2"]') for i in (1, 2))
    wires = load(tmp_path, PACKS + rows + device("roof", "inverter", 13, "packs = []") + METER).params.wiring
    assert wires.banks == (Bank(("pack1", "pack2"), ("inv1", "inv2")),)
    assert wires.bare == ("roof",)


def own(first: str, second: str) -> str:
    return PACKS + device("inv1", "inverter", 11, first) + device("inv2", "inverter", 12, second) + METER


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PACKS + METER, 'a home needs at least one inverter; this file has no [[device]] with role = "inverter"'),
        (INVERTERS + METER, "a home needs at least one battery"),
        (PACKS + INVERTERS, "a home needs at least one meter"),
        (own('packs = ["pack1"]', 'packs = ["pack3"]'), "inv2: packs: no battery 'pack3'; there are: pack1, pack2"),
        (own('packs = ["pack1", "pack2"]', ""), "inv2: packs is missing"),
        (own('packs = ["pack1"]', "packs = []"), "pack2: no inverter has it"),
        (own('packs = ["pack1", "pack2"]', 'packs = ["pack2"]'), "pack2: inv1 and inv2 share it and not all"),
        (own("packs = []", "packs = []"), "pack1: no inverter has it"),
        (PACKS + INVERTERS + device("meter", "meter", 21, 'packs = ["pack1"]'), "packs is for role = 'inverter'"),
        (PACKS + INVERTERS + device("meter", "meter", 21, 'place = "pv"'), "no meter is at the grid connection"),
        (PACKS + INVERTERS + METER + device("roof", "meter", 22), 'each needs place = "grid", "pv" or "load"'),
        (
            PACKS
            + INVERTERS
            + device("meter", "meter", 21, 'place = "grid"')
            + device("other", "meter", 22, 'place = "grid"', "eastron_sdm120"),
            "meter (eastron_sdm630) and other (eastron_sdm120) are both at the grid and differ",
        ),
        (
            PACKS
            + INVERTERS
            + "".join(device(f"m{i}", "meter", 20 + i, 'place = "grid"', "eastron_sdm120") for i in range(4)),
            "4 meters are at the grid; one connection has at most 3 phases",
        ),
        (
            device("pack1", "battery", 1, "capacity_wh = 9000") + device("pack2", "battery", 2) + INVERTERS + METER,
            "pack2: capacity_wh is missing",
        ),
        (
            device("pack1", "battery", 1, "capacity_wh = 9000")
            + device("pack2", "battery", 2, "capacity_wh = 9000")
            + INVERTERS
            + METER,
            "add up to 18000, site.capacity_wh is 25000",
        ),
    ],
)
def test_what_makes_no_home_is_refused_with_the_reason_and_an_example(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(config.ConfigError) as refused:
        load(tmp_path, text)
    assert said in refused.value.reason
    assert wiring.EXAMPLE in str(refused.value)
