"""What must hold of what a command makes, right after it was disturbed and in the end: for chaos.py and chaos_real.py.

What is made is ``shards``, a ``dataset`` that a run fills, a ``tree`` that a conversion writes, or a ``file``; nothing
where the text is empty.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from runs import promised, promised_manifest

HIDDEN = ".augpipe-run"
PART = ".augpipe.part"
"""The folder and the lock of a conversion that is at work, or was killed."""
WAY_OUT = "--overwrite"
"""What the refusal names where a conversion was killed as it moved its files to their places."""


def shards_of(makes: str, out: Path) -> Path:
    """The folder of the run."""
    return out / HIDDEN / "shards" if makes == "dataset" else out


def is_done(makes: str, out: Path, wanted: Path | None) -> bool | None:
    """Whether the work of a command is done; ``None`` for one that makes nothing."""
    if makes == "shards":
        return is_finished(out)
    if makes == "dataset":  # tars that a kill has left go with the next call
        shards = shards_of(makes, out)
        return is_finished(shards) and _is_placed(out) and not any(shards.glob("*.tar"))
    if not makes:
        return None
    return files_of(out) == files_of(wanted) if wanted is not None else out.exists()


def is_finished(shards: Path) -> bool:
    """Whether a run has ended with every picture."""
    rejects = shards / "rejects.jsonl"
    return (shards / "manifest.json").exists() and rejects.exists() and not rejects.read_text()


def _is_placed(out: Path) -> bool:
    path = out / HIDDEN / "dataset.json"
    return path.exists() and json.loads(path.read_bytes())["placed"]


def at_any_time(makes: str, out: Path, exempt: str = "") -> Iterator[str]:
    """What is wrong right after an event, however it ended."""
    if makes == "shards":
        yield from problems_at_once(out, exempt)
    if makes == "dataset" and _is_placed(out):
        rows = map(json.loads, (out / HIDDEN / "files.jsonl").read_bytes().splitlines())
        yield from (f"{row['name']}: is listed and not there" for row in rows if not (out / row["name"]).is_file())


def unlike(makes: str, out: Path, wanted: Path) -> Iterator[tuple[str, str, int]]:
    """(flaw, what is told, how often) of everything that is otherwise than after a calm run."""
    if makes == "shards":
        yield from (("not the same", problem, 1) for problem in final_problems(out, wanted))
        names = ("lost", "doubled", "differing")
        yield from ((what, "members", n) for what, n in zip(names, compared(out, wanted), strict=True) if n)
        return
    found, right = files_of(out), files_of(wanted)
    if makes == "dataset":
        if len({str(promised(shards_of(makes, place))) for place in (out, wanted)}) > 1:
            yield "differing", f"{out}: records", 1
        found, right = _without_shards(found), _without_shards(right)
    for what, names in (("lost", right.keys() - found.keys()), ("doubled", found.keys() - right.keys())):
        if names:
            yield what, f"{sorted(names)[:3]}", len(names)
    if differ := [name for name in found.keys() & right.keys() if found[name] != right[name]]:
        yield "differing", f"{sorted(differ)[:3]}", len(differ)


def _without_shards(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if not name.startswith(f"{HIDDEN}/shards/")}


def files_of(out: Path) -> dict[str, bytes]:
    """Name → content of a file, or of all that lie in a folder."""
    if out.is_file():
        return {"": out.read_bytes()}
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and not path.relative_to(out).parts[0].startswith(PART)
    }


def problems_at_once(folder: Path, exempt: str) -> Iterator[str]:
    """Right after a fault: shards with a record are whole, and a manifest stands over the whole run."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    whole = {}
    for name in sorted(n for n in names if re.fullmatch(r"[a-z]+-[0-9]{6}\.json", n)):
        record = json.loads((folder / name).read_bytes())
        tar = folder / record["name"]
        whole[record["name"]] = record
        if record["samples"] and record["name"] != exempt:
            if not tar.is_file():
                yield f"{name}: has a record and no tar"
            elif hashlib.sha256(tar.read_bytes()).hexdigest() != record["sha256"]:
                yield f"{name}: its tar is not the one of the record"
    if "manifest.json" in names:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        totals = manifest["totals"]
        if totals["written"] + totals["rejected"] != totals["expected"]:
            yield "manifest.json: samples are missing from the sum"
        for shard in manifest["shards"]:
            if whole.get(shard["name"], {}).get("sha256") != shard["sha256"]:
                yield f"manifest.json: {shard['name']} has no such record"
        if "rejects.jsonl" not in names:
            yield "manifest.json: is there before rejects.jsonl"
    odd = {n for n in names if not n.endswith((".tar", ".json", ".jsonl")) and n != ".augpipe"}
    if odd:
        yield f"left over: {sorted(odd)}"


def final_problems(folder: Path, wanted: Path) -> list[str]:
    """What is otherwise than after the undisturbed run."""
    names, others = ({path.name for path in f.iterdir()} for f in (folder, wanted))
    out = [f"left over or missing: {sorted(names ^ others)}"] if names != others else []
    if not {"manifest.json", "rejects.jsonl"} <= names:
        return out
    found, right = promised(folder), promised(wanted)
    out += [f"{what}: differ" for what in found if found[what] != right[what]]
    return out + (["manifest.json: differs"] if promised_manifest(folder) != promised_manifest(wanted) else [])


def _members(folder: Path) -> Counter[tuple[str, str]]:
    """(name, hash) of all members of all tars."""
    out: Counter[tuple[str, str]] = Counter()
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            out.update((m.name, hashlib.sha256(tar.extractfile(m).read()).hexdigest()) for m in tar)  # type: ignore[union-attr]
    return out


def compared(folder: Path, wanted: Path) -> tuple[int, int, int]:
    """(lost, duplicated, differing) members."""
    found, right = _members(folder), _members(wanted)
    names, expected = Counter(name for name, _ in found.elements()), {name for name, _ in right}
    lost = len(expected - set(names))
    duplicated = sum(count - 1 for count in names.values()) + len(set(names) - expected)
    return lost, duplicated, len(set(found) - set(right)) - len(set(names) - expected)
