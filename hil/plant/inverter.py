"""A hybrid inverter: its own self-use mode, a remote window with a reversion timer, and what it does without a grid.

Battery watts are AC at the battery's own point, + = discharge. The remote window has the meaning of SunSpec model 124:
bit 1 of `mode` activates `out_share` (upper bound on discharge, negative = forced charge), bit 0 activates `in_share`
(upper bound on charge, negative = forced discharge); both are shares of the rated power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

NEVER = 1 << 62
S = 1_000_000_000

Window = tuple[float, float]  # (lowest, highest) battery watts


@dataclass(frozen=True, slots=True)
class InverterParams:
    """One hybrid inverter."""

    rated_w: float = 11_400.0
    dead_s: float = 0.3  # from a register write to the first movement
    tau_s: float = 0.25  # first-order lag of the power
    dead_band_w: float = 20.0  # at rest it lets its aim wander this far
    eta: float = 0.96  # one way, between its AC side and the cells
    own_w: float = 60.0  # its own consumption, from the house bus: part of what the house draws
    idle_dc_w: float = 0.0  # the same from the cells, as hybrids without a standby supply do
    floor_pct: float = 5.0  # MinRsvPct as delivered
    floor_resume_pct: float = 1.0  # discharge resumes this far above the floor
    floor_binds_remote: bool = False  # many devices let a remote command pass below their own floor
    floor_recharge_w: float = 0.0  # below the floor it charges from the grid with this (500 W on a GEN24)
    revert_s: int = 0  # InOutWRte_RvrtTms as delivered: 0 = never, the dangerous default
    detect_s: float = 0.1  # grid lost -> islanded
    reconnect_s: float = 60.0  # grid back -> connected
    restart_s: float = 10.0  # after an off-grid shutdown
    boot_s: float = 45.0
    offgrid_floor_pct: float = 3.0


class Limits(Protocol):
    """What the battery's own computer tells the inverter, over a link of their own."""

    @property
    def charge_w(self) -> float: ...
    @property
    def discharge_w(self) -> float: ...
    @property
    def soc(self) -> float: ...


