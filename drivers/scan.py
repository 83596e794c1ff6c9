"""Who is on a line that nobody knows: unit by unit, reads alone. Sans-IO: requests out, outcomes in.

Never a write and never broadcast. First a knock at each unit that any device answers, be it with a refusal; then, of
those that answer, every profile asks what it would ask, and the one whose identity and values fit best is named. A JK
PB BMS is asked by a write that it takes as a request, so it is only asked where a plain read has shown it to be one, or
where the person says that there may be one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from drivers import identify
from drivers.binding import Binding, DeviceSpec
from drivers.dialects import DIALECTS
from drivers.events import Identity
from drivers.family import Profile
from drivers.picture import Picture, Registers, reads_of
from drivers.plan import Reach
from drivers.port import Fate, Outcome, Port, Request

LIKELY = (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 16, 30, 71, 100, 126, 200, 210, 247)  # as makers set them, 210 = Daly
FIRST = (1, 2)
ALL = tuple(range(1, 248))
EVERY_BAUD = (9600, 19200, 115200, 2400, 38400, 57600, 4800, 1200)
PARITIES = ("N", "E", "O")
KNOCK_NS = 150_000_000
LIKELY_KNOCK_NS = 300_000_000
KNOCKS = ((3, 0), (4, 0))  # (function, address)
ASCII_UNITS = (2, 1, 3, 4)  # the master of a Pylontech stack is 2
OTHER_PHASES = ("l2_mv", "l3_mv")
JK = "jk_pb"
JK_ABOUT = 0x1400
Talk = Generator[Request, Outcome, "bool"]


@dataclass(frozen=True, slots=True)
class Setting:
    """How a serial line is set; baud 0 = TCP."""

    baud: int
    parity: str = "N"
    stop_bits: int = 1

    def __str__(self) -> str:
        return f"{self.baud} 8{self.parity}{self.stop_bits}" if self.baud else "TCP"


@dataclass(frozen=True, slots=True)
class Hit:
    """Somebody at `unit`. `profile` None: nobody that we know. `why`: what makes us so sure, a sentence."""

    setting: Setting
    unit: int
    profile: Profile | None
    identity: Identity | None
    confidence: str  # "high" | "medium" | "low"
    why: str
    others: tuple[str, ...] = ()  # profiles that fit as well


def settings(profiles: Sequence[Profile]) -> list[Setting]:
    """Every setting of a serial line, the likely first: without parity, as most devices, by how many use a speed."""
    known = Counter(profile.baud for profile in profiles if "rtu" in profile.links)
    rest = [baud for baud in EVERY_BAUD if baud not in known]
    bauds = [baud for baud, _ in known.most_common()]
    pairs = [(baud, parity) for parity in PARITIES for baud in bauds] + [(b, p) for b in rest for p in PARITIES]
    return [Setting(baud, parity) for baud, parity in pairs]


class Survey:
    """One setting of one line. `unit` is the one that is asked now, `noise` counts replies that were no frames."""

    def __init__(self, port: Port, setting: Setting, profiles: Sequence[Profile], jk: bool = False) -> None:
        self._port, self._setting, self._jk = port, setting, jk
        link = "rtu" if setting.baud else "tcp"
        self._profiles = [profile for profile in profiles if link in profile.links]
        self.unit = 0
        self.noise = 0
        self.hits: list[Hit] = []

    # --- Modbus -------------------------------------------------------------------------------------------------------
    def run(self, units: Iterable[int]) -> Talk:
        """Every unit of these; `hits` grows. True if anybody was found."""
        before = len(self.hits)
        for unit in units:
            self.unit = unit
            if (yield from self._knock(unit)):
                self.hits.append((yield from self._who(unit, [p for p in self._profiles if not p.dialect])))
        return len(self.hits) > before

    def _knock(self, unit: int) -> Talk:
        likely = unit in LIKELY
        knocks = list(KNOCKS[: 2 if likely else 1])
        if unit in FIRST:  # some say nothing where others refuse: what the profiles ask first
            knocks += [self._first(p) for p in self._profiles if not p.dialect and p.baud == self._setting.baud]
        response_ns = LIKELY_KNOCK_NS if likely and self._setting.baud else KNOCK_NS
        for number, (function, address) in enumerate(dict.fromkeys(knocks)):
            wait_ns = response_ns if number == 0 else KNOCK_NS
            outcome = yield self._port.read(unit, function, address, 1, wait_ns)
            if outcome.fate is Fate.DATA or (outcome.fate is Fate.EXCEPTION and outcome.code not in (10, 11)):
                return True
            self.noise += outcome.fate is Fate.GARBLED
        return False

    @staticmethod
    def _first(profile: Profile) -> tuple[int, int]:
        if profile.bases:
            return profile.function, profile.bases[0]
        place = next((text for text in profile.texts if text.fixed is None), None)
        if place is not None:
            return place.function, place.at
        part = profile.points[0].parts[0]
        return part.function, part.at if isinstance(part.at, int) else 0

    # --- dialects -----------------------------------------------------------------------------------------------------
    def dialects(self) -> Talk:
        """Devices that do not speak Modbus. None of what is sent means anything to one that does."""
        before = len(self.hits)
        if not self._setting.baud:
            return False
        for profile in self._profiles:
            if not profile.dialect or profile.baud != self._setting.baud or (profile.dialect == JK and not self._jk):
                continue
            taken = {hit.unit for hit in self.hits}
            for unit in (1,) if profile.dialect == "jbd" else ASCII_UNITS:
                self.unit = unit
                if unit not in taken and (yield from self._speaks(profile, unit)):
                    same = [p for p in self._profiles if DIALECTS.get(p.dialect).__class__ is _class(profile)]
                    self.hits.append((yield from self._who(unit, same)))
        return len(self.hits) > before

    def _speaks(self, profile: Profile, unit: int) -> Talk:
        dialect = DIALECTS[profile.dialect]
        place = next((t.function for t in profile.texts if t.fixed is None), profile.points[0].parts[0].function)
        outcome = yield self._port.ask(dialect, unit, place, 0, 1, LIKELY_KNOCK_NS)
        return outcome.fate in (Fate.DATA, Fate.EXCEPTION)

    def _is_jk(self, unit: int) -> Talk:
        """Its registers say so, in a plain read. It loses half of them, so we ask more than once."""
        for _ in range(3):
            outcome = yield self._port.read(unit, 3, JK_ABOUT, 8, LIKELY_KNOCK_NS)
            if outcome.fate is Fate.DATA:
                return b"JK" in outcome.data[2:18]
        return False

    # --- who it is ----------------------------------------------------------------------------------------------------
    def _who(self, unit: int, profiles: Sequence[Profile]) -> Generator[Request, Outcome, Hit]:
        if any(not p.dialect for p in profiles) and self._setting.baud == 115200 and (yield from self._is_jk(unit)):
            profiles = [p for p in self._profiles if p.dialect == JK]
        asked = Asked(self._port)
        ranked: list[tuple[tuple[int, int, int], Profile, Binding, str]] = []
        for profile in profiles:
            spec = DeviceSpec(profile.id, profile.role, unit, profile, units=dict(profile.units))
            binding = yield from asked.identified(spec)
            if isinstance(binding, str):
                continue
            registers = yield from asked.registers(spec, binding)
            known, whole, plain = _fit(spec, binding, registers)
            rank, word = _evidence(profile)
            if 2 * known < whole or (not plain and rank < 3):
                continue  # most of it is nonsense, or every register reads the same: that is nobody's value
            usual = profile.baud == self._setting.baud
            score = (rank if 5 * known >= 4 * whole else 0, 100 * known // max(1, whole), 2 * known + usual)
            ranked.append((score, profile, binding, f"{word}; {known} of {whole} values are plausible"))
        if not ranked:
            return Hit(self._setting, unit, None, None, "low", "it answers as no device that we have a profile of")
        ranked.sort(key=lambda row: row[0], reverse=True)
        (rank, share, _), profile, binding, why = ranked[0]
        equal = tuple(
            other.id
            for score, other, bound, _ in ranked[1:]
            if score[1] == share
            and (score[0] == rank or (rank <= 2 and bound.identity.maker == binding.identity.maker))
        )
        confidence = "high" if rank >= 3 and not equal else "medium" if rank >= 2 and len(equal) < 2 else "low"
        return Hit(self._setting, unit, profile, binding.identity, confidence, why, equal)


def _class(profile: Profile) -> type[object]:
    return DIALECTS[profile.dialect].__class__


def _evidence(profile: Profile) -> tuple[int, str]:
    """How much a match of its identity says: 4 a name, 3 SunSpec, 2 registers that are its own, 1 only values."""
    if profile.named:
        return 4, "it says so by name"
    if profile.sunspec:
        return 3, "it has the SunSpec marker and these models"
    if profile.dialect:
        return 3, "it speaks this dialect"
    if any(expect.values for expect in profile.expects):
        return 3, "a code in its registers is one of this family"
    if profile.expects:
        return 2, "registers of this family hold what they must"
    return 1, "nothing in it says who it is"


def _fit(spec: DeviceSpec, binding: Binding, registers: Registers) -> tuple[int, int, bool]:
    """Values that are known, of how many, and whether they are more than one number over and over."""
    states = [state for state in Picture(spec, binding, registers, 1).points() if state.name != "alarms"]
    raws = {raw for state in states for raw in state.raw if raw is not None}
    # a phase without voltage: the device has fewer of them than the profile
    good = [s for s in states if s.state == "known" and not (s.name in OTHER_PHASES and not any(s.raw))]
    return len(good), len(states), len(raws) > 1


class Asked:
    """Reads of one unit: nothing is asked twice, whichever profile wants it."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._known: dict[bytes, identify.Reply | None] = {}
        self._silent = 0
        self._refused = 0

    def _ask(self, request: Request) -> Generator[Request, Outcome, identify.Reply | None]:
        if request.frame in self._known and request.dialect is None:
            return self._known[request.frame]
        reply: identify.Reply | None = None
        for _ in range(2 if self._silent < 4 else 1):
            outcome = yield request
            if outcome.fate is Fate.DATA:
                reply = outcome.data
            elif outcome.fate is Fate.EXCEPTION:
                reply = outcome.code
            if reply is not None:
                break
        self._silent = 0 if reply is not None else self._silent + 1
        self._known[request.frame] = reply
        return reply

    def identified(self, spec: DeviceSpec) -> Generator[Request, Outcome, Binding | str]:
        """What the profile's own identification finds, or why it is not ours; silence counts as a refusal."""
        cap = spec.profile.max_registers if not spec.profile.dialect else DIALECTS[spec.profile.dialect].words
        refused = self._refused
        found = yield from self._steps(spec, cap)
        if isinstance(found, str) and self._refused > refused and not spec.profile.sunspec:
            found = yield from self._steps(spec, 1)  # a read over a gap is refused as a whole: value by value
        return found

    def _steps(self, spec: DeviceSpec, cap: int) -> Generator[Request, Outcome, Binding | str]:
        steps = identify.steps(
            spec, self._port, Reach(cap, spec.profile.max_bits, spec.profile.max_gap, spec.profile.holes)
        )
        try:
            request = next(steps)
            while True:
                reply = yield from self._ask(request)
                self._refused += not isinstance(reply, bytes)
                request = steps.send(2 if reply is None else reply)
        except StopIteration as end:
            found: Binding | str = end.value
            return found

    def registers(self, spec: DeviceSpec, binding: Binding) -> Generator[Request, Outcome, Registers]:
        """All that the profile's plan reads."""
        profile = spec.profile
        dialect = DIALECTS.get(profile.dialect)
        cap = profile.max_registers if dialect is None else dialect.words
        found: dict[tuple[int, int, int], int] = {}
        for read in reads_of(spec, binding, cap):
            unit = spec.unit if read.unit is None else read.unit
            if dialect is None:
                request = self._port.read(unit, read.function, read.start, read.length, profile.response_ns)
            else:
                request = self._port.ask(
                    dialect, unit, read.function, read.start, read.length, profile.response_ns, profile.gap_ns
                )
            reply = yield from self._ask(request)
            if isinstance(reply, bytes):
                found.update(registers_of(unit, read.function, read.start, read.length, reply[2:]))
        return found


def registers_of(
    unit: int, function: int, start: int, length: int, data: bytes, bits: bool | None = None
) -> dict[tuple[int, int, int], int]:
    """The data of a reply by (unit, function, address). `bits`: not registers; by default as the function says."""
    if function in (1, 2) if bits is None else bits:
        coils = int.from_bytes(data, "little")
        return {(unit, function, start + n): coils >> n & 1 for n in range(length)}
    return {(unit, function, start + n): int.from_bytes(data[2 * n : 2 * n + 2], "big") for n in range(length)}
