"""What an operator must hear of at once: a home that speaks an older protocol than before, or a row that is two.

The version of a message to a home is the highest that both speak. A home's list of versions is signed, but an older
birth of it may be shown again, and a broken update may bring an older agent: fewer than before is an alarm, and the
messages follow the home all the same, since it takes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hil.aggregator.ledger import Fate

PROTOCOLS = (1,)  # that this aggregator speaks


class Versions:
    """The protocol of each home. `best`: the highest that each ever listed, as it was kept."""

    def __init__(self, best: Mapping[str, int], own: tuple[int, ...] = PROTOCOLS) -> None:
        self.best = dict(best)
        self._own = own
        self._listed: dict[str, tuple[int, ...]] = {}

    def heard(self, device: str, birth: Mapping[str, Any]) -> tuple[str, ...]:
        """What is wrong with the list of a verified birth, in sentences."""
        raw = birth.get("protocols")
        listed = tuple(v for v in raw if type(v) is int) if isinstance(raw, list) else (1,)
        self._listed[device] = listed
        found = []
        if not set(listed) & set(self._own):
            found.append(
                f"it speaks protocols {list(listed)}, and we speak {list(self._own)}: nothing can be sent to it"
            )
        if max(listed, default=0) < self.best.get(device, 0):
            found.append(f"it speaks protocol {max(listed, default=0)} at most, and spoke {self.best[device]} before")
        self.best[device] = max(self.best.get(device, 0), *listed, 0)
        return tuple(found)

    def speaks(self, device: str) -> bool:
        """Whether anything can be said to that home."""
        return bool(set(self._listed.get(device, self._own)) & set(self._own))

    def choose(self, devices: tuple[str, ...]) -> int:
        """The highest version that all of them and we speak; of several homes, those that share none with us do not
        count, and where the others share no one version, most are spoken to: no home's list may make a stop of its
        group impossible. ValueError if nobody would understand it."""
        listed = [set(self._listed.get(device, self._own)) for device in devices if self.speaks(device)]
        if devices and not listed:
            lists = ", ".join(f"{device} {list(self._listed[device])}" for device in devices if device in self._listed)
            raise ValueError(f"no common protocol: {lists}; this aggregator {list(self._own)}")
        return max(self._own, key=lambda version: (sum(version in one for one in listed), version))


def of_row(kind: str, claims: Mapping[str, Any], fate: Fate) -> tuple[str, ...]:
    """What is wrong with a verified row, in sentences."""
    if fate is Fate.CONFLICT:
        return (f"row {claims['seq']} ({kind}) came again with other content: a clone, or a restored disk",)
    return ()
