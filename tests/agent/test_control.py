"""The shell around the core: what it hands in and out, where the core cannot see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import mail
from agent.compose import compose
from agent.config import EXAMPLE, load
from agent.control import Control
from agent.core.decision import Intent, Outputs, Write
from agent.core.inputs import Inputs
from agent.gate import Evidence
from agent.runtime.part import Effect, Now, Post, Start
from drivers.readings import DeviceRole, GridState
from tests.agent import rig

S = 1_000_000_000
SECOND = """
[[device]]
name = "inverter2"
role = "inverter"
profile = "sunspec_hybrid"
bus = "rs485"
unit = 9
"""


class Home:
    """Control alone, composed of the example; its effects since the last look."""

    def __init__(self, tmp_path: Path, text: str = EXAMPLE) -> None:
        path = tmp_path / "batteryd.toml"
        path.write_text(text.replace("[site]", f'state_dir = "{tmp_path / "state"}"\n\n[site]', 1), "utf-8")
        agent = compose(load(path), boot="0" * 32, kernel_boot="k", draw=lambda: 0, random=bytes)
        control = agent.parts["control"]
        assert isinstance(control, Control)
        self.control = control
        self._at_s = 1
        self.effects: list[Effect] = []
        self.say(Start())

    def say(self, event: object) -> None:
        self._at_s += 1
        now = Now(self._at_s * S, 1_760_000_000_000 + self._at_s * 1000)
        self.effects = list(self.control.handle(event, now))

    def posted(self, kind: type) -> list[object]:
        return [e.event for e in self.effects if isinstance(e, Post) and isinstance(e.event, kind)]

    @property
    def reserve(self) -> int:
        views = self.posted(mail.View)
        assert isinstance(views[-1], mail.View)
        return views[-1].reserve_permille

    def asks(self, conn: int, permille: int) -> None:
        self.say(mail.Verb(conn, "reserve", "ann", "homeowner", permille))

    def answered(self) -> list[tuple[int, int]]:
        return [(told.conn, told.code) for told in self.posted(mail.VerbDone) if isinstance(told, mail.VerbDone)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.asks(1, 300)
    home.say(mail.ReserveStored(300, None))
    assert home.reserve == 300
    return home


def test_a_reserve_is_followed_upward_at_once_and_told_when_it_is_kept(home: Home) -> None:
    home.asks(2, 400)
    assert home.reserve == 400
    assert home.answered() == []
    home.say(mail.ReserveStored(400, None))
    assert home.reserve == 400
    assert home.answered() == [(2, 0)]


def test_a_reserve_is_followed_downward_when_it_is_kept(home: Home) -> None:
    home.asks(2, 200)
    assert home.posted(mail.WriteReserve) == [mail.WriteReserve(200, "ann")]
    home.say(mail.ReserveStored(200, None))
    assert home.reserve == 200
    assert home.answered() == [(2, 0)]


def test_a_raise_that_cannot_be_kept_counts_until_the_next_start(home: Home) -> None:
    home.asks(2, 400)
    home.say(mail.ReserveStored(300, "the disk is full"))
    assert home.answered() == [(2, 5)]
    home.say(rig.inverter(grid_state=GridState.ISLANDED))
    assert home.reserve == 400


def test_each_of_two_who_set_it_at_once_gets_the_answer_to_what_was_asked(home: Home) -> None:
    home.asks(2, 400)
    home.asks(3, 600)
    home.say(mail.ReserveStored(400, None))
    assert home.answered() == [(2, 0)]
    assert home.reserve == 600  # the second was a raise, too, and waits for no disk
    home.say(mail.ReserveStored(600, None))
    assert home.answered() == [(3, 0)]
    assert home.reserve == 600


def test_the_gate_judges_a_write_by_the_readings_of_the_inverter_that_it_is_for(tmp_path: Path) -> None:
    home = Home(tmp_path, EXAMPLE + SECOND)
    first, second = [name for name, role in home.control._home.role_of.items() if role is DeviceRole.INVERTER]
    home.say(rig.inverter(device=first))
    home.say(rig.inverter(device=second, grid_state=GridState.ISLANDED))
    seen: list[tuple[str, Evidence]] = []

    class Gate:
        def admit(self, write: Write, decision: object, binding: object, evidence: Evidence) -> str:
            seen.append((write.device, evidence))
            return "not here"

    home.control._gate = Gate()  # type: ignore[assignment]  # asks nothing of it but this
    writes = tuple(Write(Intent.POWER, 1000, "", name) for name in (first, second))
    inputs: Inputs = home.control._freeze(Now(9 * S, 0))

    home.control._writes(Outputs(rig.decision(), writes, None), inputs)

    assert [(name, e.inverter.device, e.inverter.grid_state) for name, e in seen if e.inverter is not None] == [
        (first, first, GridState.CONNECTED),
        (second, second, GridState.ISLANDED),
    ]
