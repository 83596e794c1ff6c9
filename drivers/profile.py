"""Device families as data: the frozen form of profiles/*.toml, and the checks that a file must pass.

Every complaint is a ProfileError that names file, key and reason. Refused are: a setpoint without release, a write
without bounds, overlapping points, a scale too coarse for the setpoint, unknown names, and anything pydantic refuses.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from drivers.family import Profile
from drivers.profile_error import ProfileError
from drivers.profile_fit import check_fit
from drivers.profile_reader import ProfileReader
from drivers.profile_schema import ProfileEdge

__all__ = ["ProfileError", "load", "parse"]

PROFILES = Path(__file__).parent / "profiles"


@cache
def path_of(profile_id: str, directory: Path | None = None) -> Path:
    """Its file: in `directory` if there is one, else among the shipped ones."""
    own = None if directory is None else directory / f"{profile_id}.toml"
    return own if own is not None and own.is_file() else PROFILES / f"{profile_id}.toml"


def load(profile_id: str, directory: Path | None = None) -> Profile:
    """A profile by its id: a shipped one, or NAME.toml of `directory`. ProfileError if there is none or it is wrong."""
    shipped, own = PROFILES / f"{profile_id}.toml", None if directory is None else directory / f"{profile_id}.toml"
    path = path_of(profile_id, directory)
    if not path.is_file():
        places = (PROFILES,) if directory is None else (PROFILES, directory)
        known = ", ".join(sorted(p.stem for place in places for p in place.glob("*.toml")))
        raise ProfileError(path.name, "profile", f"there is no such profile; known are {known}")
    if path == own and shipped.is_file():
        raise ProfileError(str(own), "profile", f"{profile_id} is a shipped profile; give yours a name of its own")
    try:
        found = parse(path.read_text("utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(str(path), "profile", f"cannot be read: {error}") from error
    if found.id != profile_id:
        raise ProfileError(path.name, "id", f'"{found.id}" is not the name of the file; make them the same')
    return found


def parse(text: str, file: str) -> Profile:
    """A profile from its TOML text; `file` is the name for complaints."""
    try:
        edge = ProfileEdge.model_validate(tomllib.loads(text))
    except ValidationError as error:  # before ValueError, which it is too
        first = error.errors(include_url=False)[0]
        raise ProfileError(file, _key(first["loc"]), f"{first['msg']} (found {first['input']!r:.80})") from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of thousands of digits, a list in a list in ...
        raise ProfileError(file, "toml", str(error).partition(";")[0]) from error
    profile = ProfileReader(edge, file).profile()
    check_fit(file, profile)
    return profile


def _key(loc: tuple[int | str, ...]) -> str:
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
