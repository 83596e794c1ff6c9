"""What patterns of errors suggest, and the USB latency timer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.cli import latency, verdict


def unit(number: int, answers: Any = 100, **more: Any) -> dict[str, Any]:
    plain = {"exceptions": 0, "crc_errors": 0, "timeouts": 0, "p50_ms": 2.0, "p99_ms": 4.0}
    return {"unit": number, "device": f"d{number}", "answers": answers, **plain, **more}


def bus(*units: dict[str, Any], **more: Any) -> dict[str, Any]:
    line = {"port": "/dev/ttyUSB0", "tcp": None, "baud": 9600, "parity": "N", "stop_bits": 1}
    counters: dict[str, Any] = dict.fromkeys(("foreign", "late", "requests", "noise", "retries"), 0)
    counters |= {"latency_timer_ms": None, "notes": []}
    return {**line, **counters, "units": list(units), **more}


DEAD: dict[str, Any] = {"answers": 0, "p50_ms": None, "p99_ms": None}
CASES = [
    (bus(unit(1), unit(2)), "ok", "clean"),
    (bus(unit(1, 1)), "warn", "too few"),
    (bus(unit(1, **DEAD)), "fault", "the line is not open"),
    (bus(unit(1, timeouts=50, **DEAD), unit(2, timeouts=50, **DEAD)), "fault", "A and B swapped"),
    (bus(unit(1, timeouts=50, **DEAD), unit(2)), "fault", "d1 (1) never answers while others do"),
    (bus(unit(1, timeouts=9), unit(2)), "warn", "a slow or busy device"),
    (bus(unit(1, timeouts=9), unit(2, timeouts=9)), "warn", "damaged on their way"),
    (bus(unit(1, crc_errors=3), unit(2, crc_errors=2)), "warn", "the line itself"),
    (bus(unit(1, crc_errors=30), unit(2)), "fault", "its own connector, stub or driver"),
    (bus(unit(1, crc_errors=50, **DEAD), unit(2, crc_errors=50, **DEAD)), "fault", "9600 baud 8N1 is wrong"),
    (bus(unit(1), requests=4), "fault", "a second master"),
    (bus(unit(1), late=4), "warn", "slower than its profile"),
    (bus(unit(1), noise=40), "warn", "the idle line floats"),
    (bus(unit(1, exceptions=50)), "warn", "of another model or firmware"),
    (bus(unit(1, p99_ms=250.0)), "note", "up to 250 ms"),
    (bus(unit(1), latency_timer_ms=16), "warn", "FTDI's default is 16 ms"),
    (bus(unit(1, timeouts=50, **DEAD), tcp="10.0.0.5:502", port=None), "fault", "nobody answers at 10.0.0.5:502"),
]


@pytest.mark.parametrize(("seen", "level", "words"), CASES, ids=[words for _, _, words in CASES])
def test_a_pattern_suggests_its_cause(seen: dict[str, Any], level: str, words: str) -> None:
    first = verdict.judge(seen)[0]
    assert words in first["text"]
    assert first["level"] == level
    assert first["next"] or level in ("ok", "note")


def test_the_worst_comes_first() -> None:
    found = verdict.judge(bus(unit(1, p99_ms=300.0), unit(2, crc_errors=90), requests=3, latency_timer_ms=16))
    order = [item["level"] for item in found]
    assert order == sorted(order, key=["fault", "warn", "note"].index)
    assert set(order) == {"fault", "warn", "note"}


def test_the_latency_timer_is_read_behind_the_stable_name(tmp_path: Path) -> None:
    (tmp_path / "sys" / "ttyUSB7").mkdir(parents=True)
    (tmp_path / "sys" / "ttyUSB7" / "latency_timer").write_text("16\n")
    (tmp_path / "ttyUSB7").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyUSB7")
    assert latency.timer_ms(str(tmp_path / "by-id"), str(tmp_path / "sys")) == 16
    assert latency.timer_ms(str(tmp_path / "other"), str(tmp_path / "sys")) is None
    remedy = latency.remedy(str(tmp_path / "by-id"), str(tmp_path / "sys"))
    assert f"tee {tmp_path}/sys/ttyUSB7/latency_timer" in remedy
    assert "60-batteryd.rules" in remedy
