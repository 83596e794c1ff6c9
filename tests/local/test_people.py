"""What status and why say of somebody who opted out, and of a wish that has its own reason."""

from __future__ import annotations

import dataclasses

from agent.core.durable import OptOut
from agent.local.reason import because_text
from agent.local.view import status_json
from tests.local.home import HOME, NOW, home


def test_status_says_who_opted_out_and_for_how_long() -> None:
    wall_ms = HOME.clock.wall_ms
    view = home(opted_out=OptOut("ann (homeowner)", "homeowner", wall_ms, wall_ms + 5_400_000))
    control = status_json(view, "1", NOW)["control"]
    assert isinstance(control, dict)
    assert str(control["text"]).startswith("opted out by ann (homeowner) for 1 h 30 min more; ")
    assert (control["opted_out_by"], control["opted_out_until_ms"]) == ("ann (homeowner)", wall_ms + 5_400_000)
    open_end = status_json(home(opted_out=OptOut("ann", "technician", wall_ms)), "1", NOW)["control"]
    assert isinstance(open_end, dict)
    assert str(open_end["text"]).startswith("opted out by ann; ")
    assert open_end["opted_out_until_ms"] is None


def test_a_wish_with_a_reason_of_its_own_tells_it() -> None:
    told = "a kWh costs 0.310, and 0.310 or more is dear"
    decision = dataclasses.replace(HOME.decision, binding=None, asked_w=500, given_w=500, because=told)
    assert because_text(decision) == told
