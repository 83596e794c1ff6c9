"""Who somebody on the gateway is, for messages."""

from __future__ import annotations

import pwd


def user_name(uid: int) -> str:
    """The name of a user, or "uid N" of one that is not in the system's list."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
