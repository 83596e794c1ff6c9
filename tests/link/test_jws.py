"""The envelope against joserfc and RFC vectors, and every rule of its strictness by name."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
import zlib
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from agent.link import jws
from tests.link.home import jose_open, jose_sign, kid_of, seed_of

SEED = seed_of("dispatch")
SIGNER = jws.signer(SEED)
KEYS = {SIGNER.kid: jws.verifier(SIGNER.key.public_key().public_bytes_raw())}
TYP = "battery-command+jws"
BATCH = "battery-batch+jws"
HEADER = {"alg": "Ed25519", "kid": SIGNER.kid, "typ": TYP}


def check(token: bytes, typ: str = TYP, limit: int = jws.TOKEN_MAX) -> jws.Verified | jws.Refused:
    return jws.verify(token, KEYS, typ, limit)


def reason(token: bytes, typ: str = TYP, limit: int = jws.TOKEN_MAX) -> str:
    found = check(token, typ, limit)
    assert isinstance(found, jws.Refused), found
    return found.reason


def raw(header: object, payload: bytes) -> bytes:
    """Signed by the right key, whatever header and payload say."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    signing = f"{jws.b64(text)}.{jws.b64(payload)}".encode()
    return signing + b"." + jws.b64(SIGNER.key.sign(signing)).encode()


def payload(text: str) -> bytes:
    return raw(HEADER, text.encode())


GOOD = payload('{"a":1}')


