"""Scenario files: initial state, configuration, chapters, events and assertions. Strict: an unknown word is refused.

docs/scenarios.md shows the format by example; `load` is its definition. Times are scenario time: 0 = the backend has
started. Inside a chapter they count from the beginning of the chapter.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from hil.devices.demo import VARIANTS
from hil.expr import Expr, Value, compile_expr
from hil.faults.catalog import ATTACKS, REQUIRED, VERBS, Verb
from hil.hazards import HAZARDS
from hil.signals import FUNCTIONS, SIGNALS, STREAMS
from hil.strict import FileError, Table

DIRECTORY = Path(__file__).with_name("scenarios")
BACKENDS = ("virtual", "process", "bench")
RESERVE = "reserve_permille"
HOME_KEYS = (  # of hil.devices.world, and the reserve that commissioning leaves in the agent's file
    RESERVE,
    "soc_permille",
    "load_w",
    "pv_w",
    "floor_permille",
    "temperature_dc",
    "revert_s",
    "reconnect_s",
    "s_of_day",
    "packs",
    "inverters",
    "legs",
    "rated_w",
    "soc_quantum_permille",
    "idle_dc_w",
    "inverter_leg",
    "temp_spread_dc",
    "asking",
    "soc2_permille",
)
VARIANT = "variant"  # the SunSpec model by which the first inverter is commanded


class Kind(StrEnum):
    """What an assertion says about its expression."""

    ALWAYS = "always"
    EVENTUALLY = "eventually"
    WITHIN = "within"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Event:
    """Do `verb` at `at_ns`, or as soon after it as `when` holds. `for_ns` ends it again. `id` is its name."""

    id: str
    verb: str
    args: Mapping[str, Value]
    chapter: str
    at_ns: int
    when: Expr | None
    for_ns: int | None
    observe: Expr | None = field(default=None, compare=False)  # true once the world shows it


@dataclass(frozen=True, slots=True)
class Assertion:
    """One promise. Windows: from `after` (an event's id, or "id.end") plus `from_ns`, to `until`, or for `to_ns`."""

    name: str
    kind: Kind
    chapter: str
    promise: str
    after: str | None
    until: str | None
    from_ns: int
    to_ns: int | None
    expr: Expr | None  # None only for COUNT without `where`
    guard: Expr | None  # `while`: ALWAYS judges only where it is true
    bound_ns: int | None  # WITHIN, EVENTUALLY
    bound_expr: Expr | None  # WITHIN: seconds, taken when the clock of the bound starts
    stays: bool  # WITHIN: once true it must stay true to the end of the window
    stream: str
    least: int | None
    most: int | None
    show: Expr | None
    fold: str
    unit: str
    timers: tuple[str, ...]  # timers to print beside, as they are here and by default
    hazard: int | None  # the row of the hazard table whose required bound this shows


@dataclass(frozen=True, slots=True)
class Chapter:
    """A stretch of a story: ends when its events are done, its assertions decided and `until` holds; at the latest at
    `limit_ns`, and then it has failed."""

    id: str
    title: str
    short: str  # for a narrow screen
    until: Expr | None
    limit_ns: int
    linger_ns: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Homes of a fleet: the times that they took for the assertion `of` lie so far apart, from first to last."""

    name: str
    of: str
    least_s: float
    hazard: int | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file, checked."""

    name: str
    about: str
    hazards: tuple[int, ...]
    seed: int
    duration_ns: int
    sample_ns: int
    backends: tuple[str, ...]
    home: Mapping[str, Value]
    config: Mapping[str, Mapping[str, Value]]
    chapters: tuple[Chapter, ...]
    events: tuple[Event, ...]
    assertions: tuple[Assertion, ...]
    fleet: int = 1  # homes, each with a seed of its own
    spreads: tuple[Spread, ...] = ()


def find(name: str) -> Path:
    """The file of a scenario by its name, or by its path. FileError lists the names that exist."""
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return path
    known = DIRECTORY / f"{name}.toml"
    if known.is_file():
        return known
    names = ", ".join(sorted(p.stem for p in DIRECTORY.glob("*.toml")))
    raise FileError(f"there is no scenario {name!r}; known: {names}; or give the path of a .toml file")


def load(path: Path) -> Scenario:
    """Read and check a file. FileError names file, key and reason."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read: {error}") from None
    return parse(text, path.name)


def parse(text: str, file: str) -> Scenario:
    """`load` for text; `file` is the name in errors."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileError(f"{file}: is not TOML: {error}") from None
    top = Table(file, "file", raw)
    head = top.table("scenario")
    scenario = Scenario(
        name=head.text("name"),
        about=head.text("about", ""),
        hazards=head.integers("hazards"),
        seed=head.integer("seed", 1),
        duration_ns=head.duration("duration"),
        sample_ns=head.duration("sample", "100ms"),
        backends=head.texts("backends", ("virtual",)),
        home=_home(top.table("home")),
        config=_config(top.table("config")),
        chapters=tuple(_chapter(t) for t in top.tables("chapter")),
        events=tuple(_event(t) for t in top.tables("event")),
        assertions=tuple(_assertion(t) for t in top.tables("assert")),
        fleet=head.integer("fleet", 1),
        spreads=tuple(_spread(t) for t in top.tables("spread")),
    )
    head.done()
    top.done()
    _check(scenario, head, file)
    return scenario


def _home(table: Table) -> Mapping[str, Value]:
    out: dict[str, Value] = {}
    for key in HOME_KEYS:
        if table.has(key):
            out[key] = table.integer(key)
        table.raw(key)
    if table.has(VARIANT):
        out[VARIANT] = table.text(VARIANT, among=tuple(VARIANTS))
    table.done()
    return out


def _config(table: Table) -> Mapping[str, Mapping[str, Value]]:
    """Sections of the agent's own configuration; the agent refuses what it does not know."""
    out: dict[str, dict[str, Value]] = {}
    for section in table.keys():  # noqa: SIM118 - not a dict
        inner = table.table(section)
        out[section] = {}
        for key in inner.keys():  # noqa: SIM118 - not a dict
            value = inner.raw(key)
            if not isinstance(value, int | float | str | bool):
                raise inner.fail(key, f"expected a number, a text or true/false, found {value!r}")
            out[section][key] = value
    return out


def _chapter(table: Table) -> Chapter:
    chapter = Chapter(
        id=table.text("id"),
        title=table.text("title"),
        short=table.text("short", table.text("title")),
        until=table.maybe_expr("until", SIGNALS, FUNCTIONS),
        limit_ns=table.duration("limit"),
        linger_ns=table.duration("linger", "0s"),
    )
    table.done()
    return chapter


def _event(table: Table) -> Event:
    name = table.text("do")
    verb = VERBS.get(name)
    if verb is None:
        raise table.fail("do", f"there is no verb {name!r}; known: {', '.join(sorted(VERBS))}")
    args: dict[str, Value] = {}
    given = table.table("args")
    for key, (kind, default) in verb.args.items():
        if not given.has(key) and default is not REQUIRED:
            given.raw(key)
            if default is not None:
                args[key] = default  # type: ignore[assignment]  # the catalogue holds scalars
            continue
        args[key] = _argument(given, key, kind)
    given.done()
    event = Event(
        id=table.text("id", name),
        verb=name,
        args=args,
        chapter=table.text("chapter", ""),
        at_ns=table.duration("at", "0s"),
        when=table.maybe_expr("when", SIGNALS, FUNCTIONS),
        for_ns=table.maybe_duration("for"),
        observe=_observe(verb, args),
    )
    if event.for_ns is not None and verb.revert is None:
        raise table.fail("for", f"{name} has no end")
    table.done()
    return event


def _observe(verb: Verb, args: Mapping[str, Value]) -> Expr | None:
    """By what this fault is seen."""
    text = verb.observe.format(**{"device": "", **args})
    return compile_expr(text, SIGNALS, FUNCTIONS) if text else None


def _argument(table: Table, key: str, kind: str) -> Value:
    if kind == "int":
        return table.integer(key)
    if kind == "duration":
        return table.duration(key) // 1_000_000_000
    return table.text(key, among=ATTACKS if kind == "forgery" else ())


def _assertion(table: Table) -> Assertion:
    kind = _kind(table)
    stream = table.text("count", among=STREAMS) if kind is Kind.COUNT else ""
    if kind is Kind.COUNT:
        expr = table.maybe_expr("where", STREAMS[stream])
    else:
        expr = table.expr({Kind.WITHIN: "that"}.get(kind, kind.value), SIGNALS, FUNCTIONS)
    bound_ns, bound_expr = _bound(table, kind)
    shown = STREAMS[stream] if stream else SIGNALS
    assertion = Assertion(
        name=table.text("name"),
        kind=kind,
        chapter=table.text("chapter", ""),
        promise=table.text("promise", ""),
        after=table.maybe_text("after"),
        until=table.maybe_text("until"),
        from_ns=table.duration("from", "0s"),
        to_ns=table.maybe_duration("to"),
        expr=expr,
        guard=table.maybe_expr("while", SIGNALS, FUNCTIONS) if kind is Kind.ALWAYS else None,
        bound_ns=bound_ns,
        bound_expr=bound_expr,
        stays=table.flag("stays") if kind is Kind.WITHIN else False,
        stream=stream,
        least=_count_bound(table, kind, "at_least"),
        most=_count_bound(table, kind, "at_most"),
        show=table.maybe_expr("show", shown, () if stream else FUNCTIONS),
        fold=table.text("fold", "last", among=("last", "min", "max", "first")),
        unit=table.text("unit", ""),
        timers=table.texts("timers"),
        hazard=table.maybe_integer("hazard"),
    )
    if kind is Kind.COUNT and assertion.least is None and assertion.most is None:
        raise table.fail("at_most", "a count needs `exactly`, `at_most` or `at_least`")
    if assertion.hazard is not None and assertion.hazard not in HAZARDS:
        raise table.fail("hazard", f"there is no row {assertion.hazard} in the hazard table")
    if kind is Kind.WITHIN and assertion.after is None:
        raise table.fail("after", "`within` counts from an event; name it")
    table.done()
    return assertion


def _spread(table: Table) -> Spread:
    least_s = table.duration("at_least") / 1_000_000_000
    spread = Spread(table.text("name"), table.text("of"), least_s, table.maybe_integer("hazard"))
    table.done()
    return spread


def _kind(table: Table) -> Kind:
    found = [kind for kind in Kind if table.has(kind.value)]
    if table.has("within_s"):
        found.append(Kind.WITHIN)
    if len(found) != 1:
        raise table.fail("always", "an assertion is exactly one of always, eventually, within (with that), count")
    return found[0]


def _bound(table: Table, kind: Kind) -> tuple[int | None, Expr | None]:
    if kind is Kind.EVENTUALLY:
        return table.maybe_duration("before"), None
    if kind is not Kind.WITHIN:
        return None, None
    if table.has("within_s"):
        return None, table.expr("within_s", SIGNALS, FUNCTIONS)
    return table.duration("within"), None


def _count_bound(table: Table, kind: Kind, key: str) -> int | None:
    if kind is not Kind.COUNT:
        return None
    exactly = table.maybe_integer("exactly")
    return table.maybe_integer(key) if exactly is None else exactly


def _check(scenario: Scenario, head: Table, file: str) -> None:
    """What no table can know alone: names that must meet, times that must fit."""
    for backend in scenario.backends:
        if backend not in BACKENDS:
            raise head.fail("backends", f"{backend!r} is not one of {', '.join(BACKENDS)}")
    if scenario.sample_ns <= 0 or scenario.duration_ns <= 0:
        raise head.fail("duration", "duration and sample must be longer than nothing")
    _unique(file, "chapter.id", [c.id for c in scenario.chapters])
    _unique(file, "event.id", [e.id for e in scenario.events])
    _unique(file, "assert.name", [a.name for a in scenario.assertions] + [s.name for s in scenario.spreads])
    _check_fleet(scenario, head, file)
    _check_able(scenario, file)
    chapters = {c.id for c in scenario.chapters}
    moments = {m for e in scenario.events for m in (e.id, f"{e.id}.end")} | {"start"}
    labels = {e.id for e in scenario.events if e.verb.startswith("aggregator.")}
    for event in scenario.events:
        if event.chapter not in chapters | ({""} if not chapters else set()):
            raise FileError(f"{file}: event {event.id}.chapter: there is no chapter {event.chapter!r}")
        target = event.args.get("target")
        if target is not None and target not in labels:
            raise FileError(f"{file}: event {event.id}.args.target: no event with id {target!r} sends a command")
    for assertion in scenario.assertions:
        if assertion.chapter and assertion.chapter not in chapters:
            raise FileError(f"{file}: assert {assertion.name}.chapter: there is no chapter {assertion.chapter!r}")
        for key, moment in (("after", assertion.after), ("until", assertion.until)):
            if moment is not None and moment not in moments:
                raise FileError(
                    f"{file}: assert {assertion.name}.{key}: there is no event {moment!r}; known: "
                    + ", ".join(sorted(moments))
                )


def _check_able(scenario: Scenario, file: str) -> None:
    for event in scenario.events:
        for backend in scenario.backends:
            reason = VERBS[event.verb].unable.get(backend)
            if reason is not None:
                raise FileError(f"{file}: event {event.id}.do: {backend} cannot {event.verb}: {reason}")


def _check_fleet(scenario: Scenario, head: Table, file: str) -> None:
    if scenario.fleet > 1 and scenario.backends != ("virtual",):
        raise head.fail("fleet", "several homes run on virtual alone")
    for spread in scenario.spreads:
        if scenario.fleet < 2:
            raise head.fail("fleet", f"spread {spread.name!r} needs at least 2 homes")
        if spread.of not in {a.name for a in scenario.assertions if a.kind is Kind.WITHIN}:
            raise FileError(f"{file}: spread {spread.name}.of: there is no `within` assertion {spread.of!r}")


def _unique(file: str, key: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise FileError(f"{file}: {key}: {value!r} is there twice; give each its own name")
