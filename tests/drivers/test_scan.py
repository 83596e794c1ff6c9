"""Every device of drivers/profiles is found and named by reads alone, and whatever else is asked changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from drivers.port import Fate, Outcome, Port, Timing
from drivers.profile import load
from drivers.scan import ALL, FIRST, PARITIES, Hit, Setting, Survey, Talk, settings
from hil.devices.slave import Slaves
from hil.devices.still import profile_names, still_device
from hil.devices.still_dialect import StillDialect
from tests.drivers.wire import S

PROFILES = [load(name) for name in profile_names()]
# What these look alike to a reader of registers: the list of others has to name the right one.
ALIKE = {"eastron_sdm630", "eastron_sdm120", "eastron_sdm230", "eastron_sdm72dm", "sma_storage", "sma_stp_se"}
READS = frozenset((1, 2, 3, 4))


class Line:
    """Answers requests, and keeps what was sent."""

    def __init__(self, setting: Setting, answer: Callable[[bytes], bytes | None]) -> None:
        bits = Timing(0, 0, 0) if not setting.baud else Timing.serial(setting.baud, 10, 0)
        self.port = Port(bits, not setting.baud)
        self.sent: list[bytes] = []
        self._answer = answer

    def run(self, talk: Talk) -> bool:
        times = itertools.count(10 * S, 10 * S)
        try:
            request = next(talk)
            while True:
                now = next(times)
                data = self.port.send(request, now).data
                self.sent.append(data)
                reply = self._answer(data)
                outcome = self.port.feed(reply, now + S // 10) if reply else None
                request = talk.send(outcome or self.port.expire(now + 9 * S) or Outcome(Fate.TIMEOUT, now))
        except StopIteration as end:
            return bool(end.value)


def survey(name: str, jk: bool = True) -> tuple[list[Hit], list[bytes]]:
    profile = load(name)
    setting = Setting(profile.baud if "rtu" in profile.links else 0)
    if profile.dialect:
        device = StillDialect(name, 2 if profile.dialect in ("pylontech", "pace") else 1)
        line = Line(setting, lambda data: device.take(data)[1])
        found = Survey(line.port, setting, PROFILES, jk)
        line.run(found.dialects())
        return found.hits, line.sent
    slave = Slaves([still_device(name, 1)])
    if setting.baud:
        line = Line(setting, lambda data: slave.rtu(data, 0))
    else:
        line = Line(setting, lambda data: slave.tcp(data, 0))
    found = Survey(line.port, setting, PROFILES, jk)
    line.run(found.run([1, 5]))
    return found.hits, line.sent


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_device_is_found_and_named(name: str) -> None:
    (hit,) = [hit for hit in survey(name)[0] if hit.unit in (1, 2)]
    if load(name).units:
        return  # its values are at other units, where this picture of it has nobody: found is all that it can be
    if hit.profile is None:
        pytest.fail(f"found at unit {hit.unit}, not named: {hit.why}")
    if name in ALIKE:
        assert name in (hit.profile.id, *hit.others)
        assert hit.confidence != "high"
        return
    assert hit.profile.id == name
    assert hit.confidence in ("high", "medium", "low")


@pytest.mark.parametrize("name", [name for name in profile_names() if not load(name).dialect])
def test_nothing_but_reads_of_one_unit_is_sent(name: str) -> None:
    tcp = "rtu" not in load(name).links
    for data in survey(name)[1]:
        unit, function = (data[6], data[7]) if tcp else (data[0], data[1])
        assert 1 <= unit <= 247
        assert function in READS


def test_a_jk_is_not_triggered_unasked() -> None:
    hits, sent = survey("jk_pb", jk=False)
    assert hits == []
    assert not any(data[1:2] == b"\x10" for data in sent)


def test_a_jk_that_answers_a_plain_read_is_known_by_it() -> None:
    device = StillDialect("jk_pb", 3)

    def answer(data: bytes) -> bytes | None:
        if data[:4] == b"\x03\x03\x14\x00":
            body = b"\x03\x03\x10" + b"JK_PB2A16S20P".ljust(16, b"\0")
            return body + sealed(body)
        if data[:2] == b"\x03\x03":
            return b"\x03\x83\x02" + sealed(b"\x03\x83\x02")
        return device.take(data)[1]

    line = Line(Setting(115200), answer)
    found = Survey(line.port, Setting(115200), PROFILES)
    assert line.run(found.run([3]))
    assert found.hits[0].profile is not None
    assert found.hits[0].profile.id == "jk_pb"


def sealed(body: bytes) -> bytes:
    from hil.devices.slave import seal

    return seal(body)[-2:]


def test_bytes_that_are_no_frames_are_counted_as_a_sign_of_life() -> None:
    line = Line(Setting(9600), lambda data: b"\x01\x03\xff\x13\x77\x01\x02")
    found = Survey(line.port, Setting(9600), PROFILES)
    assert not line.run(found.run([5]))
    assert found.noise > 0
    assert found.hits == []


def test_a_device_that_nobody_knows_is_still_found() -> None:
    def refuse(data: bytes) -> bytes:
        body = bytes((data[0], data[1] | 0x80, 2))
        return body + sealed(body)

    line = Line(Setting(9600), refuse)
    found = Survey(line.port, Setting(9600), PROFILES)
    line.run(found.run([33]))
    (hit,) = found.hits
    assert (hit.unit, hit.profile) == (33, None)


def test_likely_settings_come_first_and_none_is_left_out() -> None:
    found = settings(PROFILES)
    assert found[0] == Setting(9600)
    assert len(set(found)) == len(found) == 8 * len(PARITIES)
    assert [s.parity for s in found[:3]] == ["N", "N", "N"]


def test_no_address_is_broadcast() -> None:
    assert min(ALL) == 1
    assert max(ALL) == 247
    assert set(FIRST) < set(ALL)
