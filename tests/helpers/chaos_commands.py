"""The commands that chaos_real.py disturbs: their words, and the sets and folders that they work on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
from chaos_checks import is_finished, shards_of

_RUN = "-r gentle --seed 7 --sources-per-shard 1"


@dataclass(frozen=True)
class Kind:
    """A command: its words, the exit code of the calm one, and what it makes.

    That is shards, a dataset that a run fills, a tree that a conversion writes, or a file; or nothing, of commands that
    only look. ``printed`` is true where all that it comes to is printed.
    """

    name: str
    words: str
    code: int = 0
    printed: bool = False
    makes: str = ""
    ending: str = ""

    @property
    def server(self) -> bool:
        """Whether its workers are forked by a server."""
        return self.makes in ("shards", "dataset") and self.name != "finish"

    @property
    def in_folder(self) -> bool:
        return self.makes in ("shards", "dataset", "tree")

    def out(self, folder: Path) -> Path:
        return folder / f"out{self.ending}"


AUGMENT = f"augment {{voc}} {{out}} {_RUN} -n 30 -w 3"
KINDS = (
    Kind("augment", AUGMENT, makes="shards"),
    Kind("augment alone", f"augment {{voc}} {{out}} {_RUN} -n 15 -w 0", makes="shards"),
    Kind("augment parted", f"{AUGMENT} --val 30% --group-by '_([0-9]+)'", makes="shards"),
    Kind("augment to yolo", f"augment {{voc}} {{out}} {_RUN} -n 15 -w 2 --to yolo", makes="dataset"),
    Kind("augment to coco", f"augment {{voc}} {{out}} {_RUN} -n 15 -w 2 --to coco --val 30%", makes="dataset"),
    Kind("tile", "tile {voc} {out} --size 16 --overlap 0.5 -w 2 --sources-per-shard 1", makes="shards"),
    Kind("tile to voc", "tile {voc} {out} --size 32 --to voc -w 2 --sources-per-shard 1", makes="dataset"),
    Kind("crops", "crops {many} {out} -w 2 --sources-per-shard 20", makes="shards"),
    Kind("crops to dota", "crops {voc} {out} --to dota -w 2 --sources-per-shard 1", makes="dataset"),
    Kind("retry", "retry {out} -w 2", makes="shards"),
    Kind("finish", "finish {out}", makes="shards"),
    Kind("convert", "convert voc-to-coco {many} {out} -w 2", makes="tree"),
    Kind("convert to shards", "convert voc-to-shards {many} {out} -w 2", makes="shards"),
    Kind("merge", "dataset merge {voc} {many} {out} --to yolo -w 2", makes="tree"),
    Kind("filter", "dataset filter {many} {out} --classes cat,dog -w 2", makes="tree"),
    Kind("rename", "dataset rename {many} {out} --map cat=dog -w 2", makes="tree"),
    Kind("split", "dataset split {many} {out} --val 20% --to coco -w 2", makes="tree"),
    Kind("replay", "replay {shards} {key} -o {out} --against {voc}", makes="file", ending=".jpg"),
    Kind("verify", "verify {shards} --against {voc} -w 2"),
    Kind("verify damaged", "verify {spoilt} -w 2", code=1),
    Kind("inspect", "inspect {voc} -w 2", printed=True),
    Kind("plan", "plan {voc} -r gentle -n 400", printed=True),
    Kind("preview", "preview {voc} -r gentle -o {out} --limit 4", makes="file", ending=".png"),
)  # fmt: skip


def sets(place: Path, kinds: Sequence[Kind]) -> dict[str, Path]:
    """What the commands read: one with few pictures, one with many, and places for those that are made of them."""
    datasets.make_voc(place / "voc", 8)
    if any("{many}" in kind.words for kind in kinds):
        datasets.make_voc(place / "many", 200, objects=2)
    return {name: place / name for name in ("voc", "many", "shards", "spoilt", "lossy")}


def begin(kind: Kind, folder: Path, paths: dict[str, Path]) -> None:
    """Prepare the folder of one run."""
    folder.mkdir()
    if kind.name in ("retry", "finish"):
        shutil.copytree(paths["lossy" if kind.name == "retry" else "shards"], folder / "out")
    if kind.name == "finish":
        (folder / "out" / "manifest.json").unlink()


def is_lossy(kind: Kind, folder: Path) -> bool:
    """Whether a run has ended and lacks pictures, so that ``retry`` goes on and not the same command."""
    shards = shards_of(kind.makes, kind.out(folder))
    return kind.server and (shards / "manifest.json").exists() and not is_finished(shards)


def has_begun(kind: Kind, out: Path, share: float, wanted: int) -> bool:
    """Whether as large a share of the files is in a folder, hidden ones too; with 1, one has come to its place."""
    if not out.is_dir():
        return False
    if share < 1:
        return sum(len(files) for _, _, files in os.walk(out)) >= share * wanted
    last = {"shards": "rejects.jsonl"}.get(kind.makes)
    names = {path.name for path in out.iterdir()}
    return last in names if last else any(not name.startswith(".augpipe") for name in names)
