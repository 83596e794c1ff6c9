"""The agent's timers, as a scenario configured them and by default: what the scoreboard prints side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from agent import config as configuration
from agent.config_core import LinkTimers
from agent.core.params import Timers

S = 1_000_000_000


def timers_of(config: configuration.Config) -> Mapping[str, tuple[float, float]]:
    """Every timer in seconds: here, and by default."""
    here, default = config.params.timers, Timers()
    out: dict[str, tuple[float, float]] = {"reversion_s": (float(here.reversion_s), float(default.reversion_s))}
    for field in dataclasses.fields(Timers):
        if field.name.endswith("_ns"):
            name = field.name.removesuffix("_ns") + "_s"
            out[name] = (getattr(here, field.name) / S, getattr(default, field.name) / S)
    links, base = config.link_timers, LinkTimers()
    for name in ("backoff_min_ns", "backoff_max_ns"):
        out[name.removesuffix("_ns") + "_s"] = (getattr(links, name) / S, getattr(base, name) / S)
    out["block_s"] = (float(links.block_s), float(base.block_s))
    return out
