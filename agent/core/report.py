"""What a cycle has to say of changes: events for the outbox, notices for the log."""

from __future__ import annotations

from agent.core.arbiter import Proposal, Rank
from agent.core.book import Cycle
from agent.core.decision import LimitValue, Mode, Record, Side
from agent.core.selftest import Looked, failed, verdict
from agent.core.snapshot import Snapshot
from agent.core.standing import Evaluated, remedy, severity

FIRST = {
    Rank.CELL_CURE: ("bms", "the battery's own cells come first"),
    Rank.REQUEST: ("bms", "the battery asks to be charged, which comes first"),
    Rank.SITE: ("site", "what the site may import and export comes first"),
    Rank.RESTORE: ("homeowner", "the home's own reserve comes first"),
    Rank.STORM: ("homeowner", "the homeowner's storm reserve comes first"),
    Rank.TECHNICIAN: ("technician", "somebody at home has taken over"),
}

SPENT = LimitValue(
    "wear_share",
    Side.BOTH,
    0,
    "dispatch has used its part of the day's writes that wear the inverter out; the rest is the home's own",
    "agent",
)


def first(wish: Proposal) -> LimitValue:
    """What won over a command, as the reason that its sender is told."""
    owner, words = FIRST.get(wish.rank, ("utility", "a dispatch comes first"))
    return LimitValue(wish.source, Side.BOTH, 0, f"{words}: {wish.source}", owner)


def less(s: Snapshot, given_w: int | None) -> LimitValue:
    """The inverter gives less than it was told: the reason that the command's sender hears."""
    gives_w = abs(s.battery_w or 0)
    side = Side.CHARGE if given_w is not None and given_w < 0 else Side.DISCHARGE
    sentence = f"the inverter gives {gives_w} W of the {abs(given_w or 0)} W that it was told"
    return LimitValue("setpoint_short", side, gives_w, sentence, "inverter")


def mode(before: Mode, now: Mode, say: Cycle) -> None:
    """A change of mode is a notice; its causes are the events."""
    if now is not before:
        say.notices.append(f"{before.value} -> {now.value}")


def faults(checked: Evaluated, say: Cycle) -> None:
    """Faults that came and went in this cycle."""
    for memory in checked.memory:
        if memory.id not in checked.raised and memory.id not in checked.cleared:
            continue
        word = "fault_raised" if memory.active else "fault_cleared"
        body = {
            "event": word,
            "fault": memory.id,
            "severity": severity(memory).name.lower(),
            "sentence": memory.sentence,
        }
        say.records.append(Record("event", body))
        if memory.active:
            say.notices.append(f"fault {memory.id}: {memory.sentence}. {remedy(memory)}")
        else:
            say.notices.append(f"fault {memory.id} is over")


def floor(found_permille: int, foreign: bool, reserve_permille: int, say: Cycle) -> None:
    """The inverter's own floor was not the reserve."""
    body = {
        "event": "floor",
        "found_permille": found_permille,
        "reserve_permille": reserve_permille,
        "foreign": foreign,
    }
    say.records.append(Record("event", body))
    who = "by another hand" if foreign else "before we set it"
    say.notices.append(f"the inverter's own floor was {found_permille} permille {who}: set to {reserve_permille}")


def self_test(before_ns: int, looked: Looked, say: Cycle) -> None:
    """The self-test has looked at everything since: what it found."""
    if looked.at_ns == before_ns:
        return
    found = verdict(looked)
    say.records.append(Record("event", {"event": "self_test", "ok": failed(looked) is None, "result": found}))
    say.notices.append(f"self-test {found}")
