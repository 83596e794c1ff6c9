"""Every attack on a file of settlement records is found and named; what is whole is called so."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.link import jws
from agent.store.archive import payload
from agent.store.chain import NONE, link
from agent.tools.evidence import Known, examine
from agent.tools.findings import Line, Verdict

DEVICE, SERVICE, THIEF = jws.signer(b"\1" * 32), jws.signer(b"\2" * 32), jws.signer(b"\3" * 32)
RECORDS = 8


def public(signer: jws.Signer) -> dict[str, jws.Verifier]:
    return {signer.kid: jws.verifier(signer.key.public_key().public_bytes_raw())}


def token(body: dict[str, object], signer: jws.Signer = DEVICE, typ: str = "battery-settlement+jws") -> bytes:
    return jws.sign(signer, typ, json.dumps(body).encode())


def chain(count: int = RECORDS, signer: jws.Signer = DEVICE, start: int = 0, prev: str = NONE) -> list[bytes]:
    out = []
    for n in range(start, start + count):
        body: dict[str, object] = {"record": "interval", "n": n, "prev": prev, "wh": n * 7}
        if n == 4:
            body = {"record": "checkpoint", "n": n, "prev": prev, "first": 0, "last": 3, "head": prev}
        out.append(token(body, signer))
        prev = head_of(out[-1])
    return out


def head_of(line: bytes) -> str:
    found = payload(line)
    assert found is not None
    return link(str(found[1]["prev"]), found[0])


def receipt(n: int, head: str, signer: jws.Signer = SERVICE) -> bytes:
    return token({"upto": 9, "checkpoint": {"n": n, "head": head}}, signer, "battery-receipt+jws")


def look(lines: Sequence[bytes], known: tuple[int, str] | None = None, home: str | None = None) -> Verdict:
    heads = [("what was written down", *known)] if known is not None else []
    read = [Line(f"f:{i}", line) for i, line in enumerate(lines, 1)]
    return examine(read, public(DEVICE), public(SERVICE), Known(heads, home=home))


def kinds(verdict: Verdict) -> set[tuple[str, int | None]]:
    return {(finding.kind, finding.n) for finding in verdict.findings}


WHOLE = chain()


def altered(lines: list[bytes]) -> list[bytes]:
    found = payload(lines[3])
    assert found is not None
    head, _, sig = lines[3].split(b".")
    body = {**found[1], "wh": 1_000_000}
    lines[3] = b".".join([head, jws.b64(json.dumps(body).encode()).encode(), sig])
    return lines


def signed_anew(lines: list[bytes]) -> list[bytes]:
    found = payload(lines[3])
    assert found is not None
    lines[3] = token({**found[1], "wh": 1_000_000})
    return lines


def forked(lines: list[bytes]) -> list[bytes]:
    return [*lines, *chain(2, start=RECORDS - 2, prev=head_of(WHOLE[RECORDS - 3]))[0:0], *_branch()]


def _branch() -> list[bytes]:
    prev, out = head_of(WHOLE[4]), []
    for n in (5, 6):
        out.append(token({"record": "interval", "n": n, "prev": prev, "wh": -1}))
        prev = head_of(out[-1])
    return out


ATTACKS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], set[tuple[str, int | None]]]] = {
    "altered": (altered, {("altered", 3), ("unlinked", 4)}),
    "altered and signed with the gateway's own key": (signed_anew, {("unlinked", 4)}),
    "dropped": (lambda x: [*x[:3], *x[4:]], {("dropped", 4)}),
    "two dropped": (lambda x: [*x[:2], *x[4:]], {("dropped", 4)}),
    "reordered": (lambda x: [*x[:2], x[3], x[2], *x[4:]], {("reordered", 2)}),
    "inserted by a stranger": (
        lambda x: [*x[:3], token({"record": "interval", "n": 3, "prev": head_of(x[2])}, THIEF), *x[3:]],
        {("unknown_key", 3), ("forked", 3), ("unlinked", 4)},
    ),
    "repeated": (lambda x: [*x[:4], x[3], *x[4:]], {("repeated", 3)}),
    "forked": (forked, {("forked", 5), ("forked", 6)}),
    "no record": (lambda x: [*x[:3], b"nonsense", *x[3:]], {("unreadable", None)}),
    "unsigned": (lambda x: [*x[:7], b"." + x[7].split(b".")[1] + b"."], {("unsigned", 7)}),
    "no hash": (lambda x: [*x, token({"record": "interval", "n": 8, "prev": "x"})], {("unreadable", 8)}),
    "a first record that follows on another": (
        lambda x: [token({"record": "interval", "n": 0, "prev": "a" * 64})], {("unlinked", 0)}
    ),
    "a truncated tail under a receipt": (
        lambda x: [*x[:5], receipt(7, head_of(x[7]))], {("truncated", 7)}
    ),
    "a receipt for another head": (lambda x: [*x, receipt(4, "b" * 64)], {("receipt", 4)}),
    "a receipt of a stranger": (lambda x: [*x, receipt(4, head_of(x[4]), THIEF)], {("receipt", 4)}),
    "a checkpoint for another head": (
        lambda x: [
            *x,
            token({"record": "checkpoint", "n": 8, "prev": head_of(x[7]), "first": 5, "last": 7, "head": "c" * 64}),
        ],
        {("checkpoint", 8)},
    ),
    "a checkpoint that leaves records out": (
        lambda x: [
            *x,
            token({"record": "checkpoint", "n": 8, "prev": (h := head_of(x[7])), "first": 6, "last": 7, "head": h}),
        ],
        {("checkpoint", 8)},
    ),
}  # fmt: skip


def test_what_is_whole_is_called_so() -> None:
    verdict = look([*WHOLE, receipt(4, head_of(WHOLE[4]))], known=(6, head_of(WHOLE[6])))
    assert verdict.ok, verdict.findings
    assert (verdict.records, verdict.signed, verdict.first, verdict.last) == (RECORDS, RECORDS, 0, RECORDS - 1)
    assert (verdict.receipts, verdict.receipted, verdict.head) == (1, 4, head_of(WHOLE[-1]))


def test_a_part_of_the_chain_is_whole_for_itself() -> None:
    assert look(WHOLE[5:]).ok
    assert look([*WHOLE[5:], receipt(1, "d" * 64)]).ok  # over what lies before: nothing here speaks against it


def test_a_file_that_begins_within_a_day_lacks_what_its_checkpoint_counts() -> None:
    assert kinds(look(WHOLE[3:])) == {("dropped", 4)}
    lines = [Line(f"f:{i}", line) for i, line in enumerate(WHOLE[3:])]
    kept = examine(lines, public(DEVICE), {}, Known(let_go=True))
    assert kept.ok
    assert "no longer kept" in kept.notes[0]


def test_another_homes_records_are_found_though_its_key_is_known() -> None:
    body = {"record": "interval", "n": 0, "prev": NONE, "iss": "dev:home-1"}
    first = token(body)
    other = token({**body, "n": 1, "prev": head_of(first), "iss": "dev:home-2"})
    assert look([first]).home == "dev:home-1"
    assert look([first], home="home-1").ok
    assert kinds(look([first], home="home-2")) == {("other_home", 0)}
    assert kinds(look([first, other])) == {("other_home", 1)}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_found_and_named(name: str) -> None:
    attack, expected = ATTACKS[name]
    assert kinds(look(attack(list(WHOLE)))) == expected


def test_what_was_written_down_elsewhere_is_held_against_it() -> None:
    assert kinds(look(WHOLE[:5], known=(7, head_of(WHOLE[7])))) == {("truncated", 7)}
    assert kinds(look(WHOLE, known=(5, "e" * 64))) == {("receipt", 5)}


def test_nothing_at_all_is_not_whole() -> None:
    assert not look([]).ok


def test_a_chain_rebuilt_with_the_gateways_own_key_is_found_by_a_receipt_alone() -> None:
    """What a hash chain cannot show, and what the aggregator's receipt is for."""
    rebuilt = chain(3)
    prev = head_of(rebuilt[-1])
    for n in range(3, RECORDS):
        rebuilt.append(token({"record": "interval", "n": n, "prev": prev, "wh": 0}))
        prev = head_of(rebuilt[-1])
    assert look(rebuilt).ok
    assert kinds(look([*rebuilt, receipt(6, head_of(WHOLE[6]))])) == {("receipt", 6)}


