"""Judges one assertion over samples and records. Fails closed: unknown is a violation, never judged is a failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hil.duration import duration_text
from hil.expr import UNKNOWN, Expr, Value
from hil.figures import Figure, Scalar
from hil.scenario import Assertion, Kind
from hil.signals import Happening

Functions = Mapping[str, Callable[..., Any]]
NS = 1_000_000_000
BOOKS = frozenset({"acks", "ack_state", "ack_reason", "refused"})  # what has been told does not depend on when


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an assertion ended. `sentence` says what was seen; `measured` and `reach` are the figure's."""

    name: str
    chapter: str
    promise: str
    ok: bool
    measured: Scalar
    unit: str
    reach: str
    sentence: str
    beside: Mapping[str, Scalar]
    from_ns: int | None = None  # when its clock began; None = it never did
    seen_ns: int | None = None  # the sample or record that decided it, if one did
    to_ns: int | None = None  # the end of what it was judged over
    timing: bool = True  # a machine that stood still may be why it failed; False = what is lost, or too much, is that

    def figure(self) -> Figure:
        """The verdict as a figure that holds exactly when the verdict is ok."""
        figure = Figure(self.name, self.measured, self.unit, self.reach, self.beside, "" if self.ok else self.sentence)
        if figure.holds is self.ok:
            return figure
        beside = {"measured": self.measured, **self.beside}
        return Figure(self.name, self.ok, "", "== true", beside, figure.note)


