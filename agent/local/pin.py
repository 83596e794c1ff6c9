"""The homeowner's PIN: a scrypt hash in the configuration, and a guard that slows down guessing."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum

S = 1_000_000_000
FREE_TRIES = 3  # a slip of the finger costs nothing
FIRST_WAIT_NS = 5 * S  # doubled with each further wrong PIN
LONGEST_WAIT_NS = 900 * S
MAX_USERS = 64  # remembered at once; the one that waits least is forgotten first
MIN_LENGTH, MAX_LENGTH = 4, 64  # characters
_N = 1 << 14  # 16 MiB, about 50 ms on a desktop core
_MOST_N = 1 << 16
_R, _P = 8, 1


@dataclass(frozen=True, slots=True)
class PinHash:
    """`scrypt$n$salt$hash`, with r = 8, p = 1; salt and hash in lower-case hex."""

    n: int
    salt: bytes
    digest: bytes

    @staticmethod
    def parse(text: str) -> PinHash:
        """ValueError with a sentence for a person if `text` is no such hash, or one too weak or too costly."""
        parts = text.split("$")
        if len(parts) != 4 or parts[0] != "scrypt":
            raise ValueError(
                "homeowner_pin_hash: expected scrypt$n$salt$hash, as `python -m agent.tools.pin` prints it"
            )
        try:
            n, salt, digest = int(parts[1]), bytes.fromhex(parts[2]), bytes.fromhex(parts[3])
        except ValueError:
            raise ValueError("homeowner_pin_hash: n must be a number, salt and hash must be hex") from None
        if not _N <= n <= _MOST_N or n & (n - 1):
            raise ValueError(f"homeowner_pin_hash: n = {n}, expected a power of two from {_N} to {_MOST_N}")
        if len(salt) < 16 or len(digest) != 32:
            raise ValueError("homeowner_pin_hash: expected a salt of 16 bytes or more and a hash of 32")
        return PinHash(n, salt, digest)

    @staticmethod
    def of(pin: str, salt: bytes) -> PinHash:
        """The hash to put into a configuration. `salt`: 16 random bytes."""
        return PinHash(_N, salt, _scrypt(pin, salt, _N))

    def text(self) -> str:
        return f"scrypt${self.n}${self.salt.hex()}${self.digest.hex()}"

    def matches(self, pin: str) -> bool:
        return hmac.compare_digest(_scrypt(pin, self.salt, self.n), self.digest)


def _scrypt(pin: str, salt: bytes, n: int) -> bytes:
    memory = 128 * n * _R + (1 << 20)
    return hashlib.scrypt(pin.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=_R, p=_P, maxmem=memory, dklen=32)


class PinVerdict(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    WAIT = "wait"  # not even looked at: too many wrong ones came before
    NOT_SET = "not_set"


@dataclass(frozen=True, slots=True)
class _Tries:
    wrong: int
    until_ns: int


class PinGuard:
    """Checks PINs, per user of the gateway, so that one user's guesses do not lock the homeowner out."""

    def __init__(self, pin_hash: PinHash | None) -> None:
        self._hash = pin_hash
        self._tries: dict[int, _Tries] = {}

    def check(self, pin: str, uid: int, now_ns: int) -> tuple[PinVerdict, int]:
        """The verdict, and how many seconds this user has to wait before the next try."""
        if self._hash is None:
            return PinVerdict.NOT_SET, 0
        tries = self._tries.get(uid, _Tries(0, 0))
        if now_ns < tries.until_ns:
            return PinVerdict.WAIT, -((now_ns - tries.until_ns) // S)
        if self._hash.matches(pin):
            self._tries.pop(uid, None)
            return PinVerdict.RIGHT, 0
        wrong = tries.wrong + 1
        wait_ns = 0
        if wrong >= FREE_TRIES:
            wait_ns = min(FIRST_WAIT_NS << min(wrong - FREE_TRIES, 20), LONGEST_WAIT_NS)
        self._remember(uid, _Tries(wrong, now_ns + wait_ns))
        return PinVerdict.WRONG, wait_ns // S

    def _remember(self, uid: int, tries: _Tries) -> None:
        if uid not in self._tries and len(self._tries) >= MAX_USERS:
            del self._tries[min(self._tries, key=lambda u: self._tries[u].until_ns)]
        self._tries[uid] = tries
