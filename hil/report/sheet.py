"""The page of one command's figures: each beside what it must be and what it is compared with, as bars and a table."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from hil.figures import Figure, Report, machine
from hil.report import directory as reports
from hil.report import junit
from hil.report.bars import bars, room
from hil.report.page import Section, page
from hil.report.tables import mark, shown, table
from hil.talk import say


def option(parser: argparse.ArgumentParser) -> None:
    """`--report DIR` of a command whose result is figures."""
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.html, junit.xml and figures there")


def refused(args: argparse.Namespace) -> bool:
    """Whether nothing can be written where the page was asked for; said, before a run of minutes."""
    why = reports.unusable(args.report)
    if why:
        say(why)
    return bool(why)


def told(
    report: Report, args: argparse.Namespace, verb: str, argv: Sequence[str], sections: Sequence[Section] = ()
) -> int:
    """Print the figures, and leave the page where it was asked for; the exit code."""
    directory: Path | None = args.report
    if directory is not None:
        say(f"report: {write(directory, report, verb, _again(verb, argv, directory), sections)}")
    return int(report.print(as_json=args.json))


def write(directory: Path, report: Report, suite: str, again: str, sections: Sequence[Section] = ()) -> Path:
    """report.html, figures.json and junit.xml; the path of the page."""
    directory.mkdir(parents=True, exist_ok=True)
    report.write(directory / "figures.json")
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    junit.write(directory / "junit.xml", report, suite, _seconds(report), now)
    path = directory / reports.PAGE
    path.write_text(sheet(report, again, sections), encoding="utf-8")
    return path


def sheet(report: Report, again: str, sections: Sequence[Section] = ()) -> str:
    """The file. `again`: the command that makes it; `sections`: what the command shows beside its figures."""
    judged = [figure for figure in report.figures if figure.reach is not None]
    missed = [figure for figure in judged if not figure.holds]
    drawn = "".join(_drawn(figure) for figure in report.figures)
    parts = [
        Section("missed", f"What did not hold ({len(missed)})", _table(missed) if missed else ""),
        Section("bars", "Measured, beside limit and peer", f'<div class="pair">{drawn}</div>' if drawn else ""),
        *sections,
        Section("figures", "All figures", _table(report.figures)),
        Section("run", "This run", _facts(report, again)),
    ]
    return page(report.title, _head(report, len(judged), len(missed)), parts)


def _head(report: Report, judged: int, missed: int) -> str:
    words = f"{missed} of {judged} do not hold" if missed else f"All {judged} hold" if judged else "Printed, not judged"
    title, _, rest = report.title.partition(",")
    return (
        f'<header><p class="over">figures of the bench</p><h1>{escape(title[:1].upper() + title[1:])}</h1>'
        f'<p class="about">{escape(rest.strip())}</p>'
        f'<p class="verdict {"good" if report.ok else "bad"}">{"✓" if report.ok else "✗"} {words}</p></header>'
    )


def _drawn(figure: Figure) -> str:
    svg = bars(figure)
    if not svg:
        return ""
    unit = f" ({escape(figure.unit)})" if figure.unit else ""
    spare = f' · <span class="dim">{escape(room(figure))}</span>' if room(figure) else ""
    return f"<figure><h3>{mark(figure.holds)} {escape(figure.name)}{unit}{spare}</h3>{svg}</figure>"


def _table(figures: Sequence[Figure]) -> str:
    return table(("", "figure", "measured", "required", "beside"), [_row(f) for f in figures], "verdicts")


def _row(figure: Figure) -> tuple[str, Sequence[str]]:
    unit = f" {escape(figure.unit)}" if figure.unit and figure.value is not None else ""
    note = f'<div class="{"dim" if figure.holds else "why"}">{escape(figure.note)}</div>' if figure.note else ""
    beside = "<br>".join(f"{escape(name)} {shown(value)}" for name, value in figure.beside.items())
    sign = mark(figure.holds) if figure.reach is not None else ""
    required = escape(figure.reach) + unit if figure.reach else ""
    cells = (sign, escape(figure.name) + note, shown(figure.value) + unit, required, beside)
    return "good" if figure.holds else "bad", cells


def _facts(report: Report, again: str) -> str:
    extra = {name: str(value) for name, value in report.extra.items() if isinstance(value, str | int | float)}
    rows: Mapping[str, str] = {
        "again": f"<code>{escape(again)}</code>",
        **{name: escape(value) for name, value in extra.items()},
        "seed": "" if report.seed is None else str(report.seed),
        "made": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "thrown away": f"{report.void} run(s): the machine itself stalled" if report.void else "",
        "machine": escape(", ".join(f"{name} {value}" for name, value in machine().items())),
        "beside this file": "figures.json, junit.xml",
    }
    return table(("what", ""), [("", (name, value)) for name, value in rows.items() if value], "facts")


def _again(verb: str, argv: Sequence[str], directory: Path) -> str:
    """The command without where its page goes."""
    words = [word for word in argv if word not in ("--report", str(directory), f"--report={directory}")]
    return f"python -m hil {verb} {shlex.join(words)}".strip()


def _seconds(report: Report) -> float:
    times = [f.value for f in report.figures if f.name == "time" and f.unit == "s"]
    return float(times[0]) if times and isinstance(times[0], int | float) else 0.0
