"""Whether a run may go on in a folder that holds one: what it is then, or why not. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from augpipe.errors import UsageError
from augpipe.run.config import differences
from augpipe.run.execution import Execution
from augpipe.run.state import RunState

_OF_PARTS = ("copies:", "sources_per_shard:")  # what an extended run differs in from one of as many copies


def begun(config: Mapping[str, Any], request: Mapping[str, Any]) -> RunState:
    """A run that begins."""
    return RunState(config, (config["copies"],), request)


def continued(
    before: RunState, config: Mapping[str, Any], how: Execution, folder: Path, *, shard_size_asked: bool
) -> RunState:
    """The run in ``folder`` as it goes on.

    Args:
        before: what its run.json says.
        config: what is asked for now.
        how: may ask for more copies, or accept other versions.
        folder: named in errors.
        shard_size_asked: whether the size of shards in ``config`` is a wish, or what followed from the copies.

    Raises:
        UsageError: it is a run of another configuration.
    """
    state = before
    wanted = dict(config)
    if how.extend:
        if not shard_size_asked:
            wanted["sources_per_shard"] = before.config["sources_per_shard"]
        if wanted["copies"] < before.config["copies"]:
            have = before.config["copies"]
            raise UsageError(f"{folder}: has {have} copies already; --extend expects {have} or more")
        compared = {**before.config, "copies": wanted["copies"]}
    else:
        compared = dict(before.config)
    if compared.get("versions") != wanted["versions"] and (how.accept_version or wanted["versions"] in before.accepted):
        if wanted["versions"] not in before.accepted:
            state = replace(state, accepted=(*state.accepted, wanted["versions"]))
        wanted["versions"] = compared.get("versions")
    changed = differences(compared, wanted)
    if len(before.ends) > 1 and not how.extend and all(c.startswith(_OF_PARTS) for c in changed):
        raise UsageError(
            f"{folder}: holds a run that was extended to {before.ends[-1]} copies, which are not those of one run\n"
            f"--extend {before.ends[-1]} goes on with it; or choose another DST"
        )
    if changed:
        raise _other(folder, changed, only_versions=all(c.startswith("versions.") for c in changed))
    return state.extended(wanted) if wanted["copies"] > before.config["copies"] else state


def _other(folder: Path, changed: list[str], *, only_versions: bool) -> UsageError:
    shown = "; ".join(changed[:3]) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")
    if only_versions:
        return UsageError(
            f"{folder}: was begun by other versions ({shown})\n"
            "--accept-version goes on with these, and the folder is then not the same bytes as either would give"
        )
    return UsageError(
        f"{folder}: holds a run of another configuration ({shown})\n"
        "choose another DST, or --overwrite to delete that run"
    )
