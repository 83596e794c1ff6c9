"""The whole agent on the virtual backend, driven step by step, with the promises watched at every sample.

`Run` starts home, wire, broker, aggregator and agent. `do` is a verb of the scenario language; `to` lets time pass.
Whatever a test is about, these hold at every sample: the house is fed, our setpoint never takes the battery below the
reserve, no power is written later than 3 s into an island, acks are wire words in legal order and nothing starts twice,
every byte that the agent publishes verifies, frames keep their distance.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from agent.core.command import TERMINAL, CommandState
from hil.backends.virtual import VirtualBackend
from hil.faults.catalog import REQUIRED, VERBS
from hil.scenario import parse
from hil.signals import Happening

S = 1_000_000_000
STEP_NS = S // 10
WORDS = {state.value for state in CommandState}


class Run:
    """One world. Use as a context: it is always finished."""

    def __init__(self, seed: int = 1, config: dict[str, dict[str, Any]] | None = None, **home: int) -> None:
        settings: dict[str, Any] = {"soc_permille": 600, "load_w": 900, **home}
        lines = ["[scenario]", 'name = "blackbox"', 'duration = "10h"', "[home]"]
        lines += [f"{key} = {value}" for key, value in settings.items()]
        for section, keys in (config or {}).items():
            lines += [f"[config.{section}]", *(f"{key} = {value}" for key, value in keys.items())]
        self.backend = VirtualBackend()
        self.backend.start(parse("\n".join(lines), "blackbox"), seed)
        self.records: list[Happening] = []
        self.acks: dict[str, list[dict[str, Any]]] = {}
        self.dispatches: set[str] = set()
        self.reserve = home.get("reserve_permille", 200)
        self.slack = 2.0  # permille that truth may differ from what the BMS reports
        self.judge_reserve = True
        self.may_fail = 0  # messages that the aggregator may refuse
        self.island_ns: int | None = None
        self.now: dict[str, Any] = {}

    def __enter__(self) -> Run:
        self._look()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.backend.finish()
        self.backend.discard()

    # --- doing -------------------------------------------------------------------------------------------------------
    def do(self, name: str, label: str = "", /, **args: Any) -> Run:
        verb = VERBS[name]
        given: dict[str, Any] = {k: v for k, (_, v) in verb.args.items() if v is not None and v is not REQUIRED}
        verb.apply(self.backend, label or name, {**given, **args})
        return self

    def end(self, name: str, **args: Any) -> Run:
        revert = VERBS[name].revert
        assert revert is not None
        revert(self.backend, name, args)
        return self

    def home(self, op: str, **args: Any) -> Run:
        self.backend.home(op, **args)
        return self

    def dispatch(self, power_w: int, label: str = "command", duration: int = 600, **args: Any) -> Run:
        self.dispatches.add(label)
        return self.do("aggregator.dispatch", label, power_w=power_w, duration=duration, **args)

    def to(self, s: float) -> Run:
        """Until scenario time `s`, watching."""
        until = round(s * S)
        while self.backend.now_ns() < until:
            self.backend.run_until(min(self.backend.now_ns() + STEP_NS, until))
            self._look()
        return self

    def wait(self, s: float) -> Run:
        return self.to(self.t + s)

    def running(self, power_w: int = 5_000, **args: Any) -> Run:
        """A dispatch that is followed."""
        self.to(12).dispatch(power_w, **args).wait(28)
        assert abs(self["truth.battery_w"] - power_w) < 150, self.story()
        return self

    # --- looking -----------------------------------------------------------------------------------------------------
    @property
    def t(self) -> float:
        return self.backend.now_ns() / S

    def __getitem__(self, name: str) -> Any:
        return self.now[name]

    def refused(self, reason: str) -> int:
        return int(self.backend.functions()["refused"](reason))

    def fault(self, name: str) -> bool:
        return bool(self.backend.functions()["fault"](name))

    def states(self, label: str = "command") -> list[str]:
        return [ack["state"] for ack in self.acks.get(label, [])]

    def writes(self, kind: str | None = None, since: float = 0.0, until: float = 1e9) -> list[Happening]:
        return [
            r
            for r in self.records
            if r.stream == "write" and kind in (None, r.fields["kind"]) and since * S < r.at_ns <= until * S
        ]

    def zero_or_released(self) -> bool:
        return not self["truth.remote"] or self["truth.setpoint_w"] == 0

    def within(self, s: float, holds: Any, what: str = "") -> float:
        """Seconds until `holds()`; fails after `s`."""
        begun = self.t
        while not holds():
            assert self.t - begun <= s, f"{what or 'not true'} within {s} s; {self.story()}"
            self.wait(0.1)
        return self.t - begun

    def story(self) -> str:
        """What happened last, for a failing test."""
        last = [f"{r.at_ns / S:.1f} {r.stream} {dict(r.fields)}" for r in self.records[-12:]]
        agent = {k: v for k, v in self.now.items() if k.startswith(("agent.", "truth."))}
        return "\n".join([f"t={self.t:.1f}", *last, str(agent)])

    def _look(self) -> None:
        self.now = dict(self.backend.signals())
        for record in self.backend.happenings():
            self.records.append(record)
            if record.stream == "ack":
                self._ack(dict(record.fields))
            if record.stream == "write":
                self._write(record)
        self._promises()

    def _promises(self) -> None:
        now = self.now
        assert now["truth.fed"] and now["truth.blackouts"] == 0, f"the house is dark: {self.story()}"
        if self.judge_reserve and now["truth.remote"] and (now["truth.setpoint_w"] or 0) > 0 and now["truth.grid_on"]:
            assert now["truth.soc_permille"] >= self.reserve - self.slack, f"reserve: {self.story()}"
        assert now["agg.bad"] <= self.may_fail and now["agg.conflicts"] == 0, (
            f"a message that does not hold: {self.story()}"
        )
        assert now["wire.violations"] == 0, "a frame inside t3.5"
        if not now["truth.islanded"]:
            self.island_ns = None
        elif self.island_ns is None:
            self.island_ns = self.backend.now_ns()

    def _write(self, record: Happening) -> None:
        if self.island_ns is not None and record.at_ns > self.island_ns + 3 * S:
            assert record.fields["kind"] in ("clear", "staged"), f"a write into an island: {record} {self.story()}"

    def _ack(self, ack: dict[str, Any]) -> None:
        before = self.acks.setdefault(ack["command"], [])
        states = [b["state"] for b in before]
        assert ack["state"] in WORDS, ack
        assert not [s for s in states if CommandState(s) in TERMINAL], f"after the end: {states} {ack}"
        assert ack["state"] != "started" or "started" not in states, f"started twice: {states}"
        if ack["state"] in ("started", "limited", "completed") and ack["command"] in self.dispatches:
            assert "received" in states, f"{ack} without received: {states}"
        before.append(ack)
