"""The whole way in one go: photographs → VOC → COCO → augmented shards → a training DataLoader.

``make demo`` runs this. Each step is a command that you could type yourself; it is printed before it is run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import demo_data

COPIES = 4
SEED = 7


def command(*arguments: str) -> None:
    """Print an ``augpipe`` command and run it."""
    print(f"\n$ augpipe {' '.join(arguments)}", flush=True)
    subprocess.run([str(Path(sys.executable).with_name("augpipe")), *arguments], check=True)


def stream(shards: Path) -> tuple[int, int, float]:
    """(samples, objects, seconds) of one epoch of train through a DataLoader with two workers."""
    from torch.utils.data import DataLoader

    from augpipe.loader import ShardDataset, collate

    dataset = ShardDataset(shards, split="train", shuffle=1000, seed=0)
    loader = DataLoader(dataset, batch_size=8, num_workers=2, collate_fn=collate)
    samples = objects = 0
    started = time.monotonic()
    for images, targets in loader:
        samples += len(images)
        objects += sum(len(target["labels"]) for target in targets)
    return samples, objects, time.monotonic() - started


def main(folder: Path) -> None:
    """Build everything below ``folder`` and say where it is."""
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    voc, coco, shards, sheet = folder / "voc", folder / "coco", folder / "shards", folder / "preview.png"
    demo_data.build(voc)
    print(f"A Pascal VOC dataset of {len(list((voc / 'JPEGImages').iterdir()))} photographs: {voc}")
    command("inspect", str(voc))
    command("convert", "voc-to-coco", str(voc), str(coco))
    command("augment", str(coco), str(shards), "--recipe", "segmentation", "--copies", str(COPIES), "--seed", str(SEED))
    command("preview", str(coco), "--recipe", "segmentation", "--seed", str(SEED), "--output", str(sheet))
    print("\nStreaming the shards through a DataLoader with 2 workers")
    samples, objects, seconds = stream(shards)
    manifest = json.loads((shards / "manifest.json").read_text("utf-8"))
    totals = manifest["totals"]
    written = manifest["splits"]["train"]["samples"]
    print(f"{samples} samples with {objects} objects in one epoch; the manifest says {written}")
    print(
        f"""
What was made
  {voc}       the photographs with boxes and masks, Pascal VOC
  {coco}      the same as COCO
  {shards}    {len(manifest["shards"])} WebDataset shards, {COPIES} copies of each photograph to train on
  {sheet}  originals and copies with their labels: look at it
What was measured
  augment   {totals["written"] / manifest["seconds"]:.0f} samples/s, start-up included
  streaming {samples / seconds:.0f} samples/s, worker start-up included
  all of it {time.monotonic() - started:.0f} s
Next
  {Path(sys.executable).name} examples/train.py {shards} --split train
  augpipe preview YOUR_DATASET --recipe detection -o sheet.png"""
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
