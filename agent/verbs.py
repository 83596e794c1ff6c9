"""What a local person may ask for, and how it is answered. Pure: the refusals of `batteryctl`'s changing verbs."""

from __future__ import annotations

from collections.abc import Mapping

from agent import mail
from agent.reserve_rules import may_set
from agent.runtime.part import Post

OK, USAGE, REFUSED = 0, 2, 4
KNOWN = ("stop", "resume", "adopt", "reserve")


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
    if verb.role == "viewer":
        return done(verb, REFUSED, f"refused: {verb.verb} needs a technician or the homeowner; try with sudo")
    if verb.verb == "adopt" and verb.text not in bus_of:
        return done(verb, USAGE, f"no device {verb.text!r}; there are: {', '.join(bus_of)}")
    return None
