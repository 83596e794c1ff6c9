"""The dialects that are not Modbus, against published frames, spoiled ones and noise."""

from __future__ import annotations

import random

import pytest

from drivers.bus import Bus, BusSpec, DeviceSpec
from drivers.dialect import Kind
from drivers.dialects import DIALECTS
from drivers.events import Presence
from drivers.profile import load
from drivers.readings import BatteryReading
from tests.drivers.telemetry import VECTORS, read, wire_of
from tests.drivers.wire import S, Wire

PROFILES = ("jbd", "jk_pb", "pace_ascii", "pylontech_ascii")
FRAMES = [
    pytest.param(load(name).dialect, case.unit, ask, answer, id=f"{name}-{n}-{m}")
    for name in PROFILES
    for n, case in enumerate(read(VECTORS / f"{name}.toml"))
    for m, (ask, answer) in enumerate(case.frames.items())
]


def function_of(dialect: str, unit: int, ask: bytes) -> int:
    return next(f for f in DIALECTS[dialect].functions if DIALECTS[dialect].request(unit, f) == ask)


@pytest.mark.parametrize(("dialect", "unit", "ask", "answer"), FRAMES)
def test_only_the_whole_and_sound_reply_is_taken(dialect: str, unit: int, ask: bytes, answer: bytes) -> None:
    codec, function = DIALECTS[dialect], function_of(dialect, unit, ask)
    good = codec.scan(unit, function, answer)
    assert good is not None
    if good.kind is Kind.REFUSED:
        return
    assert (good.kind, len(good.image)) == (Kind.DATA, 2 * codec.words)
    for end in range(len(answer) - 2):
        cut = codec.scan(unit, function, answer[:end])
        assert cut is None or cut.kind is not Kind.DATA, end
    for place in range(len(answer)):
        for flip in (0x01, 0x10, 0x80):
            spoiled = answer[:place] + bytes((answer[place] ^ flip,)) + answer[place + 1 :]
            found = codec.scan(unit, function, spoiled)
            assert found is None or found.kind is not Kind.DATA or found.image == good.image, (place, flip)


@pytest.mark.parametrize(("dialect", "unit", "ask", "answer"), FRAMES)
def test_noise_and_the_own_echo_in_front_are_skipped(dialect: str, unit: int, ask: bytes, answer: bytes) -> None:
    codec, function = DIALECTS[dialect], function_of(dialect, unit, ask)
    good = codec.scan(unit, function, answer)
    buffer, found = b"\x00\x13" + ask + b"\x00" + answer, None
    for _ in range(20):
        found = codec.scan(unit, function, buffer)
        assert found is not None
        if found.kind is not Kind.FOREIGN:
            break
        buffer = buffer[found.used :]
    assert good is not None
    assert found is not None
    assert (found.kind, found.image) == (good.kind, good.image)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_noise_is_never_a_reading_and_never_an_exception(name: str) -> None:
    codec, source = DIALECTS[name], random.Random(name)
    heads = (b"", b"\xdd\x03\x00", b"\xdd\x04\x00\x10", b"\x55\xaa\xeb\x90", b"~2001460", b"~")
    for _ in range(4000):
        function = source.choice(sorted(codec.functions))
        alphabet = b"0123456789ABCDEF~\r" if source.random() < 0.5 else bytes(range(256))
        body = bytes(source.choices(alphabet, k=source.randrange(0, 330)))
        buffer = source.choice(heads) + body
        for _ in range(len(buffer) + 1):
            found = codec.scan(1, function, buffer)
            if found is None:
                break
            assert 0 < found.used <= len(buffer)
            assert found.kind is not Kind.DATA
            buffer = buffer[found.used :]


@pytest.mark.parametrize("name", ["pace_ascii", "pylontech_ascii", "jk_pb"])
def test_another_units_reply_is_not_ours(name: str) -> None:
    case = read(VECTORS / f"{name}.toml")[0]
    codec = DIALECTS[load(name).dialect]
    for ask, answer in case.frames.items():
        found = codec.scan(case.unit + 1, function_of(load(name).dialect, case.unit, ask), answer)
        assert found is not None
        assert found.kind is Kind.FOREIGN


def test_ascii_requests_are_the_published_ones() -> None:
    pace = DIALECTS["pace"]
    assert pace.request(1, 0x42) == b"~25014642E00201FD30\r"
    assert pace.request(1, 0x44) == b"~25014644E00201FD2E\r"
    assert pace.request(1, 0xC1) == b"~250146C10000FD9A\r"
    assert DIALECTS["pylontech"].request(2, 0x42) == b"~20024642E00202FD33\r"


