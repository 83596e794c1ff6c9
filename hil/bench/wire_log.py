"""What a wire's own log says of the requests on it: cycles, goodput, broken silences. Arithmetic only.

Times are those of `hil.wire.paced`: when the first bit of a frame begins and its last one ends.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TURNAROUND_NS = 2_000_000  # a quick device: it begins to answer so long after t3.5
REQUEST_BYTES, REPLY_HEAD = 8, 5


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `note`: what befell it; "" = it arrived as it was sent. `function`: its code, 0 if it has none."""

    sender: str
    t0: int
    t1: int
    note: str
    function: int = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """What passed in a window, from the first request that began in it to the last one."""

    requests: int
    good: int  # requests that arrived, and so did their replies
    violations: int  # requests inside the silence of 3.5 characters, or inside a reply
    cycle_ns: float  # median, from the beginning of a request to the beginning of the next
    span_ns: int

    def goodput(self, limit_ns: float) -> float:
        """Good transactions against as many as there is time for on a clean line."""
        return self.good * limit_ns / self.span_ns


def t35_ns(baud: int, bits: int = 10) -> int:
    """Modbus over serial line 2.5.1.1: 3.5 characters, or 1.75 ms above 19200 baud."""
    return 1_750_000 if baud > 19_200 else 3_500_000_000 * bits // baud


def limit_ns(baud: int, registers: int, bits: int = 10) -> float:
    """The shortest cycle that the wire allows: request, silence, turnaround, reply, silence."""
    byte_ns = bits * 1e9 / baud
    return (REQUEST_BYTES + REPLY_HEAD + 2 * registers) * byte_ns + 2 * t35_ns(baud, bits) + TURNAROUND_NS


def frames(log: Path, begin_ns: int, end_ns: int) -> list[Frame]:
    """Frames that began in the window, in order."""
    rows = (json.loads(line) for line in log.read_text(encoding="ascii").splitlines())
    return [
        Frame(row["from"], row["t0"], row["t1"], row.get("note", ""), int(row["hex"][2:4] or "0", 16))
        for row in rows
        if begin_ns <= row["t0"] < end_ns
    ]


def traffic(seen: Sequence[Frame]) -> Traffic:
    """ValueError when there are not two requests to measure between."""
    begins = [n for n, frame in enumerate(seen) if frame.sender == "master"]
    if len(begins) < 2:
        raise ValueError(f"{len(begins)} requests on the wire: nothing to measure")
    starts = [seen[n].t0 for n in begins]
    good = sum(_good(seen[n:after]) for n, after in itertools.pairwise(begins))
    broken = sum("t3.5" in seen[n].note or "collision" in seen[n].note for n in begins)
    cycles = [after - start for start, after in itertools.pairwise(starts)]
    return Traffic(len(begins), good, broken, float(statistics.median(cycles)), starts[-1] - starts[0])


def _good(exchange: Sequence[Frame]) -> bool:
    """A request and what came before the next one."""
    replies = [frame for frame in exchange[1:] if frame.sender == "slave"]
    return not exchange[0].note and len(replies) == 1 and not replies[0].note
