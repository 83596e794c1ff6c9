"""What goes up: the flat signed bodies, built so that the same row always gives the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.link import jws
from agent.mail import AppendBatch, OutboxRow, Sample

Body = Mapping[str, object]
KEPT_MS = 90 * 86_400_000  # durable kinds and birth may be judged for this long
LIVE_MS = 60_000
MAX_DT_ERROR_MS = 500


@dataclass(frozen=True, slots=True)
class Sender:
    """Who speaks: this device, to the aggregator of its fleet."""

    device: str
    fleet: str
    signer: jws.Signer


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a message was made. `clock` is the trust of `wall_ms`."""

    boot: str
    wall_ms: int
    mono_ms: int
    clock: str


def typ_of(kind: str) -> str:
    """The typ of a kind of message ("ack", "batch", "live", ...)."""
    return f"battery-{kind}+jws"


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str)  # `dumps` makes one at each call


def compact(body: Body) -> bytes:
    """JSON without spaces, keys in the order given; a value that JSON has no word for becomes its text."""
    return _ENCODER.encode(body).encode("ascii")


def row_token(sender: Sender, row: OutboxRow) -> bytes:
    """The token of a row. All of it comes from the row: a repeated publication is the same, byte for byte."""
    stamp = Stamp(row.boot, row.wall_ms, row.mono_ms, row.clock)
    return _token(sender, row.kind, row.seq, stamp, KEPT_MS, _body(row))


def _body(row: OutboxRow) -> Body:
    """What a row says; one that the disk has spoilt goes out as unreadable, so that its number is accounted for."""
    plain = jws.inflate(row.payload) if row.kind == "batch" else row.payload
    try:
        body = json.loads((plain or b"").decode("utf-8"))
    except (ValueError, RecursionError):
        body = None
    return body if isinstance(body, dict) else {"unreadable": True}


def token(sender: Sender, kind: str, seq: int, stamp: Stamp, body: Body) -> bytes:
    """The token of a message that is not kept: "birth" or "live". `seq` counts per boot and typ."""
    return _token(sender, kind, seq, stamp, LIVE_MS if kind == "live" else KEPT_MS, body)


def _token(sender: Sender, kind: str, seq: int, stamp: Stamp, life_ms: int, body: Body) -> bytes:
    name = f"{sender.device}|{kind}|{stamp.boot}|{seq}"
    claims: dict[str, object] = {
        "v": 1,
        "id": hashlib.sha256(name.encode("utf-8")).hexdigest()[:32],
        "iss": f"dev:{sender.device}",
        "aud": f"agg:{sender.fleet}",
        "seq": seq,
        "iat": stamp.wall_ms,
        "exp": stamp.wall_ms + life_ms,
        "boot": stamp.boot,
        "mono_ms": stamp.mono_ms,
        "clock": stamp.clock,
    }
    flat = claims | {name: value for name, value in body.items() if name not in claims}
    return jws.sign(sender.signer, typ_of(kind), compact(flat))


class Block:
    """`samples` on their way into one batch. A clock that steps, or changes its trust, closes the block."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self._held: list[Sample] = []

    def breaks(self, sample: Sample) -> bool:
        """Whether `sample` does not fit behind the held ones."""
        if not self._held:
            return False
        first = self._held[0]
        slip = (sample.clock.wall_ms - first.clock.wall_ms) - (sample.mono_ms - first.mono_ms)
        return sample.clock.trust is not first.clock.trust or abs(slip) > MAX_DT_ERROR_MS

    def add(self, sample: Sample) -> bool:
        """Hold a sample; True when the block is full."""
        self._held.append(sample)
        return len(self._held) >= self.samples

    def close(self, counters: Mapping[str, int]) -> AppendBatch | None:
        """The block as the store takes it, with the security counters of now; it is empty then."""
        held, self._held = self._held, []
        if not held:
            return None
        body = jws.deflate(compact(batch_body(held) | {"counters": dict(counters)}))
        return AppendBatch(body, held[0].clock, held[0].mono_ms, len(held))


def batch_body(samples: Sequence[Sample]) -> dict[str, object]:
    """`rows` of `cols`, the first column being `dt_ms` since `t0_ms`; a name that a sample lacks is null there."""
    names = list(dict.fromkeys(name for sample in samples for name in sample.values))
    start = samples[0].mono_ms
    rows = [[s.mono_ms - start, *(s.values.get(name) for name in names)] for s in samples]
    return {"t0_ms": samples[0].clock.wall_ms, "cols": ["dt_ms", *names], "rows": rows}
