"""Mutated frames through the port and the codec: what is taken for an answer must be one by `hil.fuzz.rules`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from random import Random

from drivers.codec import BlockDecoder, Field, RawType
from drivers.port import Fate, Outcome, Port, Request, Timing
from hil.figures import Figure, Report
from hil.fuzz import mutate
from hil.fuzz.rules import Asked, Stream, mbap, rtu
from hil.progress import each

S = 1_000_000_000
HONEST = 0.1  # share of inputs that nobody spoils: they must get through
POOL = 512  # requests per kind of line
MOST_BYTES = 8192  # that a port may keep of one line
MOST_GROWTH_KB = 8192
PAGE_KB = 4


class Forbidden(Exception):
    """Something was accepted that must not be, or an honest answer was not."""


class _Line:
    """One port, its requests, and the judge of what it accepts."""

    def __init__(self, rng: Random, name: str, tcp: bool, echo: bool) -> None:
        self.name, self._rng, self._tcp, self._echo = name, rng, tcp, echo
        self._port = Port(Timing(0, 0, 0) if tcp else Timing.serial(19_200, 10, 0), tcp, echo)
        self._stream = Stream()
        self._now = S
        self._tid = 0
        self._pool = [self._request() for _ in range(POOL)]
        self._decoders = {count: _decoder(count) for count in range(1, 126)}
        self.counts: Counter[str] = Counter()
        self.kept = 0

    def _request(self) -> tuple[Asked, Request]:
        rng, port = self._rng, self._port
        function = rng.choice((1, 2, 3, 3, 3, 4, 4, 6, 16))
        count = rng.randrange(1, 126) if rng.random() < 0.1 else rng.randrange(1, 12)
        unit, address = rng.choice((0, 1, 2, 3, 247, rng.randrange(256))), rng.randrange(0xFF00)
        if function not in (6, 16):
            return Asked(unit, function, address, count), port.read(unit, function, address, count, S)
        words = tuple(rng.randrange(0x10000) for _ in range(1 if function == 6 else count))
        return Asked(unit, function, address, len(words), words), port.write(unit, function, address, words, S)

    def one(self) -> bytes:
        """One transaction with one input. Returns what came in; raises Forbidden, or whatever the port raises."""
        rng = self._rng
        asked, request = self._pool[rng.randrange(POOL)]
        self._now += S
        self._port.send(request, self._now)
        self._tid = self._tid % 0xFFFF + 1
        pdu = asked.honest(rng.randbytes(asked.size) if asked.function < 5 else b"")
        honest = rng.random() < HONEST
        if honest and not self._stream.clean:
            self._connect()  # what went before has left half a frame: no answer can get through that
            self._port.send(request, self._now)
            self._tid = self._tid % 0xFFFF + 1
        data = self._spoiled(asked, pdu, honest)
        outcome = self._feed(data)
        self.counts["honest" if honest else "mutated"] += 1
        self._judge(asked, data, outcome)
        if honest and asked.function == 6 and not self._tcp:
            self.counts["honest"] -= 1  # question and answer are the same bytes: it may have been taken for an echo
        elif honest:
            if outcome is None or outcome.fate is not Fate.DATA or outcome.data != pdu:
                raise Forbidden(f"an honest answer was not accepted: {outcome}")
            self.counts["honest accepted"] += 1
        if self._tcp and (outcome is not None and outcome.fate is Fate.GARBLED):
            self._connect()  # as the bus does
        return data

    def _connect(self) -> None:
        self._port.reset(self._now)
        self._stream = Stream()

    def _spoiled(self, asked: Asked, pdu: bytes, honest: bool) -> bytes:
        if self._tcp:
            good = mbap(self._tid, asked.unit, pdu)
            return good if honest else mutate.network(self._rng, asked, pdu, self._tid)
        data = rtu(asked.unit, pdu) if honest else mutate.serial(self._rng, asked, pdu)
        return rtu(asked.unit, asked.pdu) + data if self._echo else data

    def _feed(self, data: bytes) -> Outcome | None:
        """In up to three pieces, as a line delivers them; then the deadline."""
        rng, port = self._rng, self._port
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(3)))
        outcome: Outcome | None = None
        for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            self._now += 1_000_000
            found = port.feed(data[begin:end], self._now)
            self.kept = max(self.kept, len(port._buffer))  # its memory of the line; nobody else asks for it
            if found is not None and outcome is None:
                outcome = found
        if outcome is None:
            self._now = max(self._now, port.deadline_ns)
            outcome = port.expire(self._now)
        return outcome

    def _judge(self, asked: Asked, data: bytes, outcome: Outcome | None) -> None:
        frames = self._stream.take(data) if self._tcp else []
        if outcome is None:
            raise Forbidden("the transaction has no end")
        self.counts[outcome.fate.value] += 1
        if outcome.fate is Fate.DATA:
            if not asked.allows(outcome.data):
                raise Forbidden(f"function, length or range are not those of {asked}: {outcome.data.hex()}")
            self._decode(asked, outcome.data)
            answer = outcome.data
        elif outcome.fate is Fate.EXCEPTION:
            answer = bytes((asked.function | 0x80, outcome.code))
        else:
            return
        if self._tcp:
            if (self._tid, asked.unit, answer) not in frames:
                raise Forbidden(f"no frame of this transaction and unit carries {answer.hex()}")
            return
        own = rtu(asked.unit, asked.pdu)
        heard = data[len(own) :] if self._echo and data.startswith(own) else data
        if rtu(asked.unit, answer) not in heard:
            raise Forbidden(f"nothing with that unit and a CRC that holds carries {answer.hex()}")

    def _decode(self, asked: Asked, pdu: bytes) -> None:
        if asked.function not in (3, 4):
            return
        values: list[int | None] = [None] * asked.count
        self._decoders[asked.count].decode(pdu, 2, values)
        for n, value in enumerate(values):
            raw = pdu[2 + 2 * n] << 8 | pdu[3 + 2 * n]
            if value != (None if raw == 0xFFFF else raw):
                raise Forbidden(f"register {n} of {pdu.hex()} decodes to {value}")


def _decoder(count: int) -> BlockDecoder:
    """Plain registers whose 0xFFFF is a sentinel."""
    return BlockDecoder([Field(n, n, RawType.U16, sentinels=(0xFFFF,)) for n in range(count)])


def _memory_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB


def run(inputs: int, seed: int) -> Report:
    """That many inputs, spread over a serial line, one with echo, and TCP."""
    rng = Random(f"{seed}/port")
    lines = [_Line(rng, "rtu", False, False), _Line(rng, "rtu with echo", False, True), _Line(rng, "tcp", True, False)]
    raised = forbidden = 0
    first, before_kb = "", 0
    began = time.monotonic()
    for n in each("fuzz port", inputs, "inputs"):
        line = lines[n % 3 if n % 6 else 0]
        if n == inputs // 4:
            before_kb = _memory_kb()
        try:
            line.one()
        except Forbidden as error:
            forbidden += 1
            first = first or f"{line.name}, input {n}: {error}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not have been raised
            raised += 1
            first = first or f"{line.name}, input {n}: {error!r}"
    seconds = time.monotonic() - began
    counts = sum((line.counts for line in lines), Counter[str]())
    honest = counts["honest"]
    figures = [
        Figure("accepted against the rules, or honest and refused", forbidden, "", "== 0", note=first),
        Figure("exceptions raised", raised, "", "== 0"),
        Figure("honest answers accepted", counts["honest accepted"], "", f"== {honest}", {"of": honest}),
        Figure("mutated inputs", counts["mutated"], "", None, {fate.value: counts[fate.value] for fate in Fate}),
        Figure("most bytes that a port kept", max(line.kept for line in lines), "B", f"<= {MOST_BYTES}"),
        Figure("memory grown over the last three quarters", _memory_kb() - before_kb, "kB", f"<= {MOST_GROWTH_KB}"),
        Figure("time", round(seconds, 1), "s", None, {"us an input": round(1e6 * seconds / inputs, 1)}),
    ]
    return Report(f"fuzz port, {inputs} inputs", figures, seed=seed)
