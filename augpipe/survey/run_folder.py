"""What the files of a run say of it: totals of a finished folder, how far an unfinished one is, and how to go on."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.webdataset.schema import MANIFEST, read_manifest
from augpipe.run.folder.inventory import take_stock
from augpipe.run.folder.run_folder import RUN, RunFolder
from augpipe.run.folder.state import RunState
from augpipe.run.folder.store import open_store

_MOST_BROKEN = 5


def finished(folder: Path) -> dict[str, Any] | None:
    """The totals of a finished folder, ``None`` if it is none.

    Raises:
        DatasetError: its manifest is not as docs/format.md has it.
    """
    if not (folder / MANIFEST).is_file():
        return None
    manifest = read_manifest(folder, whole=True)
    try:
        totals, config = manifest["totals"], manifest["config"]
        return {
            "state": "finished",
            "shards": len(manifest["shards"]),
            "recipe": str(config["recipe"]["name"]),
            "seed": int(config["seed"]),
            "copies": int(config["copies"]),
            "originals": bool(config["originals"]),
            "split": config["split"],
            "splits": {str(name): dict(row) for name, row in manifest.get("splits", {}).items()},
            "source": str(config["source"]["format"]),
            "picture": {"format": str(config["picture"]["format"]), "quality": config["picture"]["quality"]},
            "versions": {str(k): str(v) for k, v in config["versions"].items()},
            "pictures": int(totals["pictures"]),
            "samples": int(totals["written"]),
            "rejected": int(totals["rejected"]),
            "objects": int(totals["objects"]),
            "dropped": _counts(totals["dropped"]),
            "notes": _counts(totals.get("notes", {})),
            "label_kinds": _counts(totals.get("label_kinds", {})),
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DatasetError(
            f"{folder / MANIFEST}: not as docs/format.md has it: {one_line(repr(error), 100)}; "
            "copy the folder again, or make it again"
        ) from error


def _counts(value: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in value.items()}


def unfinished(folder: Path) -> dict[str, Any] | None:
    """How far a run is that is not finished, ``None`` if there is none.

    Raises:
        UsageError: its run.json is damaged, or another version's.
    """
    if not (folder / RUN).is_file() or (folder / MANIFEST).is_file():
        return None
    store = open_store(folder)
    state = RunFolder(store).state()
    if state is None:
        return None
    stock = take_stock(store, state)
    records, broken = stock.done.values(), list(stock.broken.items())[:_MOST_BROKEN]
    rejects: Counter[str] = Counter()
    for record in records:
        for row in record["rejects"]:
            if isinstance(row, Mapping) and isinstance(row.get("copies"), list):
                rejects[str(row.get("error"))] += len(row["copies"])
    return {
        "state": "unfinished",
        "shards": state.shards,
        "shards_done": len(stock.done),
        "shards_broken": [{"name": state.name_of(index), "why": why} for index, why in broken],
        "recipe": one_line(state.config.get("recipe", {}).get("name", "")),
        "copies": state.config["copies"],
        "splits": {
            name: {
                "pictures": pictures,
                "samples": sum(stock.done[i]["samples"] for i in _tasks_of(state, name) if i in stock.done),
                "shards": len(_tasks_of(state, name)),
                "augmented": name in state.augmented,
            }
            for name, pictures in (state.splits.items() if state.has_splits else ())
        },
        "source": one_line(state.request.get("source", "")),
        "pictures": state.config["source"]["pictures"],
        **{name: sum(record[name] for record in records) for name in ("samples", "objects", "rejected")},
        "rejects": dict(sorted(rejects.items())),
        "next": _next_step(folder, len(stock.done) == state.shards),
    }


def _tasks_of(state: RunState, split: str) -> list[int]:
    """The numbers of the tasks of a split."""
    return [index for part in state.parts if part.split == split for index in part.tasks]


def _next_step(folder: Path, all_there: bool) -> str:
    """What to do with an unfinished run."""
    if all_there:
        return f"all shards are there; close it with: augpipe finish {shlex.quote(str(folder))}"
    return "run the same augment command again; it goes on with the shards that are missing"
