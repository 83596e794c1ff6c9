"""`batteryd --release` with several inverters: each is handed back to itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agent.config import load
from agent.runtime import part
from agent.runtime.part import Effect, Now, Post
from agent.store.memories import Memories
from agent.tools.release_now import ReleaseControl
from drivers.events import DeviceStatus, Execute, Presence, WriteClass, WriteOutcome, WriteResult
from drivers.readings import DeviceRole
from hil import site
from tests.agent.rig import NOW, binding, inverter

INVERTERS = {"inverter": "rs485", "inverter2": "rs485-2"}


def control(directory: Path) -> ReleaseControl:
    config = load(site.write_config(directory, line={"port": "none"}))
    return ReleaseControl(config, INVERTERS, Memories(directory, "boot"))


def cleared(effects: Iterable[Effect]) -> list[str]:
    """Buses that were told to CLEAR."""
    return [
        effect.to.removeprefix("bus:")
        for effect in effects
        if isinstance(effect, Post)
        and isinstance(effect.event, Execute)
        and effect.event.sequence.write_class is WriteClass.CLEAR
    ]


def found(release: ReleaseControl, now: Now) -> list[str]:
    """Both answer, and both are under our setpoint: the CLEARs, by bus."""
    out = cleared(release.handle(part.Start(), now))
    for name in INVERTERS:
        status = DeviceStatus(name, DeviceRole.INVERTER, Presence.OK, now.mono_ns, "", binding=binding())
        out += cleared(release.handle(status, now))
        out += cleared(release.handle(inverter(device=name, at_ns=now.mono_ns + 1, remote_active=True), now))
    return out


def test_each_of_several_inverters_is_released(tmp_path: Path) -> None:
    release = control(tmp_path)
    assert sorted(found(release, Now(NOW, 0))) == ["rs485", "rs485-2"]


def test_one_that_does_not_confirm_is_no_success(tmp_path: Path) -> None:
    release = control(tmp_path)
    found(release, Now(NOW, 0))
    for name, outcome in zip(INVERTERS, (WriteOutcome.CONFIRMED, WriteOutcome.SILENT), strict=True):
        result = WriteResult(1, name, WriteClass.CLEAR, 0, outcome, NOW, NOW)
        list(release.handle(result, Now(NOW + 1, 0)))
    assert not release.confirmed
    list(release.handle(part.Wake(), Now(NOW + 11_000_000_000, 0)))
    assert not release.confirmed
    assert release.sentence.startswith("inverter: the inverter is released")
    assert "inverter2: no proof of release" in release.sentence
