"""The meter at the grid connection, on the grid side of the transfer relay: one to three legs. W + = import."""

from __future__ import annotations

from hil.plant.house import Legs

RIGHT = (1.0, 1.0, 1.0)


def inverter_legs(legs: int, only: int | None) -> Legs:
    """How inverter and roof feed the legs: evenly, or all on leg number `only`."""
    if only is not None:
        return (float(only == 1), float(only == 2), float(only == 3))
    return (1.0 / legs, 1.0 / legs if legs > 1 else 0.0, 1.0 / legs if legs > 2 else 0.0)


class Meter:
    """Power and counters of the connection and of each leg. Totals are the legs' sum with its sign (import on one leg
    and export on another cancel); each leg also counts for itself, once a second.

    Faults: `dies_with_grid`, `flipped` (all clamps reversed), `clamps` (a leg's own: -1 reversed, 0 fallen off).
    """

    def __init__(self, feeds: Legs, legs: int = 3) -> None:
        self.dies_with_grid = False
        self.flipped = False
        self.clamps: Legs = RIGHT
        self.total_w = 0.0
        self.volts = 0.0
        self.frequency_hz = 0.0
        self.import_wh = 0.0
        self.export_wh = 0.0
        self.leg_import_wh, self.leg_export_wh = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
        self.legs = legs
        self.load_shares: Legs = (1.0, 0.0, 0.0)
        self._feeds = feeds  # how PV and battery together feed the legs
        self._drawn_w = self._made_w = 0.0
        self._drawn_ws = self._made_ws = 0.0
        self._alive = True

    def step(self, drawn_w: float, made_w: float, mean_made_w: float, volts: float, hertz: float, dt_s: float) -> None:
        """For `dt_s` the house drew `drawn_w`, PV and battery made `mean_made_w`; at its end they make `made_w`.
        Without a grid all is zero, and some meters die."""
        self._alive = volts > 0.0 or not self.dies_with_grid
        self._drawn_w, self._made_w = drawn_w, made_w
        self._drawn_ws += drawn_w * dt_s
        self._made_ws += mean_made_w * dt_s
        now_w, mean_w = drawn_w - made_w, drawn_w - mean_made_w
        if self.flipped or self.clamps is not RIGHT:
            now_w, mean_w = sum(self.leg_w), sum(self._seen(self._split(drawn_w, mean_made_w)))
        self.total_w, self.volts, self.frequency_hz = now_w, volts, hertz
        if mean_w > 0.0:
            self.import_wh += mean_w * dt_s / 3600.0
        else:
            self.export_wh -= mean_w * dt_s / 3600.0

    def tally(self, dt_s: float, load_shares: Legs) -> None:
        """A second is over: each leg's counter moves; the next one's load is spread by `load_shares`."""
        if dt_s > 0.0:
            for i, ws in enumerate(self._seen(self._split(self._drawn_ws, self._made_ws))):
                (self.leg_import_wh if ws > 0.0 else self.leg_export_wh)[i] += abs(ws) / 3600.0
            self._drawn_ws = self._made_ws = 0.0
        self.load_shares = load_shares

    @property
    def true_leg_w(self) -> Legs:
        """What really flows in each leg, whatever the clamps do."""
        return self._split(self._drawn_w, self._made_w)

    @property
    def leg_w(self) -> Legs:
        """What it shows for each leg."""
        return self._seen(self.true_leg_w)

    @property
    def dead(self) -> bool:
        """Whether it has no supply."""
        return not self._alive

    def _split(self, drawn: float, made: float) -> Legs:
        (a, b, c), (x, y, z) = self.load_shares, self._feeds
        return (drawn * a - made * x, drawn * b - made * y, drawn * c - made * z)

    def _seen(self, legs: Legs) -> Legs:
        (a, b, c), (x, y, z) = legs, self.clamps
        return (-a * x, -b * y, -c * z) if self.flipped else (a * x, b * y, c * z)
