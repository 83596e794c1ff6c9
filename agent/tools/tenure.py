"""Whose key signs from which record to which: a key that was given up signs nothing afterwards, and what nobody signed
counts only where it lies before the gateway's first key, whose first record says so."""

from __future__ import annotations

from collections.abc import Sequence

from agent.tools.findings import Finding, Kept, Verdict


def tenure(v: Verdict, records: Sequence[Kept]) -> None:
    """`records` by number, each number once, without those whose signature does not hold. Adds what is wrong to `v`."""
    left: set[str | None] = set()
    bare: list[Kept] = []  # nobody's, until a key vouches for them
    now: str | None = records[0].kid if records else None
    for at, r in enumerate(records):
        if r.kid is None:
            bare.append(r)
        elif r.kid != now:
            declared = _declared(r, records[at + 1 : at + 2], now)
            if not declared or r.kid in left:
                v.findings.append(_other(r, now, r.kid in left))
            elif now is None:
                v.notes.append(f"record {r.n}: it vouches for those from {bare[0].n} on, which no key had signed")
                bare.clear()
            else:
                left.add(now)
        now = now if r.kid in left else r.kid
    v.findings += [Finding("unsigned", r.n, r.where, "nobody has signed it") for r in bare]


def _declared(r: Kept, following: Sequence[Kept], old: str | None) -> bool:
    """Whether `r` says that its key follows on `old`; or the next one does, where `r` goes before it as a break."""
    said = [r] if r.body.get("why") == "key" else [x for x in following if x.kid == r.kid and x.n == r.n + 1]
    return r.body.get("record") == "chain" and any(
        (x.body.get("record"), x.body.get("why"), x.body.get("old_kid")) == ("chain", "key", old) for x in said
    )


def _other(r: Kept, now: str | None, again: bool) -> Finding:
    before = f"key {now}" if now is not None else "no key"
    text = f"it is signed with key {r.kid}, what is before it with {before}, and no record says that it follows"
    return Finding("other_key", r.n, r.where, f"key {r.kid} was given up before, and signs again" if again else text)
