"""The live screen: what it draws, and how few bytes it takes to keep it true."""

from __future__ import annotations

import dataclasses

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.painter import Painter
from agent.cli.screen import draw, one_line
from agent.local.view import status_json
from agent.mail import View
from agent.runtime.part import Now
from tests.local.home import DECISION, HOME, INVERTER, METER, NOW, PACK, RESERVE, S, decided, home, idle, troubled

BAUD_BYTES = 960  # a second of 9600 8N1


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def picture(view: View, columns: int = 79, rows: int = 24, now: Now = NOW) -> list[str]:
    return draw(status_json(view, "0.1.0", now), columns, rows)


def test_the_picture_of_a_dispatch() -> None:
    assert (
        "\n".join(picture(HOME))
        == """\
batteryd 0.1.0   up 2 h 3 min                        2026-10-18 14:03:22 +00:00

LINK     ok  up, 0 records wait for a receipt; 3 messages refused
CONTROL  ok  dispatched
GRID     ok  connected, import 1240 W, 59.98 Hz
BATTERY  ok  SoC 31.2 %, discharge 3200 W, cells 3.249..3.261 V, 18.1..21.4 C
RESERVE  ok  30.0 %, set by the homeowner; the inverter's own floor is 30.0 %
COMMAND  !!  3f2a91c0 limited by reserve, ends in 9 min 50 s

           GRID                     HOUSE                    BATTERY
      import 1240 W         -->  load 6240 W  <--        discharge 3200 W
                                  PV 1800 W

SoC      [================R.....................................]  R = reserve
POWER    [               ..................|========G    A                   ]
         A asked, G given, . permitted: charge 6240 W to discharge 3200 W
GIVEN    discharge 3200 W of 5000 W asked by dispatch 3f2a91c0, held by reserve
BECAUSE  reserve, set by homeowner: SoC 31.2 % is 1.2 % above the reserve of
         30.0 %, power tapers to 0 W there

# Health check: ok


q or Ctrl-C ends"""
    )


def test_the_picture_of_trouble_keeps_every_fault_in_sight() -> None:
    lines = picture(troubled())

    assert lines[-6:] == [
        "# Health check: next steps with batteryctl status",
        "  xx  no good reading of the battery for more than 5.0 s: unit 1 does not ans..",
        "  xx  inverter hybrid: serial H-78 answers, H-77 was commissioned: reads only",
        "  !!  stopped by anna (technician): dispatch is refused and the inverter runs..",
        "  !!  the aggregator cannot be reached: connection refused by localhost:8883",
        "q or Ctrl-C ends",
    ]


def test_on_a_small_screen_the_picture_gives_way_and_what_is_hidden_is_counted() -> None:
    lines = picture(troubled(), rows=14)

    assert lines[-4:] == [
        "# Health check: next steps with batteryctl status",
        "  xx  no good reading of the battery for more than 5.0 s: unit 1 does not ans..",
        "  xx  and 3 more",
        "q or Ctrl-C ends",
    ]


def test_on_a_tall_screen_the_next_steps_stand_with_their_faults() -> None:
    lines = picture(troubled(), rows=40)

    assert "      next: batteryctl resume" in lines
    assert len(lines) == 40


@pytest.mark.parametrize("view", [HOME, troubled(), idle()])
@pytest.mark.parametrize(("columns", "rows"), [(59, 16), (79, 24), (119, 50)])
def test_it_fits_the_terminal_and_is_ascii(view: View, columns: int, rows: int) -> None:
    lines = picture(view, columns, rows)

    assert len(lines) == rows
    assert max(map(len, lines)) <= columns
    assert "\n".join(lines).isascii()


def test_nothing_known_is_drawn_too() -> None:
    blind = dataclasses.replace(
        decided(asked_w=None, given_w=None, binding=None, lo_w=0, hi_w=0, load_w=None, soc_lo_permille=None),
        batteries=(),
        inverters=(),
        meters=(),
        devices=(),
        link=None,
        command=None,
    )

    lines = picture(blind)
    assert "  unknown" in "\n".join(lines)
    assert len(lines) == 24


