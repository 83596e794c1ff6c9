"""The pure decoders under fuzzing by coverage: nothing forbidden is accepted, nothing raised; broken ones are found."""

from __future__ import annotations

import base64
import importlib
import importlib.util
import json
from random import Random

import pytest

from agent.link import jws as product
from agent.link import trust as trust_file
from agent.local import server
from agent.runtime.part import LocalReply
from hil.fuzz import cli, guided, jws, message
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import Count, mutated

TARGETS = ("jws", "message", "trust", "bundle", "config", "local")
INPUTS = 20_000  # each; with port and codec 200,000
FEW = 3_000


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_forbidden_is_accepted(target: str) -> None:
    report = guided.run(target, INPUTS // 10 if target == "bundle" else INPUTS, 7)  # each is signed three times
    assert report.ok, report.table()


def blind(target: str, inputs: int = FEW, seed: int = 1) -> Count:
    module = importlib.import_module(f"hil.fuzz.{target}")
    count, rng = Count(module), Random(seed)
    for data in module.SEEDS:
        count.take(data)
    for _ in range(inputs):
        count.take(mutated(rng, module.SEEDS, module.WORDS))
    return count


@pytest.mark.parametrize("target", TARGETS)
def test_without_atheris_mutation_does_it(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    report = guided.run(target, 500, 3)
    assert report.ok, report.table()
    assert report.figures[0].beside["by"] == "blind mutation (atheris is not installed)"


def test_a_signature_that_is_not_checked_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = product.prove

    def careless(token: bytes, header: product.Header, key: product.Verifier) -> product.Verified | product.Refused:
        found = real(token, header, key)
        if isinstance(found, product.Refused) and found.reason == "bad_signature":
            try:
                payload = product.unb64(token.split(b".")[1]) or b""
                return product.Verified(header, payload, product.parse_object(payload))
            except ValueError:
                pass
        return found

    monkeypatch.setattr(product, "prove", careless)
    assert blind("jws").forbidden > 0


def test_a_lenient_reader_of_base64_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = jws.SEEDS[0]
    other = token[:-1] + alphabet[alphabet.index(token[-1]) + 1 :][:1]  # 86 characters carry four bits too many
    assert jws.one(other) is False
    monkeypatch.setattr(product, "unb64", lambda text: base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    with pytest.raises(Forbidden, match="nobody signed those bytes"):
        jws.one(other)


def test_a_key_whose_name_is_not_its_own_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = trust_file._role

    def careless(role: str, entries: object, keys: dict[str, object], role_of: dict[str, str]) -> str | None:
        wrong = real(role, entries, keys, role_of)  # type: ignore[arg-type]  # passed on as it came
        return None if wrong is not None and "does not belong" in wrong else wrong

    monkeypatch.setattr(trust_file, "_role", careless)
    count = blind("trust", 20_000)
    assert count.forbidden + count.raised > 0


def test_a_server_that_lets_anybody_change_things_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def anybody(*args: object) -> tuple[str | LocalReply, tuple[()]]:
        return "technician", ()

    monkeypatch.setattr(server.Server, "_role", anybody)
    assert blind("local", 0).forbidden > 0


def test_a_decoder_that_raises_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "parse_time", lambda claims: claims["nonce"])
    assert blind("message", 0).raised > 0


def test_the_command_prints_one_object(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.main(["trust", "--inputs", "50", "--seed", "2", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["ok"], shown["seed"]) == (True, 2)
