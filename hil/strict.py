"""Reading a table of a file strictly: what nobody asked for is refused with file, key and reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from hil.duration import duration_ns
from hil.expr import Expr, compile_expr

T = TypeVar("T", int, float, str, bool)


class FileError(ValueError):
    """A file that says something it may not: `FILE: KEY: what was seen, what was expected`."""


class Table:
    """One table of `file`; `where` is its place, such as "event[3]"."""

    def __init__(self, file: str, where: str, raw: object) -> None:
        if not isinstance(raw, Mapping):
            raise FileError(f"{file}: {where}: expected a table, found {raw!r}")
        self._file = file
        self._where = where
        self._raw = dict(raw)
        self._asked: set[str] = set()

    def fail(self, key: str, reason: str) -> FileError:
        """The error to raise about `key`."""
        return FileError(f"{self._file}: {self._where}.{key}: {reason}")

    def has(self, key: str) -> bool:
        """Whether the file gives `key`."""
        return key in self._raw

    def raw(self, key: str) -> object:
        """The value as it stands, None when absent."""
        self._asked.add(key)
        return self._raw.get(key)

    def text(self, key: str, default: str | None = None, among: Collection[str] = ()) -> str:
        """A string; `default` None = required."""
        value = self._typed(key, str, default)
        if among and value not in among:
            raise self.fail(key, f"{value!r} is not one of {', '.join(sorted(among))}")
        return value

    def maybe_text(self, key: str) -> str | None:
        """A string, or None when absent."""
        return self.text(key) if self.has(key) else None

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        return self._typed(key, int, default)

    def maybe_integer(self, key: str) -> int | None:
        """A whole number, or None when absent."""
        return self.integer(key) if self.has(key) else None

    def flag(self, key: str, default: bool = False) -> bool:
        """true or false."""
        return self._typed(key, bool, default)

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of strings."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, f"expected a list of texts, found {value!r}")
        return tuple(value)

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise self.fail(key, f"expected a list of whole numbers, found {value!r}")
        return tuple(value)

    def duration(self, key: str, default: str | None = None) -> int:
        """Nanoseconds from "90s"."""
        value = self.raw(key)
        if value is None and default is None:
            raise self.fail(key, "is missing")
        try:
            return duration_ns(default if value is None else value)
        except ValueError as error:
            raise self.fail(key, str(error)) from None

    def maybe_duration(self, key: str) -> int | None:
        """Nanoseconds, or None when absent."""
        return self.duration(key) if self.has(key) else None

    def expr(self, key: str, names: Collection[str], functions: Collection[str] = ()) -> Expr:
        """An expression over `names`."""
        try:
            return compile_expr(self.text(key), names, functions)
        except FileError:
            raise
        except ValueError as error:
            raise self.fail(key, str(error)) from None

    def maybe_expr(self, key: str, names: Collection[str], functions: Collection[str] = ()) -> Expr | None:
        """An expression, or None when absent."""
        return self.expr(key, names, functions) if self.has(key) else None

    def table(self, key: str) -> Table:
        """A table below this one; empty when absent."""
        value = self.raw(key)
        return Table(self._file, f"{self._where}.{key}", {} if value is None else value)

    def tables(self, key: str) -> list[Table]:
        """A list of tables below this one."""
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.fail(key, f"expected [[{key}]], found {value!r}")
        return [Table(self._file, f"{key}[{i}]", item) for i, item in enumerate(value)]

    def keys(self) -> list[str]:
        """Every key that the file gives here, in its order."""
        return list(self._raw)

    def done(self) -> None:
        """Refuse what nobody asked for."""
        for key in self._raw:
            if key not in self._asked:
                raise self.fail(key, f"is not a key here; known: {', '.join(sorted(self._asked))}")

    def _typed(self, key: str, kind: type[T], default: T | None) -> T:
        value = self.raw(key)
        if value is None:
            if default is None:
                raise self.fail(key, "is missing")
            return default
        if type(value) is not kind:
            raise self.fail(key, f"expected {_WORDS[kind]}, found {value!r}")
        return value


_WORDS: Mapping[type, str] = {str: "a text", int: "a whole number", bool: "true or false", float: "a number"}
