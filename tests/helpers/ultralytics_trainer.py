"""Ultralytics' own trainer for one epoch on a YOLO dataset, from scratch, on the CPU: a program, as it writes settings.

    python tests/helpers/ultralytics_trainer.py DATA_YAML FOLDER

Prints a line of JSON: the pictures it took for training and for validation, and its loss. Nothing is fetched. As
torchvision's compiled operators cannot be loaded everywhere, its suppression of boxes is done in Python here.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from oracles import import_torchvision, import_ultralytics

answers, sys.stdout = sys.stdout, sys.stderr

torchvision = import_torchvision()
import_ultralytics()


def _no_network(*_: object, **__: object) -> None:
    raise OSError("a test asks no server")


socket.socket.connect = _no_network  # type: ignore[assignment, method-assign]

import torch  # noqa: E402
from ultralytics.data import utils  # noqa: E402
from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: E402

utils.check_font = lambda name: None


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """The best boxes, without those that overlap a better one by more."""
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        ious = torchvision.ops.box_iou(boxes[index : index + 1], boxes[kept]) if kept else torch.zeros(1)
        if float(ious.max()) <= iou_threshold:
            kept.append(index)
    return torch.tensor(kept, dtype=torch.long)


torchvision.ops.nms = _nms
DetectionTrainer.save_model = lambda self: False  # it would ask for polars, and nobody wants the weights


def main() -> None:
    data, folder = sys.argv[1:]
    trainer = DetectionTrainer(
        overrides={
            "model": "yolov8n.yaml", "data": data, "epochs": 1, "imgsz": 64, "batch": 4, "workers": 0, "device": "cpu",
            "project": folder, "name": "run", "plots": False, "amp": False, "pretrained": False, "verbose": False,
        }
    )  # fmt: skip
    trainer.train()
    losses = trainer.tloss.values() if isinstance(trainer.tloss, dict) else trainer.tloss.reshape(-1)
    found = {
        "train": sorted(trainer.train_loader.dataset.im_files),
        "val": sorted(trainer.test_loader.dataset.im_files),
        "loss": [float(value) for value in losses],
    }
    print(json.dumps(found), file=answers)


if __name__ == "__main__":
    main()
