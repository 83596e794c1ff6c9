"""A start with what was set from afar: it holds, is taken back, or is lost, and the outbox tells."""

from __future__ import annotations

from pathlib import Path

from agent import mail
from agent.core.params import DefaultControl
from agent.remote import Fate, Held, Remote, Settings
from agent.runtime.part import Start, Stop
from agent.store.documents import DocumentsFile
from tests.agent.test_aside import at, pump
from tests.agent.test_compose import composed


def begun(tmp_path: Path, state: bytes | None) -> tuple[object, list[object]]:
    """Control's parameters after a start with that file, and what was posted."""
    (tmp_path / "state").mkdir(exist_ok=True)
    if state is not None:
        assert DocumentsFile(tmp_path / "state" / "documents").write(state) is None
    agent = composed(tmp_path, tmp_path / "state")
    pump(agent, "store", Start(), at(1))
    told = pump(agent, "control", Start(), at(1))
    pump(agent, "store", Stop(), at(2))
    return agent.parts["control"]._params, told  # type: ignore[attr-defined]  # what the core is given


def events(told: list[object]) -> list[tuple[object, object]]:
    writes = [event for event in told if isinstance(event, mail.WriteDocuments)]
    return [(event["event"], event["reason"]) for write in writes for event in write.events]


KEPT = Remote(
    {"config": {"": (4, "d")}}, settled=Held(3, Settings(export_limit_w=9000), 600), default=DefaultControl(2, "idle"),
    fate=Fate(3, "config_confirmed", "x"),
)  # fmt: skip


def test_what_has_held_holds_from_the_first_cycle(tmp_path: Path) -> None:
    params, told = begun(tmp_path, KEPT.dump())
    assert params.site.export_limit_w == 9000  # type: ignore[attr-defined]  # Params
    assert params.default.mode == "idle"  # type: ignore[attr-defined]  # Params
    assert events(told) == []


def test_what_was_on_probation_is_taken_back_and_the_next_start_is_quiet(tmp_path: Path) -> None:
    trial = KEPT.tried(Held(4, Settings(export_limit_w=1000), 600), "on probation")
    params, told = begun(tmp_path, trial.dump())
    assert params.site.export_limit_w == 9000  # type: ignore[attr-defined]  # Params
    assert events(told) == [("config_rolled_back", "restart")]
    assert [event for event in told if isinstance(event, mail.DocumentsStored)] == [mail.DocumentsStored(None)]
    assert events(begun(tmp_path, None)[1]) == []


def test_a_file_of_another_program_is_lost_and_told(tmp_path: Path) -> None:
    params, told = begun(tmp_path, b'{"v":7}')
    assert params.site.export_limit_w == 11_400  # type: ignore[attr-defined]  # Params
    assert events(told) == [("config_rolled_back", "damaged")]
    (tmp_path / "state" / "documents").write_bytes(b"\xff" * 70_000)
    assert events(begun(tmp_path, None)[1]) == [("config_rolled_back", "damaged")]
    assert events(begun(tmp_path, None)[1]) == []
