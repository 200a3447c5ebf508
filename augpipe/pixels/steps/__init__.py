"""The step kinds, a file each. All files of this folder are imported here, so a new one needs no line anywhere else.

A file imports the core and :mod:`augpipe.pixels.reference` at its top, since drawing a plan imports it, too. What a
backend needs besides is imported where it is used, so a step's reference can hardly share code with a backend.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
