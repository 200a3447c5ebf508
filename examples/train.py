"""Train a tiny model for a few steps on a finished folder, on the CPU: how to use augpipe's ShardDataset.

    python examples/train.py DST [--split train] [--steps 60]

With boxes it is a detector without anchors (a heatmap of box centres a class, and the box's size at each centre), with
tags alone a classifier. Neither is good: what counts is that pictures and labels arrive, fit each other, and the loss
falls. Exit code 1 if it does not.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from augpipe.core.errors import AugpipeError
from augpipe.loader import ShardDataset, collate

SIDE = 128  # pictures are fitted into SIDE×SIDE
STRIDE = 4  # one cell of the heatmap is STRIDE×STRIDE of those
BATCH = 8

Batch = tuple[list[torch.Tensor], list[dict[str, Any]]]


def endless(dataset: ShardDataset, workers: int) -> Iterator[Batch]:
    """Batches for ever. ``set_epoch`` is what makes every epoch's order another one."""
    loader = DataLoader(
        dataset,
        batch_size=BATCH,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
    )
    for epoch in itertools.count():
        dataset.set_epoch(epoch)
        yield from loader


def fitted(image_chw: torch.Tensor, target: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
    """The picture as float (3, SIDE, SIDE), scaled towards its top left corner, and the boxes with it."""
    height, width = image_chw.shape[1:]
    factor = SIDE / max(height, width)
    size_hw = (max(1, round(height * factor)), max(1, round(width * factor)))
    rgb = image_chw.expand(3, -1, -1)[None].float() / 255  # gray pictures have one plane
    small = F.interpolate(rgb, size_hw, mode="bilinear", antialias=True, align_corners=False)[0]
    if "boxes" in target:
        target["boxes"] = target["boxes"] * factor
    return F.pad(small, (0, SIDE - size_hw[1], 0, SIDE - size_hw[0])), target


def backbone() -> nn.Sequential:
    """RGB at SIDE to 48 channels at SIDE / STRIDE."""

    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        return [convolution, nn.GroupNorm(4, outputs), nn.ReLU()]

    return nn.Sequential(*block(3, 16, 2), *block(16, 32, 2), *block(32, 48, 1), *block(48, 48, 1))


class Detector(nn.Module):
    """Heatmaps of box centres, one a class, and (width, height) / SIDE at every cell."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = backbone()
        self.heat = nn.Conv2d(48, classes, 1)
        self.size = nn.Conv2d(48, 2, 1)
        nn.init.constant_(self.heat.bias, -3.0)  # centres are rare

    def loss(self, images: list[torch.Tensor], targets: list[dict[str, Any]]) -> torch.Tensor:
        """Focal loss of the heatmaps and the L1 distance of sizes where there is a centre, per object."""
        features = self.body(torch.stack(images))
        heat, size = self.heat(features), self.size(features)
        wanted = torch.zeros_like(heat)
        distance, count = heat.new_zeros(()), 0
        for i, target in enumerate(targets):
            for box, label in zip(target["boxes"], target["labels"], strict=True):
                size_wh = box[2:] - box[:2]
                column, row = ((box[:2] + box[2:]) / 2 / STRIDE).long().clamp(0, SIDE // STRIDE - 1).tolist()
                draw_peak(wanted[i, label - 1], column, row, size_wh / STRIDE)  # labels count from 1
                distance = distance + (size[i, :, row, column] - size_wh / SIDE).abs().sum()
                count += 1
        return (focal(heat, wanted) + distance) / max(1, count)


def draw_peak(heatmap: torch.Tensor, column: int, row: int, size_wh: torch.Tensor) -> None:
    """A Gaussian as wide as a sixth of the box, 1 at its centre; where peaks meet the higher counts."""
    spread = (size_wh / 6).clamp(min=0.5)
    cells = torch.arange(heatmap.shape[0])
    across = torch.exp(-((cells - column) ** 2) / (2 * spread[0] ** 2))
    down = torch.exp(-((cells - row) ** 2) / (2 * spread[1] ** 2))
    torch.maximum(heatmap, down[:, None] * across[None, :], out=heatmap)


def focal(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Penalty-reduced focal loss. Source: X. Zhou, D. Wang, P. Krähenbühl, *Objects as Points*, 2019, equation 1."""
    p = logits.sigmoid()
    at_centres = (wanted == 1) * (1 - p) ** 2 * F.logsigmoid(logits)
    elsewhere = (wanted < 1) * (1 - wanted) ** 4 * p**2 * F.logsigmoid(-logits)
    return -(at_centres + elsewhere).sum()


class Classifier(nn.Module):
    """One yes or no a class, so that a picture may have several tags, or none."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = backbone()
        self.head = nn.Linear(48, classes)

    def loss(self, images: list[torch.Tensor], targets: list[dict[str, Any]]) -> torch.Tensor:
        """Binary cross-entropy over all classes."""
        logits = self.head(self.body(torch.stack(images)).mean(dim=(2, 3)))
        wanted = torch.zeros_like(logits)
        for row, target in zip(wanted, targets, strict=True):
            row[target["labels"] - 1] = 1.0
        return F.binary_cross_entropy_with_logits(logits, wanted)


def model_for(dataset: ShardDataset) -> Detector | Classifier:
    """Every target of a dataset has the same keys, so the first one tells what there is to learn."""
    _, target = next(iter(dataset))
    classes = len(dataset.categories)
    if "boxes" in target:
        return Detector(classes)
    if "labels" in target:
        return Classifier(classes)
    raise SystemExit(f"train.py learns boxes or tags; these targets have {sorted(target)}")


def train(folder: str, split: str | None, steps: int, workers: int) -> list[float]:
    """The loss of every step."""
    torch.manual_seed(0)
    # With batch_size, workers take whole batches: only an epoch's last one is partial. They run the transform too.
    dataset = ShardDataset(folder, split=split, shuffle=1000, seed=0, batch_size=BATCH, transform=fitted)
    if len(dataset) == 0:
        raise SystemExit(f"{folder} holds no samples")
    model = model_for(dataset)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    print(f"{type(model).__name__.lower()} of {len(dataset.categories)} classes, {len(dataset)} samples")
    losses = []
    for step, (images, targets) in enumerate(itertools.islice(endless(dataset, workers), steps), start=1):
        loss = model.loss(images, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if step == 1 or step % 10 == 0:
            print(f"step {step:4d}  loss {losses[-1]:.4f}", flush=True)
    return losses


def main() -> int:
    """0 if the loss fell."""
    parser = argparse.ArgumentParser(description="Train a tiny model on a folder that `augpipe augment` has finished.")
    parser.add_argument("folder", metavar="DST")
    parser.add_argument("--split", help="which one, of a folder with several")
    parser.add_argument("--steps", type=int, default=60, help="at least 10 (default: 60)")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="loader processes")
    options = parser.parse_args()
    if options.steps < 10:
        parser.error("--steps must be at least 10")
    try:
        losses = train(options.folder, options.split, options.steps, options.workers)
    except AugpipeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    first, last = sum(losses[:5]) / 5, sum(losses[-5:]) / 5
    print(f"mean loss of the first five steps {first:.4f}, of the last five {last:.4f}")
    return 0 if last < first else 1


if __name__ == "__main__":
    sys.exit(main())
