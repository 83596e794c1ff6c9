"""Part "link" of a home whose link cannot be made of its files: it says why, and protection goes on without it.

A bundle that rotted, a certificate that is gone or a key that nobody can read costs service, never the home's safety.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent import mail
from agent.runtime import part
from agent.runtime.part import Effect, Log, Now, Post


class Unlinked:
    """`why`: the sentence of what is wrong, and what to do."""

    def __init__(self, why: str) -> None:
        self._why = why

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        """Tells control and the log at the start; what others post to the link is for nobody."""
        if isinstance(event, part.Start):
            state = mail.LinkState(False, self._why, False, None, 0, {})
            return (Log("error", f"link: {self._why}; the home is protected without it"), Post("control", state))
        if isinstance(event, part.Stop):
            return (Post("runtime", part.Stopped("link")),)
        return ()
