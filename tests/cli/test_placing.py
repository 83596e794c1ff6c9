"""When a record is of, where its own clock was not to be trusted; and which stretch of the chain proves a month."""

from __future__ import annotations

from typing import Any

from agent.core.inputs import ClockTrust
from agent.tools.placing import place
from agent.tools.stretch import Read, covering
from agent.tools.totals import of_month
from tests.core.test_accounts import Tally

NOVEMBER = (1_698_796_800_000, 1_701_388_800_000)
DAY_MS = 86_400_000


class Home(Tally):
    """Its records as they are sent: with the clock of the moment."""

    def __init__(self) -> None:
        super().__init__(registers=True)
        self.true_ms = self.offset_ms

    def follow(self) -> None:
        known = len(self.records)
        super().follow()
        for record in self.records[known:]:
            record |= {"iat": self.wall_ms, "clock": str(self.trust)}

    def dark(self, seconds: int = 7200) -> None:
        """So long on a clock of 1970, at 1 Wh a second."""
        self.trust, self.offset_ms = ClockTrust.UNTRUSTED, -self.now_ns // 1_000_000
        for _ in range(seconds // 5):
            assert self.registers is not None
            self.registers[0] += 5
            self.put(0, 3600, 5)

    def bright(self, seconds: int = 2000) -> None:
        self.trust, self.offset_ms = ClockTrust.SYNCED, self.true_ms
        for _ in range(seconds // 5):
            self.put(0, 0, 5)

    def import_wh(self, begin: int, end: int) -> tuple[int, int]:
        """Placed (in gaps too), and without a place."""
        totals = of_month(place(self.records), "", begin, end)
        return totals.energy["import_wh"] + totals.gap_wh["import_wh"], totals.unplaced_wh["import_wh"]


def test_energy_before_the_clock_was_trusted_is_placed_by_the_clock_record() -> None:
    home = Home()
    home.dark()
    home.bright()
    imported, unplaced = home.import_wh(*NOVEMBER)
    assert (imported, unplaced) == (7195, 0)  # registers count from the first cycle on
    assert home.import_wh(0, DAY_MS) == (0, 0)
    first = next(p for p in place(home.records) if p.body["record"] == "interval")
    assert first.ms is not None
    assert abs(home.wall_ms - 9_200_000 - first.ms) < 10_000


def test_a_start_without_a_clock_lies_between_its_neighbours_of_one_month() -> None:
    home = Home()
    home.bright()
    home.restart(off_s=600)
    home.dark(1000)
    home.restart(off_s=600)
    home.bright()
    assert home.import_wh(*NOVEMBER) == (1000, 0)
    home.restart(off_s=40 * 86_400)
    home.dark(1000)
    home.restart(off_s=600)
    home.bright()
    assert home.import_wh(*NOVEMBER) == (1005, 995)  # of November, or of the month after; 5 Wh are of a gap in it
    assert home.import_wh(NOVEMBER[1], NOVEMBER[1] + 20 * DAY_MS)[1] == 995
    assert home.import_wh(0, NOVEMBER[0]) == (0, 0)


def test_a_home_that_never_had_a_clock_says_so_in_every_month() -> None:
    home = Home()
    home.dark()
    imported, unplaced = home.import_wh(*NOVEMBER)
    assert imported == 0
    assert unplaced > 5000


def chain(*records: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"n": n, "iat": 0, **r} for n, r in enumerate(records)]


def test_a_month_is_proven_from_checkpoint_to_the_receipt_over_its_end() -> None:
    consents = [{"record": "consent", "at_ms": NOVEMBER[0] + ms} for ms in (-DAY_MS, 0, DAY_MS, 40 * DAY_MS)]
    days = [{"record": "checkpoint", "day": day} for day in ("2023-10-31", "2023-11-02", "2023-12-11", "2023-12-12")]
    pairs = [each for pair in zip(consents, days, strict=True) for each in pair]  # before, 1; 2, 3; 4, 5; 6, 7
    bodies = dict(enumerate(chain(*pairs)))
    lines = {n: b"%d" % n for n in bodies}

    def proven(**receipts: bytes) -> list[bytes]:
        read = Read(bodies, lines, {int(n[1:]): token for n, token in receipts.items()})
        return covering(read, place(list(bodies.values())), *NOVEMBER)

    assert proven() == [b"2", b"3", b"4", b"5"]
    assert proven(r7=b"receipt") == [b"2", b"3", b"4", b"5", b"6", b"7", b"receipt"]
    assert proven(r1=b"old", r3=b"inside", r5=b"over", r7=b"later") == [b"2", b"3", b"inside", b"4", b"5", b"over"]
    assert covering(Read(bodies, lines, {}), place(list(bodies.values())), 0, 1) == []
