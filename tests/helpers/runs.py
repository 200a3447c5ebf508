"""Shorthands for tests that run augpipe: one call for a run, and reading what came of it with the standard library."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from augpipe.formats.base import SourceOptions
from augpipe.recipe import yaml_reader
from augpipe.recipe.load import compiled, load
from augpipe.recipe.nodes import Recipe
from augpipe.run.augment import Execution, Limits, RunOptions, Summary, Watcher, augment


def recipe_of(text: str) -> Recipe:
    return compiled(yaml_reader.read("test.yaml", text), "test")


def run(
    source: Path | str, folder: Path, recipe: str | Recipe = "detection", *, workers: int = 0, **options: Any
) -> Summary:
    """A run; options that belong to the source, the limits and the call itself are sorted out here."""
    source_names = {"split", "classes", "images", "limit", "exif", "voc_origin", "format", "parting"}
    reading = SourceOptions(**{k: options.pop(k) for k in source_names & options.keys()})
    limits = Limits(options.pop("max_rejects", "1%"), options.pop("max_dropped", None))
    how = {k: options.pop(k) for k in ("overwrite", "check", "accept_version", "extend", "tasks") if k in options}
    chosen = load(recipe) if isinstance(recipe, str) else recipe
    return augment(
        str(source),
        folder,
        chosen,
        RunOptions(source=reading, **options),
        execution=Execution(workers=workers, **how),
        limits=limits,
    )


def hashes(folder: Path) -> dict[str, str]:
    """Shard → sha256."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.tar"))}


def promised(folder: Path) -> dict[str, Any]:
    """Everything that is covered by the same-bytes promise: tars, records without `run`, and rejects."""
    records = {}
    for path in sorted(folder.glob("*-??????.json")):
        record = json.loads(path.read_text("utf-8"))
        del record["run"]
        records[path.name] = record
    return {"tars": hashes(folder), "records": records, "rejects": (folder / "rejects.jsonl").read_text("utf-8")}


def promised_manifest(folder: Path) -> dict[str, Any]:
    """The manifest without what is not covered by the promise."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return {k: v for k, v in manifest.items() if k not in ("finished", "seconds", "source_path", "command")}


def samples(folder: Path) -> dict[str, dict[str, bytes]]:
    """KEY → ending → bytes, in the order of the shards."""
    out: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, ending = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                out.setdefault(key, {})[ending] = file.read()
    return out


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """KEY → record."""
    return {key: json.loads(files["json"]) for key, files in samples(folder).items()}


class Listening(Watcher):
    """Writes down what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures, self.troubles = 0, []

    def progress(self, pictures, rejected):
        self.pictures += pictures

    def trouble(self, sentence):
        self.troubles.append(sentence)
