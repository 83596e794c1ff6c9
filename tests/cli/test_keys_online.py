"""`batteryctl keys enrol --url`: what an honest desk gives is kept whole; whatever else it says, nothing is.

Written from docs/trust.md and RFC 7030 (4.1, 4.2) before the tool was.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from agent.store.trust import TrustFile
from agent.tools import est, online
from agent.tools.keys import _wall_ms
from agent.tools.lines import Refused
from hil import registrar
from hil.bundles import chain, root_hash
from hil.pki import Authority, signed
from hil.registrar import Desk, certs_only, pin_of
from hil.registrar_server import Serving
from tests.cli.desk import Villain, reply
from tests.cli.test_keys import PIN, Gateway, refused

TRUST = "/.well-known/battery/bench/trust"
CACERTS = "/.well-known/est/cacerts"
ENROL, REENROL = "/.well-known/est/simpleenroll", "/.well-known/est/simplereenroll"
STEPS = (TRUST, CACERTS, ENROL)
TYPES = {TRUST: "application/jose+json", CACERTS: "application/pkcs7-mime", ENROL: "application/pkcs7-mime"}
DAY_MS = 86_400_000


class Online(Gateway):
    """A gateway that was handed a claim, with nothing of its own yet; and the aggregator's desk."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.server = self.authority.issue(root / "registrar", "registrar", ["localhost"])
        self.desk = Desk(self.authority, "bench", self.bundle.read_bytes())
        self.body = self.desk.issue("home-0001", pin_of(self.server.cert.read_bytes()))
        self.claim.write_text(json.dumps(self.body))

    def ask(self, url: str, *more: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.ctl("enrol", "--claim", self.claim, "--url", url, *more, stdin=stdin)

    def honest(self, path: str, request: bytes) -> bytes:
        """What the desk answers, as one connection's bytes."""
        head, _, body = request.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        said = self.desk.answer(lines[0].split()[0], path, headers, body, None)
        return reply(said.body, said.typ, f"{said.status} X")

    def files(self) -> dict[str, bytes]:
        """All that the gateway holds."""
        at = [*self.own.iterdir(), *(self.root / "state").glob("*")]
        return {path.name: path.read_bytes() for path in at if path.is_file()}

    def nothing_is_kept(self, keys: bool = False) -> None:
        """`keys`: its own keys, which it made before it asked, may be there; they are of use to nobody."""
        assert set(self.files()) <= ({"sign.pem", "tls.key"} if keys else set())
        assert TrustFile(self.root / "state" / "trust").read() is None


@pytest.fixture
def gateway(tmp_path: Path) -> Online:
    return Online(tmp_path)


def spoil(
    gateway: Online, at: str, said: bytes | Callable[[bytes], bytes | None] | None
) -> Callable[[str, bytes], bytes | None]:
    """An honest desk, but for its answer to `at`."""

    def answer(path: str, request: bytes) -> bytes | None:
        good = gateway.honest(path, request)
        if path != at:
            return good
        return said(good) if callable(said) else said

    return answer


# --- what should happen -----------------------------------------------------------------------------------------------
def test_one_command_from_a_claim_to_a_certificate(gateway: Online) -> None:
    with Serving(gateway.desk, gateway.server) as there:
        done = gateway.ask(there.url)
    assert done.returncode == 0, done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    for name in ("sign.pem", "tls.key"):
        assert (gateway.own / name).stat().st_mode & 0o777 == 0o600
    shown = json.loads(gateway.ctl("show", "--json").stdout)
    assert shown["ok"], shown
    assert gateway.anchor().root_hash == gateway.body["root_hash"]
    sign = next(row for row in shown["rows"] if row["name"] == "sign")
    assert [entry["kid"] for entry in gateway.desk.devices["home-0001"]] == [sign["text"].split()[0]]
    assert not list(gateway.own.glob(".*")), "a half-written file is left"


def test_a_lost_answer_is_asked_for_again_with_the_same_keys(gateway: Online) -> None:
    cut = spoil(gateway, ENROL, lambda good: good[:-40])
    with Villain(gateway.server, cut) as there:
        refused(gateway.ask(there.url), 6, "broke off")
    gateway.nothing_is_kept(keys=True)
    with Serving(gateway.desk, gateway.server) as again:
        done = gateway.ask(again.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(gateway.ctl("show", "--json").stdout)["ok"]


def test_the_secret_is_never_said_not_even_to_the_desk(gateway: Online) -> None:
    with Villain(gateway.server, gateway.honest) as there:
        done = gateway.ask(there.url)
        assert done.returncode == 0, done.stderr
        assert there.paths == list(STEPS)
        said = b"".join(there.heard)
    secret = str(gateway.body["secret"])
    for form in (
        secret,
        bytes.fromhex(secret),
        base64.b64encode(bytes.fromhex(secret)),
        base64.b64encode(secret.encode()),
    ):
        assert (form.encode() if isinstance(form, str) else form) not in said
    assert secret not in done.stdout + done.stderr
    assert all(secret.encode() not in data for data in gateway.files().values())


# --- the wrong desk ---------------------------------------------------------------------------------------------------
def test_another_certificate_than_the_claims_hears_nothing(gateway: Online) -> None:
    """Also one that the same CA signed for the same name."""
    other = gateway.authority.issue(gateway.root / "other", "registrar", ["localhost"])
    with Villain(other, gateway.honest) as there:
        refused(gateway.ask(there.url), 4, "not the one that the claim names")
        assert there.heard == []
    gateway.nothing_is_kept()


def test_a_claim_that_names_no_certificate_is_no_claim_for_this(gateway: Online) -> None:
    gateway.claim.write_text(json.dumps({k: v for k, v in gateway.body.items() if k != "server"}))
    refused(gateway.ask("https://localhost:1"), 2, "server")
    gateway.nothing_is_kept()


def test_another_root_than_the_claims_is_found_out_before_anything_is_sent(gateway: Online) -> None:
    mine = signed(replace(gateway.pki.draft, revoked=["A" * 16]), gateway.pki.offline_keys)
    assert root_hash(mine) != gateway.body["root_hash"]
    with Villain(gateway.server, spoil(gateway, TRUST, reply(chain([mine]), TYPES[TRUST]))) as there:
        refused(gateway.ask(there.url), 4, "not believed")
        assert there.paths == [TRUST]
    gateway.nothing_is_kept()


def test_a_claim_works_for_one_gateway_once(gateway: Online, tmp_path: Path) -> None:
    with Serving(gateway.desk, gateway.server) as there:
        assert gateway.ask(there.url).returncode == 0
        (tmp_path / "thief").mkdir()
        thief = Online(tmp_path / "thief")
        thief.claim.write_text(json.dumps(gateway.body))
        refused(thief.ask(there.url), 4, "403", "claim")
    thief.nothing_is_kept(keys=True)
    assert len(gateway.desk.devices["home-0001"]) == 1


def test_a_claim_dies_after_a_day(gateway: Online) -> None:
    gateway.desk.issued_ms["home-0001"] -= DAY_MS + 1
    with Serving(gateway.desk, gateway.server) as there:
        refused(gateway.ask(there.url), 4, "403")
    gateway.nothing_is_kept(keys=True)


def test_a_guessed_secret_is_refused_by_the_desk(gateway: Online) -> None:
    gateway.claim.write_text(json.dumps(gateway.body | {"secret": "0" * 32}))
    with Serving(gateway.desk, gateway.server) as there:
        refused(gateway.ask(there.url), 4, "403")
    gateway.nothing_is_kept(keys=True)


def test_the_desk_says_no_more_than_no(gateway: Online) -> None:
    """Wrong secret, spent, expired, unknown: one answer, or a thief could try claims out."""
    bodies = set()
    gateway.enrol()
    token = (gateway.root / "request").read_bytes().strip().decode()
    csr = base64.b64encode(b"no request").decode()
    for auth in (token, "Battery-Enrol " + token, "Battery-Enrol a.b.c", ""):
        said = gateway.desk.answer("POST", ENROL, {"authorization": auth}, csr.encode(), None)
        bodies.add((said.status, said.body))
    assert len(bodies) == 1
    assert bodies.pop()[0] == 403


# --- answers that are none --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize(("keep", "says"), [(0, "broke off"), (10, "HTTP"), (40, ""), (-1, "broke off")])
def test_a_half_downloaded_answer_is_none(gateway: Online, at: str, keep: int, says: str) -> None:
    with Villain(gateway.server, spoil(gateway, at, lambda good: good[:keep])) as there:
        done = gateway.ask(there.url)
        refused(done, 4 if keep == 40 else 6, says)  # cut within the headers: they lack what makes an answer
    gateway.nothing_is_kept(keys=at == ENROL)


@pytest.mark.parametrize("at", STEPS)
def test_an_answer_without_a_length_could_be_half_of_one(gateway: Online, at: str) -> None:
    bare = spoil(gateway, at, lambda good: re.sub(rb"Content-Length: \d+\r\n", b"", good))
    with Villain(gateway.server, bare) as there:
        refused(gateway.ask(there.url), 4, "Content-Length")
    gateway.nothing_is_kept(keys=at == ENROL)


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("size", [1 << 20, 10**18])
def test_a_huge_answer_is_not_read(gateway: Online, at: str, size: int) -> None:
    with Villain(gateway.server, spoil(gateway, at, reply(b"x" * 1000, TYPES[at], length=size))) as there:
        refused(gateway.ask(there.url), 4, "bytes")
    gateway.nothing_is_kept(keys=at == ENROL)


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_no_redirect_is_followed(gateway: Online, at: str, code: int) -> None:
    with Villain(gateway.server, gateway.honest) as elsewhere:
        away = reply(b"", "text/plain", f"{code} Elsewhere", f"Location: {elsewhere.url}{at}\r\n")
        with Villain(gateway.server, spoil(gateway, at, away)) as there:
            refused(gateway.ask(there.url), 4, "sends us elsewhere")
        assert elsewhere.heard == []
    gateway.nothing_is_kept(keys=at == ENROL)


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize(
    ("said", "code", "says"),
    [
        (b"\x00\xff not http\r\n\r\n", 6, "HTTP"),
        (reply(b"<html>\x1b[31mbad\x07</html>", "text/html"), 4, "text/html"),
        (reply(b"", "text/plain", "500 Oh"), 6, "500"),
        (reply(b"", "text/plain", "404 Not Found"), 4, "404"),
        (reply(b"", "text/plain", "202 Accepted", "Retry-After: 600\r\n"), 6, "not decided"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", 6, "HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", 6, "HTTP"),
    ],
)
def test_whatever_else_is_said_is_a_sentence(gateway: Online, at: str, said: bytes, code: int, says: str) -> None:
    with Villain(gateway.server, spoil(gateway, at, said)) as there:
        done = gateway.ask(there.url)
    refused(done, code, says)
    assert done.stderr.replace("\n", "").isprintable()
    gateway.nothing_is_kept(keys=at == ENROL)


@pytest.mark.parametrize("at", STEPS)
def test_a_body_of_garbage_is_a_sentence(gateway: Online, at: str) -> None:
    for body in (b"", b"\xff" * 500, b"AAAA", b"{}", base64.b64encode(b"0" * 400), b'{"bundles":[]}'):
        with Villain(gateway.server, spoil(gateway, at, reply(body, TYPES[at]))) as there:
            refused(gateway.ask(there.url), 4)
        gateway.nothing_is_kept(keys=at == ENROL)


@pytest.mark.parametrize("at", STEPS)
def test_a_desk_that_says_nothing_is_not_waited_for_long(
    gateway: Online, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(est, "PATIENCE_S", 0.3)
    with Villain(gateway.server, spoil(gateway, at, None)) as there:
        refused(gateway.ask(there.url), 6, "no answer")
    gateway.nothing_is_kept(keys=at == ENROL)


def test_a_certificate_of_another_key_name_ca_or_time_is_not_kept(gateway: Online) -> None:
    gateway.enrol()
    body = registrar.check((gateway.root / "request").read_bytes(), gateway.body)
    (gateway.root / "state" / "trust").unlink()
    (gateway.own / "trust.json").unlink()
    other = gateway.authority.issue(gateway.root / "o", "home-0001").cert.read_bytes()
    cases: list[tuple[bytes, str]] = [
        (other, "not of a key of this gateway"),
        (registrar.certify(body | {"device": "home-0002"}, gateway.authority), "this gateway is 'home-0001'"),
        (registrar.certify(body, Authority("other")), "not signed by"),
        (gateway.authority.certificate, "home-0001"),
    ]
    for pem, says in cases:
        said = reply(certs_only([pem]), TYPES[ENROL])
        with Villain(gateway.server, spoil(gateway, ENROL, said)) as there:
            refused(gateway.ask(there.url), 4, says)
        gateway.nothing_is_kept(keys=True)


def test_every_spoiled_byte_of_a_certificate_is_a_sentence_or_no_matter(gateway: Online) -> None:
    """Whatever a bad memory, or an authority gone mad, makes of the answer: no traceback, and no other certificate."""
    gateway.enrol()
    body = registrar.check((gateway.root / "request").read_bytes(), gateway.body)
    ca = x509.load_pem_x509_certificate(gateway.authority.certificate)
    good = base64.b64decode(b"".join(certs_only([registrar.certify(body, gateway.authority)]).split()))
    [cert] = pkcs7.load_der_pkcs7_certificates(good)
    refusals = 0
    for at in range(len(good)):
        spoiled = base64.b64encode(good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :])
        found = est.certificates(spoiled)
        if isinstance(found, str):
            refusals += 1
            continue
        try:
            online.issued(found[0], [ca], "home-0001", cert.public_key(), _wall_ms())
        except Refused:
            refusals += 1
        else:
            same = (
                found[0].tbs_certificate_bytes == cert.tbs_certificate_bytes
            )  # the signature's own wrapping may differ
            assert same, f"byte {at}"
    assert refusals > len(good) * 8 // 10


def test_an_expired_certificate_is_not_kept(gateway: Online) -> None:
    late = Authority(life=timedelta(days=-2))
    gateway.desk.authority = late
    with Serving(gateway.desk, gateway.server) as there:
        refused(gateway.ask(there.url), 4, "valid from")
    gateway.nothing_is_kept(keys=True)


# --- the command line -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    ["http://localhost:1", "localhost:1", "https://", "https://user:word@localhost", "https://localhost:99999",
     "https://localhost/?q=1", "https://localhost/#f", "https://local host", "ftp://localhost", "https://[::1", "file:///etc/passwd"],
)  # fmt: skip
def test_a_wrong_url_is_a_sentence(gateway: Online, url: str) -> None:
    refused(gateway.ask(url), 2, "https://HOST")
    gateway.nothing_is_kept()


def test_nobody_there_is_a_sentence(gateway: Online) -> None:
    with Villain(gateway.server, gateway.honest) as there:
        url = there.url
    refused(gateway.ask(url), 6, "localhost")
    gateway.nothing_is_kept()


def test_not_while_the_daemon_runs(gateway: Online) -> None:
    refused(gateway.ask("https://localhost:1", "--running"), 4, "batteryd runs")


def test_another_aggregator_needs_the_homeowner_here_too(gateway: Online, tmp_path: Path) -> None:
    with Serving(gateway.desk, gateway.server) as there:
        assert gateway.ask(there.url).returncode == 0
    held = gateway.anchor()
    (tmp_path / "new").mkdir()
    other = Online(tmp_path / "new")
    gateway.claim.write_text(json.dumps(other.body))
    with Serving(other.desk, other.server) as there:
        before = gateway.files()
        refused(gateway.ask(there.url), 4, "consent")
        assert gateway.files() == before
        assert other.desk.devices == {}
        refused(gateway.ask(there.url, "--pin-stdin", stdin="0000\n"), 4, "PIN")
        done = gateway.ask(there.url, "--pin-stdin", stdin=f"{PIN}\n")
        assert done.returncode == 0, done.stderr
    assert gateway.anchor().root_hash == other.body["root_hash"] != held.root_hash


# --- renewal ----------------------------------------------------------------------------------------------------------
def enrolled(gateway: Online, there: Serving) -> dict[str, Any]:
    done = gateway.ask(there.url)
    assert done.returncode == 0, done.stderr
    return {name: gateway.files()[name] for name in ("tls.key", "tls.crt", "ca.crt", "sign.pem")}


def test_the_certificate_is_renewed_with_a_new_key_over_the_old_ones_tls(gateway: Online) -> None:
    with Serving(gateway.desk, gateway.server) as there:
        before = enrolled(gateway, there)
        done = gateway.ctl("rotate", "tls")  # where it enrolled, it renews
        assert done.returncode == 0, done.stderr
    after = gateway.files()
    assert before["tls.key"] != after["tls.key"]
    assert before["tls.crt"] != after["tls.crt"]
    assert before["sign.pem"] == after["sign.pem"]
    assert json.loads(gateway.ctl("show", "--json").stdout)["ok"]
    assert not [name for name in after if ".next" in name]


def test_it_is_due_at_half_its_life(gateway: Online) -> None:
    with Serving(gateway.desk, gateway.server) as there:
        before = enrolled(gateway, there)
        done = gateway.ctl("rotate", "tls", "--due")
        assert done.returncode == 0
        assert "not due" in done.stdout
        assert gateway.files()["tls.crt"] == before["tls.crt"]
        young = gateway.desk.authority
        gateway.desk.authority = young.aged(timedelta(days=46))
        assert gateway.ctl("rotate", "tls").returncode == 0  # a certificate that is 47 of 90 days old
        gateway.desk.authority = young
        half = gateway.files()["tls.crt"]
        done = gateway.ctl("rotate", "tls", "--due")
        assert done.returncode == 0, done.stderr
        assert gateway.files()["tls.crt"] != half


def test_who_enrolled_by_files_is_not_renewed_by_a_timer(gateway: Online) -> None:
    gateway.enrol()
    before = gateway.files()
    done = gateway.ctl("rotate", "tls", "--due")
    assert done.returncode == 0
    assert "did not enrol online" in done.stdout
    assert gateway.files() == before


def test_a_stranger_and_a_device_that_was_struck_off_get_no_renewal(gateway: Online) -> None:
    said = gateway.desk.answer("POST", REENROL, {}, b"", None)
    assert said.status == 403
    with Serving(gateway.desk, gateway.server) as there:
        before = enrolled(gateway, there)
        gateway.desk.devices.clear()
        refused(gateway.ctl("rotate", "tls"), 4, "403")
    assert {name: gateway.files()[name] for name in before} == before


def test_a_renewal_that_breaks_off_leaves_what_was_there(gateway: Online) -> None:
    with Serving(gateway.desk, gateway.server) as there:
        before = enrolled(gateway, there)
    for said in (None, b"", reply(b"x", "text/html"), reply(certs_only([gateway.authority.certificate]), TYPES[ENROL])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(est, "PATIENCE_S", 0.3)
            with Villain(gateway.server, spoil(gateway, REENROL, said)) as villain:
                done = gateway.ctl("rotate", "tls", "--url", villain.url)
        assert done.returncode in (4, 6), done.stderr
        assert {name: gateway.files()[name] for name in before} == before
        assert json.loads(gateway.ctl("show", "--json").stdout)["ok"]


def test_a_power_cut_between_key_and_certificate_is_mended(gateway: Online) -> None:
    with Serving(gateway.desk, gateway.server) as there:
        enrolled(gateway, there)
        old = gateway.files()["tls.crt"]
        assert gateway.ctl("rotate", "tls").returncode == 0
        new = gateway.files()["tls.crt"]
    (gateway.own / "tls.crt.next").write_bytes(new)  # the key was renamed, the certificate not yet
    (gateway.own / "tls.crt").write_bytes(old)
    gateway.ctl("rotate", "tls", "--due")
    assert gateway.files()["tls.crt"] == new
    assert json.loads(gateway.ctl("show", "--json").stdout)["ok"]


def test_another_desk_with_a_certificate_of_another_ca_gets_no_renewal(gateway: Online) -> None:
    with Serving(gateway.desk, gateway.server) as there:
        before = enrolled(gateway, there)
    other = Authority("elsewhere").issue(gateway.root / "else", "registrar", ["localhost"])
    with Villain(other, gateway.honest) as villain:
        refused(gateway.ctl("rotate", "tls", "--url", villain.url), 4, "certificate")
        assert villain.heard == []
    assert {name: gateway.files()[name] for name in before} == before
