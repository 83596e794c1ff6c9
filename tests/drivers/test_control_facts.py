"""What is sent to each family on the wire, against tables worked by hand from what is published of it, not from the
profile: unit, function, register and words of every write, in their order, of four orders in a row on one device.

Charge 1000 W, then discharge 1000 W, then release, then a floor of 20.5 %. Written on change is what differs from the
registers of the vector file.
"""

from __future__ import annotations

import pytest

from drivers.events import WriteClass
from tests.drivers.test_hand_over import Stage
from tests.drivers.vector import Vector, vectors

ORDERS = (
    ("charge", WriteClass.POWER, -1000),
    ("discharge", WriteClass.POWER, 1000),
    ("release", WriteClass.CLEAR, 0),
    ("floor", WriteClass.FLOOR, 205),
)
MINUS_1000 = 0xFC18
FACTS: dict[str, dict[str, list[str]]] = {
    # model 124 at 40196: mode +5, MinRsvPct +7, OutWRte +12, InWRte +13, RvrtTms +15; percent of 10 kW with factor -2
    "fronius_gen24": {
        "charge": ["1 16 40211 60", f"1 16 40208 {MINUS_1000} 1000", "1 16 40201 3"],
        "discharge": [f"1 16 40208 1000 {MINUS_1000}", "1 16 40201 3"],
        "release": ["1 16 40201 0", "1 16 40208 10000 10000"],
        "floor": ["1 16 40203 2050"],
    },
    # 0xE00A, E004 once; E00B seconds, E00E charge, E010 discharge, E00D mode last; low words first; 1000.0 = 447A 0000
    "solaredge_storedge": {
        "charge": ["1 16 57348 4", "1 16 57355 60 0", f"1 16 57358 0 {0x447A}", "1 16 57360 0 0", "1 16 57357 3"],
        "discharge": ["1 16 57355 60 0", "1 16 57358 0 0", f"1 16 57360 0 {0x447A}", "1 16 57357 4"],
        "release": ["1 16 57357 7", f"1 16 57360 {0x4000} {0x459C}", f"1 16 57358 {0x4000} {0x459C}", "1 16 57348 1"],
        "floor": [f"1 16 57352 0 {0x41A8}"],
    },
    # AC input 37 of the Multi, + = take; AC -250 W at a battery of -600 W: 350 W more than the battery gives
    "victron_gx": {
        "charge": ["227 6 37 650", "100 6 2902 3"],
        "discharge": [f"227 6 37 {0x10000 - 1350}"],
        "release": ["227 6 37 0", "100 6 2902 1"],
        "floor": ["100 6 2901 205"],
    },
    # AC = PV + discharge; PV 2000 W; 0 W first when nothing is known of what ruled
    "foxess_h1": {
        "charge": [
            "247 6 44001 60",
            "247 6 44000 1",
            "247 6 44002 0",
            "247 6 44001 60",
            "247 6 44000 1",
            "247 6 44002 1000",
        ],
        "discharge": ["247 6 44001 60", "247 6 44000 1", "247 6 44002 3000"],
        "release": ["247 6 44002 0", "247 6 44000 0"],
        "floor": ["247 6 41009 21"],
    },
    "foxess_h3_smart": {
        "charge": [
            "247 6 46002 60",
            "247 6 46001 1",
            "247 16 46003 0 0",
            "247 6 46002 60",
            "247 6 46001 1",
            "247 16 46003 0 1000",
        ],
        "discharge": ["247 6 46002 60", "247 6 46001 1", "247 16 46003 0 3000"],
        "release": ["247 16 46003 0 0", "247 6 46001 0"],
        "floor": ["247 6 46611 21"],
    },
    # time-out with its action; grid 0, minimum = maximum in six words, + is charging
    "sofar_hyd_g3": {
        "charge": ["1 16 4368 3", "1 16 4484 300 1", "1 16 4487 0 0 0 1000 0 1000"],
        "discharge": ["1 16 4484 300 1", f"1 16 4487 0 0 65535 {MINUS_1000} 65535 {MINUS_1000}"],
        "release": ["1 16 4368 0"],
    },
    "sma_storage": {
        "charge": [f"3 16 40149 65535 {MINUS_1000}", "3 16 40151 0 802"],
        "discharge": ["3 16 40149 0 1000", "3 16 40151 0 802"],
        "release": ["3 16 40151 0 803"],
    },
    # 130 s asked = 3 minutes
    "huawei_luna": {
        "charge": ["1 6 47083 3", "1 16 47247 0 1000", "1 16 47249 0 0", "1 6 47100 1"],
        "discharge": ["1 6 47083 3", "1 16 47247 0 0", "1 16 47249 0 1000", "1 6 47100 2"],
        "release": ["1 6 47100 0", "1 16 47247 0 0", "1 16 47249 0 0"],
        "floor": ["1 6 47082 205"],
    },
    # tens of watts
    "solis_hybrid": {
        "charge": ["1 6 43110 96", "1 6 43129 0", "1 6 43136 100", "1 6 43135 1"],
        "discharge": ["1 6 43129 100", "1 6 43136 0", "1 6 43135 2"],
        "release": ["1 6 43135 0", "1 6 43129 0", "1 6 43136 0", "1 6 43110 33"],
        "floor": ["1 6 43011 21"],
    },
    # percent of 10 kW, + is charging
    "growatt_vpp": {
        "charge": ["1 6 30100 1", "1 6 30408 2", "1 6 30409 10", "1 6 30407 1"],
        "discharge": ["1 6 30408 2", f"1 6 30409 {0x10000 - 10}", "1 6 30407 1"],
        "release": ["1 6 30409 0", "1 6 30407 0", "1 6 30100 0"],
        "floor": ["1 6 30405 21"],
    },
    # mode, then command, then watts; 0xCC between the directions
    "sungrow_sh": {
        "charge": ["1 6 13049 2", "1 6 13050 170", "1 6 13051 1000"],
        "discharge": ["1 6 13050 204", "1 6 13051 0", "1 6 13050 187", "1 6 13051 1000"],
        "release": ["1 6 13050 204", "1 6 13051 0", "1 6 13049 0"],
        "floor": ["1 6 13058 205"],
    },
    # 8 = standby between the directions; the floor is a depth of discharge
    "goodwe_et": {
        "charge": ["247 6 47511 8", "247 6 47511 11", "247 6 47512 1000"],
        "discharge": ["247 6 47511 8", "247 6 47512 0", "247 6 47511 12", "247 6 47512 1000"],
        "release": ["247 6 47511 1", "247 6 47512 0"],
        "floor": ["247 6 45356 79"],
    },
    "eg4_luxpower": {"floor": ["1 6 105 21"]},
    # 0.1 % of 20 kW, + is discharging; the owner's 141 and 145 come back
    "deye_3p_hv": {
        "charge": [
            "1 16 141 1",
            "1 16 145 1",
            "1 16 1100 1 60",
            "1 16 1104 1 2",
            "1 16 1109 0",
            "1 16 1101 60",
            f"1 16 1109 {0x10000 - 50}",
        ],
        "discharge": ["1 16 1101 60", "1 16 1109 50"],
        "release": ["1 16 1109 0", "1 16 1100 0", "1 16 141 0", "1 16 145 0"],
        "floor": ["1 16 117 21"],
    },
}