# --- that it is JWS ---------------------------------------------------------------------------------------------------
def test_rfc_8037_appendix_a_key_thumbprint_and_signature() -> None:
    seed = jws.unb64(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    public = jws.unb64(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert seed is not None
    assert public is not None
    key = jws.signer(seed)
    assert key.key.public_key().public_bytes_raw() == public
    assert jws.thumbprint_kid(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"[:16]
    signing, _, signature = (
        b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    ).rpartition(b".")
    assert jws.b64(key.key.sign(signing)).encode() == signature
    jws.verifier(public).key.verify(jws.unb64(signature) or b"", signing)


def test_joserfc_verifies_what_we_sign() -> None:
    assert jose_open(jws.sign(SIGNER, TYP, b'{"a":1}'), SEED) == {"a": 1}
    assert jose_open(jws.sign(SIGNER, BATCH, b'{"a":1}'), SEED) == {"a": 1}


def test_we_verify_what_joserfc_signs() -> None:
    found = check(jose_sign(SEED, TYP, b'{"a":1}'))
    assert isinstance(found, jws.Verified)
    assert (found.claims, found.payload, found.header.kid) == ({"a": 1}, b'{"a":1}', kid_of(SEED))
    packed = jws.deflate(b'{"b":2}')
    batch = check(jose_sign(SEED, BATCH, packed, zip="DEF"), BATCH)
    assert isinstance(batch, jws.Verified)
    assert batch.claims == {"b": 2}


@given(st.dictionaries(st.text(max_size=8), st.integers(-(2**63), 2**63) | st.text(max_size=20) | st.booleans()))
def test_any_flat_body_goes_both_ways(body: dict[str, Any]) -> None:
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    found = check(jws.sign(SIGNER, TYP, text))
    assert isinstance(found, jws.Verified)
    assert found.claims == body
    assert jose_open(jws.sign(SIGNER, TYP, text), SEED) == body


def test_the_same_body_gives_the_same_bytes() -> None:
    assert jws.sign(SIGNER, BATCH, b'{"a":1}') == jws.sign(jws.signer(SEED), BATCH, b'{"a":1}')


def test_digest_is_of_the_decoded_payload_not_of_the_token() -> None:
    reordered = raw({"typ": TYP, "kid": SIGNER.kid, "alg": "Ed25519"}, b'{"a":1}')
    one, two = check(GOOD), check(reordered)
    assert isinstance(one, jws.Verified)
    assert isinstance(two, jws.Verified)
    assert reordered != GOOD
    assert one.digest == two.digest


def test_a_private_key_never_shows_in_text() -> None:
    shown = f"{SIGNER!r} {SIGNER}"
    assert SIGNER.kid in shown
    assert SEED.hex() not in shown
    assert jws.b64(SEED) not in shown


# --- size and parts ---------------------------------------------------------------------------------------------------
def test_oversized_token_is_refused_before_anything_else() -> None:
    assert reason(b"x" * 4097, limit=jws.COMMAND_MAX) == "oversized"
    assert reason(payload('{"a":"' + "x" * 4000 + '"}'), limit=jws.COMMAND_MAX) == "oversized"


@pytest.mark.parametrize(
    "token", [b"", b".", b"..", b"...", b"a.b", b"\xff\xfe\x00", GOOD + b".x", GOOD[:-87], b"." + GOOD]
)
def test_not_exactly_three_parts_is_refused(token: bytes) -> None:
    assert reason(token) == "bad_format"


@given(st.binary(max_size=300))
def test_no_bytes_raise_or_pass(token: bytes) -> None:
    assert isinstance(check(token), jws.Refused)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_single_changed_byte_passes(at: int, flip: int) -> None:
    changed = bytearray(GOOD)
    changed[at] ^= flip
    assert isinstance(check(bytes(changed)), jws.Refused)


# --- base64 -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("where", [5, 120, len(GOOD) - 10])
@pytest.mark.parametrize("junk", [b"!", b"\n", b"=", b" ", b"+", b"/", b"\x00", "é".encode()])
def test_a_byte_outside_the_alphabet_is_refused_not_dropped(where: int, junk: bytes) -> None:
    assert reason(GOOD[:where] + junk + GOOD[where:]) == "bad_format"


def test_padding_is_refused() -> None:
    assert reason(GOOD + b"==") == "bad_format"


def test_a_newline_at_the_end_is_refused() -> None:
    assert reason(GOOD + b"\n") == "bad_format"


def test_non_canonical_trailing_bits_are_refused() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(chr(GOOD[-1]))
    others = [GOOD[:-1] + alphabet[last ^ bit].encode() for bit in range(1, 16)]
    assert {reason(token) for token in others} == {"bad_format"}


# --- header -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"}, {"alg": "EdDSA"}, {"alg": "HS256"}, {"alg": "ed25519"}, {"alg": None}, {"alg": ["Ed25519"]},
        {"jwk": {}}, {"jku": "https://x"}, {"x5c": []}, {"x5u": "x"}, {"crit": ["b64"]}, {"b64": False},
        {"cty": "json"}, {"zip": "DEF"}, {"kid": 7}, {"kid": "short"}, {"kid": "a" * 15 + "\n"},
        {"kid": SIGNER.kid + "x"},
    ],
    ids=str,
)  # fmt: skip
def test_header_other_than_exactly_alg_kid_typ_is_refused(change: dict[str, object]) -> None:
    assert reason(raw(HEADER | change, b'{"a":1}')) == "bad_format"


@pytest.mark.parametrize("missing", ["alg", "kid", "typ"])
def test_header_with_a_key_missing_is_refused(missing: str) -> None:
    assert reason(raw({k: v for k, v in HEADER.items() if k != missing}, b'{"a":1}')) == "bad_format"


def test_header_with_a_repeated_key_is_refused() -> None:
    text = b'{"alg":"none","alg":"Ed25519","kid":"%s","typ":"%s"}' % (SIGNER.kid.encode(), TYP.encode())
    assert reason(raw(text, b'{"a":1}')) == "bad_format"


@pytest.mark.parametrize("header", [b"[]", b'"x"', b"null", b"{", b"", b"\xff", b"{" * 100, b"[" * 150])
def test_header_that_is_no_object_is_refused(header: bytes) -> None:
    assert reason(raw(header, b'{"a":1}')) == "bad_format"


def test_long_header_is_refused_unread() -> None:
    assert reason(raw(HEADER | {"x": "y" * 300}, b'{"a":1}')) == "bad_format"


def test_typ_of_another_topic_is_refused() -> None:
    assert reason(GOOD, "battery-time+jws") == "bad_typ"
    assert reason(raw(HEADER | {"typ": "JWT"}, b'{"a":1}')) == "bad_typ"
    assert reason(raw(HEADER | {"typ": 3}, b'{"a":1}')) == "bad_typ"


def test_unknown_kid_is_refused() -> None:
    other = jws.signer(seed_of("stranger"))
    assert reason(jws.sign(other, TYP, b'{"a":1}')) == "unknown_key"


def test_a_key_bound_to_another_algorithm_verifies_nothing() -> None:
    keys = {SIGNER.kid: jws.Verifier(SIGNER.kid, KEYS[SIGNER.kid].key, alg="ES256")}
    found = jws.verify(GOOD, keys, TYP, jws.TOKEN_MAX)
    assert isinstance(found, jws.Refused)
    assert found.reason == "unknown_key"


# --- signature --------------------------------------------------------------------------------------------------------
def test_signature_by_another_key_under_our_kid_is_refused() -> None:
    signing = GOOD.rpartition(b".")[0]
    forged = signing + b"." + jws.b64(jws.signer(seed_of("stranger")).key.sign(signing)).encode()
    assert reason(forged) == "bad_signature"


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 128])
def test_signature_of_another_length_is_refused(length: int) -> None:
    signing = GOOD.rpartition(b".")[0]
    assert reason(signing + b"." + jws.b64(bytes(length)).encode()) in ("bad_signature", "bad_format")


