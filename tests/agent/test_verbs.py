"""Who may ask for what at the gateway."""

from __future__ import annotations

import pytest

from agent.mail import Verb, VerbDone
from agent.runtime.part import Post
from agent.verbs import refuse

BUSES = {"inverter": "rs485"}


def code(verb: str, role: str, value: int = 0, text: str = "") -> int | None:
    post = refuse(Verb(1, verb, "ann", role, value, text), BUSES, 200, 100)
    if post is None:
        return None
    assert isinstance(post, Post)
    assert isinstance(post.event, VerbDone)
    return post.event.code


@pytest.mark.parametrize("verb", ["stop", "resume", "adopt"])
def test_a_viewer_changes_nothing(verb: str) -> None:
    assert code(verb, "viewer", text="inverter") == 4
    assert code(verb, "technician", text="inverter") is None


def test_only_a_device_of_the_home_is_adopted() -> None:
    assert code("adopt", "technician", text="toaster") == 2


def test_only_the_homeowner_lowers_the_reserve() -> None:
    assert code("reserve", "technician", 150) == 4
    assert code("reserve", "homeowner", 150) is None
    assert code("reserve", "technician", 250) is None


def test_an_unknown_verb_is_usage() -> None:
    assert code("explode", "homeowner") == 2
