"""`batteryctl keys`, as processes: enrolment by files, rotation, consent, and every bad file a sentence."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.cli.verbs import VERBS
from agent.link import anchor as anchors
from agent.link.keys import dump_seed, load_rotations, load_seed
from agent.local.pin import PinHash
from agent.store.trust import TrustFile
from agent.tools import keys as tool
from agent.tools.keys import _wall_ms
from hil import registrar
from hil.aggregator.keys import public_key
from hil.aggregator.registry import NotRotatedError, announced
from hil.bundles import Draft, chain, entry, root_hash
from hil.pki import Authority, Pki, make_pki, signed
from hil.site import write_config
from tests.link.home import jose_sign, seed_of

PIN = "1379"


class Gateway:
    """A configuration, and batteryctl on it; no daemon runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.authority = Authority()
        self.pki: Pki = make_pki(root / "pki", "bench", ["home-0001"], authority=self.authority)
        self.claim = self.pki.devices["home-0001"].claim
        self.bundle = self.pki.devices["home-0001"].trust
        self.synced, self.ahead_ms = True, 0
        self.own = root / "own"
        self.own.mkdir()
        self.config = self.write(pin=PIN)

    def write(self, pin: str = "") -> Path:
        section = {"homeowner_pin_hash": PinHash.of(pin, bytes(16)).text()} if pin else {}
        line, local = {"port": "/dev/null"}, {"local": dict(section)}
        return write_config(self.root, line=line, brokers=("localhost:1",), device=self.own, overrides=local)

    def ctl(self, *words: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The tool that batteryctl becomes, in this process: most tests need no more."""
        out, err = io.StringIO(), io.StringIO()
        arguments = [*map(str, words), "--config", str(self.config)]
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            patch.setattr(tool, "ntp_synced", lambda: self.synced)
            patch.setattr(tool, "_wall_ms", lambda: _wall_ms() + self.ahead_ms)
            code = tool.main(arguments)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def process(self, *words: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agent.cli", "--socket", str(self.root / "none"), "keys", *map(str, words)]
        command += ["--config", str(self.config)]
        env = {**os.environ, "COLUMNS": "80"}
        root = Path(__file__).parents[2]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, env=env, cwd=root, check=False)

    def enrol(self, *more: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        words = ("enrol", "--claim", self.claim, "--bundle", self.bundle, "--out", self.root / "request")
        return self.ctl(*words, *more, stdin=stdin)

    def request(self) -> dict[str, Any]:
        return registrar.check((self.root / "request").read_bytes(), json.loads(self.claim.read_text()))

    def anchor(self) -> anchors.Anchor:
        kept = TrustFile(self.root / "state" / "trust").read()
        assert isinstance(kept, bytes)
        found = anchors.parse(kept)
        assert isinstance(found, anchors.Anchor)
        return found

    def follow(self, draft: Draft, *names: str) -> Path:
        path = self.root / "bundles.json"
        path.write_bytes(chain([signed(draft, self.pki.offline_keys, names or ("root1", "root2"))]))
        return path


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


def refused(done: subprocess.CompletedProcess[str], code: int, *says: str) -> None:
    assert done.returncode == code, done.stderr
    assert "next" in done.stderr
    assert all(len(line) <= 80 for line in done.stderr.splitlines())
    flat = " ".join(done.stderr.split())
    assert all(word in flat for word in says), flat


# --- enrolment --------------------------------------------------------------------------------------------------------
def test_enrolment_by_files_from_claim_to_certificate(gateway: Gateway) -> None:
    done = gateway.enrol()
    assert done.returncode == 0, done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    body = gateway.request()
    assert body["device"] == "home-0001"
    for name in ("sign.pem", "tls.key"):
        assert (gateway.own / name).stat().st_mode & 0o777 == 0o600
    cert, ca = gateway.root / "cert.pem", gateway.root / "ca.pem"
    cert.write_bytes(registrar.certify(body, gateway.authority))
    ca.write_bytes(gateway.authority.certificate)
    done = gateway.ctl("enrol", "--certificate", cert, "--ca", ca)
    assert done.returncode == 0, done.stderr
    shown = gateway.ctl("show", "--json")
    assert shown.returncode == 0, shown.stdout
    told = json.loads(shown.stdout)
    assert {row["name"] for row in told["rows"]} >= {"device", "sign", "tls", "trust", "root", "homeowner"}
    assert gateway.anchor().root_hash == json.loads(gateway.claim.read_text())["root_hash"]
    plain = gateway.ctl("show")
    assert all(len(line) <= 80 for line in plain.stdout.splitlines())


def test_batteryctl_becomes_the_tool(gateway: Gateway) -> None:
    done = gateway.process("enrol", "--claim", gateway.claim, "--bundle", gateway.bundle, "--out", gateway.root / "r")
    assert done.returncode == 0, done.stderr
    assert json.loads(gateway.process("--json").stdout)["roles"]["root"]
    gateway.claim.write_text("{}")
    done = gateway.process("enrol", "--claim", gateway.claim, "--bundle", gateway.bundle)
    refused(done, 2, "not a claim")


def test_enrolling_again_keeps_the_keys(gateway: Gateway) -> None:
    gateway.enrol()
    before = {name: (gateway.own / name).read_bytes() for name in ("sign.pem", "tls.key")}
    assert gateway.enrol().returncode == 0
    assert {name: (gateway.own / name).read_bytes() for name in before} == before


def test_a_claim_of_another_gateway_root_or_fleet_is_refused(gateway: Gateway) -> None:
    claim = json.loads(gateway.claim.read_text())
    for change, says in (
        ({"device": "home-0002"}, "this gateway is home-0001"),
        ({"root_hash": hashlib.sha256(b"mine").hexdigest()}, "no bundle here"),
    ):
        gateway.claim.write_text(json.dumps(claim | change))
        refused(gateway.enrol(), 4, says)
    assert not (gateway.own / "sign.pem").exists()
    assert TrustFile(gateway.root / "state" / "trust").read() is None


def test_a_bundle_of_too_few_signatures_is_refused(gateway: Gateway) -> None:
    envelope = signed(gateway.pki.draft, gateway.pki.offline_keys, ("root1",))
    claim = json.loads(gateway.claim.read_text()) | {"root_hash": root_hash(envelope)}
    gateway.claim.write_text(json.dumps(claim))
    gateway.bundle.write_bytes(chain([envelope]))
    refused(gateway.enrol(), 4, "1 of 2 signatures")


def test_the_registrar_refuses_who_does_not_know_the_secret(gateway: Gateway) -> None:
    gateway.enrol()
    claim = json.loads(gateway.claim.read_text()) | {"secret": "0" * 32}
    with pytest.raises(registrar.NotEnrolledError, match="secret"):
        registrar.check((gateway.root / "request").read_bytes(), claim)


def test_a_certificate_of_another_key_name_ca_or_time_is_refused(gateway: Gateway) -> None:
    from datetime import timedelta

    gateway.enrol()
    cert, ca = gateway.root / "cert.pem", gateway.root / "ca.pem"
    ca.write_bytes(gateway.authority.certificate)
    body = gateway.request()
    other = gateway.authority.issue(gateway.root / "other", "home-0001")
    cases = [
        (other.cert.read_bytes(), "not of a key of this gateway"),
        (registrar.certify(body | {"device": "home-0002"}, gateway.authority), "this gateway is 'home-0001'"),
        (registrar.certify(body, Authority("other")), "not signed by that CA"),
    ]
    late = Authority(life=timedelta(days=-2))
    for data, says in cases:
        cert.write_bytes(data)
        refused(gateway.ctl("enrol", "--certificate", cert, "--ca", ca), 4, says)
    cert.write_bytes(registrar.certify(body, late))
    ca.write_bytes(late.certificate)
    refused(gateway.ctl("enrol", "--certificate", cert, "--ca", ca), 4, "valid from")


# --- bad input --------------------------------------------------------------------------------------------------------
def _missing(path: Path) -> None:
    path.unlink()


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _oversized(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" " * 100_000)


def _symlink(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _twice(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"{", b'{"v":1,"v":1,', 1))


def _nan(path: Path) -> None:
    path.write_bytes(b'{"v":NaN}')


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


BROKEN = [_missing, _truncated, _oversized, _symlink, _fifo, _directory, _twice, _nan, _binary, _empty]


@pytest.mark.parametrize("break_it", BROKEN)
@pytest.mark.parametrize("which", ["claim", "bundle"])
def test_a_broken_file_is_a_sentence_and_nothing_is_made(
    gateway: Gateway, which: str, break_it: Callable[[Path], None]
) -> None:
    path = getattr(gateway, which)
    break_it(path)
    refused(gateway.enrol(), 2, path.name)
    assert not (gateway.own / "sign.pem").exists()


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_key_that_others_may_read_is_not_used(gateway: Gateway, mode: int) -> None:
    gateway.enrol()
    (gateway.own / "sign.pem").chmod(mode)
    refused(gateway.enrol(), 2, "0600")
    shown = gateway.ctl("show")
    assert shown.returncode == 1
    assert "0600" in shown.stdout


def test_a_damaged_trust_state_is_never_taken_for_none(gateway: Gateway) -> None:
    gateway.enrol()
    path = gateway.root / "state" / "trust"
    path.write_bytes(b"\xff" * path.stat().st_size)
    refused(gateway.enrol(), 2, "damaged")


def test_no_link_section_is_a_sentence(gateway: Gateway) -> None:
    gateway.config = write_config(gateway.root, line={"port": "/dev/null"})
    refused(gateway.ctl("show"), 2, "[link]")


# --- what follows -----------------------------------------------------------------------------------------------------
def test_bundles_by_file_follow_one_another_and_never_go_back(gateway: Gateway) -> None:
    gateway.enrol()
    second = gateway.pki.draft.next()
    assert gateway.ctl("enrol", "--bundle", gateway.follow(second)).returncode == 0
    assert gateway.anchor().bundle.version == 2
    refused(gateway.ctl("enrol", "--bundle", gateway.follow(second.next(), "root1")), 4, "1 of 2")
    refused(gateway.ctl("enrol", "--bundle", gateway.follow(second.next().next())), 4, "must come first")
    gateway.enrol()  # the old files again
    assert gateway.anchor().bundle.version == 2


@pytest.mark.parametrize("role", ["dispatch", "service", "operations"])
def test_every_online_role_rotates_with_an_overlap(gateway: Gateway, role: str) -> None:
    gateway.enrol()
    [old] = gateway.pki.draft.keys[role]
    new = entry(Ed25519PrivateKey.generate())
    both = gateway.pki.draft.next(keys={**gateway.pki.draft.keys, role: [old, new]})
    assert gateway.ctl("enrol", "--bundle", gateway.follow(both)).returncode == 0
    assert set(gateway.anchor().bundle.roles[role].keys) == {old["kid"], new["kid"]}
    after = both.next(keys={**both.keys, role: [new]}, revoked=[str(old["kid"])])
    assert gateway.ctl("enrol", "--bundle", gateway.follow(after)).returncode == 0
    assert set(gateway.anchor().bundle.roles[role].keys) == {new["kid"]}


@pytest.mark.parametrize("role", ["root", "firmware"])
def test_a_threshold_role_rotates_one_key_at_a_time(gateway: Gateway, role: str) -> None:
    gateway.enrol()
    keys = [*gateway.pki.draft.keys[role][:-1], entry(Ed25519PrivateKey.generate())]
    draft = gateway.pki.draft.next(keys={**gateway.pki.draft.keys, role: keys})
    assert gateway.ctl("enrol", "--bundle", gateway.follow(draft)).returncode == 0
    assert set(gateway.anchor().bundle.roles[role].keys) == {each["kid"] for each in keys}


def test_the_device_key_rotates_announced_by_the_old_one(gateway: Gateway) -> None:
    gateway.enrol()
    before = gateway.request()["x"]
    out = gateway.root / "rotate"
    done = gateway.ctl("rotate", "sign", "--out", out, "--json")
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    body = announced(json.loads(out.read_bytes()), dict([public_key({"kid": told["old"], "x": before})]))
    assert (body["kid"], body["overlap_s"]) == (told["kid"], 7 * 86_400)
    seed = load_seed(gateway.own / "sign.pem")
    assert isinstance(seed, bytes)
    assert entry(Ed25519PrivateKey.from_private_bytes(seed))["x"] == body["x"] != before
    with pytest.raises(NotRotatedError):
        announced(json.loads(out.read_bytes()), {})
    refused(gateway.ctl("rotate", "sign", "--out", out), 2, "there already")
    again = json.loads(gateway.ctl("rotate", "sign", "--json").stdout)
    assert again["old"] == told["kid"]
    chain_of = load_rotations(gateway.root / "state" / "rotation", again["kid"])
    assert len(chain_of) == 2, "who missed the first one walks through both"
    assert load_rotations(gateway.root / "state" / "rotation", told["kid"]) == chain_of[:1]
    assert load_rotations(gateway.root / "state" / "rotation", told["old"]) == ()


def test_the_tls_key_rotates_when_its_certificate_comes(gateway: Gateway) -> None:
    test_enrolment_by_files_from_claim_to_certificate(gateway)
    before = (gateway.own / "tls.key").read_bytes()
    assert gateway.ctl("rotate", "tls", "--out", gateway.root / "request").returncode == 0
    assert (gateway.own / "tls.key").read_bytes() == before  # the link goes on with it until then
    from joserfc import jws as jose

    registry = jose.JWSRegistry(algorithms=["Ed25519"])
    token = jose.extract_compact((gateway.root / "request").read_bytes().strip(), registry=registry)
    cert = gateway.root / "cert.pem"
    cert.write_bytes(registrar.certify(json.loads(token.payload), gateway.authority))
    assert gateway.ctl("enrol", "--certificate", cert).returncode == 0
    assert (gateway.own / "tls.key").read_bytes() != before
    assert not (gateway.own / "tls.key.next").exists()
    assert json.loads(gateway.ctl("show", "--json").stdout)["ok"]


def test_rotate_what(gateway: Gateway) -> None:
    gateway.enrol()
    refused(gateway.ctl("rotate"), 2, "sign and tls")


# --- the homeowner, and another root ----------------------------------------------------------------------------------
def _public(path: Path, name: str) -> Path:
    path.write_text(json.dumps(entry(Ed25519PrivateKey.from_private_bytes(seed_of(name)))))
    return path


def test_the_homeowners_key_is_named_with_the_pin(gateway: Gateway) -> None:
    gateway.enrol()
    key = _public(gateway.root / "phone.json", "phone")
    refused(gateway.ctl("homeowner", "--key", key), 4, "consent")
    refused(gateway.ctl("homeowner", "--key", key, "--pin-stdin", stdin="0000\n"), 4, "not the homeowner's PIN")
    assert not gateway.anchor().homeowner
    done = gateway.ctl("homeowner", "--key", key, "--pin-stdin", stdin=f"{PIN}\n")
    assert done.returncode == 0, done.stderr
    assert list(gateway.anchor().homeowner) == [json.loads(key.read_text())["kid"]]


def test_without_a_pin_the_first_homeowners_key_is_named_by_nobody(gateway: Gateway) -> None:
    gateway.config = gateway.write()
    gateway.enrol()
    key = _public(gateway.root / "mine.json", "technician")
    public = Ed25519PrivateKey.from_private_bytes(seed_of("technician")).public_key().public_bytes_raw()
    consent = _consent(gateway, "technician", "homeowner_key", hashlib.sha256(public).hexdigest())
    refused(gateway.ctl("homeowner", "--key", key), 4, "homeowner's consent", "agent.tools.pin")
    refused(gateway.ctl("homeowner", "--key", key, "--pin-stdin", stdin="\n"), 4, "agent.tools.pin")
    refused(gateway.ctl("homeowner", "--key", key, "--consent", consent), 4, "no consent")
    assert not gateway.anchor().homeowner


def test_a_second_homeowners_key_comes_with_the_firsts_signature(gateway: Gateway) -> None:
    gateway.enrol()
    first = _public(gateway.root / "a.json", "phone")
    assert gateway.ctl("homeowner", "--key", first, "--pin-stdin", stdin=f"{PIN}\n").returncode == 0
    gateway.config = gateway.write()
    second = _public(gateway.root / "b.json", "tablet")
    refused(gateway.ctl("homeowner", "--key", second), 4, "consent")
    public = Ed25519PrivateKey.from_private_bytes(seed_of("tablet")).public_key().public_bytes_raw()
    consent = _consent(gateway, "phone", "homeowner_key", hashlib.sha256(public).hexdigest())
    assert gateway.ctl("homeowner", "--key", second, "--consent", consent).returncode == 0
    assert len(gateway.anchor().homeowner) == 2


def test_a_key_of_the_aggregator_is_never_the_homeowners(gateway: Gateway) -> None:
    gateway.enrol()
    path = gateway.root / "key.json"
    path.write_text(json.dumps(gateway.pki.draft.keys["dispatch"][0]))
    refused(gateway.ctl("homeowner", "--key", path, "--pin-stdin", stdin=f"{PIN}\n"), 4, "aggregator")


def _consent(
    gateway: Gateway, by: str, to: str, sha256: str, device: str = "home-0001", withdrawn: bool = False, seq: int = 1
) -> Path:
    """Signed now, for a minute."""
    now_ms = _wall_ms()
    body = {"v": 1, "id": "0" * 32, "iss": "owner", "aud": f"dev:{device}", "seq": seq, "iat": now_ms,
            "exp": now_ms + 60_000, "kind": "consent", "to": to, "sha256": sha256, "withdrawn": withdrawn}  # fmt: skip
    path = gateway.root / f"consent{seq}"
    path.write_bytes(jose_sign(seed_of(by), "battery-homeowner+jws", json.dumps(body).encode()) + b"\n")
    return path


def _other_root(gateway: Gateway) -> tuple[Path, Path, str]:
    other = make_pki(gateway.root / "elsewhere", "bench", ["home-0001"]).devices["home-0001"]
    return other.claim, other.trust, json.loads(other.claim.read_text())["root_hash"]


def test_another_root_needs_presence_and_the_homeowner(gateway: Gateway) -> None:
    gateway.enrol()
    gateway.ctl("homeowner", "--key", _public(gateway.root / "a.json", "phone"), "--pin-stdin", stdin=f"{PIN}\n")
    first = gateway.anchor().root_hash
    claim, bundle, wanted = _other_root(gateway)
    words = ("enrol", "--claim", claim, "--bundle", bundle, "--out", gateway.root / "request")
    refused(gateway.ctl(*words), 4, "homeowner's consent")
    refused(gateway.ctl(*words, "--pin-stdin", stdin="9999\n"), 4, "PIN")
    for by, to, sha256, device, withdrawn in (
        ("stranger", "root", wanted, "home-0001", False), ("phone", "root", first, "home-0001", False),
        ("phone", "terms", wanted, "home-0001", False), ("phone", "root", wanted, "home-0002", False),
        ("phone", "root", wanted, "home-0001", True),
    ):  # fmt: skip
        consent = _consent(gateway, by, to, sha256, device, withdrawn)
        refused(gateway.ctl(*words, "--consent", consent), 4, "no consent")
    assert gateway.anchor().root_hash == first
    assert gateway.ctl(*words, "--consent", _consent(gateway, "phone", "root", wanted)).returncode == 0
    assert gateway.anchor().root_hash == wanted
    assert gateway.anchor().homeowner  # another aggregator, the same owner


def test_a_consent_in_a_file_is_good_once_and_in_its_time(gateway: Gateway) -> None:
    gateway.enrol()
    typed = {"stdin": f"{PIN}\n"}
    gateway.ctl("homeowner", "--key", _public(gateway.root / "a.json", "phone"), "--pin-stdin", **typed)
    claim, bundle, wanted = _other_root(gateway)
    words = ("enrol", "--claim", claim, "--bundle", bundle, "--out", gateway.root / "request", "--consent")
    consent = _consent(gateway, "phone", "root", wanted, seq=5)
    for ahead_ms in (-60_000, 61_000):
        gateway.ahead_ms = ahead_ms
        refused(gateway.ctl(*words, consent), 4, "of today")
    gateway.ahead_ms = 0
    assert gateway.ctl(*words, consent).returncode == 0
    assert gateway.enrol("--pin-stdin", **typed).returncode == 0, "back again, and the homeowner is there"
    refused(gateway.ctl(*words, consent), 4, "was used")
    assert list(gateway.anchor().heard.values()) == [5]
    later = _consent(gateway, "phone", "root", wanted, seq=6)
    gateway.synced, gateway.ahead_ms = False, 10**9
    assert gateway.ctl(*words, later).returncode == 0, "a clock that nobody keeps shuts nobody out"
    assert list(gateway.anchor().heard.values()) == [6]


def test_what_the_homeowner_said_stays_said_over_another_root_and_other_keys(gateway: Gateway) -> None:
    gateway.enrol()
    begun_ms = gateway.anchor().since_ms
    assert 0 <= _wall_ms() - begun_ms < 60_000
    typed = {"stdin": f"{PIN}\n"}

    def name(who: str) -> None:
        key = _public(gateway.root / f"{who}.json", who)
        assert gateway.ctl("homeowner", "--key", key, "--pin-stdin", **typed).returncode == 0

    name("phone")
    [kid] = gateway.anchor().homeowner
    assert TrustFile(gateway.root / "state" / "trust").write(gateway.anchor().spoken(kid, 1_800).dump()) is None
    for who in ("b", "c", "d", "e"):
        name(who)
    assert kid not in gateway.anchor().homeowner
    name("phone")
    assert gateway.anchor().heard == {kid: 1_800}
    claim, bundle, wanted = _other_root(gateway)
    gateway.ahead_ms = 5_000
    done = gateway.ctl(
        "enrol", "--claim", claim, "--bundle", bundle, "--out", gateway.root / "r", "--pin-stdin", **typed
    )
    assert done.returncode == 0, done.stderr
    held = gateway.anchor()
    assert (held.root_hash, held.heard) == (wanted, {kid: 1_800})
    assert held.since_ms > begun_ms, "what was signed before is not taken"


def test_first_trust_by_a_clock_that_nobody_keeps_says_not_since_when(gateway: Gateway) -> None:
    gateway.synced = False
    gateway.enrol()
    assert gateway.anchor().since_ms == 0


def test_without_pin_and_key_nobody_can_consent_for_the_homeowner(gateway: Gateway) -> None:
    gateway.config = gateway.write()
    gateway.enrol()
    claim, bundle, _ = _other_root(gateway)
    done = gateway.ctl("enrol", "--claim", claim, "--bundle", bundle, "--pin-stdin", stdin="\n")
    refused(done, 4, "agent.tools.pin")


def test_no_verb_takes_a_secret_as_an_argument() -> None:
    """What stands on a command line stands in ps, in the journal of sudo and in the shell's history."""
    from argparse import ArgumentParser

    for verb in ("keys", "replace", "net", "reserve", "stop", "resume"):
        parser = ArgumentParser()
        VERBS[verb].options(parser)
        for action in parser._actions:
            named = " ".join(action.option_strings) + action.dest
            assert not ("pin" in named or "secret" in named or "seed" in named) or action.nargs == 0, named


# --- secrets ----------------------------------------------------------------------------------------------------------
def test_no_secret_is_in_any_output_request_or_state(gateway: Gateway) -> None:
    """Whatever the verbs print or write but the key files themselves: raw, hex and base64 of each secret."""
    import base64

    said = [gateway.enrol(), gateway.enrol("--json"), gateway.ctl("show"), gateway.ctl("show", "--json")]
    old = load_seed(gateway.own / "sign.pem")
    said.append(gateway.ctl("rotate", "sign", "--out", gateway.root / "announced"))
    new = load_seed(gateway.own / "sign.pem")
    assert isinstance(old, bytes)
    assert isinstance(new, bytes)
    texts = [done.stdout.encode() + done.stderr.encode() for done in said]
    texts += [(gateway.root / name).read_bytes() for name in ("request", "announced", "batteryd.toml", "state/trust")]
    secret = bytes.fromhex(json.loads(gateway.claim.read_text())["secret"])
    tls = (gateway.own / "tls.key").read_text().splitlines()[1].encode()
    for hidden in (old, new, secret):
        body = dump_seed(hidden).splitlines()[1].encode() if len(hidden) == 32 else base64.b64encode(hidden)
        for form in (hidden, hidden.hex().encode(), base64.b64encode(hidden).rstrip(b"="), body):
            assert not [text for text in texts if form in text]
    assert not [text for text in texts if tls in text]
    owned = {path.name for path in gateway.own.iterdir() if b"PRIVATE" in path.read_bytes()}
    assert owned == {"sign.pem", "tls.key"}
    assert not [path for path in gateway.root.glob("state/*") if b"PRIVATE" in path.read_bytes()]
