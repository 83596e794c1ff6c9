"""The repository as a stranger gets it: nothing of one machine in it, every exception explained, no dead link."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Built from halves, so that this file passes its own test.
MACHINE = [
    r"/" + r"work/[a-z]",  # checkouts of one machine
    r"/" + r"opt/(?!batteryd)",  # the product's own environment is /opt/batteryd
    r"/" + r"home/[a-z]",
    r"/" + r"root/(?!battery-agent|run\b|\.environment|#|\")",  # the container of scripts/fresh-clone.sh has these
    r"/" + r"tmp/[a-z]+\.[0-9]+/",
    r"\b" + r"pypi\.(org|python)",
    r"pythonhosted" + r"\.org",
    r"\b(deb|security|snapshot|ftp)" + r"\.debian\.org",
    r"--(extra-)?index" + r"-url https?:",
]

# ruff and mypy ask for the codes; people ask for the reason. Either `noqa: X - why` or `type: ignore[x]  # why`.
SUPPRESSION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no cover)(?P<rest>.*)$")
CODES = re.compile(r"^[\s:]*(?:\[[^\]]*\]|[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*)?[\s#:,—–-]*")


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that a clone brings."""
    run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return tuple(path for name in run.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())


def text_of(path: Path) -> str:
    """The text of a file; binary files have none to judge."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def machine_words(text: str) -> list[str]:
    """Paths and hosts in `text` that only one machine knows."""
    return [match.group() for pattern in MACHINE for match in re.finditer(pattern, text)]


def bare_suppressions(text: str) -> list[str]:
    """Lines that silence a checker and do not say why in at least two words."""
    bare = []
    for number, line in enumerate(text.splitlines(), 1):
        if (match := SUPPRESSION.search(line)) and len(CODES.sub("", match["rest"]).split()) < 2:
            bare.append(f"{number}: {line.strip()}")
    return bare


def test_nothing_of_one_machine_is_tracked() -> None:
    found = {str(path.relative_to(ROOT)): words for path in tracked() if (words := machine_words(text_of(path)))}

    assert found == {}


@pytest.mark.parametrize(
    "text", ["/" + "work/main", "https://py" + "pi.org/simple", "/" + "opt/venv/bin/python", "/" + "home/pi/agent"]
)
def test_machine_words_are_seen(text: str) -> None:
    assert machine_words(text)


def test_every_suppression_has_a_reason() -> None:
    # Tests reach into what they mirror, and say by the code alone that they do.
    python = [path for path in tracked() if path.suffix == ".py" and "tests" not in path.relative_to(ROOT).parts]
    found = {str(path.relative_to(ROOT)): bare for path in python if (bare := bare_suppressions(text_of(path)))}

    assert found == {}


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("x = f()  # type: ignore[misc]", True),
        ("x = f()  # noqa: TID251", True),
        ("x = f()  # noqa: TID251, BLE001", True),
        ("x = f()  # type: ignore[misc]  # the library ships no types", False),
        ("x = f()  # noqa: TID251 - the wall clock is the subject here", False),
        ("x = f()", False),
    ],
)
def test_suppressions_are_judged(line: str, bare: bool) -> None:
    assert bool(bare_suppressions(line)) is bare


def test_links_between_files_lead_somewhere() -> None:
    dead = []
    for page in (path for path in tracked() if path.suffix == ".md"):
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", text_of(page), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?://|mailto:|#)([^)#\s]+)", prose):
            if not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")

    assert dead == []
