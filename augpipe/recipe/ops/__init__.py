"""The vocabulary of recipes. Every file of this package is imported, and registers the operations that it defines."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from augpipe.recipe.operation.base import COMMON_FIELDS, OPERATIONS, Operation

_FIRST = ("geometric", "crop_pad", "color", "pixel")
"""The order of operations in the schema and in documents; other files come after these."""

for _module in dict.fromkeys((*_FIRST, *(found.name for found in iter_modules(__path__)))):
    import_module(f"{__name__}.{_module}")

__all__ = ["COMMON_FIELDS", "OPERATIONS", "Operation"]
