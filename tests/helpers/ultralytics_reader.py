"""What Ultralytics' own reader makes of YOLO datasets: a program, so that none of its settings reach the tests.

    python tests/helpers/ultralytics_reader.py < LISTS

A line of JSON for each line that is read, which lists files ``data.yaml``. In its answer: for each of them and split
what its check of a dataset found, and the labels of every picture as its ``YOLODataset`` holds them. Nothing is
fetched, and nothing written but to ``YOLO_CONFIG_DIR`` and a cache beside the labels.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

from oracles import import_torchvision, import_ultralytics

answers, sys.stdout = sys.stdout, sys.stderr  # where it draws its progress, and says what else it does

import_torchvision()  # Ultralytics asks for it, and only ours knows how to import it beside a CPU build of torch
import_ultralytics()


def _no_network(*_: object, **__: object) -> None:
    raise OSError("a test asks no server")


socket.socket.connect = _no_network  # type: ignore[assignment, method-assign]

from ultralytics.cfg import DEFAULT_CFG  # noqa: E402
from ultralytics.data import utils  # noqa: E402
from ultralytics.data.dataset import YOLODataset  # noqa: E402

utils.check_font = lambda name: None  # it is for plots, and would be fetched


class Told(YOLODataset):  # type: ignore[misc]
    """The same, which checks every file each time and keeps what came of it."""

    def _load_or_scan_cache(self, cache_path: Path, cache_hash: str) -> tuple[dict[str, Any], bool]:
        cache = self.cache_labels(cache_path)
        self.counts, self.messages = cache["results"], list(cache["msgs"])
        return cache, False


def read(data_yaml: str) -> dict[str, Any]:
    """Split → found, missing, empty and corrupt; what was said; and picture → its labels."""
    data = utils.check_det_dataset(data_yaml, autodownload=False)
    task, found = data["task"], {}
    for split in ("train", "val", "test"):
        if not data.get(split):
            continue
        dataset = Told(img_path=data[split], imgsz=64, augment=False, hyp=DEFAULT_CFG, data=data, task=task)
        first = dataset[0]  # with its picture, as a trainer gets it
        counts = dict(zip(("found", "missing", "empty", "corrupt", "total"), dataset.counts, strict=True))
        found[split] = {
            **counts,
            "messages": dataset.messages,
            "first": {k: list(v.shape) for k, v in first.items() if hasattr(v, "shape")},
            "pictures": {
                Path(label["im_file"]).relative_to(data["path"]).as_posix(): of(label) for label in dataset.labels
            },
        }
    names = [data["names"][i] for i in range(data["nc"])]
    return {"names": names, "task": task, "splits": found, "root": str(data["path"])}


def of(label: dict[str, Any]) -> dict[str, Any]:
    keypoints = label["keypoints"]
    return {
        "size_hw": list(label["shape"]),
        "classes": label["cls"].reshape(-1).tolist(),
        "boxes_xywh": label["bboxes"].tolist(),
        "segments": [segment.tolist() for segment in label["segments"]],
        "keypoints": None if keypoints is None else keypoints.tolist(),
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps([read(path) for path in json.loads(line)]), file=answers, flush=True)
