"""The agent's own word as signals: from its View in virtual time, from `watch` on its local socket elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.decision import Decision
from agent.mail import View
from drivers.events import Presence
from hil.expr import Value


def from_view(view: View) -> dict[str, Value]:
    """The `agent.*` signals of one cycle."""
    link = view.link
    return {
        **from_decision(view.decision),
        "agent.soc_permille": min((b.soc_permille for b in view.batteries if b.soc_permille is not None), default=None),
        "agent.devices_ok": sum(device.presence is Presence.OK for device in view.devices),
        "agent.link": link is not None and link.up,
        "agent.fresh": link is not None and link.fresh,
        "agent.unsent": None if link is None else link.unsent,
        "agent.refused": 0 if link is None else sum(link.counters.values()),
    }


def from_decision(decision: Decision) -> dict[str, Value]:
    """What a Decision alone says."""
    return {
        "agent.mode": decision.mode.value,
        "agent.source": decision.source,
        "agent.asked_w": decision.asked_w,
        "agent.given_w": decision.given_w,
        "agent.lo_w": decision.lo_w,
        "agent.hi_w": decision.hi_w,
        "agent.binding": "" if decision.binding is None else decision.binding.id,
        "agent.reserve_permille": decision.reserve_permille,
        "agent.soc_lo_permille": decision.soc_lo_permille,
        "agent.grid": decision.grid,
        "agent.stated_end_s": decision.stated_end_s,
        "agent.faults": " ".join(sorted(fault.id for fault in decision.faults)),
    }


def refusals(view: View) -> Mapping[str, int]:
    """What the link refused, by reason."""
    return {} if view.link is None else view.link.counters


def from_status(status: Mapping[str, Any]) -> dict[str, Value]:
    """The `agent.*` signals of one line of `watch` (docs/local-api.md)."""
    control, link, battery = status["control"], status["link"], status["battery"]
    return {
        **{f"agent.{key}": control[key] for key in ("mode", "source", "asked_w", "given_w", "lo_w", "hi_w")},
        "agent.binding": control["binding"] or "",
        "agent.reserve_permille": status["reserve"]["effective_permille"],
        "agent.soc_permille": battery["soc_permille"],
        "agent.soc_lo_permille": battery["soc_lo_permille"],
        "agent.grid": status["grid"]["state"],
        "agent.stated_end_s": status["stated_end_s"],
        "agent.faults": " ".join(sorted(item["id"] for item in status["health"] if "since_s" in item)),
        "agent.devices_ok": sum(device["presence"] == "ok" for device in status["devices"]),
        "agent.link": link["state"] == "up",
        "agent.fresh": link.get("fresh", False),
        "agent.unsent": link.get("unsent"),
        "agent.refused": sum(link.get("refused", {}).values()),
    }


DECISION_KEYS = ("mode", "source", "asked_w", "given_w", "binding", "grid")


def decision_key(told: Mapping[str, Any]) -> tuple[Value, ...]:
    """What makes one decision differ from the next in the stream of decisions."""
    return tuple(told.get(f"agent.{key}") for key in DECISION_KEYS)


def decided(told: Mapping[str, Any]) -> dict[str, Value]:
    """A decision in the stream of decisions: what makes it another one, and the permit of that cycle."""
    return {key: told.get(f"agent.{key}") for key in (*DECISION_KEYS, "lo_w", "hi_w")}
