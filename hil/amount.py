"""How much of something a command line may ask for: more than nothing."""

from __future__ import annotations

import argparse
import math


def amount(text: str) -> float:
    """A finite number > 0; argparse says what is wrong with another."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: a number above 0 expected")
    return number


def count(text: str) -> int:
    """A whole number > 0."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 on expected")
    return int(text)
