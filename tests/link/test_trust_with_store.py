"""The trust over the link with the real store: what is in force after a kill at each point."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent import mail
from agent.core.inputs import CommandIn
from agent.link import anchor as anchors
from agent.link.anchor import Anchor
from agent.link.trust import of_bundle
from agent.runtime.part import Effect, MqttMessage, Start
from agent.store.config import StoreConfig
from agent.store.store import Store
from agent.store.trust import TrustFile
from hil.bundles import chain
from tests.link.home import Home, down, jose_sign, posted, seed_of
from tests.link.roots import anchored, draft, kid, listed, signed

LATER = draft().next(keys=listed(dispatch=("later",)), revoked=[kid("dispatch")])


class Gateway:
    """Link and store of one home; `boot` is a start after a kill, with what the disk holds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        assert TrustFile(directory / "trust").write(anchored().dump()) is None
        self.boot()

    def boot(self) -> None:
        kept = TrustFile(self.directory / "trust").read()
        assert isinstance(kept, bytes)
        held = anchors.enter(chain([signed(draft())]), kept, None, "fleet")  # the file is the first one for ever
        assert isinstance(held, Anchor)
        self.home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held)
        self.store = Store(StoreConfig(self.directory / "store.db", self.directory / "reserve"))
        self.store.load()
        list(self.store.handle(Start(), self.home.now))
        self.home.ready()

    def kill(self) -> None:
        self.store._vault.abandon(damaged=False)

    def hear(self, message: MqttMessage, kept: bool = True) -> list[Effect]:
        """Everything that comes of it; `kept` False: the power goes before the disk was asked."""
        effects = self.home.send(message)
        return [*effects, *(self._disk(posted(effects, mail.WriteTrust)) if kept else ())]

    def _disk(self, writes: Iterable[mail.WriteTrust]) -> Iterable[Effect]:
        for write in writes:
            for answer in posted(list(self.store.handle(write, self.home.now)), object):
                yield from self.home.send(answer)

    def reserve(self, permille: int) -> MqttMessage:
        claims: dict[str, Any] = self.home.agg.claims(self.home.now, kind="reserve", permille=permille)
        return down("homeowner", jose_sign(seed_of("homeowner"), "battery-homeowner+jws", json.dumps(claims).encode()))

    def takes(self, role: str) -> bool:
        return bool(posted(self.home.send(self.home.agg.command(self.home.now, role)), CommandIn))


def test_a_revocation_outlives_a_kill(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    assert gateway.takes("dispatch")
    gateway.hear(down("trust", chain([signed(LATER)])))
    gateway.kill()
    gateway.boot()
    assert not gateway.takes("dispatch")
    assert gateway.takes("later")


def test_a_bundle_that_the_disk_never_saw_comes_again_with_the_broker(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.hear(down("trust", chain([signed(LATER)]), retain=True), kept=False)
    assert not gateway.takes("dispatch")  # at once, whatever the disk
    gateway.kill()
    gateway.boot()
    gateway.hear(down("trust", chain([signed(draft()), signed(LATER)]), retain=True))
    assert not gateway.takes("dispatch")


def test_a_reserve_that_acted_is_never_played_again(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    message = gateway.reserve(150)
    assert [verb.value for verb in posted(gateway.hear(message), mail.Verb)] == [150]
    gateway.kill()
    gateway.boot()
    assert not posted(gateway.hear(message), mail.Verb)


def test_a_reserve_that_never_reached_the_disk_may_come_again_and_acts_once(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    message = gateway.reserve(150)
    assert not posted(gateway.hear(message, kept=False), mail.Verb)
    gateway.kill()
    gateway.boot()
    assert len(posted(gateway.hear(message), mail.Verb)) == 1
    assert not posted(gateway.hear(message), mail.Verb)


def test_what_the_homeowner_said_stands_in_the_outbox_with_its_token(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    message = gateway.reserve(150)
    gateway.hear(message)
    rows = [row for row in gateway.store._vault.after(0, 9) if row.kind == "event"]
    told = [json.loads(row.payload) for row in rows]
    assert [event["token"] for event in told if event["event"] == "homeowner"] == [message.payload.decode()]
