"""The reserve, by what is in the cells; by the word of the BMS where that is wrong and nobody can know it.

The inverter's own floor and the agent go by the same BMS. One that is wrong by no more than 5 % contradicts nothing
that is measured (hazards 8 and 9: 5 % within 10 s is no jump, and our own count of the energy is not exact to 8 %):
then the reserve is asked of what it says. One that is wrong by more is found out, and then the cells count, unless
nobody was there to see it become so, or can act.
"""

from __future__ import annotations

SENSOR = 2  # permille; what the BMS of the bench is off by when it is well: its step, and a lag of 2 s at full power
BEYOND = 2  # permille below the reserve that nobody asks about
RETAKEN = 20  # permille of what came back below the reserve; an inverter may be late with its floor
UNKNOWABLE = 50  # permille; a BMS that becomes wrong by that has not jumped
NS = 1_000_000_000
HEARS_NS = 2 * NS  # a cycle, and the samples themselves
ACTS_NS = 5 * NS  # a cycle, a write and the inverter's own lag, once the agent may act


class Kept:
    """Of one home. `margin_permille`: smallest distance from the bound, while it was ours to keep."""

    def __init__(self, reserve_permille: float) -> None:
        self.reserve_permille = reserve_permille  # what the homeowner may count on
        self._acted_permille = reserve_permille  # and what the agent has had the time to act on
        self._raised_ns = 0
        self.margin_permille = 1000.0
        self._cells = self._said = 1000.0  # where both stood when somebody else had moved them
        self._begun = False
        self._unseen = False  # the BMS became wrong while nobody could compare it with what it had said before
        self._idle_ns = -ACTS_NS  # when the agent last could not act

    def follow(self, at_ns: int, permille: float) -> None:
        """The homeowner may count on so much from now on. Less counts at once; more, once the agent could tell the
        inverter of it (its floor, or a setpoint): until then what counted before."""
        if permille > self.reserve_permille:
            self._raised_ns = at_ns
        self.reserve_permille = permille
        self._acted_permille = min(self._acted_permille, permille)

    def ahead_permille(self, at_ns: int) -> float:
        """What the permit has to leave: a raise acts in the cycle that hears of it, told to the inverter or not."""
        return self._acted_permille if at_ns - self._raised_ns < HEARS_NS else self.reserve_permille

    def moved(self, permille: float) -> None:
        """Somebody has put that much into the cells."""
        self._cells = self._said = permille

    def see(self, at_ns: int, soc: float, error: float, others: bool, able: bool, anew: bool) -> str | None:
        """One second; the sentence, when it broke. `error`: how much more the BMS says than there is, permille.
        `others`: it is not ours to keep now. `able`: the agent reads the BMS and the inverter, and may act. `anew`: it
        is dead, or begins with what the BMS says now."""
        said, wrong = soc + error, error > SENSOR
        self._idle_ns = self._idle_ns if able else at_ns
        self._unseen = wrong and (anew or self._unseen)
        if others or not self._begun:
            fresh, self._begun = not self._begun, True
            self._cells = soc if fresh else min(self._cells, soc)
            self._said = said if fresh else min(self._said, said)
            return None
        if self._acted_permille < self.reserve_permille and at_ns - max(self._idle_ns, self._raised_ns) >= ACTS_NS:
            self._acted_permille = self.reserve_permille
            self._cells, self._said = soc, said  # what was gone before is not asked for
        bound = self._acted_permille - SENSOR
        self._cells = max(self._cells, bound) if soc >= bound else self._cells
        self._said = max(self._said, bound) if said >= bound else self._said
        if not wrong:  # what came back below the reserve is not there to be taken once more
            self._cells, self._said = max(self._cells, soc - RETAKEN), max(self._said, said - RETAKEN)
        margin, found = soc - min(bound, self._cells), f"{soc:.1f} permille in the cells"
        if wrong and (error <= UNKNOWABLE + SENSOR or self._unseen or at_ns - self._idle_ns < ACTS_NS):
            margin, found = said - min(bound, self._said), f"{said:.1f} permille by the BMS' word"
            self._cells = min(self._cells, soc)
        self.margin_permille = min(self.margin_permille, margin)
        return f"{found}, {self._acted_permille:g} are the home's" if margin < -BEYOND else None
