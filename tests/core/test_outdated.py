"""The state is that of an older day: what it brought along may have been ended since."""

from __future__ import annotations

from agent.core.command import CommandKind
from agent.core.durable import SIGNED_AFTER, Window
from agent.core.inputs import FreshTime, Outdated
from tests.core.home import Home, arriving, command


def test_what_an_older_state_brought_along_ends_and_what_comes_afterwards_is_taken() -> None:
    home = Home().ready()
    home.tick(arriving(command(1)))
    home.tick(arriving(command(2, kind=CommandKind.DISPATCH, start_ms=home.clock().wall_ms + 600_000)))
    home.run(3)
    assert home.states()[-1] == "started"
    again = home.crash()
    again.run(3)
    assert again.powers(), "an ordinary restart goes on with it, and nobody knows of anything else yet"
    again.tick(Outdated(1_234), FreshTime())
    assert (again.states(1)[-1], again.states(2)[-1]) == ("failed", "failed")
    again.run(2)
    assert again.remote_w is None
    assert dict(again.state.book.durable.windows)[SIGNED_AFTER] == Window(1_234, 0)
    again.tick(arriving(command(3)))
    again.run(3)
    assert again.states(3)[-1] == "started"