def test_the_published_values_of_an_older_pylontech_pack() -> None:
    """15 cells of 3.390 to 3.403 V, 28.3 to 28.2 C, 50.981 V, 49 of 50 Ah."""
    frame = (
        b"~20014600C06E11010F0D450D440D450D440D450D440D3E0D450D4A0D4A0D4B0D4A0D4A0D4A0D4A050BC30BC30BC30BCD0BCD0000"
        b"C725BF6802C3500002E553\r"
    )
    found = DIALECTS["pylontech"].scan(1, 0x42, frame)
    assert found is not None
    words = [int.from_bytes(found.image[n : n + 2], "big") for n in range(0, len(found.image), 2)]
    assert words[:10] == [15, 5, 0, 50981, 0, 49000, 0, 50000, 2, 980]
    assert (min(words[10:25]), max(words[10:25]), words[25]) == (3390, 3403, 0)
    assert words[42:47] == [3011, 3011, 3011, 3021, 3021]


@pytest.mark.parametrize(("code", "exception"), [("04", 1), ("90", 2), ("02", 6), ("E1", 4)])
def test_a_refusal_is_told_as_modbus_would(code: str, exception: int) -> None:
    body = f"250146{code}0000"
    frame = f"~{body}{-sum(body.encode()) & 0xFFFF:04X}\r".encode()
    found = DIALECTS["pace"].scan(1, 0x42, frame)
    assert found is not None
    assert (found.kind, found.code) == (Kind.REFUSED, exception)


def wire_for(name: str) -> Wire:
    return wire_of(read(VECTORS / f"{name}.toml")[0])


@pytest.mark.parametrize("name", PROFILES)
def test_a_pack_that_falls_silent_is_silent_and_is_asked_anew(name: str) -> None:
    wire = wire_for(name)
    answers, wire.frames = wire.frames, {}
    wire.run(10 * S)
    assert wire.statuses("x")[-1].presence is Presence.SILENT
    wire.frames = answers
    wire.run(20 * S)
    assert wire.statuses("x")[-1].presence is Presence.OK


@pytest.mark.parametrize("name", PROFILES)
def test_a_spoiled_reply_is_asked_for_again_at_once(name: str) -> None:
    wire = wire_for(name)
    wire.emitted.clear()
    spoil = iter(range(10**6))
    wire.maul = lambda ask, answer: [(0, answer[:-4] + b"\x00" + answer[-3:] if next(spoil) % 3 == 0 else answer)]
    wire.run(20 * S)
    readings = [event for event in wire.emitted if isinstance(event, BatteryReading)]
    assert len(readings) > 10
    assert all(reading.pack_mv is not None for reading in readings)


def test_bytes_that_trickle_in_are_one_reply() -> None:
    wire = wire_for("pace_ascii")
    wire.emitted.clear()
    char = wire.char_ns

    def trickle(ask: bytes, answer: bytes) -> list[tuple[int, bytes]]:
        cut = len(answer) // 3
        return [(0, answer[:cut]), (cut * char, answer[cut:-1]), ((len(answer) - 1) * char, answer[-1:])]

    wire.maul = trickle
    wire.run(10 * S)
    assert [r.pack_mv for r in wire.emitted if isinstance(r, BatteryReading)][-1] == 52429


def test_a_dialect_shares_its_line_with_modbus() -> None:
    case = read(VECTORS / "pace_ascii.toml")[0]
    modbus = read(VECTORS / "eastron_sdm230.toml")[0]
    other = wire_of(modbus)
    specs = [
        DeviceSpec("pack", load("pace_ascii").role, 1, load("pace_ascii")),
        DeviceSpec("meter", load("eastron_sdm230").role, 1, load("eastron_sdm230")),
    ]
    wire = Wire(Bus(BusSpec("line", 9600), specs), list(other.slaves.values()), 9600)
    wire.frames = case.frames
    wire.open()
    wire.run(20 * S)
    assert wire.batteries()[-1].pack_mv == 52429
    assert wire.meters()[-1].grid_w == 1672
    assert wire.violations == 0


@pytest.mark.parametrize("name", PROFILES)
def test_somebody_elses_bytes_before_the_reply_cost_nothing(name: str) -> None:
    wire = wire_for(name)
    wire.emitted.clear()
    wire.maul = lambda ask, answer: [(0, b"\x00" + ask + answer)]
    wire.run(10 * S)
    readings = [event for event in wire.emitted if isinstance(event, BatteryReading)]
    assert len(readings) > 5
    assert all(reading.pack_mv is not None for reading in readings)
    assert wire.statuses("x") == []  # nothing happened that anybody should hear of
