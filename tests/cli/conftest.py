"""A batteryd for batteryctl: the home behind a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.local.pin import PinHash
from agent.local.server import LocalConfig
from agent.mail import View
from tests.cli.harness import Answer, Harness
from tests.local.home import HOME, INSTALLED

PIN = PinHash.of("4711", bytes(16))
Serve = Callable[..., Harness]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "b.sock"


@pytest.fixture
def serve(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """`serve(view, *events, uid=..., answer=...)`; batteryctl finds it by itself."""
    monkeypatch.setenv("BATTERYD_SOCKET", str(path))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("COLUMNS", raising=False)
    with ExitStack() as stack:

        def begin(
            view: View | None = HOME, *events: object, uid: int = 0, answer: Answer | None = None, **line: Any
        ) -> Harness:
            config = LocalConfig(
                "0.1.0", own_uid=990, homeowner_pin=PIN, name_of=lambda uid: f"user{uid}", installed=INSTALLED
            )
            first = () if view is None else (view,)
            return stack.enter_context(Harness(path, config, *first, *events, uid=uid, answer=answer, **line))

        yield begin


@pytest.fixture(autouse=True)
def _stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb that becomes a tool would end the tests without a word: here it is a failure."""

    def become(_: str, argv: list[str]) -> None:
        pytest.fail(f"a verb became {argv[1:]}")

    monkeypatch.setattr("os.execv", become)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("status")`: batteryctl in this process; exit code, stdout, stderr."""

    def runner(*argv: str) -> tuple[int, str, str]:
        try:
            code = main(list(argv))
        except SystemExit as left:
            code = int(str(left.code or 0))
        out, err = capsys.readouterr()
        return code, out, err

    return runner