def test_a_declared_break_is_a_note_and_covers_nothing_but_what_it_lost() -> None:
    def lost(known_head: str = "f" * 64, own_n: int = 4) -> bytes:
        own = {"own_n": own_n, "own_head": head_of(WHOLE[own_n])}
        body = {"record": "chain", "why": "restored", "n": 8, "prev": "f" * 64, "known_n": 7, **own}
        return token({**body, "known_head": known_head})

    verdict = look([*WHOLE[:5], lost()])
    assert verdict.ok
    assert any("put back" in loss for loss in verdict.losses)
    assert kinds(look([*WHOLE[:5], lost(known_head="0")])) == {("dropped", 8)}
    more = look([*WHOLE[:3], lost()])  # 3 and 4 were there when it was written
    assert kinds(more) == {("dropped", 8)}
    assert "still had record 4" in more.findings[0].sentence


def put_back(known: bytes, n: int, **body: object) -> bytes:
    found = payload(known)
    assert found is not None
    said = {"record": "chain", "why": "restored", "known_n": found[1]["n"], "known_head": head_of(known)}
    return token({**said, "n": n, "prev": head_of(known), **body})


def test_records_of_a_lost_state_are_a_declared_loss_whether_they_are_here_or_not() -> None:
    """An older state was put back: the home goes on after the last record that both sides have, above what was lost."""
    restored = put_back(WHOLE[2], 20)
    on = [restored, *chain(2, start=21, prev=head_of(restored))]
    for lines in ([*WHOLE, *on], [*WHOLE[:5], *on], [*WHOLE[:3], *on], [*WHOLE[5:], *on]):
        verdict = look(lines)
        assert verdict.ok, verdict.findings
        assert verdict.losses == ["records 3 to 19 were made by a state that is lost, and record 20 says so"]
    assert look([*WHOLE[:3], put_back(WHOLE[2], 4)]).losses[0].startswith("record 3 was made")
    assert kinds(look([*WHOLE[:2], *on])) == {("dropped", 20)}  # 2 is known to both sides
    other = put_back(WHOLE[2], 20, known_head="a" * 64, prev="a" * 64)
    assert kinds(look([*WHOLE, other])) == {("unlinked", 20)}
    assert kinds(look([*WHOLE, put_back(WHOLE[2], 20, known_n="2")])) == {("dropped", 20)}
    assert kinds(look([*WHOLE, *on], known=(10, "a" * 64))) == {("truncated", 10)}
    assert kinds(look([*WHOLE, *on], known=(19, "a" * 64))) == {("truncated", 19)}


