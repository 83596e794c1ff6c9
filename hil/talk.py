"""Where the bench says things: data on stdout, talk on stderr."""

from __future__ import annotations

import sys


def data(text: str) -> None:
    """One line of what was asked for."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """One line about how it goes."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
