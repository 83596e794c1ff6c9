"""Watches a run with the plant's own eyes and says which promise broke. It asks the agent what it permits, no more."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from hil.campaign.bounds import BMS, SITE, Bounds
from hil.campaign.homeowner import Homeowner
from hil.campaign.kept import Kept
from hil.campaign.menu import takes_of
from hil.campaign.orders import CANCELLED, EARLY, FORGED, TWICE, Orders
from hil.expr import Value
from hil.plant.inverter import InverterParams
from hil.runner import Quiet
from hil.scenario import Event
from hil.signals import Happening
from hil.site import CAPACITY_WH, RATED_W
from hil.stated import stated_end_s

NS = 1_000_000_000
HANDS_OFF_NS = 3 * NS  # evidence may be 2 s old, and a write takes up to 1 s
CROSSED_NS = 3 * NS // 2  # a renewal may cross with the outage: a poll of the grid's state, and the write itself
FOLLOWS_S = 5  # a cycle, a write and the inverter's own lag, once the permit is narrower
TOLERANCE_W = RATED_W * 2 // 100 + 100
COLD_DC = 0
KELVIN_DC = 2731  # of the BMS of the bench, whose registers hold tenths of a kelvin
CHARGES_W = -150
STALE_S = 5  # a reading of the BMS counts so long
FULL = 1000  # permille; a register that says more says nothing
SETTLED_NS = 10 * NS  # the BMS of the bench begins with what it remembers
CLOCK_S = 120  # until the next signed time has told the link
OWN_S = InverterParams().tau_s * math.log(2 * RATED_W / TOLERANCE_W)  # its lag: until what it did by itself died away
REPORTS = ("bms.word", "bms.add", "bms.scale", "bms.stuck")  # the last one on a register is the one that counts
BACK_S = 15  # a silent device is asked every 10 s who it is, and only then told; a start asks as well
LAG_S = 2  # of the samples themselves and of what is decided between two of them

RESERVE, AHEAD, ISLAND, STATED, PERMIT, COLD, BLIND, LEDGER, CRASHED = (
    "reserve",
    "look-ahead",
    "islanded write",
    "stated end",
    "outside the permit",
    "charged in frost",
    "unknown SoC",
    "ledger",
    "crashed",
)
ORDERED = (FORGED, EARLY, TWICE, CANCELLED)
PROMISES = (RESERVE, AHEAD, ISLAND, STATED, PERMIT, BMS, SITE, COLD, BLIND, *ORDERED, LEDGER, CRASHED)


@dataclass(frozen=True, slots=True)
class Violation:
    """The first time in a run that a promise did not hold."""

    promise: str
    at_s: float
    sentence: str

    def __str__(self) -> str:
        return f"{self.promise} at {self.at_s:.1f} s: {self.sentence}"


class Observer(Quiet):
    """A watcher of the runner. `violations`: at most one a promise, in order of time."""

    def __init__(self, home: Mapping[str, Value], config: Mapping[str, Mapping[str, Value]] | None = None) -> None:
        self._bounds = Bounds(home, config or {})
        self._hazy_ns = -NS * CLOCK_S  # when the agent last could not see, or not tell the inverter
        self.violations: list[Violation] = []
        self.cycles = self.acting = 0
        self.crossed = 0  # houses that went dark by a renewal that crossed with the outage
        self._homeowner = Homeowner(_number(home.get("reserve_permille", 200)))
        self._kept = Kept(self._homeowner.permille)
        self._alive = True
        self._active: dict[str, frozenset[str]] = {}  # faults: id -> what they take
        self._orders = Orders()
        self._late_write_ns: int | None = None  # the first power write of an outage that nobody could know of yet
        self._off_since_ns: int | None = None
        self._island_writes: list[tuple[int, str]] = []  # into an outage, unless the next sample says that it was over
        self._watched_ns = 0
        self._stated_s = stated_end_s(config or {})
        self._foreign_ns = self._foreign_until_ns = 0  # another hand's setpoint: since when, and its own end
        self._permits: deque[tuple[int, float, float]] = deque()
        self._cold_ns: int | None = None
        self._darkened = 0.0
        self._wrote_ns = -1  # our last power
        self._healthy_ns = 0
        self._blind: int | None = None  # since when the BMS says no SoC
        self._said_dc: float | None = None  # what the BMS says of its coldest cell, and is not so
        self._timeless = False  # a setpoint stands that was written while the inverter's timer did not work
        self._alone_ns = -BACK_S * NS  # when nobody was there to tell it, or could
        self._bad = self._expired = 0.0
        self._stepped_ns = -CLOCK_S * NS - 1
        self._unsure = False  # nobody vouches for the clock
        self._misled_ns = -FOLLOWS_S * NS  # when the BMS was last wrong about its SoC

    # --- what the runner tells ---------------------------------------------------------------------------------------
    def event(self, at_ns: int, event: Event, ended: bool) -> None:
        takes = takes_of(event.verb, event.args)
        if event.verb.startswith("meter.") or "meter" in event.args.values():
            takes |= {"meter"}
        if event.verb in REPORTS and event.args.get("field") == "pack_v":
            takes |= {"volts"}
        if ended:
            self._active.pop(event.id, None)
        elif event.for_ns is not None:
            self._active[event.id] = takes
        if event.verb.startswith("aggregator.") and event.verb != "aggregator.attack":
            self._orders.sign(at_ns, event)
        if event.verb == "grid.outage" and not ended and self._off_since_ns is None:
            self._off_since_ns = at_ns
        if event.verb in REPORTS and event.args.get("field", "soc") == "soc":
            says_none = event.verb == "bms.word" and not ended and _number(event.args["value"]) > FULL
            self._blind = at_ns if says_none else None
        if event.verb == "bms.word" and event.args["field"] == "temp_min":
            self._said_dc = None if ended else _number(event.args["value"]) - KELVIN_DC
        if event.verb.startswith("clock."):
            self._clock(at_ns, event, ended)
        if event.verb in ("local.reserve", "homeowner.reserve", "disk.keep", "disk.restore"):
            self._reserve(at_ns, event)
        if event.verb == "bms.zeros" and event.args["device"] == "inverter":
            self._healthy_ns = at_ns  # it is not the device it was: nothing is written to it until it is known again
        if event.verb == "home.soc":
            self._kept.moved(_number(event.args["permille"]))
        if event.verb == "inverter.remote":
            self._foreign_ns = at_ns
            self._foreign_until_ns = at_ns + round((_number(event.args["revert_s"]) + FOLLOWS_S) * NS)

    def _reserve(self, at_ns: int, event: Event) -> None:
        """Somebody asks for another one, or what was answered is lost with a disk."""
        if event.verb == "disk.keep":
            self._homeowner.image()
        elif event.verb == "disk.restore":
            self._homeowner.restored()
        elif self._alive:
            self._homeowner.asks(_number(event.args["permille"]))
        self._kept.follow(at_ns, self._homeowner.permille)

    def _clock(self, at_ns: int, event: Event, ended: bool) -> None:
        if event.verb == "clock.untrusted":
            self._unsure = not ended
            self._orders.clock(0)
            return
        self._orders.clock(round(_number(event.args["s"]) * NS))
        if _number(event.args["s"]) > 0:
            self._stepped_ns = at_ns

    def happening(self, record: Happening) -> None:
        if record.stream == "write" and record.fields["kind"] in ("power", "floor"):
            since = self._off_since_ns
            self._wrote_ns = record.at_ns if record.fields["kind"] == "power" else self._wrote_ns
            if since is not None and record.at_ns > since + HANDS_OFF_NS:
                late = f"{record.fields['kind']} was written {(record.at_ns - since) / NS:.1f} s into the outage"
                self._island_writes.append((record.at_ns, late))
            elif since is not None and since < record.at_ns <= since + CROSSED_NS and self._late_write_ns is None:
                self._late_write_ns = record.at_ns
        if record.stream == "write" and record.fields["kind"] in ("power", "clear") and record.at_ns > self._foreign_ns:
            self._foreign_until_ns = min(self._foreign_until_ns, record.at_ns + FOLLOWS_S * NS)  # it is ours again
        if record.stream == "decision":  # one that lasts for less than a sample as well
            self._permits.append((record.at_ns, _number(record.fields["lo_w"]), _number(record.fields["hi_w"])))
        if record.stream == "local" and record.fields["verb"] == "reserve" and record.fields["permille"] is not None:
            told, code = record.fields["told_permille"], int(_number(record.fields["code"]))
            told = None if told is None else _number(told)
            self._homeowner.answered(_number(record.fields["permille"]), code, told)
            self._kept.follow(record.at_ns, self._homeowner.permille)
        if record.stream == "ack":
            for promise, sentence in self._orders.ack(record):
                self._broken(promise, record.at_ns, sentence)

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None:
        self.cycles += 1
        self._alive = bool(signals["proc.alive"])
        self.acting += _acting(signals)
        if self._taken("untold", "dead") or not signals["proc.alive"]:
            self._alone_ns = at_ns
        if not (signals["agent.link"] and signals["proc.alive"]):
            self._orders.unheard(at_ns)
        self._see_grid(at_ns, signals)
        self._see_reserve(at_ns, signals)
        self._see_ahead(at_ns, signals)
        self._see_end(at_ns, signals)
        self._see_permit(at_ns, signals)
        self._see_bounds(at_ns, signals)
        self._see_cold(at_ns, signals)
        self._see_blind(at_ns, signals)
        self._see_ledger(at_ns, signals)

    # --- the promises ------------------------------------------------------------------------------------------------
    def _see_grid(self, at_ns: int, s: Mapping[str, Value]) -> None:
        away = not s["truth.grid_on"] or bool(s["truth.islanded"])
        since, back_s = self._off_since_ns, s["truth.back_s"]
        back_ns = -1 if back_s is None else at_ns - round(_number(back_s) * NS)
        for wrote_ns, sentence in self._island_writes:
            if since is None or not since < back_ns <= wrote_ns:  # it was over by then, between two samples
                self._broken(ISLAND, wrote_ns, sentence)
        self._island_writes.clear()
        if away and self._off_since_ns is None:
            self._off_since_ns = at_ns
        self._see_dark(at_ns, s)
        if not away:
            self._off_since_ns = self._late_write_ns = None

    def _see_dark(self, at_ns: int, s: Mapping[str, Value]) -> None:
        """No house is dark by a setpoint of ours. What goes dark without any as well (overload, an empty battery, a
        restart of the inverter) no agent can change: the plant's own counterfactual tells which it was."""
        since, darkened = self._off_since_ns, _number(s["truth.darkened"])
        if darkened > self._darkened and self._wrote_ns > self._foreign_ns:
            if since is not None and self._late_write_ns is not None and at_ns <= since + HANDS_OFF_NS:
                self.crossed += 1
            else:
                self._broken(ISLAND, at_ns, "a setpoint of ours darkened a house that the inverter could have fed")
        self._darkened = darkened

    def _see_reserve(self, at_ns: int, s: Mapping[str, Value]) -> None:
        """The cells never sink below the reserve, less what the sensor may be off, while the grid is there."""
        soc, error = _number(s["truth.soc_permille"]), _number(s["truth.bms_error_permille"])
        others = self._off_since_ns is not None or at_ns <= self._foreign_until_ns
        hidden = self._taken("unread", "untold", "dead", "timer") or self._count("soc") > 1
        mode = s["agent.mode"]
        able = bool(s["proc.alive"]) and mode in ("local", "dispatched") and not hidden
        found = self._kept.see(at_ns, soc, error, others, able, mode in (None, "init"))
        if found is not None:
            self._broken(RESERVE, at_ns, found)

    def _see_ahead(self, at_ns: int, s: Mapping[str, Value]) -> None:
        """Whatever is permitted may run for the stated time with nobody looking, and the reserve is still there: to the
        watt-hour, as what the sensor may be off by is the agent's to leave."""
        hi = s["agent.hi_w"]
        if self._taken("soc"):
            self._misled_ns = at_ns
        if not hi or self._off_since_ns is not None or at_ns - self._misled_ns < FOLLOWS_S * NS or at_ns < SETTLED_NS:
            return
        spare_permille = max(0.0, _number(s["truth.soc_permille"]) - self._kept.ahead_permille(at_ns))
        spare_wh = spare_permille * CAPACITY_WH / 1000
        asked_wh = _number(hi) * self._stated_s / 3600
        if asked_wh > spare_wh:
            self._broken(
                AHEAD, at_ns, f"{hi} W for {self._stated_s:g} s are {asked_wh:.0f} Wh, {spare_wh:.0f} Wh are left"
            )

    def _see_end(self, at_ns: int, s: Mapping[str, Value]) -> None:
        """A setpoint that nobody watches ends within the stated time."""
        lost = self._taken("unread")
        self._timeless = self._taken("timer") or (self._timeless and bool(s["truth.remote"]))
        alive = bool(s["proc.alive"]) and s["agent.given_w"] is not None
        moving = bool(s["truth.remote"]) and s["truth.setpoint_w"] != 0
        if not moving or (alive and not lost) or at_ns <= self._foreign_until_ns or self._endless(at_ns):
            self._watched_ns = at_ns
        elif (at_ns - self._watched_ns) / NS > self._stated_s + LAG_S:
            seconds = (at_ns - self._watched_ns) / NS
            self._broken(
                STATED, at_ns, f"a setpoint stands unwatched for {seconds:.1f} s, {self._stated_s:g} are stated"
            )

    def _see_permit(self, at_ns: int, s: Mapping[str, Value]) -> None:
        """What flows on our setpoint lies within what was permitted a moment ago."""
        lo, hi = s["agent.lo_w"], s["agent.hi_w"]
        if self._taken("untold", "unread") or not s["proc.alive"] or self._timeless:
            self._healthy_ns = at_ns  # a setpoint from before a crash may be taken up, until its own timer ends it
        if lo is not None and hi is not None:
            self._permits.append((at_ns, _number(lo), _number(hi)))
        window_s = FOLLOWS_S
        if at_ns - self._healthy_ns < round((self._stated_s + FOLLOWS_S) * NS):
            window_s = round(self._stated_s) + FOLLOWS_S
        while self._permits and self._permits[0][0] < at_ns - window_s * NS:
            self._permits.popleft()
        if not s["truth.remote"] or lo is None or not self._permits or at_ns <= self._foreign_until_ns:
            return
        if self._off_since_ns is not None or _number(s["truth.taken_s"]) < OWN_S:
            return  # it carries an island by itself, or what it did by itself has not died away yet
        if self._taken("untold") or self._endless(at_ns):
            return
        watts = _number(s["truth.battery_w"])
        lowest = min(low for _, low, _ in self._permits) - TOLERANCE_W
        highest = max(high for _, _, high in self._permits) + TOLERANCE_W
        if not lowest <= watts <= highest:
            self._broken(
                PERMIT, at_ns, f"{watts:.0f} W flow; {window_s} s back {lowest:.0f} to {highest:.0f} W were fine"
            )

    def _see_bounds(self, at_ns: int, s: Mapping[str, Value]) -> None:
        """What the agent asks for is within what the BMS and the connection allow, by the plant's word."""
        hazy = (
            self._taken("untold", "unread", "dead", "timer", "soc", "temps", "volts") or self._off_since_ns is not None
        )
        if hazy or not s["proc.alive"] or self._timeless or at_ns <= self._foreign_until_ns:
            self._hazy_ns = at_ns
        ours = bool(s["truth.remote"]) and at_ns - self._hazy_ns > round((self._stated_s + FOLLOWS_S) * NS)
        for promise, sentence in self._bounds.see(at_ns, s, ours, not self._taken("meter")):
            self._broken(promise, at_ns, sentence)

    def _see_cold(self, at_ns: int, s: Mapping[str, Value]) -> None:
        """No charge on our setpoint at or below freezing."""
        cold = s.get("truth.temp_min_dc") if self._said_dc is None else self._said_dc
        wrong = (
            cold is not None
            and _number(cold) < COLD_DC
            and bool(s["truth.remote"])
            and min(_number(s["truth.battery_w"]), _number(s["truth.setpoint_w"] or 0)) < CHARGES_W
            and not self._taken("temps")
            and not self._endless(at_ns)
            and at_ns > self._foreign_until_ns
        )
        if not wrong:
            self._cold_ns = None
            return
        self._cold_ns = at_ns if self._cold_ns is None else self._cold_ns
        if at_ns - self._cold_ns > self._ends_s(s) * NS:
            asked = f"{s['truth.setpoint_w']} W asked, {_number(s['truth.battery_w']):.0f} W flow"
            self._broken(COLD, at_ns, f"{asked} at {_number(cold) / 10:.1f} °C")

    def _see_blind(self, at_ns: int, s: Mapping[str, Value]) -> None:
        """A BMS that says no SoC at all: what it said before may count until it is stale, then nothing is moved."""
        if self._blind is None or at_ns - self._blind < (self._ends_s(s) + STALE_S) * NS:
            return
        ours = s["truth.remote"] and s["truth.setpoint_w"] and at_ns > self._foreign_until_ns
        if ours and not self._endless(at_ns):
            self._broken(BLIND, at_ns, f"{s['truth.setpoint_w']} W are asked for, and the SoC is not known")

    def _see_ledger(self, at_ns: int, s: Mapping[str, Value]) -> None:
        """No number twice, nothing that does not verify."""
        bad, expired = _number(s["agg.bad"]), _number(s["agg.expired"])
        if at_ns - self._stepped_ns <= CLOCK_S * NS:
            # virtual time has one wall clock: the aggregator's jumped ahead too, and the link keeps the old one
            self._bad += expired - self._expired
            if self._unsure:
                self._stepped_ns = at_ns  # nobody tells it either
        self._expired = expired
        if s["agg.conflicts"] or bad > self._bad:
            found = f"{s['agg.conflicts']} numbers twice, {bad - self._bad:.0f} messages that do not verify"
            self._broken(LEDGER, at_ns, found)

    # --- inside ------------------------------------------------------------------------------------------------------
    def _ends_s(self, s: Mapping[str, Value]) -> float:
        """How long a setpoint may outlive its reason: the agent's own time, or the inverter's where nobody can tell."""
        left_alone = self._taken("untold", "unread", "dead") or not s["proc.alive"]
        return self._stated_s + FOLLOWS_S if left_alone else FOLLOWS_S

    def _endless(self, at_ns: int) -> bool:
        """A setpoint that can neither end, as the timer did not work when it was written, nor be ended, or not yet."""
        return self._timeless and at_ns - self._alone_ns < BACK_S * NS

    @property
    def margin_permille(self) -> float:
        """Smallest distance from the reserve's bound."""
        return self._kept.margin_permille

    def _count(self, word: str) -> int:
        return sum(word in takes for takes in self._active.values())

    def _taken(self, *words: str) -> bool:
        return any(not takes.isdisjoint(words) for takes in self._active.values())

    def _broken(self, promise: str, at_ns: int, sentence: str) -> None:
        if all(v.promise != promise for v in self.violations):
            self.violations.append(Violation(promise, at_ns / NS, sentence))


def _acting(signals: Mapping[str, Value]) -> bool:
    """A setpoint for somebody's command is in force, by the inverter's own word."""
    return bool(signals["truth.remote"]) and signals["agent.mode"] == "dispatched"


def _number(value: Value) -> float:
    assert isinstance(value, int | float), f"a number, not {value!r}"
    return float(value)
