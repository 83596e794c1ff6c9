"""What a file of settlement records proves: signatures, links of the chain, checkpoints, receipts. Public keys alone.

Each finding names the record and what was seen there. A chain proves that nothing was changed after it was signed, and
a receipt that two parties hold the same; neither proves that a meter was honest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.link import jws
from agent.store.archive import payload, record
from agent.store.chain import NONE, link
from agent.tools.findings import Finding, Kept, Kind, Line, Verdict
from agent.tools.holes import begin, hole, is_restored
from agent.tools.tenure import tenure

SETTLEMENT, RECEIPT = "battery-settlement+jws", "battery-receipt+jws"
LONGEST = 1 << 17
_REFUSED: Mapping[str, tuple[Kind, str]] = {
    "unknown_key": ("unknown_key", "it is signed with a key that was not given")
}
Keys = Mapping[str, jws.Verifier]


@dataclass(frozen=True, slots=True)
class Known:
    """What the records must meet. `heads`: in whose words, number and hash of a record. `store`: the database's newest
    record. `home`: the device's name.
    `let_go`: where they are a gateway's whole archive, whether its oldest months were let go, so that it may begin
    later, and within a day; None: they are any stretch of the chain."""

    heads: Sequence[tuple[str, int, str]] = ()
    store: tuple[int, str] | None = None
    home: str | None = None
    let_go: bool | None = None


NOTHING = Known()


def examine(lines: Iterable[Line], device: Keys, service: Keys, known: Known = NOTHING) -> Verdict:
    """Read every line. `device` and `service`: public keys by kid, either may be empty: what needs them is then a
    finding for a signature, and for a receipt."""
    v = Verdict()
    records: list[Kept] = []
    receipts: list[tuple[str, int, str]] = []
    unproven: set[str] = set()
    for line in lines:
        found = record(line.data)
        if found is not None:
            body = found[1]
            n, prev = body["n"], body["prev"]
            assert isinstance(n, int) and isinstance(prev, str)
            if len(prev) != 64 or not set(prev) <= set("0123456789abcdef"):
                v.findings.append(Finding("unreadable", n, line.where, "its `prev` is no hash"))
                continue
            kid = None if line.data.startswith(b".") and line.data.endswith(b".") else found[2]
            records.append(Kept(n, prev, link(prev, found[0]), body, line.where, line.data, kid))
            if not _signed(v, records[-1], device):
                unproven.add(line.where)
        else:
            receipt = _receipt(v, line, service)
            if receipt is not None:
                receipts.append((line.where, *receipt))
    by_number = _numbers(v, records)
    _links(v, by_number, known.let_go)
    proven = [by_number[n] for n in sorted(by_number) if by_number[n].where not in unproven]
    _whose(v, proven, known.home)
    tenure(v, proven)
    for where, n, head in receipts:
        if _met(v, by_number, where, (n, head), "the aggregator's receipt"):
            v.receipted = max(n, v.receipted if v.receipted is not None else n)
    for whose, n, head in known.heads:
        _holds(v, by_number, whose, (n, head))
    if known.store is not None:  # as the file had it a while ago: it may be of what was chained anew since
        _met(v, by_number, "the database of this gateway", known.store, "the database of this gateway")
    v.findings.sort(key=lambda finding: finding.n if finding.n is not None else -1)
    return v


def _signed(v: Verdict, r: Kept, keys: Keys) -> bool:
    """False: with a signature that proves nothing."""
    v.records += 1
    if r.kid is None:
        return True  # see `tenure`
    found = jws.verify(r.data, keys, SETTLEMENT, LONGEST)
    if isinstance(found, jws.Refused):
        kind, text = _REFUSED.get(found.reason, ("altered", f"its signature does not fit it ({found.reason})"))
        v.findings.append(Finding(kind, r.n, r.where, text))
        return False
    v.signed += 1
    return True


def _receipt(v: Verdict, line: Line, keys: Mapping[str, jws.Verifier]) -> tuple[int, str] | None:
    found = payload(line.data)
    checkpoint = found[1].get("checkpoint") if found is not None else None
    if not isinstance(checkpoint, dict) or type(checkpoint.get("n")) is not int:
        v.findings.append(Finding("unreadable", None, line.where, "neither a record nor a receipt over the chain"))
        return None
    good = jws.verify(line.data, keys, RECEIPT, LONGEST)
    n, head = checkpoint["n"], str(checkpoint.get("head"))
    if isinstance(good, jws.Refused):
        text = f"the receipt over record {n} is not signed by a key that was given ({good.reason})"
        v.findings.append(Finding("receipt", n, line.where, text))
        return None
    v.receipts += 1
    return n, head


def _numbers(v: Verdict, records: Sequence[Kept]) -> dict[int, Kept]:
    """By number; what comes twice or out of its order is found here."""
    by_number: dict[int, Kept] = {}
    highest = -1
    for r in records:
        there = by_number.get(r.n)
        if there is not None and there.data == r.data:
            v.findings.append(Finding("repeated", r.n, r.where, f"the same record is at {there.where}"))
        elif there is not None:
            v.findings.append(Finding("forked", r.n, r.where, f"another record {r.n} is at {there.where}"))
        else:
            if r.n < highest:
                v.findings.append(Finding("reordered", r.n, r.where, f"it stands behind record {highest}"))
            by_number[r.n] = r
        highest = max(highest, r.n)
    return by_number


def _links(v: Verdict, by_number: Mapping[int, Kept], let_go: bool | None) -> None:
    before: Kept | None = None
    for n in sorted(by_number):
        r = by_number[n]
        if before is None:
            v.first = n
            if n == 0 and r.prev != NONE:
                v.findings.append(Finding("unlinked", n, r.where, "the first record follows on another"))
            begin(v, r, let_go)
        elif n != before.n + 1:
            hole(v, by_number, before, r)
        elif r.prev != before.hash:
            text = f"it follows on another record {before.n} than the one at {before.where}"
            v.findings.append(Finding("unlinked", n, r.where, text))
        if r.body.get("record") == "chain":
            v.notes.append(f"record {n}: the chain {_why(r.body)}")
        if r.body.get("record") == "checkpoint":
            _checkpoint(v, r, by_number, let_go)
        before, v.last, v.head = r, n, r.hash


def _checkpoint(v: Verdict, r: Kept, by_number: Mapping[int, Kept], let_go: bool | None) -> None:
    body = r.body
    if (body.get("last"), body.get("head")) != (r.n - 1, r.prev):
        v.findings.append(
            Finding("checkpoint", r.n, r.where, "it names another last record or head than it follows on")
        )
    earlier = [n for n, x in by_number.items() if n < r.n and x.body.get("record") == "checkpoint"]
    first = max(earlier) + 1 if earlier else None
    begins = body.get("first")
    if first is None and v.first is not None and isinstance(begins, int) and begins < v.first:
        text = f"it counts from record {begins} on, and the file begins with record {v.first}"
        if let_go:
            v.notes.append(f"record {r.n}: {text}: the oldest months are no longer kept")
        else:
            v.findings.append(Finding("dropped", r.n, r.where, text))
    broken = any(
        x.body.get("record") == "chain" for n, x in by_number.items() if first is not None and first <= n < r.n
    )
    if first is not None and not broken and body.get("first") != first:
        text = f"it begins with record {body.get('first')}, and the checkpoint before it ends at {first - 1}"
        v.findings.append(Finding("checkpoint", r.n, r.where, text))


def _met(v: Verdict, by_number: Mapping[int, Kept], where: str, known: tuple[int, str], whose: str) -> bool | None:
    """Whether a receipt, or what is known elsewhere, is over a record that is here, and over the same. None: it lies
    before the first record here, or in a hole."""
    n, head = known
    found = _hash_of(by_number, n)
    if found is None:
        if v.last is None or n > v.last:
            text = f"{whose} goes up to record {n}, the file ends with {v.last}"
            v.findings.append(Finding("truncated", n, where, text))
        return None
    if found != head:
        v.findings.append(Finding("receipt", n, where, f"{whose} is over another chain up to record {n}"))
    return found == head


def _hash_of(by_number: Mapping[int, Kept], n: int) -> str | None:
    """Of a record that is here, or that one follows on which is."""
    r, after = by_number.get(n), by_number.get(n + 1)
    if r is not None or after is None:
        return None if r is None else r.hash
    return None if is_restored(after) and after.body.get("known_n") != n else after.prev


def _holds(v: Verdict, by_number: Mapping[int, Kept], whose: str, known: tuple[int, str]) -> None:
    """What is known elsewhere must have been compared."""
    met, n = _met(v, by_number, whose, known, whose), known[0]
    if met:
        v.notes.append(f"{whose} agrees with record {n}")
    elif met is None and v.last is not None and n < v.last:
        text = f"{whose} is of record {n}, which is not here: it cannot be compared"
        v.findings.append(Finding("truncated", n, whose, text))


def _whose(v: Verdict, records: Iterable[Kept], home: str | None) -> None:
    """One home's, and that one's. What nobody signed names none: it counts by the hash of what follows."""
    for r in records:
        found = str(r.body.get("iss"))
        if r.kid is None or found == v.home:
            continue
        wanted = v.home if v.home is not None else None if home is None else f"dev:{home}"
        v.home = found
        if wanted is not None and found != wanted:
            v.findings.append(Finding("other_home", r.n, r.where, f"it is of {found}, {wanted} was expected"))


def _why(body: Mapping[str, Any]) -> str:
    known = f" after record {body.get('known_n')}" if body.get("known_n") is not None else ""
    return {
        "new": "begins",
        "store_lost": f"goes on{known}: the store was lost",
        "archive_lost": f"goes on{known}: the archive was lost",
        "restored": f"goes on{known}: an older state of the store was put back",
        "disputed": f"goes on, disputed: another record {body.get('known_n')} is known elsewhere",
        "key": f"goes on{known} under another key of the gateway",
    }.get(str(body.get("why")), f"says: {body.get('why')}")
