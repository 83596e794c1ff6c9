"""Who may ask for what at the gateway."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.durable import Durable, OptOut, Overlay
from agent.core.inputs import Clock, ClockTrust, EndRaise, OptsIn, OptsOut, Overrides, RaiseReserve
from agent.mail import Verb, VerbDone
from agent.runtime.part import Post
from agent.verbs import raised, refuse, resumed, settled, stopped, storm, taken
from tests.core.home import PARAMS

BARE = Durable()
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


# --- a storm ----------------------------------------------------------------------------------------------------------
CLOCK = Clock(1_000_000_000, ClockTrust.SYNCED, "kernel", "boot")
THERE = Overlay("storm", "storm", 800, "homeowner", "ann", "snow", 999_000_000, 1_100_000_000, 101_000, 1, 1, "kernel")


def asked(role: str, value: int, *there: Overlay, **keys: Any) -> Any:
    return storm(Verb(1, "storm", "bob", role, value, **keys), there, CLOCK, PARAMS)


def test_a_storm_becomes_a_raise_in_the_name_of_the_one_who_asks() -> None:
    assert refuse(Verb(1, "storm", "bob", "technician", 800), BUSES, 200, 100) is None
    wanted = asked("technician", 800, for_s=3600)
    assert wanted == RaiseReserve("storm", "storm", 800, "technician", "bob", "a storm is expected", 0, 0, 3600)
    dated = asked("homeowner", 900, start_ms=CLOCK.wall_ms, end_ms=CLOCK.wall_ms + 1000, text="snow")
    assert (dated.owner, dated.reason, dated.start_ms, dated.end_ms) == ("homeowner", "snow", 10**9, 10**9 + 1000)


def test_what_the_core_would_refuse_is_refused_with_its_words() -> None:
    done = asked("technician", 50, for_s=3600).event
    assert (done.code, done.text) == (4, "refused: a reserve of 5.0 % is outside 10.0 % to 100.0 %")
    assert done.body == {"pin_helps": False}
    less = asked("technician", 700, THERE, for_s=3600).event
    assert less.code == 4
    assert less.body == {"pin_helps": True}
    assert isinstance(asked("homeowner", 700, THERE, for_s=3600), RaiseReserve)


def test_only_the_homeowner_ends_a_storm() -> None:
    assert asked("technician", 0, THERE).event.code == 4
    assert asked("homeowner", 0, THERE) == EndRaise("storm", "bob")


def test_the_answer_says_so_when_a_restart_would_forget_it() -> None:
    verb = Verb(1, "storm", "bob", "homeowner", 800)
    assert raised(verb, True).event.text == "the reserve will be 80.0 % for the storm"  # type: ignore[attr-defined]
    assert raised(verb, False).event.text.endswith("so a restart would forget it")  # type: ignore[attr-defined]
    ended = raised(Verb(1, "storm", "bob", "homeowner", 0), True).event
    assert ended.text == "the storm's raise is ended"  # type: ignore[attr-defined]


def told(post: Post) -> tuple[int, str]:
    assert isinstance(post.event, VerbDone)
    return post.event.code, post.event.text


def test_resume_answers_what_came_of_it() -> None:
    verb = Verb(1, "resume", "ann", "technician")
    assert told(resumed(verb, Durable())) == (0, "resumed")
    code, text = told(resumed(verb, Durable(lockout="a cell is at 61.0 °C")))
    assert code == 4
    assert "still locked out: a cell is at 61.0 °C" in text
    code, text = told(resumed(verb, Durable(latches=("meter_wrong",))))
    assert code == 4
    assert "meter_wrong" in text
    code, text = told(resumed(verb, Durable(stopped_by="ann")))
    assert code == 4
    assert "not resumed" in text


def test_a_stop_that_no_disk_keeps_says_so() -> None:
    verb = Verb(1, "stop", "ann", "technician")
    assert told(stopped(verb, True)) == (0, "dispatch is ended and held off until `batteryctl resume`")
    assert "look with `batteryctl status` after a restart" in told(stopped(verb, False))[1]


# --- opting out, override ---------------------------------------------------------------------------------------------
HOMEOWNERS = OptOut("ann (homeowner)", "homeowner", 1)


def wish(verb: str, role: str, durable: Durable = BARE, **more: Any) -> Any:
    return taken(Verb(1, verb, "ann", role, **more), durable)


def test_opting_out_and_in_again_become_events() -> None:
    assert wish("optout", "technician", for_s=3600) == OptsOut("ann", "technician", 3600)
    assert wish("optin", "technician") == OptsIn("ann")
    assert wish("optin", "homeowner", Durable(opted_out=HOMEOWNERS)) == OptsIn("ann")


def test_only_the_homeowner_ends_the_homeowners_opt_out() -> None:
    for verb in ("optin", "optout"):
        told = wish(verb, "technician", Durable(opted_out=HOMEOWNERS))
        assert told.event.code == 4, "an opt-out of a second in its place would end it"
    refused = wish("optin", "technician", Durable(opted_out=HOMEOWNERS)).event
    assert (refused.code, refused.body["pin_helps"]) == (4, True)
    mine = OptOut("bob (technician)", "technician", 1)
    assert wish("optin", "technician", Durable(opted_out=mine)) == OptsIn("ann")


def test_an_opt_in_ends_no_stop_and_acknowledges_nothing() -> None:
    """They are facts of their own: it goes the way of the opt-out alone."""
    assert wish("optin", "homeowner", Durable(stopped_by="bob", latches=("over_voltage",))) == OptsIn("ann")


@pytest.mark.parametrize(("value", "for_s", "fits"), [(3000, 60, True), (-1500, 14_400, True), (0, 0, False),
                                                      (0, 14_401, False), (1_000_001, 60, False)])  # fmt: skip
def test_an_override_has_a_power_and_an_end(value: int, for_s: int, fits: bool) -> None:
    asked = wish("override", "technician", value=value, for_s=for_s)
    assert asked == Overrides("ann", value, for_s) if fits else asked.event.code == 2


def test_an_override_is_ended_by_its_word_and_needs_a_running_agent() -> None:
    assert wish("override", "technician", text="off") == Overrides("ann", None)
    assert wish("override", "technician", Durable(stopped_by="bob"), value=5, for_s=60).event.code == 4
    assert wish("override", "technician", Durable(lockout="flapping"), value=5, for_s=60).event.code == 4


@pytest.mark.parametrize("verb", ["optout", "optin", "override"])
def test_a_viewer_may_not_speak_for_the_home(verb: str) -> None:
    assert code(verb, "viewer") == 4
    assert code(verb, "technician") is None


def test_what_was_taken_is_told_with_its_length() -> None:
    def say(verb: str, ok: bool = True, **more: Any) -> tuple[int, str]:
        return told(settled(Verb(1, verb, "ann", "technician", **more), ok))

    assert say("optout", for_s=5400)[1].startswith("opted out for 1 h 30 min")
    assert "until `batteryctl optin`" in say("optout")[1]
    assert say("optin") == (0, "the home takes part again")
    assert "after a restart" in say("optin", ok=False)[1]
    assert say("override", text="off") == (0, "the override is ended")
    assert say("override", value=-500, for_s=90)[1].startswith("the battery is held at -500 W for 1 min 30 s")