def test_asked_and_given_in_one_place() -> None:
    lines = picture(decided(asked_w=3200, given_w=3200, binding=None))

    assert any(shown.startswith("         G asked and given, . permitted: ") for shown in lines)


def test_degrees_are_left_out_for_consoles_that_are_not_utf_8() -> None:
    hot = dataclasses.replace(RESERVE, sentence="cells are at 46.0 °C")

    assert "BECAUSE  reserve, set by homeowner: cells are at 46.0 C" in picture(decided(binding=hot))


def test_power_bars_ends_are_the_rating() -> None:
    def bar(**changes: object) -> str:
        return next(shown for shown in picture(decided(**changes)) if shown.startswith("POWER"))

    full = bar(asked_w=11400, given_w=-11400, lo_w=-11400, hi_w=11400)
    assert (full.index("G"), full.index("A")) == (full.index("[") + 1, full.index("]") - 1)


def test_silence_shows_from_three_seconds_on() -> None:
    status = status_json(HOME, "0.1.0", NOW)

    assert "no news" not in draw(status, 79, 24, silent_s=2)[0]
    assert "!! no news for 3 s" in draw(status, 79, 24, silent_s=3)[0]


def test_one_line_fits_80_columns() -> None:
    assert one_line(status_json(HOME, "0.1.0", NOW)) == (
        "14:03:22 ok 31.2 % discharge 3200 W, import 1240 W, load 6240 W, reserve holds"
    )
    assert one_line(status_json(troubled(), "0.1.0", NOW)) == (
        "14:03:22 xx unknown discharge 3200 W, import 1240 W, load 6240 W, degraded"
    )


# --- painter ----------------------------------------------------------------------------------------------------------
def test_a_cycle_in_which_much_changed_fits_a_quarter_second_of_9600_baud() -> None:
    painter = Painter(80, 24)
    painter.paint(picture(HOME))
    after = home(
        clock=dataclasses.replace(HOME.clock, wall_ms=HOME.clock.wall_ms + 1000),
        decision=dataclasses.replace(DECISION, load_w=6377),
        inverters=(dataclasses.replace(INVERTER, battery_w=3188, pv_w=1822),),
        meters=(dataclasses.replace(METER, grid_w=1367),),
    )

    sent = painter.paint(picture(after, now=Now(NOW.mono_ns + S, NOW.wall_ms + 1000)))
    assert len(sent) < BAUD_BYTES // 4
    assert painter.paint(picture(after, now=Now(NOW.mono_ns + S, NOW.wall_ms + 1000))) == "\033[24;1H"


LINE = st.text(alphabet="ab =.", max_size=30)


@settings(max_examples=60)
@given(st.lists(st.lists(LINE, max_size=8), min_size=1, max_size=4))
def test_the_screen_shows_what_was_drawn(pictures: list[list[str]]) -> None:
    screen = pyte.Screen(24, 6)
    stream = pyte.Stream(screen)
    painter = Painter(24, 6)
    for lines in pictures:
        stream.feed(painter.paint(lines))

        wanted = [shown[:23].rstrip() for shown in lines[:6]]
        assert [shown.rstrip() for shown in screen.display] == wanted + [""] * (6 - len(wanted))


# --- several packs and inverters --------------------------------------------------------------------------------------
def test_six_packs_and_four_inverters_fit_the_same_screen() -> None:
    packs = tuple(dataclasses.replace(PACK, device=f"pack{i}", soc_permille=300 + i) for i in range(6))
    inverters = tuple(dataclasses.replace(INVERTER, device=f"inv{i}", battery_w=800) for i in range(4))
    shared = dataclasses.replace(DECISION, shares=tuple((f"inv{i}", 800) for i in range(4)))
    lines = picture(home(batteries=packs, inverters=inverters, decision=shared))

    assert max(map(len, lines)) <= 79
    assert len(lines) == 24
    row = next(line for line in lines if line.startswith("BATTERY"))
    assert "6 packs, SoC 30.0..30.5 %, lowest pack0, discharge 3200 W" in row
    assert "by 4 inverters, 800 to 800 W each" in " ".join(" ".join(lines).split())
