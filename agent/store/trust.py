"""Whom this home believes: no cut and no rot brings back a bundle from before a revocation. What it means:
`agent.link.anchor`."""

from __future__ import annotations

from agent.store.mirrored import MirroredFile


class TrustFile(MirroredFile):
    """The trust of this home."""

    unsure = "; the trust in the file may still be the old one"
