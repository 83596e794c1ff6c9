"""Why a profile must not be used."""

from __future__ import annotations


class ProfileError(ValueError):
    """Names the file, the key in it and the reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}")
        self.file, self.key, self.reason = file, key, reason
