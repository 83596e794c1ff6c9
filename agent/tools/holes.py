"""Numbers that are not there: lost, and the home says so, or taken out."""

from __future__ import annotations

from collections.abc import Mapping

from agent.tools.findings import Finding, Kept, Verdict


def begin(v: Verdict, r: Kept, let_go: bool | None) -> None:
    """`r` is the first record here. `let_go`: of a gateway's whole archive, whether what it keeps no longer may be
    missing; None: of a file, which may be any stretch of the chain."""
    if r.n == 0:
        return
    missing = "record 0 is" if r.n == 1 else f"records 0 to {r.n - 1} are"
    if _restarts(r) and r.body.get("known_n") == r.n - 1 and r.body.get("own_n") is None:
        v.losses.append(f"{missing} not here, and record {r.n} says so: it lost all that it had")
    elif let_go is False:
        text = f"this gateway's records begin with {r.n}: {missing} not there, and it has let go of none so far"
        v.findings.append(Finding("truncated", r.n, r.where, text))
    elif let_go:
        v.notes.append(f"{missing} no longer kept: a gateway lets go of its oldest months")


def hole(v: Verdict, by_number: Mapping[int, Kept], before: Kept, r: Kept) -> None:
    """Numbers between `before` and `r` are not here. A record that declares them lost names the last one that the home
    still had, or that both sides have: what lies below that was taken out by somebody else."""
    missing = f"record {before.n + 1} is" if r.n == before.n + 2 else f"records {before.n + 1} to {r.n - 1} are"
    body = r.body
    own = body.get("own_n"), body.get("own_head")
    known_n = body.get("known_n")
    if not is_restored(r) or type(known_n) is not int or body.get("known_head") != r.prev:
        v.findings.append(Finding("dropped", r.n, r.where, f"{missing} missing before it"))
    elif known_n <= before.n:
        _lost(v, by_number, known_n, r)
    elif known_n != r.n - 1:
        v.findings.append(Finding("dropped", r.n, r.where, f"{missing} missing before it"))
    elif own != (before.n, before.hash):
        text = f"{missing} missing before it; an older state was put back then, and it still had record {own[0]}"
        v.findings.append(Finding("dropped", r.n, r.where, text))
    else:
        v.losses.append(f"{missing} not here, and record {r.n} says so: an older state of the store was put back")


def is_restored(r: Kept) -> bool:
    """It says that an older state of the store was put back."""
    return r.body.get("record") == "chain" and r.body.get("why") == "restored"


def _restarts(r: Kept) -> bool:
    return r.body.get("record") == "chain" and r.body.get("why") in ("restored", "archive_lost", "store_lost")


def _lost(v: Verdict, by_number: Mapping[int, Kept], known_n: int, r: Kept) -> None:
    """The chain goes on behind `known_n`, which is here or was before what is; all between was of the lost state."""
    known = by_number.get(known_n)
    if known is not None and known.hash != r.prev:
        text = f"it follows on another record {known_n} than the one at {known.where}"
        v.findings.append(Finding("unlinked", r.n, r.where, text))
    else:
        lost = f"record {known_n + 1} was" if r.n == known_n + 2 else f"records {known_n + 1} to {r.n - 1} were"
        v.losses.append(f"{lost} made by a state that is lost, and record {r.n} says so")
