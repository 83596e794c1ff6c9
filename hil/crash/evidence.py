"""What a home leaves behind in which a promise broke: its story as a file, beside its wire, its store and its logs."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

from hil.crash.story import Order, Said, Sample, Story
from hil.strict import FileError

NAME = "story.json"


def leave(left: Path, story: Story, home: int, seed: int, keep: Path | None) -> Path:
    """`left` is the directory that the home ran in; with `keep` it goes there. The directory, with the story in it."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        place = keep / f"crash_{seed}_home_{home}_{left.name.rpartition('-')[2]}"  # a home may be run again
        left = Path(shutil.move(left, place))
    told = [one.sentence for one in story.wrong()]
    body = {"seed": seed, "home": home, "wrong": told, **dataclasses.asdict(story)}
    (left / NAME).write_text(json.dumps(body) + "\n", encoding="utf-8")
    return left


def read(path: Path) -> Story:
    """The story of a file that `leave` wrote, to be judged anew. FileError when it is none."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        values = {field.name: raw[field.name] for field in dataclasses.fields(Story)}
        values["orders"] = [Order(**{**o, "said": [Said(**said) for said in o["said"]]}) for o in raw["orders"]]
        values["samples"] = [Sample(**sample) for sample in raw["samples"]]
        values |= {name: [(at, to) for at, to in raw[name]] for name in ("writes", "away")}
        return Story(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path}: not the story of a home ({error}); give the {NAME} of a kept one") from error
