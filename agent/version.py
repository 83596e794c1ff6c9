"""The version of the product, once: pyproject.toml reads it from here."""

VERSION = "0.1.0"


def number(version: str = VERSION) -> int:
    """As a release manifest counts versions: major x 1,000,000 + minor x 1,000 + patch. ValueError for other forms."""
    major, minor, patch = (int(part) for part in version.split("."))
    return major * 1_000_000 + minor * 1_000 + patch
