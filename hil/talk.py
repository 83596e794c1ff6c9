"""Where the bench says things: data on stdout, talk on stderr."""

from __future__ import annotations

import sys


def data(text: str) -> None:
    """One line of what was asked for."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """One line about how it goes."""
    rest = "\x1b[K" if sys.stderr.isatty() else ""  # of a progress line that stood there
    sys.stderr.write(f"{text}{rest}\n")
    sys.stderr.flush()
