"""What others ask for beside the home's own wish, and what they are told of it."""

from __future__ import annotations

from agent.core import arbiter, dispatch, due, people, report
from agent.core.arbiter import Proposal, Rank
from agent.core.book import Book, Cycle
from agent.core.due import Asks
from agent.core.params import Params
from agent.core.people import Override
from agent.core.setpoint import Answer
from agent.core.snapshot import Snapshot
from agent.core.strategies import dispatch as dispatching
from agent.core.strategies import grid_limit, price

Given = tuple[Proposal, Answer, int | None]  # the wish that won, what it gets, and the setpoint of this cycle


def wishes(
    asks: Asks, own: Proposal, held: Override | None, before: price.Choice, ruling_w: int | None, s: Snapshot, p: Params
) -> tuple[Proposal, price.Choice]:
    """The wish that wins over the home's `own`, and what the prices were taken to say. `ruling_w`: the setpoint of
    now."""
    test = people.propose(held, s.now_ns)
    if asks is due.NOTHING:
        return arbiter.choose((test, own)), price.NOTHING
    choice, marks = price.choose(before, asks.price, s.now_ns, p)
    tariff = price.propose(choice, asks.price, marks, s, p, ruling_w)
    wish = arbiter.choose((test, dispatching.propose(asks), dispatching.scheduled(asks), tariff, own))
    if asks.imports is not None or asks.exports is not None:
        wish = grid_limit.within(wish, asks, s, p.dead_band_w, ruling_w)
    return wish, choice


def answers(book: Book, asks: Asks, given: Given, quiet: tuple[bool, bool, bool], s: Snapshot, say: Cycle) -> Book:
    """What they are told of this cycle. `quiet`: nothing is written; the day's wearing writes are used; the inverter
    gives less than it was told."""
    wish, answer, given_w = given
    rests, worn, short = quiet
    bound = answer.binding if answer.limited else report.less(s, given_w) if short else None
    for record, wanted_w in ((asks.power, asks.power_w), (asks.schedule, asks.schedule_w)):
        if record is None or wanted_w is None:
            continue
        told = bound
        if wish.command_id != record.command.id:
            told = report.first(wish) if wish.rank < Rank.DISPATCH or not worn else report.SPENT
        book = dispatch.limit(book, record, given_w, told, say)
    limits = {id(r): r for r in (asks.imports, asks.exports) if r is not None and r is not asks.power}
    for record in limits.values():
        if not rests and not worn:
            book = dispatch.in_force(book, record, "in force: the battery keeps the grid inside it", say)
        cause = bound if rests or wish.rank >= Rank.DISPATCH else report.first(wish)
        kept = grid_limit.broken_by(record, asks, s, given_w, cause, say.params)
        book = dispatch.limit(book, record, given_w, kept, say)
    return book
