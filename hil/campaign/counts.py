"""What a state file says that was counted, read strictly: what cannot have been counted so is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hil.strict import FileError


class Counts:
    """The `counted` of a file. Every method raises FileError with what was seen and what to do."""

    def __init__(self, path: Path | None, raw: Mapping[str, Any], where: str = "counted") -> None:
        self._path, self._where = path, where
        self._raw, self._asked = dict(raw), set[str]()

    def _value(self, key: str) -> object:
        self._asked.add(key)
        return self._raw.get(key)

    def number(self, key: str) -> int:
        """A whole number from 0 on."""
        value = self._value(key)
        self.must(type(value) is int and value >= 0, f"{key} is {value!r:.80}, a whole number from 0 on expected")
        assert isinstance(value, int), "checked above"
        return value

    def real(self, key: str, least: float, most: float) -> float:
        """A number from `least` to `most`."""
        value = self._value(key)
        fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        self.must(fits, f"{key} is {value!r:.80}, a number from {least:g} to {most:g} expected")
        assert isinstance(value, int | float), "checked above"
        return value

    def text(self, key: str) -> str:
        """A text."""
        value = self._value(key)
        self.must(isinstance(value, str), f"{key} is {value!r:.80}, a text expected")
        return str(value)

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        value = self._value(key)
        fits = isinstance(value, list) and all(isinstance(text, str) for text in value)
        self.must(fits, f"{key} is {value!r:.80}, a list of texts expected")
        return list(value) if isinstance(value, list) else []

    def pairs(self, key: str) -> list[list[str]]:
        """A list of two texts each."""
        value = self._value(key)
        listed = value if isinstance(value, list) else [()]
        fits = all(isinstance(p, list) and len(p) == 2 and all(isinstance(t, str) for t in p) for p in listed)
        self.must(fits, f"{key} is {value!r:.80}, a list of pairs of texts expected")
        return [list(pair) for pair in listed]

    def by_name(self, key: str, names: Collection[str]) -> Counter[str]:
        """Whole numbers from 0 on, by names of which none is unknown."""
        value = self._value(key)
        self.must(isinstance(value, dict), f"{key} is {value!r:.80}, a table expected")
        table = Counts(self._path, value if isinstance(value, dict) else {}, f"{self._where}.{key}")
        found = Counter({name: table.number(name) for name in names if name in table._raw})
        table.done()
        return found

    def must(self, holds: bool, sentence: str) -> None:
        """FileError with that sentence, unless it holds."""
        if not holds:
            text = f"{self._path}: {self._where}: {sentence}; the file was changed or is damaged: delete it"
            raise FileError(f"{text}, or give another path")

    def done(self) -> None:
        """Nothing else is there."""
        unknown = sorted(map(str, self._raw.keys() - self._asked))
        self.must(not unknown, f"{', '.join(unknown)[:80]}: nobody counts that")
