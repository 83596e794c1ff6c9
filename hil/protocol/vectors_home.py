"""Golden vectors of the homeowner's messages, and of bundles that follow the one in force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hil.aggregator.token import encode
from hil.protocol.vectors import (
    ACCEPTED,
    DAY_MS,
    NOW,
    ROOT,
    Vector,
    bundle,
    chain,
    claims,
    general,
    header,
    kid,
    public,
    token,
)

HOMEOWNER, TRUST = f"{ROOT}/down/homeowner", f"{ROOT}/down/trust"
FRESH = ("time",)
HEADER = header("homeowner", "homeowner")
RESERVE: dict[str, Any] = {"kind": "reserve", "permille": 300}
KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("home_reserve", "the reserve becomes 30 %", RESERVE),
    ("home_storm", "80 % for a day", {"kind": "storm", "permille": 800, "for_s": 86_400, "reason": "storm"}),
    ("home_opt_in", "dispatch again", {"kind": "opt_in"}),
    ("home_consent", "agrees to a text", {"kind": "consent", "to": "terms", "sha256": "ab" * 32}),
)


def vectors() -> Iterator[Vector]:
    """All of them."""
    yield from _homeowner()
    yield from _not_the_homeowner()
    yield from _bundles()
    yield from _not_bundles()


def _homeowner() -> Iterator[Vector]:
    for n, (name, about, body) in enumerate(KINDS, 200):
        said = claims(n, **body) | {"iss": "home:owner"}
        yield Vector(
            name, about, HOMEOWNER, token(HEADER, said, "homeowner"), True, ACCEPTED, before=FRESH, claims=said
        )
    out = claims(210, kind="opt_out") | {"iss": "home:owner"}
    yield Vector("home_opt_out", "an opt-out passes without any time", HOMEOWNER, token(HEADER, out, "homeowner"), True,
                 ACCEPTED, claims=out)  # fmt: skip


def _not_the_homeowner() -> Iterator[Vector]:
    body = claims(220, **RESERVE) | {"iss": "home:owner"}

    def bad(name: str, about: str, said: Any, verdict: str, by: str = "homeowner", **more: Any) -> Vector:
        made = token(header("homeowner", by), said, by)
        return Vector(name, about, HOMEOWNER, made, True, verdict, before=more.pop("before", FRESH), **more)

    yield bad("home_by_dispatch", "the aggregator lowers a reserve", body, "bad_role", by="dispatch")
    yield bad("home_by_operations", "the control room lowers a reserve", body, "bad_role", by="operations")
    yield bad("home_retained", "kept by the broker", body, "retained", retained=True)
    yield bad("home_other", "for another home", body | {"aud": "dev:home2"}, "bad_audience")
    yield bad("home_too_much", "more than all of it", body | {"permille": 1001}, "bad_body")
    yield bad("home_percent", "a fraction", body | {"permille": 0.3}, "bad_body")
    yield bad("home_version_2", "of another protocol", body | {"v": 2}, "bad_version")
    yield bad("home_no_time", "no signed time has echoed this boot yet", body, "not_fresh", before=())
    late = body | {"iat": NOW - DAY_MS, "exp": NOW - 1}
    yield bad("home_expired", "held back until it had expired", late, "expired")
    again = claims(200, **RESERVE) | {"iss": "home:owner"}
    yield bad("home_again", "the same bytes again", again, "replay", before=(*FRESH, "home_reserve"))
    earlier = claims(150, **RESERVE) | {"iss": "home:owner"}
    yield bad("home_earlier", "an earlier one, held back", earlier, "replay", before=(*FRESH, "home_reserve"))


def _trust(name: str, about: str, verdict: str, holds: int, *bundles: dict[str, Any], before: tuple[str, ...] = FRESH,
           raw: bytes | None = None) -> Vector:  # fmt: skip
    made = chain(*bundles) if raw is None else raw
    return Vector(name, about, TRUST, made, None, verdict, before=before, holds=holds)


def _bundles() -> Iterator[Vector]:
    new_root = bundle(2)
    new_root["roles"]["root"]["keys"] = [public(name) for name in ("root2", "root3", "stranger")]
    revoking = bundle(2, revoked=[kid("dispatch")])
    revoking["roles"]["dispatch"]["keys"] = []
    signed = general(revoking, "root1", "root2")
    yield _trust("trust_next", "the next version; revokes the dispatch key", ACCEPTED, 2, signed)
    yield _trust("trust_three", "all three signed", ACCEPTED, 3, general(bundle(2), "root1", "root2", "root3"))
    yield _trust("trust_alone", "one bundle without a list around it", ACCEPTED, 2, raw=encode(signed))
    yield _trust("trust_root_change", "a new root key: enough of the old root and of the new one signed", ACCEPTED, 2,
                 general(new_root, "root2", "root3"))  # fmt: skip
    two = general(bundle(2), "root1", "root3"), general(bundle(3), "root1", "root2")
    yield _trust("trust_chain", "two versions that the home had missed", ACCEPTED, 4, *two)
    yield _trust("trust_no_time", "without a time: expiry cannot be judged, the rest can", ACCEPTED, 2, signed,
                 before=())  # fmt: skip
    by_revoked = claims(230, kind="dispatch", power_w=1, duration_s=60)
    over = bundle(2)
    over["roles"]["dispatch"]["keys"][0] |= {"exp": NOW - 1}
    yield _trust("trust_key_over", "the dispatch key is over since a millisecond", ACCEPTED, 2,
                 general(over, "root1", "root2"))  # fmt: skip
    late = claims(231, kind="dispatch", power_w=1, duration_s=60)
    yield Vector("key_over", "a dispatch by a key whose time is over", f"{ROOT}/down/command",
                 token(header("command", "dispatch"), late, "dispatch"), True, "key_time",
                 before=(*FRESH, "trust_key_over"))  # fmt: skip
    yield Vector("revoked_key", "a dispatch by a key that was revoked", f"{ROOT}/down/command",
                 token(header("command", "dispatch"), by_revoked, "dispatch"), True, "unknown_key",
                 before=(*FRESH, "trust_next"))  # fmt: skip


def _not_bundles() -> Iterator[Vector]:
    next_one = bundle(2)
    yield _trust("trust_one", "one signature of two", "trust_threshold", 1, general(next_one, "root1"))
    yield _trust("trust_twice", "the same key twice", "trust_threshold", 2, general(next_one, "root1", "root1"))
    yield _trust("trust_other_role", "a root key and the dispatch key", "trust_threshold", 1,
                 general(next_one, "root1", "dispatch"))  # fmt: skip
    forged = general(next_one, "root1", "root2")
    forged["signatures"][1]["signature"] = forged["signatures"][0]["signature"]
    yield _trust("trust_forged", "the signature of one key under the name of another", "trust_threshold", 1, forged)
    stolen = bundle(2)
    stolen["roles"]["root"]["keys"] = [public(name) for name in ("root2", "stranger", "device")]
    yield _trust("trust_takeover", "a new root that too few of itself have signed", "trust_threshold", 2,
                 general(stolen, "root1", "root2"))  # fmt: skip
    everybody = ("root1", "root2", "stranger", "device")
    yield _trust("trust_other_root", "another root, signed by all of the old one and of itself", "trust_root", 2,
                 general(stolen, *everybody))  # fmt: skip
    added = bundle(2)
    added["roles"]["root"]["keys"] += [public(name) for name in ("stranger", "device")]
    yield _trust("trust_root_added", "as many keys beside the old root as could sign without it", "trust_root", 2,
                 general(added, *everybody))  # fmt: skip
    yield _trust("trust_gap", "version 3, and 2 is missing", "trust_gap", 2, general(bundle(3), "root1", "root2"))
    fork = general(bundle(1, groups=[]), "root1", "root2")
    yield _trust("trust_fork", "version 1 with other content", "trust_fork", 2, fork)
    rollback = general(bundle(2), "root1", "root2"), general(bundle(1, groups=[]), "root1", "root2")
    yield _trust("trust_rollback", "version 2, then another 1", "trust_rollback", 4, *rollback)
    old = general(bundle(2, exp=NOW - 1), "root1", "root2")
    yield _trust("trust_expired", "expired a millisecond ago", "trust_expired", 2, old)
    yield _trust("trust_fleet", "of another fleet", "trust_fleet", 2,
                 general(bundle(2, fleet="other"), "root1", "root2"))  # fmt: skip
    back = general(bundle(2, revoked=["A" * 16]), "root1", "root2"), general(bundle(3), "root1", "root2")
    yield _trust("trust_unrevoked", "takes a revocation back", "trust_revoked", 4, *back)
    listed = general(bundle(2, revoked=[kid("service")], groups=[]), "root1", "root2")
    yield _trust("trust_listed_revoked", "lists a key that it revokes", "bad_body", 2, listed)
    longer = general(bundle(2, exp=NOW + 300 * DAY_MS), "root1", "root2")
    yield _trust("trust_long", "lives for more than 90 days", "bad_body", 2, longer)
    low = bundle(2)
    low["roles"]["root"]["threshold"] = 1
    yield _trust("trust_low", "a threshold of one", "bad_body", 2, general(low, "root1", "root2"))
    yield _trust("trust_unknown", "a member that nobody knows", "bad_body", 2,
                 general(bundle(2, colour="red"), "root1", "root2"))  # fmt: skip
    compact = token(header("trust", "root1"), next_one, "root1")
    yield _trust("trust_compact", "a compact token: one signature can never be enough", "bad_format", 0, raw=compact)
