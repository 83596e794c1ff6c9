"""Who answers: the reads that find out, as a generator. Yields requests, is sent replies, returns what it found.

A reply is the PDU of a read, or the exception code as an int. Timeouts are the device's affair, not seen here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

from drivers import sunspec
from drivers.bind import bind
from drivers.binding import Binding, Chain, DeviceSpec
from drivers.codec import RawType, from_words, text_of
from drivers.events import Identity
from drivers.plan import Span, plan
from drivers.port import Port, Request
from drivers.resolve import Resolver

MOST_MODELS = 64
Reply = bytes | int
Steps = Generator[Request, Reply, "Binding | str"]


def steps(spec: DeviceSpec, port: Port, cap: int) -> Steps:
    """Find out who answers at the device's unit. Returns its Binding, or the sentence that says why it is not ours.

    `cap`: most registers a read may have on this line.
    """
    return _Identify(spec, port, cap).run()


class _Identify:
    def __init__(self, spec: DeviceSpec, port: Port, cap: int) -> None:
        self._spec, self._profile, self._port, self._cap = spec, spec.profile, port, cap

    def run(self) -> Steps:
        if not self._profile.sunspec:
            return (yield from self._by_registers())
        return (yield from self._by_chain())

    def _ask(self, function: int, address: int, count: int, unit: int | None = None) -> Request:
        asked = self._spec.unit if unit is None else unit
        return self._port.read(asked, function, address, count, self._profile.response_ns, self._profile.gap_ns)

    def _registers(self, spans: Iterable[Span]) -> Generator[Request, Reply, dict[int, int]]:
        """The words at these places; those that the device refuses are missing."""
        words: dict[int, int] = {}
        for read in plan(list(dict.fromkeys(spans)), self._cap, self._profile.max_bits):
            reply = yield self._ask(read.function, read.start, read.length, read.unit)
            if isinstance(reply, bytes):
                for n in range(read.length):
                    words[read.start + n] = int.from_bytes(reply[2 + 2 * n : 4 + 2 * n], "big")
        return words

    # --- fixed registers ----------------------------------------------------------------------------------------------
    def _by_registers(self) -> Steps:
        texts = self._profile.texts
        places = [Span(t.function, t.function, t.at, t.length) for t in texts if t.fixed is None]
        words = yield from self._registers(places)
        resolver = Resolver(self._profile, (), self._spec.units)
        facts = yield from self._registers(resolver.facts())
        found = []
        for text in texts:
            if text.fixed is not None:
                found.append(text.fixed)
                continue
            data = b"".join(words.get(text.at + n, 0).to_bytes(2, "big") for n in range(text.length))
            known = text.at in words
            found.append(
                text_of(data) if text.kind is RawType.STRING else str(int.from_bytes(data, "big")) if known else ""
            )
        identity = Identity(*found)
        other = self._other(identity) or self._unexpected(resolver, facts)
        return other or bind(self._spec, (), identity, facts)

    def _other(self, identity: Identity) -> str | None:
        """It says by name that it is another family."""
        expected, models = self._profile.expect_maker, self._profile.expect_model
        if expected and not identity.maker.startswith(expected):
            return (
                f'unit {self._spec.unit} says its maker is "{identity.maker}", a {self._profile.title} says '
                f'"{expected}"; check the unit number, or choose the profile of this device'
            )
        if models and not identity.model.startswith(models):
            return (
                f'unit {self._spec.unit} says its model is "{identity.model}", a {self._profile.title} says '
                f"{' or '.join(models)}...; check the unit number, or choose the profile of this device"
            )
        return None

    def _unexpected(self, resolver: Resolver, facts: dict[int, int]) -> str | None:
        """The first register that tells another family from ours."""
        for expect in self._profile.expects:
            for place, _ in resolver.places(expect.part):
                words = [facts.get(place.address + n) for n in range(place.length)]
                known = [word for word in words if word is not None]
                raw = from_words(known, place.kind, place.order) if len(known) == len(words) else None
                if raw is not None and expect.part.mask:
                    raw &= expect.part.mask
                if raw is None or raw in expect.but or (expect.values and raw not in expect.values):
                    seen = "is not there" if raw is None else f"reads {raw}"
                    return (
                        f"register {place.address} of unit {self._spec.unit} {seen}, a {self._profile.title} has "
                        f"{', '.join(str(v) for v in expect.values) or 'another'} ({expect.means}); choose this "
                        f"device's profile"
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
        common = next((model for model in chain if model[0] == sunspec.COMMON), None)
        if common is None:
            return f"unit {self._spec.unit} has a SunSpec marker at {base} but no model 1 behind it"
        identity = yield from self._common(common[1])
        resolver = Resolver(self._profile, chain)
        words = yield from self._registers(resolver.facts())
        return self._other(identity) or bind(self._spec, chain, identity, words)

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