class Inverter:
    """State and registers. Every time is monotonic ns and is passed in."""

    def __init__(self, params: InverterParams) -> None:
        self.params = params
        self.battery_w = 0.0
        self.point = "battery"  # where a remote window counts: "battery", or "ac" = PV and battery together
        self.mode = 0
        self.out_share = 1.0
        self.in_share = 1.0
        self.revert_s = params.revert_s
        self.floor_pct = params.floor_pct
        self.grid_charging = True  # ChaGriSet
        self.islanded = False
        self.ignores_writes = False  # acknowledges and does not apply
        self.ignores_reversion = False
        self.ignores_zero = False  # a 0 W window has no effect
        self.unfollowed = self.untimed = self.zeros_ignored = 0  # what those three did: writes, timers, windows
        self.in_force: Window | None = None  # what it obeys now; None = self-use
        self.taken_ns: int | None = None  # when it last left self-use for a remote window
        self.back_ns: int | None = None  # when an outage was last over for it: the relay is closed again
        self.revert_at_ns = NEVER
        self.booting_until_ns = 0
        self.restart_at_ns = NEVER
        self._pending: list[tuple[int, Window | None]] = []
        self._detect_at_ns = NEVER
        self._reconnect_at_ns = NEVER
        self._boot_at_ns = NEVER
        self._resting = False  # at its floor, until SoC is `floor_resume_pct` above
        self._moving = False
        self.next_ns = NEVER  # when `due` has something to do

    # --- what others do to it ----------------------------------------------------------------------------------------
    def command(
        self,
        now_ns: int,
        mode: int | None = None,
        out_share: float | None = None,
        in_share: float | None = None,
        revert_s: int | None = None,
    ) -> None:
        """A write to the control block: takes effect after the dead time and restarts the reversion timer."""
        if self.ignores_writes:
            self.unfollowed += 1
            return
        self.mode = self.mode if mode is None else mode
        self.out_share = self.out_share if out_share is None else out_share
        self.in_share = self.in_share if in_share is None else in_share
        self.revert_s = self.revert_s if revert_s is None else revert_s
        wanted = bool(self.mode and self.revert_s)
        timed = wanted and not self.ignores_reversion
        self.untimed += wanted and not timed
        self.revert_at_ns = now_ns + self.revert_s * S if timed else NEVER
        self._pending.append((now_ns + int(self.params.dead_s * S), self.window()))
        self._plan()

    def set_floor(self, pct: float) -> None:
        """MinRsvPct, by whoever writes it."""
        if self.ignores_writes:
            self.unfollowed += 1
            return
        self.floor_pct = pct
        self._resting = False

    def reboot(self, now_ns: int) -> None:
        """Power and bus go away for `boot_s`; the window is forgotten, reversion time and floor are not."""
        self.mode, self.in_force, self.battery_w = 0, None, 0.0
        self._pending.clear()
        self.revert_at_ns = NEVER
        self.booting_until_ns = self._boot_at_ns = now_ns + int(self.params.boot_s * S)
        self._plan()

    def grid_lost(self, now_ns: int) -> None:
        """The utility is gone; noticed after `detect_s`."""
        self._reconnect_at_ns = NEVER
        if not self.islanded:
            self._detect_at_ns = now_ns + int(self.params.detect_s * S)
        self._plan()

    def grid_back(self, now_ns: int) -> None:
        """The utility is back; trusted after `reconnect_s`."""
        self._detect_at_ns = NEVER
        if self.islanded:
            self._reconnect_at_ns = now_ns + int(self.params.reconnect_s * S)
        else:
            self.back_ns = now_ns  # gone before it was noticed
        self._plan()

    # --- time --------------------------------------------------------------------------------------------------------
    def _plan(self) -> None:
        """After every change of what is to come."""
        apply_at = self._pending[0][0] if self._pending else NEVER
        self.next_ns = min(apply_at, self.revert_at_ns, self._detect_at_ns, self._reconnect_at_ns, self._boot_at_ns)

    def due(self, now_ns: int) -> None:
        """Do what has come due by `now_ns`."""
        if self.revert_at_ns <= now_ns:
            self.revert_at_ns = NEVER
            self.mode, self.in_force = 0, None
            self._pending.clear()
        while self._pending and self._pending[0][0] <= now_ns:
            before, self.in_force = self.in_force, self._pending.pop(0)[1]
            self.taken_ns = now_ns if before is None and self.in_force is not None else self.taken_ns
        if self._detect_at_ns <= now_ns:
            self._detect_at_ns = NEVER
            self.islanded = True
            self.in_force = None  # its own backup mode takes over; the registers keep the window
            self._pending.clear()
        if self._reconnect_at_ns <= now_ns:
            self._reconnect_at_ns = NEVER
            self.islanded = False
            self.back_ns = now_ns
            self.restart_at_ns = NEVER
            self._pending.append((now_ns + int(self.params.dead_s * S), self.window()))
        if self._boot_at_ns <= now_ns:
            self._boot_at_ns = NEVER
        self._plan()

    # --- what it does ------------------------------------------------------------------------------------------------
    @property
    def booting(self) -> bool:
        """Whether it is away for a reboot."""
        return self._boot_at_ns != NEVER

    @property
    def busy(self) -> bool:
        """Whether a command waits for its dead time."""
        return bool(self._pending)

    def window(self) -> Window | None:
        """What the control registers ask for; None = self-use."""
        if not self.mode & 3:
            return None
        rated = self.params.rated_w
        high = self.out_share * rated if self.mode & 2 else rated
        low = -self.in_share * rated if self.mode & 1 else -rated
        if self.ignores_zero and abs(low) < 1.0 and abs(high) < 1.0:
            self.zeros_ignored += 1
            return None
        return (low, high)

    def _at_battery(self, window: Window, pv_w: float) -> Window:
        """A window as it binds the battery."""
        return window if self.point == "battery" else (window[0] - pv_w, window[1] - pv_w)

    def limits(self, bms: Limits) -> Window:
        """What hardware and BMS allow, as AC watts."""
        rated, eta = self.params.rated_w, self.params.eta
        charge, discharge = bms.charge_w / eta, bms.discharge_w * eta
        return (-rated if charge > rated else -charge, rated if discharge > rated else discharge)

    def aim(self, need_w: float, pv_w: float, bms: Limits) -> float:
        """On grid: the battery power it moves toward, when the house needs `need_w` beyond its PV."""
        params, window = self.params, self.in_force
        soc_pct = bms.soc * 100.0
        if soc_pct <= self.floor_pct + 1e-9:
            self._resting = True
        elif soc_pct >= self.floor_pct + params.floor_resume_pct:
            self._resting = False
        target = need_w  # self-use: cover the house, take the surplus, never export the battery
        if self._resting and (window is None or params.floor_binds_remote):
            target = min(target, 0.0)
            if params.floor_recharge_w and soc_pct < self.floor_pct:
                target = min(target, -params.floor_recharge_w)
        if window is not None:
            low, high = self._at_battery(window, pv_w)
            if self._resting and params.floor_binds_remote:
                low, high = min(low, 0.0), min(high, 0.0)
            target = low if target < low else target
            target = high if target > high else target
        if not self.grid_charging and target < -pv_w:
            target = -pv_w
        low, high = self.limits(bms)
        return low if target < low else high if target > high else target

    def stays(self, target_w: float, bms: Limits) -> bool:
        """Whether it lets this aim be and stays where it is: at rest within its dead band, and where it may be at all.
        To zero it goes all the way; once moving it does not stop before it is there."""
        gap = self.battery_w - target_w
        if -1.0 < gap < 1.0:
            self._moving = False
            return False
        band = self.params.dead_band_w
        if self._moving or not target_w or not -band < gap < band:
            self._moving = True
            return False
        low, high = self.limits(bms)
        self._moving = not low <= self.battery_w <= high
        return not self._moving

    def carries(self, load_w: float, pv_w: float, bms: Limits, held: bool = True) -> float | None:
        """Off grid: the battery power with which it feeds the house, curtailing PV if need be; None = it cannot.
        `held` False: as if no remote window held it."""
        low, high = self.limits(bms)
        if bms.soc * 100.0 <= self.params.offgrid_floor_pct:
            high = 0.0
        if held and self.islanded and self.in_force is not None:
            window = self._at_battery(self.in_force, pv_w)
            low, high = max(low, window[0] - 50.0), min(high, window[1] + 50.0)
        need = load_w - pv_w
        if self.booting or low > high or need > high + 1.0 or load_w < low:
            return None
        return low if need < low else need
