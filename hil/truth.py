"""The plant's truth as signals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hil.expr import Value


def truth_signals(truth: Mapping[str, Any]) -> dict[str, Value]:
    """The `truth.*` signals of a `hil.plant.home.Truth` as a dict."""
    return {
        "truth.soc_permille": truth["soc_true"] * 1000,
        "truth.battery_w": round(truth["battery_w"], 1),
        "truth.grid_w": round(truth["grid_w"], 1),
        "truth.load_w": round(truth["load_w"], 1),
        "truth.pv_w": round(truth["pv_w"], 1),
        "truth.grid_on": truth["grid_on"],
        "truth.islanded": truth["islanded"],
        "truth.fed": truth["house_fed"],
        "truth.blackouts": truth["blackouts"],
        "truth.floor_permille": round(truth["floor_pct"] * 10, 1),
        "truth.remote": truth["remote"],
        "truth.frequency_mhz": round(truth["frequency_hz"] * 1000),
    }
