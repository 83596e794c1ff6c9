"""What every panel of the time line shares: its width, its time axis, the chapters' marks, and SVG to put things in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from hil.report.scale import Scale, absolute, relative, time_ticks

LEFT, RIGHT = 46.0, 10.0
FOOT = 34.0  # two rows of times
LETTER = 6.6  # width of a letter at 12 px, at most


@dataclass(frozen=True, slots=True)
class Frame:
    """One layout: `width` in pixels; `end` seconds; `marks` (seconds, label) are drawn through all panels."""

    width: float
    end: float
    wall_ms: int
    marks: Sequence[tuple[float, str]] = ()

    @property
    def x(self) -> Scale:
        """Time to pixels."""
        return Scale(0.0, self.end or 1.0, LEFT, self.width - RIGHT)

    @property
    def narrow(self) -> bool:
        """A phone's."""
        return self.width < 600

    def panel(self, height: float, body: str, label: str) -> str:
        """A whole SVG: the marks' lines, `body`, and the time axis below `height`."""
        full = height + FOOT
        lines = "".join(f'<path class="mark" d="M{self.x(at):.1f} 0V{height:.1f}" {when(at)}/>' for at, _ in self.marks)
        cursor = f'<path class="cursor" d="M0 0V{height:.1f}" visibility="hidden"/>'
        return (
            f'<svg class="plot" viewBox="0 0 {self.width:g} {full:g}" role="img" aria-label="{escape(label)}" '
            f'data-left="{LEFT:g}" data-right="{self.width - RIGHT:g}" data-end="{self.end or 1.0:g}" '
            f'data-foot="{height:g}" data-most="{self._most}">'
            f'{lines}{body}<g class="times">{self._times(height)}</g>{cursor}</svg>'
        )

    def window(self, height: float, paths: str) -> str:
        """What lies over time and is drawn for any zoom: the script moves the view box of this inner SVG alone."""
        width = self.width - RIGHT - LEFT
        place = f'x="{LEFT:g}" y="0" width="{width:g}" height="{height:g}" viewBox="{LEFT:g} 0 {width:g} {height:g}"'
        return f'<svg class="win" {place} preserveAspectRatio="none">{paths}</svg>'

    @property
    def _most(self) -> int:
        return 4 if self.narrow else 11

    def _times(self, height: float) -> str:
        """Two rows: since the start, and UTC."""
        x, out = self.x, [f'<path class="axis" d="M{LEFT:g} {height:g}H{self.width - RIGHT:g}"/>']
        marks = time_ticks(self.end, self._most)
        for at in marks:
            px = x(at)
            anchor = "start" if at == 0 else "end" if px > self.width - RIGHT - 26 else "middle"
            left = self.width - RIGHT if anchor == "end" else px
            out.append(f'<path class="axis" d="M{px:.1f} {height:g}v4"/>')
            out.append(text(left, height + 15, relative(at), "tick", anchor))
            out.append(text(left, height + 29, absolute(self.wall_ms, at), "tick dim", anchor))
        out.append(text(4, height + 15, "m:s", "tick dim"))
        out.append(text(4, height + 29, "UTC", "tick dim"))
        return "".join(out)


def when(start: float, end: float | None = None) -> str:
    """Attributes by which the script finds a thing's place at any zoom: seconds, of a moment twice the same."""
    return f'data-a="{start:.2f}" data-b="{start if end is None else end:.2f}"'


def text(x: float, y: float, words: str, kind: str, anchor: str = "start", more: str = "") -> str:
    """Escaped text; `more`: further attributes."""
    at = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"'
    return f"<text {at}{more and ' ' + more}>{escape(words)}</text>"


def box(x: float, y: float, width: float, height: float, kind: str, title: str = "", more: str = "") -> str:
    """A rectangle, at least 1.5 wide so that what was short is seen; `title` appears under the pointer."""
    inner = f"<title>{escape(title)}</title>" if title else ""
    size = f'width="{max(1.5, width):.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} class="{kind}"{more and " " + more}>{inner}</rect>'


def fitting(words: str, room: float) -> str:
    """As much of a text as fits into so many pixels, "" when that says nothing."""
    letters = int(room / LETTER)
    if len(words) <= letters:
        return words
    return words[: letters - 1].rstrip() + "…" if letters >= 4 else ""
