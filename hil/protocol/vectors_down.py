"""Golden vectors of what comes down: a good one of every kind, and every way in which one can be bad."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from hil.aggregator.token import b64url, encode
from hil.protocol.vectors import (
    ACCEPTED,
    BOOT,
    DEVICE,
    FLEET,
    GROUP,
    NOW,
    ROOT,
    WEAK,
    Vector,
    claims,
    header,
    key,
    token,
    weak_kid,
)  # fmt: skip

COMMAND, TIME, RECEIPT = (f"{ROOT}/down/{leaf}" for leaf in ("command", "time", "receipt"))
GROUP_TOPIC = f"battery/v1/{FLEET}/group/{GROUP}/command"
FRESH = ("time",)  # what a home must have heard before it takes dispatch
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519
DISPATCH: dict[str, Any] = {"kind": "dispatch", "power_w": 5000, "duration_s": 600}
N = 100  # of the command that the bad ones are made from
BASE = claims(N, **DISPATCH)
HEADER = header("command", "dispatch")
GOOD = token(HEADER, BASE, "dispatch")
PARTS = GOOD.split(b".")


def vectors() -> Iterator[Vector]:
    """All, good ones first."""
    yield from _good()
    yield from _nobody_signed_it()
    yield from _not_its_signature()
    yield from _not_base64()
    yield from _not_its_header()
    yield from _not_json()
    yield from _not_its_body()
    yield from _not_for_this_home()
    yield from _not_now()
    yield from _not_again()


def _good() -> Iterator[Vector]:
    time = claims(1, nonce=BOOT, wall_ms=NOW)
    yield Vector("time", "answers the birth of this boot", TIME, token(header("time", "service"), time, "service"),
                 True, ACCEPTED, claims=time)  # fmt: skip
    receipt = claims(2, upto=7, also=[9, 11])
    yield Vector("receipt", "rows 1 to 7, 9 and 11", RECEIPT, token(header("receipt", "service"), receipt, "service"),
                 True, ACCEPTED, claims=receipt)  # fmt: skip
    for n, (name, about, body) in enumerate(KINDS, 10):
        said = claims(n, **body)
        before: tuple[str, ...] = FRESH
        if "session" in body:  # its number is of that session's block, which was opened before
            opened = next(i for i, row in enumerate(KINDS, 10) if row[0] == "session")
            said |= {"session": claims(opened)["id"], "seq": NOW + 5000}
            before = (*FRESH, "session")
        yield Vector(name, about, COMMAND, token(HEADER, said, "dispatch"), True, ACCEPTED, before=before, claims=said)
    group = claims(40, **DISPATCH) | {"aud": f"grp:{GROUP}"}
    yield Vector("group", "to every home of the group", GROUP_TOPIC, token(HEADER, group, "dispatch"), True, ACCEPTED,
                 before=FRESH, claims=group)  # fmt: skip
    for n, kind in ((41, "cancel"), (42, "stop")):
        said = claims(n, kind=kind, **({"target": "7" * 32} if kind == "cancel" else {}))
        operations = token(header("command", "operations"), said, "operations")
        about = f"a {kind} passes without any time, from operations too"
        yield Vector(f"{kind}_before_time", about, COMMAND, operations, True, ACCEPTED, claims=said)
    late = claims(43, kind="stop", iat=NOW - 3_600_000, exp=NOW - 3_540_000)
    yield Vector("stop_late", "a stop that expired an hour ago still stops", COMMAND, token(HEADER, late, "dispatch"),
                 True, ACCEPTED, before=FRESH, claims=late)  # fmt: skip
    mixed = dict(reversed(HEADER.items()))
    yield Vector("header_order", "members of the header in another order", COMMAND, token(mixed, BASE, "dispatch"),
                 True, ACCEPTED, before=FRESH, claims=BASE)  # fmt: skip
    spaced = json.dumps(BASE, indent=1).replace("dispatch", "\\u0064ispatch").encode()
    yield Vector("json_spaces", "spaces, line feeds and an escape in the JSON", COMMAND,
                 token(HEADER, spaced, "dispatch"), True, ACCEPTED, before=FRESH, claims=BASE)  # fmt: skip


KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("dispatch", "5 kW of discharge for ten minutes, from now on", DISPATCH),
    ("dispatch_event", "2.5 kW of charge in an hour",
     {"kind": "dispatch", "power_w": -2500, "duration_s": 3600, "start": NOW + 3_600_000, "primacy": 3,
      "ramp": "urgent", "randomize_start_s": 120}),
    ("dispatch_limit", "no setpoint, but a limit of export", {"kind": "dispatch", "export_limit_w": 0,
                                                              "duration_s": 900}),
    ("dispatch_setpoint", "a setpoint of a session",
     {"kind": "dispatch", "power_w": 1200, "duration_s": 4, "session": "5" * 32, "exp": NOW + 4000}),
    ("cancel", "ends a command", {"kind": "cancel", "target": "7" * 32}),
    ("stop", "ends all dispatch", {"kind": "stop"}),
    ("schedule", "three quarters of an hour, one without a wish",
     {"kind": "schedule", "start": NOW, "interval_s": 900, "powers_w": [-3000, None, 5000]}),
    ("session", "ten minutes of regulation",
     {"kind": "session", "start": NOW, "duration_s": 600, "lo_w": -5000, "hi_w": 5000, "seq_from": NOW + 5000,
      "seq_to": NOW + 5150}),
    ("price", "0.12, 0.08 and -0.01 a kWh",
     {"kind": "price", "start": NOW, "interval_s": 3600, "prices_micro_per_kwh": [120_000, 80_000, -10_000],
      "currency": "USD"}),
    ("quote", "what would it give", {"kind": "quote", "power_w": 9000, "duration_s": 3600}),
    ("resend", "rows again", {"kind": "resend", "first": 3, "last": 5}),
)  # fmt: skip


def _bad(name: str, about: str, found: bytes, signature: bool | None, verdict: str, topic: str = COMMAND,
         retained: bool = False, before: tuple[str, ...] = FRESH) -> Vector:  # fmt: skip
    return Vector(name, about, topic, found, signature, verdict, retained, before)


def _signed(name: str, about: str, verdict: str, body: dict[str, Any] | bytes, **more: Any) -> Vector:
    """Signed well by the dispatch key, with a body that is wrong."""
    return _bad(name, about, token(HEADER, body, "dispatch"), True, verdict, **more)


def _headed(name: str, about: str, verdict: str, head: dict[str, Any] | bytes) -> Vector:
    """Signed well by the dispatch key, with a header that is wrong."""
    return _bad(name, about, token(head, BASE, "dispatch"), True, verdict)


def _nobody_signed_it() -> Iterator[Vector]:
    none = b64url(encode(HEADER | {"alg": "none"})) + b"." + PARTS[1] + b"."
    yield _bad("alg_none", "alg none, no signature", none, None, "bad_format")
    kept = b64url(encode(HEADER | {"alg": "none"})) + b"." + PARTS[1] + b"." + PARTS[2]
    yield _bad("alg_none_signed", "alg none over a signature of the token as it was", kept, False, "bad_format")
    signing = b64url(encode(HEADER | {"alg": "HS256"})) + b"." + PARTS[1]
    public = str(key("dispatch").as_dict(private=False)["x"]).encode()
    mac = signing + b"." + b64url(hmac.digest(public, signing, hashlib.sha256))
    yield _bad("alg_hs256", "HMAC keyed with the public key, which all know", mac, False, "bad_format")
    yield _bad("stripped", "no signature", PARTS[0] + b"." + PARTS[1] + b".", None, "bad_format")
    yield _bad("empty", "no bytes", b"", None, "bad_format")
    yield _bad("garbage", "bytes that are no token", b"\xff\x00 let me in", None, "bad_format")
    yield _bad("json", "the body, unsigned", encode(BASE), None, "bad_format")


def _not_its_signature() -> Iterator[Vector]:
    signing = PARTS[0] + b"." + PARTS[1]
    raw = _unb64(PARTS[2])

    def with_signature(signature: bytes) -> bytes:
        return signing + b"." + b64url(signature)

    forged = token(HEADER, BASE, "stranger")
    yield _bad("forged", "signed by a stranger under the dispatch key's kid", forged, False, "bad_signature")
    yield _bad("unknown_key", "a stranger under his own kid",
               token(header("command", "stranger"), BASE, "stranger"), None, "unknown_key")  # fmt: skip
    flipped = bytes([raw[0] ^ 1]) + raw[1:]
    yield _bad("flipped_r", "one bit of R", with_signature(flipped), False, "bad_signature")
    flipped = raw[:32] + bytes([raw[32] ^ 1]) + raw[33:]
    yield _bad("flipped_s", "one bit of S", with_signature(flipped), False, "bad_signature")
    more_power = PARTS[0] + b"." + b64url(encode(BASE | {"power_w": 9000})) + b"." + PARTS[2]
    yield _bad("other_body", "another body under the signature", more_power, False, "bad_signature")
    high = raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    yield _bad("s_plus_order", "S + the order of the group: malleable if taken", with_signature(high), False,
               "bad_signature")  # fmt: skip
    yield _bad("zero_signature", "64 zero bytes", with_signature(bytes(64)), False, "bad_signature")
    yield _bad("small_order_r", "R of small order, S = 0", with_signature(WEAK + bytes(32)), False, "bad_signature")
    yield _bad("short_signature", "63 bytes", with_signature(raw[:63]), False, "bad_signature")
    yield _bad("long_signature", "65 bytes", with_signature(raw + b"\0"), False, "bad_signature")
    said = encode(claims(N, kind="stop"))
    weak = b64url(encode(HEADER | {"kid": weak_kid()})) + b"." + b64url(said) + b"." + b64url(WEAK + bytes(32))
    yield _bad("small_order_key", "R = the key = the neutral element, S = 0: Ed25519 says yes to any body under such a"
               " key. It is listed in the trust file, and must verify nothing", weak, True, "unknown_key")  # fmt: skip


def _not_base64() -> Iterator[Vector]:
    head, body, tail = PARTS
    yield _bad("junk", "'!!!!' in the signature, which a lax decoder drops",
               b".".join([head, body, tail[:20] + b"!!!!" + tail[20:]]), None, "bad_format")  # fmt: skip
    yield _bad("junk_payload", "a line feed in the payload", b".".join([head, body[:9] + b"\n" + body[9:], tail]),
               None, "bad_format")  # fmt: skip
    yield _bad("padding", "'==' after the signature", GOOD + b"==", None, "bad_format")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = bytes([alphabet[alphabet.index(tail[-1]) ^ 1]])
    yield _bad("loose_bits", "an unused bit of the last character is set: decodes to the same bytes", GOOD[:-1] + last,
               None, "bad_format")  # fmt: skip
    plus = b".".join([head, body, b"+" + tail[1:]])
    yield _bad("standard_alphabet", "'+' of plain base64", plus, None, "bad_format")
    yield _bad("newline", "a line feed after it", GOOD + b"\n", None, "bad_format")
    yield _bad("truncated", "last 20 characters missing", GOOD[:-20], None, "bad_format")
    yield _bad("two_parts", "header and payload", head + b"." + body, None, "bad_format")
    yield _bad("four_parts", "a fourth part", GOOD + b".AAAA", None, "bad_format")
    yield _bad("trailing_token", "two tokens", GOOD + b"\n" + GOOD, None, "bad_format")
    yield _signed("oversized", "more than 4 KiB", "oversized", encode(BASE)[:-1] + b" " * 3000 + b"}")


def _not_its_header() -> Iterator[Vector]:
    yield _headed("alg_eddsa", "alg by its older name", "bad_format", HEADER | {"alg": "EdDSA"})
    yield _headed("alg_lower", "alg in other letters", "bad_format", HEADER | {"alg": "ed25519"})
    yield _headed("alg_es256", "another algorithm", "bad_format", HEADER | {"alg": "ES256"})
    attacker = key("stranger").as_dict(private=False)
    jwk = token(HEADER | {"jwk": attacker}, BASE, "stranger")
    yield _bad("jwk", "the header brings the key that signed it", jwk, False, "bad_format")
    for name, value in (("jku", "https://x.example/k"), ("x5u", "https://x.example/c"), ("cty", "json")):
        yield _headed(name, f"{name} in the header", "bad_format", HEADER | {name: value})
    yield _headed("crit", "crit", "bad_format", HEADER | {"crit": ["exp"], "exp": NOW})
    yield _headed("b64_false", "b64 false (RFC 7797)", "bad_format", HEADER | {"b64": False, "crit": ["b64"]})
    yield _headed("zip", "zip on a command", "bad_format", HEADER | {"zip": "DEF"})
    for name in HEADER:
        rest = {k: v for k, v in HEADER.items() if k != name}
        yield _bad(f"no_{name}", f"no {name}", token(rest, BASE, "dispatch"), None if name == "kid" else True,
                   "bad_format")  # fmt: skip
    twice = encode(HEADER)[:-1] + b',"alg":"none"}'
    yield _headed("header_duplicate", "alg stands there twice", "bad_format", twice)
    yield _headed("typ_config", "typ of a configuration, on the topic of commands", "bad_typ",
                  HEADER | {"typ": "battery-config+jws"})  # fmt: skip
    yield _headed("typ_time", "typ of a time, on the topic of commands", "bad_typ",
                  HEADER | {"typ": "battery-time+jws"})  # fmt: skip
    yield _headed("typ_jwt", "typ JWT", "bad_typ", HEADER | {"typ": "JWT"})
    yield _bad("wrong_topic", "a command on the topic of time", GOOD, True, "bad_typ", topic=TIME)
    yield _bad("retained", "a command that the broker kept", GOOD, True, "retained", retained=True)
    yield _bad("kid_path", "kid that looks like a path", token(HEADER | {"kid": "../../etc/passwd"}, BASE, "dispatch"),
               None, "bad_format")  # fmt: skip


def _not_json() -> Iterator[Vector]:
    body = encode(BASE)

    def power(text: str) -> bytes:
        return body.replace(b'"power_w":5000', f'"power_w":{text}'.encode())

    yield _signed("duplicate_key", "the power twice: parsers disagree which one holds", "bad_format",
                  body[:-1] + b',"power_w":-5000}')  # fmt: skip
    yield _signed("nan", "NaN", "bad_format", power("NaN"))
    yield _signed("infinity", "Infinity", "bad_format", power("-Infinity"))
    yield _signed("beyond_double", "1e999", "bad_format", power("1e999"))
    yield _signed("big_int", "a number of 400 digits", "bad_format", power("9" * 400))
    yield _signed("big_int_64", "2^64 as power", "bad_body", power(str(2**64)))
    yield _signed("leading_zero", "05000", "bad_format", power("05000"))
    yield _signed("nested", "500 brackets deep", "bad_format", body[:-1] + b',"x":' + b"[" * 500 + b"]" * 500 + b"}")
    yield _signed("surrogate", "half a character", "bad_format", body[:-1] + b',"x":"\\ud800"}')
    yield _signed("not_utf8", "a byte that is not UTF-8", "bad_format", body[:-1] + b',"x":"\xff"}')
    yield _signed("bom", "a byte order mark", "bad_format", b"\xef\xbb\xbf" + body)
    yield _signed("trailing_bytes", "something after the object", "bad_format", body + b"{}")
    yield _signed("array", "a list around it", "bad_format", b"[" + body + b"]")
    yield _signed("comment", "a comment", "bad_format", body[:-1] + b"/* */}")
    yield _signed("empty_payload", "an object without members", "bad_body", b"{}")
    compact = body.replace(b"{", b"\x1f\x8b", 1)
    yield _signed("gzip_payload", "bytes that are no JSON", "bad_format", compact)


def _not_its_body() -> Iterator[Vector]:
    for name, value in (
        ("fraction", 5000.5), ("float", 5000.0), ("text", "5000"), ("true", True), ("list", [5000]), ("too_much", 10**7)
    ):  # fmt: skip
        yield _signed(f"power_{name}", f"power_w is {json.dumps(value)}", "bad_body", BASE | {"power_w": value})
    for name in BASE:
        # without v there is nothing that could say another version
        yield _signed(
            f"no_claim_{name}", f"{name} is missing", "bad_body", {k: v for k, v in BASE.items() if k != name}
        )
    yield _signed("unknown_member", "a member that nobody knows", "bad_body", BASE | {"colour": "red"})
    yield _signed("unknown_kind", "a kind that nobody knows", "bad_body", BASE | {"kind": "detonate"})
    yield _signed("duration_zero", "for no time", "bad_body", BASE | {"duration_s": 0})
    yield _signed("duration_long", "for more than a day", "bad_body", BASE | {"duration_s": 86_401})
    yield _signed("long_life", "exp more than a day after iat", "bad_body", BASE | {"exp": NOW + 86_400_001})
    yield _signed("exp_before_iat", "exp before iat", "bad_body", BASE | {"exp": NOW - 1})
    yield _signed("seq_negative", "seq below 0", "bad_body", BASE | {"seq": -1})
    yield _signed("seq_64", "seq of 64 bits", "bad_body", BASE | {"seq": 2**63})
    yield _signed("id_upper", "id in upper case", "bad_body", BASE | {"id": "A" * 32})
    yield _signed("aud_list", "aud is a list", "bad_body", BASE | {"aud": [f"dev:{DEVICE}"]})
    yield _signed("version_2", "of a protocol that is not here", "bad_version", BASE | {"v": 2})
    yield _signed("version_0", "of a protocol that is not here", "bad_version", BASE | {"v": 0})
    yield _signed("version_true", "v is true, which some languages take for 1", "bad_body", BASE | {"v": True})
    stop = claims(N, kind="stop", v=2)
    yield _signed("stop_version_2", "a stop of another version is not guessed at", "bad_version", stop)


def _not_for_this_home() -> Iterator[Vector]:
    for name, aud in (
        ("home", "dev:home2"),
        ("prefix", "dev:home1x"),
        ("group", f"grp:{GROUP}"),
        ("fleet", "agg:fleet"),
    ):
        yield _signed(f"aud_{name}", f"aud {aud} on this home's own topic", "bad_audience", BASE | {"aud": aud})
    yield _signed("aud_on_group", "this home alone, on the group's topic", "bad_audience", BASE, topic=GROUP_TOPIC)
    south = BASE | {"aud": "grp:south"}
    yield _signed("aud_other_group", "another group, on this group's topic", "bad_audience", south, topic=GROUP_TOPIC)
    for role in ("service", "operations", "homeowner"):
        by = token(header("command", role), BASE, role)
        yield _bad(f"role_{role}", f"{role} may not dispatch", by, True, "bad_role")
    time = claims(3, nonce=BOOT, wall_ms=NOW)
    yield _bad("time_by_dispatch", "dispatch may not say the time", token(header("time", "dispatch"), time, "dispatch"),
               True, "bad_role", topic=TIME, before=())  # fmt: skip
    yield _bad("device_signs", "the home's own key", token(header("command", "device"), BASE, "device"), True,
               "unknown_key")  # fmt: skip


def _not_now() -> Iterator[Vector]:
    yield _signed("expired", "expired a millisecond ago", "expired", BASE | {"iat": NOW - 60_000, "exp": NOW - 1})
    yield _signed("future", "signed 30.001 s from now", "future", BASE | {"iat": NOW + 30_001})
    yield _signed("not_fresh", "no signed time has echoed this boot yet", "not_fresh", BASE, before=())
    other = claims(4, nonce="0" * 32, wall_ms=NOW)
    yield _bad("time_other_boot", "the nonce of another boot", token(header("time", "service"), other, "service"), True,
               "replay", topic=TIME, before=())  # fmt: skip
    hour = claims(5, nonce=BOOT, wall_ms=NOW + 3_600_000)
    yield _bad("time_an_hour_off", "an hour ahead of the gateway's network time", token(header("time", "service"), hour,
               "service"), True, "clock_conflict", topic=TIME, before=())  # fmt: skip


def _not_again() -> Iterator[Vector]:
    yield _bad("again", "the same bytes again: the stored ack at most", GOOD, True, "duplicate",
               before=(*FRESH, "header_order"))  # fmt: skip
    yield _signed("same_id", "the id of another command", "replay", BASE | {"seq": NOW + N + 1, "power_w": 1},
                  before=(*FRESH, "header_order"))  # fmt: skip
    yield _signed("same_seq", "a seq that was used", "replay", BASE | {"id": "e" * 32}, before=(*FRESH, "header_order"))
    yield _signed("old_seq", "64 behind the highest", "replay", BASE | {"id": "e" * 32, "seq": NOW + N - 64},
                  before=(*FRESH, "header_order"))  # fmt: skip
    yield _signed("seq_jump", "more than 2^32 ahead, to burn the numbers", "replay",
                  BASE | {"id": "e" * 32, "seq": NOW + N + 2**32 + 1}, before=(*FRESH, "header_order"))  # fmt: skip
    again = claims(1, nonce=BOOT, wall_ms=NOW)
    yield _bad("time_again", "a time again", token(header("time", "service"), again, "service"), True, "replay",
               topic=TIME)  # fmt: skip


def _unb64(part: bytes) -> bytes:
    import base64

    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
