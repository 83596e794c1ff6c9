"""The dialects that a profile may name in `line.dialect`."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.dialect import Dialect
from drivers.dialect_ascii import Ascii
from drivers.dialect_jbd import Jbd
from drivers.dialect_jk import JkPb

DIALECTS: Mapping[str, Dialect] = {
    "jbd": Jbd(),
    "jk_pb": JkPb(),
    "pace": Ascii(0x25),
    "pylontech": Ascii(0x20),
}