class Judge:
    """Feed it moments, records and samples in the order of time; `close` at the end of its window at the latest."""

    def __init__(self, assertion: Assertion, timers: Mapping[str, tuple[float, float]]) -> None:
        self.assertion = assertion
        self._timers = timers
        self._open_ns: int | None = None
        self._clock_ns: int | None = None  # when `after` happened
        self._close_ns: int | None = None
        self._bound_ns = assertion.bound_ns
        self._over = False  # its end came before its beginning
        self._last_ns = 0
        self._judged = 0
        self._count = 0
        self._true_since: int | None = None
        self._before = False  # it was true when the event came, and has been ever since
        self._failure: str | None = None
        self._failed_ns: int | None = None
        self._shown: Scalar = None

    # --- what happens ------------------------------------------------------------------------------------------------
    def begin(self, at_ns: int) -> None:
        """Its chapter, or the scenario, begins. With `after` the window waits for that event."""
        if self.assertion.after in (None, "start"):
            self._open(at_ns)

    def moment(self, name: str, at_ns: int, scope: Mapping[str, Value], functions: Functions) -> None:
        """An event of the scenario happened; `scope` is the sample just before it."""
        if name == self.assertion.after:
            self._open(at_ns)
            expr = self.assertion.expr if self.assertion.kind is Kind.WITHIN else None
            self._before = expr is not None and expr.value(scope.get, functions) is True
            if self.assertion.bound_expr is not None:
                self._bound_ns = self._bound(self.assertion.bound_expr, scope, functions)
        if name == self.assertion.until:
            self._over = self._clock_ns is None
            self._close_ns = self._close_ns if self._over else at_ns

    def happening(self, record: Happening) -> None:
        """A record of some stream."""
        a = self.assertion
        if a.kind is not Kind.COUNT or record.stream != a.stream or not self._inside(record.at_ns):
            return
        matched = True if a.expr is None else a.expr.value(record.fields.get)
        if matched is UNKNOWN or matched is None:
            self._fail(f"`{a.expr and a.expr.text}` cannot be judged of {dict(record.fields)}")
        elif matched:
            self._count += 1
            if a.show is not None:
                self._fold(a.show.value(record.fields.get))
            if a.most is not None and self._count > a.most:
                self._fail(f"number {self._count} at {record.at_ns / NS:.2f} s: {_shown(record.fields)}", record.at_ns)

    def sample(self, at_ns: int, scope: Mapping[str, Value], functions: Functions) -> None:
        """The signals at one moment, after everything that happened up to it."""
        self._last_ns = at_ns
        a = self.assertion
        if a.kind is Kind.COUNT or not self._inside(at_ns):
            return
        if a.guard is not None and a.guard.value(scope.get, functions) is not True:
            return
        assert a.expr is not None
        value = a.expr.value(scope.get, functions)
        if a.show is not None:
            self._fold(a.show.value(scope.get, functions))
        if a.kind is Kind.ALWAYS:
            self._judged += 1
            if value is not True:
                self._fail(f"at {at_ns / NS:.2f} s {_seen(a.expr, scope, value)}", at_ns)
        elif a.kind is Kind.WITHIN and at_ns == self._clock_ns:
            return  # the state before the event has no say
        elif value is True:
            self._true_since = at_ns if self._true_since is None else self._true_since
        else:
            self._before = False
            if a.stays:
                self._true_since = None

    def decided(self, at_ns: int) -> bool:
        """Nothing that may still happen in this chapter would be waited for."""
        if self._failure is not None:
            return True
        if self._clock_ns is None or self._open_ns is None:
            return False
        a = self.assertion
        if a.to_ns is not None and at_ns < self._open_ns + a.to_ns:
            return False
        if a.kind is Kind.COUNT:
            return at_ns > self._open_ns
        if a.kind is Kind.ALWAYS:
            return at_ns >= self._open_ns
        overdue = self._bound_ns is not None and at_ns > self._clock_ns + self._bound_ns
        return self._true_since is not None or overdue

    def close(self) -> Verdict:
        """The verdict."""
        a = self.assertion
        measured: Scalar
        if a.kind is Kind.COUNT:
            ok, measured, reach, sentence = self._close_count()
        elif a.kind is Kind.WITHIN:
            ok, measured, reach, sentence = self._close_within()
        else:
            ok, measured, reach, sentence = self._close_bool()
        if self._clock_ns is None:
            ok, sentence = False, f"`{a.after}` never happened"
        elif ok and (empty := self._empty()):
            ok, sentence = False, empty
        unit = "s" if a.kind is Kind.WITHIN else ""
        seen = self._failed_ns if a.kind in (Kind.ALWAYS, Kind.COUNT) else self._true_since
        to_ns = self._last_ns if self._close_ns is None else min(self._close_ns, self._last_ns)
        if ok and seen is not None and not a.stays:
            to_ns = seen
        times = (self._clock_ns, seen, to_ns)
        beside, timing = self._beside(), not ok and not self._counts_anyway()
        return Verdict(a.name, a.chapter, a.promise, ok, measured, unit, reach, sentence, beside, *times, timing)

    def _counts_anyway(self) -> bool:
        """It failed as no stall of the machine explains: more records than may be, or a book that is wrong."""
        a = self.assertion
        if a.kind is Kind.COUNT:
            return a.most is not None and self._count > a.most
        if a.kind is Kind.WITHIN or a.expr is None:
            return False
        asks = {*a.expr.names, *a.expr.calls}
        return bool(asks) and all(name.startswith("agg.") or name in BOOKS for name in asks)

    # --- inside ------------------------------------------------------------------------------------------------------
    def _open(self, at_ns: int) -> None:
        self._clock_ns = at_ns
        self._open_ns = at_ns + self.assertion.from_ns
        if self.assertion.to_ns is not None:
            self._close_ns = self._open_ns + self.assertion.to_ns

    def _inside(self, at_ns: int) -> bool:
        if self._open_ns is None or at_ns < self._open_ns:
            return False
        return self._close_ns is None or at_ns <= self._close_ns

    def _empty(self) -> str:
        """Why what holds shows nothing: a window that nothing could fall into, or that the run cut short; "" = it was
        there."""
        assert self._open_ns is not None
        a = self.assertion
        if self._over:
            return f"its window was never open: {a.until} came before {a.after}"
        end_ns = self._last_ns if self._close_ns is None else min(self._close_ns, self._last_ns)
        if a.kind is Kind.COUNT and end_ns <= self._open_ns:
            return f"its window was never open: from {self._open_ns / NS:g} s on, and it was over at {end_ns / NS:g} s"
        lasts = a.kind is Kind.ALWAYS or a.stays or (a.kind is Kind.COUNT and a.most is not None)
        if lasts and self._close_ns is not None and self._close_ns > self._last_ns:
            return f"its window lasts to {self._close_ns / NS:g} s, and it was over at {self._last_ns / NS:g} s"
        return ""

    def _bound(self, expr: Expr, scope: Mapping[str, Value], functions: Functions) -> int | None:
        seconds = expr.value(scope.get, functions)
        if isinstance(seconds, int | float) and seconds > 0:
            return round(seconds * NS)
        self._fail(f"`{expr.text}` gave no bound ({seconds!r})")
        return 0

    def _fail(self, sentence: str, at_ns: int | None = None) -> None:
        if self._failure is None:
            self._failure, self._failed_ns = sentence, at_ns

    def _fold(self, value: Any) -> None:
        if not isinstance(value, int | float | str):
            return
        fold, old = self.assertion.fold, self._shown
        if old is None or fold == "last":
            self._shown = value
        elif fold in ("min", "max") and isinstance(old, int | float) and isinstance(value, int | float):
            self._shown = min(old, value) if fold == "min" else max(old, value)

    def _close_count(self) -> tuple[bool, Scalar, str, str]:
        a = self.assertion
        few = a.least is not None and self._count < a.least
        ok = self._failure is None and not few
        sentence = self._failure or (f"{self._count}, expected at least {a.least}" if few else f"{self._count}")
        if a.least is not None and a.least == a.most:
            return ok, self._count, f"== {a.least}", sentence
        return ok, self._count, f"<= {a.most}" if a.most is not None else f">= {a.least}", sentence

    def _close_within(self) -> tuple[bool, Scalar, str, str]:
        bound = self._bound_ns or 0
        reach = f"<= {bound / NS:g}"
        expr = self.assertion.expr
        assert expr is not None
        if self._failure is not None:
            return False, None, reach, self._failure
        if self.assertion.hazard is not None and self._before:
            return (
                False,
                None,
                reach,
                f"`{expr.text}` was true before {self.assertion.after} and ever since: this shows no bound",
            )
        if self._true_since is None or self._clock_ns is None:
            waited = duration_text(self._last_ns - (self._clock_ns or 0))
            return False, None, reach, f"`{expr.text}` not true {waited} after {self.assertion.after}"
        took = self._true_since - self._clock_ns
        return took <= bound, round(took / NS, 3), reach, f"{duration_text(took)}, bound {duration_text(bound)}"

    def _close_bool(self) -> tuple[bool, Scalar, str, str]:
        a = self.assertion
        assert a.expr is not None
        if self._failure is not None:
            return False, False, "== true", self._failure
        if a.kind is Kind.ALWAYS:
            if self._judged == 0:
                return False, False, "== true", f"`{a.expr.text}` was never judged"
            return True, True, "== true", f"held in all {self._judged} samples"
        if self._true_since is None:
            return False, False, "== true", f"`{a.expr.text}` was never true"
        took = self._true_since - (self._clock_ns or 0)
        ok = self._bound_ns is None or took <= self._bound_ns
        return ok, ok, "== true", f"true after {duration_text(took)}"

    def _beside(self) -> dict[str, Scalar]:
        out: dict[str, Scalar] = {}
        if self.assertion.show is not None:
            shown = round(self._shown, 3) if isinstance(self._shown, float) else self._shown
            unit = f" {self.assertion.unit}" if self.assertion.unit else ""
            out[f"{self.assertion.fold} {self.assertion.show.text}"] = f"{shown}{unit}" if unit else shown
        for name in self.assertion.timers:
            here, default = self._timers.get(name, (None, None))
            out[f"{name} here"], out[f"{name} default"] = here, default
        return out


def _seen(expr: Expr, scope: Mapping[str, Value], value: object) -> str:
    names = ", ".join(f"{name} = {_text(scope.get(name))}" for name in sorted(expr.names))
    return f"`{expr.text}` was {'unknown' if value is UNKNOWN else value}: {names}"


def _shown(fields: Mapping[str, Value]) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in fields.items() if value is not None)


def _text(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
