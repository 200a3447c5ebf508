"""Hold a finished folder against `docs/format.md`, without a line of augpipe.

python tests/helpers/format_checker.py DST
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from checker.context import Context
from checker.ledger import Shard, check_rejects, check_shard
from checker.manifest import check_manifest, check_run
from checker.values import as_dict, read_json, short

SINGLE = ("run.json", "rejects.jsonl", "manifest.json")
SHARD = re.compile(r"(?P<split>.+)-(?P<number>[0-9]{6})\.(?P<kind>tar|json)", re.DOTALL)


def check_folder(dst: Path, *, sources: Mapping[str, bytes] | None = None) -> list[str]:
    """Return everything wrong with a finished folder; an empty list accepts it.

    With `sources`, the bytes of the source pictures by source key, hashes, sizes and orientations are compared too.
    """
    dst = Path(dst)
    if not dst.is_dir():
        return [f"{dst}: not a folder"]
    run, problems = read_file(dst, "run.json")
    manifest, more = read_file(dst, "manifest.json")
    problems += more
    config = as_dict(manifest).get("config") or as_dict(run).get("config")
    problems += check_contents(dst, as_dict(config).get("split"))
    context = Context.of(config, manifest, sources)
    shards: list[Shard] = []
    for number, stem in records(dst):
        tar = dst / f"{stem}.tar"
        record = (dst / f"{stem}.json").read_bytes()
        shard, more = check_shard(number, stem, record, tar.read_bytes() if tar.is_file() else None, context)
        shards.append(shard)
        problems += more
    if (dst / "rejects.jsonl").is_file():
        problems += check_rejects((dst / "rejects.jsonl").read_bytes(), shards)
    problems += check_run(run, manifest)
    problems += check_manifest(manifest, as_dict(run).get("digest"), shards)
    problems += check_across(shards)
    return problems


def read_file(dst: Path, name: str) -> tuple[Any, list[str]]:
    """Return the document in a file, or None; a missing file is reported with the folder's contents."""
    path = dst / name
    return read_json(path.read_bytes(), name) if path.is_file() else (None, [])


def records(dst: Path) -> list[tuple[int, str]]:
    """Return (number, name) of every commit record, in order."""
    found = [(SHARD.fullmatch(path.name), path) for path in dst.iterdir() if path.is_file()]
    return sorted((int(m["number"]), path.stem) for m, path in found if m and m["kind"] == "json")


def check_contents(dst: Path, split: Any) -> Iterator[str]:
    """Report what a finished folder should not hold, and what it should and does not."""
    names = {path.name: path for path in dst.iterdir()}
    for name in SINGLE:
        if name not in names:
            yield f"{name}: missing; the run is unfinished"
    numbers: dict[str, set[int]] = {"tar": set(), "json": set()}
    for name, path in sorted(names.items()):
        match = SHARD.fullmatch(name)
        if path.is_symlink() or not path.is_file():
            yield f"{name}: not a regular file; a finished folder is flat, without .augpipe"
        elif match:
            numbers[match["kind"]].add(int(match["number"]))
            # Either: without --split the configuration has no split, or says "all".
            if match["split"] != (split or "all"):
                yield f"{name}: SPLIT is {match['split']!r}, not {split or 'all'!r}"
        elif name not in SINGLE:
            yield f"{name}: does not belong in a finished folder"
    for number in sorted(numbers["tar"] - numbers["json"]):
        yield f"shard {number:06d}: a tar without a commit record"
    if numbers["json"] != set(range(len(numbers["json"]))):
        yield f"shards: numbering has a gap: {sorted(numbers['json'])}"


def check_across(shards: list[Shard]) -> Iterator[str]:
    """Report what two shards cannot both be right about."""
    written = [sample for shard in shards for sample in shard.written]
    twice = [key for key, n in Counter(sample.key for sample in written).items() if n > 1]
    if twice:
        yield f"shards: KEY is there more than once: {short(twice)}"
    origins: dict[str, set[str]] = {}
    for sample in written:
        origins.setdefault(sample.source, set()).add(sample.origin)
    for source, found in origins.items():
        if len(found) > 1:
            yield f"shards: image_id, source, or objects + dropped of {source!r} differs between its copies"


def main() -> None:
    """Print what is wrong with the folder, and exit with 1 if anything is."""
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/helpers/format_checker.py DST")
    problems = check_folder(Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
