"""JUnit XML: one test case an assertion, as CI servers read it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from hil.figures import Figure, Report

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold


def junit(report: Report, suite: str, seconds: float, when: str) -> bytes:
    """The document. `seconds`: how long the run was; `when`: ISO 8601, without zone, UTC. Figures with a reach only."""
    cases = [figure for figure in report.figures if figure.reach is not None]
    failed = sum(not figure.holds for figure in cases)
    totals = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "time": f"{seconds:.3f}"}
    root = ET.Element("testsuites", {"name": _clean(report.title), **totals})
    about = {"name": _clean(suite), **totals, "skipped": "0", "timestamp": when, "hostname": "bench"}
    inner = ET.SubElement(root, "testsuite", about)
    properties = ET.SubElement(inner, "properties")
    for name, value in _properties(report):
        ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    for figure in cases:
        _case(inner, suite, figure)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def write(path: Path, report: Report, suite: str, seconds: float, when: str) -> None:
    """Into a file."""
    path.write_bytes(junit(report, suite, seconds, when))


def _case(suite: ET.Element, name: str, figure: Figure) -> None:
    timed = figure.unit == "s" and isinstance(figure.value, int | float) and math.isfinite(figure.value)
    seconds = figure.value if timed else 0.0
    case = ET.SubElement(
        suite, "testcase", {"classname": _clean(name), "name": _clean(figure.name), "time": f"{seconds:.3f}"}
    )
    measured = f"measured {figure.value} {figure.unit}".rstrip() + f", required {figure.reach}"
    if not figure.holds:
        failure = ET.SubElement(case, "failure", {"message": _clean(figure.note or measured), "type": "promise"})
        failure.text = _clean("\n".join([figure.note or measured, measured, *_beside(figure)]))


def _beside(figure: Figure) -> Sequence[str]:
    return [f"{name}: {value}" for name, value in figure.beside.items()]


def _properties(report: Report) -> list[tuple[str, str]]:
    known = {"seed": report.seed, "void runs": report.void or None}
    extra = {key: value for key, value in report.extra.items() if isinstance(value, str | int | float)}
    return [(key, str(value)) for key, value in {**known, **extra}.items() if value is not None]


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
