"""Local paths that users name; URLs are refused with a way out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeAlias

from augpipe.core.errors import UsageError, one_line

StrPath: TypeAlias = str | os.PathLike[str]

# Path("s3://bucket") is s3:/bucket; a scheme has two letters at least, so that C:/ is none.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


def local_path(path: StrPath, what: str = "DST") -> Path:
    """A path to write to, or a folder that augpipe has written.

    Args:
        path: as the user gave it.
        what: the argument or option, for errors.

    Raises:
        UsageError: it is empty, is a URL, or cannot be a name of a file.
    """
    text = os.fsdecode(path)
    shown = one_line(text, 4096)
    if not text.strip():
        raise UsageError(f"{what} is empty; expected a path")
    if "\0" in text:
        raise UsageError(f"{what} {shown}: holds a zero character, which no file name can")
    if match := _SCHEME.match(text):
        scheme = match[1].lower()
        if scheme == "file":
            raise UsageError(f"{what} {shown}: expected a path, not a URL; leave {match[1]}:// out")
        raise UsageError(
            f"{what} {shown}: expected a local path; {scheme}:// is neither written to nor read as a finished folder\n"
            f"use a local path and copy it; ./{shown} is the local one of that name"
        )
    path = Path(text)
    return Path.cwd() / path if _SCHEME.match(str(path)) else path  # ./s3:/x, which Path calls s3:/x


def real_path(path: StrPath) -> Path:
    """A path without links; :meth:`pathlib.Path.resolve` raises where a link leads to itself, this leaves it there."""
    return Path(os.path.realpath(path))
