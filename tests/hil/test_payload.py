"""The bench of payload bytes, over minutes instead of a day."""

from __future__ import annotations

from hil.bench.payload import BATCH_REACH, DAY_S, DISPATCHED_S, MB, REACH, measure


def test_a_day_from_ten_minutes() -> None:
    """Batches go on all day, live records while dispatched, the rest is a handful."""
    seconds, dispatched_s = 600, 600
    sent, messages, batches = measure(1, seconds, dispatched_s)
    assert batches >= seconds // 60 - 2
    batch = sent["batch"] / messages["batch"] * DAY_S / 60
    live = sent["live"] / messages["live"] * DISPATCHED_S / 2
    acks = sent["ack"] * DISPATCHED_S / 600
    assert batch <= BATCH_REACH * MB
    assert batch + live + acks + sent["birth"] <= REACH * MB
