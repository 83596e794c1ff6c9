"""The fuzzers find nothing in the port and the codec, and find what is broken on purpose."""

from __future__ import annotations

import json

import pytest

from drivers import codec as product
from drivers import overheard, port
from hil.fuzz import cli
from hil.fuzz import codec as codec_target
from hil.fuzz import port as port_target
from hil.fuzz.rules import Asked, Stream, mbap, rtu

INPUTS = 50_000


def value(report: object, name: str) -> object:
    figures = getattr(report, "figures", ())
    return next(figure.value for figure in figures if figure.name.startswith(name))


@pytest.mark.parametrize("target", [port_target, codec_target])
def test_nothing_forbidden_is_accepted(target: object) -> None:
    report = target.run(INPUTS, 7)  # type: ignore[attr-defined]
    assert report.ok, report.table()


def test_the_same_seed_gives_the_same_inputs() -> None:
    one, two = (port_target.run(3_000, 3).figures[3] for _ in range(2))
    assert one == two


def test_a_port_that_skips_the_crc_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "sound", lambda data: True)
    report = port_target.run(3_000, 1)
    assert not report.ok
    assert value(report, "accepted against the rules") != 0


def test_a_port_that_forgets_the_unit_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def any_unit(self: port.Port, request: port.Request, at_ns: int) -> port.Outcome | None:
        frame = overheard.frame_at(self._buffer, 0)
        if frame is None or frame.data[1:3] != request.head[1:3]:
            return None
        return port.Outcome(port.Fate.DATA, at_ns, frame.data[1:-2])

    monkeypatch.setattr(port.Port, "_scan_rtu", any_unit)
    assert value(port_target.run(3_000, 1), "accepted against the rules") != 0


def test_a_port_that_raises_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "TCP_LENGTHS", range(0xFFFF))  # a PDU of no bytes has no function
    assert value(port_target.run(20_000, 1), "exceptions raised") != 0


def test_a_codec_that_rounds_wrongly_or_shows_a_sentinel_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "div_round", lambda numerator, denominator: numerator // denominator)
    assert value(codec_target.run(2_000, 1), "values that the bits do not say") != 0
    monkeypatch.undo()
    real = product._Rule.value

    def careless(self: product._Rule, raw: int | float) -> int | None:
        self.sentinels = ()
        return real(self, raw)

    monkeypatch.setattr(product._Rule, "value", careless)
    assert value(codec_target.run(2_000, 1), "values that the bits do not say") != 0


def test_the_rules_themselves() -> None:
    asked = Asked(3, 3, 40000, 2)
    assert rtu(2, b"\7").hex() == "02074112"  # the example of the serial line specification, 6.2.2
    assert asked.allows(bytes((3, 4, 1, 2, 3, 4)))
    assert not asked.allows(bytes((3, 2, 1, 2)))
    assert not asked.allows(bytes((4, 4, 1, 2, 3, 4)))
    stream = Stream()
    assert stream.take(mbap(1, 3, b"\3\2")[:5]) == []
    assert stream.take(mbap(1, 3, b"\3\2")[5:]) == [(1, 3, b"\3\2")]
    stream.take(mbap(1, 3, b"\3\2", protocol=1))
    assert stream.broken


def test_the_command_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["port", "--inputs", "500", "--seed", "2", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["ok"], shown["seed"]) == (True, 2)
    assert {figure["name"] for figure in shown["figures"]} >= {"exceptions raised", "honest answers accepted"}