def test_a_gateways_own_archive_that_begins_late_is_not_whole() -> None:
    lines = [Line(f"f:{i}", line) for i, line in enumerate(WHOLE[5:])]
    missing = examine(lines, public(DEVICE), {}, Known(let_go=False))
    assert kinds(missing) == {("truncated", 5)}
    assert "records 0 to 4 are not there" in missing.findings[0].sentence
    tidied = examine(lines, public(DEVICE), {}, Known(let_go=True))
    assert tidied.ok
    assert any("records 0 to 4 are no longer kept" in note for note in tidied.notes)
    lost = follows(1, head_of(WHOLE[0]), None, DEVICE, "archive_lost")
    said = examine([Line("f:1", lost)], public(DEVICE), {}, Known(let_go=False))
    assert said.ok
    assert said.losses == ["record 0 is not here, and record 1 says so: it lost all that it had"]
    taken = put_back(WHOLE[4], 5, own_n=4, own_head=head_of(WHOLE[4]))
    assert kinds(examine([Line("f:1", taken)], public(DEVICE), {}, Known(let_go=False))) == {("truncated", 5)}


def test_what_was_written_down_is_compared_or_it_is_said_that_it_cannot_be() -> None:
    assert "what was written down agrees with record 6" in look(WHOLE, known=(6, head_of(WHOLE[6]))).notes
    assert look(WHOLE[5:], known=(4, head_of(WHOLE[4]))).ok  # the record after it names it
    assert kinds(look(WHOLE[5:], known=(4, "a" * 64))) == {("receipt", 4)}
    early = look(WHOLE[5:], known=(3, head_of(WHOLE[3])))
    assert kinds(early) == {("truncated", 3)}
    assert "cannot be compared" in early.findings[0].sentence
    lines = [Line(f"f:{i}", line) for i, line in enumerate(WHOLE)]
    assert examine(lines, public(DEVICE), {}, Known(store=(7, head_of(WHOLE[7])))).ok
    assert kinds(examine(lines, public(DEVICE), {}, Known(store=(8, "a" * 64)))) == {("truncated", 8)}


