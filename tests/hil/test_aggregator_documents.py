"""What the tool publishes for good, heard by the product's own link: three kinds, retained, and by version."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import pytest

from agent import mail
from agent.link import anchor as anchors
from agent.link.trust import of_bundle
from agent.runtime.part import MqttMessage, Now
from hil.aggregator import documents_cli, shelf
from hil.aggregator.aggregator import Aggregator, Publish, Verdict
from hil.aggregator.keys import load_keyring
from hil.pki import Pki, make_pki
from tests.link.home import Home, S, posted


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"), "fleet", ["home1"], ["north"])


def heard(pki: Pki, kind: str, *words: str) -> mail.Document:
    """What a home of that PKI makes of it."""
    held = anchors.enter(pki.devices["home1"].trust.read_bytes(), None, _root_hash(pki), "fleet")
    assert isinstance(held, anchors.Anchor), held
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held)
    home.now = now = Now(1000 * S, time.time_ns() // 1_000_000)
    home.up()
    parser = argparse.ArgumentParser()
    documents_cli.options(kind, parser)
    aggregator = Aggregator(load_keyring(pki.devices_file.parent), os.urandom)
    message = documents_cli.built(kind, aggregator, parser.parse_args(["home1", *words]), now)
    assert message.retain
    [doc] = posted(home.send(MqttMessage(message.topic, message.payload, 1, True)), mail.Document)
    assert home.session._counters == {}
    return doc


def _root_hash(pki: Pki) -> str:
    import json

    return str(json.loads(pki.devices["home1"].claim.read_text("utf-8"))["root_hash"])


def test_a_configuration(pki: Pki) -> None:
    doc = heard(pki, "config", "--version", "3", "--probation-s", "60", "--export-limit-w", "0", "--group", "north")
    assert (doc.kind, doc.version, doc.body["probation_s"]) == ("config", 3, 60)
    settings = doc.body["settings"]
    assert isinstance(settings, dict)
    assert {name: value for name, value in settings.items() if value is not None} == {
        "export_limit_w": 0, "groups": ["north"],
    }  # fmt: skip


def test_default_control(pki: Pki) -> None:
    doc = heard(pki, "default", "--version", "2", "--mode", "idle", "--ramp-permille-per-s", "20")
    assert (doc.kind, doc.version, doc.body["mode"], doc.body["ramp_permille_per_s"]) == ("default", 2, "idle", 20)


def test_a_release_of_the_whole_fleet(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"package")
    keys = [word for name in ("firmware1", "firmware2") for word in ("--key", str(pki.offline_keys[name]))]
    words = ["--version", "7000", "--min-version", "1000", "--name", "0.7.0", *keys]
    doc = heard(pki, "firmware", *words, "--package", f"arm64={tmp_path / 'x.deb'}=https://r.example/x.deb")
    assert (doc.kind, doc.version) == ("firmware", 7000)
    assert '"payload"' in str(doc.body["raw"])


def test_a_package_that_is_none() -> None:
    with pytest.raises(ValueError, match="ARCH=FILE=URL"):
        documents_cli.package("arm64=x.deb")


def test_only_the_word_about_that_version_is_told() -> None:
    is_it = documents_cli.tells("config", 3)
    assert not is_it(Verdict("t", "home1"))


def test_what_was_sent_is_repeated_after_a_birth_by_whoever_listens_later(pki: Pki, tmp_path: Path) -> None:
    topics = [f"battery/v1/fleet/{home}/down/trust" for home in ("home1", "home2")]
    for payload in (b'{"old": 1}', b'{"new": 2}'):
        for topic in topics:
            shelf.put(tmp_path, Publish(topic, payload, True))
    later = Aggregator(load_keyring(pki.devices_file.parent), os.urandom)
    shelf.fill(later, tmp_path)
    assert later._documents_of("home1") == (Publish(topics[0], b'{"new": 2}', True),)


@pytest.mark.parametrize("text", ["[]", '{"topic": 1}', "{", "\0"])
def test_a_shelf_that_is_none_is_refused_and_left_alone(pki: Pki, tmp_path: Path, text: str) -> None:
    (tmp_path / shelf.NAME).write_text(text)
    aggregator = Aggregator(load_keyring(pki.devices_file.parent), os.urandom)
    with pytest.raises(ValueError, match=r"documents\.json"):
        shelf.fill(aggregator, tmp_path)
    with pytest.raises(ValueError, match=r"documents\.json"):
        shelf.put(tmp_path, Publish("t", b"x", True))
    assert (tmp_path / shelf.NAME).read_text() == text
