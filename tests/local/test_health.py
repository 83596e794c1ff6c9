"""The health check: what is wrong, worst first, with the next step."""

from __future__ import annotations

import dataclasses

import pytest

from agent.core.decision import FaultValue
from agent.core.inputs import Clock, ClockTrust
from agent.local.health import STALLED_NS, health_items
from agent.local.view import status_json
from agent.mail import DiskState, View
from agent.runtime.part import Now
from drivers.events import Presence
from tests.local.home import DEVICES, HOME, LINK, NOW, S, decided, home, troubled


def ids(view: View, now: Now = NOW) -> list[tuple[object, object]]:
    return [(item["id"], item["level"]) for item in health_items(view, now)]


def test_a_healthy_home_has_nothing_to_say() -> None:
    assert ids(HOME) == []


def test_worst_comes_first() -> None:
    assert ids(troubled()) == [
        ("bms_stale", "fault"),
        ("device_silent", "fault"),
        ("device_mismatch", "fault"),
        ("stopped", "warn"),
        ("link_down", "warn"),
    ]


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
        (home(disk=DiskState(False, "read-only file system")), ("disk", "fault")),
        (home(reserve_source="unreadable"), ("reserve_unconfirmed", "warn")),
        (home(clock=Clock(NOW.wall_ms, ClockTrust.UNTRUSTED, "k", "b")), ("clock", "warn")),
        (home(link=dataclasses.replace(LINK, fresh=False)), ("link_not_fresh", "warn")),
        (home(devices=()), None),
        (home(link=None, disk=None), None),
        (decided(grid="islanded"), ("islanded", "note")),
    ],
)
def test_each_trouble_has_its_item(view: View, expected: tuple[str, str] | None) -> None:
    assert ids(view) == ([] if expected is None else [expected])


def test_a_note_is_not_unhealthy() -> None:
    assert status_json(decided(grid="islanded"), "0.1.0", NOW)["code"] == 0


def test_identifying_is_a_note() -> None:
    device = dataclasses.replace(DEVICES[0], presence=Presence.IDENTIFYING)

    assert ids(home(devices=(device,))) == [("device_identifying", "note")]
