"""The agent's configuration: a sentence or a Config, and a Config whose numbers can be meant."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Any

from agent import config
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import run as _run

S = 1_000_000_000
_MORE = "\n[timers]\nreversion_s = 60\nhold_s = 40\n\n[battery]\nsoc_floor_pct = 10\nreserve_min_pct = 15\n"
SEEDS = tuple(
    text.encode()
    for text in (
        config.EXAMPLE,
        config.EXAMPLE + _MORE,
        config.EXAMPLE.replace('fleet = "example"', 'fleet = "example"\ndemo = true')
        + "\n[timers]\nreversion_s = 6\nrefresh_s = 1.5\n",
        config.EXAMPLE + config.LINK_EXAMPLE,
    )
)
WORDS = tuple(
    word.encode()
    for word in (
        "\n[battery]\n",
        "\n[timers]\n",
        "\n[local]\n",
        "\n[[bus]]\n",
        "\n[[device]]\n",
        "reserve_min_pct = ",
        "soc_floor_pct = ",
        "hold_s = ",
        "release_delay_s = ",
        "grid_dwell_s = ",
        "cycle_ms = ",
        "demo = true\n",
        "-1",
        "0",
        "1e9",
        "nan",
        "inf",
        "-inf",
        "1_000",
        "0x10",
        "true",
        '"',
        "'''",
        "=",
        "\n",
        "export_limit_w = ",
        "fuse_a = ",
        "owner_charge_w = ",
        "unit = ",
        'tcp = "127.0.0.1:502"\n',
        "999999999999999999999",
        "0.1",
        "{",
        "}",
        "[",
        "]",
        "#",
        "1979-05-27",
    )
)


class _Bytes:
    """A path whose file is these bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_text(self, encoding: str) -> str:
        return self._data.decode(encoding)

    def resolve(self) -> Path:
        return Path("/etc/batteryd/batteryd.toml")

    def __str__(self) -> str:
        return "batteryd.toml"


def one(data: bytes) -> bool:
    """Load; judge what was accepted."""
    try:
        found = config.load(_Bytes(data))  # type: ignore[arg-type]  # all of a Path that it asks for
    except config.ConfigError as error:
        if data in SEEDS:
            raise Forbidden(f"an honest file was refused: {error.reason}") from None
        if not error.reason.startswith("batteryd.toml: "):
            raise Forbidden(f"it does not say which file: {error.reason[:100]}") from None
        return False
    _judge(found, tomllib.loads(data.decode()))
    return True


def _judge(found: config.Config, raw: dict[str, Any]) -> None:
    p, timers = found.params, found.params.timers
    watts = (p.site.nameplate_charge_w, p.site.nameplate_discharge_w, p.site.import_limit_w, p.site.export_limit_w)
    asked = raw["site"]
    names = ("nameplate_charge_w", "nameplate_discharge_w", "import_limit_w", "export_limit_w")
    if watts != tuple(asked[name] for name in names) or not all(0 <= w <= 1_000_000 for w in watts):
        raise Forbidden(f"{watts} where the file says {asked}")
    if not 0 < p.site.capacity_wh <= 10_000_000:
        raise Forbidden(f"a capacity of {p.site.capacity_wh} Wh")
    if not 0 <= p.soc_floor_permille <= p.reserve_min_permille <= 1000 or p.reserve_default_permille > 1000:
        raise Forbidden(f"floor {p.soc_floor_permille}, least reserve {p.reserve_min_permille} permille")
    stale = (timers.stale_battery_ns, timers.stale_inverter_ns, timers.stale_meter_ns)
    if not all(0 < ns <= 15 * S for ns in stale):
        raise Forbidden(f"readings go stale after {stale} ns")
    if not 0 < timers.reversion_s <= 3600 or timers.refresh_ns * 4 > timers.reversion_s * S:
        raise Forbidden(f"a setpoint lives {timers.reversion_s} s and is renewed every {timers.refresh_ns} ns")
    if not raw["agent"].get("demo", False) and timers.grid_dwell_ns < 300 * S:
        raise Forbidden(f"the grid must only stay for {timers.grid_dwell_ns} ns, and this is no demo")


run = functools.partial(_run, "config")
