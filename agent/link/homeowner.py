"""What the homeowner says from afar: typed messages signed by a key of this home alone. The aggregator relays them.

It can withhold them or deliver them late, within `exp`, an opt-out later too (see OptOut). It cannot make, change,
repeat or redirect one: the key was named at the gateway, no bundle can add one, `aud` is this home, and `seq` only
ever rises, on the disk before it acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from agent.link.messages import DAY_MS, Down, _lifetime, of_kind

Permille = Annotated[int, Field(ge=0, le=1000)]
LIFE_MS = DAY_MS


class SetReserve(Down):
    """Kind "reserve": keep this much for the home."""

    kind: Literal["reserve"]
    permille: Permille


class Storm(Down):
    """Kind "storm": more for a while, from now on; 0 ends it."""

    kind: Literal["storm"]
    permille: Permille
    for_s: Annotated[int, Field(ge=0, le=14 * 86_400)] = 0
    reason: Annotated[str, Field(max_length=80)] = ""


class OptOut(Down):
    """Kind "opt_out": no dispatch until opt_in, or for a while from `iat` on. Its `exp` is not judged: that the home
    does less must not wait for a clock. So it may come late, and shortens none that is in force."""

    kind: Literal["opt_out"]
    for_s: Annotated[int, Field(ge=0, le=366 * 86_400)] = 0


class OptIn(Down):
    """Kind "opt_in": dispatch again."""

    kind: Literal["opt_in"]


class Consent(Down):
    """Kind "consent": agrees to the text with that SHA-256, such as terms, or a bundle (its root hash); or withdraws
    that."""

    kind: Literal["consent"]
    to: Literal["terms", "root", "homeowner_key", "data"]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    withdrawn: bool = False


AnyHomeowner = SetReserve | Storm | OptOut | OptIn | Consent
KINDS: Mapping[str, type[AnyHomeowner]] = {
    "reserve": SetReserve,
    "storm": Storm,
    "opt_out": OptOut,
    "opt_in": OptIn,
    "consent": Consent,
}


def parse_homeowner(claims: Mapping[str, object]) -> AnyHomeowner | str:
    """The message, or a sentence that says which field is wrong."""
    found = of_kind(claims, KINDS)
    if isinstance(found, str):
        return found
    if isinstance(found, Storm) and found.permille and not found.for_s:
        return "for_s: a storm needs a length"
    return _lifetime(found, LIFE_MS) or found
