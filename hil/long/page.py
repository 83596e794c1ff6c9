"""The section "One longer run" of docs/reliability.md, made of the result that is kept; nobody writes its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"
BEGIN, END = "<!-- long: made by `python -m hil long --page` -->", "<!-- long: end -->"


def kept() -> Path | None:
    """The result that the page is of: the last by name of `hil/results/long-*.json`."""
    found = sorted(RESULTS.glob("long-*.json"))
    return found[-1] if found else None


def page(result: Mapping[str, Any], name: str) -> str:
    """Lines between the marks of the page, both included."""
    machine = result["machine"]
    cores = f"{machine['cores']} cores, {machine['cpu']}, Python {machine['python']}"
    state = (
        "All that was asked is done." if result["complete"] else "It is not complete: what is done is what is shown."
    )
    lines = [
        BEGIN,
        f"Seed {result['seed']}, source `{result['source']}`, at commit {_commits(result['commits'])};",
        f"{cores}. {state}",
        f"Every figure is of [`hil/results/{name}`](../hil/results/{name}).",
        "",
        "| command | asked | done | found | took |",
        "|---|---|---|---|---|",
    ]
    for part in result["parts"]:
        found = ", ".join(f"{key}: {value}" for key, value in part["missed"].items()) or "nothing"
        lines.append(
            f"| `{part['command']}` | {_number(part['asked'])} {part['unit']} | {_number(part['done'])} | {found} | "
            f"{_took(part['seconds'])} |"
        )
    beside = [f"- {part['name']}: {_beside(part)}" for part in result["parts"] if part["done"] and _beside(part)]
    notes = [f"- found, {part['name']}: {note}" for part in result["parts"] for note in part["notes"]]
    return "\n".join([*lines, "", *beside, *notes, END]) + "\n"


def _commits(commits: list[str]) -> str:
    return ", ".join(f"`{commit}`" for commit in commits)


def _number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def _took(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds / 60:.0f} min"
        if seconds >= 60
        else f"{seconds:.0f} s"
    )


def _beside(part: Mapping[str, Any]) -> str:
    """What the first figure says beside its value, the daemon, and runs that were thrown away."""
    said = [f"{name} {value}" for name, value in part["figures"][0]["beside"].items()] if part["figures"] else []
    said += [f"daemon {part['daemon']}"] if part["daemon"] else []
    said += [f"{part['void_runs']} runs thrown away, as the machine itself stalled"] if part["void_runs"] else []
    return "; ".join(said)
