"""A scenario's [config], as the agent itself reads it: what the agent would refuse is told before anything runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from agent import config as configuration
from hil.backends.timers import timers_of
from hil.scenario import Scenario
from hil.site import write_config
from hil.strict import FileError


def check_config(scenario: Scenario, file: str) -> None:
    """FileError names `file`, the key, and the agent's own reason."""
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
            timers = timers_of(configuration.load(path))
        except configuration.ConfigError as error:
            reason = error.reason.replace(f"{path}: ", f"{file}: config: ")
            raise FileError(reason) from None
    for assertion in scenario.assertions:
        for name in assertion.timers:
            if name not in timers:
                known = ", ".join(sorted(timers))
                raise FileError(f"{file}: assert {assertion.name}.timers: there is no timer {name!r}; known: {known}")
