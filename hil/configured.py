"""A scenario's [config], as the agent itself reads it: what the agent would refuse is told before anything runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from agent import config as configuration
from hil.scenario import Scenario
from hil.site import write_config
from hil.strict import FileError


def check_config(scenario: Scenario, file: str) -> None:
    """FileError names `file`, the key, and the agent's own reason."""
    if not scenario.config:
        return
    with tempfile.TemporaryDirectory(prefix="config-") as name:
        path = write_config(
            Path(name),
            line={"port": "virtual"},
            brokers=("virtual:8883",),
            device=Path(name),
            overrides=scenario.config,
            home=scenario.home,
        )
        try:
            configuration.load(path)
        except configuration.ConfigError as error:
            reason = error.reason.replace(f"{path}: ", f"{file}: config: ")
            raise FileError(reason) from None
