"""Pictures that are in two splits: what a model is measured by is then partly what it has seen.

The records of the shards have the sha256 of each source's bytes, so this reads no picture.
"""

from __future__ import annotations

from collections.abc import Mapping

from augpipe.core.errors import one_line
from augpipe.formats.base import plural
from augpipe.formats.layout.purposes import shown_split
from augpipe.run.folder.inventory import Record
from augpipe.run.folder.state import RunState


def remarks_on_overlap(state: RunState, records: Mapping[int, Record]) -> list[str]:
    """A sentence for each two splits that have pictures of the same bytes, with an example.

    Args:
        state: the run.
        records: of its shards by number.
    """
    if len(state.splits) < 2:
        return []
    first: dict[str, tuple[str, str]] = {}
    counts: dict[tuple[str, str], int] = {}
    examples: dict[tuple[str, str], str] = {}
    seen: set[str] = set()
    for part in state.parts:
        for index in part.tasks:
            record = records.get(index)
            sources = (record or {}).get("run", {}).get("sources")
            if record is None or not sources:
                continue
            for key, sha256 in zip(record["task"]["sources"], sources["sha256"], strict=True):
                if sha256 is None or key in seen:
                    continue
                seen.add(key)
                split, other = first.setdefault(sha256, (part.split, key))
                if split != part.split:
                    pair = (split, part.split)
                    counts[pair] = counts.get(pair, 0) + 1
                    examples.setdefault(pair, f"{one_line(key, 100)} is {one_line(other, 100)}")
    return [
        f"{plural(count, 'picture')} of {shown_split(two)} {'is' if count == 1 else 'are'} also in {shown_split(one)}, "
        f"byte for byte: {examples[one, two]}"
        for (one, two), count in counts.items()
    ]
