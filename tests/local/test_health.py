"""The health check: what is wrong, worst first, with the next step."""

from __future__ import annotations

import dataclasses

import pytest

from agent.core.decision import FaultValue
from agent.core.durable import OptOut
from agent.local.health import STALLED_NS, health_items
from agent.local.view import status_json
from agent.mail import View
from agent.runtime.part import Now
from drivers.events import Presence
from tests.local.home import DECISION, DEVICES, HOME, LINK, NOW, S, decided, home, troubled


def ids(view: View, now: Now = NOW) -> list[tuple[object, object]]:
    return [(item["id"], item["level"]) for item in health_items(view, now)]


def test_a_healthy_home_has_nothing_to_say() -> None:
    assert ids(HOME) == []


def test_worst_comes_first_and_what_two_say_is_said_once() -> None:
    assert ids(troubled()) == [
        ("battery_stale", "fault"),
        ("device_mismatch", "fault"),
        ("stopped", "warn"),
        ("link_down", "warn"),
    ]


def test_a_stale_device_tells_what_its_bus_saw() -> None:
    assert health_items(troubled(), NOW)[0] == {
        "id": "battery_stale",
        "level": "fault",
        "text": "no good reading of the battery for more than 5.0 s: unit 1 does not answer",
        "next": "check its power, wiring, unit number and baud rate",
        "since_s": 7,
    }


def test_a_device_that_has_just_fallen_silent_is_told_before_the_table_has_it() -> None:
    early = dataclasses.replace(troubled(), decision=DECISION)

    assert health_items(early, NOW)[0] == {
        "id": "device_silent",
        "level": "fault",
        "text": "battery pack: unit 1 does not answer",
        "next": "check its power, wiring, unit number and baud rate",
    }


def test_one_sentence_of_two_faults_is_said_once() -> None:
    island = FaultValue("grid_lost", "backup", "the inverter runs the house as an island", "None: wait.", NOW.mono_ns)
    unknown = dataclasses.replace(island, id="grid_unknown")

    view = decided(faults=(island, unknown))

    assert ids(view) == [("grid_lost", "note")]
    assert health_items(view, NOW)[0]["next"] == "nothing to do: wait."
    assert status_json(view, "0.1.0", NOW)["code"] == 0, "a note is not unhealthy"


def test_a_mismatch_says_how_to_adopt() -> None:
    items = {item["id"]: item for item in health_items(troubled(), NOW)}

    assert items["device_mismatch"]["next"] == "if it was replaced on purpose: batteryctl device adopt hybrid"


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("warn", "warn"),
        ("DERATE", "warn"),
        ("degraded", "fault"),
        ("lockout", "fault"),
        ("backup", "note"),
        ("typo", "fault"),
    ],
)
def test_a_severity_that_is_not_known_is_shown_as_the_worst(severity: str, level: str) -> None:
    fault = FaultValue("x", severity, "it is so", "do this", NOW.mono_ns - 3 * S)

    items = health_items(decided(faults=(fault,)), NOW)

    assert items == [{"id": "x", "level": level, "text": "it is so", "next": "do this", "since_s": 3}]


def test_control_that_stands_still_is_a_fault_from_three_cycles_on() -> None:
    on_time = Now(HOME.at_ns + STALLED_NS, NOW.wall_ms)
    late = Now(HOME.at_ns + STALLED_NS + 1, NOW.wall_ms)

    assert ids(HOME, on_time) == []
    assert ids(HOME, late) == [("control_stalled", "fault")]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (home(link=dataclasses.replace(LINK, fresh=False)), [("link_not_fresh", "warn")]),
        (home(link=dataclasses.replace(LINK, up=False)), [("link_down", "warn")]),
        (home(stopped_by="anna"), [("stopped", "warn")]),
        (home(opted_out=OptOut("anna", "homeowner", 1)), [("opted_out", "note")]),
        (home(devices=(), link=None, disk=None), []),
    ],
)
def test_what_the_table_cannot_know_is_added(view: View, expected: list[tuple[str, str]]) -> None:
    assert ids(view) == expected


def test_a_dead_line_is_one_fault_of_three_devices() -> None:
    gone = [dataclasses.replace(d, presence=Presence.ABSENT, detail="its line is gone: no such port") for d in DEVICES]

    items = health_items(home(devices=tuple(gone)), NOW)

    assert [item["text"] for item in items] == [
        "battery pack, meter grid, inverter hybrid: its line is gone: no such port"
    ]


def test_identifying_is_a_note() -> None:
    device = dataclasses.replace(DEVICES[0], presence=Presence.IDENTIFYING)

    assert ids(home(devices=(device,))) == [("device_identifying", "note")]
