"""What every target raises."""

from __future__ import annotations


class Forbidden(Exception):
    """Something was accepted that must not be, or what is honest was refused."""
