"""Whether manifest.json and rejects.jsonl, which are made of the commit records, are what the records come to.

What has been damaged since is made again, as a finished folder is whole. Fields that only later versions write may be
missing in a manifest, and fields of other versions may be there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from augpipe.core.errors import one_line
from augpipe.formats.webdataset.safe_parse import bounded, object_of
from augpipe.formats.webdataset.schema import MANIFEST, REJECTS, parse_manifest
from augpipe.run.config import canonical_json
from augpipe.run.folder.inventory import Inventory, Record
from augpipe.run.folder.manifest import manifest_of
from augpipe.run.folder.run_folder import RunFolder, sorted_rejects
from augpipe.run.folder.state import RunState
from augpipe.run.folder.store import Store

_OF_THE_MOMENT = ("finished", "seconds", "source_path", "command")
"""Fields of the manifest that the records do not tell."""


def faults_of_books(output: RunFolder, stock: Inventory) -> list[str]:
    """What is wrong with the books of a folder with a manifest, a sentence a file; none for an unfinished one."""
    store, state = output.store, output.state()
    if state is None or not output.is_finished():
        return []
    if len(stock.done) < state.shards:
        return [f"{MANIFEST}: is there, but {state.shards - len(stock.done)} of {state.shards} shards are not"]
    records = [stock.done[index] for index in range(state.shards)]
    faults = ((MANIFEST, _fault_of_manifest(store, state, records)), (REJECTS, _fault_of_rejects(store, records)))
    return [f"{name}: {fault}" for name, fault in faults if fault]


def _fault_of_manifest(store: Store, state: RunState, records: Sequence[Record]) -> str:
    try:
        with store.open(MANIFEST) as file:
            there = parse_manifest(bounded(file), whole=True)
    except (OSError, ValueError) as error:
        return f"cannot be read: {one_line(error, 200)}"
    made = json.loads(canonical_json(manifest_of(store.folder, state, records, 0.0, "")))
    differing = [name for name in made if name not in _OF_THE_MOMENT and not _agree(there, made, name)]
    return f"{', '.join(differing)} not as the records have it" if differing else ""


def _agree(there: Mapping[str, Any], made: Mapping[str, Any], name: str) -> bool:
    if name == "totals":
        sums: Mapping[str, Any] = there[name]
        return all(sums.get(key, value) == value for key, value in made[name].items())
    return bool(there.get(name, made[name]) == made[name])


def _fault_of_rejects(store: Store, records: Sequence[Record]) -> str:
    made = sorted_rejects(row for record in records for row in record["rejects"])
    data = b"".join(canonical_json(row) + b"\n" for row in made)
    try:
        with store.open(REJECTS) as file:
            there = file.read(2 * len(data) + 1)
        rows = [] if there == data else sorted(canonical_json(object_of(line)) for line in there.splitlines())
        if there != data and rows != sorted(data.splitlines()):
            return "is not what the records say"
    except FileNotFoundError:
        return "is gone"
    except (OSError, ValueError) as error:
        return f"cannot be read: {one_line(error, 200)}"
    return ""
