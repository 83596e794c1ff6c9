"""What a local person may ask for, and how it is answered. Pure: the refusals of `batteryctl`'s changing verbs."""

from __future__ import annotations

from collections.abc import Mapping

from agent import mail
from agent.core import overlay
from agent.core.durable import Durable, Overlay
from agent.core.inputs import Clock, EndRaise, OptsIn, OptsOut, Overrides, RaiseReserve
from agent.core.params import Params
from agent.core.people import MAX_OVERRIDE_S
from agent.link.roles import may_ask
from agent.reserve_rules import may_set
from agent.runtime.part import Post

OK, USAGE, REFUSED = 0, 2, 4
KNOWN = ("stop", "resume", "adopt", "reserve", "storm", "optout", "optin", "override")
OVERRIDE_W = 1_000_000


def done(verb: mail.Verb, code: int, text: str, **body: object) -> Post:
    """The answer to `verb`; `code` is the exit code of batteryctl."""
    return Post("local", mail.VerbDone(verb.conn, code, text, body))


def refuse(verb: mail.Verb, bus_of: Mapping[str, str], reserve_permille: int, least_permille: int) -> Post | None:
    """The refusal that `verb` deserves by itself, or None."""
    if verb.verb not in KNOWN:
        return done(verb, USAGE, f"no such verb: {verb.verb}")
    if verb.verb == "reserve":
        text = may_set(verb.value, reserve_permille, verb.role, least_permille)
        return None if text is None else done(verb, REFUSED, text)
    if not may_ask(verb.role, verb.verb):
        return done(verb, REFUSED, f"refused: {verb.verb} needs a technician or the homeowner; try with sudo")
    if verb.verb == "adopt" and verb.text not in bus_of:
        return done(verb, USAGE, f"no device {verb.text!r}; there are: {', '.join(bus_of)}")
    return None


def stopped(verb: mail.Verb, disk_ok: bool) -> Post:
    """The answer to a stop."""
    text = "dispatch is ended and held off until `batteryctl resume`"
    if not disk_ok:
        text += "; the disk takes no records: look with `batteryctl status` after a restart whether it still is"
    return done(verb, OK, text)


def resumed(verb: mail.Verb, durable: Durable) -> Post:
    """The answer to a resume, from what is on record after the cycle that heard it."""
    if durable.stopped_by is not None:
        return done(verb, REFUSED, "not resumed: the agent's own cycle failed; see `batteryctl faults`, then ask again")
    if durable.lockout is not None:
        return done(
            verb,
            REFUSED,
            f"still locked out: {durable.lockout}. Battery and inverter must answer and the cause must be gone: see "
            "`batteryctl faults`, then ask again",
        )
    if durable.latches:
        rest = ", ".join(durable.latches)
        return done(verb, REFUSED, f"resumed, but these faults stay while their cause is there: {rest}")
    return done(verb, OK, "resumed")


def taken(verb: mail.Verb, durable: Durable) -> OptsOut | OptsIn | Overrides | Post:
    """What "optout", "optin" and "override" ask of the core, or why not."""
    if verb.verb in ("optout", "optin"):
        out = durable.opted_out
        if out is not None and out.role == "homeowner" and verb.role != "homeowner":
            text = "refused: only the homeowner ends, shortens or replaces the homeowner's opt-out"
            return done(verb, REFUSED, text, pin_helps=True)
        if verb.verb == "optin":
            return OptsIn(verb.by)
        return OptsOut(verb.by, verb.role, verb.for_s, longer=verb.conn == mail.LINK)
    if verb.text == "off":
        return Overrides(verb.by, None)
    if not 0 < verb.for_s <= MAX_OVERRIDE_S or abs(verb.value) > OVERRIDE_W:
        text = f"{verb.value} W for {verb.for_s} s asked, 1 to {MAX_OVERRIDE_S} s are possible"
        return done(verb, USAGE, text)
    if durable.stopped_by is not None or durable.lockout is not None:
        return done(verb, REFUSED, "refused: the agent is stopped or locked out; `batteryctl resume` first")
    return Overrides(verb.by, verb.value, verb.for_s)


def settled(verb: mail.Verb, disk_ok: bool) -> Post:
    """The answer to one of these that was taken."""
    if verb.verb == "override":
        if verb.text == "off":
            return done(verb, OK, "the override is ended")
        least = f"{verb.value} W for {verb.for_s // 60} min {verb.for_s % 60} s, inside every limit: `batteryctl why`"
        return done(verb, OK, f"the battery is held at {least}")
    text = "the home takes part again"
    if verb.verb == "optout":
        hours = f"for {verb.for_s // 3600} h {verb.for_s % 3600 // 60} min"
        length = hours if verb.for_s else "until `batteryctl optin`"
        text = f"opted out {length}: no dispatch, schedule, session or price is followed"
    if not disk_ok:
        text += "; the disk takes no records: look with `batteryctl status` after a restart whether that still is so"
    return done(verb, OK, text)


STORM = "storm"  # there is one at a time


def storm(
    verb: mail.Verb, overlays: tuple[Overlay, ...], clock: Clock, params: Params
) -> RaiseReserve | EndRaise | Post:
    """What "storm" asks of the core, or why not."""
    if verb.value == 0:
        if may_ask(verb.role, "storm_end"):
            return EndRaise(STORM, verb.by)
        return done(verb, REFUSED, "refused: only the homeowner ends a storm before its time", pin_helps=True)
    reason = verb.text or "a storm is expected"
    event = RaiseReserve(
        STORM, overlay.STORM, verb.value, verb.role, verb.by, reason, verb.start_ms, verb.end_ms, verb.for_s
    )
    why = overlay.refusal(event, overlays, clock, params)
    return event if why is None else done(verb, REFUSED, f"refused: {why}", pin_helps="only the homeowner" in why)


def raised(verb: mail.Verb, disk_ok: bool) -> Post:
    """The answer to a storm that was taken."""
    text = (
        "the storm's raise is ended"
        if verb.value == 0
        else f"the reserve will be {verb.value / 10:.1f} % for the storm"
    )
    if not disk_ok:
        text += "; the disk takes no records, so a restart would forget it"
    return done(verb, OK, text, storm_permille=verb.value)
