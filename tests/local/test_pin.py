"""The homeowner's PIN: hash and guard."""

from __future__ import annotations

import pytest

from agent.local.pin import FREE_TRIES, LONGEST_WAIT_NS, MAX_USERS, PinGuard, PinHash, PinVerdict, S

HASH = PinHash.of("4711", bytes(range(16)))


def test_text_and_back() -> None:
    assert PinHash.parse(HASH.text()) == HASH
    assert HASH.matches("4711")
    assert not HASH.matches("4712")
    assert not HASH.matches("")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4711",
        HASH.text().replace("scrypt", "argon2"),
        HASH.text() + "$00",
        HASH.text()[:-2],
        HASH.text().replace("$16384$", "$16383$"),
        HASH.text().replace("$16384$", "$2$"),
        HASH.text().replace("$16384$", "$1073741824$"),
        HASH.text().replace("$16384$", "$many$"),
        HASH.text().replace(HASH.salt.hex(), "00"),
        HASH.text().replace(HASH.salt.hex(), "xy" * 16),
    ],
)
def test_a_hash_that_is_weak_costly_or_broken_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="homeowner_pin_hash: "):
        PinHash.parse(text)


def test_first_slips_are_free_then_the_wait_doubles_up_to_its_end() -> None:
    guard, now_ns, waits = PinGuard(HASH), 0, []
    for _ in range(FREE_TRIES + 9):
        verdict, wait_s = guard.check("0000", 1000, now_ns)
        assert verdict is PinVerdict.WRONG
        waits.append(wait_s)
        now_ns += wait_s * S

    assert waits == [0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


def test_while_waiting_even_the_right_pin_is_not_looked_at() -> None:
    guard = PinGuard(HASH)
    for _ in range(FREE_TRIES):
        guard.check("0000", 1000, 0)

    assert guard.check("4711", 1000, 1) == (PinVerdict.WAIT, 5)
    assert guard.check("4711", 1000, 5 * S - 1) == (PinVerdict.WAIT, 1)
    assert guard.check("4711", 1000, 5 * S) == (PinVerdict.RIGHT, 0)
    assert guard.check("0000", 1000, 5 * S) == (PinVerdict.WRONG, 0), "the right PIN forgives"


def test_one_users_guesses_do_not_lock_another_out() -> None:
    guard = PinGuard(HASH)
    for _ in range(FREE_TRIES):
        guard.check("0000", 1000, 0)

    assert guard.check("4711", 1001, 1) == (PinVerdict.RIGHT, 0)


def test_memory_is_bounded_and_the_longest_wait_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PinHash, "matches", lambda self, pin: False)  # the hash is not what is tested here
    guard = PinGuard(HASH)
    for _ in range(FREE_TRIES + 3):
        guard.check("0000", 1, LONGEST_WAIT_NS)
    for uid in range(1000, 1000 + 3 * MAX_USERS):
        guard.check("0000", uid, LONGEST_WAIT_NS)

    assert len(guard._tries) == MAX_USERS
    assert guard.check("0000", 1, LONGEST_WAIT_NS)[0] is PinVerdict.WAIT


def test_a_pin_that_is_no_text_is_wrong() -> None:
    assert PinGuard(HASH).check("\ud800", 1000, 0)[0] is PinVerdict.WRONG


def test_without_a_hash_no_pin_is_right() -> None:
    assert PinGuard(None).check("4711", 1000, 0) == (PinVerdict.NOT_SET, 0)
