"""What a start believes: a plain file, a signed bundle by its hash, what it kept; and never less than it kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent import compose
from agent import config as configuration
from agent.config import ConfigError
from agent.link import anchor as anchors
from agent.link.anchor import Anchor
from agent.link.bundle import parse_chain
from agent.link.trust import Trust, entry
from agent.mail import LinkState
from agent.runtime.part import Log, Now, Post, Start, Stop, Stopped
from agent.store.trust import TrustFile
from hil.bundles import chain
from hil.pki import Pki, make_pki, signed
from hil.site import DEVICE, FLEET, seeded_keys, write_config

GIVEN: Any = {"boot": "b" * 32, "kernel_boot": "kernel", "draw": lambda: 0, "random": bytes}


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return make_pki(tmp_path / "pki", "bench", [DEVICE])


def believed(tmp_path: Path, device: Path, without_hash: bool = False) -> tuple[Trust, Anchor | None]:
    path = write_config(tmp_path, line={"port": "/dev/null"}, brokers=("localhost:1",), device=device)
    if without_hash:
        path.write_text("\n".join(line for line in path.read_text().splitlines() if "root_hash" not in line))
    config = configuration.load(path)
    assert config.file.link is not None
    config.state_dir.mkdir(exist_ok=True)
    return compose._trust(config, config.file.link)


def own(pki: Pki) -> Path:
    return pki.devices[DEVICE].trust.parent


def test_a_signed_bundle_by_the_hash_of_the_configuration(pki: Pki, tmp_path: Path) -> None:
    trust, anchor = believed(tmp_path, own(pki))
    assert anchor is not None
    assert (trust.version, anchor.bundle.version) == (1, 1)
    assert set(trust.role_of.values()) == {"dispatch", "service", "operations"}


def test_without_a_hash_and_unenrolled_it_says_how_to_enrol(pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keys enrol"):
        believed(tmp_path, own(pki), without_hash=True)


def test_what_was_kept_rules_and_needs_no_hash(pki: Pki, tmp_path: Path) -> None:
    _, anchor = believed(tmp_path, own(pki))
    assert anchor is not None
    later = signed(pki.draft.next(), pki.offline_keys)
    envelopes = parse_chain(chain([later]))
    assert not isinstance(envelopes, str)
    carried = anchors.carry(anchor, envelopes, None)
    assert isinstance(carried, Anchor)
    assert TrustFile(tmp_path / "state" / "trust").write(carried.dump()) is None
    trust, _ = believed(tmp_path, own(pki), without_hash=True)  # the file still has version 1 alone
    assert trust.version == 2


def test_a_plain_file_is_no_way_back_from_a_signed_bundle(pki: Pki, tmp_path: Path) -> None:
    _, anchor = believed(tmp_path, own(pki))
    assert anchor is not None
    seeded_keys(tmp_path / "plain", 1, 1)
    plain = tmp_path / "plain" / "device" / DEVICE
    file = {"version": 1, "fleet": FLEET, "groups": [], "roles": {"dispatch": [entry(bytes([3]) * 32)]}}
    (plain / "trust.json").write_text(json.dumps(file))
    (plain / "claim.json").unlink()
    trust, none = believed(tmp_path, plain)
    assert (none, trust.expires_ms) == (None, None)
    assert TrustFile(tmp_path / "state" / "trust").write(anchor.dump()) is None
    with pytest.raises(ConfigError, match="not signed"):
        believed(tmp_path, plain)


def test_a_damaged_state_stops_the_start_and_is_not_begun_anew(pki: Pki, tmp_path: Path) -> None:
    _, anchor = believed(tmp_path, own(pki))
    assert anchor is not None
    path = tmp_path / "state" / "trust"
    assert TrustFile(path).write(anchor.dump()) is None
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(ConfigError, match="damaged"):
        believed(tmp_path, own(pki))
    path.unlink()
    assert TrustFile(path).write(b'{"v":1}') is None
    with pytest.raises(ConfigError, match="keys enrol"):
        believed(tmp_path, own(pki))


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 999, b'{"roles":{}}'])
def test_a_trust_file_that_is_none_names_itself(pki: Pki, tmp_path: Path, data: bytes) -> None:
    pki.devices[DEVICE].trust.write_bytes(data)
    with pytest.raises(ConfigError, match=r"link\.trust"):
        believed(tmp_path, own(pki))


def test_protection_starts_without_a_link_that_cannot_be_made_and_says_why(pki: Pki, tmp_path: Path) -> None:
    path = write_config(tmp_path, line={"port": "/dev/null"}, brokers=("localhost:1",), device=own(pki))
    config = configuration.load(path)
    config.state_dir.mkdir()
    (config.state_dir / "trust").write_bytes(b"\xff" * 65_536)
    with pytest.raises(ConfigError, match="damaged"):
        compose.compose(config, dry=True, **GIVEN)
    made = compose.compose(config, **GIVEN)
    link, now = made.parts["link"], Now(1, 1)
    told = list(link.handle(Start(), now))
    [state] = [e.event for e in told if isinstance(e, Post) and isinstance(e.event, LinkState)]
    assert not state.up
    assert "damaged" in state.detail
    assert any(isinstance(e, Log) and "protected without it" in e.text for e in told)
    assert list(link.handle(object(), now)) == []
    assert list(link.handle(Stop(), now)) == [Post("runtime", Stopped("link"))]
