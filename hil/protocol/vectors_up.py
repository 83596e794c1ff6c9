"""Golden vectors of what comes up: for an aggregator's reader. The verdict is that of hil.aggregator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hil.aggregator.token import encode
from hil.protocol.deflate import pack
from hil.protocol.up import COLUMNS
from hil.protocol.vectors import (
    ACCEPTED,
    BOOT,
    DEVICE,
    FLEET,
    NOW,
    ROOT,
    Vector,
    batch,
    general,
    header,
    kid,
    public,
    token,
    up_claims,
)

MAX_INFLATED = 262_144
LIVE = dict.fromkeys(COLUMNS) | {
    "soc_permille": 640, "battery_w": 5000, "pv_w": 0, "grid_w": -4200, "load_w": 800, "grid": "connected",
    "frequency_mhz": 59_980, "lo_w": -11_400, "hi_w": 11_400, "asked_w": 5000, "given_w": 5000, "limit": "",
    "mode": "dispatched", "reserve_permille": 200, "command_id": "a" * 32, "age_battery_ms": 300,
    "age_inverter_ms": 120, "age_meter_ms": 90,
}  # fmt: skip
BATCH: dict[str, Any] = {
    "t0_ms": NOW, "cols": ["dt_ms", "soc_permille", "battery_w", "grid_w"],
    "rows": [[0, 640, 5000, -4200], [1000, 640, 5000, None], [2001, 639, 4990, -4180]], "counters": {"replay": 1},
}  # fmt: skip
ACK = {
    "command_id": "a" * 32, "state": "limited", "reason": "reserve", "asked_w": 5000, "given_w": 3200, "limit_w": 3200,
    "energy_wh": 120, "effective_start": NOW, "sentence": "the reserve leaves 3200 W",
}  # fmt: skip
REGISTERS = {"charge_wh": 1_200, "discharge_wh": 3_400, "import_wh": 20_000, "export_wh": 8_000, "pv_wh": None}
BODIES: dict[str, dict[str, Any]] = {
    "birth": {"nonce": BOOT, "protocols": [1], "trust_version": 1, "outbox": {"first": 1, "last": 0}},
    "live": LIVE,
    "ack": ACK,
    "event": {"event": "fault_raised", "fault": "stale_meter", "severity": "degraded", "sentence": "the meter is late"},
    "settlement": {"record": "checkpoint", "n": 96, "prev": "0" * 64, "day": "2023-11-14", "first": 0, "last": 95,
                   "head": "0" * 64, "end": REGISTERS},
}  # fmt: skip


def vectors() -> Iterator[Vector]:
    """All, good ones first."""
    for n, (kind, body) in enumerate(BODIES.items(), 1):
        said = up_claims(n, **body)
        yield Vector(kind, f"a good {kind}", _topic(kind), token(header(kind, "device"), said, "device"), True,
                     ACCEPTED, retained=kind == "birth", claims=said)  # fmt: skip
    said = up_claims(9, **BATCH)
    yield Vector("batch", "a good batch, deflated", _topic("batch"), batch(said), True, ACCEPTED, claims=said)
    more = said | {"id": f"{10:032x}", "seq": 10, "colour": "red"}
    yield Vector("batch_more", "a member that you do not know: ignore it", _topic("batch"), batch(more), True, ACCEPTED,
                 claims=more)  # fmt: skip
    yield from _deflated(encode(said))
    yield from _strangers()
    yield from _rotated()


def _topic(kind: str) -> str:
    return f"{ROOT}/up/{kind}"


def _bad(name: str, about: str, kind: str, found: bytes, signature: bool | None, verdict: str,
         retained: bool = False) -> Vector:  # fmt: skip
    return Vector(name, about, _topic(kind), found, signature, verdict, retained)


def _deflated(body: bytes) -> Iterator[Vector]:
    """A signature does not make a stream harmless."""
    packed = pack(body)
    bomb = pack(body[:-1] + b" " * MAX_INFLATED + b"}")
    zlib_stream = b"\x78\x9c" + packed + b"\0\0\0\0"
    plain = token(header("batch", "device"), body, "device")
    wrong = token(header("batch", "device", zip="GZIP"), packed, "device")
    yield _bad("bomb", f"inflates to more than {MAX_INFLATED} bytes", "batch", batch(bomb), True, "bad_body")
    yield _bad("cut_stream", "the stream ends early", "batch", batch(packed[:-3]), True, "bad_body")
    yield _bad("after_stream", "bytes after the stream", "batch", batch(packed + b"x"), True, "bad_body")
    yield _bad("zlib_header", "a zlib header around it", "batch", batch(zlib_stream), True, "bad_body")
    yield _bad("not_deflated", "zip, and plain JSON", "batch", batch(body), True, "bad_body")
    yield _bad("no_zip", "a batch without zip", "batch", plain, True, "bad_format")
    yield _bad("other_zip", "zip GZIP", "batch", wrong, True, "bad_format")


def _strangers() -> Iterator[Vector]:
    ack = up_claims(20, **ACK)
    good = token(header("ack", "device"), ack, "device")
    by_stranger = token(header("ack", "device"), ack, "stranger")
    own_kid = token(header("ack", "stranger"), ack, "stranger")
    yield _bad("up_forged", "signed by a stranger under the device's kid", "ack", by_stranger, False, "bad_signature")
    yield _bad("up_unknown_key", "a stranger under his own kid", "ack", own_kid, None, "unknown_key")
    yield _bad("up_wrong_topic", "an ack on the topic of events", "event", good, True, "bad_typ")
    yield _bad("up_retained", "an ack that the broker kept", "ack", good, True, "retained", retained=True)

    def said(name: str, about: str, verdict: str, **changes: Any) -> Vector:
        return _bad(name, about, "ack", token(header("ack", "device"), ack | changes, "device"), True, verdict)

    yield said("up_iss", "another device's name", "bad_body", iss="dev:home2")
    yield said("up_aud", "for another fleet", "bad_audience", aud="agg:other")
    yield said("up_version", "of another protocol", "bad_body", v=2)
    yield said("up_state", "a state that is no word of the wire", "bad_body", state="exploded")
    twice = encode(ack)[:-1] + b',"state":"completed"}'
    yield _bad("up_duplicate_key", "state twice", "ack", token(header("ack", "device"), twice, "device"), True,
               "bad_body")  # fmt: skip
    old = up_claims(21, **LIVE) | {"iat": NOW - 120_000, "exp": NOW - 60_000}
    late = token(header("live", "device"), old, "device")
    yield _bad("up_old_live", "a live record of two minutes ago", "live", late, True, "expired")


def _rotated() -> Iterator[Vector]:
    """A birth by a key that nobody knows yet, with the word of the one before it. Each stands alone."""
    head = header("birth", "device2")

    def born(name: str, about: str, verdict: str, by: tuple[str, ...], **changes: Any) -> Vector:
        new = public("device2")
        body = {"v": 1, "fleet": FLEET, "device": DEVICE, "old": kid("device"), **new, "iat": NOW, "overlap_s": 604_800}
        rotation = general(body | changes, *by, typ="rotate")
        said = up_claims(30, **BODIES["birth"], rotations=[rotation])
        return Vector(name, about, _topic("birth"), token(head, said, "device2"), None, verdict, True)

    both = ("device", "device2")
    yield born("rotated", "the old key and the new one announce the new one", ACCEPTED, both)
    yield born("rotated_alone", "the new key announces itself", "unknown_key", ("device2",))
    yield born("rotated_twice", "the new key, twice", "unknown_key", ("device2", "device2"))
    yield born("rotated_unproven", "the old key alone: the new one proves nothing", "unknown_key", ("device",))
    yield born("rotated_stranger", "a stranger announces it", "unknown_key", ("stranger", "device2"),
               old=kid("stranger"))  # fmt: skip
    yield born("rotated_other", "an announcement of another device", "unknown_key", both, device="home2")
    yield born("rotated_fleet", "an announcement of another fleet", "unknown_key", both, fleet="other")
    yield born("rotated_kid", "the kid of one key, the other's bytes", "unknown_key", both, x=public("stranger")["x"])
