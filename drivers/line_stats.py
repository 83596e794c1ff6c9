"""The counters of a line as the agent is told them. Pure."""

from __future__ import annotations

from drivers.events import BusStats, UnitStats
from drivers.port import Port


def stats_of(bus: str, port: Port) -> BusStats:
    """Since the start, of the line and of each unit that is on it."""
    c = port.counters
    units = tuple(
        UnitStats(unit, sum(tally.waits), tally.exceptions, tally.crc_errors, tally.timeouts, tuple(tally.waits))
        for unit, tally in port.tallies.items()
    )
    return BusStats(
        bus=bus,
        transactions=c.transactions,
        crc_errors=c.crc_errors,
        timeouts=c.timeouts,
        exceptions=c.exceptions,
        foreign=c.foreign,
        retries=c.retries,
        late=c.late,
        requests=c.requests,
        noise=c.noise,
        echoes=c.echoes,
        units=units,
        notes=port.overheard.notes(),
    )
