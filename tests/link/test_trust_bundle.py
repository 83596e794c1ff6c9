"""Signed bundles: what follows what, and every way to get one accepted that must fail."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws as jose

from agent.link import bundle
from agent.link.bundle import Bundle
from agent.link.jws import Refused
from agent.link.trust import of_bundle
from hil.bundles import DAY_MS, TYP, Draft, b64, chain, entry, root_hash, sign
from tests.link.home import WALL, kid_of, okp, seed_of
from tests.link.roots import ISSUED, draft, first, follow, key, keys, kid, listed, parsed, reason, signed

NEW_ROOT = listed(root=("new1", "new2", "new3"))


# --- what is taken ----------------------------------------------------------------------------------------------------
def test_first_trust_is_the_bundle_of_that_hash_signed_by_its_own_root() -> None:
    found = first()
    assert (found.version, found.fleet, found.groups) == (1, "fleet", ("north",))
    assert found.roles["root"].threshold == 2
    assert set(found.roles["firmware"].keys) == {kid("firmware1"), kid("firmware2")}


def test_a_bundle_that_joserfc_signs_is_taken() -> None:
    payload = json.dumps(draft().body()).encode()
    members: Any = [{"protected": {"alg": "Ed25519", "kid": kid(n), "typ": TYP}} for n in ("root1", "root3")]
    by_kid = {kid(n): okp(seed_of(n)) for n in ("root1", "root3")}
    made: Any = jose.serialize_json(
        members, payload, lambda obj: by_kid[str(obj.headers()["kid"])], registry=_registry()
    )
    envelope = {"payload": made["payload"], "signatures": made["signatures"]}
    found = bundle.first(parsed(envelope), root_hash(envelope), WALL)
    assert isinstance(found, Bundle)


def test_joserfc_verifies_what_is_signed_here() -> None:
    envelope: Any = signed(draft())
    by_kid = {kid(n): okp(seed_of(n)) for n in ("root1", "root2")}
    found = jose.deserialize_json(envelope, lambda obj: by_kid[str(obj.headers()["kid"])], registry=_registry())
    assert json.loads(found.payload)["version"] == 1


def _registry() -> jose.JWSRegistry:
    return jose.JWSRegistry(algorithms=["Ed25519"])


def test_any_two_of_three_root_keys_are_enough() -> None:
    for pair in itertools.combinations(("root1", "root2", "root3"), 2):
        found = follow(first(), signed(draft().next(), *pair))
        assert isinstance(found, Bundle)
        assert found.version == 2


def test_the_root_changes_with_thresholds_of_both() -> None:
    found = follow(first(), signed(draft().next(keys=NEW_ROOT), "root1", "root3", "new1", "new2"))
    assert isinstance(found, Bundle)
    after = follow(found, signed(draft(version=3, keys=NEW_ROOT), "new2", "new3"))
    assert isinstance(after, Bundle)
    assert after.version == 3
    assert reason(follow(found, signed(draft(version=3), "root1", "root2"))) == "trust_threshold"


def test_who_missed_versions_walks_through_all_of_them() -> None:
    second = signed(draft().next(keys=NEW_ROOT), "root1", "root2", "new1", "new2")
    third = signed(draft(version=3, keys=NEW_ROOT), "new1", "new3")
    before = signed(draft(groups=["older"]))
    for chain_of in ([before, signed(draft())], [signed(draft())], []):  # it may begin before us, with us, right after
        found = follow(first(), *chain_of, second, third)
        assert isinstance(found, Bundle)
        assert found.version == 3


def test_an_intermediate_may_be_expired_the_last_one_not() -> None:
    old = draft(issued_ms=WALL - 200 * DAY_MS)
    now = bundle.own(parsed(signed(old))[0])
    assert isinstance(now, Bundle)
    second = signed(old.next(issued_ms=WALL - 100 * DAY_MS))
    assert reason(follow(now, second)) == "trust_expired"
    found = follow(now, second, signed(draft(version=3)))
    assert isinstance(found, Bundle)


def test_the_same_again_is_nothing_new_even_when_expired() -> None:
    now = first()
    assert follow(now, signed(draft())) is now
    assert follow(now, signed(draft()), wall_ms=now.expires_ms + 1) is now


def test_without_a_clock_expiry_is_not_judged_and_everything_else_is() -> None:
    late = draft().next(life_ms=1000)
    assert reason(follow(first(), signed(late))) == "trust_expired"
    assert isinstance(follow(first(), signed(late), wall_ms=None), Bundle)
    assert reason(follow(first(), signed(late, "root1"), wall_ms=None)) == "trust_threshold"


# --- malicious, by name -----------------------------------------------------------------------------------------------
def test_one_stolen_root_key_is_not_enough() -> None:
    assert reason(follow(first(), signed(draft().next(), "root1"))) == "trust_threshold"


def test_one_root_key_that_signs_twice_is_one_or_none() -> None:
    assert reason(follow(first(), signed(draft().next(), "root1", "root1"))) == "trust_threshold"
    assert reason(follow(first(), signed(draft().next(), "root1", "root1", "root2"))) == "trust_threshold"


def test_a_dispatch_key_signs_no_bundle() -> None:
    names = ("dispatch", "service", "operations", "firmware1", "firmware2", "root1")
    assert reason(follow(first(), signed(draft().next(), *names))) == "trust_threshold"


def test_a_new_root_alone_cannot_take_over() -> None:
    taken = signed(draft().next(keys=NEW_ROOT), "new1", "new2", "new3")
    assert reason(follow(first(), taken)) == "trust_threshold"


def test_the_old_root_alone_cannot_name_a_root_that_did_not_sign() -> None:
    for signers in (("root1", "root2"), ("root1", "root2", "new1")):
        assert reason(follow(first(), signed(draft().next(keys=NEW_ROOT), *signers))) == "trust_threshold"


def test_a_key_that_the_bundle_brings_does_not_vouch_for_it() -> None:
    attacker = listed(root=("root1", "mine1", "mine2"))
    assert reason(follow(first(), signed(draft().next(keys=attacker), "root1", "mine1", "mine2"))) == "trust_threshold"


def test_rollback() -> None:
    now = first(draft(version=5))
    for version in (1, 4):
        assert reason(follow(now, signed(draft(version=version)))) == "trust_rollback"


def test_rollback_behind_an_honest_beginning() -> None:
    now = first(draft(version=5))
    assert reason(follow(now, signed(draft(version=6)), signed(draft(version=4)))) == "trust_rollback"
    assert reason(follow(now, signed(draft(version=5)), signed(draft(version=4)))) == "trust_rollback"


def test_fast_forward() -> None:
    for version in (3, 1 << 30):
        assert reason(follow(first(), signed(draft(version=version)))) == "trust_gap"


def test_a_fork() -> None:
    assert reason(follow(first(), signed(draft(groups=["south"])))) == "trust_fork"


def test_a_chain_with_a_hole() -> None:
    assert reason(follow(first(), signed(draft(version=2)), signed(draft(version=4)))) == "trust_gap"


def test_one_bad_link_takes_the_whole_chain_with_it() -> None:
    assert reason(follow(first(), signed(draft(version=2)), signed(draft(version=3), "root1"))) == "trust_threshold"


def test_a_bundle_of_another_fleet() -> None:
    assert reason(follow(first(), signed(draft().next(fleet="other")))) == "trust_fleet"


def test_a_bundle_issued_before_the_one_it_follows() -> None:
    assert reason(follow(first(), signed(draft().next(issued_ms=ISSUED - 1)))) == "trust_rollback"


def test_a_revocation_is_for_good() -> None:
    gone = draft().next(keys=listed(dispatch=("later",)), revoked=[kid("dispatch")])
    now = follow(first(), signed(gone))
    assert isinstance(now, Bundle)
    forgotten = draft(version=3, keys=listed(dispatch=("later",)))
    assert reason(follow(now, signed(forgotten))) == "trust_revoked"
    assert reason(follow(now, signed(draft(version=3)))) == "trust_revoked"
    assert reason(follow(now, signed(draft(version=3, revoked=[kid("dispatch")])))) == "bad_body"  # listed and revoked


def test_a_lowered_threshold() -> None:
    for role in ("root", "firmware"):
        assert reason(follow(first(), signed(draft().next(thresholds={role: 1})))) == "bad_body"
    for wrong in (0, 2):
        assert reason(follow(first(), signed(draft().next(thresholds={"dispatch": wrong})))) == "bad_body"


def test_the_right_hash_with_too_few_signatures_is_no_first_trust() -> None:
    for names in (("root1",), ("mine1", "mine2"), ("root1", "root1")):
        envelope = signed(draft(), *names)
        assert reason(bundle.first(parsed(envelope), root_hash(envelope), WALL)) == "trust_threshold"


def test_another_hash_is_no_first_trust() -> None:
    mine = signed(draft(keys=NEW_ROOT), "new1", "new2")
    found = bundle.first(parsed(mine), root_hash(signed(draft())), WALL)
    assert reason(found) == "trust_root"


def test_an_expired_bundle_is_no_first_trust() -> None:
    envelope = signed(draft(issued_ms=WALL - 90 * DAY_MS, life_ms=DAY_MS))
    assert reason(bundle.first(parsed(envelope), root_hash(envelope), WALL)) == "trust_expired"


def test_a_token_of_another_type_is_no_signature() -> None:
    envelope: Any = signed(draft().next())
    for one in envelope["signatures"]:
        header = json.loads(base64.urlsafe_b64decode(one["protected"] + "=="))
        one["protected"] = b64(json.dumps(header | {"typ": "battery-command+jws"}).encode())
    for at, name in enumerate(("root1", "root2")):
        one = envelope["signatures"][at]
        one["signature"] = b64(key(name).sign(f"{one['protected']}.{envelope['payload']}".encode()))
    assert reason(follow(first(), envelope)) == "trust_threshold"


# --- form -------------------------------------------------------------------------------------------------------------
def _body(**changes: object) -> bytes:
    return json.dumps(draft().body() | changes).encode()


def _roles(role: str, **changes: object) -> dict[str, object]:
    roles: Any = draft().body()["roles"]
    return {**roles, role: {**roles[role], **changes}}


ENTRY = entry(key("dispatch"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"v": 2}, "v = 1"), ({"v": True}, "v = 1"), ({"extra": 1}, "extra"), ({"version": 0}, "version"),
        ({"version": True}, "version"), ({"version": 1.0}, "version"), ({"fleet": "a/b"}, "fleet"),
        ({"exp": ISSUED}, "exp"), ({"exp": ISSUED + 91 * DAY_MS}, "exp"), ({"iat": "1"}, "exp"), ({"iat": -1}, "exp"),
        ({"groups": ["a", "a"]}, "groups"), ({"groups": ["a/b"]}, "groups"), ({"revoked": ["x"]}, "revoked"),
        ({"revoked": [ENTRY["kid"]]}, "revoked"), ({"roles": {}}, "roles"),
        ({"roles": {**_roles("root"), "homeowner": {"threshold": 1, "keys": []}}}, "roles"),
        ({"roles": _roles("root", keys=[])}, "threshold"), ({"roles": _roles("root", threshold=True)}, "threshold"),
        ({"roles": _roles("dispatch", keys=[ENTRY] * 3)}, "at most 2"),
        ({"roles": _roles("dispatch", keys={})}, "list"),
        ({"roles": _roles("dispatch", keys=[ENTRY] * 2)}, "twice"),
        ({"roles": _roles("service", keys=[ENTRY])}, "one role"),
        ({"roles": _roles("dispatch", keys=[{**ENTRY, "d": "x"}])}, "exactly"),
        ({"roles": _roles("dispatch", keys=[{**ENTRY, "kid": "A" * 16}])}, "does not belong"),
        ({"roles": _roles("dispatch", keys=[{**ENTRY, "x": "AAAA"}])}, "32 bytes"),
        ({"roles": _roles("dispatch", keys=[{**ENTRY, "nbf": 5, "exp": 5}])}, "nbf"),
        ({"roles": _roles("firmware", keys=[entry(key("firmware1"))])}, "cannot meet"),
        ({"roles": _roles("root", keys=[{**entry(key(f"root{n}")), "exp": WALL} for n in (1, 2, 3)])}, "root key"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_wrong_payload_is_a_sentence(change: dict[str, object], says: str) -> None:
    envelope = sign({**draft().body(), **change}, keys(("root1", "root2")))
    found = bundle.own(parsed(envelope)[0])
    assert isinstance(found, Refused)
    assert says in found.detail


def besides(entry: object) -> bytes:
    """A good bundle, with a signature that somebody on the way put there."""
    found: Any = signed(draft())
    return json.dumps({**found, "signatures": [*found["signatures"], entry]}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b"\xff", b'{"bundles":[]}', b'{"bundles":{}}', b'{"payload":"e30","payload":"e30"}',
        b'{"payload":"e30","signatures":[]}', b'{"payload":"e30=","signatures":[{}]}',
        b'{"payload":"e30","signatures":[{"protected":"a.b","signature":"c"}]}',
        b'{"payload":"e30","signatures":[{"protected":"\xc3\xa9","signature":"c"}]}',
        b'{"payload":"e30","signatures":[{"protected":1,"signature":"c"}]}',
        b'{"payload":"e30","signatures":[{"protected":"a","signature":"c","header":{}}]}',
        b'{"payload":"e30","signatures":[{"protected":"a","signature":"c"}],"jwk":{}}', b'{"bundles":NaN}',
        chain([signed(draft())] * 33), chain([signed(draft())]) + b" " * bundle.MAX_BYTES,
        chain([signed(draft())])[:-20],
        b'{"payload":"e30","signatures":[' + b",".join([b'{"protected":"a","signature":"c"}'] * 9) + b"]}",
        b"[" * 5000,
        besides({"protected": "x", "signature": "\\ud800"}), besides({"protected": "eyJ", "signature": "AAAA"}),
        besides({"protected": "A" * 260, "signature": "A" * 86}),
    ],
    ids=lambda data: repr(data[:30]),
)  # fmt: skip
def test_what_is_no_chain_is_a_sentence(data: bytes) -> None:
    assert isinstance(bundle.parse_chain(data), str)


def test_what_was_read_is_written_again_and_means_the_same() -> None:
    once = parsed(signed(draft()), signed(draft().next()))
    again = bundle.parse_chain(json.dumps({"bundles": [dict(each.raw) for each in once]}).encode())
    assert again == once


def test_every_byte_of_a_payload_is_signed() -> None:
    good = json.dumps(draft().next().body(), separators=(",", ":")).encode()
    envelope: Any = signed(draft().next())
    for at in range(0, len(good), 7):
        changed = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        assert isinstance(follow(first(), {**envelope, "payload": b64(changed)}), Refused)


# --- properties -------------------------------------------------------------------------------------------------------
_ROOTS = ("root1", "root2", "root3", "new1", "new2", "new3", "mine")
_DRAFTS = st.builds(
    lambda version, root, dispatch, revoked, fleet, life: draft(
        version=version, keys=listed(root=root, dispatch=dispatch), revoked=revoked, fleet=fleet, life_ms=life
    ),
    st.integers(1, 6),
    st.sampled_from([_ROOTS[:3], ("root1", "root2", "new1"), _ROOTS[3:6], ("root1", "mine")]),
    st.sampled_from([("dispatch",), ("dispatch", "later"), ("later",), ()]),
    st.sampled_from([[], [kid("dispatch")], [kid("gone")]]),
    st.sampled_from(["fleet", "fleet", "fleet", "other"]),
    st.sampled_from([1000, 30 * DAY_MS]),
)
_SIGNED = st.tuples(_DRAFTS, st.lists(st.sampled_from(_ROOTS), min_size=1, max_size=5))


@settings(max_examples=300, deadline=None)
@given(st.lists(_SIGNED, min_size=1, max_size=5), st.one_of(st.none(), st.just(WALL)))
def test_whatever_comes_trust_only_moves_forward_by_two_thresholds(
    made: list[tuple[Draft, list[str]]], wall_ms: int | None
) -> None:
    now = first(draft())
    for what, names in made:
        after = follow(now, signed(what, *names), wall_ms=wall_ms)
        if isinstance(after, Refused):
            continue
        if after is now:
            continue
        once = {name for name in names if names.count(name) == 1}
        assert after.version == now.version + 1
        assert len({kid(n) for n in once} & set(now.roles["root"].keys)) >= now.roles["root"].threshold
        assert len({kid(n) for n in once} & set(after.roles["root"].keys)) >= after.roles["root"].threshold
        assert after.revoked >= now.revoked
        assert after.fleet == now.fleet
        assert wall_ms is None or after.expires_ms >= wall_ms
        assert not after.revoked & set(of_bundle(after, {}).keys)
        now = after


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_raise(data: bytes) -> None:
    found = bundle.parse_chain(data)
    assert isinstance(found, str | tuple)


# --- the trust that is made of it -------------------------------------------------------------------------------------
def test_the_trust_of_a_bundle_has_online_keys_only_and_the_homeowner_of_the_home() -> None:
    from agent.link.jws import verifier

    owner = verifier(key("homeowner").public_key().public_bytes_raw())
    taken = verifier(key("dispatch").public_key().public_bytes_raw())
    found = of_bundle(first(), {owner.kid: owner})
    assert dict(found.role_of) == {
        kid("dispatch"): "dispatch", kid("service"): "service", kid("operations"): "operations", owner.kid: "homeowner",
    }  # fmt: skip
    muted = of_bundle(first(), {owner.kid: owner, taken.kid: taken})  # a bundle that lists the homeowner's key
    assert muted.role_of[taken.kid] == "homeowner"
    assert muted.current(taken.kid, WALL + 1000 * DAY_MS)
    assert kid_of(seed_of("root1")) not in found.keys


def test_old_and_new_key_overlap_each_in_its_own_time() -> None:
    old, new = {**ENTRY, "exp": WALL + 1000}, {**entry(key("later")), "nbf": WALL}
    found = of_bundle(first(draft(keys={**listed(), "dispatch": [old, new]})), {})
    assert found.current(str(old["kid"]), WALL + 1000)
    assert not found.current(str(old["kid"]), WALL + 1001)
    assert found.current(str(new["kid"]), WALL)
    assert not found.current(str(new["kid"]), WALL - 1)
