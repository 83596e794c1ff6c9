"""A contract type for import-linter: everything that `source` imports is on a list.

The built-in "forbidden" type needs the names of what is refused, so a module that is written tomorrow would be allowed.
"""

from __future__ import annotations

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyContract(Contract):
    """`source` and its submodules import nothing but `allowed` (packages with their submodules) directly."""

    type_name = "only"

    source = fields.StringField()
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Compare every direct import with the list; the error names the line."""
        source = str(self.source)
        allowed = [str(name) for name in self.allowed]  # type: ignore[attr-defined]  # a field is a list once parsed
        errors: list[Any] = []
        for importer in sorted({source, *graph.find_descendants(source)}):
            for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                if not any(imported == name or imported.startswith(f"{name}.") for name in allowed):
                    errors += graph.get_import_details(importer=importer, imported=imported)
        return ContractCheck(kept=not errors, metadata={"errors": errors})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say which line imports what."""
        for error in check.metadata["errors"]:
            line = f"{error['importer']}:{error['line_number']}"
            output.print_error(f"{line} imports {error['imported']}: not on the list")
