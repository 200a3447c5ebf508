"""The code that a run was made with, found among the files that are given for it now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from augpipe.core.errors import UsageError, one_line
from augpipe.core.paths import StrPath
from augpipe.recipe.own.loading import OwnOperations, load_all
from augpipe.recipe.own.source import PACKAGE

_SHOWN = 12  # digits of a digest


def code_of_run(
    rows: Any, given: Iterable[StrPath | OwnOperations], *, needed: bool = True
) -> tuple[OwnOperations, ...]:
    """The operations of one's own that a run was made with.

    Args:
        rows: ``ops`` of its configuration.
        given: files and packages that may be that code; others are left out.
        needed: whether all of it has to be there.

    Raises:
        UsageError: code of a name is not what it was, or is missing; or ``rows`` are not as docs/format.md has them.
    """
    try:
        wanted = [(str(row["name"]), str(row["digest"])) for row in rows]
    except (KeyError, TypeError) as error:
        raise UsageError("run.json: ops are not as docs/format.md has them; choose another DST") from error
    if not wanted:
        return ()
    loaded = load_all(given)
    found = [_found(name, digest, loaded, needed) for name, digest in wanted]
    return tuple(one for one in found if one is not None)


def _found(name: str, digest: str, given: Sequence[OwnOperations], needed: bool) -> OwnOperations | None:
    same = next((one for one in given if one.digest == digest), None)
    if same is not None:
        return replace(same, name=name)  # the file may be called otherwise now
    shown, then = one_line(name, 200), one_line(digest, 80)[:_SHOWN]
    other = next((one for one in given if one.name == name), None) or (given[0] if len(given) == 1 else None)
    if other is not None:
        raise UsageError(
            f"{one_line(other.name, 200)}: is not the code of {shown} that the run was made with: its SHA-256 is "
            f"{other.digest[:_SHOWN]}…, it was {then}…\nbring the code of then back; with other code it is another run"
        )
    if needed:
        option = f"--ops {shown}" if name.startswith(PACKAGE) else f"--ops with the {shown} of then"
        raise UsageError(f"the run was made with operations of {shown} (SHA-256 {then}…), so it needs {option}")
    return None
