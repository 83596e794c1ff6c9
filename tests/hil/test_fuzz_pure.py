"""The pure decoders under fuzzing by coverage: nothing forbidden is accepted, nothing raised; broken ones are found."""

from __future__ import annotations

import base64
import importlib
import importlib.util
import json
import re
import zlib
from random import Random

import pytest

from agent.link import bundle as bundles
from agent.link import documents, homeowner, messages
from agent.link import jws as product
from agent.link import trust as trust_file
from agent.local import request, server
from agent.runtime.part import LocalReply
from hil.fuzz import cli, guided, jws, local, message
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import Count, spoiled
from hil.fuzz.plain_json import NotJson, read

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
        count.take(spoiled(rng, module))
    return count


def reader(**lenient: object) -> json.JSONDecoder:
    """The link's reader of JSON, with one rule of it exchanged."""
    strict = {
        "object_pairs_hook": product._unique,
        "parse_int": product._int,
        "parse_float": product._float,
        "parse_constant": product._constant,
    }
    return json.JSONDecoder(**(strict | lenient))  # type: ignore[arg-type]  # each is a function of the module


LENIENT = {
    "repeated members": ("_DECODER", {"object_pairs_hook": dict}),
    "NaN": ("_DECODER", {"parse_constant": float}),
    "integers without end": ("_DECODER", {"parse_int": lambda digits: int(digits[:4000])}),
    "numbers beyond a double": ("_DECODER", {"parse_float": float}),
    "nesting": ("DEPTH_MAX", 10**6),
    "half a character": ("_SURROGATE", re.compile("(?!)")),
}


@pytest.mark.parametrize("rule", LENIENT)
def test_a_lenient_reader_of_json_is_found_out(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, value = LENIENT[rule]
    monkeypatch.setattr(product, name, reader(**value) if isinstance(value, dict) else value)
    assert blind("message").forbidden > 0


def test_every_kind_of_message_is_among_the_honest_ones_and_is_spoiled_within_its_bounds() -> None:
    assert set(message.KINDS) == {*messages.KINDS, *homeowner.KINDS, *documents.DOCUMENTS, "time", "receipt"}
    honest = {message.one(data) for data in message.SEEDS}
    assert honest == set(message.KINDS)
    assert set(blind("message", 10_000).kinds) == honest


@pytest.mark.parametrize("kind", message.KINDS)
def test_what_raises_behind_one_kind_of_message_is_found_out(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = messages._lifetime

    def broken(found: messages.Down, life_ms: int) -> str | None:
        said = getattr(found, "kind", type(found).__name__.lower())
        return next(iter(())) if said == kind else real(found, life_ms)  # raises StopIteration

    for module in (messages, homeowner, documents):
        monkeypatch.setattr(module, "_lifetime", broken)
    assert blind("message", 0).raised > 0


@pytest.mark.parametrize(
    ("module", "name", "member", "value"),
    [
        (messages, "_contradiction", "first", 10),
        (messages, "_lifetime", "exp", 1 << 53),
        (documents, "_contradiction", "min_version", 8000),
        (homeowner, "_lifetime", "exp", 1 << 53),
    ],
)
def test_a_rule_between_members_that_is_gone_is_found_out(
    module: object, name: str, member: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = [json.dumps(json.loads(data) | {member: value}).encode() for data in message.SEEDS]
    found = [data for data in spoilt if member in json.loads(data) and message.one(data) is False]
    monkeypatch.setattr(module, name, lambda *_: None)
    count = Count(message)
    for data in found:
        count.take(data)
    assert count.forbidden > 0


def test_every_verb_of_the_socket_is_among_the_honest_ones() -> None:
    assert {local.one(data) for data in local.SEEDS} == set(local.KINDS) == set(request._KEYS)
    assert set(blind("local", 10_000).kinds) == set(local.KINDS)


@pytest.mark.parametrize("target", ["jws", "trust", "bundle"])
def test_base64_in_a_second_spelling_is_found_out(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(part: bytes) -> bytes | None:
        fits = product._PART.match(part) and len(part) % 4 != 1
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)) if fits else None

    for module in (product, bundles):
        monkeypatch.setattr(module, "unb64", lenient)
    count = blind(target, 1_000)
    assert count.forbidden + count.raised > 0


def test_what_is_inflated_without_a_bound_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "inflate", lambda data: zlib.decompressobj(-15).decompress(data))
    assert blind("jws", 10_000).forbidden > 0


def test_a_kind_of_which_none_gets_through_fails_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(message, "KINDS", (*message.KINDS, "telegram"))
    monkeypatch.setattr(guided, "ENOUGH", 4_000)
    report = guided.run("message", 4_000, 3)
    missed = [figure for figure in report.figures if not figure.holds]
    assert [figure.note for figure in missed] == ["none of telegram"]
    assert missed[0].beside["telegram"] == 0
    assert "not judged" in guided.run("message", 50, 3).figures[4].note


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":1,"b":[2.5,-0,1e3]}', {"a": 1, "b": [2.5, 0, 1e3]}),
        ('[true,false,null,"x\\u0041\\n"]', [True, False, None, "xA\n"]),
        (' {"a" : {} , "b":[] } \n', {"a": {}, "b": []}),
        ('"a"', "a"),
    ],
)  # fmt: skip
def test_our_own_reader_reads(text: str, value: object) -> None:
    assert repr(read(text.encode()).value) == repr(value)


@pytest.mark.parametrize(
    "text",
    [
        *('{"a":01}', '{"a":1.}', '{"a":NaN}', '{"a":-Infinity}', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"a":1,}'),
        *(
            "[1,]",
            "[1 2]",
            '{"a":"\x01"}',
            '{"a":nulll}',
            '{"a":1}x',
            "\ufeff{}",
            '{"a":-}',
            '{"a" 1}',
            "{1:1}",
            "[",
            "",
        ),
        *('{"a":1\x0c}', '{"a":"\\x"}', '{"a":"\\u00g0"}', "{}{}", '{"a"', "[" * 500, "]"),
    ],
)
def test_our_own_reader_refuses(text: str) -> None:
    with pytest.raises(NotJson):
        read(text.encode())


def test_our_own_reader_tells_what_goes_beyond_the_rules_of_the_link() -> None:
    assert read(b"[]").beyond() == "no object in it"
    deep = b'{"a":' + b"[" * 8 + b"]" * 8 + b"}"
    assert read(deep).beyond() == "9 brackets within each other"
    assert read(deep.replace(b"[]", b"1")).beyond() is None
    assert read(b'{"a":%s}' % (b"1" * 21)).beyond() == "an integer of 21 digits"
    assert read(b'{"a":1e999}').beyond() == "a number that no double holds"
    assert read(b'{"a":"\\udfff"}').beyond() == "half a character"


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
