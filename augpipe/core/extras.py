"""The extras of an installation: their requirements, and the command that installs one."""

from __future__ import annotations

import shlex
from importlib import metadata

from augpipe.core.errors import MissingLibrary, one_line


def requirements_of(extra: str) -> list[str]:
    """The requirements of an extra, such as ``torch>=2.4``, by the metadata of the installed package."""
    try:
        every = metadata.requires("augpipe") or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for line in every:
        requirement, _, marker = line.partition(";")
        if marker.replace("'", '"').replace(" ", "") == f'extra=="{extra}"':
            found.append(requirement.strip())
    return found


def install_command(extra: str) -> str:
    """The command that installs an extra. It names the packages, as augpipe itself is on no index yet."""
    return f"pip install {' '.join(map(shlex.quote, requirements_of(extra))) or f'.[{extra}]'}"


def missing(module: str, extra: str, error: ImportError) -> MissingLibrary:
    """The error of a module that needs an extra which is not installed, or does not load."""
    return MissingLibrary(f"{module} needs the extra {extra}: {one_line(error, 160)}\n{install_command(extra)}")


def version_of(package: str) -> str | None:
    """The installed version of a package, ``None`` if there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
