"""A contract for import-linter: other packages import a package only by its door, its `__init__.py`.

Imports inside functions count as well.
"""

from __future__ import annotations

import grimp
from importlinter import Contract, ContractCheck, fields, output


class DoorContract(Contract):
    """Every package below the root packages has a door; `open_modules` are modules that others may import directly."""

    type_name = "door"

    doorless = fields.ListField(subfield=fields.StringField())
    """Packages without a door: their modules may be imported."""
    open_modules = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        """Check each import of a module by a module outside its package."""
        doorless, open_modules = set(self.doorless), set(self.open_modules)  # type: ignore[call-overload]
        broken = [
            f"{importer} -> {imported}"
            for imported in sorted(graph.modules - open_modules)
            for importer in sorted(graph.find_modules_that_directly_import(imported))
            if any(not _within(importer, package) for package in _packages_of(imported) if package not in doorless)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["broken"]:
            output.print_error(f"{line}: import it from the package, and name it in the package's __init__.py")


def _packages_of(module: str) -> list[str]:
    """Return the packages that hold a module: `a.b.c` -> `a`, `a.b`."""
    parts = module.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