def test_signature_with_s_plus_the_group_order_is_refused() -> None:
    signing, _, tail = GOOD.rpartition(b".")
    signature = jws.unb64(tail) or b""
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    assert reason(signing + b"." + jws.b64(signature[:32] + s.to_bytes(32, "little")).encode()) == "bad_signature"


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_a_key_of_small_order_verifies_nothing(public: str) -> None:
    """Under it, OpenSSL takes a signature that nobody made for about one message in eight, or for all."""
    weak = jws.verifier(bytes.fromhex(public))
    header = HEADER | {"kid": weak.kid}
    taken = 0
    for n in range(64):
        payload = jws.b64(b'{"n":%d}' % n)
        signing = f"{jws.b64(json.dumps(header).encode())}.{payload}".encode()
        for point in SMALL_ORDER[:8]:
            signature = bytes.fromhex(point) + bytes(32)
            token = signing + b"." + jws.b64(signature).encode()
            taken += _holds(weak, signature, signing)
            peeked = jws.peek(token, jws.COMMAND_MAX)
            assert isinstance(peeked, jws.Header)
            found = jws.prove(token, peeked, weak)
            assert isinstance(found, jws.Refused)
            assert found.reason == "unknown_key"
    assert taken > 0, "no signature here would have passed without the rule"


def _holds(key: jws.Verifier, signature: bytes, signing: bytes) -> bool:
    try:
        key.key.verify(signature, signing)
    except InvalidSignature:
        return False
    return True


# --- JSON -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', '{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":1e999}',
        '{"a":-1e999}', '{"a":' + "9" * 21 + "}", '{"a":' + "9" * 4000 + "}", '{"a":' + "[" * 9 + "]" * 9 + "}",
        "[" * 4000, '{"a":' * 2000, '{"a":"\\ud800"}', '{"a":"\\uDFFF"}', "[]", "1", "null", '"x"', "", "{", '{"a":1}x',
        '{"a":1}{}', "{'a':1}", '{"a":01}', '{"a":1,}', '{"a":"\n"}', "\ufeff{}",
    ],
)  # fmt: skip
def test_json_that_two_parsers_could_read_differently_is_refused(text: str) -> None:
    assert reason(payload(text)) == "bad_format"


def test_payload_that_is_not_utf8_is_refused() -> None:
    assert reason(raw(HEADER, b'{"a":"\xff"}')) == "bad_format"


def test_brackets_inside_strings_are_no_nesting() -> None:
    assert isinstance(check(payload('{"a":"' + "[{" * 50 + '\\"[[["}')), jws.Verified)


# --- inflation --------------------------------------------------------------------------------------------------------
def zipped(data: bytes) -> bytes:
    return raw(HEADER | {"typ": BATCH, "zip": "DEF"}, data)


@pytest.mark.parametrize("end", ["", "\\", "\n", "\\\n"])
def test_a_string_without_an_end_costs_one_look_at_each_character(end: str) -> None:
    """Were it looked at from each quote anew, this would take minutes, and hold up every other thread."""
    with pytest.raises(ValueError, match="nested"):
        jws.parse_object((("[" * 9) + '\\"' * 500_000 + end).encode())


def test_a_bomb_is_refused_within_bounded_memory() -> None:
    bomb = jws.deflate(b'{"a":"' + b"x" * 40_000_000 + b'"}')
    assert len(zipped(bomb)) < jws.BATCH_MAX
    tracemalloc.start()
    found = reason(zipped(bomb), BATCH, jws.BATCH_MAX)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == "bad_format"
    assert peak < 4 * jws.INFLATED_MAX


@pytest.mark.parametrize(
    "data",
    [b"not deflate", jws.deflate(b'{"a":1}')[:-1], jws.deflate(b'{"a":1}') + b"x", zlib.compress(b'{"a":1}')],
    ids=["junk", "cut", "followed", "zlib header"],
)
def test_a_stream_that_is_not_exactly_one_raw_deflate_is_refused(data: bytes) -> None:
    assert reason(zipped(data), BATCH) == "bad_format"


def test_nothing_is_inflated_before_the_signature_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object) -> bytes:
        raise AssertionError("inflated an unsigned payload")

    signing = zipped(jws.deflate(b'{"a":1}')).rpartition(b".")[0]
    monkeypatch.setattr(jws, "inflate", never)
    assert reason(signing + b"." + jws.b64(jws.signer(seed_of("stranger")).key.sign(signing)).encode(), BATCH) == (
        "bad_signature"
    )


def test_a_batch_without_zip_is_refused() -> None:
    assert reason(raw(HEADER | {"typ": BATCH}, b'{"a":1}'), BATCH) == "bad_format"


# --- footprint --------------------------------------------------------------------------------------------------------
def test_the_daemon_never_imports_x509() -> None:
    code = "import sys, agent.link.session, agent.link.keys; print([m for m in sys.modules if 'x509' in m])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
