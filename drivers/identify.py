"""Who answers: the reads that find out, as a generator. Yields requests, is sent replies, returns what it found.

A reply is the PDU of a read, or the exception code as an int. Timeouts are the device's affair, not seen here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

from drivers import sunspec
from drivers.bind import bind
from drivers.binding import Binding, Chain, DeviceSpec
from drivers.codec import RawType, from_words, text_of
from drivers.dialects import DIALECTS
from drivers.events import Identity
from drivers.plan import Reach, Span, plan
from drivers.port import Port, Request
from drivers.resolve import Resolver

MOST_MODELS = 64
NO_NUMBER = frozenset({"0", "65535", "4294967295"})  # what a register that is not kept reads
Reply = bytes | int
Words = dict[tuple[int, int], int]  # (function, address) -> register
Steps = Generator[Request, Reply, "Binding | str"]


def steps(spec: DeviceSpec, port: Port, reach: Reach) -> Steps:
    """Find out who answers at the device's unit. Returns its Binding, or the sentence that says why it is not ours.

    `reach`: what a read may be on this line.
    """
    return _Identify(spec, port, reach).run()


class _Identify:
    def __init__(self, spec: DeviceSpec, port: Port, reach: Reach) -> None:
        self._spec, self._profile, self._port, self._reach = spec, spec.profile, port, reach

    def run(self) -> Steps:
        if not self._profile.sunspec:
            return (yield from self._by_registers())
        return (yield from self._by_chain())

    def _ask(self, function: int, address: int, count: int, unit: int | None = None) -> Request:
        asked, response_ns, gap_ns = self._spec.unit, self._profile.response_ns, self._profile.gap_ns
        if unit is not None:
            asked = unit
        dialect = DIALECTS.get(self._profile.dialect)
        if dialect is not None:
            return self._port.ask(dialect, asked, function, address, count, response_ns, gap_ns)
        return self._port.read(asked, function, address, count, response_ns, gap_ns)

    def _registers(self, spans: Iterable[Span]) -> Generator[Request, Reply, dict[int, int]]:
        """The words at these places; those that the device refuses are missing."""
        found = yield from self._by_function(spans)
        return {address: word for (_, address), word in found.items()}

    def _by_function(self, spans: Iterable[Span]) -> Generator[Request, Reply, Words]:
        """The same by (function, address): two functions may number different registers alike."""
        words: Words = {}
        wanted = list(dict.fromkeys(spans))
        for read in plan(wanted, self._reach):
            reply = yield self._ask(read.function, read.start, read.length, read.unit)
            if isinstance(reply, bytes):
                _take(words, read.function, read.start, reply)
                continue
            for n in read.members if len(read.members) > 1 else ():  # one hole must not take its neighbours along
                span = wanted[n]
                reply = yield self._ask(span.function, span.start, span.length, span.unit)
                if isinstance(reply, bytes):
                    _take(words, span.function, span.start, reply)
        return words

    # --- fixed registers ----------------------------------------------------------------------------------------------
    def _by_registers(self) -> Steps:
        texts = self._profile.texts
        places = [Span(t.function, t.function, t.at, t.length) for t in texts if t.fixed is None]
        words = yield from self._by_function(places)
        resolver = Resolver(self._profile, (), self._spec.units)
        facts = yield from self._registers(resolver.facts())
        found = []
        for text in texts:
            if text.fixed is not None:
                found.append(text.fixed)
                continue
            data = _bytes(words, text.function, text.at, text.length)
            known = (text.function, text.at) in words
            found.append(
                text_of(data) if text.kind is RawType.STRING else str(int.from_bytes(data, "big")) if known else ""
            )
        identity = Identity(*found)
        other = self._other(identity) or self._unexpected(resolver, facts) or self._nameless(identity)
        return other or bind(self._spec, (), identity, facts)

    def _other(self, identity: Identity) -> str | None:
        """It says by name that it is another family."""
        profile = self._profile
        expected, begins, ends = profile.expect_maker, profile.expect_model, profile.expect_model_end
        if expected and not identity.maker.startswith(expected):
            return (
                f'unit {self._spec.unit} says its maker is "{identity.maker}", a {profile.title} says '
                f'"{expected}"; check the unit number, or choose the profile of this device'
            )
        if not identity.model.startswith(begins or "") or not identity.model.endswith(ends or ""):
            return (
                f'unit {self._spec.unit} says its model is "{identity.model}", a {profile.title} says '
                f"{' or '.join(begins)}...{' or '.join(ends)}; "
                f"check the unit number, or choose the profile of this device"
            )
        return None

    def _nameless(self, identity: Identity) -> str | None:
        """What is written to and told by nothing else must have a serial number where this family keeps it."""
        profile, serial = self._profile, self._profile.texts[-1]
        empty = not any(sign.isalnum() for sign in identity.serial) or identity.serial in NO_NUMBER
        told = profile.tells_apart or serial.fixed is not None or not (profile.controls or profile.floor)
        if told or not empty:
            return None
        return (
            f"unit {self._spec.unit} has no serial number at register {serial.at}, where a {self._profile.title} has "
            f"it; check the unit number, or choose the profile of this device"
        )

    def _unexpected(self, resolver: Resolver, facts: dict[int, int]) -> str | None:
        """The first register that tells another family from ours."""
        for expect in self._profile.expects:
            for place, _ in resolver.places(expect.part):
                words = [facts.get(place.address + n) for n in range(place.length)]
                known = [word for word in words if word is not None]
                raw = from_words(known, place.kind, place.order) if len(known) == len(words) else None
                if raw is not None and expect.part.mask:
                    raw &= expect.part.mask
                if raw is None or not expect.fits(raw):
                    seen = "is not there" if len(known) < len(words) else f"reads {'nothing' if raw is None else raw}"
                    return (
                        f"register {place.address} of unit {self._spec.unit} {seen}, a {self._profile.title} has "
                        f"{expect.wanted} ({expect.means}); choose this device's profile"
                    )
        return None

    # --- SunSpec ------------------------------------------------------------------------------------------------------
    def _by_chain(self) -> Steps:
        base = yield from self._marker()
        if base is None:
            tried = ", ".join(str(b) for b in self._profile.bases)
            return (
                f"unit {self._spec.unit} answers but has no SunSpec marker at {tried}; switch SunSpec Modbus on "
                f"(integers with scale factors) in the inverter, or choose another profile"
            )
        chain = yield from self._walk(base + 2)
        wanted = self._profile.models
        if wanted and not any(model[0] in wanted for model in chain):
            found = ", ".join(str(model[0]) for model in chain)
            return (
                f"unit {self._spec.unit} has the SunSpec models {found}, a {self._profile.id} one of "
                f"{', '.join(str(model) for model in wanted)}; try its other units"
            )
        common = self._whose(chain)
        if common is None:
            return f"unit {self._spec.unit} has a SunSpec marker at {base} but no model 1 behind it"
        identity = yield from self._common(common)
        resolver = Resolver(self._profile, chain)
        words = yield from self._registers(resolver.facts())
        return self._other(identity) or bind(self._spec, chain, identity, words)

    def _whose(self, chain: Chain) -> int | None:
        """The model 1 of the models that we read: a meter behind an inverter has one of its own in the same chain."""
        found: int | None = None
        for model, address, _ in chain:
            if model == sunspec.COMMON:
                found = address
            elif found is not None and (model in self._profile.models or not self._profile.models):
                break
        return found

    def _marker(self) -> Generator[Request, Reply, int | None]:
        for base in self._profile.bases:
            reply = yield self._ask(self._profile.function, base, 2)
            if isinstance(reply, bytes) and reply[2:6] == sunspec.MARKER:
                return base
        return None

    def _walk(self, address: int) -> Generator[Request, Reply, Chain]:
        """Model headers up to the end marker. A length is the maker's own, and always the way to the next model."""
        chain: list[tuple[int, int, int]] = []
        while len(chain) < MOST_MODELS and address <= 0xFFFE:
            reply = yield self._ask(self._profile.function, address, 2)
            if not isinstance(reply, bytes):
                break
            model, length = int.from_bytes(reply[2:4], "big"), int.from_bytes(reply[4:6], "big")
            if model in (sunspec.END, 0):
                break
            chain.append((model, address, length))
            address += 2 + length
        return tuple(chain)

    def _common(self, address: int) -> Generator[Request, Reply, Identity]:
        names = ("Mn", "Md", "Vr", "SN")
        places = [sunspec.model(sunspec.COMMON).points[name] for name in names]
        words = yield from self._registers(
            Span(self._profile.function, address, address + p.offset, p.words) for p in places
        )
        texts = []
        for place in places:
            data = (words.get(address + place.offset + n, 0).to_bytes(2, "big") for n in range(place.words))
            texts.append(text_of(b"".join(data)))
        return Identity(*texts)


def _take(words: Words, function: int, start: int, reply: bytes) -> None:
    """The registers of a reply."""
    for n in range((len(reply) - 2) // 2):
        words[function, start + n] = int.from_bytes(reply[2 + 2 * n : 4 + 2 * n], "big")


def _bytes(words: Words, function: int, at: int, length: int) -> bytes:
    return b"".join(words.get((function, at + n), 0).to_bytes(2, "big") for n in range(length))


def name_of(identity: Identity) -> str:
    """For people."""
    words = f"{identity.maker} {identity.model}".strip()
    serial = f"serial {identity.serial}" if identity.serial else ""
    return ", ".join(word for word in (words, serial) if word) or "a device without a name"


def difference(pinned: Identity, found: Identity) -> str | None:
    """The first word of the pin that is another one now; empty words and the version are not compared."""

    def pairs() -> Iterator[tuple[str, str, str]]:
        for word in ("maker", "model", "serial"):
            yield word, getattr(pinned, word), getattr(found, word)

    return next((word for word, wanted, seen in pairs() if wanted and wanted != seen), None)
