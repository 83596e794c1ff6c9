"""What this home says of itself: state, birth and live. A birth asks for the time, with a nonce. Sans-IO.

The first nonce is the boot's id. A time that came back too late to be of use is asked for anew, with another: only the
round trip of the nonce that it echoes tells how old it may be.
"""

from __future__ import annotations

from collections.abc import Callable

from agent import mail
from agent.link import upward
from agent.link.config import LinkConfig
from agent.link.messages import PROTOCOLS
from agent.runtime.part import Effect, MqttPublish, Now

S = 1_000_000_000
READY_TOKEN, BIRTH_TOKEN, STOPPED_TOKEN, LIVE_TOKEN = -1, -2, -3, 0  # rows use their seq, from 1
BIRTH_NS = 2 * S  # births are at least so far apart
RENEW_NS = 600 * S  # an unanswered nonce is not given up before


class Presence:
    """`random(n)`: n random bytes."""

    def __init__(self, config: LinkConfig, boot: str, sender: upward.Sender, random: Callable[[int], bytes]) -> None:
        self._config = config
        self._boot = boot
        self._sender = sender
        self._random = random
        self._seqs = {"birth": 0, "live": 0}
        self._birth_due_ns = 0  # no birth before
        self._birth_wanted = self._live_wanted = False
        self._live_ns = 0
        self._every_ns = config.live_ns if config.settings.live_s is None else config.settings.live_s * S
        self.nonce = boot
        self.born_ns: int | None = None  # first birth of this boot
        self.asked_ns: int | None = None  # first birth with this nonce

    def state(self, state: str) -> MqttPublish:
        """ "ready", "stopped", or "lost": the will."""
        payload = upward.compact({"state": state, "boot": self._boot})
        token = STOPPED_TOKEN if state == "stopped" else READY_TOKEN
        return MqttPublish(token, f"{self._config.root}/up/state", payload, 1, True)

    def connected(self, at_ns: int) -> None:
        """Birth and live are due, from `at_ns` on."""
        self._birth_due_ns = at_ns
        self._birth_wanted = self._live_wanted = True

    def changed(self) -> None:
        """What birth says is another."""
        self._birth_wanted = True

    def every(self, live_s: int | None) -> None:
        """Live at most so often; None: as configured."""
        self._every_ns = self._config.live_ns if live_s is None else live_s * S

    def renew(self) -> str:
        """Asks for the time anew: the nonce of the next birth."""
        self.nonce, self.asked_ns = self._random(16).hex(), None
        self._birth_wanted = True
        return self.nonce

    def overdue(self, now_ns: int) -> bool:
        """The nonce is so old that its answer would tell little."""
        return self.asked_ns is not None and now_ns - self.asked_ns >= RENEW_NS

    @property
    def wake_ns(self) -> int | None:
        """When a birth is due."""
        return self._birth_due_ns if self._birth_wanted else None

    def birth_due(self, now_ns: int) -> bool:
        """Whether `birth` is to be called now."""
        return self._birth_wanted and now_ns >= self._birth_due_ns

    def birth(self, facts: upward.Body, stamp: upward.Stamp, now: Now, out: list[Effect]) -> None:
        """`facts`: what it says beside the nonce and the protocols."""
        self._birth_wanted = False
        self._birth_due_ns = now.mono_ns + BIRTH_NS
        self.born_ns = now.mono_ns if self.born_ns is None else self.born_ns
        self.asked_ns = now.mono_ns if self.asked_ns is None else self.asked_ns
        body = {"nonce": self.nonce, "protocols": list(PROTOCOLS), **facts}
        out.append(self._unkept("birth", stamp, body, BIRTH_TOKEN))

    def first_live(self, sample: mail.Sample | None, now: Now, out: list[Effect]) -> None:
        """One live record at connect, after the birth."""
        if self._live_wanted and not self._birth_wanted and sample is not None:
            self._live(sample, now, out)

    def live(self, sample: mail.Sample, now: Now, out: list[Effect]) -> None:
        """A live record, if the last one is old enough."""
        if now.mono_ns - self._live_ns >= self._every_ns * 9 // 10:
            self._live(sample, now, out)

    def _live(self, sample: mail.Sample, now: Now, out: list[Effect]) -> None:
        self._live_wanted = False
        self._live_ns = now.mono_ns
        stamp = upward.Stamp(self._boot, sample.clock.wall_ms, sample.mono_ms, str(sample.clock.trust))
        out.append(self._unkept("live", stamp, sample.values, LIVE_TOKEN))

    def _unkept(self, kind: str, stamp: upward.Stamp, body: upward.Body, token: int) -> MqttPublish:
        self._seqs[kind] += 1
        data = upward.token(self._sender, kind, self._seqs[kind], stamp, body)
        birth = kind == "birth"
        return MqttPublish(token, f"{self._config.root}/up/{kind}", data, 1 if birth else 0, birth)
