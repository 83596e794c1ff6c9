"""Everything `step` carries from one cycle to the next, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.core.accounts import NOTHING as UNACCOUNTED
from agent.core.accounts import Ledger
from agent.core.actuation import Actuation
from agent.core.astray import Astray
from agent.core.beneath import NOTHING, Beneath
from agent.core.book import Book
from agent.core.bounds import Evaluated
from agent.core.commits import Desk
from agent.core.crew import Crew
from agent.core.decision import Mode
from agent.core.inputs import Event
from agent.core.oblige import Obliged
from agent.core.overlay import Said
from agent.core.people import Override
from agent.core.snapshot import Trace
from agent.core.standing import Memory
from agent.core.strategies import price
from agent.core.throughput import Spent
from agent.core.trim import NOTHING as UNTRIMMED
from agent.core.trim import Trim
from agent.core.writes import Hand


@dataclass(frozen=True, slots=True)
class State:
    """One value. `initial` makes the first, `step` every other."""

    boot_ns: int
    now_ns: int
    mode: Mode
    book: Book
    desk: Desk
    trace: Trace
    hand: Hand = field(default_factory=Hand)  # on the inverter; on all of them as one, where there are several
    crew: Crew = ()  # each of several inverters
    actuation: Actuation = field(default_factory=Actuation)
    astray: Astray | None = None
    beneath: Beneath = NOTHING
    trim: Trim = UNTRIMMED
    testing_ns: int = 0  # the first cycle of the self-test
    unread: str | None = None  # what the self-test waited for in vain
    faults: tuple[Memory, ...] = ()
    bounds: Evaluated | None = None
    spent: Spent = field(default_factory=Spent)
    fresh: bool = False  # a signed time has echoed this boot's nonce
    resumed: bool = False  # a technician has resumed since this boot
    ramped_w: int | None = None  # the setpoint before it was rounded to the device's step; None = released
    obliged: Obliged = field(default_factory=Obliged)
    dates: tuple[Said, ...] = ()  # what the clock says of every raise
    ledger: Ledger = UNACCOUNTED
    looked_ns: int = 0  # the self-test that was told last
    cure: str | None = None  # source of the last cycle's wish, where it was the battery's or the storm's
    internal: str | None = None  # what went wrong inside the last cycle
    unheard: tuple[Event, ...] = ()  # events of cycles that went wrong
    override: Override | None = None  # somebody at home holds the battery at a power
    price: price.Choice = price.NOTHING  # what the price list was taken to ask for
    failed: int = 0  # so many cycles in a row went wrong