def written(frames: list[bytes]) -> list[str]:
    """Every write of what was sent, taken apart by hand."""
    lines = []
    for frame in frames:
        unit, function, body = frame[0], frame[1], frame[2:-2]
        if function == 6:
            lines.append(f"{unit} 6 {int.from_bytes(body[:2], 'big')} {int.from_bytes(body[2:], 'big')}")
        elif function == 16:
            words = [int.from_bytes(body[n : n + 2], "big") for n in range(5, len(body), 2)]
            assert (int.from_bytes(body[2:4], "big"), body[4]) == (len(words), 2 * len(words))
            lines.append(f"{unit} 16 {int.from_bytes(body[:2], 'big')} {' '.join(map(str, words))}")
        else:
            assert function in (1, 2, 3, 4)
    return lines


@pytest.mark.parametrize("name", FACTS)
def test_what_is_sent_is_what_is_published(name: str) -> None:
    vector = next(v for v in vectors() if v.name == name)
    stage = Stage(vector) if "charge" in FACTS[name] else Floored(vector)
    for what, write_class, value in ORDERS:
        if what in FACTS[name]:
            stage.wire.sent.clear()
            stage.confirmed(write_class, value)
            assert written([frame for _, frame in stage.wire.sent]) == FACTS[name][what], what


class Floored(Stage):
    """A device of which only the floor is written."""

    def __init__(self, vector: Vector) -> None:
        self.vector, self.wire = vector, vector.wire()
