"""Which command is news: ids, numbers of each stream, blocks of sessions, and the last stop of each key. Sans-IO.

A number is taken when its message passes, never before. A look (`spent`) takes none.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable

from agent.core.durable import SIGNED_AFTER, Window
from agent.core.inputs import CommandIn
from agent.link import endings, messages, replay
from agent.link.blocks import Blocks
from agent.link.messages import AnyCommand, Down, Halt
from agent.link.refusal import Refusal

STREAMS_PER_KEY = 4  # names of issuers that one key may use toward one audience
KNOWN_IDS = 256


class Numbers:
    """`windows` and `known` (id, digest): from before this boot. `secret`: the draws of this home."""

    def __init__(self, windows: Iterable[tuple[str, Window]], known: Iterable[tuple[str, str]], secret: bytes) -> None:
        self.windows = dict(windows)
        self.known = OrderedDict(known)
        self._blocks = Blocks()
        self._secret = hashlib.sha256(b"batteryd: draws of this home\x00" + secret).digest()

    def again(self, body: AnyCommand, digest: str) -> Refusal | None:
        """Its id was used: for this very command, or for another."""
        seen = self.known.get(body.id)
        if seen is None:
            return None
        if seen == digest:
            return Refusal("duplicate", f"command {body.id} again", repeat_of=body.id)
        return Refusal("replay", f"id {body.id} was used for another command")

    @property
    def after_ms(self) -> int:
        """What was signed up to then may have acted in a life that this home does not remember. 0: it remembers all."""
        window = self.windows.get(SIGNED_AFTER)
        return 0 if window is None else window.high

    def outdated(self, after_ms: int) -> None:
        """Of what was signed up to then these numbers know nothing."""
        self.windows[SIGNED_AFTER] = Window(after_ms, 0)

    def setpoint(self, body: AnyCommand) -> bool:
        """It is one of a session: it leaves nothing on the disk, and has a window that no restart survives."""
        return self._blocks.holds(body)

    def spent(self, body: AnyCommand, kid: str, far: bool) -> bool:
        """Its number was used, or lies too far ahead (`far`: it may), or the block that it opens does."""
        window = self.windows.get(_stream(body, kid))
        return replay.admit(window, body.seq, far) is None or not self._blocks.fits(body, window)

    def admit(self, body: Down, kid: str, far: bool) -> Refusal | None:
        """Takes the number of a message that passed all else."""
        stream = _stream(body, kid)
        if stream not in self.windows:
            mine = stream.partition("|")[2]
            if sum(1 for name in self.windows if name.partition("|")[2] == mine) >= STREAMS_PER_KEY:
                return Refusal("replay", "this key speaks under too many names")
            if body.seq > body.iat + replay.JUMP_MAX and not far:
                return Refusal("replay", f"seq {body.seq} is far beyond the first of a stream")
        window = replay.admit(self.windows.get(stream), body.seq, far)
        if window is None:
            return Refusal("replay", f"seq {body.seq}")
        self.windows[stream] = window
        return None

    def know(self, command: str, digest: str) -> None:
        """That id is this command from now on."""
        self.known[command] = digest
        while len(self.known) > KNOWN_IDS:
            self.known.popitem(last=False)

    def command(self, body: AnyCommand, kid: str, digest: str) -> CommandIn:
        """A command whose number was admitted, with the window that goes to the disk with it."""
        stream = _stream(body, kid)
        self.windows[stream] = self._blocks.opened(body, stream, self.windows[stream])
        return CommandIn(messages.to_core(body, digest, self._draw(body.id)), ((stream, self.windows[stream]),))

    def of_session(self, body: AnyCommand, kid: str, digest: str) -> CommandIn | Refusal:
        """A setpoint of a session."""
        if not self._blocks.admit(body, _stream(body, kid)):
            return Refusal("replay", f"seq {body.seq} of a session's block")
        return CommandIn(messages.to_core(body, digest), ())

    def ending(self, body: AnyCommand, kid: str, digest: str, now_ms: int | None, quiet: bool) -> CommandIn | Refusal:
        """Cancel and stop: no number of another message, and no other name or block of its key, stands in their way.
        What they end is ended once, so a cancel that is played again does nothing. Of stops the latest counts.
        `quiet`: nothing of it goes to the disk. `now_ms`: the least that it is, None if nobody knows."""
        windows: tuple[tuple[str, Window], ...] = ()
        if isinstance(body, Halt):
            if not endings.newer(self.windows, kid, body, now_ms):
                return Refusal("replay", "it was taken, or a later stop of this key")
            windows = endings.taken(self.windows, kid, body, now_ms)
        self.know(body.id, digest)
        if not quiet:
            self.windows.update(windows)
        return CommandIn(messages.to_core(body, digest, self._draw(body.id)), () if quiet else windows, quiet, kid)

    def unended(self, revoked: Iterable[str]) -> tuple[str, ...]:
        """Of these keys those that may have begun something here which was not ended since they are revoked."""
        spoke = {stream.split("|")[1] for stream in self.windows if not stream.startswith("#")}
        return tuple(sorted(kid for kid in revoked if kid in spoke and endings.gone(kid) not in self.windows))

    def _draw(self, command: str) -> int:
        """Bits of this home and that id alone: the same again for a repetition, and another in every other home."""
        mac = hashlib.blake2b(command.encode("ascii"), key=self._secret, digest_size=8)
        return int.from_bytes(mac.digest(), "big")


def _stream(body: Down, kid: str) -> str:
    """Issuer, key, audience; none of them can contain the separator."""
    return f"{body.iss}|{kid}|{body.aud}"
