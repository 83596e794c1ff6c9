"""What the operator set from afar. What it means: `agent.remote`."""

from __future__ import annotations

from agent.store.mirrored import MirroredFile


class DocumentsFile(MirroredFile):
    """The settings before or the ones after, never a mixture."""