SECOND = jws.signer(b"\4" * 32)


def follows(n: int, prev: str, old: str | None, signer: jws.Signer, why: str = "key") -> bytes:
    body: dict[str, object] = {
        "record": "chain",
        "why": why,
        "n": n,
        "prev": prev,
        "known_n": n - 1,
        "known_head": prev,
    }
    return token({**body, "old_kid": old} if why == "key" else body, signer)


def both(lines: Sequence[bytes]) -> Verdict:
    keys = public(DEVICE) | public(SECOND)
    return examine([Line(f"f:{i}", line) for i, line in enumerate(lines, 1)], keys, {})


def test_a_key_that_follows_is_declared_and_the_one_before_it_signs_no_more() -> None:
    old = chain(5)
    key = follows(5, head_of(old[-1]), DEVICE.kid, SECOND)
    new = [*old, key, *chain(2, SECOND, 6, head_of(key))]
    assert both(new).ok
    again = chain(1, DEVICE, 8, head_of(new[-1]))
    assert kinds(both([*new, *again, *chain(1, SECOND, 9, head_of(again[0]))])) == {("other_key", 8)}
    back = follows(8, head_of(new[-1]), SECOND.kid, DEVICE)
    assert kinds(both([*new, back])) == {("other_key", 8)}
    assert kinds(both([*old, *chain(1, SECOND, 5, head_of(old[-1]))])) == {("other_key", 5)}
    restored = follows(5, head_of(old[-1]), None, SECOND, "archive_lost")  # the new key's first word is of the break
    assert both([*old, restored, follows(6, head_of(restored), DEVICE.kid, SECOND)]).ok


def bared(line: bytes) -> bytes:
    return b"." + line.split(b".")[1] + b"."


def test_what_a_home_recorded_before_its_key_counts_once_the_key_vouches_for_it() -> None:
    early = [bared(line) for line in chain(3)]
    assert kinds(look(early)) == {("unsigned", n) for n in range(3)}
    key = follows(3, head_of(early[-1]), None, DEVICE)
    verdict = look([*early, key])
    assert verdict.ok, verdict.findings
    assert verdict.signed == 1
    assert any("those from 0 on" in note for note in verdict.notes)
    assert kinds(look([*early, *chain(2, DEVICE, 3, head_of(early[-1]))])) == {
        ("other_key", 3), *[("unsigned", n) for n in range(3)]
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(0, RECORDS - 1), st.integers(0, 2000), st.integers(1, 255))
def test_any_flipped_bit_is_found(which: int, where: int, mask: int) -> None:
    lines = list(WHOLE)
    at = where % len(lines[which])
    data = bytearray(lines[which])
    data[at] ^= mask
    if bytes(data) == lines[which]:
        return
    lines[which] = bytes(data)
    assert not look(lines).ok
