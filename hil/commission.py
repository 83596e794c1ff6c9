"""What a technician leaves behind at the home of a scenario: the reserve in its file, and the homeowner's key."""

from __future__ import annotations

from pathlib import Path

from agent.config import Config
from agent.link import anchor as anchors
from agent.link import trust
from agent.store.reserve import ReserveFile
from agent.store.trust import TrustFile
from hil.aggregator.keys import load_keyring
from hil.scenario import RESERVE, Scenario

HOMEOWNER = "homeowner."  # verbs that somebody signs whose key was named at the gateway


def commission(config: Config, state: Path, scenario: Scenario, aggregator: Path) -> None:
    """Write both into `state`, before the daemon's first start. `aggregator`: the directory that has the homeowner's
    key, which is named where the scenario has verbs of the homeowner. OSError says what could not be done."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    permille = scenario.home.get(RESERVE, 200)
    assert isinstance(permille, int), "the schema says so"
    failed = ReserveFile(state / "reserve").write(permille, "commissioning")
    if failed is None and any(event.verb.startswith(HOMEOWNER) for event in scenario.events):
        failed = _name(config, state, load_keyring(aggregator).roles["homeowner"].key.as_dict(private=False)["x"])
    if failed is not None:
        raise OSError(failed)


def _name(config: Config, state: Path, x: object) -> str | None:
    section = config.file.link
    assert section is not None, "a homeowner's word comes over the link"
    data = trust.read(config.resolve(section.trust))
    if isinstance(data, str):
        return data
    held = anchors.enter(data, None, section.root_hash, config.file.agent.fleet)
    key = anchors.public_key(x)
    if isinstance(held, str) or key is None:
        return held if isinstance(held, str) else "the homeowner's key is none"
    return TrustFile(state / "trust").write(held.named({key.kid: key}).dump())
