"""What was heard on `down/trust` and `down/homeowner`, on its way to the disk and then to control. Sans-IO."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping

from agent import mail
from agent.core import inputs
from agent.core.command import Command, CommandKind
from agent.core.durable import Window
from agent.core.inputs import Clock, CommandIn
from agent.link import endings
from agent.link.homeowner import Consent, SetReserve, Storm
from agent.link.trusting import Changed, Spoken
from agent.runtime.part import Effect, Log, Now, Post

WAIT, MOST = 32, 64  # writes under way, beyond which no message waits for one; and nothing of the homeowner is taken
BY = "the homeowner, from afar (homeowner)"


class Relayed:
    """Accept, commit, act: in the order in which it came."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Effect, ...]] = deque()  # what follows each WriteTrust that is under way

    def room(self, at_once: bool) -> bool:
        """Whether one more message of the homeowner is taken. `at_once`: it acts before the disk has it."""
        return len(self._waiting) < (MOST if at_once else WAIT)

    def changed(self, changed: Changed, clock: Clock, now: Now) -> Iterable[Effect]:
        """A bundle acts at once; that it is kept follows. The next birth tells its version."""
        self._waiting.append(())
        return (Post("store", mail.WriteTrust(changed.state, None, clock, now.mono_ns // 1_000_000)),)

    def spoken(self, spoken: Spoken, clock: Clock, now: Now) -> Iterable[Effect]:
        """A message of the homeowner acts when it is on record, an opt-out at once."""
        body = spoken.body
        event = {"event": "homeowner", "kind": body.kind, "message_id": body.id, "kid": spoken.kid}
        event["token"] = spoken.token.decode("ascii")
        acts = _acts(spoken)
        self._waiting.append(() if spoken.at_once else acts)
        write = Post("store", mail.WriteTrust(spoken.state, event, clock, now.mono_ns // 1_000_000))
        return (*acts, write) if spoken.at_once else (write,)

    def noted(self, state: bytes, event: Mapping[str, object], clock: Clock, now: Now) -> Iterable[Effect]:
        """Something of the trust that belongs on record; nothing follows it."""
        self._waiting.append(())
        return (Post("store", mail.WriteTrust(state, event, clock, now.mono_ns // 1_000_000)),)

    def stored(self, done: mail.TrustStored) -> Iterable[Effect]:
        """The answer to the oldest write."""
        acts = self._waiting.popleft() if self._waiting else ()
        if done.error is None:
            return acts
        lost = "; what the homeowner asked for was not done" if acts else ""
        return (Log("error", f"link: the trust could not be kept: {done.error}{lost}"),)


def _acts(spoken: Spoken) -> tuple[Effect, ...]:
    body = spoken.body
    said = Log("info", f"link: the homeowner says {body.kind}")
    if isinstance(body, SetReserve):
        verb = mail.Verb(mail.LINK, "reserve", BY, "homeowner", body.permille)
    elif isinstance(body, Storm):
        verb = mail.Verb(mail.LINK, "storm", BY, "homeowner", body.permille, body.reason, for_s=body.for_s)
    elif isinstance(body, Consent):
        agreed = inputs.Consent(body.to, BY, False, body.sha256, withdrawn=body.withdrawn)
        return (said, Post("control", agreed))
    else:
        word = "optin" if body.kind == "opt_in" else "optout"
        verb = mail.Verb(mail.LINK, word, BY, "homeowner", for_s=spoken.for_s)
    return (said, Post("control", verb))


def stop_for(kids: tuple[str, ...], version: int, wall_ms: int, draw: bytes) -> CommandIn:
    """A stop in the name of the root that took `kids` back: the only one that the home gives itself. That it was given
    is on record with it, so that no later start gives it again. `draw`: random bytes, so that nobody can use its id
    before it."""
    text = f"revoked {' '.join(kids)} by bundle {version}: {draw.hex()}"
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    ended = tuple((endings.gone(kid), Window(version, 0)) for kid in kids)
    return CommandIn(Command(digest[:32], CommandKind.STOP, "root", digest, wall_ms, wall_ms), ended)
